//! Moving a store into another one, of whatever kind: record by record, with the same ids, numbers and versions.
//!
//! - Everything goes along that a host relies on, but for leases: whoever held a lane is gone. Counters go on from where they
//!   were, so that no token and no version is given out twice.
//! - A copy takes a store that nobody works with to one that is empty. Until it is complete the other one can't be taken for
//!   a store: a file has another name, and a Redis has a mark that hosts refuse.
//! - It is complete when all that was read has been read again from the other store, and was the same.
//! - Records go in batches, so that memory does not grow with the store.
//!
//! What goes wrong: a copy that fails, or is killed, changes nothing in the store that it was made from.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{
    CronKey, End, KnownRoom, KvEntry, KvScope, Mark, OutboxPart, Pause, StoreError, Timer, ToolCallRow,
};
use crate::id::{BotName, EventId, LaneKey, MessageId, RoomId, SessionId, Timestamp, TurnId};

/// How many records a batch has at most.
const RECORDS: usize = 256;
/// From how many bytes on a batch is full.
const BYTES: usize = 1 << 20;
/// How many batches are read ahead.
const AHEAD: usize = 1;

/// What there is to copy, in the order in which it is copied: turns and transcripts belong to what comes before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Events with their parts.
    Events,
    /// Journal rows with their traces.
    Turns,
    /// What plugins were asked for in turns.
    ToolCalls,
    /// The lanes' conversations.
    Conversations,
    /// Lanes whose conversation goes with the turn that runs.
    Forgetting,
    /// What is paused.
    Pauses,
    /// Plugins' timers.
    Timers,
    /// Up to when the operator's timers are settled.
    Crons,
    /// Rooms that are known.
    Rooms,
    /// Chains of bots' messages.
    Chains,
    /// What agents have cost, by bot and day.
    Spending,
    /// What plugins keep.
    Keys,
    /// What agents have written down of conversations, where the store keeps it.
    Transcripts,
}

/// All of them.
const KINDS: [Kind; 13] = [
    Kind::Events,
    Kind::Turns,
    Kind::ToolCalls,
    Kind::Conversations,
    Kind::Forgetting,
    Kind::Pauses,
    Kind::Timers,
    Kind::Crons,
    Kind::Rooms,
    Kind::Chains,
    Kind::Spending,
    Kind::Keys,
    Kind::Transcripts,
];

/// One thing in a store, whole.
#[derive(Debug, Clone)]
pub enum Record {
    /// With its parts.
    Event(Box<EventRecord>),
    /// With its trace.
    Turn(Box<TurnRecord>),
    /// A row of the journal's tool calls.
    ToolCall(Box<ToolCallRow>),
    /// A lane's conversation, and until when.
    Conversation(LaneKey, SessionId, Timestamp),
    /// A lane whose conversation goes with the turn that runs.
    Forgetting(LaneKey),
    /// What is paused.
    Pause(Pause),
    /// A timer, and when it is tried.
    Timer(Timer, Timestamp),
    /// Up to when it is settled.
    Cron(CronKey, Timestamp),
    /// A room that is known.
    Room(KnownRoom),
    /// Of a room.
    Chain(ChainRecord),
    /// US dollars on a day, counted from 1970.
    Spending(BotName, i64, f64),
    /// What a plugin keeps.
    Key(KvScope, KvEntry),
    /// The next piece of a lane's transcript.
    Piece(LaneKey, Vec<u8>),
    /// A lane's transcript, behind its pieces: how far it goes, and how many these are, if it is more than marked.
    Transcript(LaneKey, Mark, Option<u32>),
}

