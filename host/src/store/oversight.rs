//! What an operator sees and asks for: conversations, pauses, and events that failed.
//!
//! - A pause lasts over restarts, for every host that shares the store. A paused lane takes messages as ever, up to its
//!   queue limit, and none is begun until nothing that covers the lane pauses it any more. A turn that runs ends.
//! - A conversation is never forgotten under a turn that uses it, but when that turn has ended.
//! - An event that is put back waits behind everything else in its lane. Nothing that is surely in the room is sent
//!   again, and nothing that may be there unless that is asked for. If all there was to send was a sentence about a
//!   failure, or nothing, the turn is run anew.
//!
//! What is changed here survives a power loss.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{End, JournalRow, StoreError};
use crate::id::{BotName, EventId, LaneKey, MessageId, RoomId, SessionId, Timestamp};

/// How many rows one call answers at most.
pub const LISTED: u32 = 1_000;

/// A bot in all of its rooms, or in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Which bot.
    pub bot: BotName,
    /// Which room; all of them if none.
    pub room: Option<RoomId>,
}

/// Something that is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// What.
    #[serde(flatten)]
    pub scope: Scope,
    /// Since when.
    pub since: Timestamp,
}

/// A lane's conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Conversation {
    /// Whose.
    #[serde(flatten)]
    pub lane: LaneKey,
    /// As the agent's CLI names it.
    pub session: SessionId,
    /// When it is forgotten, unless it goes on.
    pub expires_at: Timestamp,
}

/// How many conversations were forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Forgotten {
    /// At once.
    pub now: u64,
    /// When the turn that runs there has ended.
    pub after_turn: u64,
}

/// An event that ended without its whole answer in the room, as far as anybody can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedEvent {
    /// Which event.
    pub event: EventId,
    /// Whose.
    pub lane: LaneKey,
    /// The message that caused it; none if it was something else, such as a time.
    pub message: Option<MessageId>,
    /// What caused it ("message", "timer", …).
    pub kind: String,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// [`End::Done`] if all that is wrong is that parts of the answer may not be in the room.
    pub end: End,
    /// How often it was begun, all in all.
    pub attempts: u32,
    /// Parts that are in the room.
    pub posted: u32,
    /// Parts that may be.
    pub uncertain: u32,
    /// Parts that are not.
    pub failed: u32,
    /// The last turn's row, which says why; none if it was removed already.
    pub row: Option<JournalRow>,
}

/// What will become of an event that was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// Where it waits.
    pub lane: LaneKey,
    /// How it goes on.
    pub retry: Retry,
}

/// How an event that was put back goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// The message is answered anew.
    Anew,
    /// The rest of the recorded answer is sent.
    Posting,
}

/// The operator's side of a store.
#[async_trait]
pub trait Oversight {
    /// The conversations that have not expired at `now`, by bot and room; of one bot if named. At most [`LISTED`].
    async fn conversations(
        &self,
        bot: Option<&BotName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError>;

    /// Forgets the conversations of a scope; those that a turn uses, after it.
    async fn forget(&self, scope: &Scope) -> Result<Forgotten, StoreError>;

    /// What is paused, by bot and room. At most [`LISTED`].
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// Pauses a scope; answers whether it was not paused before, as such.
    async fn pause(&self, scope: &Scope, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends the pause of exactly this scope; answers whether there was one. Whoever runs lanes must wake those that
    /// wait.
    async fn resume(&self, scope: &Scope) -> Result<bool, StoreError>;

    /// The events that failed or may have, newest first; of one bot if named. At most [`LISTED`].
    async fn failed_events(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<FailedEvent>, StoreError>;

    /// Puts an event back that failed, with its attempts counted from 1 again. `anyway` also sends what may be in the
    /// room already. Whoever runs the lane must wake it. [`StoreError::OutOfStep`] says why it can't be put back.
    async fn retry(&self, event: EventId, anyway: bool) -> Result<Retried, StoreError>;
}
