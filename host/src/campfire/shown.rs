//! Text in any format becomes HTML messages that Campfire shows as they are meant, ready to be posted.
//!
//! Invariants, whatever the input:
//! - A message holds no element but those that Campfire shows, is well-formed, and is never blank.
//! - A message is at most [`MESSAGE_LIMIT`] bytes long.
//! - No message plays a sound; that is [`sound`]'s.
//! - Time and memory are linear in the input.

use super::{
    markdown, parse, reshape, sanitise, split,
    tree::{Element, Node},
};

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `CommonMark` with GitHub's tables, strikethrough and task lists. HTML in it is taken as HTML.
    Markdown,
    /// HTML. Of elements that Campfire does not show, the text stays; tables and images are made into what it shows.
    Html,
    /// Plain text, shown as it is with its line breaks and spaces.
    Text,
}

/// How long a message may be, in bytes of HTML. Campfire itself knows no limit (it took 20 MB); a message of this
/// length is some ten screens of a phone, and the room stays usable while it is shown.
pub const MESSAGE_LIMIT: usize = 16_000;

/// Markdown and HTML longer than this, in bytes, are shown as plain text: that is a log or a dump, not a message. So
/// is markdown that makes more than four times as much HTML: a quarter of a megabyte of `>` makes seven of quotes.
pub const MARKUP_LIMIT: usize = 256 * 1024;

/// Makes messages of a text, to be posted in this order; none if it shows nothing.
pub fn messages(format: Format, text: &str) -> Vec<String> {
    let text = text.replace('\0', "");
    let html = match format {
        _ if text.len() > MARKUP_LIMIT => None,
        Format::Markdown => Some(markdown::to_html(&text)).filter(|html| html.len() <= 4 * MARKUP_LIMIT),
        Format::Html => Some(text.clone()),
        Format::Text => None,
    };
    let tree = match html {
        Some(html) => reshape::reshape(parse::parse(&html), MESSAGE_LIMIT),
        None => lines(&text),
    };
    split::split(&tree, MESSAGE_LIMIT).iter().map(|message| sanitise::gate(message)).collect()
}

/// The message that plays one of Campfire's sounds; none if this can't be the name of one (1 to 32 lower-case
/// letters and digits).
pub fn sound(name: &str) -> Option<String> {
    let fits = (1..=32).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    fits.then(|| format!("/play {name}"))
}

/// Plain text as a tree: line breaks are elements, and spaces that a browser would not show are hard ones.
fn lines(text: &str) -> Vec<Node> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut nodes = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            nodes.push(Element::new("br", Vec::new()).into());
        }
        let mut shown = String::with_capacity(line.len());
        let mut after_space = true;
        for c in line.chars() {
            match c {
                '\t' => shown.push_str("\u{a0}\u{a0}\u{a0}\u{a0}"),
                c if c.is_ascii_whitespace() && after_space => shown.push('\u{a0}'),
                c if c.is_ascii_whitespace() => shown.push(' '),
                c => shown.push(c),
            }
            after_space = c.is_ascii_whitespace();
        }
        if !shown.is_empty() {
            nodes.push(Node::Text(shown));
        }
    }
    nodes
}

#[cfg(test)]
mod tests;
