//! Any HTML becomes a tree of the elements that Campfire shows, and those that [`reshape`](super::reshape) turns
//! into such.
//!
//! The tokens are html5ever's; the tree is built here, because a browser's rules for broken HTML can be made to take
//! quadratic time and memory. Invariants: time and memory are linear in the input; elements are nested at most
//! [`MAX_DEPTH`] deep; no paragraph, link, heading or list item holds another directly, so that every parser reads the
//! tree's HTML alike.
//!
//! What goes wrong: elements that nobody knows or that are too deep are left out, their text stays. Scripts, styles
//! and comments go with their text. A tag longer than [`MAX_TAG`] is left out.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::LazyLock,
};

use html5ever::{
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{
        Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::{RawKind, Rawtext, Rcdata, ScriptData},
    },
};

use super::{
    sanitise::{self, SHOWN},
    tree::{Element, MENTION, Node, is_atom, is_block, is_heading},
};

/// How deep elements may be nested. A reader sees nothing of more; a message that is split repeats them all.
pub(super) const MAX_DEPTH: usize = 32;

/// How many bytes a tag or a comment may take; html5ever compares each attribute of a tag with all others.
const MAX_TAG: usize = 16 * 1024;

/// Reads HTML, whatever it is.
pub(super) fn parse(html: &str) -> Vec<Node> {
    let mut builder = Builder::default();
    let mut rest = html;
    while !rest.is_empty() {
        let (next, read) = tokenize(rest, builder);
        builder = next;
        rest = &rest[read..];
    }
    builder.finish()
}

/// Whether an element has a meaning here, be it only that its tag is left out.
pub(super) fn is_dropped(name: &str) -> bool {
    matches!(FATES.get(name), Some(Fate::Drop(_)))
}

pub(super) fn is_known(name: &str) -> bool {
    FATES.contains_key(name) || UNWRAPPED.contains(&name)
}

/// Feeds the tokenizer until the end, or until a tag is too long; says how much was read.
fn tokenize(html: &str, builder: Builder) -> (Builder, usize) {
    const CHUNK: usize = 4096;
    let options = TokenizerOpts { discard_bom: false, ..TokenizerOpts::default() };
    let tokenizer = Tokenizer::new(Sink { tokens: Cell::new(0), builder: RefCell::new(builder) }, options);
    let queue = BufferQueue::default();
    let (mut read, mut last_token_in) = (0, 0);
    while read < html.len() {
        let end = html.floor_char_boundary(read + CHUNK);
        let before = tokenizer.sink.tokens.get();
        queue.push_back(StrTendril::from_slice(&html[read..end]));
        // The sink never asks for a pause, so the whole chunk is read.
        let _ = tokenizer.feed(&queue);
        if tokenizer.sink.tokens.get() > before {
            last_token_in = read;
        }
        read = end;
        if read - last_token_in > MAX_TAG + CHUNK {
            let begun = &html[last_token_in..(last_token_in + CHUNK).min(read)];
            let is_comment = begun.rfind("<!--") > begun.rfind("-->");
            let end_mark = if is_comment { "-->" } else { ">" };
            let end = html[read..].find(end_mark).map_or(html.len(), |at| read + at + end_mark.len());
            return (tokenizer.sink.builder.into_inner(), end);
        }
    }
    tokenizer.end();
    (tokenizer.sink.builder.into_inner(), read)
}

// === what becomes of an element ===

#[derive(Clone, Copy)]
enum Fate {
    /// It goes into the tree, under this name.
    Keep(&'static str),
    /// It goes, and its text with it.
    Drop(RawKind),
}

static FATES: LazyLock<HashMap<&'static str, Fate>> = LazyLock::new(|| {
    /// Elements that `reshape` makes into others.
    const RESHAPED: &[&str] =
        &["caption", "img", "input", "table", "tbody", "td", "tfoot", "th", "thead", "tr"];
    /// Elements that say what one that Campfire shows says too.
    const RENAMED: &[(&str, &str)] = &[("u", "ins"), ("s", "del"), ("strike", "del")];
    /// Elements that stand on lines of their own.
    const BLOCKS: &[&str] = &[
        "article", "aside", "center", "details", "dialog", "dir", "fieldset", "footer", "form", "header",
        "hgroup", "legend", "main", "nav", "optgroup", "option", "search", "section", "summary",
    ];
    const DROPPED: &[(&str, RawKind)] = &[
        ("iframe", Rawtext),
        ("noembed", Rawtext),
        ("noframes", Rawtext),
        ("script", ScriptData),
        ("style", Rawtext),
        ("title", Rcdata),
    ];
    let kept = SHOWN.iter().chain(RESHAPED).map(|name| (*name, Fate::Keep(name)));
    let renamed = RENAMED.iter().map(|(from, to)| (*from, Fate::Keep(to)));
    let blocks = BLOCKS.iter().map(|name| (*name, Fate::Keep("div")));
    let dropped = DROPPED.iter().map(|(name, raw)| (*name, Fate::Drop(*raw)));
    kept.chain(renamed).chain(blocks).chain(dropped).collect()
});

