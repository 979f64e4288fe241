//! `log`: a guest's lines in the operator's log.

use tracing::{Level, event};

use super::{
    State,
    bindings::bot::hearth::bot::log::{Host, Level as Guest},
};
use crate::plugin::bounded;

/// Bytes kept of one line a guest logs.
pub(super) const LINE_LIMIT: usize = 4 << 10;

impl State {
    /// Logs a line within the call's bounds.
    pub(super) fn log(&mut self, level: Level, line: &str) {
        if !self.bound.line() {
            return;
        }
        let (bot, line) = (&self.calling.bot, bounded(line, LINE_LIMIT));
        if let Some(tracer) = self.tracer() {
            tracer.line(&level.as_str().to_lowercase(), &line);
        }
        match level {
            Level::ERROR => event!(target: "plugin", Level::ERROR, %bot, "{line}"),
            Level::WARN => event!(target: "plugin", Level::WARN, %bot, "{line}"),
            Level::INFO => event!(target: "plugin", Level::INFO, %bot, "{line}"),
            _ => event!(target: "plugin", Level::DEBUG, %bot, "{line}"),
        }
    }
}

impl Host for State {
    async fn write(&mut self, level: Guest, message: String) -> wasmtime::Result<()> {
        self.enter()?;
        let level = match level {
            Guest::Debug => Level::DEBUG,
            Guest::Info => Level::INFO,
            Guest::Warn => Level::WARN,
            Guest::Error => Level::ERROR,
        };
        self.log(level, &message);
        Ok(())
    }
}
