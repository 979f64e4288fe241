//! Words for the person at the terminal.

use std::io::{self, Write};

use miette::Report;

/// Prints a result. A closed pipe is no failure: whoever read it has seen enough.
pub(super) fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints what is worth knowing beside a result.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints why a command failed.
pub(super) fn complain(report: &Report) {
    let _ = writeln!(io::stderr().lock(), "{report:?}");
}