/// Elements of HTML whose tags are left out. (Others are left out too; but in markdown, what is no element of HTML
/// was not meant as one: `Vec<String>`. So what is more likely a word than an element is not here.)
const UNWRAPPED: &[&str] = &[
    "audio", "bdi", "bdo", "body", "button", "canvas", "col", "colgroup", "font", "head", "html", "label",
    "link", "mark", "meta", "meter", "noscript", "picture", "progress", "q", "rp", "rt", "ruby", "select",
    "source", "svg", "textarea", "video", "wbr",
];

// === impl Sink ===

struct Sink {
    /// How many tokens came; tells a long tag from long text.
    tokens: Cell<u64>,
    builder: RefCell<Builder>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        // Errors are reported within a tag too: they say nothing about its end.
        if !matches!(token, Token::ParseError(_)) {
            self.tokens.set(self.tokens.get() + 1);
        }
        let mut builder = self.builder.borrow_mut();
        match token {
            Token::CharacterTokens(text) => builder.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                if let Some(raw) = builder.start(&tag) {
                    return TokenSinkResult::RawData(raw);
                }
            }
            Token::TagToken(tag) => builder.end(&tag.name),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

// === impl Builder ===

/// Builds the tree from tokens.
#[derive(Default)]
struct Builder {
    /// The elements that are not closed yet, outermost first.
    open: Vec<Element>,
    /// What stands outside all elements.
    top: Vec<Node>,
    /// Tags that were left out because they were too deep; as many closing tags are to be left out.
    too_deep: HashMap<&'static str, u32>,
    /// Inside an element whose text is dropped.
    dropping: bool,
    /// Right behind `<pre>`, where one line break does not count.
    pre_begins: bool,
}

/// What closes or begins something inside a cell says nothing about the table's outside.
const CELLS: &[&str] = &["table", "td", "th", "caption"];

/// What makes sense in a table only. Elsewhere its tag is left out, as browsers do.
fn is_table_part(name: &str) -> bool {
    matches!(name, "caption" | "tbody" | "td" | "tfoot" | "th" | "thead" | "tr")
}

impl Builder {
    fn siblings(&mut self) -> &mut Vec<Node> {
        match self.open.last_mut() {
            Some(element) => &mut element.children,
            None => &mut self.top,
        }
    }

    fn text(&mut self, text: &str) {
        if self.dropping {
            return;
        }
        let text =
            if std::mem::take(&mut self.pre_begins) { text.strip_prefix('\n').unwrap_or(text) } else { text };
        let siblings = self.siblings();
        if let Some(Node::Text(last)) = siblings.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            siblings.push(Node::Text(text.to_owned()));
        }
    }

    fn start(&mut self, tag: &Tag) -> Option<RawKind> {
        self.pre_begins = false;
        let name = match FATES.get(&*tag.name)? {
            Fate::Drop(raw) => {
                self.dropping = true;
                return Some(*raw);
            }
            Fate::Keep(name) => *name,
        };
        if is_table_part(name) && !self.open.iter().any(|element| element.name == "table") {
            self.text(" ");
            return None;
        }
        self.close_implied(name);
        match name {
            "input" => {
                if let Some(mark) = checkbox(tag) {
                    self.text(mark);
                }
            }
            MENTION => {
                let (sgid, kind, content) =
                    (value(tag, "sgid"), value(tag, "content-type"), value(tag, "content"));
                if let Some(attributes) = sanitise::mention(sgid, kind, content) {
                    self.siblings().push(Element { name, attributes, children: Vec::new() }.into());
                }
            }
            _ => {
                let attributes = attributes(name, tag)?;
                let element = Element { name, attributes, children: Vec::new() };
                if is_atom(name) {
                    self.siblings().push(element.into());
                } else if self.open.len() < MAX_DEPTH {
                    self.open.push(element);
                    self.pre_begins = name == "pre";
                } else {
                    *self.too_deep.entry(name).or_default() += 1;
                }
            }
        }
        None
    }

