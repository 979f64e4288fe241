//! Markdown as models write it becomes HTML; `CommonMark` with GitHub's tables, strikethrough and task lists.
//!
//! It differs from a document's rendering where a chat does:
//! - A line break in a paragraph stays one.
//! - Addresses without markup stay text: Campfire makes links of them.
//! - What looks like a tag but is no element of HTML (`Vec<String>`, `<your-name>`) is text.
//!
//! The HTML is not safe: raw HTML is in it as it was written. comrak takes linear time and no stack, however deep the
//! markdown is nested.

use comrak::{Arena, Options, nodes::NodeValue};

use super::parse;

/// Makes HTML of markdown.
pub(super) fn to_html(markdown: &str) -> String {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.render.hardbreaks = true;
    options.render.r#unsafe = true;
    let arena = Arena::new();
    let root = comrak::parse_document(&arena, markdown, &options);
    for node in root.descendants() {
        match &mut node.data.borrow_mut().value {
            // One tag, without what it may have been meant to enclose.
            NodeValue::HtmlInline(html) => *html = without_odd_tags(html, ""),
            NodeValue::HtmlBlock(block) => block.literal = without_odd_tags(&block.literal, &block.literal),
            _ => {}
        }
    }
    let mut html = String::with_capacity(markdown.len() * 2);
    // Writing to a string does not fail.
    let _ = comrak::format_html(root, &options, &mut html);
    html
}

/// Escapes the `<` of every tag that is no element of HTML, and of those that would take all that follows with them
/// (`<title>`, `<script>`), unless they are closed in `block`.
fn without_odd_tags(html: &str, block: &str) -> String {
    let block = block.to_ascii_lowercase();
    let mut escaped = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        escaped.push_str(before);
        let name = tag[1..].trim_start_matches('/');
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(name.len())];
        let is_tag = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let name = name.to_ascii_lowercase();
        let is_open = || parse::is_dropped(&name) && !block.contains(&format!("</{name}"));
        let is_text = is_tag && (!parse::is_known(&name) || is_open());
        escaped.push_str(if is_text { "&lt;" } else { "<" });
        rest = &tag[1..];
    }
    escaped.push_str(rest);
    escaped
}
