//! What a build tool says: it goes on to our own standard error as it comes, and its end is kept, to be shown elsewhere.

use std::{
    env,
    io::{self, IsTerminal},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    process::Command,
    time::timeout,
};

use crate::progress::Progress;

/// How much of it is kept, in bytes: the end.
const KEPT: usize = 64 << 10;
/// How long what a program left behind may go on holding its standard error.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// What cargo shows in a terminal, which it does not see through our pipe.
const IN_A_TERMINAL: [(&str, &str); 3] = [
    ("CARGO_TERM_COLOR", "always"),
    ("CARGO_TERM_PROGRESS_WHEN", "always"),
    ("CARGO_TERM_PROGRESS_WIDTH", "80"),
];

/// A program that has ended.
pub(super) struct Ran {
    pub(super) succeeded: bool,
    /// The end of what it said, as plain text.
    pub(super) words: String,
}

/// Runs a program to its end behind a line that says what it does. What it says itself is for those who don't see that line.
pub(super) async fn run_behind(what: &str, command: &mut Command) -> io::Result<Ran> {
    let progress = Progress::of(what);
    if progress.is_seen() { hear_out(command, tokio::io::sink()).await } else { run(command).await }
}

/// Runs a program to its end, its words on standard error.
pub(super) async fn run(command: &mut Command) -> io::Result<Ran> {
    if io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none() {
        for (name, value) in IN_A_TERMINAL {
            if env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
    }
    hear_out(command, tokio::io::stderr()).await
}

async fn hear_out(command: &mut Command, to: impl AsyncWrite + Unpin) -> io::Result<Ran> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut kept = Vec::new();
    let status = match child.stderr.take() {
        None => child.wait().await?,
        Some(said) => {
            let mut heard = std::pin::pin!(hear(said, &mut kept, to));
            tokio::select! {
                () = &mut heard => child.wait().await?,
                status = child.wait() => {
                    // A program that it left behind may hold the pipe for as long as it likes.
                    let _ = timeout(AFTERWARDS, heard).await;
                    status?
                }
            }
        }
    };
    Ok(Ran { succeeded: status.success(), words: plain(&String::from_utf8_lossy(&kept)) })
}

async fn hear(mut said: impl AsyncRead + Unpin, kept: &mut Vec<u8>, mut to: impl AsyncWrite + Unpin) {
    let mut chunk = vec![0; 8 << 10];
    while let Ok(length @ 1..) = said.read(&mut chunk).await {
        // Nobody may be there to read it; it is kept all the same.
        let _ = to.write_all(&chunk[..length]).await;
        let _ = to.flush().await;
        kept.extend_from_slice(&chunk[..length]);
        if kept.len() > 2 * KEPT {
            kept.drain(..kept.len() - KEPT);
        }
    }
    kept.drain(..kept.len().saturating_sub(KEPT));
}

/// What a terminal would show in the end: without colours, and without what was written over.
fn plain(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        without_escapes(line.rsplit('\r').next().unwrap_or_default())
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Without control sequences (`ESC [ … letter`), links (`ESC ] … ESC \`) and other escapes.
fn without_escapes(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => match rest.next() {
                Some('[') => {
                    rest.find(|c| ('@'..='~').contains(c));
                }
                Some(']') => {
                    rest.find(|c| matches!(c, '\u{7}' | '\\'));
                }
                _ => {}
            },
            '\t' => shown.push('\t'),
            other if other.is_control() => {}
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::compiler::command;

    #[test]
    fn what_is_kept_reads_as_a_terminal_shows_it_in_the_end() {
        for (said, shown) in [
            ("\u{1b}[1m\u{1b}[31merror\u{1b}[0m: no\n", "error: no"),
            ("  Building 1/2\r  Building 2/2\r\u{1b}[K  Finished\n", "Finished"),
            ("a\r\nb\r\n", "a\nb"),
            ("\u{1b}]8;;https://x.example\u{1b}\\E0308\u{1b}]8;;\u{1b}\\ x", "E0308 x"),
            ("\u{1b}[", ""),
            ("\u{7}<b>\tü</b>", "<b>\tü</b>"),
        ] {
            assert_eq!(plain(said), shown);
        }
    }

    #[tokio::test]
    async fn a_program_is_heard_to_its_end_and_no_further() {
        let mut shell = command("sh".as_ref());
        // What it leaves behind holds its standard error.
        shell.args(["-c", "echo no >&2; sleep 600 & exit 3"]);
        let ran = timeout(Duration::from_mins(1), run(&mut shell)).await.unwrap().unwrap();
        assert_eq!((ran.succeeded, ran.words.as_str()), (false, "no"));
    }

    #[tokio::test]
    async fn of_much_the_end_is_kept() {
        let said = format!("{}the end", "x".repeat(5 * KEPT));
        let mut kept = Vec::new();
        hear(said.as_bytes(), &mut kept, tokio::io::sink()).await;
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with(b"the end"));
    }
}
