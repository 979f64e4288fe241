//! What must outlive a process: the inbox, the lanes' leases, sessions, the outbox, the journal, timers and the plugins' kv.
//!
//! Invariants, for every implementation:
//! - What `accept` took is handed out by `begin` until `finish`, and is on stable storage once `persist` has returned (as far
//!   as a Redis is set up to, see [`RedisStore`]). So a turn need not wait for the disk, and whoever promises something does.
//! - A lane has one holder at a time. Every write that changes a lane carries its [`Lease`]; one whose fencing token
//!   is no longer current changes nothing and fails with [`StoreError::LeaseLost`].
//! - Events of a lane are handed out in the order they were accepted.
//! - Parts of an event are recorded before the first of them is sent, are sent in order, and each is marked before the
//!   next is sent. So after a crash only the first unmarked part is in doubt; those behind it were not sent.
//! - What was answered by a call is seen by every later one, and survives a killed process. `ask_to_stop`, `record_parts`, a
//!   mark with planned parts behind it, and all that came before any of these, survive a power loss too; the rest may be
//!   undone by one, newest first, and is then only done again. (So a timer that a room was told of is kept: the telling was recorded after it.)
//!
//! - A time that has come becomes an event in one step: it is either still due or in its lane, never both, and whoever
//!   fires it second is told that it is gone.
//!
//! Time comes from the caller. Where hosts share a store, it may go by a clock of its own for leases, and then takes only how
//! long they are from the timestamps that are passed in: hosts' clocks differ.
//!
//! What goes wrong: a call that fails changed nothing. (After a flush that failed, a power loss may bring it back: an
//! event may be answered whose sender was told that it was not taken.) A future that is dropped before it answers leaves open whether
//! the call took place; every call may be repeated (a repeated `finish` says that the event is no longer running).
//!
//! # States
//!
//! What people call the way of a message is stored so: *accepted* is `waiting`, *leased* a lease on its lane; *deciding*
//! (the plugin) and *running* (the agent) are `running` with no part recorded, *posting* is `running` with parts; *done*
//! and *failed* are what they are called, and the last journal row has the reason.
//!
//! Every arrow that is not drawn is refused with [`StoreError::OutOfStep`], and changes nothing. An event:
//!
//! ```text
//!              accept              begin                finish
//!   offered ───────────▶ waiting ─────────▶ running ───────────────▶ done
//!      │                    ▲                │   ▲  └──────────────▶ failed
//!      │ accept,            │                └───┘                    │
//!      ▼ lane full          │                begin (again)            │
//!   refused                 └──────────── retry ──────────────────────┘
//!                              (of a done one: if parts are uncertain, and only anyway)
//! ```
//!
//! A crash leaves `running`; the next holder of the lane begins it again, with `attempt` one higher. So does a host that
//! closes, which says so (`break_off`), and then this was no try. While it runs it is
//! first decided upon, then, once `record_parts` took its answer, posted; it can't be `done` before each part is settled.
//! A part of an answer (each arrow but the last is `mark_part`):
//!
//! ```text
//!                      ┌───────▶ posted
//!   planned ───────────┼───────▶ uncertain ─────────┐
//!    │   ▲             └───────▶ failed ──────────┐ │
//!    ▼   │                         ▲              │ │
//!   unsent ────────────────────────┘              │ │
//!      ▲                                          │ │
//!      └──── retry (uncertain ones: only anyway) ─┴─┘
//! ```
//!
//! To mark a part with what it is changes nothing. `retry` takes a part that was never settled, since its event was
//! given up, for what it is: the first planned one is uncertain, those behind it are unsent.

