//! What an operator wants to know of the past and of what waits: turns, what they cost, how many and how fast, queues.
//!
//! It reads the journal as it is: what the retention has removed does not count any more. Days and hours are those of UTC.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{JournalRow, StoreError};
use crate::id::{BotName, LaneKey, MessageId, RoomId, Timestamp, TurnId};

/// The longest text that is looked for, in bytes.
pub const SEARCH_BYTES: usize = 256;

/// Which turns are looked for. What is not named, may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TurnQuery {
    /// Whose.
    pub bot: Option<BotName>,
    /// Where.
    pub room: Option<RoomId>,
    /// How they ended.
    pub outcome: Option<String>,
    /// What stands somewhere in the turn's id, its outcome or its details, in whatever case its letters are. Only the first
    /// [`SEARCH_BYTES`] count.
    pub text: Option<String>,
    /// Only those that posted this message, or edited it.
    pub posted: Option<MessageId>,
    /// Only those that ended before this one.
    pub before: Option<TurnId>,
    /// At most so many, and at most [`LISTED`](super::LISTED).
    pub limit: Option<u32>,
}

/// What a bot used on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spending {
    /// Which bot.
    pub bot: BotName,
    /// When the day began.
    pub day: Timestamp,
    /// Turns that ended.
    pub turns: u64,
    /// What the agent said that they cost, in US dollars.
    pub cost_usd: f64,
    /// Tokens that went to the model, those of the cache included.
    pub input_tokens: u64,
    /// Tokens that it generated.
    pub output_tokens: u64,
}

/// The turns that ended in one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hour {
    /// When it began.
    pub from: Timestamp,
    /// How many, by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Half of them took no longer, in milliseconds.
    pub median_ms: i64,
    /// 19 of 20 took no longer, in milliseconds.
    pub slow_ms: i64,
}

/// What waits in a lane, or is being answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Queue {
    /// Which lane.
    #[serde(flatten)]
    pub lane: LaneKey,
    /// How many messages are not answered yet.
    pub unfinished: u64,
    /// When the oldest of them came.
    pub oldest: Timestamp,
}

/// The past, and what waits.
#[async_trait]
pub trait Insight {
    /// The turns that fit, newest first.
    async fn turns(&self, query: &TurnQuery) -> Result<Vec<JournalRow>, StoreError>;

    /// One turn; none if there is none of that id, or no more.
    async fn turn(&self, turn: &TurnId) -> Result<Option<JournalRow>, StoreError>;

    /// The trace of a turn, as it was given when it ended; none if there was none, or it is no more.
    async fn trace(&self, turn: &TurnId) -> Result<Option<String>, StoreError>;

    /// What each bot used on each day from `since` on, the newest day first.
    async fn spending(&self, since: Timestamp) -> Result<Vec<Spending>, StoreError>;

    /// The hours from `since` on in which turns ended, oldest first.
    async fn hours(&self, since: Timestamp) -> Result<Vec<Hour>, StoreError>;

    /// The lanes that have unfinished events, paused ones too, the one that has waited longest first. At most
    /// [`LISTED`](super::LISTED).
    async fn queues(&self) -> Result<Vec<Queue>, StoreError>;
}
