//! Timers that come when the test moves the clock.

use std::collections::BTreeMap;

use crate::{
    Timestamp,
    bindings::hearth::bot::schedule::{Pending, ScheduleError, ScheduleErrorKind},
};

const LONGEST_NAME: usize = 128;
const LONGEST_PAYLOAD: usize = 4 << 10;
const FARTHEST: Timestamp = 366 * 24 * 60 * 60 * 1000;
const MOST_IN_A_ROOM: usize = 100;
const MOST: usize = 1000;

/// All timers of a bot, by room and name.
#[derive(Debug, Default)]
pub(crate) struct Timetable(BTreeMap<(u64, String), Pending>);

/// Those of one room.
pub(crate) struct TimersHere<'a> {
    timetable: &'a mut Timetable,
    room: u64,
    now: Timestamp,
}

// === impl Timetable ===

impl Timetable {
    pub(crate) fn here(&mut self, room: u64, now: Timestamp) -> TimersHere<'_> {
        TimersHere { timetable: self, room, now }
    }

    /// Takes out the one that comes next, with its room, if it comes until then.
    pub(crate) fn take_due(&mut self, until: Timestamp) -> Option<(u64, Pending)> {
        let (key, _) = self.0.iter().min_by_key(|(_, pending)| pending.due_at)?;
        let (room, _) = key;
        let (room, key) = (*room, key.clone());
        (self.0[&key].due_at <= until).then(|| self.0.remove(&key)).flatten().map(|pending| (room, pending))
    }

    /// All of them, the next one first.
    pub(crate) fn list(&self) -> Vec<Pending> {
        sorted(self.0.values())
    }
}

fn sorted<'a>(pending: impl Iterator<Item = &'a Pending>) -> Vec<Pending> {
    let mut pending: Vec<Pending> = pending.cloned().collect();
    pending.sort_by_key(|pending| pending.due_at);
    pending
}

// === impl TimersHere ===

impl TimersHere<'_> {
    pub(crate) fn set(&mut self, name: &str, due_at: Timestamp, payload: &str) -> Result<(), ScheduleError> {
        let refused = |kind, message: &str| {
            Err(ScheduleError { kind, message: message.to_owned(), attributes: Vec::new() })
        };
        if !(1..=LONGEST_NAME).contains(&name.len()) {
            return refused(ScheduleErrorKind::Invalid, "a timer's name has 1 to 128 bytes");
        }
        if payload.len() > LONGEST_PAYLOAD {
            return refused(ScheduleErrorKind::Invalid, "a timer's payload has at most 4 KiB");
        }
        if due_at > self.now.saturating_add(FARTHEST) {
            return refused(ScheduleErrorKind::Invalid, "a timer is at most 366 days away");
        }
        let key = (self.room, name.to_owned());
        if !self.timetable.0.contains_key(&key) {
            if self.timetable.0.keys().filter(|(room, _)| *room == self.room).count() == MOST_IN_A_ROOM {
                return refused(ScheduleErrorKind::Quota, "a room has at most 100 timers of a bot");
            }
            if self.timetable.0.len() == MOST {
                return refused(ScheduleErrorKind::Quota, "a bot has at most 1,000 timers");
            }
        }
        let (name, payload) = (name.to_owned(), payload.to_owned());
        self.timetable.0.insert(key, Pending { name, due_at, payload, attributes: Vec::new() });
        Ok(())
    }

    pub(crate) fn cancel(&mut self, name: &str) -> bool {
        self.timetable.0.remove(&(self.room, name.to_owned())).is_some()
    }

    pub(crate) fn list(&self) -> Vec<Pending> {
        sorted(
            self.timetable.0.iter().filter(|((room, _), _)| *room == self.room).map(|(_, pending)| pending),
        )
    }
}
