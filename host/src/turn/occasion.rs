//! What a turn is about, as the inbox keeps it and as a plugin is told of it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    campfire::{Happened, Incoming, Person, Place, Said},
    config::Bot,
    id::{MessageId, RoomId, Timestamp},
    plugin::{Cause, Event, Message, Occurrence, Room, Timer, TimerOrigin, User},
};

/// What a lane holds. Written to the inbox as JSON and read again by later versions: variants and fields may be added,
/// never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A time has come.
    Timer(Come),
    /// Something else than a message happened.
    Occurrence(Happened),
    /// Someone wrote something. It has no tag: the first inboxes held nothing else.
    #[serde(untagged)]
    Message(Incoming),
}

/// A time that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Come {
    /// Where.
    pub room: RoomId,
    /// What it was set under.
    pub name: String,
    /// What was kept with it.
    pub payload: String,
    /// Who set it.
    pub origin: Origin,
    /// When it was to come.
    pub due_at: Timestamp,
}

/// Who sets times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The plugin.
    Plugin,
    /// The operator, in bots.toml.
    Operator,
}

// === impl Occasion ===

impl Occasion {
    /// Where it is.
    pub(super) fn room(&self) -> RoomId {
        match self {
            Self::Message(incoming) => incoming.room.id,
            Self::Timer(come) => come.room,
            Self::Occurrence(happened) => happened.room.id,
        }
    }

    /// The message that is answered, if it is one.
    pub(super) fn trigger(&self) -> Option<MessageId> {
        match self {
            Self::Message(incoming) => Some(incoming.message.id),
            Self::Timer(_) | Self::Occurrence(_) => None,
        }
    }

    /// Whether it matters only to plugins that ask for it, so that nobody is told where there is none.
    pub(super) fn may_be_missed(&self) -> bool {
        matches!(self, Self::Occurrence(_))
    }

    /// For the journal.
    pub(super) fn about(&self) -> serde_json::Value {
        match self {
            Self::Message(incoming) => json!({ "kind": "message", "message": incoming.message.id }),
            Self::Timer(come) => json!({
                "kind": "timer", "name": come.name, "origin": come.origin, "due-at": come.due_at,
            }),
            Self::Occurrence(happened) => json!({ "kind": "occurrence", "name": happened.kind }),
        }
    }

    /// The same in the plugins' words.
    pub(super) fn cause(self, bot: &Bot, received_at: Timestamp) -> Cause {
        let (bot, received_at) = (bot.name.to_string(), timestamp(received_at));
        match self {
            Self::Message(incoming) => Cause::Message(Event {
                bot,
                user: user(incoming.user),
                room: room(incoming.room),
                message: message(incoming.message),
                received_at,
                attributes: Vec::new(),
            }),
            Self::Timer(come) => Cause::Timer(Timer {
                bot,
                room: Room { id: come.room.0, name: None, attributes: Vec::new() },
                name: come.name,
                payload: come.payload,
                origin: match come.origin {
                    Origin::Plugin => TimerOrigin::Plugin,
                    Origin::Operator => TimerOrigin::Operator,
                },
                due_at: timestamp(come.due_at),
                received_at,
                attributes: Vec::new(),
            }),
            Self::Occurrence(happened) => Cause::Occurrence(Occurrence {
                bot,
                kind: happened.kind,
                room: room(happened.room),
                user: happened.user.map(user),
                message: happened.message.map(message),
                payload: happened.payload,
                received_at,
                attributes: Vec::new(),
            }),
        }
    }
}

fn user(person: Person) -> User {
    User { id: person.id.0, name: person.name, attributes: Vec::new() }
}

fn room(place: Place) -> Room {
    Room { id: place.id.0, name: place.name, attributes: Vec::new() }
}

fn message(said: Said) -> Message {
    Message { id: said.id.0, text: said.text, html: said.html, attributes: Vec::new() }
}

/// The interface counts from 1970; what was before is then.
fn timestamp(time: Timestamp) -> u64 {
    u64::try_from(time.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn bot() -> std::sync::Arc<Bot> {
        let config = Config::parse("bots.toml".as_ref(), "bots.a.plugin = 'a'", &|_| None).unwrap();
        config.bots.into_values().next().unwrap()
    }

    fn kept(occasion: &Occasion) -> Occasion {
        serde_json::from_str(&serde_json::to_string(occasion).unwrap()).unwrap()
    }

    #[test]
    fn a_message_that_an_earlier_hearth_kept_is_read() {
        let row = r#"{"kind":"message","user":{"id":1,"name":"Ann"},"room":{"id":2,"name":null},"message":{"id":3,"text":"hi","html":null}}"#;
        let occasion: Occasion = serde_json::from_str(row).unwrap();
        assert_eq!((occasion.room(), occasion.trigger()), (RoomId(2), Some(MessageId(3))));
        assert_eq!(serde_json::to_string(&occasion).unwrap(), row, "and written as it was");
        let Cause::Message(event) = occasion.cause(&bot(), Timestamp(7)) else { panic!() };
        assert_eq!((event.bot.as_str(), event.user.name.as_str()), ("a", "Ann"));
        assert_eq!((event.message.text.as_str(), event.received_at), ("hi", 7));
    }

    #[test]
    fn a_time_that_has_come_is_kept_and_told() {
        let come = Come {
            room: RoomId(2),
            name: "x".into(),
            payload: "{}".into(),
            origin: Origin::Operator,
            due_at: Timestamp(5),
        };
        let occasion = kept(&Occasion::Timer(come.clone()));
        assert_eq!(occasion, Occasion::Timer(come));
        assert_eq!((occasion.room(), occasion.trigger()), (RoomId(2), None));
        let Cause::Timer(timer) = occasion.cause(&bot(), Timestamp(7)) else { panic!() };
        assert_eq!((timer.room.id, timer.name.as_str(), timer.payload.as_str()), (2, "x", "{}"));
        assert_eq!((timer.due_at, timer.received_at), (5, 7));
        assert_eq!(timer.origin, TimerOrigin::Operator);
    }

    #[test]
    fn what_else_happened_is_kept_and_told() {
        let happened = Happened {
            kind: "timer".into(),
            room: Place { id: RoomId(2), name: Some("Talk".into()) },
            user: None,
            message: Some(Said { id: MessageId(3), text: "hi".into(), html: None }),
            payload: r#"{"kind":"message"}"#.into(),
        };
        let occasion = kept(&Occasion::Occurrence(happened.clone()));
        assert_eq!(occasion, Occasion::Occurrence(happened));
        assert_eq!(occasion.trigger(), None, "it is not the message that is answered");
        let Cause::Occurrence(occurrence) = occasion.cause(&bot(), Timestamp(7)) else { panic!() };
        assert_eq!((occurrence.kind.as_str(), occurrence.message.unwrap().id), ("timer", 3));
    }

    #[test]
    fn what_is_none_of_these_is_refused() {
        for broken in ["{}", "7", r#"{"later":{}}"#, r#"{"timer":{"room":1}}"#] {
            assert!(serde_json::from_str::<Occasion>(broken).is_err(), "{broken}");
        }
    }
}
