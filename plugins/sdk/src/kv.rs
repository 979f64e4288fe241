//! What lasts: keys with values, kept by the host over calls, reloads and restarts. Asked for with
//! [`want::kv`](crate::want::kv).
//!
//! A key has 1 to 512 bytes, a value at most 64 KiB. A bot has at most 10,000 keys and 16 MiB, all its rooms together.
//!
//! ```
//! use hearth_plugin::{kv, prelude::*, testing::Harness};
//!
//! struct Counter;
//!
//! impl Bot for Counter {
//!     type Settings = NoSettings;
//!     const WANTS: &'static [Want] = &[want::kv("to count what was said")];
//!
//!     fn on_message(_event: Event, _: NoSettings) -> Result<Decision> {
//!         let count = kv::room().update("count", |count: &mut u32| {
//!             *count += 1;
//!             *count
//!         })?;
//!         Ok(reply(text(format!("That was message {count}."))))
//!     }
//! }
//!
//! hearth_plugin::bot!(Counter);
//!
//! let mut harness = Harness::<Counter>::new();
//! harness.message("one")?;
//! assert_eq!(harness.message("two")?, reply(text("That was message 2.")));
//! # Ok::<(), Error>(())
//! ```

use std::collections::VecDeque;

use serde::{Serialize, de::DeserializeOwned};

pub use crate::bindings::hearth::bot::kv::{Entry, Expectation, Scope};
use crate::{
    ToolError,
    bindings::hearth::bot::kv::{KvError, KvErrorKind},
    host,
};

/// How often [`Kv::update`] begins anew because someone else has written.
const MOST_ATTEMPTS: usize = 8;

/// Entries of one page of a list; the host gives no more.
const PAGE: u32 = 100;

/// Why it was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bot does not grant `kv`, or the plugin did not ask for it.
    #[error("{0}")]
    Denied(String),
    /// The expectation did not hold: someone else wrote the key. Read it again.
    #[error("{0}")]
    Conflict(String),
    /// A limit would be passed; the message names it.
    #[error("{0}")]
    Quota(String),
    /// The key or the limit is not one.
    #[error("{0}")]
    Invalid(String),
    /// The host's store does not work now.
    #[error("{0}")]
    Unavailable(String),
    /// What is kept there is of another type, or what is to be kept can't be written as JSON.
    #[error("the value of `{key}` does not fit: {problem}")]
    Unfit {
        /// The key.
        key: String,
        /// What does not fit, and where.
        problem: String,
    },
}

/// The keys of the room that the turn is in. Other rooms' keys are out of reach.
pub fn room() -> Kv {
    Kv { scope: Scope::Room }
}

/// The keys that all rooms of the bot share.
pub fn bot() -> Kv {
    Kv { scope: Scope::Bot }
}

/// Keys with values.
#[derive(Debug, Clone, Copy)]
pub struct Kv {
    scope: Scope,
}

/// The entries of [`Kv::list`], fetched in pages as they are asked for. Ends after an error.
#[derive(Debug)]
pub struct List {
    scope: Scope,
    prefix: String,
    fetched: VecDeque<Entry>,
    after: Option<String>,
    exhausted: bool,
}

// === impl Kv ===

impl Kv {
    /// The value of a key, read as JSON; none if there is no such key.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is of another type, and the host's.
    pub fn get<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>, Error> {
        self.entry(key)?.map(|entry| entry.json()).transpose()
    }

    /// Writes a value as JSON, whatever was there before.
    ///
    /// # Errors
    /// The host's.
    pub fn set<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<(), Error> {
        self.set_bytes(key, &encode(key, value)?, Expectation::Anything).map(drop)
    }

    /// Removes a key; answers whether there was one.
    ///
    /// # Errors
    /// The host's.
    pub fn delete(self, key: &str) -> Result<bool, Error> {
        self.delete_if(key, Expectation::Anything)
    }

