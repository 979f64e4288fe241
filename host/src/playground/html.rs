//! Message HTML as Campfire reads and shows it.
//!
//! A stored body is whatever was posted, raw. [`plain_text`] is what a webhook's `plain` says, [`mentions`] is whom it
//! names, and [`shown`] is what may reach a browser: only the allowed elements, every other one gone *with its
//! contents*, no scripts, no styles, no remote images.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use ammonia::{Builder, UrlRelative};
use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};

use super::mention::{MENTION_TYPE, Signer};
use crate::id::UserId;

const ATTACHMENT: &str = "action-text-attachment";

/// What Campfire's message sanitiser lets through.
#[rustfmt::skip]
const ALLOWED: [&str; 44] = [
    "a", "abbr", "acronym", "address", "b", "big", "blockquote", "br", "cite", "code", "dd", "del", "dfn", "div",
    "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "ol", "p", "pre", "samp",
    "small", "span", "strong", "sub", "sup", "time", "tt", "ul", "var", "figure", "figcaption", ATTACHMENT,
];

/// How deep emphasis is nested that is seen.
const NESTED: usize = 32;

/// A piece of a message's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it says.
    pub text: String,
    /// How it is set off from the rest.
    pub emphasis: Emphasis,
}

/// How a piece of text is set off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each holds or not, whatever the others do")]
pub struct Emphasis {
    /// It is bold.
    pub strong: bool,
    /// It is in italics.
    pub leaning: bool,
    /// It is code.
    pub code: bool,
    /// It is struck through.
    pub struck: bool,
    /// Where it leads.
    pub link: Option<String>,
}

/// An element that looks like a mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mention {
    /// Whom it names; none if the signature is not ours.
    pub(super) user: Option<UserId>,
    /// The name it shows.
    pub(super) label: String,
}

/// `text` so that it means itself in HTML text and in a quoted attribute.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

/// The mentions in `html`, in order.
pub(super) fn mentions(html: &str, signer: &Signer) -> Vec<Mention> {
    tokens(html)
        .iter()
        .filter_map(|token| match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => mention(tag, signer),
            _ => None,
        })
        .collect()
}

/// `html` as text: blocks on lines of their own, list items with a bullet, mentions as `@Name` with the name that
/// `name_of` knows.
pub(super) fn plain_text(html: &str, signer: &Signer, name_of: impl Fn(UserId) -> Option<String>) -> String {
    let mut text = read(html, signer, name_of, |_, _| {});
    text.truncate(text.trim_end().len());
    text
}

/// The same in pieces, each with how it is set off.
pub(super) fn pieces(html: &str, signer: &Signer, name_of: impl Fn(UserId) -> Option<String>) -> Vec<Piece> {
    let mut nested: Vec<(String, Emphasis)> = Vec::new();
    // From where on which emphasis holds.
    let mut turns = vec![(0, Emphasis::default())];
    let text = read(html, signer, name_of, |tag, at| {
        let name = &*tag.name;
        let mut emphasis = nested.last().map(|(_, emphasis)| emphasis.clone()).unwrap_or_default();
        match name {
            "b" | "strong" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "dt" => emphasis.strong = true,
            "i" | "em" | "cite" | "dfn" | "var" => emphasis.leaning = true,
            "code" | "pre" | "kbd" | "samp" | "tt" => emphasis.code = true,
            "del" => emphasis.struck = true,
            "a" => {
                let link = tag.attrs.iter().find(|attribute| &*attribute.name.local == "href");
                emphasis.link = link.map(|link| link.value.to_string());
            }
            _ => return,
        }
        match tag.kind {
            TagKind::StartTag if nested.len() < NESTED => nested.push((name.to_owned(), emphasis)),
            TagKind::StartTag => return,
            TagKind::EndTag => {
                let Some(begun) = nested.iter().rposition(|(begun, _)| begun == name) else { return };
                nested.truncate(begun);
            }
        }
        turns.push((at, nested.last().map(|(_, emphasis)| emphasis.clone()).unwrap_or_default()));
    });
    let end = text.trim_end().len();
    let ends = turns.iter().skip(1).map(|(at, _)| *at).chain([end]).collect::<Vec<_>>();
    let ranges = turns.into_iter().zip(ends);
    let pieces = ranges.filter_map(|((from, emphasis), to)| {
        let text = text.get(from.min(end)..to.min(end)).filter(|text| !text.is_empty())?;
        Some(Piece { text: text.to_owned(), emphasis })
    });
    pieces.collect()
}

