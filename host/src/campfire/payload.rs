//! The webhook's body becomes an [`Incoming`] without any secret, or is refused in words that hold nothing of it.
//!
//! Invariants:
//! - No key survives: `room.path` holds the bot's, so a message's paths are never read, and elsewhere they are covered.
//! - No text holds NUL, which neither an argument of a process nor a plugin's text takes.
//! - What is unknown is passed over: forks of Campfire send more fields and other events.
//!
//! What goes wrong: a body that is no JSON object, or a message without its ids, is a [`PayloadError`]. An event that
//! is no new message is a [`Webhook::Occurrence`] if it names a room, and else [`Webhook::Other`]: to be acknowledged and
//! forgotten.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::occurrence::{Happened, KIND_BYTES, cover_keys};
use crate::id::{MessageId, RoomId, UserId};

/// What a webhook was about.
#[derive(Debug, Clone, PartialEq)]
pub enum Webhook {
    /// Someone wrote something.
    Message(Box<Incoming>),
    /// Something else happened in a room; only forks send such.
    Occurrence(Box<Happened>),
    /// Anything else.
    Other {
        /// What it calls itself; 1 to 64 bytes.
        kind: String,
    },
}

/// A message that came in. Also the form in which the inbox keeps it: fields may be added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// What happened; "message" for a new message, under whatever name the server sent it.
    pub kind: String,
    /// Who wrote it.
    pub user: Person,
    /// Where.
    pub room: Place,
    /// What.
    pub message: Said,
}

/// Someone who writes in rooms; bots are people too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Campfire's id.
    pub id: UserId,
    /// The name shown; chosen by the person and not unique. Empty if the server sent none.
    #[serde(default)]
    pub name: String,
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Campfire's id.
    pub id: RoomId,
    /// Its name; none in a direct room.
    #[serde(default)]
    pub name: Option<String>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Campfire's id.
    pub id: MessageId,
    /// Without markup and without the bot's own mention; empty if the message was only that. A file's name if a file
    /// was posted.
    #[serde(default)]
    pub text: String,
    /// The rich text as Campfire stores it, unsanitised; none for a file.
    #[serde(default)]
    pub html: Option<String>,
}

/// Why a webhook's body was refused. Holds nothing of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The body is not UTF-8.
    #[error("the webhook's body is not UTF-8 (from byte {at})")]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// The body is not JSON, or nested deeper than 128 levels.
    #[error("the webhook's body is not JSON, or nested too deeply (line {line}, column {column})")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("the webhook's body is {found}, not an object; only Campfire should call this URL")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A message without something that every message has.
    #[error(
        "the webhook's `{field}` is missing or not what Campfire sends there; only Campfire should call this URL"
    )]
    Field {
        /// Which, from the top: `user.id`.
        field: &'static str,
    },
}

/// The kind that every new message gets.
pub(super) const MESSAGE: &str = "message";
/// The kind of what does not say what it is.
const UNKNOWN: &str = "unknown";

/// Reads a webhook's body. How long it may be is the listener's business; time and memory are linear in it.
pub fn parse(body: &[u8]) -> Result<Webhook, PayloadError> {
    let text =
        std::str::from_utf8(body).map_err(|error| PayloadError::NotUtf8 { at: error.valid_up_to() })?;
    let value: Value = serde_json::from_str(text)
        .map_err(|error| PayloadError::NotJson { line: error.line(), column: error.column() })?;
    let Value::Object(object) = value else {
        return Err(PayloadError::NotAnObject { found: kind_of(&value) });
    };
    if let Some(kind) = other_event(&object) {
        return Ok(other(kind, object));
    }
    let (Some(room), Some(message)) = (present(&object, "room"), present(&object, "message")) else {
        return Ok(other(UNKNOWN.to_owned(), object));
    };
    let user = present(&object, "user").ok_or(PayloadError::Field { field: "user" })?;
    Ok(Webhook::Message(Box::new(Incoming {
        kind: MESSAGE.to_owned(),
        user: person(user)?,
        room: place(room)?,
        message: said(message)?,
    })))
}

