//! Lines for the operator's log. They carry the turn's id by themselves.
//!
//! The host keeps at most 4 KiB of a line and 100 lines of a call; further ones are counted and dropped.
//!
//! ```
//! use hearth_plugin::log;
//!
//! log::info("the dice are loaded");
//! log::debug(format_args!("{} sides", 6));
//! ```

use std::fmt::Display;

pub use crate::bindings::hearth::bot::log::Level;
use crate::host;

/// Writes a line for the plugin's author.
pub fn debug(message: impl Display) {
    write(Level::Debug, message);
}

/// Writes a line for the operator, when nothing is wrong.
pub fn info(message: impl Display) {
    write(Level::Info, message);
}

/// Writes that something is wrong, and was dealt with.
pub fn warn(message: impl Display) {
    write(Level::Warn, message);
}

/// Writes that something is wrong.
pub fn error(message: impl Display) {
    write(Level::Error, message);
}

/// Writes a line of any level.
pub fn write(level: Level, message: impl Display) {
    host::log::write(level, &message.to_string());
}