/// Reads `html` as text, and tells of every tag that is seen, with how much text was before it.
fn read(
    html: &str,
    signer: &Signer,
    name_of: impl Fn(UserId) -> Option<String>,
    mut see: impl FnMut(&Tag, usize),
) -> String {
    let mut text = String::new();
    let mut unseen: Option<String> = None;
    for token in tokens(html) {
        match token {
            Token::CharacterTokens(characters) if unseen.is_none() => text.push_str(&characters),
            Token::TagToken(tag) => {
                let starts = tag.kind == TagKind::StartTag;
                // The line breaks of a block are outside of it.
                if !starts && unseen.is_none() {
                    see(&tag, text.len());
                }
                match &*tag.name {
                    name @ ("script" | "style") if starts && unseen.is_none() => {
                        unseen = Some(name.to_owned());
                    }
                    name if !starts && unseen.as_deref() == Some(name) => unseen = None,
                    _ if unseen.is_some() => {}
                    ATTACHMENT if starts => {
                        if let Some(mention) = mention(&tag, signer) {
                            text.push('@');
                            text.push_str(&mention.user.and_then(&name_of).unwrap_or(mention.label));
                        }
                    }
                    "br" => text.push('\n'),
                    "p" | "ul" | "ol" | "pre" | "blockquote" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                        end_line(&mut text);
                        if !starts && !text.is_empty() && !text.ends_with("\n\n") {
                            text.push('\n');
                        }
                    }
                    "div" | "h1" | "figure" | "figcaption" | "hr" | "dt" | "dd" => end_line(&mut text),
                    "li" => {
                        end_line(&mut text);
                        if starts {
                            text.push_str("• ");
                        }
                    }
                    _ => {}
                }
                if starts && unseen.is_none() {
                    see(&tag, text.len());
                }
            }
            _ => {}
        }
    }
    text
}