/// What is no new message, as far as it can be read.
fn other(kind: String, object: Map<String, Value>) -> Webhook {
    let Some(room) = present(&object, "room").and_then(|room| place(room).ok()) else {
        return Webhook::Other { kind };
    };
    let user = present(&object, "user").and_then(|user| person(user).ok());
    let message = present(&object, "message").and_then(|message| said(message).ok());
    let payload = cover_keys(&Value::Object(object).to_string());
    Webhook::Occurrence(Box::new(Happened { kind, room, user, message, payload }))
}

// === impl Incoming ===

impl Incoming {
    /// Replaces every occurrence of a secret in names and texts by `****`. An empty secret is nowhere.
    pub fn redact(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let texts = [&mut self.user.name, &mut self.message.text];
        for text in texts.into_iter().chain(&mut self.room.name).chain(&mut self.message.html) {
            if text.contains(secret) {
                *text = text.replace(secret, "****");
            }
        }
    }

    /// SHA-256 of who said what where: tells a repeated delivery from a Campfire that counts its ids from 1 again.
    /// Every part goes in with its length, so that no two different messages read the same.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for id in [self.user.id.0, self.room.id.0, self.message.id.0] {
            hash.update(id.to_le_bytes());
        }
        for text in [Some(&self.message.text), self.message.html.as_ref()] {
            // The length takes eight bytes; no length is u64::MAX, which stands for "none".
            let length = text.map_or(u64::MAX, |text| text.len() as u64);
            hash.update(length.to_le_bytes());
            hash.update(text.map_or(&[][..], |text| text.as_bytes()));
        }
        hash.finalize().into()
    }
}

// === what a body may look like ===

/// The name of the event if it is not a new message. Campfire itself names none; forks do.
fn other_event(object: &Map<String, Value>) -> Option<String> {
    match object.get("event") {
        None | Some(Value::Null) => None,
        Some(Value::String(event)) => match event.as_str() {
            "message" | "message_created" | "message.created" => None,
            other => Some(kind(other)),
        },
        Some(_) => Some(UNKNOWN.to_owned()),
    }
}

/// A kind's name: not empty, not long, without control characters.
fn kind(name: &str) -> String {
    let mut kind: String = name.chars().filter(|c| !c.is_control()).take(KIND_BYTES).collect();
    kind.truncate(kind.floor_char_boundary(KIND_BYTES));
    if kind.is_empty() { UNKNOWN.to_owned() } else { kind }
}

fn person(user: &Value) -> Result<Person, PayloadError> {
    let id = UserId(number(user, "user.id")?);
    Ok(Person { id, name: text_of(user.get("name")).unwrap_or_default() })
}

fn place(room: &Value) -> Result<Place, PayloadError> {
    Ok(Place { id: RoomId(number(room, "room.id")?), name: text_of(room.get("name")) })
}

fn said(message: &Value) -> Result<Said, PayloadError> {
    let body = message.get("body");
    let plain = body.and_then(|body| body.get("plain").or_else(|| body.get("plain_text")));
    Ok(Said {
        id: MessageId(number(message, "message.id")?),
        text: text_of(plain).unwrap_or_default(),
        html: text_of(body.and_then(|body| body.get("html"))),
    })
}

fn present<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

/// The id of `owner`; `field` is its full name, for the error. A number, or a string of digits.
fn number(owner: &Value, field: &'static str) -> Result<u64, PayloadError> {
    match owner.get("id") {
        Some(Value::Number(id)) => id.as_u64(),
        Some(Value::String(id)) => id.parse().ok(),
        _ => None,
    }
    .ok_or(PayloadError::Field { field })
}

/// A text without NUL; none if there is none, or something else is in its place.
fn text_of(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(|text| text.replace('\0', ""))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
