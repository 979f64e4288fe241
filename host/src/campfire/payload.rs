//! The webhook's body becomes an [`Incoming`] without any secret, or is refused in words that hold nothing of it.
//!
//! Invariants:
//! - No path survives: `room.path` holds the bot's key, so paths are never read.
//! - No text holds NUL, which neither an argument of a process nor a plugin's text takes.
//! - What is unknown is passed over: forks of Campfire send more fields and other events.
//!
//! What goes wrong: a body that is no JSON object, or a message without its ids, is a [`PayloadError`]. An event that
//! is no new message is [`Webhook::Other`]: to be acknowledged and forgotten.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::id::{MessageId, RoomId, UserId};

/// What a webhook was about.
#[derive(Debug, Clone, PartialEq)]
pub enum Webhook {
    /// Someone wrote something.
    Message(Box<Incoming>),
    /// Anything else; only forks send such.
    Other {
        /// What it calls itself; at most 64 characters.
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
const MESSAGE: &str = "message";

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
        return Ok(Webhook::Other { kind });
    }
    let (Some(room), Some(message)) = (present(&object, "room"), present(&object, "message")) else {
        return Ok(Webhook::Other { kind: "unknown".to_owned() });
    };
    let user = present(&object, "user").ok_or(PayloadError::Field { field: "user" })?;
    let body = message.get("body");
    let plain = body.and_then(|body| body.get("plain").or_else(|| body.get("plain_text")));
    Ok(Webhook::Message(Box::new(Incoming {
        kind: MESSAGE.to_owned(),
        user: Person {
            id: UserId(number(user, "user.id")?),
            name: text_of(user.get("name")).unwrap_or_default(),
        },
        room: Place { id: RoomId(number(room, "room.id")?), name: text_of(room.get("name")) },
        message: Said {
            id: MessageId(number(message, "message.id")?),
            text: text_of(plain).unwrap_or_default(),
            html: text_of(body.and_then(|body| body.get("html"))),
        },
    })))
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
            other => Some(other.chars().filter(|c| !c.is_control()).take(64).collect()),
        },
        Some(_) => Some("unknown".to_owned()),
    }
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
mod tests {
    use serde_json::json;

    use super::*;

    const DIRECT: &str = include_str!("../../../tests/fixtures/campfire/payload-direct.json");
    const MENTION: &str = include_str!("../../../tests/fixtures/campfire/payload-mention.json");
    const FILE: &str = include_str!("../../../tests/fixtures/campfire/payload-user-attachment.json");
    const RAW: &str = include_str!("../../../tests/fixtures/campfire/payload-raw-request.http");

    fn recorded(fixture: &str) -> Incoming {
        let recording: Value = serde_json::from_str(fixture).unwrap();
        message(recording["body_raw"].as_str().unwrap().as_bytes())
    }

    fn message(body: &[u8]) -> Incoming {
        match parse(body).unwrap() {
            Webhook::Message(incoming) => *incoming,
            Webhook::Other { kind } => panic!("not a message but {kind}"),
        }
    }

    fn plain() -> Value {
        json!({"user": {"id": 1, "name": "Ann"}, "room": {"id": 2, "name": "Talk", "path": "/rooms/2/2-key/messages"},
               "message": {"id": 3, "body": {"html": "<b>hi</b>", "plain": "hi"}, "path": "/rooms/2/@3"}})
    }

    fn parse_value(value: &Value) -> Result<Webhook, PayloadError> {
        parse(value.to_string().as_bytes())
    }

    #[test]
    fn the_recorded_direct_message_is_read() {
        let incoming = recorded(DIRECT);
        assert_eq!(incoming.user, Person { id: UserId(1), name: "Ann Admin".into() });
        assert_eq!(incoming.room, Place { id: RoomId(2), name: None });
        assert_eq!(incoming.message.id, MessageId(13));
        assert_eq!(incoming.message.text, "psst no mention");
        assert_eq!(incoming.message.html.as_deref(), Some("<div>psst no mention</div>"));
    }

    #[test]
    fn the_recorded_mention_keeps_its_text_and_rich_text() {
        let incoming = recorded(MENTION);
        assert_eq!(incoming.room.name.as_deref(), Some("All Talk"));
        assert_eq!(incoming.message.text, "please deploy <prod> 🚀\nline two");
        assert!(incoming.message.html.unwrap().contains("application/vnd.campfire.mention"));
    }

    #[test]
    fn the_recorded_file_has_its_name_as_text_and_no_rich_text() {
        let incoming = recorded(FILE);
        assert_eq!(incoming.message.text, "re port.txt");
        assert_eq!(incoming.message.html, None);
    }

    #[test]
    fn the_body_of_the_recorded_request_is_read() {
        let (_, body) = RAW.split_once("\r\n\r\n").or_else(|| RAW.split_once("\n\n")).unwrap();
        assert_eq!(message(body.trim_end().as_bytes()).message.text, "drip 12s");
    }

    #[test]
    fn nothing_of_the_bot_key_survives() {
        for fixture in [DIRECT, MENTION, FILE] {
            let incoming = recorded(fixture);
            let kept = format!("{incoming:?}{}", serde_json::to_string(&incoming).unwrap());
            assert!(fixture.contains("1muC7xQRVUXg"));
            assert!(!kept.contains("1muC7xQRVUXg") && !kept.contains("/rooms/"));
        }
    }

