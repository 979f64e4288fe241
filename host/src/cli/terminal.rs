//! Words for the person at the terminal.

use std::io::{self, IsTerminal, Write};

use miette::Report;

/// Prints a result. A closed pipe is no failure: whoever read it has seen enough.
pub(super) fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a unified diff, in colours if it is a terminal that wants them.
pub(super) fn print_diff(diff: &str) {
    let wants_colours =
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    print(&painted(diff, wants_colours));
}

fn painted(diff: &str, wants_colours: bool) -> String {
    let line = |line: &str| {
        let colour = match line.as_bytes().first() {
            Some(b'-') => "31",
            Some(b'+') => "32",
            Some(b'@') => "36",
            _ => return format!("    {line}"),
        };
        if wants_colours { format!("    \u{1b}[{colour}m{line}\u{1b}[0m") } else { format!("    {line}") }
    };
    diff.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Prints what is worth knowing beside a result.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints why a command failed.
pub(super) fn complain(report: &Report) {
    let _ = writeln!(io::stderr().lock(), "{report:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_coloured_for_those_who_want_it() {
        let diff = " a\n-b\n+c\n";
        assert_eq!(painted(diff, false), "     a\n    -b\n    +c");
        assert_eq!(painted(diff, true), "     a\n    \u{1b}[31m-b\u{1b}[0m\n    \u{1b}[32m+c\u{1b}[0m");
    }
}
