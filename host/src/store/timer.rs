//! Times that come: what the store keeps of them, and how one becomes an event.

use crate::id::{LaneKey, Timestamp};

/// How many timers a bot may have in a room.
pub const TIMERS_PER_ROOM: u64 = 100;
/// How many timers a bot may have in all its rooms together.
pub const TIMERS_PER_BOT: u64 = 1_000;

/// A timer that a plugin has set and that has not come yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// The lane that it will come in.
    pub lane: LaneKey,
    /// What tells it from the lane's others.
    pub name: String,
    /// Changes whenever a timer is set, and never comes back.
    pub version: u64,
    /// When it is to come.
    pub due_at: Timestamp,
    /// What is kept with it.
    pub payload: String,
}

/// One of the operator's timers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CronKey {
    /// Whose.
    pub bot: crate::id::BotName,
    /// Its name in bots.toml.
    pub name: String,
}

/// A time that has come, to be turned into an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A plugin's timer, as it was read.
    Timer(Timer),
    /// One of the operator's, for this time.
    Cron(CronKey, Timestamp),
}

/// What became of a time that had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// Its event waits in its lane.
    Fresh,
    /// Another host was faster, or it was cancelled or set anew. Nothing was stored.
    Gone,
    /// Its lane is full. Nothing was stored; it is as due as it was.
    Full,
}
