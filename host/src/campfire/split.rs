//! A tree becomes HTML messages of bounded length, cut where a reader would cut.
//!
//! Invariants: every message is well-formed (what is open at a cut is closed, and opened again in the next), at most
//! `limit` bytes long, and shows something. The texts of all messages in a row are the tree's text. Time and memory
//! are linear in the tree.
//!
//! The tree is laid out as pieces (tags, words, line breaks). A cut may be between any two pieces that show
//! something; of those in the last three quarters of a message, the latest of the best kind is taken ([`Cut`]).

use unicode_segmentation::GraphemeCursor;

use super::tree::{Element, Node, escape, escaped_len, is_atom, is_blank, is_block, is_heading};

/// What is between two pieces; the earlier, the better it is to cut there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    /// Two blocks, in so many others.
    Block(usize),
    /// An empty line.
    Paragraph,
    /// A line break.
    Line,
    /// The end of a sentence.
    Sentence,
    /// White space; or the end of a heading, which should stand with what it heads.
    Word,
    /// Two characters.
    Character,
}

enum Piece {
    Open(usize),
    Close(usize),
    /// A word with the white space behind it, or a part of a long one.
    Text {
        text: String,
        /// How many bytes it takes as HTML.
        len: usize,
        then: Cut,
        in_pre: bool,
    },
    /// `br`, `hr` or a mention.
    Atom(&'static str, String),
}

/// An element's tags, once for all messages that repeat them.
struct Tags {
    name: &'static str,
    opening: String,
}

impl Tags {
    fn closing_len(&self) -> usize {
        self.name.len() + "</>".len()
    }
}

/// Longer words are cut into parts, so that no piece is long.
const WORD_LIMIT: usize = 512;

/// Longer clusters of characters are no one's script, but marks piled on one letter: those may be cut.
const CLUSTER_LIMIT: usize = 128;

/// What stands before a message that would otherwise play a sound: shows nothing, and is no white space that Campfire
/// would take off.
const MUTE: char = '\u{200b}';

/// Splits the tree into messages.
pub(super) fn split(nodes: &[Node], limit: usize) -> Vec<String> {
    let mut layout = Layout { limit: limit - MUTE.len_utf8(), pieces: Vec::new(), tags: Vec::new() };
    layout.lay_all(nodes, false);
    let mut messages = Vec::new();
    let (mut start, mut open) = (0, Vec::new());
    while start < layout.pieces.len() {
        let end = layout.find_cut(start, &open);
        let (message, open_after) = layout.write(start, end, open);
        messages.extend(message);
        (start, open) = (end, open_after);
    }
    messages
}

// === impl Layout ===

struct Layout {
    limit: usize,
    pieces: Vec<Piece>,
    tags: Vec<Tags>,
}

impl Layout {
    fn lay_all(&mut self, nodes: &[Node], in_pre: bool) {
        for node in nodes {
            match node {
                Node::Text(text) => self.lay_text(text, in_pre),
                Node::Element(element) if is_atom(element.name) => {
                    self.pieces.push(Piece::Atom(element.name, element.opening() + closing_of_atom(element)));
                }
                Node::Element(element) => {
                    let tags = self.tags.len();
                    self.tags.push(Tags { name: element.name, opening: element.opening() });
                    self.pieces.push(Piece::Open(tags));
                    self.lay_all(&element.children, in_pre || element.name == "pre");
                    self.pieces.push(Piece::Close(tags));
                }
            }
        }
    }

    fn lay_text(&mut self, text: &str, in_pre: bool) {
        let mut start = 0;
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            let then = match c {
                '\n' if in_pre => Cut::Line,
                // White space stays with the word before it.
                c if c.is_ascii_whitespace()
                    && !next.is_some_and(|next| next.is_ascii_whitespace() && (!in_pre || next != '\n')) =>
                {
                    if ends_sentence(&text[start..at]) {
                        Cut::Sentence
                    } else {
                        Cut::Word
                    }
                }
                '。' | '！' | '？' => Cut::Sentence,
                '，' | '、' | '；' | '：' => Cut::Word,
                _ if next.is_none() => Cut::Character,
                _ => continue,
            };
            let end = at + c.len_utf8();
            self.lay_word(&text[start..end], then, in_pre);
            start = end;
        }
    }

    fn lay_word(&mut self, word: &str, then: Cut, in_pre: bool) {
        let mut push = |text: &str, then| {
            let text = text.to_owned();
            self.pieces.push(Piece::Text { len: escaped_len(&text), text, then, in_pre });
        };
        let mut rest = word;
        while rest.len() > WORD_LIMIT {
            let (part, behind) = rest.split_at(cut_in(rest));
            push(part, Cut::Character);
            rest = behind;
        }
        push(rest, then);
    }

    fn len(&self, piece: &Piece) -> usize {
        match piece {
            Piece::Open(tags) => self.tags[*tags].opening.len(),
            Piece::Close(tags) => self.tags[*tags].closing_len(),
            Piece::Text { len, .. } => *len,
            Piece::Atom(_, html) => html.len(),
        }
    }