/// An event with its parts.
#[derive(Debug, Clone)]
pub struct EventRecord {
    /// The order of acceptance.
    pub sequence: u64,
    pub id: EventId,
    pub lane: LaneKey,
    pub message: Option<MessageId>,
    pub kind: String,
    pub content_hash: [u8; 32],
    pub payload: String,
    pub received_at: Timestamp,
    /// As the store's documentation calls it.
    pub state: String,
    pub ended_at: Option<Timestamp>,
    pub attempt: u32,
    /// Those of the attempts that do not count.
    pub earlier: u32,
    pub retries: u32,
    pub verdict: Option<End>,
    pub note: Option<String>,
    pub details: Option<String>,
    /// It was found in a room's history.
    pub found: bool,
    pub stopped: bool,
    pub parts: Vec<OutboxPart>,
    /// The last message that the lane posted, if it was for this event.
    pub posted: Option<MessageId>,
}

/// A journal row with its trace. The rest of the row is not read, so that no number in it changes; else it is written as a
/// [`JournalRow`](super::JournalRow) is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TurnRecord {
    /// The order in which turns ended.
    #[serde(skip)]
    pub number: u64,
    pub turn: TurnId,
    pub event: EventId,
    pub lane: LaneKey,
    pub attempt: u32,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub outcome: String,
    pub details: Box<RawValue>,
    #[serde(skip)]
    pub trace: Option<String>,
}

/// How often bots have answered each other in a room.
#[derive(Debug, Clone)]
pub struct ChainRecord {
    pub campfire: String,
    pub room: RoomId,
    /// The last message that was counted.
    pub message: MessageId,
    pub hops: u32,
    pub counted_at: Timestamp,
}

/// The numbers that only grow, as they were given out last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of events and of journal rows.
    pub sequence: u64,
    /// Fencing tokens.
    pub token: u64,
    /// Versions of plugins' keys.
    pub key_version: u64,
    /// Versions of timers.
    pub timer_version: u64,
}

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is something in the other store already.
    #[error("{store} is not empty: {found}")]
    NotEmpty {
        /// Which.
        store: String,
        /// What there is.
        found: String,
    },
    /// The other store has not what was written there.
    #[error("of {kind} {read} were read, and {found} are in the copy, or they are not the same")]
    Differs {
        /// Which.
        kind: Kind,
        /// How many there are.
        read: u64,
        /// How many were found.
        found: u64,
    },
    /// Somebody has worked with the store meanwhile.
    #[error("the store was used while it was copied, so the copy may lack something")]
    Used,
}

/// A store whose records can be read, as long as nobody works with it.
#[async_trait]
pub trait Portable: Send + Sync {
    /// How far its numbers are.
    async fn counters(&self) -> Result<Counters, StoreError>;

    /// Gives out all records of a kind, until nobody listens any more.
    async fn export(&self, kind: Kind, out: Sender<Vec<Record>>) -> Result<(), StoreError>;
}

/// A store that is made by copying another.
#[async_trait]
pub trait Copying: Send + Sync {
    /// What is there by now.
    fn written(&self) -> &dyn Portable;

    /// Whether it has a place for records of this kind.
    fn keeps(&self, kind: Kind) -> bool;

    /// Lets no number be given out that is not larger.
    async fn raise(&self, counters: Counters) -> Result<(), StoreError>;

    /// Writes records, all of one kind, that are not there yet.
    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError>;

    /// Makes a store of it, now that all is there, and closes it.
    async fn complete(self: Box<Self>) -> Result<(), StoreError>;
}

/// How many records there are, and which: the sum of their hashes, since stores have orders of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    count: u64,
    sum: [u64; 4],
}

