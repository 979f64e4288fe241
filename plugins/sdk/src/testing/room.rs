//! Rooms with what was said in them, on a server that is as new as the test says.

use std::collections::{BTreeMap, VecDeque};

use super::{Action, bounds, world::Turn};
use crate::{
    Part, Sent, Timestamp, User,
    bindings::hearth::bot::campfire::{CampfireError, CampfireErrorKind, PastMessage, Query},
};

/// Messages that one request to Campfire brings.
const PAGE: usize = 40;
const MOST_MESSAGES: u32 = 200;
const REQUESTS_A_MINUTE: usize = 60;

/// The rooms of a Campfire.
#[derive(Debug)]
pub(crate) struct Rooms {
    said: BTreeMap<u64, Vec<PastMessage>>,
    last_id: u64,
    pub(crate) older_server: bool,
    pub(crate) actions: Vec<Action>,
    /// When the bot asked for something, by room, over the last minute.
    requests: BTreeMap<u64, VecDeque<Timestamp>>,
}

/// One of them, during a turn.
pub(crate) struct Here<'a> {
    rooms: &'a mut Rooms,
    turn: Turn,
    now: Timestamp,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            said: BTreeMap::new(),
            last_id: 41,
            older_server: false,
            actions: Vec::new(),
            requests: BTreeMap::new(),
        }
    }
}

type Answer<T> = Result<T, CampfireError>;

fn refused<T>(kind: CampfireErrorKind, message: &str) -> Answer<T> {
    Err(CampfireError { kind, sent: Sent::No, message: message.to_owned(), attributes: Vec::new() })
}

// === impl Rooms ===

impl Rooms {
    pub(crate) fn here(&mut self, turn: Turn, now: Timestamp) -> Here<'_> {
        Here { rooms: self, turn, now }
    }

    /// An id that no message has had.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Something is said in a room.
    pub(crate) fn add(&mut self, room: u64, message: PastMessage) {
        self.last_id = self.last_id.max(message.id);
        let messages = self.said.entry(room).or_default();
        messages.retain(|other| other.id != message.id);
        messages.push(message);
        messages.sort_by_key(|message| message.id);
    }

    /// The bot posts something; answers its id if that makes a message.
    pub(crate) fn add_own(&mut self, room: u64, part: &Part, now: Timestamp) -> Option<u64> {
        let (text, html) = content(part)?;
        let id = self.next_id();
        let author = User { id: 99, name: "Bot".to_owned(), attributes: Vec::new() };
        let created_at = now;
        self.add(
            room,
            PastMessage { id, author, mine: true, text, html, created_at, attributes: Vec::new() },
        );
        Some(id)
    }
}

/// What a part is as a message: its text, and its HTML if it has any. None for a boost.
fn content(part: &Part) -> Option<(String, Option<String>)> {
    match part {
        Part::Markdown(text) | Part::Text(text) => Some((text.clone(), None)),
        Part::Html(html) => Some((html.clone(), Some(html.clone()))),
        Part::File(file) => Some((file.name.clone(), None)),
        Part::Sound(name) => Some((format!("/play {name}"), None)),
        Part::Boost(_) => None,
    }
}

fn check(part: &Part) -> Answer<()> {
    match part {
        Part::Markdown(text) | Part::Html(text) | Part::Text(text) if text.trim().is_empty() => {
            refused(CampfireErrorKind::Invalid, "a text is not empty")
        }
        _ => valid(bounds::check_part(part)),
    }
}

fn valid(checked: Result<(), bounds::Refused>) -> Answer<()> {
    checked.or_else(|problem| refused(CampfireErrorKind::Invalid, problem))
}

// === impl Here ===

