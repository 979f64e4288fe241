//! Version 1 of the plugin interface: the bindings, and the host's side of its imports.

use std::sync::Arc;

use tracing::{Level, event};

use super::engine::{Bound, Bounded};
use crate::id::BotName;

#[allow(
    missing_docs,
    clippy::pedantic,
    unreachable_pub,
    reason = "generated from the WIT, where the docs are"
)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../plugins/wit/v1",
        world: "bot",
        exports: { default: async },
        additional_derives: [PartialEq],
    });
}

pub(super) use bindings::{BotPre, exports::hearth::bot::handler::Description};

/// The interface's types, which are the host's own words for the same things.
pub(super) mod types {
    pub use super::bindings::hearth::bot::types::{
        Answer, BotError, Decision, Event, Failure, FailureKind, File, Message, Outcome, Part, Prompt, Room,
        User,
    };
}

/// Bytes kept of one line a guest logs.
const LOG_LINE_LIMIT: usize = 4 << 10;
/// Lines one call may log.
const LOG_LINES_LIMIT: u32 = 100;

/// What one call can reach.
pub(super) struct State {
    pub(super) bound: Bound,
    bot: BotName,
    settings: Arc<str>,
    lines: u32,
}

impl State {
    pub(super) fn new(bot: BotName, settings: Arc<str>, bound: Bound) -> Self {
        Self { bound, bot, settings, lines: 0 }
    }

    /// Lines that were logged beyond the limit, and dropped.
    pub(super) fn dropped_lines(&self) -> u32 {
        self.lines.saturating_sub(LOG_LINES_LIMIT)
    }
}

impl Bounded for State {
    fn bound(&mut self) -> &mut Bound {
        &mut self.bound
    }
}

impl bindings::hearth::bot::types::Host for State {}

impl bindings::hearth::bot::settings::Host for State {
    fn get(&mut self) -> String {
        self.settings.to_string()
    }
}

impl bindings::hearth::bot::log::Host for State {
    fn write(&mut self, level: bindings::hearth::bot::log::Level, message: String) {
        use bindings::hearth::bot::log::Level as Guest;

        self.lines = self.lines.saturating_add(1);
        if self.lines > LOG_LINES_LIMIT {
            return;
        }
        let (bot, message) = (&self.bot, super::bounded(&message, LOG_LINE_LIMIT));
        match level {
            Guest::Debug => event!(target: "plugin", Level::DEBUG, %bot, "{message}"),
            Guest::Info => event!(target: "plugin", Level::INFO, %bot, "{message}"),
            Guest::Warn => event!(target: "plugin", Level::WARN, %bot, "{message}"),
            Guest::Error => event!(target: "plugin", Level::ERROR, %bot, "{message}"),
        }
    }
}

/// Links everything version 1 may import.
pub(super) fn add_to_linker(linker: &mut wasmtime::component::Linker<State>) -> wasmtime::Result<()> {
    bindings::Bot::add_to_linker::<_, wasmtime::component::HasSelf<_>>(linker, |state| state)
}