/// Copies everything, and looks whether it is there. `say` is told every now and then how many records of which kind have
/// been written, or, the second time, read again. Answers how many there are of each kind. What is left to do is to
/// [`complete`](Copying::complete) it.
///
/// # Errors
/// Then the copy is not complete, and must not become so.
pub async fn copy(
    from: &dyn Portable,
    to: &dyn Copying,
    say: &(dyn Fn(Kind, u64) + Sync),
) -> Result<Vec<(Kind, u64)>, CopyError> {
    let counters = from.counters().await?;
    to.raise(counters).await?;
    let mut copied = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| to.keeps(*kind)) {
        let (out, mut batches) = mpsc::channel::<Vec<Record>>(AHEAD);
        let writing = async move {
            let mut tally = Tally::default();
            while let Some(batch) = batches.recv().await {
                tally.add(&batch);
                to.import(batch).await?;
                say(kind, tally.count);
            }
            Ok::<_, StoreError>(tally)
        };
        let (read, written) = tokio::join!(from.export(kind, out), writing);
        let tally = written?;
        read?;
        copied.push((kind, tally));
    }
    for (kind, read) in &copied {
        let found = tally(to.written(), *kind, say).await?;
        if found != *read {
            return Err(CopyError::Differs { kind: *kind, read: read.count, found: found.count });
        }
    }
    if from.counters().await? != counters {
        return Err(CopyError::Used);
    }
    Ok(copied.into_iter().map(|(kind, tally)| (kind, tally.count)).collect())
}

/// How many records there are of each kind.
///
/// # Errors
/// If the store fails.
pub async fn count(
    from: &dyn Portable,
    say: &(dyn Fn(Kind, u64) + Sync),
) -> Result<Vec<(Kind, u64)>, StoreError> {
    let mut counts = Vec::new();
    for kind in KINDS {
        counts.push((kind, tally(from, kind, say).await?.count));
    }
    Ok(counts)
}

async fn tally(
    store: &dyn Portable,
    kind: Kind,
    say: &(dyn Fn(Kind, u64) + Sync),
) -> Result<Tally, StoreError> {
    let (out, mut batches): (_, Receiver<Vec<Record>>) = mpsc::channel(AHEAD);
    let adding = async move {
        let mut tally = Tally::default();
        while let Some(batch) = batches.recv().await {
            tally.add(&batch);
            say(kind, tally.count);
        }
        tally
    };
    let (read, tally) = tokio::join!(store.export(kind, out), adding);
    read.map(|()| tally)
}

// === impl Tally ===

impl Tally {
    fn add(&mut self, records: &[Record]) {
        for record in records {
            self.count += u64::from(!matches!(record, Record::Piece(..)));
            // Within one process the same record is always shown in the same way.
            let hash = Sha256::digest(format!("{record:?}"));
            for (sum, bytes) in self.sum.iter_mut().zip(hash.as_chunks::<8>().0) {
                *sum = sum.wrapping_add(u64::from_le_bytes(*bytes));
            }
        }
    }
}

// === impl Record ===

impl Record {
    /// About how much memory it takes, as far as that can be much.
    fn bytes(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Self::Event(event) => {
                let parts: usize = event.parts.iter().map(|part| part.content.len()).sum();
                parts + event.payload.len() + len(&event.note) + len(&event.details)
            }
            Self::Turn(turn) => turn.details.get().len() + len(&turn.trace),
            Self::ToolCall(call) => call.input.len() + call.output.len(),
            Self::Timer(timer, _) => timer.payload.len(),
            Self::Key(_, entry) => entry.value.len(),
            Self::Piece(_, piece) => piece.len(),
            _ => 0,
        }
    }
}

/// Records on their way into a batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: Vec<Record>,
    bytes: usize,
}

// === impl Batch ===

impl Batch {
    /// Adds one; answers the batch if it is full.
    pub(super) fn add(&mut self, record: Record) -> Option<Vec<Record>> {
        self.bytes += record.bytes();
        self.records.push(record);
        (self.records.len() >= RECORDS || self.bytes >= BYTES).then(|| self.take())
    }

    /// What is left.
    pub(super) fn take(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }
}

// === impl Kind ===

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Events => "messages and timers that came",
            Self::Turns => "turns",
            Self::ToolCalls => "tool calls",
            Self::Conversations => "conversations",
            Self::Forgetting => "conversations to be forgotten",
            Self::Pauses => "pauses",
            Self::Timers => "timers of plugins",
            Self::Crons => "timers of yours",
            Self::Rooms => "rooms",
            Self::Chains => "chains of bots' messages",
            Self::Spending => "days with costs",
            Self::Keys => "keys of plugins",
            Self::Transcripts => "transcripts",
        })
    }
}
