//! Rows for people: aligned and in colours in a terminal, separated by tabs elsewhere.
//!
//! - In a terminal no line is longer than that is wide, as far as that can be: the widest columns are broken into lines.
//! - What is to be said of a row stands below it in a terminal, and below the whole table elsewhere, where each line is a
//!   row.
//! - What is shown may be other people's words, so nothing in it can move a terminal's cursor or break a row.

use anstyle::Style;
use jiff::Zoned;
use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthStr;

use super::terminal::{self, paint, style};
use crate::id::Timestamp;

/// What is between two columns.
const GAP: &str = "  ";
/// How narrow a column may become, at the least.
const NARROW: usize = 12;

/// A part of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) style: Style,
    /// What says the same in a terminal, where there is less space.
    pub(super) short: Option<String>,
}

/// What is shown of one thing.
#[derive(Debug, Clone)]
pub(super) struct Row<const N: usize> {
    cells: [Cell; N],
    notes: Vec<Cell>,
}

/// Prints rows below a header.
pub(super) fn print<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = impl Into<Row<N>>>) {
    let rows: Vec<Row<N>> = rows.into_iter().map(Into::into).collect();
    terminal::print(&match terminal::width() {
        Some(width) => aligned(header, &rows, width),
        None => separated(header, &rows),
    });
}

fn separated<const N: usize>(header: [&str; N], rows: &[Row<N>]) -> String {
    let header = header.map(str::to_uppercase).join("\t");
    let line = |row: &Row<N>| row.cells.each_ref().map(Cell::tame).join("\t");
    let notes = rows.iter().flat_map(|row| &row.notes).map(Cell::tame);
    std::iter::once(header).chain(rows.iter().map(line)).chain(notes).collect::<Vec<_>>().join("\n")
}

fn aligned<const N: usize>(header: [&str; N], rows: &[Row<N>], width: usize) -> String {
    let header = header.map(|name| Cell::styled(name.to_uppercase(), style::HEADER));
    let cells = std::iter::once(&header).chain(rows.iter().map(|row| &row.cells));
    let mut widths = [0; N];
    for row in cells {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(cell.shown().width());
        }
    }
    fit(&mut widths, width.saturating_sub(GAP.len() * N.saturating_sub(1)));
    let mut lines = vec![];
    let header = Row { cells: header, notes: Vec::new() };
    for row in std::iter::once(&header).chain(rows) {
        let columns: Vec<_> =
            row.cells.iter().zip(widths).map(|(cell, width)| wrapped(&cell.shown(), width)).collect();
        for at in 0..columns.iter().map(Vec::len).max().unwrap_or_default() {
            let mut line = String::new();
            let mut owed = 0;
            for ((column, width), cell) in columns.iter().zip(widths).zip(&row.cells) {
                let text = column.get(at).map_or("", String::as_str);
                if !text.is_empty() {
                    line.push_str(&" ".repeat(owed));
                    line.push_str(&paint(cell.style, text));
                    owed = 0;
                }
                owed += width.saturating_sub(text.width()) + GAP.len();
            }
            lines.push(line);
        }
        for note in &row.notes {
            let text = wrapped(&note.tame(), width.saturating_sub(GAP.len()).max(NARROW));
            lines.extend(text.iter().map(|line| format!("{GAP}{}", paint(note.style, line))));
        }
    }
    lines.join("\n")
}

