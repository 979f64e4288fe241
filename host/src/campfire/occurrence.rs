//! What happened in a room and is no new message, as forks of Campfire tell it: read leniently, and without any bot's key.
//!
//! Of what the server sent everything is kept, as JSON, but for what looks like a bot's way into a room
//! (`/rooms/<id>/<key>`), whose key is covered wherever it stands, and the bot's own key, which is covered too.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::payload::{Person, Place, Said};

/// The longest kind, in bytes.
pub(super) const KIND_BYTES: usize = 64;
/// What stands in place of a key.
const COVER: &str = "****";

/// Something that happened in a room. Also the form in which the inbox keeps it: fields may be added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// What, as the server names it; "unknown" if it does not. 1 to 64 bytes.
    pub kind: String,
    /// Where.
    pub room: Place,
    /// Who did it, if the server said so.
    #[serde(default)]
    pub user: Option<Person>,
    /// The message that it is about, if there is one.
    #[serde(default)]
    pub message: Option<Said>,
    /// All that the server sent, as JSON.
    pub payload: String,
}

impl Happened {
    /// Replaces every occurrence of a secret by `****`. An empty secret is nowhere.
    pub fn redact(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        let people = self.user.iter_mut().map(|user| &mut user.name);
        let messages = self
            .message
            .iter_mut()
            .flat_map(|said| std::iter::once(&mut said.text).chain(said.html.as_mut()));
        let texts =
            people.chain(messages).chain(&mut self.room.name).chain([&mut self.kind, &mut self.payload]);
        for text in texts.filter(|text| text.contains(secret)) {
            *text = text.replace(secret, COVER);
        }
    }

    /// SHA-256 of all that the server sent: the same thing told again is a repeated delivery, whatever differs is another.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"occurrence\0");
        hash.update(&self.payload);
        hash.finalize().into()
    }
}

/// Covers the key in every `/rooms/<digits>/<digits>-<letters and digits>`.
pub(super) fn cover_keys(text: &str) -> String {
    const ROOMS: &str = "/rooms/";
    let mut covered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(ROOMS) {
        let (before, after) = rest.split_at(at + ROOMS.len());
        covered.push_str(before);
        rest = after;
        let Some(key_at) = digits(after).filter(|end| after[*end..].starts_with('/')).map(|end| end + 1)
        else {
            continue;
        };
        let key = &after[key_at..];
        let Some(dash) = digits(key).filter(|end| key[*end..].starts_with('-')) else { continue };
        let token = key[dash + 1..].bytes().take_while(u8::is_ascii_alphanumeric).count();
        if token > 0 {
            covered.push_str(&after[..key_at]);
            covered.push_str(COVER);
            rest = &key[dash + 1 + token..];
        }
    }
    covered + rest
}

