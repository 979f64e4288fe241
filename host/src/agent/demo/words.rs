//! What the demo agent says: a function of the message and of what it remembers. Always labelled, never random.

use std::fmt::Write as _;

use super::{keyword, transcript::Memory};

/// What every answer begins with.
pub(super) const LABEL: &str = "(demo agent)";
/// How much of a message is quoted, in characters.
const QUOTED: usize = 200;

/// The answer to the last message of the conversation.
pub(super) fn answer(text: &str, memory: &Memory, system_prompt: &str) -> String {
    let words: Vec<String> = keyword::words(text).collect();
    let says = |word: &str| words.iter().any(|said| said == word);
    let asks = |question: &[&str]| words.windows(question.len()).any(|said| said == question);

    let body = if says("help") {
        help()
    } else if says("markdown") {
        MARKDOWN.to_owned()
    } else if says("demo:prompt") {
        format!("My system prompt: “{}”", shortened(system_prompt, QUOTED))
    } else if asks(&["what", "did", "i", "say"]) {
        recall(memory)
    } else if asks(&["what", "is", "my", "name"])
        || asks(&["what's", "my", "name"])
        || asks(&["who", "am", "i"])
    {
        match &memory.name {
            Some(name) => format!("Your name is {name}: you told me in this conversation."),
            None => "You haven't told me. Say “my name is …” and ask again.".to_owned(),
        }
    } else if let Some(name) = introduced(text) {
        format!("Nice to meet you, {name}. Ask me “what is my name?” whenever you like. {}", counted(memory))
    } else {
        format!(
            "I read: “{}” {} Say `help` to see what I can show.",
            shortened(text, QUOTED),
            counted(memory)
        )
    };
    format!("{LABEL} {body}")
}

/// An answer of so many paragraphs, each of which says which one it is.
pub(super) fn paragraphs(count: usize) -> String {
    let mut text = format!("{LABEL} {count} paragraphs:");
    for number in 1..=count {
        write!(
            text,
            "\n\nParagraph {number} of {count}. It has a few words more, so that it is as long as a paragraph of \
             a real answer would be, and no two are the same."
        )
        .expect("a String takes what is written");
    }
    text
}

/// The name in "my name is …".
pub(super) fn introduced(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let name = words.windows(4).find_map(|said| {
        let introduces = ["my", "name", "is"]
            .iter()
            .zip(said)
            .all(|(word, said)| said.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case(word));
        introduces.then(|| said[3].trim_matches(|c: char| !c.is_alphanumeric()))
    })?;
    (!name.is_empty()).then(|| shortened(name, QUOTED))
}

/// A text on one line, cut to so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let mut shortened: String =
        text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}

fn counted(memory: &Memory) -> String {
    match &memory.first {
        Some(first) if memory.messages > 1 => format!(
            "This is message {} of our conversation; you first said “{}”.",
            memory.messages,
            shortened(first, QUOTED)
        ),
        _ => "This is message 1 of our conversation.".to_owned(),
    }
}

fn recall(memory: &Memory) -> String {
    let Some(earlier) = memory.recent.len().checked_sub(1).filter(|earlier| *earlier > 0) else {
        return "Nothing before this: it is message 1 of our conversation.".to_owned();
    };
    let mut text = counted(memory);
    text.push_str(" Before this one you said:\n");
    for said in memory.recent.iter().take(earlier) {
        write!(text, "\n- {}", shortened(said, QUOTED)).expect("a String takes what is written");
    }
    text
}

fn help() -> String {
    let mut text =
        "I stand in for Claude: free, offline, the same every time. I repeat what I read and remember \
                    the conversation. Try one of these words:\n\n\
                    | word | what happens |\n|---|---|\n\
                    | `markdown` | a sample of everything an answer can hold |\n\
                    | `my name is …`, `what is my name?` | shows that I remember |\n\
                    | `what did I say?` | your last messages |\n\
                    | `demo:prompt` | the system prompt I was given |\n"
            .to_owned();
    for (word, what) in keyword::LISTED {
        writeln!(text, "| `{word}` | {what} |").expect("a String takes what is written");
    }
    text
}

const MARKDOWN: &str = r#"Here is a bit of everything:

# A heading

Words can be **bold**, *slanted*, ~~struck~~ or `code`, and there are [links](https://example.com/).

| fruit | count |
|---|---:|
| apple | 12 |
| cherry | 340 |

1. first
2. second
   - with a branch

> Someone said this.

```rust
fn main() {
    println!("<b>not bold</b> & safe");
}
```"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use uuid::Uuid;

    use super::*;
    use crate::agent::demo::transcript::Transcript;

    fn memory(said: &[&str]) -> Memory {
        let mut transcript = Transcript::new(None, Path::new("/"), Uuid::nil());
        for text in said {
            transcript.user(text, &[]).unwrap();
        }
        transcript.memory
    }

    fn last_answer(said: &[&str]) -> String {
        answer(said[said.len() - 1], &memory(said), "You are a test.")
    }

    #[test]
    fn the_usual_answer_quotes_counts_and_recalls_the_first_message() {
        insta::assert_snapshot!(last_answer(&["Ann in All Talk: hello"]), @"(demo agent) I read: “Ann in All Talk: hello” This is message 1 of our conversation. Say `help` to see what I can show.");
        insta::assert_snapshot!(last_answer(&["hello", "two", "three"]), @"(demo agent) I read: “three” This is message 3 of our conversation; you first said “hello”. Say `help` to see what I can show.");
    }

    #[test]
    fn a_name_is_remembered_and_the_last_one_counts() {
        assert!(last_answer(&["my name is Ann."]).starts_with("(demo agent) Nice to meet you, Ann."));
        let asked =
            last_answer(&["My name is Ann", "no, my name is Bo!", "Ann in All Talk: what is my name?"]);
        assert_eq!(asked, "(demo agent) Your name is Bo: you told me in this conversation.");
        assert!(last_answer(&["Who am I?"]).contains("You haven't told me"));
    }

    #[test]
    fn what_was_said_is_listed_without_the_question() {
        let listed = last_answer(&["one", "two", "what did I say?"]);
        assert!(listed.ends_with("\n- one\n- two"), "{listed}");
        assert!(last_answer(&["what did I say?"]).contains("Nothing before this"));
    }

    #[test]
    fn every_answer_is_labelled() {
        for text in ["", "help", "markdown", "demo:prompt", "hello", "my name is", "what did I say"] {
            assert!(last_answer(&[text]).starts_with(LABEL), "{text}");
        }
        assert!(paragraphs(3).starts_with(LABEL));
    }

    #[test]
    fn help_lists_every_keyword_and_the_prompt_is_shown_when_asked() {
        let help = last_answer(&["Ann: HELP!"]);
        assert!(keyword::LISTED.iter().all(|(word, _)| help.contains(word)));
        assert!(last_answer(&["demo:prompt"]).contains("“You are a test.”"));
    }

    #[test]
    fn a_long_message_is_quoted_in_part() {
        let quoted = last_answer(&["é\n".repeat(1000).as_str()]);
        assert!(quoted.contains('…') && quoted.chars().count() < 400, "{quoted}");
        assert!(!quoted.contains('\n'));
    }

    #[test]
    fn paragraphs_are_as_many_as_were_asked_for() {
        assert_eq!(paragraphs(7).matches("\n\nParagraph ").count(), 7);
    }
}
