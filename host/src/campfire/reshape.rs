//! A parsed tree becomes one that Campfire shows as it was meant.
//!
//! Tables become aligned text, images links, lists that do not begin with 1 get their numbers as text (Campfire keeps
//! no `start`), white space is what a browser would show, and what holds nothing goes. Afterwards every element is one
//! that Campfire shows, and has no attribute but a link's address and a mention's.

use super::{
    sanitise, table,
    tree::{Element, Node, html_len, is_atom, is_block, text_of},
};

/// Makes the tree fit for Campfire. If the result is longer than `limit`, so that it will be split, long ordered lists
/// have their numbers as text too: in the next message Campfire would count from 1 again.
pub(super) fn reshape(nodes: Vec<Node>, limit: usize) -> Vec<Node> {
    let numbered_from = if html_len(&nodes) > limit { limit / 8 } else { usize::MAX };
    let mut shown = Vec::with_capacity(nodes.len());
    Place { in_link: false, in_pre: false, is_list_text: false, numbered_from }.show_all(nodes, &mut shown);
    collapse(&mut shown, true, &mut true);
    shown
}

/// Where in the tree we are.
#[derive(Clone, Copy)]
struct Place {
    in_link: bool,
    in_pre: bool,
    /// Inside a list that is no element any more; an item there would be taken for one of the list around it.
    is_list_text: bool,
    /// An ordered list as long as this has its numbers as text.
    numbered_from: usize,
}

impl Place {
    fn show_all(self, nodes: Vec<Node>, shown: &mut Vec<Node>) {
        for node in nodes {
            match node {
                Node::Text(text) => push_text(text, shown),
                Node::Element(element) => self.show(element, shown),
            }
        }
    }

    fn show(self, element: Element, shown: &mut Vec<Node>) {
        match element.name {
            "img" => self.show_image(&element, shown),
            "table" => self.show_table(element, shown),
            "ol" => self.show_ordered(element, shown),
            "pre" => {
                let mut place = self;
                place.in_pre = true;
                let mut children = place.shown(element.children);
                trim_last_newlines(&mut children);
                shown.push(Element::new("pre", children).into());
            }
            name => {
                let name = if name == "li" && self.is_list_text { "div" } else { name };
                let mut place = self;
                place.in_link |= name == "a";
                place.is_list_text &= name != "ul";
                let children = place.shown(element.children);
                shown.push(Element { name, attributes: element.attributes, children }.into());
            }
        }
    }

    fn shown(self, nodes: Vec<Node>) -> Vec<Node> {
        let mut shown = Vec::with_capacity(nodes.len());
        self.show_all(nodes, &mut shown);
        shown
    }

    fn show_as(self, name: &'static str, children: Vec<Node>, shown: &mut Vec<Node>) {
        shown.push(Element::new(name, self.shown(children)).into());
    }

    /// A link to the image, named by its description or its file's name.
    fn show_image(self, image: &Element, shown: &mut Vec<Node>) {
        let address = image.attribute("src").and_then(sanitise::address);
        let described = image.attribute("alt").map(str::trim).filter(|text| !text.is_empty());
        let file = || {
            let path = address.as_deref()?.split(['?', '#']).next()?;
            path.rsplit('/').next().filter(|name| !name.is_empty())
        };
        let text = Node::Text(described.or_else(file).unwrap_or("image").to_owned());
        match address {
            Some(address) if !self.in_link => {
                shown.push(Node::Element(Element {
                    name: "a",
                    attributes: vec![("href", address)],
                    children: vec![text],
                }));
            }
            _ => shown.push(text),
        }
    }

    fn show_table(self, table: Element, shown: &mut Vec<Node>) {
        let (outside, text) = table::render(table);
        for node in outside {
            self.show_as("div", vec![node], shown);
        }
        if self.in_pre {
            push_text(text, shown);
        } else if !text.is_empty() {
            shown.push(Element::new("pre", vec![Node::Text(text)]).into());
        }
    }

