//! The room of the turn, beyond its answer. Asked for with [`want::campfire`](crate::want::campfire).
//!
//! All of it counts against the bot's rate: 60 requests a minute in a room. A turn that is begun again, since the host was
//! ended in its middle, does these again too: what must be said exactly once belongs into the answer.
//!
//! ```
//! use hearth_plugin::{campfire, prelude::*, testing::Harness};
//!
//! struct Gossip;
//!
//! impl Bot for Gossip {
//!     type Settings = NoSettings;
//!     const WANTS: &'static [Want] = &[want::campfire("to know who wrote last")];
//!
//!     fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
//!         let last = match campfire::before(event.message.id, 1) {
//!             Ok(messages) => messages.into_iter().next(),
//!             Err(campfire::Error::Unsupported(_)) => None,
//!             Err(error) => return Err(error.into()),
//!         };
//!         let Some(last) = last else { return Ok(ignore()) };
//!         campfire::boost(last.id, "👂")?;
//!         Ok(reply(text(format!("{} said something too.", last.author.name))))
//!     }
//! }
//!
//! hearth_plugin::bot!(Gossip);
//!
//! let mut harness = Harness::<Gossip>::new();
//! harness.says("Bea", "The cat is out.");
//! assert_eq!(harness.message("Who?")?, reply(text("Bea said something too.")));
//!
//! let mut harness = Harness::<Gossip>::new().older_server();
//! assert_eq!(harness.message("Who?")?, ignore());
//! # Ok::<(), Error>(())
//! ```

pub use crate::bindings::hearth::bot::campfire::PastMessage;
use crate::{
    Part, Sent, ToolError,
    bindings::hearth::bot::campfire::{CampfireError, CampfireErrorKind, Query},
    host,
};

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bot does not grant `campfire`, or the plugin did not ask for it.
    #[error("{0}")]
    Denied(String),
    /// This server is too old for it. Only [`post`] works on every server.
    #[error("{0}")]
    Unsupported(String),
    /// There is no such message, or the bot may not change it.
    #[error("{0}")]
    NotFound(String),
    /// What was asked is not possible: an empty text, a file as an edit.
    #[error("{0}")]
    Invalid(String),
    /// Too much in a minute.
    #[error("{0}")]
    RateLimited(String),
    /// Campfire can't be reached, or is in trouble.
    #[error("{message}")]
    Unavailable {
        /// What happened and what to do.
        message: String,
        /// Whether it may have been done all the same.
        sent: Sent,
    },
}

/// The newest messages of the room, oldest first; 1 to 200 of them. One request brings 40.
///
/// # Errors
/// [`Error::Unsupported`] on servers without history, and the host's.
pub fn newest(limit: u32) -> Result<Vec<PastMessage>, Error> {
    history(None, None, limit)
}

/// As [`newest`], but only what is older than this message.
///
/// # Errors
/// As [`newest`].
pub fn before(message: u64, limit: u32) -> Result<Vec<PastMessage>, Error> {
    history(Some(message), None, limit)
}

/// As [`newest`], but what follows this message.
///
/// # Errors
/// As [`newest`].
pub fn after(message: u64, limit: u32) -> Result<Vec<PastMessage>, Error> {
    history(None, Some(message), limit)
}

fn history(before: Option<u64>, after: Option<u64>, limit: u32) -> Result<Vec<PastMessage>, Error> {
    Ok(host::campfire::history(&Query { before, after, limit, attributes: Vec::new() })?)
}

/// Posts something now, besides the answer, which comes later; answers the message's id if the server told. A boost goes to
/// the message of the turn.
///
/// # Errors
/// The host's.
pub fn post(part: &Part) -> Result<Option<u64>, Error> {
    Ok(host::campfire::post(part)?)
}

/// Replaces one of the bot's own messages: by markdown, HTML or a text.
///
/// # Errors
/// [`Error::Unsupported`] on servers without editing, and the host's.
pub fn edit(message: u64, part: &Part) -> Result<(), Error> {
    Ok(host::campfire::edit(message, part)?)
}

/// Removes one of the bot's own messages.
///
/// # Errors
/// [`Error::Unsupported`] on servers without editing, and the host's.
pub fn remove(message: u64) -> Result<(), Error> {
    Ok(host::campfire::remove(message)?)
}

/// Puts a short reaction (an emoji, at most 16 characters) on a message.
///
/// # Errors
/// [`Error::Unsupported`] on servers without boosts, and the host's.
pub fn boost(message: u64, reaction: &str) -> Result<(), Error> {
    Ok(host::campfire::boost(message, reaction)?)
}

// === impl Error ===

impl From<CampfireError> for Error {
    fn from(CampfireError { kind, sent, message, .. }: CampfireError) -> Self {
        match kind {
            CampfireErrorKind::Denied => Self::Denied(message),
            CampfireErrorKind::Unsupported => Self::Unsupported(message),
            CampfireErrorKind::NotFound => Self::NotFound(message),
            CampfireErrorKind::Invalid => Self::Invalid(message),
            CampfireErrorKind::RateLimited => Self::RateLimited(message),
            CampfireErrorKind::Unavailable => Self::Unavailable { message, sent },
        }
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Denied(_) => Self::denied(message),
            Error::Unsupported(_) => Self::failed(message),
            Error::NotFound(_) => Self::not_found(message),
            Error::Invalid(_) => Self::invalid_input(message),
            Error::RateLimited(_) | Error::Unavailable { .. } => Self::unavailable(message),
        }
    }
}