/// `html` as it may be shown in a page, mentions as `<span class="mention">@Name</span>`.
pub(super) fn shown(html: &str, signer: &Signer, name_of: impl Fn(UserId) -> Option<String>) -> String {
    let clean = sanitise(html);
    let mut shown = String::with_capacity(clean.len());
    for token in tokens(&clean) {
        match token {
            Token::CharacterTokens(text) => shown.push_str(&escape(&text)),
            Token::TagToken(tag) if &*tag.name == ATTACHMENT => {
                let mention = (tag.kind == TagKind::StartTag).then(|| mention(&tag, signer)).flatten();
                if let Some(Mention { user, label }) = mention {
                    let name = user.and_then(&name_of).unwrap_or(label);
                    shown.push_str(r#"<span class="mention">@"#);
                    shown.push_str(&escape(&name));
                    shown.push_str("</span>");
                }
            }
            Token::TagToken(tag) => write_tag(&mut shown, &tag),
            _ => {}
        }
    }
    shown
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

fn mention(tag: &Tag, signer: &Signer) -> Option<Mention> {
    if &*tag.name != ATTACHMENT {
        return None;
    }
    let attribute = |name: &str| {
        tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
    };
    let user = attribute("sgid").and_then(|sgid| signer.verify(sgid));
    if user.is_none() && attribute("content-type") != Some(MENTION_TYPE) {
        return None;
    }
    let mut label = String::new();
    for token in tokens(attribute("content").unwrap_or_default()) {
        if let Token::CharacterTokens(text) = token {
            label.push_str(&text);
        }
    }
    Some(Mention { user, label: label.trim().trim_start_matches('@').to_owned() })
}

/// The sanitiser takes the list of elements to remove with their contents by name, so every name that occurs and is
/// not allowed is put on it. Names found where there is no element (in a comment, in an attribute) do no harm.
fn sanitise(html: &str) -> String {
    let names: HashSet<String> = html
        .split('<')
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
            rest[..end.unwrap_or(rest.len())].to_ascii_lowercase().replace('\0', "\u{fffd}")
        })
        .filter(|name| {
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && !ALLOWED.contains(&name.as_str())
        })
        .collect();
    let mut removed: HashSet<&str> = names.iter().map(String::as_str).collect();
    // The parser reads `<image>` as `<img>`.
    removed.insert("img");
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(ALLOWED))
        .clean_content_tags(removed)
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("time", HashSet::from(["datetime"])),
            ("ol", HashSet::from(["start"])),
            (ATTACHMENT, HashSet::from(["sgid", "content-type", "content"])),
        ]))
        .generic_attributes(HashSet::from(["dir", "lang", "title"]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer"))
        .set_tag_attribute_value("a", "target", "_blank");
    builder.clean(html).to_string()
}

fn write_tag(html: &mut String, tag: &Tag) {
    html.push_str(if tag.kind == TagKind::StartTag { "<" } else { "</" });
    html.push_str(&tag.name);
    for attribute in &tag.attrs {
        html.push(' ');
        html.push_str(&attribute.name.local);
        html.push_str("=\"");
        html.push_str(&escape(&attribute.value));
        html.push('"');
    }
    html.push('>');
}

fn tokens(html: &str) -> Vec<Token> {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let tokenizer =
        Tokenizer::new(Tokens::default(), TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() });
    // Nothing runs scripts here, so nothing interrupts the tokenizer before its input ends.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner()
}

#[derive(Default)]
struct Tokens(RefCell<Vec<Token>>);

