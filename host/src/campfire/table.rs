//! A table becomes lines of text whose columns are aligned, for a `pre`: Campfire shows no tables.
//!
//! Widths are those of a terminal: two columns for wide characters, none for combining ones. A table whose columns
//! would take more than [`MAX_ALIGNED`] is written unaligned, so that a few long cells can't make a flood of spaces.

use unicode_width::UnicodeWidthStr;

use super::{
    reshape::line_of,
    tree::{Element, Node},
};

/// Wider cells push the rest of their row aside instead of widening every row.
const MAX_WIDTH: usize = 60;

/// How wide all rows may be together, in columns.
const MAX_ALIGNED: usize = 64 * 1024;

#[derive(Clone, Copy, PartialEq)]
enum Align {
    Left,
    Center,
    Right,
}

struct Cell {
    text: String,
    width: usize,
    align: Align,
}

struct Row {
    cells: Vec<Cell>,
    is_header: bool,
}

/// What stands in the table outside its rows (a caption, stray text), and the rows as text.
pub(super) fn render(table: Element) -> (Vec<Node>, String) {
    let (mut rows, mut outside) = (Vec::new(), Vec::new());
    collect(table.children, false, &mut rows, &mut outside);
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
    let mut widths = vec![0; columns];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = cell.width.min(MAX_WIDTH).max(*width);
        }
    }
    let added =
        rows.iter().map(|row| widths[..row.cells.len()].iter().sum::<usize>()).fold(0, usize::saturating_add);
    if added > MAX_ALIGNED {
        widths.fill(0);
    }
    let headers = rows.iter().take_while(|row| row.is_header).count();
    let mut lines = Vec::with_capacity(rows.len() + 1);
    for (index, row) in rows.iter().enumerate() {
        lines.push(line(row, &widths));
        if index + 1 == headers && index + 1 < rows.len() {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat((*width).max(1))).collect();
            lines.push(rules.join("-+-"));
        }
    }
    let mut text = lines.join("\n");
    text.truncate(text.trim_end().len());
    (outside, text)
}

fn collect(nodes: Vec<Node>, in_head: bool, rows: &mut Vec<Row>, outside: &mut Vec<Node>) {
    for node in nodes {
        match node {
            Node::Element(element) => match element.name {
                "thead" | "tbody" | "tfoot" => {
                    collect(element.children, element.name == "thead", rows, outside);
                }
                "tr" => rows.extend(row(&element, in_head)),
                _ => outside.extend(said(&[element.into()])),
            },
            text @ Node::Text(_) => outside.extend(said(&[text])),
        }
    }
}

fn said(nodes: &[Node]) -> Option<Node> {
    let line = line_of(nodes);
    (!line.is_empty()).then_some(Node::Text(line))
}

fn row(element: &Element, in_head: bool) -> Option<Row> {
    let mut cells = Vec::with_capacity(element.children.len());
    let mut all_headers = true;
    for child in &element.children {
        match child {
            Node::Element(inner) if matches!(inner.name, "td" | "th") => {
                all_headers &= inner.name == "th";
                cells.push(cell(inner));
                let span =
                    inner.attribute("colspan").and_then(|span| span.parse::<usize>().ok()).unwrap_or(1);
                for _ in 1..span.min(16) {
                    cells.push(Cell { text: String::new(), width: 0, align: Align::Left });
                }
            }
            stray => {
                let text = line_of(std::slice::from_ref(stray));
                if !text.is_empty() {
                    cells.push(Cell { width: text.width(), text, align: Align::Left });
                }
            }
        }
    }
    (!cells.is_empty()).then_some(Row { cells, is_header: in_head || all_headers })
}

fn cell(element: &Element) -> Cell {
    let text = line_of(&element.children);
    let wish =
        [element.attribute("align"), element.attribute("style")].into_iter().flatten().collect::<String>();
    let align = match wish.to_ascii_lowercase() {
        wish if wish.contains("center") => Align::Center,
        wish if wish.contains("right") => Align::Right,
        _ => Align::Left,
    };
    Cell { width: text.width(), text, align }
}

fn line(row: &Row, widths: &[usize]) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.cells.iter().zip(widths).enumerate() {
        if index > 0 {
            line.push_str(" | ");
        }
        let missing = width.saturating_sub(cell.width);
        let before = match cell.align {
            Align::Left => 0,
            Align::Center => missing / 2,
            Align::Right => missing,
        };
        line.extend(std::iter::repeat_n(' ', before));
        line.push_str(&cell.text);
        line.extend(std::iter::repeat_n(' ', missing - before));
    }
    line.truncate(line.trim_end_matches(' ').len());
    line
}

#[cfg(test)]
mod tests {
    use super::{super::parse::parse, *};

    fn rendered(html: &str) -> (Vec<Node>, String) {
        match parse(html).remove(0) {
            Node::Element(table) => render(table),
            Node::Text(text) => panic!("no table but {text}"),
        }
    }

    #[test]
    fn columns_are_aligned_by_what_a_reader_sees() {
        let html = "<table><thead><tr><th>Name<th align=right>Qty<th align=center>Mark</thead>\
                    <tr><td>日本<td align=right>3<td align=center>👩‍👩‍👧<tr><td><b>e\u{301}</b>clair<td align=right>12<td></table>";
        let expected = "Name   | Qty | Mark\n-------+-----+-----\n日本   |   3 |  👩‍👩‍👧\ne\u{301}clair |  12 |";
        assert_eq!(rendered(html).1, expected);
    }

    #[test]
    fn a_line_break_in_a_cell_is_a_space_and_a_caption_stands_before() {
        let (outside, text) = rendered("<table><caption>All of it</caption><tr><td>a<br>b<td>c</table>");
        assert_eq!(text, "a b | c");
        assert_eq!(outside, [Node::Text("All of it".into())]);
    }

    #[test]
    fn a_wide_cell_does_not_widen_the_others() {
        let html = format!("<table><tr><td>{}<td>x<tr><td>a<td>y</table>", "w".repeat(500));
        assert_eq!(rendered(&html).1.lines().nth(1).unwrap().len(), MAX_WIDTH + " | y".len());
    }

    #[test]
    fn aligning_never_adds_much() {
        let html =
            format!("<table><tr><td>{}<td>b{}</table>", "w".repeat(60), "<tr><td>a<td>b".repeat(20_000));
        assert!(rendered(&html).1.len() < 20_000 * "a | b\n".len() + MAX_ALIGNED);
    }
}