    fn show_ordered(self, list: Element, shown: &mut Vec<Node>) {
        let start = list.attribute("start").and_then(|start| start.trim().parse::<u32>().ok()).unwrap_or(1);
        if start == 1 && (self.numbered_from == usize::MAX || html_len(&list.children) < self.numbered_from) {
            Self { is_list_text: false, ..self }.show_as("ol", list.children, shown);
            return;
        }
        let place = Self { is_list_text: true, ..self };
        let mut number = start;
        let mut items = Vec::with_capacity(list.children.len());
        for child in list.children {
            match child {
                Node::Element(item) if item.name == "li" => {
                    let mut content = vec![Node::Text(format!("{number}. "))];
                    number = number.saturating_add(1);
                    // The number and a first paragraph belong on one line.
                    let mut rest = item.children.into_iter().skip_while(is_white);
                    match rest.next() {
                        Some(Node::Element(first)) if first.name == "p" => content.extend(first.children),
                        first => content.extend(first),
                    }
                    content.extend(rest);
                    place.show_as("div", content, &mut items);
                }
                other => place.show_all(vec![other], &mut items),
            }
        }
        shown.push(Element::new("div", items).into());
    }
}

fn push_text(text: String, nodes: &mut Vec<Node>) {
    if let Some(Node::Text(last)) = nodes.last_mut() {
        last.push_str(&text);
    } else if !text.is_empty() {
        nodes.push(Node::Text(text));
    }
}

fn is_white(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()))
}

/// Line breaks before `</pre>` would be shown as empty lines.
fn trim_last_newlines(nodes: &mut Vec<Node>) {
    while let Some(last) = nodes.last_mut() {
        match last {
            Node::Text(text) => text.truncate(text.trim_end_matches('\n').len()),
            Node::Element(element) => trim_last_newlines(&mut element.children),
        }
        if holds_something(last) {
            break;
        }
        nodes.pop();
    }
}

/// Makes white space what a browser shows: one space for any, none at the edges of blocks. Code keeps its own.
/// `after_space`: whether what stands before ends with white space or a new line.
fn collapse(nodes: &mut Vec<Node>, in_block: bool, after_space: &mut bool) {
    for node in &mut *nodes {
        match node {
            Node::Text(text) => *text = collapsed(text, after_space),
            Node::Element(element) => match element.name {
                "pre" => {
                    remove_empty(&mut element.children);
                    *after_space = true;
                }
                "code" | "kbd" | "samp" | "tt" => {
                    remove_empty(&mut element.children);
                    // Without content it goes, and the white space around it meets.
                    *after_space &= element.children.is_empty();
                }
                "br" | "hr" => *after_space = true,
                name if is_atom(name) => *after_space = false,
                name if is_block(name) => {
                    *after_space = true;
                    collapse(&mut element.children, true, after_space);
                    *after_space = true;
                }
                _ => collapse(&mut element.children, false, after_space),
            },
        }
    }
    nodes.retain(holds_something);
    for index in 0..nodes.len() {
        let at_edge = match nodes.get(index + 1) {
            Some(Node::Element(next)) => is_block(next.name) || next.name == "br",
            Some(Node::Text(_)) => false,
            None => in_block,
        };
        if at_edge
            && let Node::Text(text) = &mut nodes[index]
            && text.ends_with(' ')
        {
            text.pop();
        }
    }
    nodes.retain(holds_something);
}

fn collapsed(text: &str, after_space: &mut bool) -> String {
    let mut collapsed = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_whitespace() {
            collapsed.push(c);
        } else if !*after_space {
            collapsed.push(' ');
        }
        *after_space = c.is_ascii_whitespace();
    }
    collapsed
}

fn remove_empty(nodes: &mut Vec<Node>) {
    for node in &mut *nodes {
        if let Node::Element(element) = node {
            remove_empty(&mut element.children);
        }
    }
    nodes.retain(holds_something);
}

fn holds_something(node: &Node) -> bool {
    match node {
        Node::Text(text) => !text.is_empty(),
        Node::Element(element) => is_atom(element.name) || !element.children.is_empty(),
    }
}

/// One line of text: what an element says without its markup.
pub(super) fn line_of(nodes: &[Node]) -> String {
    let mut text = String::new();
    text_of(nodes, &mut text);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
