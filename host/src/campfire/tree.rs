//! A piece of HTML as a tree whose elements have names from our own tables, and its way back to text.
//!
//! Invariant: written text is well-formed. Text and attribute values are escaped exactly as ammonia's serialiser does
//! it, so that the last sanitising pass finds nothing to change.

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Text, not escaped.
    Text(String),
    /// An element with what it holds.
    Element(Element),
}

/// An element. Its name and those of its attributes never come from the input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element {
    pub(super) name: &'static str,
    pub(super) attributes: Vec<(&'static str, String)>,
    pub(super) children: Vec<Node>,
}

impl Element {
    pub(super) fn new(name: &'static str, children: Vec<Node>) -> Self {
        Self { name, attributes: Vec::new(), children }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The opening tag as it is written.
    pub(super) fn opening(&self) -> String {
        let mut tag = format!("<{}", self.name);
        for (name, value) in &self.attributes {
            tag.push(' ');
            tag.push_str(name);
            tag.push_str("=\"");
            escape(value, true, &mut tag);
            tag.push('"');
        }
        tag.push('>');
        tag
    }
}

impl From<Element> for Node {
    fn from(element: Element) -> Self {
        Self::Element(element)
    }
}

/// An element that holds nothing and has no closing tag in our tree. A mention is one: what it shows is made by
/// Campfire from its attributes.
pub(super) fn is_atom(name: &str) -> bool {
    matches!(name, "br" | "hr" | "img" | MENTION)
}

/// Campfire's element for a mention.
pub(super) const MENTION: &str = "action-text-attachment";

/// An element that starts on a new line.
pub(super) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "blockquote"
            | "caption"
            | "dd"
            | "div"
            | "dl"
            | "dt"
            | "figcaption"
            | "figure"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "hr"
            | "li"
            | "ol"
            | "p"
            | "pre"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}

/// A heading.
pub(super) fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// Appends `text` as HTML.
pub(super) fn escape(text: &str, in_attribute: bool, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '\u{a0}' => html.push_str("&nbsp;"),
            '"' if in_attribute => html.push_str("&quot;"),
            c => html.push(c),
        }
    }
}

/// How many bytes `text` takes as HTML.
pub(super) fn escaped_len(text: &str) -> usize {
    text.chars()
        .map(|c| match c {
            '&' => 5,
            '<' | '>' => 4,
            '\u{a0}' => 6,
            c => c.len_utf8(),
        })
        .sum()
}

/// How many bytes the nodes take as HTML.
pub(super) fn html_len(nodes: &[Node]) -> usize {
    nodes
        .iter()
        .map(|node| match node {
            Node::Text(text) => escaped_len(text),
            Node::Element(element) => {
                element.opening().len() + element.name.len() + "</>".len() + html_len(&element.children)
            }
        })
        .sum()
}

/// The text of the nodes without markup; a line break is a space.
pub(super) fn text_of(nodes: &[Node], text: &mut String) {
    for node in nodes {
        match node {
            Node::Text(own) => text.push_str(own),
            Node::Element(element) => {
                let apart = is_block(element.name) || element.name == "br";
                text.push_str(if apart { " " } else { "" });
                if element.name == "img" {
                    text.push_str(element.attribute("alt").unwrap_or_default());
                }
                text_of(&element.children, text);
                text.push_str(if apart { " " } else { "" });
            }
        }
    }
}

/// Whether a character shows nothing: white space, and what only steers how others are shown.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
}
