//! A room's messages as Campfire tells them, read without trust.
//!
//! - Messages come in the order of their ids, each once, and all of them lie within the span that was asked for.
//! - No text holds NUL, which a plugin's text does not take.
//! - The `Link` header is not read: it holds the bot's key. Where the next page begins is told by the messages.
//!
//! What is no message (no id, no author, no time) is passed over. What is no list of anything is
//! [`RequestError::NotCampfire`].

use std::collections::HashSet;

use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::{super::Person, RequestError};
use crate::id::{MessageId, Timestamp, UserId};

/// How many messages Campfire puts on a page.
pub(super) const PAGE: usize = 40;

/// How many bytes of a page are read.
pub(super) const LIMIT: usize = 8 << 20;

/// The role of a bot.
const BOT: &str = "bot";

/// Which of a room's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The newest.
    Newest,
    /// The newest of those that are older than this one.
    Before(MessageId),
    /// The oldest of those that are newer than this one.
    After(MessageId),
}

/// Up to 40 messages of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub messages: Vec<PastMessage>,
    /// Whether there may be more in the direction of the span.
    pub more: bool,
}

/// A message that is in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// Campfire's id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: Person,
    /// Whether that is a bot.
    pub by_bot: bool,
    /// Without markup; the bot's own name is in it, where a webhook leaves it out.
    pub text: String,
    /// The rich text as Campfire stores it, unsanitised; none for a file.
    pub html: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
}

#[derive(Deserialize)]
struct Item {
    id: MessageId,
    created_at: String,
    body: Option<Body>,
    creator: Creator,
}

#[derive(Deserialize)]
struct Body {
    plain_text: Option<String>,
    html: Option<String>,
}

#[derive(Deserialize)]
struct Creator {
    id: UserId,
    name: Option<String>,
    role: Option<String>,
}

/// Reads a page from an answer, and who of its authors are bots.
pub(super) async fn read(
    mut response: Response,
    span: Span,
) -> Result<(Page, HashSet<UserId>), RequestError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(RequestError::broken)? {
        if body.len() + chunk.len() > LIMIT {
            return Err(RequestError::TooLarge { limit: LIMIT });
        }
        body.extend_from_slice(&chunk);
    }
    page(&body, span).ok_or(RequestError::NotCampfire { status: StatusCode::OK.as_u16() })
}

fn page(body: &[u8], span: Span) -> Option<(Page, HashSet<UserId>)> {
    let items: Vec<Value> = serde_json::from_slice(body).ok()?;
    let bots = items.iter().filter_map(|item| bot(&item["creator"])).collect();
    let more = items.len() >= PAGE;
    let mut strange = 0;
    let mut messages: Vec<PastMessage> = items
        .into_iter()
        .filter_map(|item| {
            let message = serde_json::from_value(item).ok().and_then(said);
            strange += u32::from(message.is_none());
            message
        })
        .filter(|message| span.holds(message.id))
        .collect();
    if strange > 0 {
        tracing::warn!(
            strange,
            "Campfire told of messages without an id, an author or a time; they are passed over"
        );
    }
    messages.sort_by_key(|message| message.id);
    messages.dedup_by_key(|message| message.id);
    Some((Page { messages, more }, bots))
}

impl Span {
    fn holds(self, id: MessageId) -> bool {
        match self {
            Self::Newest => true,
            Self::Before(end) => id < end,
            Self::After(start) => id > start,
        }
    }
}

/// The author, if that is a bot.
fn bot(creator: &Value) -> Option<UserId> {
    (creator["role"] == "bot").then(|| creator["id"].as_u64().map(UserId)).flatten()
}

fn said(item: Item) -> Option<PastMessage> {
    let clean = |text: String| text.replace('\0', "");
    let created_at: jiff::Timestamp = item.created_at.parse().ok()?;
    let (text, html) = item.body.map(|body| (body.plain_text, body.html)).unwrap_or_default();
    Some(PastMessage {
        id: item.id,
        by_bot: item.creator.role.as_deref() == Some(BOT),
        author: Person { id: item.creator.id, name: item.creator.name.map(clean).unwrap_or_default() },
        text: text.map(clean).unwrap_or_default(),
        html: html.map(clean).filter(|html| !html.is_empty()),
        created_at: Timestamp(created_at.as_millisecond()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn item(id: u64) -> Value {
        json!({
            "id": id,
            "created_at": "2026-08-21T10:00:00.250Z",
            "body": { "plain_text": "hi", "html": "<div>hi</div>" },
            "creator": { "id": 1, "name": "Ann", "role": "member", "avatar_url": "/users/1/avatar" },
            "room": { "id": 7 },
            "url": "https://chat.example/rooms/7/@1",
        })
    }

    fn ids(items: &[Value], span: Span) -> Vec<u64> {
        let (page, _) = page(&serde_json::to_vec(items).unwrap(), span).unwrap();
        page.messages.iter().map(|message| message.id.0).collect()
    }

    #[test]
    fn a_message_is_read_with_all_it_has() {
        let (page, _) = page(json!([item(42)]).to_string().as_bytes(), Span::Newest).unwrap();
        let message = PastMessage {
            id: MessageId(42),
            author: Person { id: UserId(1), name: "Ann".into() },
            by_bot: false,
            text: "hi".into(),
            html: Some("<div>hi</div>".into()),
            created_at: Timestamp(1_787_306_400_250),
        };
        assert_eq!(page, Page { messages: vec![message], more: false });
    }

    #[test]
    fn a_message_without_body_or_name_is_still_one() {
        let mut bare = item(42);
        bare["body"] = Value::Null;
        bare["creator"] = json!({ "id": 9, "name": null });
        let mut file = item(43);
        file["body"] = json!({ "plain_text": "a\u{0}.csv", "html": "" });
        let (page, _) = page(json!([bare, file]).to_string().as_bytes(), Span::Newest).unwrap();
        let told: Vec<_> =
            page.messages.iter().map(|m| (&*m.author.name, &*m.text, m.html.as_deref())).collect();
        assert_eq!(told, [("", "", None), ("Ann", "a.csv", None)]);
    }

    #[test]
    fn authors_that_are_bots_are_told() {
        let mut by_bot = item(42);
        by_bot["creator"] = json!({ "id": 9, "name": "helper", "role": "bot" });
        let (_, bots) = page(json!([item(41), by_bot]).to_string().as_bytes(), Span::Newest).unwrap();
        assert_eq!(bots, HashSet::from([UserId(9)]));
    }

    #[test]
    fn what_is_no_message_is_passed_over() {
        let without = |key: &str| {
            let mut item = item(1);
            item.as_object_mut().unwrap().remove(key);
            item
        };
        let strange =
            [without("id"), without("creator"), without("created_at"), json!(null), json!("x"), item(5)];
        assert_eq!(ids(&strange, Span::Newest), [5]);
    }

    #[test]
    fn what_is_no_list_is_not_campfires() {
        for body in ["", "{}", "<html>", "[", "null", "[1] x"] {
            assert_eq!(page(body.as_bytes(), Span::Newest), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_page_lies_within_its_span_in_order_whatever_is_told(
            told in proptest::collection::vec(0_u64..60, 0..50),
            edge in 0_u64..60,
        ) {
            let items: Vec<Value> = told.iter().copied().map(item).collect();
            for span in [Span::Newest, Span::Before(MessageId(edge)), Span::After(MessageId(edge))] {
                let ids = ids(&items, span);
                prop_assert!(ids.is_sorted_by(|a, b| a < b));
                prop_assert!(ids.iter().all(|id| told.contains(id) && span.holds(MessageId(*id))));
            }
        }
    }
}