    /// Changes a value in place, as if no one else could write meanwhile; answers what `change` answers. A key that does not
    /// exist begins as `T::default()`. What `change` leaves as it was is not written.
    ///
    /// If someone else writes between reading and writing, all is done again, up to 8 times; so `change` does nothing
    /// else.
    ///
    /// # Errors
    /// [`Error::Conflict`] if others wrote each time, [`Error::Unfit`] if the value is of another type, and the host's.
    pub fn update<T, R>(self, key: &str, mut change: impl FnMut(&mut T) -> R) -> Result<R, Error>
    where
        T: Default + DeserializeOwned + Serialize,
    {
        let mut attempts = 1;
        loop {
            let entry = self.entry(key)?;
            let expect = match &entry {
                Some(entry) => Expectation::Version(entry.version),
                None => Expectation::Absent,
            };
            let mut value = entry.as_ref().map_or_else(|| Ok(T::default()), Entry::json)?;
            let before = encode(key, &value)?;
            let answer = change(&mut value);
            let after = encode(key, &value)?;
            if after == before {
                return Ok(answer);
            }
            match self.set_bytes(key, &after, expect) {
                Ok(_) => return Ok(answer),
                Err(Error::Conflict(_)) if attempts < MOST_ATTEMPTS => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The keys that begin with `prefix`, in the order of their bytes.
    pub fn list(self, prefix: impl Into<String>) -> List {
        let (scope, prefix) = (self.scope, prefix.into());
        List { scope, prefix, fetched: VecDeque::new(), after: None, exhausted: false }
    }

    /// A key with its value as bytes and its version.
    ///
    /// # Errors
    /// The host's.
    pub fn entry(self, key: &str) -> Result<Option<Entry>, Error> {
        Ok(host::kv::get(self.scope, key)?)
    }

    /// Writes bytes if the expectation holds; answers the new version.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it does not hold, and the host's.
    pub fn set_bytes(self, key: &str, value: &[u8], expect: Expectation) -> Result<u64, Error> {
        Ok(host::kv::set(self.scope, key, value, expect)?)
    }

    /// Removes a key if the expectation holds; answers whether there was one.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it does not hold, and the host's.
    pub fn delete_if(self, key: &str, expect: Expectation) -> Result<bool, Error> {
        Ok(host::kv::delete(self.scope, key, expect)?)
    }
}

fn encode<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| unfit(key, &error))
}

fn unfit(key: &str, error: &serde_json::Error) -> Error {
    Error::Unfit { key: key.to_owned(), problem: error.to_string() }
}

// === impl Entry ===

impl Entry {
    /// The value, read as JSON.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is of another type.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.value).map_err(|error| unfit(&self.key, &error))
    }
}

// === impl List ===

impl Iterator for List {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.fetched.is_empty() && !self.exhausted {
            match host::kv::list(self.scope, &self.prefix, self.after.as_deref(), PAGE) {
                Ok(page) => {
                    self.exhausted = page.next.is_none();
                    self.after = page.next;
                    self.fetched = page.entries.into();
                }
                Err(error) => {
                    self.exhausted = true;
                    return Some(Err(error.into()));
                }
            }
        }
        self.fetched.pop_front().map(Ok)
    }
}

// === impl Error ===

impl From<KvError> for Error {
    fn from(KvError { kind, message, .. }: KvError) -> Self {
        match kind {
            KvErrorKind::Denied => Self::Denied(message),
            KvErrorKind::Conflict => Self::Conflict(message),
            KvErrorKind::Quota => Self::Quota(message),
            KvErrorKind::Invalid => Self::Invalid(message),
            KvErrorKind::Unavailable => Self::Unavailable(message),
        }
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Denied(_) => Self::denied(message),
            Error::Conflict(_) | Error::Unavailable(_) => Self::unavailable(message),
            Error::Invalid(_) => Self::invalid_input(message),
            Error::Quota(_) | Error::Unfit { .. } => Self::failed(message),
        }
    }
}
