//! A plugin in a world that is told to it: the same engine, calls and checks as in a turn, and nothing outside.
//!
//! - What stands in for the host answers where the services would ([`World`]): after it was checked that the bot grants the
//!   call and that the call makes sense. What plugins keep is a store in memory ([`Scratch`]).
//! - Nothing is posted, requested or stored, and no agent is asked.
//! - Each call is an instance of its own, as ever.
//!
//! [`replay`] tells what a turn was told; [`play`] what an author wrote down.

mod check;
mod diff;
mod recorded;
pub mod replay;
mod scene;

use std::{fmt::Write as _, path::Path, sync::Arc};

pub use self::{
    check::Failure,
    diff::{Difference, readable},
    scene::{Ran, play},
};
use crate::{
    config::{
        Bot, Config,
        cases::{Case, Granted},
    },
    id::{MessageId, RoomId, Timestamp},
    plugin::{
        Cause, Reach, Services, World,
        trace::{Piece, Tracer},
    },
    store::Scratch,
};

/// What the bot of a case grants unless it says otherwise: of this, what its plugin asks for.
const GRANTS: [Granted; 5] =
    [Granted::Kv, Granted::Http, Granted::Campfire, Granted::Schedule, Granted::Clock];

/// The bot that a case is about, on this component. It is called as the component is, if a bot can be.
///
/// # Errors
/// What is wrong with what the case says of it.
pub fn bot(component: &Path, case: &Case) -> Result<Arc<Bot>, String> {
    let stem = component.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let fits = |name: &&str| {
        name.len() <= 32
            && !name.starts_with('-')
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let name = Some(stem).filter(|name| !name.is_empty()).filter(fits).unwrap_or("bot");
    let granted = case.grants.as_deref().unwrap_or(&GRANTS);
    let (servers, words): (Vec<Granted>, Vec<Granted>) =
        granted.iter().copied().partition(|granted| *granted == Granted::Http);
    let grants = toml::Value::try_from(words).map_err(|error| error.to_string())?;
    let mut bot = toml::Table::new();
    bot.insert("plugin".into(), component.display().to_string().into());
    bot.insert("grants".into(), grants);
    bot.insert("settings".into(), case.settings.clone().unwrap_or_default().into());
    // That there is one is what is granted; none is reached.
    if !servers.is_empty() {
        bot.insert(
            "http".into(),
            toml::Table::from_iter([("case.example".to_owned(), toml::Table::new().into())]).into(),
        );
    }
    let bots = toml::Table::from_iter([(name.to_owned(), bot.into())]);
    let source = toml::Table::from_iter([("bots".to_owned(), bots.into())]).to_string();
    let config = Config::parse(component, &source, &|_| None).map_err(|problems| {
        problems.iter().fold(String::new(), |mut told, problem| {
            // Writing to a string can't fail.
            let _ = write!(told, "{}{}", if told.is_empty() { "" } else { "; " }, problem.mistake());
            told
        })
    })?;
    config.bots.into_values().next().ok_or_else(|| "there is no bot".to_owned())
}

/// What a call of a plugin reaches here.
fn reach(kept: &Arc<Scratch>, world: Arc<dyn World>, cause: &Cause, tracer: &Tracer) -> Reach {
    let (room, trigger) = match cause {
        Cause::Message(event) => (event.room.id, Some(event.message.id)),
        Cause::Timer(timer) => (timer.room.id, None),
        Cause::Occurrence(occurrence) => (occurrence.room.id, None),
    };
    Reach {
        services: Arc::new(Services::apart(Arc::clone(kept) as _, world)),
        room: RoomId(room),
        target: None,
        trigger: trigger.map(MessageId),
        received_at: received_at(cause),
        tracer: Some(tracer.clone()),
    }
}

/// When the host took it in.
fn received_at(cause: &Cause) -> Timestamp {
    let received_at = match cause {
        Cause::Message(event) => event.received_at,
        Cause::Timer(timer) => timer.received_at,
        Cause::Occurrence(occurrence) => occurrence.received_at,
    };
    Timestamp(received_at.cast_signed())
}

/// The JSON of a piece; null if there was no room for it.
fn value(piece: &Piece) -> serde_json::Value {
    piece.as_ref().and_then(|piece| serde_json::from_str(piece.get()).ok()).unwrap_or_default()
}