/// Makes the widest columns narrower until all together are as wide as there is space.
fn fit(widths: &mut [usize], space: usize) {
    loop {
        let sum: usize = widths.iter().sum();
        let Some(widest) = widths.iter_mut().max() else { return };
        if sum <= space || *widest <= NARROW {
            return;
        }
        *widest -= 1;
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    // Ids and hashes have hyphens too, and are to be copied.
    let options = Options::new(width).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

fn tame(text: &str) -> String {
    let shown = terminal::tame(text);
    if shown.trim().is_empty() { "-".to_owned() } else { shown }
}

fn by_the_clock(at: Timestamp, now: &Zoned) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?.to_zoned(now.time_zone().clone());
    let format = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" };
    Some(at.strftime(format).to_string())
}

// === impl Cell ===

impl Cell {
    pub(super) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, short: None }
    }

    /// A time: in a terminal by the clock of this machine's zone, and without its day if that is today.
    pub(super) fn time(at: Timestamp) -> Self {
        Self { short: by_the_clock(at, &Zoned::now()), ..Self::from(at.iso_8601()) }
    }

    /// The text without anything that is not a character on a line.
    fn tame(&self) -> String {
        tame(&self.text)
    }

    /// The same for a terminal.
    fn shown(&self) -> String {
        tame(self.short.as_ref().unwrap_or(&self.text))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(text, Style::new())
    }
}

// === impl Row ===

impl<const N: usize> Row<N> {
    /// Has something said below it.
    pub(super) fn noting(mut self, note: Cell) -> Self {
        self.notes.push(note);
        self
    }
}

impl<const N: usize> From<[Cell; N]> for Row<N> {
    fn from(cells: [Cell; N]) -> Self {
        Self { cells, notes: Vec::new() }
    }
}

impl<const N: usize> From<[String; N]> for Row<N> {
    fn from(cells: [String; N]) -> Self {
        cells.map(Cell::from).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row<3>> {
        let strange = "a\tb\n\u{1b}[2J".to_owned();
        let echo = ["echo".to_owned().into(), Cell::styled("7", style::GOOD), strange.into()];
        vec![
            Row::from(echo).noting(Cell::styled("echo: \u{7}refused", style::BAD)),
            ["日本".to_owned(), String::new(), "c".to_owned()].into(),
        ]
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_notes_stand_below_their_row() {
        let table = aligned(["bot", "room", "cause"], &rows(), 80);
        assert_eq!(plain(&table), "BOT   ROOM  CAUSE\necho  7     a b  [2J\n  echo:  refused\n日本  -     c");
        assert!(table.contains("\u{1b}[32m7\u{1b}[0m"), "{table:?}");
    }

    #[test]
    fn a_time_is_short_in_a_terminal_and_whole_elsewhere() {
        let now: Zoned = "2026-11-26T10:00:00+01:00[Europe/Zurich]".parse().unwrap();
        let clock =
            |at: &str| by_the_clock(Timestamp(at.parse::<jiff::Timestamp>().unwrap().as_millisecond()), &now);
        assert_eq!(clock("2026-11-26T08:30:15.123Z").unwrap(), "09:30:15");
        assert_eq!(clock("2026-11-25T22:30:15Z").unwrap(), "2026-11-25 23:30");
        let whole = Timestamp(1_795_684_551_681);
        let cell = Cell { short: Some("09:15:51".to_owned()), ..Cell::time(whole) };
        assert_eq!(plain(&aligned(["since"], &[[cell.clone()].into()], 80)), "SINCE\n09:15:51");
        assert_eq!(separated(["since"], &[[cell].into()]), format!("SINCE\n{}", whole.iso_8601()));
    }

    #[test]
    fn elsewhere_cells_are_separated_by_tabs_and_hold_none() {
        let table = separated(["bot", "room", "cause"], &rows());
        assert_eq!(table, "BOT\tROOM\tCAUSE\necho\t7\ta b  [2J\n日本\t-\tc\necho:  refused");
    }

    #[test]
    fn in_a_narrow_terminal_the_widest_column_is_broken_into_lines() {
        let id = "0199-aaaa-bbbb".to_owned();
        let table =
            aligned(["id", "why"], &[[id, "it was too long for this terminal".to_owned()].into()], 34);
        assert_eq!(
            plain(&table),
            "ID              WHY\n0199-aaaa-bbbb  it was too long\n                for this terminal"
        );
        for width in [0, 1, 20, 79] {
            let table = plain(&aligned(["bot", "room", "cause"], &rows(), width));
            assert!(table.contains("echo") && table.contains("日本"), "{table}");
        }
    }
}