#[cfg(test)]
mod conformance;
mod insight;
mod kept;
mod oversight;
mod portable;
mod redis;
mod rules;
mod shared;
mod sqlite;
mod timer;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::{
    insight::{Hour, Insight, Queue, SEARCH_BYTES, Spending, TurnQuery},
    kept::Kept,
    oversight::{Conversation, FailedEvent, Forgotten, LISTED, Oversight, Pause, Retried, Retry, Scope},
    portable::{CopyError, Copying, Counters, Kind, Portable, Record, copy, count},
    redis::{RedisCopy, RedisStore},
    shared::{
        Asked, HOSTS, Manner, Mark, PIECES_BYTES, PRESENCE_BYTES, Presence, Shared, Signal, Signals,
        Transcript, Transcripts,
    },
    sqlite::{Backup, Scratch, SqliteCopy, SqliteStore, back_up, refuse_existing},
    timer::{CronKey, Due, Fired, TIMERS_PER_BOT, TIMERS_PER_ROOM, Timer},
};
use crate::id::{BotName, EventId, HostId, LaneKey, MessageId, SessionId, Timestamp, TurnId};

/// An event on its way into the inbox.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Chosen by the host that accepts it.
    pub id: EventId,
    /// The lane that will answer it.
    pub lane: LaneKey,
    /// The message that it is about, if it is about one.
    pub message: Option<MessageId>,
    /// What happened ("message" on every Campfire; forks know more; "timer" for a time that has come).
    pub kind: String,
    /// SHA-256 of what was said; tells a repeated delivery from a Campfire that counts its ids from 1 again. Of a time
    /// that has come, of that time, so that no two firings are the same.
    pub content_hash: [u8; 32],
    /// The event as the turn will read it, without any secret. Opaque to the store.
    pub payload: String,
    /// When the host received it.
    pub received_at: Timestamp,
    /// How the host came to know of it.
    pub source: Source,
    /// What it is in the chain of answers that bots give each other; none if it is no message.
    pub hop: Option<Hop>,
}

/// How an event came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A new message arrived. Its room is known from now on.
    Message {
        /// The room's name; none of a direct room.
        room_name: Option<String>,
    },
    /// A message never arrived, and was found in its room's history. It is a duplicate of whatever is known of that
    /// message, also of what was refused, since its text may have another form there; and a delivery that comes after
    /// all is one of it.
    History,
    /// Something else happened, or a time has come.
    Other,
}

/// A room in which a bot was spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRoom {
    /// Whose, and which.
    pub lane: LaneKey,
    /// Its name; none of a direct room.
    pub name: Option<String>,
    /// The message up to which its history was read. That of a new room is the one before the first that arrived.
    pub read_to: MessageId,
    /// When a message last came from there, to the hour.
    pub heard_at: Timestamp,
}

/// A message as a link of a chain. Messages of bots that follow each other in a room are a chain: the same message
/// counts once, however many bots it was sent to. A person's message ends it, and so does [`CHAIN_PAUSE`] without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Which Campfire the room is in.
    pub campfire: String,
    /// Whether a bot wrote it.
    pub by_bot: bool,
    /// How many links a chain may have.
    pub budget: u32,
}

/// What became of an event that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It waits in its lane.
    Fresh,
    /// The same key and content was taken within [`DUPLICATE_WINDOW`]; nothing was stored. (One that was refused then
    /// is no duplicate now: it may find room.)
    Duplicate,
    /// Its lane was full. It is kept as `refused`, for the record, and will not run.
    Refused,
    /// Bots answer each other, and the chain is longer than it may be; nothing was stored.
    Looping {
        /// It is the first link too many. Always false if there may be none at all: that is how it was wanted.
        tell: bool,
    },
}

/// What became of somebody's word that a lane is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// This event, the lane's oldest unfinished one, is to be stopped.
    Stopped(EventId),
    /// The lane had nothing to do; nothing was stored.
    Idle,
    /// The same was said before; nothing was stored.
    Duplicate,
}

/// The right to work on a lane, until it expires or someone else takes it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which lane.
    pub lane: LaneKey,
    /// Grows with every change of holder. A write with an older one is refused.
    pub token: u64,
}

