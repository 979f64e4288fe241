//! Tables of markdown, with text from elsewhere in their cells.

/// Rows that are shown; how many more there are is said below.
const MOST_ROWS: usize = 40;
/// Characters of a cell that are shown.
const LONGEST_CELL: usize = 100;

/// What means something to markdown within a line.
const MARKUP: &str = r"\`*_[]<>|~&";

/// A table with these heads and rows.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut lines = vec![line(&heads.map(str::to_owned)), format!("|{}", " --- |".repeat(N))];
    lines.extend(rows.iter().take(MOST_ROWS).map(line));
    if rows.len() > MOST_ROWS {
        lines.push(format!("\nAnd {} more.", rows.len() - MOST_ROWS));
    }
    lines.join("\n")
}

fn line<const N: usize>(cells: &[String; N]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| format!(" {} |", escaped(cell))).collect();
    format!("|{}", cells.concat())
}

/// The text on one line, cut where it is long, and with nothing in it that markdown would take for its own.
fn escaped(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut escaped = String::with_capacity(line.len());
    for (at, c) in line.chars().enumerate() {
        if at == LONGEST_CELL {
            escaped.push('…');
            break;
        }
        if MARKUP.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_holds_stays_in_it_and_means_nothing_to_markdown() {
        let rows = [["a|b\n| c".to_owned(), "*<b>`\\".to_owned()]];
        assert_eq!(
            table(["One", "Two"], &rows),
            "| One | Two |\n| --- | --- |\n| a\\|b \\| c | \\*\\<b\\>\\`\\\\ |"
        );
    }

    #[test]
    fn long_cells_and_long_tables_are_cut_and_the_rest_is_counted() {
        let rows = vec![["ä".repeat(LONGEST_CELL + 1)]; MOST_ROWS + 2];
        let table = table(["One"], &rows);
        assert_eq!(table.lines().filter(|line| line.starts_with("| ä")).count(), MOST_ROWS);
        assert!(table.contains(&format!("| {}… |", "ä".repeat(LONGEST_CELL))));
        assert!(table.ends_with("|\n\nAnd 2 more."), "{table}");
    }
}
