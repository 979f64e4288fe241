//! What a turn is about, looked at without caring which of the three it is.

use serde::de::DeserializeOwned;

use crate::{Cause, Message, Result, Room, Timer, Timestamp, User};

impl Cause {
    /// The bot's name in bots.toml.
    pub fn bot(&self) -> &str {
        match self {
            Self::Message(event) => &event.bot,
            Self::Timer(timer) => &timer.bot,
            Self::Occurrence(occurrence) => &occurrence.bot,
        }
    }

    /// Where the answer goes.
    pub fn room(&self) -> &Room {
        match self {
            Self::Message(event) => &event.room,
            Self::Timer(timer) => &timer.room,
            Self::Occurrence(occurrence) => &occurrence.room,
        }
    }

    /// Who wrote the message, or did what happened; none if no one did, or the server did not say.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Message(event) => Some(&event.user),
            Self::Timer(_) => None,
            Self::Occurrence(occurrence) => occurrence.user.as_ref(),
        }
    }

    /// The message it is about, if there is one.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(event) => Some(&event.message),
            Self::Timer(_) => None,
            Self::Occurrence(occurrence) => occurrence.message.as_ref(),
        }
    }

    /// When the host received it.
    pub fn received_at(&self) -> Timestamp {
        match self {
            Self::Message(event) => event.received_at,
            Self::Timer(timer) => timer.received_at,
            Self::Occurrence(occurrence) => occurrence.received_at,
        }
    }
}

impl Timer {
    /// The payload, if it was set as anything but a string: see [`schedule::at`](crate::schedule::at).
    ///
    /// # Errors
    /// It is not JSON, or does not fit the type.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.payload)
            .map_err(|error| format!("the payload of the timer `{}` does not fit: {error}", self.name).into())
    }
}