/// An event handed out to be answered.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Which event.
    pub event: EventId,
    /// 1 the first time; more after a crash, or when it was put back. Never the same twice.
    pub attempt: u32,
    /// The same, counted from 1 again since it was put back, and without those that were broken off.
    pub tries: u32,
    /// How often it was put back.
    pub retries: u32,
    /// As it was accepted.
    pub payload: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The lane's conversation, if one was kept and has not expired.
    pub session: Option<SessionId>,
    /// What an earlier attempt recorded for the room. Empty on a first attempt.
    pub parts: Vec<OutboxPart>,
    /// What it comes to once these are in the room, as it was recorded with them.
    pub verdict: Option<End>,
    /// What an earlier attempt noted that has recorded no parts.
    pub note: Option<String>,
    /// Somebody has said that it is to be stopped.
    pub stopped: bool,
    /// What else was recorded with them.
    pub details: Option<String>,
    /// The last message that this lane is known to have posted.
    pub posted: Option<MessageId>,
}

/// One recorded part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxPart {
    /// Its place in the answer, from 0.
    pub index: u32,
    /// What is to be sent. Opaque to the store.
    pub content: String,
    /// How far it came.
    pub state: PartState,
}

/// How far a part came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartState {
    /// Recorded; sent at most if it is the first such part of its event.
    Planned,
    /// Surely not in the room, since Campfire could not be reached; to be sent later. It must be marked
    /// [`Planned`](Self::Planned) before it is.
    Unsent,
    /// In the room, as this message if the server told.
    Posted(Option<MessageId>),
    /// It may be in the room or not, and nobody can tell.
    Uncertain,
    /// Surely not in the room.
    Failed,
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Answered, or rightly ignored.
    Done,
    /// Given up; the journal says why.
    Failed,
}

/// What became of a lane that was to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It was: nothing is left to do.
    Idle,
    /// It was: what is left waits until it is resumed.
    Paused,
    /// It was not: an event may run.
    Kept,
}

/// From when on what has ended is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Events with their parts. They are kept for [`DUPLICATE_WINDOW`] in any case.
    pub events: Timestamp,
    /// Journal rows.
    pub journal: Timestamp,
}

/// What one sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Events, journal rows, sessions and leases.
    pub rows: u64,
    /// Bytes given back to the file system.
    pub bytes: u64,
}

/// What happens to the lane's conversation when an event ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// It stays as it is.
    Keep,
    /// This is the conversation from now on, until the given time.
    Set(SessionId, Timestamp),
    /// There is none any more.
    Forget,
}

/// One row a turn: what ran, what it said and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalRow {
    /// The attempt this row is about.
    pub turn: TurnId,
    /// The event it answered.
    pub event: EventId,
    /// Whose lane.
    pub lane: LaneKey,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When the turn began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended, in one word ("replied", "ignored", "turn-limit", …).
    pub outcome: String,
    /// The rest, as JSON: what it was about, plugin and its hash, session, agent timings, tokens, cost, cause of a failure, posted ids.
    pub details: serde_json::Value,
}

/// One row a tool call of a turn: what was asked of the plugin, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCallRow {
    /// The turn in which it was called.
    pub turn: TurnId,
    /// Which call of that turn, from 0, in the order they began.
    pub index: u32,
    /// The tool's name.
    pub tool: String,
    /// Its input, as JSON; shortened by whoever records it to [`TOOL_CALL_TEXT_BYTES`], as the output is.
    pub input: String,
    /// What the model was told: the output, or the error's message.
    pub output: String,
    /// The error's kind in one word ("invalid-input", "failed", …), if it was one.
    pub error: Option<String>,
    /// What lay behind it, where the model was told less.
    pub cause: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, to the microsecond.
    pub duration: Duration,
}

/// One key of a plugin's key-value space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// Up to 512 bytes.
    pub key: String,
    /// Up to 64 KiB.
    pub value: Vec<u8>,
    /// Changes with every write of this key and never comes back, not even after it was deleted; what
    /// compare-and-swap compares.
    pub version: u64,
}

