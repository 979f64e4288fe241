//! What goes into a store and comes out of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{BotName, EventId, LaneKey, MessageId, RoomId, SessionId, Timestamp, TurnId};

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
/// counts once, however many bots it was sent to. A person's message ends it, and so does [`CHAIN_PAUSE`](super::CHAIN_PAUSE) without any.
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
    /// The same key and content was taken within [`DUPLICATE_WINDOW`](super::DUPLICATE_WINDOW); nothing was stored. (One that was refused then
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
    /// Events with their parts. They are kept for [`DUPLICATE_WINDOW`](super::DUPLICATE_WINDOW) in any case.
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
    /// Its input, as JSON; shortened by whoever records it to [`TOOL_CALL_TEXT_BYTES`](super::TOOL_CALL_TEXT_BYTES), as the output is.
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
    pub room: Option<RoomId>,
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
