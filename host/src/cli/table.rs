//! Rows for people: aligned in a terminal, separated by tabs elsewhere.
//!
//! What is shown may be other people's words, so nothing in it can move a terminal's cursor or break a row.

use std::io::{self, IsTerminal};

use unicode_width::UnicodeWidthStr;

use super::terminal;

/// Prints rows below a header. Every row has as many cells as the header.
pub(super) fn print<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    terminal::print(&written(header, rows, io::stdout().is_terminal()));
}

fn written<const N: usize>(header: [&str; N], rows: &[[String; N]], aligned: bool) -> String {
    let lines: Vec<[String; N]> = std::iter::once(header.map(str::to_uppercase))
        .chain(rows.iter().map(|row| row.each_ref().map(|cell| tame(cell))))
        .collect();
    if !aligned {
        return lines.iter().map(|cells| cells.join("\t")).collect::<Vec<_>>().join("\n");
    }
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|cells| cells[column].width()).max().unwrap_or(0));
    let line = |cells: &[String; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| {
            let padding = width.saturating_sub(cell.width());
            format!("{cell}{}", " ".repeat(padding))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The text without anything that is not a character on a line.
fn tame(text: &str) -> String {
    let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.trim().is_empty() { "-".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<[String; 3]> {
        vec![
            ["echo".to_owned(), "7".to_owned(), "a\tb\n\u{1b}[2J".to_owned()],
            ["日本".to_owned(), String::new(), "c".to_owned()],
        ]
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let table = written(["bot", "room", "cause"], &rows(), true);
        assert_eq!(table, "BOT   ROOM  CAUSE\necho  7     a b  [2J\n日本  -     c");
    }

    #[test]
    fn elsewhere_cells_are_separated_by_tabs_and_hold_none() {
        let table = written(["bot", "room", "cause"], &rows(), false);
        assert_eq!(table, "BOT\tROOM\tCAUSE\necho\t7\ta b  [2J\n日本\t-\tc");
    }
}