impl Here<'_> {
    pub(crate) fn history(&mut self, query: &Query) -> Answer<Vec<PastMessage>> {
        self.check_server("history")?;
        if !(1..=MOST_MESSAGES).contains(&query.limit) || (query.before.is_some() && query.after.is_some()) {
            return refused(
                CampfireErrorKind::Invalid,
                "a query is for 1 to 200 messages, before one or after one, not both",
            );
        }
        let all = self.rooms.said.get(&self.turn.room).map_or(&[][..], Vec::as_slice);
        let from = query.after.map_or(0, |after| all.partition_point(|message| message.id <= after));
        let to = query.before.map_or(all.len(), |before| all.partition_point(|message| message.id < before));
        let limit = query.limit as usize;
        let found = match query.after {
            Some(_) => &all[from..to.min(from + limit)],
            None => &all[to.saturating_sub(limit)..to],
        };
        let found = found.to_vec();
        self.count(found.len().div_ceil(PAGE).max(1))?;
        Ok(found)
    }

    pub(crate) fn post(&mut self, part: &Part) -> Answer<Option<u64>> {
        check(part)?;
        if let Part::Boost(text) = part {
            return match self.turn.message {
                Some(message) => self.boost(message, text).map(|()| None),
                None => refused(CampfireErrorKind::Invalid, "the turn is not about a message to boost"),
            };
        }
        self.count(1)?;
        let message = self.rooms.add_own(self.turn.room, part, self.now);
        self.rooms.actions.push(Action::Posted { message, part: part.clone() });
        Ok(message)
    }

    pub(crate) fn edit(&mut self, message: u64, part: &Part) -> Answer<()> {
        self.check_server("editing")?;
        check(part)?;
        let (Part::Markdown(_) | Part::Html(_) | Part::Text(_), Some((text, html))) = (part, content(part))
        else {
            return refused(CampfireErrorKind::Invalid, "a message is replaced by markdown, HTML or a text");
        };
        self.count(1)?;
        let own = self.messages().iter_mut().find(|other| other.id == message && other.mine);
        let Some(own) = own else {
            return refused(CampfireErrorKind::NotFound, "the bot has no such message");
        };
        (own.text, own.html) = (text, html);
        self.rooms.actions.push(Action::Edited { message, part: part.clone() });
        Ok(())
    }

    pub(crate) fn remove(&mut self, message: u64) -> Answer<()> {
        self.check_server("editing")?;
        self.count(1)?;
        let messages = self.messages();
        let Some(at) = messages.iter().position(|other| other.id == message && other.mine) else {
            return refused(CampfireErrorKind::NotFound, "the bot has no such message");
        };
        messages.remove(at);
        self.rooms.actions.push(Action::Removed { message });
        Ok(())
    }

    pub(crate) fn boost(&mut self, message: u64, text: &str) -> Answer<()> {
        self.check_server("boosts")?;
        valid(bounds::check_boost(text))?;
        self.count(1)?;
        if !self.messages().iter().any(|other| other.id == message) {
            return refused(CampfireErrorKind::NotFound, "there is no such message in this room");
        }
        self.rooms.actions.push(Action::Boosted { message, reaction: text.to_owned() });
        Ok(())
    }

    fn messages(&mut self) -> &mut Vec<PastMessage> {
        self.rooms.said.entry(self.turn.room).or_default()
    }

    fn check_server(&self, feature: &str) -> Answer<()> {
        if self.rooms.older_server {
            return refused(
                CampfireErrorKind::Unsupported,
                &format!("this Campfire is too old: it has no {feature}"),
            );
        }
        Ok(())
    }

    fn count(&mut self, requests: usize) -> Answer<()> {
        let counted = self.rooms.requests.entry(self.turn.room).or_default();
        let minute_ago = self.now.saturating_sub(60_000);
        counted.retain(|at| *at > minute_ago);
        if counted.len() + requests > REQUESTS_A_MINUTE {
            return refused(CampfireErrorKind::RateLimited, "a bot has 60 requests a minute in a room");
        }
        counted.extend(std::iter::repeat_n(self.now, requests));
        Ok(())
    }
}
