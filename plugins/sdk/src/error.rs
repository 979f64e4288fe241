//! A plugin's own "I can't".

use std::fmt;

use crate::bindings::hearth::bot::types::BotError;

/// What went wrong, for the operator's log; the room gets the host's neutral sentence.
///
/// Anything that can be displayed becomes one with `?`, errors and plain strings alike. (To allow that, it can't be
/// displayed or be an error itself; [`message`](Self::message) is its text.)
///
/// ```
/// use hearth_plugin::prelude::*;
///
/// fn dice(text: &str) -> Result<u32> {
///     let sides: u32 = text.trim().parse()?;
///     if sides == 0 {
///         Err("a die needs at least one side")?;
///     }
///     Ok(sides)
/// }
///
/// assert_eq!(dice("0").unwrap_err().message(), "a die needs at least one side");
/// assert_eq!(dice("six").unwrap_err().message(), "invalid digit found in string");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
}

/// What plugin functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What went wrong. The host keeps at most 4 KiB of it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl<E: fmt::Display> From<E> for Error {
    fn from(cause: E) -> Self {
        Self { message: cause.to_string() }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for BotError {
    fn from(error: Error) -> Self {
        Self { message: error.message, attributes: Vec::new() }
    }
}
