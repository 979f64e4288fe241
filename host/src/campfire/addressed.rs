//! Whether a message in a room's history was one for the bot, and what its webhook would have said.
//!
//! Campfire tells a bot of a message that somebody else wrote in a direct room, or that really mentions the bot. Here
//! messages of bots are never for the bot: two bots that read each other's histories would never come to an end.
//!
//! A mention is signed, and only Campfire can check that, so a forged one passes here. Whoever forges one could as well
//! have made a real one.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    Incoming, PastMessage, Place, Said,
    parse::parse,
    payload::MESSAGE,
    tree::{Element, MENTION, Node},
};
use crate::id::UserId;

/// What stands before the id of a user in a signed id.
const USER: &str = "gid://campfire/User/";

/// Somebody who is mentioned.
#[derive(Debug, PartialEq, Eq)]
struct Mention {
    user: UserId,
    /// The name that is shown; empty if that is not in the message.
    label: String,
}

/// The message as it would have come in, if it is one for the bot. `own_name` is what the bot is called in this
/// Campfire, if that is known.
pub fn addressed(
    message: &PastMessage,
    room: &Place,
    bot: UserId,
    own_name: Option<&str>,
) -> Option<Incoming> {
    if message.by_bot || message.author.id == bot {
        return None;
    }
    let mut mentions = mentions(&parse(message.html.as_deref().unwrap_or_default()));
    mentions.retain(|mention| mention.user == bot);
    if room.name.is_some() && mentions.is_empty() {
        return None;
    }
    let mut text = message.text.clone();
    for name in mentions.iter().map(|mention| mention.label.as_str()).chain(own_name) {
        if !name.is_empty() {
            text = text.replace(&format!("@{name}"), "");
        }
    }
    Some(Incoming {
        kind: MESSAGE.to_owned(),
        user: message.author.clone(),
        room: room.clone(),
        message: Said { id: message.id, text: text.trim().to_owned(), html: message.html.clone() },
    })
}

fn mentions(nodes: &[Node]) -> Vec<Mention> {
    nodes
        .iter()
        .flat_map(|node| match node {
            Node::Text(_) => Vec::new(),
            Node::Element(element) if element.name == MENTION => mention(element).into_iter().collect(),
            Node::Element(element) => mentions(&element.children),
        })
        .collect()
}

fn mention(element: &Element) -> Option<Mention> {
    let (document, _) = element.attribute("sgid")?.split_once("--")?;
    let document = BASE64_STANDARD.decode(document).ok()?;
    let document = String::from_utf8_lossy(&document);
    let (_, id) = document.split_once(USER)?;
    let digits = id.bytes().take_while(u8::is_ascii_digit).count();
    let mut label = String::new();
    text(&parse(element.attribute("content").unwrap_or_default()), &mut label);
    Some(Mention { user: UserId(id[..digits].parse().ok()?), label: label.trim().to_owned() })
}

/// The text alone: an avatar's replacement would say the name twice.
fn text(nodes: &[Node], found: &mut String) {
    for node in nodes {
        match node {
            Node::Text(own) => found.push_str(own),
            Node::Element(element) => text(&element.children, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        campfire::{Person, Webhook},
        id::{MessageId, RoomId, Timestamp},
    };

    const BOT: UserId = UserId(2);

    /// A recorded webhook, and the same message as the history has it.
    fn recorded(name: &str) -> (Incoming, PastMessage) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/campfire/");
        let text = std::fs::read_to_string(format!("{path}{name}.json")).unwrap();
        let request: Value = serde_json::from_str(&text).unwrap();
        let Ok(Webhook::Message(incoming)) =
            crate::campfire::parse(request["body_raw"].as_str().unwrap().as_bytes())
        else {
            panic!("{name} is no message")
        };
        let past = PastMessage {
            id: incoming.message.id,
            author: incoming.user.clone(),
            by_bot: false,
            text: incoming.message.text.clone(),
            html: incoming.message.html.clone(),
            created_at: Timestamp(0),
        };
        (*incoming, past)
    }

    fn said(html: &str) -> PastMessage {
        PastMessage {
            id: MessageId(1),
            author: Person { id: UserId(1), name: "Ann".into() },
            by_bot: false,
            text: "hi".into(),
            html: Some(html.into()),
            created_at: Timestamp(0),
        }
    }

    fn hall() -> Place {
        Place { id: RoomId(1), name: Some("All Talk".into()) }
    }

    #[test]
    fn a_mention_is_read_as_its_webhook_told_it() {
        let (incoming, mut past) = recorded("payload-mention");
        past.text = format!("@Helper Bot {} @Helper Bot", past.text);
        assert_eq!(addressed(&past, &incoming.room, BOT, None), Some(incoming.clone()));
        assert_eq!(addressed(&past, &incoming.room, UserId(3), None), None, "another bot");
        assert_eq!(addressed(&past, &incoming.room, UserId(22), None), None);
    }

    #[test]
    fn in_a_direct_room_every_message_is_for_the_bot() {
        let (incoming, mut past) = recorded("payload-direct");
        assert_eq!(addressed(&past, &incoming.room, BOT, None), Some(incoming.clone()));
        assert_eq!(addressed(&past, &hall(), BOT, None), None, "elsewhere it must be mentioned");
        past.html = None;
        past.text = "report.pdf".into();
        assert_eq!(addressed(&past, &incoming.room, BOT, None).unwrap().message.text, "report.pdf");
        past.text = " \u{a0}@Helper is that you, @Helper?\n".into();
        let told = addressed(&past, &incoming.room, BOT, Some("Helper")).unwrap();
        assert_eq!(told.message.text, "is that you, ?");
    }

    #[test]
    fn what_the_bot_or_another_bot_wrote_is_for_nobody() {
        let (incoming, past) = recorded("payload-direct");
        assert_eq!(addressed(&PastMessage { by_bot: true, ..past.clone() }, &incoming.room, BOT, None), None);
        let own = PastMessage { author: Person { id: BOT, name: "Helper".into() }, ..past };
        assert_eq!(addressed(&own, &incoming.room, BOT, None), None);
    }

    #[test]
    fn what_only_looks_like_a_mention_is_none() {
        let mention = |sgid: &str| {
            format!(
                "<action-text-attachment sgid=\"{sgid}\" content-type=\"application/vnd.campfire.mention\">"
            )
        };
        let document = |text: &str| BASE64_STANDARD.encode(text);
        let real = format!("{}--0a", document("{\"data\":\"gid://campfire/User/2?expires_in\"}"));
        assert!(addressed(&said(&mention(&real)), &hall(), BOT, None).is_some());
        for html in [
            "@Helper".to_owned(),
            mention(&document("gid://campfire/User/2")),
            mention("%%%--0a"),
            mention(&format!("{}--0a", document("gid://campfire/User/"))),
            mention(&format!("{}--0a", document("gid://campfire/Room/2"))),
            mention(&format!("{}--0a", document("gid://campfire/User/99999999999999999999"))),
            mention(&real).replace("vnd.campfire.mention", "x"),
        ] {
            assert_eq!(addressed(&said(&html), &hall(), BOT, None), None, "{html}");
        }
    }
}
