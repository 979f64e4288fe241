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
//!   undone by one, newest first, and is then only done again. (So a timer that a room was told of is kept: the telling was
//!   recorded after it.)
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
mod types;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

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
    types::{
        Acceptance, Begun, End, Hop, Horizon, JournalRow, KnownRoom, KvEntry, KvExpect, KvScope, Lease,
        NewEvent, OutboxPart, PartState, Release, SessionChange, Source, Stopping, Swept, ToolCallRow,
    },
};
use crate::id::{BotName, EventId, HostId, LaneKey, MessageId, Timestamp, TurnId};

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
    /// Takes an event in; [`persist`](Self::persist) says when it lasts. `queue_limit` bounds the unfinished (waiting and
    /// running) events of a lane. Duplicates are told from the others first, then the chain is counted, then the lane.
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