impl TokenSink for Tokens {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let next = match &token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => match &*tag.name {
                "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                "style" => TokenSinkResult::RawData(RawKind::Rawtext),
                _ => TokenSinkResult::Continue,
            },
            _ => TokenSinkResult::Continue,
        };
        self.0.borrow_mut().push(token);
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(html: &str) -> String {
        shown(html, &Signer::new(), |_| None)
    }

    fn read(html: &str) -> String {
        plain_text(html, &Signer::new(), |_| None)
    }

    #[test]
    fn elements_that_are_not_allowed_disappear_with_their_contents() {
        let cases = [
            ("a<script>alert(1)</script>b", "ab"),
            ("a<table><tr><td>cell</td></tr></table>b", "ab"),
            ("a<details>x<summary>y</summary></details>b", "ab"),
            ("a<s>gone</s><u>too</u>b", "ab"),
            ("a<made-up>gone</made-up>b", "ab"),
            ("a<IMG src=x onerror=alert(1)>b<image src=x>", "ab"),
            ("a<svg><text>x</text></svg>b", "ab"),
            ("a<x\0y>gone</x\0y>b", "ab"),
            ("<b onclick=alert(1) style='color:red' class=x id=y>b</b>", "<b>b</b>"),
            ("a<style>b{}</style><!-- c -->", "a"),
        ];
        for (html, expected) in cases {
            assert_eq!(seen(html), expected, "{html}");
        }
    }

    #[test]
    fn links_keep_only_addresses_that_lead_out() {
        assert!(
            seen("<a href='https://example.com/?a=1&b=2'>x</a>")
                .contains("href=\"https://example.com/?a=1&amp;b=2\"")
        );
        for html in [
            "<a href='javascript:alert(1)'>x</a>",
            "<a href='/session'>x</a>",
            "<a href='data:text/html,x'>x</a>",
        ] {
            assert!(!seen(html).contains("href"), "{html}");
        }
    }

    #[test]
    fn a_forged_mention_looks_like_one_and_stays_text() {
        let html = format!(
            r#"<action-text-attachment sgid="x--y" content-type="{MENTION_TYPE}" content="&lt;span&gt;&amp;lt;img&amp;gt; Ann&lt;/span&gt;"></action-text-attachment>"#
        );
        assert_eq!(seen(&html), r#"<span class="mention">@&lt;img&gt; Ann</span>"#);
        assert_eq!(mentions(&html, &Signer::new()), [Mention { user: None, label: "<img> Ann".into() }]);
    }

    #[test]
    fn a_mention_hidden_in_an_attribute_is_none() {
        let signer = Signer::new();
        let html =
            format!("<a title='{}'>x</a>", signer.attachment(UserId(2), "Echo").replace('\'', "&#39;"));
        assert_eq!(mentions(&html, &signer), []);
        assert!(!shown(&html, &signer, |_| None).contains("<span"));
    }

    #[test]
    fn pieces_are_the_plain_text_each_with_what_it_is_within() {
        let html = "<h2>Hi</h2><p>a <b>b <i>c</i></b><a href=\"https://x.example\">d</a></b> <code>e</code></p><script>f</script><ul><li><del>g</del></li></ul> ";
        let pieces = pieces(html, &Signer::new(), |_| None);
        let told: Vec<_> = pieces
            .iter()
            .map(|Piece { text, emphasis }| {
                let Emphasis { strong, leaning, code, struck, link } = emphasis;
                let marks = [(strong, 'b'), (leaning, 'i'), (code, 'c'), (struck, 's')];
                let marks: String = marks.iter().filter(|(is, _)| **is).map(|(_, mark)| *mark).collect();
                (text.as_str(), marks, link.as_deref())
            })
            .collect();
        let plain = |text| (text, String::new(), None);
        let marked = |text, marks: &str| (text, marks.to_owned(), None);
        assert_eq!(
            told,
            [
                marked("Hi", "b"),
                plain("\n\na "),
                marked("b ", "b"),
                marked("c", "bi"),
                ("d", String::new(), Some("https://x.example")),
                plain(" "),
                marked("e", "c"),
                plain("\n\n• "),
                marked("g", "s"),
            ]
        );
        let whole: String = pieces.into_iter().map(|piece| piece.text).collect();
        assert_eq!(whole, plain_text(html, &Signer::new(), |_| None));
    }

    #[test]
    fn plain_text_has_lines_where_the_room_shows_lines() {
        let cases = [
            ("<div>a &lt;b&gt;<br>c</div>", "a <b>\nc"),
            ("<p>a</p><p>b</p>", "a\n\nb"),
            ("<ul><li>a</li><li>b</li></ul>c", "• a\n• b\n\nc"),
            ("<h1>t</h1><div>x</div>", "t\nx"),
            ("a<script>b</script><style>c</style>d", "ad"),
            ("/play tada", "/play tada"),
            ("", ""),
        ];
        for (html, expected) in cases {
            assert_eq!(read(html), expected, "{html}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_posted_shows_no_script(text in "[a-z<>/='\" &;!-]{0,80}") {
            let html = format!("{text}<script>alert(1)</script><img src=x onerror=alert(1)>{text}");
            let html = seen(&html);
            for token in tokens(&html) {
                if let Token::TagToken(tag) = token {
                    prop_assert!(ALLOWED.contains(&&*tag.name), "{}", html);
                    prop_assert!(tag.attrs.iter().all(|a| !a.name.local.starts_with("on")), "{}", html);
                }
            }
        }

        #[test]
        fn escaped_text_reads_as_itself(text in "[^\\x00\\r\\n]{0,60}") {
            let trimmed = text.trim_end();
            prop_assert_eq!(read(&escape(trimmed)), trimmed);
        }
    }
}