/// Where the digits end that `text` begins with; none without any.
fn digits(text: &str) -> Option<usize> {
    Some(text.bytes().take_while(u8::is_ascii_digit).count()).filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::payload::{Webhook, parse},
        *,
    };
    use crate::id::{MessageId, RoomId, UserId};

    fn happened(value: &serde_json::Value) -> Happened {
        match parse(value.to_string().as_bytes()).unwrap() {
            Webhook::Occurrence(happened) => *happened,
            other => panic!("no occurrence: {other:?}"),
        }
    }

    fn edited() -> serde_json::Value {
        json!({"event": "message_updated", "user": {"id": 1, "name": "Ann"},
               "room": {"id": 7, "name": "All Talk", "path": "/rooms/7/2-1muC7xQRVUXg/messages"},
               "message": {"id": 42, "body": {"html": "<b>hi</b>", "plain": "hi"}, "path": "/rooms/7/@42"},
               "changes": {"body": ["ho", "hi"]}})
    }

    #[test]
    fn an_edited_message_is_read_with_all_that_was_sent() {
        let happened = happened(&edited());
        assert_eq!(happened.kind, "message_updated");
        assert_eq!((happened.room.id, happened.room.name.as_deref()), (RoomId(7), Some("All Talk")));
        assert_eq!(happened.user.as_ref().unwrap().id, UserId(1));
        let message = happened.message.as_ref().unwrap();
        assert_eq!((message.id, message.text.as_str()), (MessageId(42), "hi"));
        let payload: serde_json::Value = serde_json::from_str(&happened.payload).unwrap();
        assert_eq!(payload["changes"]["body"], json!(["ho", "hi"]));
        assert_eq!(payload["message"]["path"], "/rooms/7/@42");
        assert_eq!(payload["room"]["path"], "/rooms/7/****/messages");
    }

    #[test]
    fn someone_who_came_or_went_needs_no_message() {
        let joined = happened(&json!({"event": "user_joined", "user": {"id": "3"}, "room": {"id": 7}}));
        assert_eq!((joined.user.unwrap().id, joined.message), (UserId(3), None));
        let closed =
            happened(&json!({"event": "room_closed", "user": "?", "room": {"id": 7}, "message": {}}));
        assert_eq!((closed.user, closed.message), (None, None));
    }

    #[test]
    fn a_kind_is_never_empty_and_has_at_most_64_bytes() {
        let kind = |event: serde_json::Value| happened(&json!({"event": event, "room": {"id": 7}})).kind;
        assert_eq!(kind(json!("")), "unknown");
        assert_eq!(kind(json!(7)), "unknown");
        assert_eq!(kind(json!("a\u{0}b\n")), "ab");
        assert_eq!(kind(json!("é".repeat(100))), "é".repeat(32));
        assert_eq!(kind(json!(format!("x{}", "é".repeat(100)))), format!("x{}", "é".repeat(31)));
    }

    #[test]
    fn no_key_survives_wherever_it_stands() {
        let mut value = edited();
        value["user"]["name"] = json!("2-1muC7xQRVUXg");
        value["links"] =
            json!({"https://c.example/rooms/7/2-1muC7xQRVUXg/messages?x": ["/rooms/7/9-otherBOTkey1"]});
        value["token"] = json!("2-1muC7xQRVUXg");
        let mut happened = happened(&value);
        let paths = serde_json::to_string(&happened).unwrap();
        assert!(!paths.contains("otherBOTkey1"), "{paths}");
        assert!(!paths.contains("/2-1muC7xQRVUXg"), "{paths}");
        happened.redact("2-1muC7xQRVUXg");
        let kept = format!("{happened:?}{}", serde_json::to_string(&happened).unwrap());
        assert!(!kept.contains("1muC7xQRVUXg"), "{kept}");
        assert!(serde_json::from_str::<serde_json::Value>(&happened.payload).is_ok());
    }

    #[test]
    fn a_key_that_is_written_with_escapes_is_covered_too() {
        let body = br#"{"event":"x","room":{"id":7,"path":"\/rooms\/7\/2-\u0031muC7xQRVUXg\/messages"}}"#;
        let Webhook::Occurrence(happened) = parse(body).unwrap() else { panic!() };
        assert_eq!(happened.payload.matches(COVER).count(), 1, "{}", happened.payload);
        assert!(!happened.payload.contains("muC7xQRVUXg"));
    }

    #[test]
    fn only_what_looks_like_a_key_is_covered() {
        for plain in [
            "",
            "/rooms/",
            "/rooms/7",
            "/rooms/7/",
            "/rooms/7/@42",
            "/rooms/7/2-",
            "/rooms/x/2-abc",
            "é/rooms/7/é",
        ] {
            assert_eq!(cover_keys(plain), plain);
        }
        assert_eq!(cover_keys("/rooms/rooms/7/2-abc/rooms/8/3-d"), "/rooms/rooms/7/2-abc/rooms/8/****");
        assert_eq!(cover_keys("a/rooms/7/2-abc/rooms/8/3-d!"), "a/rooms/7/****/rooms/8/****!");
    }

    #[test]
    fn the_same_told_again_hashes_alike_and_anything_else_does_not() {
        let hash = |value: &serde_json::Value| happened(value).content_hash();
        let mut later = edited();
        later["at"] = json!(2);
        assert_eq!(hash(&edited()), hash(&edited()));
        assert_ne!(hash(&edited()), hash(&later));
    }
}
