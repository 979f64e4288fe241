//! What happens in tests: change what a test is about.

use crate::{
    Answer, Event, Failure, FailureKind, Message, Occurrence, Outcome, Progress, Room, Timer, TimerOrigin,
    Timestamp, User,
};

/// When samples happen: 2026-01-01T00:00:00Z, where a harness's clock begins.
pub(crate) const BEGINNING: Timestamp = 1_767_225_600_000;

/// Ann writes this to the bot `bot` in the room "All Talk".
pub fn event(text: &str) -> Event {
    Event {
        bot: "bot".to_owned(),
        user: user(1, "Ann"),
        room: room(),
        message: Message {
            id: 42,
            text: text.to_owned(),
            html: Some(format!("<div>{}</div>", text.replace('&', "&amp;").replace('<', "&lt;"))),
            attributes: Vec::new(),
        },
        received_at: BEGINNING,
        attributes: Vec::new(),
    }
}

/// A time that the operator set in bots.toml has come, in the room "All Talk".
pub fn timer(name: &str, payload: &str) -> Timer {
    Timer {
        bot: "bot".to_owned(),
        room: Room { name: None, ..room() },
        name: name.to_owned(),
        payload: payload.to_owned(),
        origin: TimerOrigin::Operator,
        due_at: BEGINNING,
        received_at: BEGINNING,
        attributes: Vec::new(),
    }
}

/// Ann did something of this kind in the room "All Talk".
pub fn occurrence(kind: &str) -> Occurrence {
    Occurrence {
        bot: "bot".to_owned(),
        kind: kind.to_owned(),
        room: room(),
        user: Some(user(1, "Ann")),
        message: None,
        payload: "{}".to_owned(),
        received_at: BEGINNING,
        attributes: Vec::new(),
    }
}

/// The agent answered this, in one turn and for nothing.
pub fn completed(text: &str) -> Outcome {
    Outcome::Completed(Answer {
        text: text.to_owned(),
        turns: 1,
        cost_usd: Some(0.0),
        memory_lost: false,
        attributes: Vec::new(),
    })
}

/// The agent gave no answer, and the host has this sentence for it.
pub fn failed(kind: FailureKind, sentence: &str) -> Outcome {
    Outcome::Failed(Failure { kind, sentence: sentence.to_owned(), attributes: Vec::new() })
}

/// The agent has worked for a second and has come this far with its answer.
pub fn progress(text: &str) -> Progress {
    Progress {
        elapsed: 1000,
        text: text.to_owned(),
        steps: Vec::new(),
        retrying: false,
        attributes: Vec::new(),
    }
}

pub(crate) fn user(id: u64, name: &str) -> User {
    User { id, name: name.to_owned(), attributes: Vec::new() }
}

fn room() -> Room {
    Room { id: 7, name: Some("All Talk".to_owned()), attributes: Vec::new() }
}
