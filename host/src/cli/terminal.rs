//! Words for the person at the terminal.
//!
//! Everything is written in colours, and where there is no terminal, or `NO_COLOR` is set, they are taken out on the way.

use std::io::{self, IsTerminal, Write};

use anstyle::Style;
use miette::Report;

/// What is taken for a terminal's width that does not tell.
const WIDTH: usize = 80;

/// What colours mean.
pub(super) mod style {
    use anstyle::{AnsiColor, Style};

    pub(in crate::cli) const HEADER: Style = Style::new().bold();
    /// As it should be.
    pub(in crate::cli) const GOOD: Style = AnsiColor::Green.on_default();
    /// Somebody should know of it.
    pub(in crate::cli) const ODD: Style = AnsiColor::Yellow.on_default();
    /// Somebody should do something about it.
    pub(in crate::cli) const BAD: Style = AnsiColor::Red.on_default();
    /// A name to tell things by.
    pub(in crate::cli) const NAME: Style = AnsiColor::Cyan.on_default().bold();
    /// Less important than what is around it.
    pub(in crate::cli) const FAINT: Style = Style::new().dimmed();
}

/// Prints a result. A closed pipe is no failure: whoever read it has seen enough.
pub(super) fn print(text: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// Whether what is printed is shown in styles.
pub(super) fn has_styles() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// The text in a style.
pub(super) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// How wide the terminal is that results go to; none if it is no terminal.
pub(super) fn width() -> Option<usize> {
    let stdout = io::stdout();
    let width = || terminal_size::terminal_size_of(&stdout).map_or(WIDTH, |(width, _)| width.0.into());
    stdout.is_terminal().then(width)
}

/// Somebody's words on one line, without what would steer a terminal.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Prints that something is as it should be.
pub(super) fn good(text: &str) {
    print(&format!("{} {text}", paint(style::GOOD, "✓")));
}

/// Prints what somebody should know.
pub(super) fn odd(text: &str) {
    print(&format!("{} {text}", paint(style::ODD, "!")));
}

/// Prints what is not as it should be.
pub(super) fn bad(text: &str) {
    print(&format!("{} {text}", paint(style::BAD, "✗")));
}

/// Prints a unified diff.
pub(super) fn print_diff(diff: &str) {
    print(&diff.lines().map(painted).collect::<Vec<_>>().join("\n"));
}

fn painted(line: &str) -> String {
    let style = match line.as_bytes().first() {
        Some(b'-') => style::BAD,
        Some(b'+') => style::GOOD,
        Some(b'@') => style::NAME,
        _ => Style::new(),
    };
    format!("    {}", paint(style, line))
}

/// Prints what is worth knowing beside a result.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints why a command failed.
pub(super) fn complain(report: &Report) {
    let _ = writeln!(io::stderr().lock(), "{report:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_in_colours() {
        let lines: Vec<_> = " a\n-b\n+c".lines().map(painted).collect();
        assert_eq!(lines, ["     a", "    \u{1b}[31m-b\u{1b}[0m", "    \u{1b}[32m+c\u{1b}[0m"]);
    }
}
