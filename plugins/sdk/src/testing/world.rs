//! All that a plugin can reach during a call, and what it has left behind there.

use serde_json::Value;

use super::{
    room::{Here, Rooms},
    samples::BEGINNING,
    store::{Keys, Store},
    timers::{TimersHere, Timetable},
    web::Web,
};
use crate::{
    Capability, Sent, Timestamp,
    bindings::hearth::bot::{
        campfire::{CampfireError, CampfireErrorKind},
        http::{HttpError, HttpErrorKind},
        kv::{KvError, KvErrorKind, Scope},
        schedule::{ScheduleError, ScheduleErrorKind},
    },
    log::Level,
};

/// As many lines as the host takes of one call, unless the bot's limits say otherwise.
const MOST_LINES: usize = 100;
/// What is kept of a line.
const LONGEST_LINE: usize = 4 << 10;

/// What a harness keeps from one call to the next.
pub(crate) struct World {
    pub(crate) settings: Value,
    /// What the bot asks for and the operator grants.
    pub(crate) granted: Vec<Capability>,
    pub(crate) now: Timestamp,
    pub(crate) lines: Vec<(Level, String)>,
    lines_of_this_call: usize,
    pub(crate) store: Store,
    pub(crate) web: Web,
    pub(crate) rooms: Rooms,
    pub(crate) timetable: Timetable,
    /// What the turn is about; none while the plugin is loaded, when nothing can be reached.
    turn: Option<Turn>,
}

/// As much of what a turn is about as the host needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) room: u64,
    pub(crate) message: Option<u64>,
    pub(crate) received_at: Timestamp,
}

impl Default for World {
    fn default() -> Self {
        Self {
            settings: Value::Object(serde_json::Map::new()),
            granted: Vec::new(),
            now: BEGINNING,
            lines: Vec::new(),
            lines_of_this_call: 0,
            store: Store::default(),
            web: Web::default(),
            rooms: Rooms::default(),
            timetable: Timetable::default(),
            turn: None,
        }
    }
}

// === impl World ===

impl World {
    /// A call begins.
    pub(crate) fn begin(&mut self, turn: Option<Turn>) {
        self.turn = turn;
        self.lines_of_this_call = 0;
    }

    pub(crate) fn write_log(&mut self, level: Level, message: &str) {
        self.lines_of_this_call += 1;
        if self.lines_of_this_call <= MOST_LINES {
            self.lines.push((level, kept(message)));
        }
    }

    pub(crate) fn clock(&self) -> Timestamp {
        match self.reach(Capability::Clock) {
            Ok(_) => self.now,
            Err(_) => self.turn.map_or(0, |turn| turn.received_at),
        }
    }

    pub(crate) fn keys(&mut self, scope: Scope) -> Result<Keys<'_>, KvError> {
        let turn = self.reach(Capability::Kv).map_err(|message| {
            let kind = KvErrorKind::Denied;
            KvError { kind, message, attributes: Vec::new() }
        })?;
        Ok(self.store.keys(match scope {
            Scope::Bot => None,
            Scope::Room => Some(turn.room),
        }))
    }

    pub(crate) fn web(&mut self) -> Result<&mut Web, HttpError> {
        match self.reach(Capability::Http) {
            Ok(_) => Ok(&mut self.web),
            Err(message) => Err(HttpError {
                kind: HttpErrorKind::Denied,
                sent: Sent::No,
                message,
                attributes: Vec::new(),
            }),
        }
    }

    pub(crate) fn here(&mut self) -> Result<Here<'_>, CampfireError> {
        let turn = self.reach(Capability::Campfire).map_err(|message| {
            let kind = CampfireErrorKind::Denied;
            CampfireError { kind, sent: Sent::No, message, attributes: Vec::new() }
        })?;
        Ok(self.rooms.here(turn, self.now))
    }

    pub(crate) fn timers_here(&mut self) -> Result<TimersHere<'_>, ScheduleError> {
        let turn = self.reach(Capability::Schedule).map_err(|message| {
            let kind = ScheduleErrorKind::Denied;
            ScheduleError { kind, message, attributes: Vec::new() }
        })?;
        Ok(self.timetable.here(turn.room, self.now))
    }

    /// The turn, if this can be reached in it; else why not.
    fn reach(&self, capability: Capability) -> Result<Turn, String> {
        self.turn.filter(|_| self.granted.contains(&capability)).ok_or_else(|| {
            format!(
                "`{}` is denied: the plugin must name it in `wants`, and the bot must grant it in bots.toml",
                word(capability)
            )
        })
    }
}

/// A line as the host keeps it: cut with an ellipsis where something is missing.
fn kept(line: &str) -> String {
    if line.len() <= LONGEST_LINE {
        return line.to_owned();
    }
    let shown = line.floor_char_boundary(LONGEST_LINE - '…'.len_utf8());
    format!("{}…", &line[..shown])
}

/// The word for it in bots.toml.
pub(crate) fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::Kv => "kv",
        Capability::Http => "http",
        Capability::Campfire => "campfire",
        Capability::Schedule => "schedule",
        Capability::Clock => "clock",
    }
}
