//! What a test hands to a harness and reads from it.

use serde_json::Value;

use crate::{Event, Part};

/// What a bot did in the room besides answering.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// It posted something.
    Posted {
        /// The message's id.
        message: Option<u64>,
        /// What.
        part: Part,
    },
    /// It replaced a message of its own.
    Edited {
        /// Which.
        message: u64,
        /// By what.
        part: Part,
    },
    /// It removed a message of its own.
    Removed {
        /// Which.
        message: u64,
    },
    /// It put a reaction on a message.
    Boosted {
        /// Which.
        message: u64,
        /// The reaction.
        reaction: String,
    },
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Offered {
    /// What the model calls it.
    pub name: String,
    /// What it knows of it.
    pub description: String,
    /// The JSON Schema of the input.
    pub input_schema: Value,
    /// Whether calling it changes nothing.
    pub read_only: bool,
}

/// What is said to a bot: a text, by Ann in the room "All Talk", or a whole event.
pub enum Said {
    /// By Ann.
    Text(String),
    /// As it is.
    Event(Box<Event>),
}

impl From<&str> for Said {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Event> for Said {
    fn from(event: Event) -> Self {
        Self::Event(Box::new(event))
    }
}