/// Where a plugin's key lives: the bot, and the room unless it is shared by all of the bot's rooms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KvScope {
    /// Whose space.
    pub bot: BotName,
    /// The room, or `None` for what all rooms of the bot share.
    pub room: Option<crate::id::RoomId>,
}

/// What must hold for a kv write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvExpect {
    /// Nothing.
    Anything,
    /// The key does not exist.
    Absent,
    /// The key exists with this version.
    Version(u64),
}

/// Why the store could not do it. None of these carries content of a message.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The lane belongs to another holder by now; this turn must stop without posting.
    #[error("the lease on lane {0} was lost")]
    LeaseLost(LaneKey),
    /// A compare-and-swap found another version.
    #[error("the key was changed by someone else")]
    Conflict,
    /// A limit of the kv space would be passed; the sentence names it.
    #[error("{0}")]
    Quota(String),
    /// The step does not fit the event's state; a fault of the caller.
    #[error("event {event} can't take this step: {problem}")]
    OutOfStep {
        /// Which event.
        event: EventId,
        /// What does not fit.
        problem: &'static str,
    },
    /// The storage itself failed: disk full, read-only, locked, broken, or stopped. It is tried anew with every call.
    #[error("the store failed: {0}")]
    Unavailable(Arc<str>),
    /// The file was written by a newer Hearth.
    #[error(
        "{path} has schema version {found}, this Hearth knows up to {known}; run the newer Hearth, or move the file away"
    )]
    TooNew {
        /// The database file.
        path: String,
        /// What it says.
        found: i64,
        /// What we know.
        known: i64,
    },
    /// What another store was copied to, not to its end, is no store.
    #[error(
        "{store} holds a copy of a store that is being made, or was broken off: if no `hearth store copy` runs, remove it ({removal}), and copy again"
    )]
    Incomplete {
        /// Which Redis.
        store: String,
        /// How everything in it is removed.
        removal: String,
    },
    /// Another process works with the file.
    #[error(
        "{path} is in use by another hearth; end that one, or give this one another `data-dir` in [host]"
    )]
    InUse {
        /// The database file.
        path: String,
    },
}

/// The longest key of the kv space, in bytes.
pub const KV_KEY_BYTES: usize = 512;
/// The largest value of the kv space, in bytes.
pub const KV_VALUE_BYTES: usize = 64 * 1024;
/// How many keys a bot may have, all its rooms together.
pub const KV_KEYS_PER_BOT: u64 = 10_000;
/// How many bytes a bot may keep, keys and values of all its rooms together.
pub const KV_BYTES_PER_BOT: u64 = 16 * 1024 * 1024;

/// How many journal rows one call answers at most.
pub const JOURNAL_ROWS: u32 = 1_000;

/// How much is kept of a tool call's input, and of its output, in bytes.
pub const TOOL_CALL_TEXT_BYTES: usize = 16 * 1024;
/// How many tool calls of a turn one call answers at most.
pub const TOOL_CALL_ROWS: u32 = 1_000;

/// How long no bot may have written for the next message of one to begin another chain. Slower than this, bots that answer
/// each other are no nuisance, and a bot that speaks by the clock must not use the budget up over days.
pub const CHAIN_PAUSE: Duration = Duration::from_hours(1);

/// For how many days it is known what a bot's agent has cost.
const SPENDING_DAYS: i64 = 400;

/// How long a delivery counts as a duplicate of an equal one.
pub const DUPLICATE_WINDOW: Duration = Duration::from_hours(24);

