//! The line in which somebody writes, with the lines that they wrote before.
//!
//! It is read by a thread of its own, which nothing can end but whoever writes; meanwhile others can say something above it.

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll, ready},
};

use miette::{IntoDiagnostic, Report};
use rustyline::{Config, DefaultEditor, ExternalPrinter, error::ReadlineError, history::History};
use tokio::task::JoinHandle;

use crate::{
    cli::terminal::{self, paint, style},
    id::BotName,
};

/// How many lines are kept.
const LINES: usize = 500;

/// Where somebody writes.
pub(super) struct Prompt {
    editor: DefaultEditor,
    /// What stands before what is written: plain, and as it is shown.
    before: (String, String),
    /// Where the lines are kept.
    history: PathBuf,
}

/// Somebody who writes, or thinks about it.
pub(super) struct Reading {
    thread: JoinHandle<Result<Words, Report>>,
    printer: Box<dyn ExternalPrinter + Send>,
}

/// What somebody wrote, and the prompt for the next line; none if they are done.
pub(super) type Words = Option<(String, Prompt)>;

// === impl Prompt ===

impl Prompt {
    /// A prompt that knows the lines of earlier conversations.
    ///
    /// # Errors
    /// If the terminal can't be used.
    pub(super) fn new(bot: &BotName, history: PathBuf) -> Result<Self, Report> {
        let config =
            Config::builder().max_history_size(LINES).into_diagnostic()?.auto_add_history(false).build();
        let mut editor = DefaultEditor::with_config(config).into_diagnostic()?;
        // The first conversation has none; one that can't be read is none either.
        let _ = editor.load_history(&history);
        let plain = format!("you → {bot} ");
        let shown = if terminal::has_styles() { paint(style::FAINT, &plain) } else { plain.clone() };
        Ok(Self { editor, before: (plain, shown), history })
    }

    /// Lets somebody write a line.
    pub(super) fn read(mut self) -> Reading {
        let printer: Box<dyn ExternalPrinter + Send> = match self.editor.create_external_printer() {
            Ok(printer) => Box::new(printer),
            Err(_) => Box::new(Silent),
        };
        let thread = tokio::task::spawn_blocking(move || {
            match self.editor.readline(&self.before) {
                Ok(line) => {
                    if !line.trim().is_empty() && self.editor.history_mut().add(&line).into_diagnostic()? {
                        // It is a convenience.
                        let _ = self.editor.save_history(&self.history);
                    }
                    Ok(Some((line, self)))
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
                Err(error) => Err(error).into_diagnostic(),
            }
        });
        Reading { thread, printer }
    }
}

// === impl Reading ===

impl Reading {
    /// Says something above the line.
    ///
    /// # Errors
    /// If nobody reads any more.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Report> {
        let text = if terminal::has_styles() {
            text.to_owned()
        } else {
            anstream::adapter::strip_str(text).to_string()
        };
        self.printer.print(format!("{text}\n")).into_diagnostic()
    }
}

impl Future for Reading {
    type Output = Result<Words, Report>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.thread).poll(context)).into_diagnostic().flatten())
    }
}

/// A terminal above whose line nothing can be said.
struct Silent;

impl ExternalPrinter for Silent {
    fn print(&mut self, text: String) -> rustyline::Result<()> {
        terminal::print(text.trim_end());
        Ok(())
    }
}