    #[test]
    fn what_forks_add_is_passed_over() {
        let mut value = plain();
        value["event"] = json!("message.created");
        value["extra"] = json!([1, {"a": null}]);
        value["user"]["role"] = json!("admin");
        value["message"]["body"]["more"] = json!(1);
        assert_eq!(parse_value(&value), parse_value(&plain()));
    }

    #[test]
    fn every_name_of_a_new_message_is_one_kind_and_all_else_is_other() {
        for event in [json!(null), json!("message"), json!("message_created"), json!("message.created")] {
            let mut value = plain();
            value["event"] = event;
            assert_eq!(message(value.to_string().as_bytes()).kind, "message");
        }
        for event in ["message_updated", "boost", "", "Message"] {
            let mut value = plain();
            value["event"] = json!(event);
            assert_eq!(parse_value(&value), Ok(Webhook::Other { kind: event.to_owned() }));
        }
        let mut value = plain();
        value["event"] = json!(7);
        assert_eq!(parse_value(&value), Ok(Webhook::Other { kind: "unknown".to_owned() }));
    }

    #[test]
    fn a_user_event_without_room_or_message_is_other() {
        for body in [
            json!({}),
            json!({"event": null, "user": {"id": 1}}),
            json!({"user": {"id": 1}, "room": {"id": 2}}),
        ] {
            assert_eq!(parse_value(&body), Ok(Webhook::Other { kind: "unknown".to_owned() }));
        }
        let joined = json!({"event": "user_joined", "user": {"id": 1}});
        assert_eq!(parse_value(&joined), Ok(Webhook::Other { kind: "user_joined".to_owned() }));
    }

    #[test]
    fn what_is_missing_or_null_is_empty() {
        let bare = message(br#"{"user":{"id":1,"name":null},"room":{"id":2},"message":{"id":3}}"#);
        assert_eq!((bare.user.name.as_str(), bare.room.name, bare.message.text.as_str()), ("", None, ""));
        let null =
            message(br#"{"user":{"id":1},"room":{"id":2,"name":null},"message":{"id":3,"body":null}}"#);
        assert_eq!(null.message.html, None);
        let renamed = message(
            br#"{"user":{"id":"1"},"room":{"id":"2"},"message":{"id":"3","body":{"plain_text":"hi"}}}"#,
        );
        assert_eq!((renamed.message.id, renamed.message.text.as_str()), (MessageId(3), "hi"));
    }

    #[test]
    fn nul_is_removed_from_every_text() {
        let mut value = plain();
        value["user"]["name"] = json!("A\0nn");
        value["room"]["name"] = json!("\0");
        value["message"]["body"] = json!({"html": "<b>\0h</b>", "plain": "h\0i"});
        let incoming = message(value.to_string().as_bytes());
        assert!(!format!("{incoming:?}").contains("\\0"));
        assert_eq!((incoming.user.name.as_str(), incoming.message.text.as_str()), ("Ann", "hi"));
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_nothing_of_the_body() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let mut no_id = plain();
        no_id["message"]["id"] = json!("S3CRET");
        let bodies = [&b"\xffS3CRET"[..], b"S3CRET", b"\"S3CRET\"", b"[\"S3CRET\"]", b"", deep.as_bytes()];
        for body in bodies.into_iter().chain([no_id.to_string().as_bytes()]) {
            let error = parse(body).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error}");
        }
        assert_eq!(parse_value(&no_id), Err(PayloadError::Field { field: "message.id" }));
        let mut negative = plain();
        negative["user"]["id"] = json!(-1);
        assert_eq!(parse_value(&negative), Err(PayloadError::Field { field: "user.id" }));
    }

    #[test]
    fn a_secret_is_redacted_everywhere() {
        let mut value = plain();
        value["user"]["name"] = json!("k3y");
        value["room"]["name"] = json!("a k3y b");
        value["message"]["body"] = json!({"html": "<b>k3yk3y</b>", "plain": "k3y k3y"});
        let mut incoming = message(value.to_string().as_bytes());
        let before = incoming.clone();
        incoming.redact("");
        assert_eq!(incoming, before);
        incoming.redact("k3y");
        assert!(!format!("{incoming:?}").contains("k3y"));
        assert_eq!(incoming.message.html.as_deref(), Some("<b>********</b>"));
    }

    #[test]
    fn what_was_stored_is_read_again_also_with_more_or_fewer_fields() {
        let incoming = recorded(MENTION);
        let mut stored = serde_json::to_value(&incoming).unwrap();
        assert_eq!(serde_json::from_value::<Incoming>(stored.clone()).unwrap(), incoming);
        stored["later"] = json!({"version": 2});
        stored["message"]["edited"] = json!(true);
        stored["message"].as_object_mut().unwrap().remove("html");
        assert_eq!(serde_json::from_value::<Incoming>(stored).unwrap().message.html, None);
    }

    #[test]
    fn the_hash_tells_apart_whatever_differs() {
        let base = message(plain().to_string().as_bytes());
        let mut variants = vec![base.clone(); 7];
        variants[1].user.id = UserId(2);
        variants[2].room.id = RoomId(1);
        variants[3].message.id = MessageId(4);
        variants[4].message.html = None;
        variants[5].message.html = Some(String::new());
        (variants[6].message.text, variants[6].message.html) = ("hi<b>".into(), Some("hi</b>".into()));
        let hashes: std::collections::HashSet<_> = variants.iter().map(Incoming::content_hash).collect();
        assert_eq!(hashes.len(), variants.len());
        let mut renamed = base.clone();
        renamed.user.name = "Anna".into();
        assert_eq!(renamed.content_hash(), base.content_hash());
    }
}