    fn end(&mut self, name: &str) {
        self.pre_begins = false;
        let name = match FATES.get(name) {
            // The tokenizer gives no other closing tag before this one.
            Some(Fate::Drop(_)) => {
                self.dropping = false;
                return;
            }
            Some(Fate::Keep(name)) => *name,
            None => return,
        };
        match self.too_deep.get_mut(name) {
            Some(count) if *count > 0 => *count -= 1,
            _ if name == "br" => self.siblings().push(Element::new("br", Vec::new()).into()),
            _ if matches!(name, "table" | "tbody" | "tfoot" | "thead" | "tr") => self.close(&[name], &[]),
            _ if CELLS.contains(&name) => self.close(&[name], &["table"]),
            _ => self.close(&[name], CELLS),
        }
    }

    /// Closes what the start of an element ends without a word.
    fn close_implied(&mut self, name: &str) {
        if is_block(name) {
            self.close(&["p"], CELLS);
        }
        match name {
            "a" => self.close(&["a"], CELLS),
            "li" => self.close(&["li"], &["ul", "ol", "table", "td", "th", "caption"]),
            "dd" | "dt" => self.close(&["dd", "dt"], &["dl", "table", "td", "th", "caption"]),
            "tbody" | "tfoot" | "thead" => self.close(&["tbody", "tfoot", "thead", "caption"], &["table"]),
            "tr" => self.close(&["tr", "caption"], &["table"]),
            "td" | "th" => {
                self.close(&["td", "th", "caption"], &["table", "tr"]);
                let row_or_table = self.open.iter().rfind(|element| matches!(element.name, "tr" | "table"));
                if row_or_table.is_some_and(|element| element.name == "table") && self.open.len() < MAX_DEPTH
                {
                    self.open.push(Element::new("tr", Vec::new()));
                }
            }
            _ if is_heading(name) && self.open.last().is_some_and(|last| is_heading(last.name)) => {
                self.close_last();
            }
            _ => {}
        }
    }

    /// Closes the innermost element of these names and all within, unless one of `stops` is met before.
    fn close(&mut self, names: &[&str], stops: &[&str]) {
        let found = self
            .open
            .iter()
            .rposition(|element| names.contains(&element.name) || stops.contains(&element.name));
        if let Some(index) = found.filter(|index| names.contains(&self.open[*index].name)) {
            while self.open.len() > index {
                self.close_last();
            }
        }
    }

    fn close_last(&mut self) {
        if let Some(element) = self.open.pop() {
            self.siblings().push(element.into());
        }
    }

    fn finish(mut self) -> Vec<Node> {
        while !self.open.is_empty() {
            self.close_last();
        }
        self.top
    }
}

// === attributes ===

fn value<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

/// The attributes that are kept; none if the element makes no sense without one and it isn't there.
fn attributes(name: &'static str, tag: &Tag) -> Option<Vec<(&'static str, String)>> {
    let copied = |names: &[&'static str]| {
        names.iter().filter_map(|name| Some((*name, value(tag, name)?.to_owned()))).collect()
    };
    match name {
        "a" => Some(vec![("href", sanitise::address(value(tag, "href")?)?)]),
        "img" => Some(copied(&["src", "alt"])),
        "ol" => Some(copied(&["start"])),
        "td" | "th" => Some(copied(&["align", "style", "colspan"])),
        _ => Some(Vec::new()),
    }
}

/// How a task's box is shown; none for other inputs.
fn checkbox(tag: &Tag) -> Option<&'static str> {
    value(tag, "type").filter(|kind| kind.eq_ignore_ascii_case("checkbox"))?;
    Some(if value(tag, "checked").is_some() { "☑ " } else { "☐ " })
}