/// The one way to what lasts. See the module's contract.
#[async_trait]
pub trait Store: Insight + Oversight + Kept + Send + Sync + 'static {
    /// Takes an event in; [`persist`](Self::persist) says when it lasts. `queue_limit` bounds the unfinished (waiting and running) events of a lane. Duplicates
    /// are told from the others first, then the chain is counted, then the lane.
    async fn accept(&self, event: NewEvent, queue_limit: u32) -> Result<Acceptance, StoreError>;

    /// Returns once everything that was answered before survives a power loss.
    ///
    /// # Errors
    /// If it may not. It is there all the same until the power fails.
    async fn persist(&self) -> Result<(), StoreError>;

    /// The rooms that are known, those first from which something came last. At most [`LISTED`].
    async fn known_rooms(&self) -> Result<Vec<KnownRoom>, StoreError>;

    /// Keeps a room in mind if it is not known yet; answers it as it is known then.
    async fn know_room(&self, room: KnownRoom) -> Result<KnownRoom, StoreError>;

    /// Which of these messages to the bot never arrived, and were not found either.
    async fn unheard(&self, bot: &BotName, messages: Vec<MessageId>) -> Result<Vec<MessageId>, StoreError>;

    /// A known room's history was read up to this message.
    async fn read_to(&self, lane: &LaneKey, message: MessageId) -> Result<(), StoreError>;

    /// Forgets a room that is no more.
    async fn forget_room(&self, lane: &LaneKey) -> Result<(), StoreError>;

    /// The lanes that have unfinished events and are not paused, oldest event first.
    async fn unfinished_lanes(&self) -> Result<Vec<LaneKey>, StoreError>;

    /// Those of them that nobody holds at `now`, since whoever did has died, or has given them back.
    async fn abandoned_lanes(&self, now: Timestamp) -> Result<Vec<LaneKey>, StoreError>;

    /// Ends unfinished events of all bots but these that were received before `before`, as failed; answers how many.
    async fn give_up(&self, bots: &[BotName], before: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// Takes the lane until `until`, unless another host holds it and that lease has not expired at `now`.
    /// Taking it again as the same host renews it under the same token.
    async fn lease(
        &self,
        lane: &LaneKey,
        host: HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError>;

    /// Extends leases to `until`; answers those that are still held. One that has expired and was taken by nobody is
    /// still held.
    async fn renew(&self, leases: Vec<Lease>, until: Timestamp) -> Result<Vec<Lease>, StoreError>;

    /// Takes an event in that asks its lane to stop, durably and once: the lane's oldest unfinished event is marked as
    /// stopped, and the asking one has ended with that. It waits for nothing and needs no room in the lane.
    async fn ask_to_stop(&self, event: NewEvent) -> Result<Stopping, StoreError>;

    /// Gives the lane back, unless it has an unfinished event and is not paused: then the lease stays.
    /// (Checked in one step, so that an event accepted meanwhile can't be stranded.)
    async fn release_if_idle(&self, lease: &Lease) -> Result<Release, StoreError>;

    /// Hands out the lane's oldest unfinished event, counting the attempt; `None` if there is none, or the lane is
    /// paused. The one handed out last is handed out again until it is finished.
    async fn begin(&self, lease: &Lease, now: Timestamp) -> Result<Option<Begun>, StoreError>;

    /// Notes what a later attempt must know of this one, in place of what was noted before. It goes when parts are
    /// recorded.
    async fn note(&self, lease: &Lease, event: EventId, note: &str) -> Result<(), StoreError>;

    /// Records an answer's parts, durably, before any of them is sent, and with them the conversation that made them:
    /// after a crash the answer is sent from here, and only here the new conversation is known. `verdict` is what the
    /// event comes to once they are in the room: [`End::Failed`] if they only say that there is no answer. `details` is what
    /// whoever posts them has to know besides; opaque to the store.
    /// Recording the same parts again changes nothing; other ones are [`StoreError::OutOfStep`].
    async fn record_parts(
        &self,
        lease: &Lease,
        event: EventId,
        parts: Vec<String>,
        verdict: End,
        session: SessionChange,
        details: String,
    ) -> Result<(), StoreError>;

    /// Marks how far one part came, before the next is sent. Out of order, or against the arrows of the module's
    /// diagram, it is [`StoreError::OutOfStep`].
    async fn mark_part(
        &self,
        lease: &Lease,
        event: EventId,
        index: u32,
        state: PartState,
    ) -> Result<(), StoreError>;

    /// Says that an event that runs is left as it is because the host closes: it is begun again, and this was no try.
    async fn break_off(&self, lease: &Lease, event: EventId) -> Result<(), StoreError>;

    /// Ends an event: its state, the lane's conversation and the journal row, in one step. It can't be done as long as a
    /// part is planned or unsent. `trace` is what is to be known of how the turn went; opaque to the store, and kept as long
    /// as the row.
    async fn finish(
        &self,
        lease: &Lease,
        event: EventId,
        end: End,
        session: SessionChange,
        row: JournalRow,
        trace: Option<String>,
    ) -> Result<(), StoreError>;

    /// The newest journal rows, newest first; of one bot if named. At most [`JOURNAL_ROWS`].
    async fn journal(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<JournalRow>, StoreError>;

    /// Adds to what a bot's agent has cost on a day, counted from 1970.
    async fn spend(&self, bot: &BotName, day: i64, usd: f64) -> Result<(), StoreError>;

    /// What a bot's agent has cost on that day, as far as it was told with [`spend`](Self::spend).
    async fn spent(&self, bot: &BotName, day: i64) -> Result<f64, StoreError>;

    /// Records a tool call. It took place, whoever holds the lane by now: no lease is asked for. Recording the same call of
    /// a turn again changes nothing.
    async fn record_tool_call(&self, row: ToolCallRow) -> Result<(), StoreError>;

    /// The tool calls of a turn, in the order they began. At most [`TOOL_CALL_ROWS`].
    async fn tool_calls(&self, turn: &TurnId) -> Result<Vec<ToolCallRow>, StoreError>;

    /// How many timers each bot has that has any.
    async fn timer_counts(&self) -> Result<Vec<(BotName, u64)>, StoreError>;

    /// The timers of these bots that are to be tried at `now`, at most `limit`; of one bot the longest due first.
    async fn due_timers(
        &self,
        bots: &[BotName],
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Timer>, StoreError>;

    /// When the next timer of these bots is to be tried.
    async fn next_timer(&self, bots: &[BotName]) -> Result<Option<Timestamp>, StoreError>;

    /// Has a timer tried again at `until` and not before; nothing if it is not there any more.
    async fn postpone_timer(&self, timer: &Timer, until: Timestamp) -> Result<(), StoreError>;

    /// Up to when one of the operator's timers is settled: fired, or passed over. None if it was never seen.
    async fn cron_settled(&self, cron: &CronKey) -> Result<Option<Timestamp>, StoreError>;

    /// Settles one of the operator's timers up to `until`. It never goes back.
    async fn settle_cron(&self, cron: &CronKey, until: Timestamp) -> Result<(), StoreError>;

    /// Makes a time that has come the event `event` of its lane, in one step. A plugin's timer is then no more, one of the
    /// operator's is settled up to its time. The event is not looked for among earlier deliveries.
    async fn fire(&self, due: Due, event: NewEvent, queue_limit: u32) -> Result<Fired, StoreError>;

    /// Whether a write would be taken now; for readiness.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Removes what nobody needs any more: ended events, journal rows (but for the reasons of failures that are still
    /// listed) and tool calls before `keep`, expired sessions, expired leases of lanes with nothing to do, rooms from which
    /// nothing came since `keep`, chains that ended long ago; and gives the space back. Bounded work per call; it is done
    /// when nothing was removed.
    async fn sweep(&self, keep: Horizon, now: Timestamp) -> Result<Swept, StoreError>;

    /// What hosts that share the store do with it besides; none of one that a single host has for itself.
    fn shared(&self) -> Option<&dyn Shared> {
        None
    }

    /// Ends the store: what was asked before is done, what is asked from now on is [`StoreError::Unavailable`]. Returns
    /// when another process may open it.
    async fn close(&self);
}
