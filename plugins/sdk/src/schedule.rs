//! Times at which the bot wants to be called, in the room of the turn. Asked for with
//! [`want::schedule`](crate::want::schedule); [`Timers::on_timer`](crate::Timers::on_timer) is called then.
//!
//! They outlast reloads and restarts. A bot has at most 100 of them in a room and 1,000 in all. A name has 1 to 128 bytes,
//! a payload at most 4 KiB, and no time is more than 366 days away.
//!
//! ```
//! use std::time::Duration;
//!
//! use hearth_plugin::{prelude::*, schedule, testing::Harness};
//!
//! struct Tea;
//!
//! impl Bot for Tea {
//!     type Settings = NoSettings;
//!     const WANTS: &'static [Want] = &[want::schedule("to say when the tea is ready")];
//!
//!     fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
//!         schedule::after("tea", Duration::from_secs(180), &event.user.name)?;
//!         Ok(reply(boost("🫖")))
//!     }
//! }
//!
//! impl Timers for Tea {
//!     fn on_timer(timer: Timer, _: NoSettings) -> Result<Decision> {
//!         Ok(reply(text(format!("{}, your tea is ready.", timer.payload))))
//!     }
//! }
//!
//! hearth_plugin::bot!(Tea: scheduled);
//!
//! let mut harness = Harness::<Tea>::new();
//! harness.message("tea, please")?;
//! assert_eq!(harness.advance(Duration::from_secs(179)), []);
//! assert_eq!(harness.advance(Duration::from_secs(1)), [Ok(reply(text("Ann, your tea is ready.")))]);
//! # Ok::<(), Error>(())
//! ```

use std::time::Duration;

use serde::Serialize;

pub use crate::bindings::hearth::bot::schedule::Pending;
use crate::{
    Timestamp, ToolError,
    bindings::hearth::bot::schedule::{ScheduleError, ScheduleErrorKind},
    clock, encoding, host,
};

/// Why it was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bot does not grant `schedule`, or the plugin did not ask for it.
    #[error("{0}")]
    Denied(String),
    /// The name, the time or the payload is not one.
    #[error("{0}")]
    Invalid(String),
    /// A limit would be passed; the message names it.
    #[error("{0}")]
    Quota(String),
    /// The host's store does not work now.
    #[error("{0}")]
    Unavailable(String),
}

/// Sets a timer that comes once, or replaces the one of that name in this room. A time that has passed comes at once.
///
/// A payload that is a string is kept as it is; anything else is kept as JSON, for
/// [`Timer::payload_as`](crate::Timer::payload_as).
///
/// # Errors
/// [`Error::Invalid`] also if the payload can't be written as JSON.
pub fn at<P: Serialize + ?Sized>(name: &str, due_at: Timestamp, payload: &P) -> Result<(), Error> {
    let payload = serde_json::to_value(payload)
        .map_err(|error| Error::Invalid(format!("the payload can't be written: {error}")))?;
    Ok(host::schedule::set(name, due_at, &encoding::text_of(payload))?)
}

/// As [`at`], so long after [`clock::now`]. Without the clock's grant that is when the host received what the turn is about,
/// which serves as well for people: they count from when they wrote.
///
/// # Errors
/// As [`at`].
pub fn after<P: Serialize + ?Sized>(name: &str, wait: Duration, payload: &P) -> Result<(), Error> {
    let wait = Timestamp::try_from(wait.as_millis()).unwrap_or(Timestamp::MAX);
    at(name, clock::now().saturating_add(wait), payload)
}

/// Takes a timer of this room back; answers whether there was one.
///
/// # Errors
/// The host's.
pub fn cancel(name: &str) -> Result<bool, Error> {
    Ok(host::schedule::cancel(name)?)
}

/// The timers of this room that the plugin has set, the next one first.
///
/// # Errors
/// The host's.
pub fn list() -> Result<Vec<Pending>, Error> {
    Ok(host::schedule::list()?)
}

// === impl Error ===

impl From<ScheduleError> for Error {
    fn from(ScheduleError { kind, message, .. }: ScheduleError) -> Self {
        match kind {
            ScheduleErrorKind::Denied => Self::Denied(message),
            ScheduleErrorKind::Invalid => Self::Invalid(message),
            ScheduleErrorKind::Quota => Self::Quota(message),
            ScheduleErrorKind::Unavailable => Self::Unavailable(message),
        }
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Denied(_) => Self::denied(message),
            Error::Invalid(_) => Self::invalid_input(message),
            Error::Quota(_) => Self::failed(message),
            Error::Unavailable(_) => Self::unavailable(message),
        }
    }
}
