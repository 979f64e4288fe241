//! The text of a `bots.toml` with every secret in it covered, for reports that show its lines.
//!
//! The masked text has the same bytes in the same places, but for the covered ones, so places found in one are places
//! in the other. It covers too much rather than too little: the value of every key that sounds like a secret, wherever
//! it stands and whatever its type, and the user part of every URL. `${VARIABLE}` and `file:` stay, they are no secrets.
//! Comments, and all lines of a file that is no TOML, are judged by their look.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::secret::is_variable_name;

/// What keys of secrets contain.
const WORDS: [&str; 4] = ["key", "secret", "token", "password"];
/// Keys that are secrets, or tables of secrets, also when they are misspelt.
const KEYS: [&str; 5] = ["bot-key", "webhook-secret", "headers", "authorization", "cookie"];

/// `source` without its secrets. `broken` says that it is not all TOML.
pub(super) fn masked(source: &str, table: &DeTable<'_>, broken: bool) -> String {
    let mut covered = Vec::new();
    in_table(source, table, &mut covered);
    in_lines(source, broken, &mut covered);
    let mut bytes = source.as_bytes().to_vec();
    for span in covered {
        for byte in bytes.get_mut(span).into_iter().flatten() {
            if !matches!(byte, b'\n' | b'\r' | b'"' | b'\'') {
                *byte = b'*';
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

fn in_table(source: &str, table: &DeTable<'_>, covered: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        in_value(source, value, is_secret(key.get_ref()), covered);
    }
}

fn in_value(source: &str, value: &Spanned<DeValue<'_>>, secret: bool, covered: &mut Vec<Range<usize>>) {
    let span = value.span();
    match value.get_ref() {
        DeValue::Table(table) if secret => {
            for (name, value) in table {
                // No name has a space: the secret stands in the name's place.
                if name.get_ref().contains(char::is_whitespace) {
                    covered.push(name.span());
                }
                in_value(source, value, true, covered);
            }
        }
        DeValue::Table(table) => in_table(source, table, covered),
        DeValue::Array(array) => array.iter().for_each(|value| in_value(source, value, secret, covered)),
        DeValue::String(text) if secret && names_its_source(text) => {}
        _ if secret => covered.push(span),
        DeValue::String(_) => {
            in_assignment(source, span.clone(), covered);
            in_url(source, span, covered);
        }
        _ => {}
    }
}

/// `"NAME=value"`, where a name alone was meant.
fn in_assignment(source: &str, span: Range<usize>, covered: &mut Vec<Range<usize>>) {
    let text = source.get(span.clone()).unwrap_or_default();
    if let Some((name, _)) = text.split_once('=').filter(|(name, _)| is_secret(name)) {
        covered.push(span.start + name.len() + 1..span.end);
    }
}

fn in_url(source: &str, span: Range<usize>, covered: &mut Vec<Range<usize>>) {
    let Some(text) = source.get(span.clone()) else { return };
    for (start, slashes) in text.match_indices("//") {
        let start = start + slashes.len();
        let authority = text[start..].split(['/', '?', '#', ' ', '\n']).next().unwrap_or_default();
        if let Some(at) = authority.rfind('@') {
            covered.push(span.start + start..span.start + start + at);
        }
    }
}

/// Comments, which are in no table, and every line of a file that is not all TOML.
fn in_lines(source: &str, broken: bool, covered: &mut Vec<Range<usize>>) {
    let mut end = 0;
    // Whether the lines stand below the name of a table whose values are all secrets.
    let mut below_secret = false;
    for line in source.split_inclusive('\n') {
        let start = end;
        end += line.len();
        let secret_word = words(line).find(|word| is_secret(word));
        if line.trim_start().starts_with('[') {
            below_secret = secret_word.is_some();
        }
        if !broken && !line.trim_start().starts_with('#') {
            // Behind a secret's value, the comment may well be the one before it.
            if let (Some(_), Some(at)) = (secret_word, line.rfind('#')) {
                covered.push(start + at + 1..end);
            }
            continue;
        }
        if let Some(word) = secret_word {
            let (_, after) = line.split_once(word).unwrap_or_default();
            let value = after.trim_start_matches([' ', '\t', '=', '"', '\'']);
            if !names_its_source(value.trim_end_matches(['"', '\'', '\r', '\n', ' '])) {
                covered.push(end - value.len()..end);
            }
        } else if below_secret {
            // Without a quote behind its `=` the line may be the middle of a text.
            let value = line.split_once('=').map(|(_, value)| value.trim_start());
            let value = value.filter(|value| value.starts_with(['"', '\'']));
            covered.push(end - value.unwrap_or(line).len()..end);
        } else {
            in_url(source, start..end, covered);
        }
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')));
    words.filter(|word| !word.is_empty())
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    WORDS.iter().any(|word| key.contains(word))
        || KEYS.iter().any(|known| strsim::damerau_levenshtein(&key, known) <= 2)
}

/// Whether all of the secret is elsewhere: in one variable or in a file.
fn names_its_source(text: &str) -> bool {
    let in_variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    in_variable.is_some_and(is_variable_name) || text.starts_with("file:")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked_text(source: &str) -> String {
        let (table, errors) = DeTable::parse_recoverable(source);
        masked(source, table.get_ref(), !errors.is_empty())
    }

    #[test]
    fn secrets_are_covered_and_their_sources_are_not() {
        let source = r#"# bot-key = "2-abcdefghijkl"
# webhook-secret = "${SECRET}"
campfire.url = "https://ann:pw@campfire.example.com/x"
[bots.a]
bot-key = "2-abcdefghijkl"
webhook-secret = "${SECRET}"
bto-kye = '''
2-abc
'''
[bots.a.settings]
api-keys = ["one", "file:two"]
tokens.left = 4711
persona = "friendly"
"#;
        insta::assert_snapshot!(masked_text(source), @r##"
        # bot-key = "**************"
        # webhook-secret = "${SECRET}"
        campfire.url = "https://******@campfire.example.com/x"
        [bots.a]
        bot-key = "**************"
        webhook-secret = "${SECRET}"
        bto-kye = '''
        *****
        '''
        [bots.a.settings]
        api-keys = ["***", "file:two"]
        tokens.left = ****
        persona = "friendly"
        "##);
    }

    #[test]
    fn what_stands_beside_a_name_or_behind_a_value_is_covered() {
        let source =
            "bot-key = \"${KEY}\" # was 2-abc\nenvironment = [\"API_KEY=sk-1\", \"MODE=x\"] # fine\n";
        insta::assert_snapshot!(masked_text(source), @r#"
        bot-key = "${KEY}" #**********
        environment = ["API_KEY=****", "MODE=x"] #*****
        "#);
    }

    #[test]
    fn lines_that_are_no_toml_are_covered_too() {
        let source =
            "bot-key = \"2-abcdefghijkl\nwebhook-secret \"0123456789abcdef\"\nmodel = x\nkey=${KEY}\n";
        insta::assert_snapshot!(masked_text(source), @r#"
        bot-key = "**************
        webhook-secret "****************"
        model = x
        key=${KEY}
        "#);
    }

    #[test]
    fn headers_of_servers_are_covered_also_in_lines_that_are_no_toml() {
        let source = r#"
[bots.a.http."example.com"]
headers = { x-pat = "abc", authorization = "Bearer ${TOKEN}", x-id = "${ID}" }
authorization = "Bearer abc"
private = true
[bots.a.http."example.org".haeders]
x-pat = "abc"
[bots.b]
plugin = "b"
"#;
        let covered = r#"
[bots.a.http."example.com"]
headers = { x-pat = "***", authorization = "***************", x-id = "${ID}" }
authorization = "**********"
private = true
[bots.a.http."example.org".haeders]
x-pat = "***"
[bots.b]
plugin = "b"
"#;
        assert_eq!(masked_text(source), covered);
        let broken = masked_text(&format!("{source}x x\n"));
        assert!(!broken.contains("abc") && broken.contains("plugin = \"b\""), "{broken}");
    }

    proptest! {
        #[test]
        fn places_stay_where_they_are(source in "([a-z\\-]{0,8}(key|secret|//)? ?=? ?[\"'ü${}@/\\[a-c]{0,12}\r?\n){0,8}") {
            let masked = masked_text(&source);
            prop_assert_eq!(masked.len(), source.len());
            prop_assert_eq!(masked.matches('\n').count(), source.matches('\n').count());
        }
    }
}
