//! What must outlive a process: the inbox, the lanes' leases, sessions, the outbox, the journal and the plugins' kv.
//!
//! Invariants, for every implementation:
//! - `accept` returns only once the event is on stable storage; what it took is handed out by `begin` until `finish`.
//! - A lane has one holder at a time. Every write on behalf of a lane carries its [`Lease`]; one whose fencing token
//!   is no longer current changes nothing and fails with [`StoreError::LeaseLost`].
//! - Events of a lane are handed out in the order they were accepted.
//! - Parts of an event are recorded before the first of them is sent, are sent in order, and each is marked before the
//!   next is sent. So after a crash only the first unmarked part is in doubt; those behind it were not sent.
//! - What was answered by a call is seen by every later one, and survives a killed process. `accept`, `record_parts` and
//!   a mark with planned parts behind it survive a power loss too; the rest may be undone by one, newest first, and is
//!   then only done again.
//!
//! Time comes from the caller: several hosts share a store, so leases are compared by the timestamps they pass in.
//!
//! What goes wrong: a call that fails changed nothing. (After a flush that failed, a power loss may bring it back: an
//! event may be answered whose sender was told that it was not taken.) A future that is dropped before it answers leaves open whether
//! the call took place; every call may be repeated (a repeated `finish` says that the event is no longer running).
//!
//! States of an event: `waiting` → (`begin`) `running` → (`finish`) `done` | `failed`; `refused` if its lane was full.
//! A crash leaves `running`; the next holder of the lane begins it again, with `attempt` one higher.

#[cfg(test)]
mod conformance;
mod sqlite;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::sqlite::SqliteStore;
use crate::id::{BotName, EventId, HostId, LaneKey, MessageId, SessionId, Timestamp, TurnId};

/// An event on its way into the inbox.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Chosen by the host that accepts it.
    pub id: EventId,
    /// The lane that will answer it.
    pub lane: LaneKey,
    /// The message that caused it.
    pub message: MessageId,
    /// What happened ("message" on every Campfire; forks know more).
    pub kind: String,
    /// SHA-256 of what was said; tells a repeated delivery from a Campfire that counts its ids from 1 again.
    pub content_hash: [u8; 32],
    /// The event as the turn will read it, without any secret. Opaque to the store.
    pub payload: String,
    /// When the host received it.
    pub received_at: Timestamp,
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
    /// 1 the first time; more after a crash.
    pub attempt: u32,
    /// As it was accepted.
    pub payload: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The lane's conversation, if one was kept and has not expired.
    pub session: Option<SessionId>,
    /// What an earlier attempt recorded for the room. Empty on a first attempt.
    pub parts: Vec<OutboxPart>,
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
    /// The rest, as JSON: plugin and its hash, session, agent timings, tokens, cost, cause of a failure, posted ids.
    pub details: serde_json::Value,
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

/// How long a delivery counts as a duplicate of an equal one.
pub const DUPLICATE_WINDOW: Duration = Duration::from_hours(24);

/// The one way to what lasts. See the module's contract.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Takes an event in, durably. `queue_limit` bounds the unfinished (waiting and running) events of a lane.
    async fn accept(&self, event: NewEvent, queue_limit: u32) -> Result<Acceptance, StoreError>;

    /// The lanes that have unfinished events, oldest event first.
    async fn unfinished_lanes(&self) -> Result<Vec<LaneKey>, StoreError>;

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

    /// Gives the lane back, unless it has an unfinished event: then the lease stays and the answer is `false`.
    /// (Checked in one step, so that an event accepted meanwhile can't be stranded.)
    async fn release_if_idle(&self, lease: &Lease) -> Result<bool, StoreError>;

    /// Hands out the lane's oldest unfinished event, counting the attempt; `None` if there is none. The one handed out
    /// last is handed out again until it is finished.
    async fn begin(&self, lease: &Lease, now: Timestamp) -> Result<Option<Begun>, StoreError>;

    /// Records an answer's parts, durably, before any of them is sent, and with them the conversation that made them:
    /// after a crash the answer is sent from here, and only here the new conversation is known.
    /// Recording the same parts again changes nothing; other ones are [`StoreError::OutOfStep`].
    async fn record_parts(
        &self,
        lease: &Lease,
        event: EventId,
        parts: Vec<String>,
        session: SessionChange,
    ) -> Result<(), StoreError>;

    /// Marks how far one part came, before the next is sent. Out of order it is [`StoreError::OutOfStep`].
    async fn mark_part(
        &self,
        lease: &Lease,
        event: EventId,
        index: u32,
        state: PartState,
    ) -> Result<(), StoreError>;

    /// Ends an event: its state, the lane's conversation and the journal row, in one step.
    async fn finish(
        &self,
        lease: &Lease,
        event: EventId,
        end: End,
        session: SessionChange,
        row: JournalRow,
    ) -> Result<(), StoreError>;

    /// The newest journal rows, newest first; of one bot if named. At most [`JOURNAL_ROWS`].
    async fn journal(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<JournalRow>, StoreError>;

    /// Reads a key.
    async fn kv_get(&self, scope: &KvScope, key: &str) -> Result<Option<KvEntry>, StoreError>;

    /// Writes a key if `expect` holds ([`StoreError::Conflict`] if not); answers its new version. The limits are
    /// [`KV_KEY_BYTES`], [`KV_VALUE_BYTES`], [`KV_KEYS_PER_BOT`] and [`KV_BYTES_PER_BOT`] ([`StoreError::Quota`]).
    async fn kv_set(
        &self,
        scope: &KvScope,
        key: &str,
        value: Vec<u8>,
        expect: KvExpect,
    ) -> Result<u64, StoreError>;

    /// Removes a key if `expect` holds; answers whether it was there.
    async fn kv_delete(&self, scope: &KvScope, key: &str, expect: KvExpect) -> Result<bool, StoreError>;

    /// Up to `limit` keys that begin with `prefix` and sort after `after`, in order.
    async fn kv_list(
        &self,
        scope: &KvScope,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<KvEntry>, StoreError>;

    /// Whether a write would be taken now; for readiness.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Removes what nobody needs any more: ended events (not before [`DUPLICATE_WINDOW`] has passed) and journal rows
    /// older than `before`, expired sessions, expired leases of lanes with nothing to do.
    /// Bounded work per call; answers how many of them went.
    async fn sweep(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// Ends the store: what was asked before is done, what is asked from now on is [`StoreError::Unavailable`]. Returns
    /// when another process may open it.
    async fn close(&self);
}