    /// Where the message that starts at `start`, in the elements `open`, ends.
    fn find_cut(&self, start: usize, open: &[usize]) -> usize {
        let mut open = open.to_vec();
        let mut written: usize = open.iter().map(|tags| self.tags[*tags].opening.len()).sum();
        let mut to_close: usize = open.iter().map(|tags| self.tags[*tags].closing_len()).sum();
        let (mut latest, mut best) = (None, None);
        let mut last = Cut::Character;
        for (index, piece) in self.pieces.iter().enumerate().skip(start) {
            written += self.len(piece);
            match piece {
                Piece::Open(tags) => {
                    to_close += self.tags[*tags].closing_len();
                    open.push(*tags);
                }
                Piece::Close(tags) => {
                    to_close -= self.tags[*tags].closing_len();
                    open.pop();
                }
                Piece::Text { then, .. } => last = *then,
                Piece::Atom("br", _) => last = if last <= Cut::Line { Cut::Paragraph } else { Cut::Line },
                Piece::Atom(..) => last = Cut::Word,
            }
            if written + to_close > self.limit
                && let Some(cut) = best.map(|(_, at)| at).or(latest)
            {
                return cut;
            }
            let Some(cut) = self.cut_behind(index, last, open.len()) else { continue };
            latest = Some(index + 1);
            if written >= self.limit / 4 && best.is_none_or(|(best, _)| cut <= best) {
                best = Some((cut, index + 1));
            }
        }
        self.pieces.len()
    }

    /// What kind of cut is behind a piece; none where one side would hold empty elements.
    fn cut_behind(&self, index: usize, last: Cut, depth: usize) -> Option<Cut> {
        let next = self.pieces.get(index + 1)?;
        match (&self.pieces[index], next) {
            (Piece::Open(_), _) | (_, Piece::Close(_)) => None,
            (Piece::Close(tags), _) if is_heading(self.tags[*tags].name) => Some(Cut::Word),
            (Piece::Close(tags), _) | (_, Piece::Open(tags)) if is_block(self.tags[*tags].name) => {
                Some(Cut::Block(depth))
            }
            (Piece::Atom("hr", _), _) | (_, Piece::Atom("hr", _)) => Some(Cut::Block(depth)),
            _ => Some(last),
        }
    }

    /// The message of the pieces `start..end`, if it shows anything; and what is open behind it.
    fn write(&self, start: usize, end: usize, mut open: Vec<usize>) -> (Option<String>, Vec<usize>) {
        let mut pieces = &self.pieces[start..end];
        while let [first, rest @ ..] = pieces
            && first.is_space()
        {
            pieces = rest;
        }
        while let [rest @ .., last] = pieces
            && last.is_space()
        {
            pieces = rest;
        }
        let mut to_mute = plays(pieces);
        let (mut html, mut shows) = (String::new(), false);
        for tags in &open {
            html.push_str(&self.tags[*tags].opening);
        }
        for (index, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Open(tags) => {
                    html.push_str(&self.tags[*tags].opening);
                    open.push(*tags);
                }
                Piece::Close(tags) => {
                    self.close(*tags, &mut html);
                    open.pop();
                }
                Piece::Text { text, in_pre, .. } => {
                    let text_shows = text.contains(|c| !is_blank(c));
                    if text_shows && std::mem::take(&mut to_mute) {
                        html.push(MUTE);
                    }
                    shows |= text_shows;
                    // Right behind `<pre>` a parser takes one line break off.
                    let text =
                        if html.ends_with("<pre>") { text.strip_prefix('\n').unwrap_or(text) } else { text };
                    let text = match index + 1 == pieces.len() {
                        true if *in_pre => text.trim_end_matches('\n'),
                        true => text.trim_end_matches(' '),
                        false => text,
                    };
                    escape(text, false, &mut html);
                }
                Piece::Atom(name, atom) => {
                    shows |= !matches!(*name, "br" | "hr");
                    html.push_str(atom);
                }
            }
        }
        for tags in open.iter().rev() {
            self.close(*tags, &mut html);
        }
        (shows.then_some(html), open)
    }

    fn close(&self, tags: usize, html: &mut String) {
        html.push_str("</");
        html.push_str(self.tags[tags].name);
        html.push('>');
    }
}

// === impl Piece ===

impl Piece {
    /// Whether it shows nothing at the edge of a message.
    fn is_space(&self) -> bool {
        match self {
            Self::Text { text, in_pre, .. } => !in_pre && text.bytes().all(|byte| byte.is_ascii_whitespace()),
            Self::Atom(name, _) => *name == "br",
            Self::Open(_) | Self::Close(_) => false,
        }
    }
}

/// Whether Campfire might take these pieces for a command to play a sound.
fn plays(pieces: &[Piece]) -> bool {
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let mut characters = texts.flat_map(str::chars).peekable();
    while let Some(blank) = characters.next_if(|c| is_blank(*c)) {
        if blank == MUTE {
            return false;
        }
    }
    characters.filter(|c| !is_blank(*c)).take("/play".len()).eq("/play".chars())
}

fn closing_of_atom(element: &Element) -> &'static str {
    if matches!(element.name, "br" | "hr") { "" } else { "</action-text-attachment>" }
}

/// Where a word that is too long is cut: before what a reader sees as one character.
fn cut_in(word: &str) -> usize {
    let limit = word.floor_char_boundary(WORD_LIMIT);
    let mut cursor = GraphemeCursor::new(limit, word.len(), true);
    if cursor.is_boundary(word, 0) == Ok(true) {
        return limit;
    }
    let before = cursor.prev_boundary(word, 0).ok().flatten().unwrap_or_default();
    if limit - before > CLUSTER_LIMIT { limit } else { before }
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(|c: char| {
        c.is_ascii_whitespace() || matches!(c, ')' | ']' | '"' | '\'' | '»' | '”' | '’')
    })
    .ends_with(['.', '!', '?', '…', '؟', '।'])
}
