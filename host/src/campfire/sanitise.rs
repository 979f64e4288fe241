//! What Campfire shows, and the gate that lets nothing else through.
//!
//! Campfire drops every element that it does not know *with its contents*, so what is posted must hold no other.
//! [`gate`] is the last step of every message: ammonia, with exactly these elements. The steps before it build only
//! such elements; the gate is there so that a fault in them can harm no reader.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use url::Url;

use super::tree::MENTION;

/// The elements that Campfire shows.
pub(super) const SHOWN: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "big",
    "blockquote",
    "br",
    "cite",
    "code",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "time",
    "tt",
    "ul",
    "var",
    MENTION,
];

/// The media type of a mention; the only attachment that a message may hold.
pub(super) const MENTION_TYPE: &str = "application/vnd.campfire.mention";

/// How long an address may be, as HTML. It is repeated in every message that a long link is split into.
const ADDRESS_LIMIT: usize = 2048;

/// How long all attributes of a mention may be together, as HTML. A mention can't be split.
const MENTION_LIMIT: usize = 8192;

/// An address that may stand in a link, or none.
pub(super) fn address(href: &str) -> Option<String> {
    let href = href.trim();
    let url = Url::parse(href).ok()?;
    let fits = super::tree::escaped_len(href) <= ADDRESS_LIMIT;
    (fits && matches!(url.scheme(), "http" | "https" | "mailto")).then(|| href.to_owned())
}

/// A mention's attributes if it is one. Its `sgid` is signed by Campfire: one that was not seen in a message or page
/// of that server mentions nobody.
pub(super) fn mention(
    sgid: Option<&str>,
    media_type: Option<&str>,
    content: Option<&str>,
) -> Option<Vec<(&'static str, String)>> {
    let sgid =
        sgid.filter(|sgid| !sgid.is_empty() && sgid.bytes().all(|b| b.is_ascii_graphic() && b != b'<'))?;
    media_type.filter(|media_type| *media_type == MENTION_TYPE)?;
    let mut attributes = vec![("sgid", sgid.to_owned()), ("content-type", MENTION_TYPE.to_owned())];
    attributes.extend(content.map(|content| ("content", content.to_owned())));
    let length: usize = attributes.iter().map(|(_, value)| super::tree::escaped_len(value)).sum();
    (length <= MENTION_LIMIT).then_some(attributes)
}

/// Lets through what Campfire shows, and the text of what it doesn't.
pub(super) fn gate(html: &str) -> String {
    static GATE: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
        let mut builder = ammonia::Builder::empty();
        builder
            .tags(SHOWN.iter().copied().collect())
            .tag_attributes(HashMap::from([
                ("a", HashSet::from(["href"])),
                (MENTION, HashSet::from(["sgid", "content-type", "content"])),
            ]))
            .clean_content_tags(HashSet::from(["script", "style"]))
            .url_schemes(HashSet::from(["http", "https", "mailto"]))
            .url_relative(ammonia::UrlRelative::Deny)
            .link_rel(None);
        builder
    });
    GATE.clean(html).to_string()
}
