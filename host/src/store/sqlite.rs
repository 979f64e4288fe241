//! The store in one SQLite file: every call becomes an operation on a thread that owns the connection.
//!
//! - One process works with a file at a time (an advisory lock on `<file>.lock`); within it, any number of tasks.
//! - Writes go to one thread, which commits whatever has gathered in one transaction ([`writer`]); what must be on stable
//!   storage before it is answered waits for another, and nobody else does ([`flusher`]). Reads have a thread and a
//!   connection of their own, and in WAL mode neither waits for the other.
//! - The files are readable by their owner only.
//! - Leases do not outlive the process: with the lock in hand, whoever held them is known to be gone, so a restarted
//!   host takes its lanes over at once.
//!
//! What goes wrong: a full or failing disk fails the calls with [`StoreError::Unavailable`] until it recovers, and then
//! the store does too. After [`SqliteStore::close`] every call fails in that way.

mod backup;
mod chain;
mod counter;
mod file;
mod flusher;
mod inbox;
mod insight;
mod journal;
mod kept;
mod kv;
mod lanes;
mod migration;
mod outbox;
mod oversight;
mod pauses;
mod portable;
mod retry;
mod rooms;
mod sessions;
mod spending;
mod sweep;
#[cfg(test)]
mod tests;
mod timers;
mod tool_calls;
mod worker;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::Connection;

pub use self::{
    backup::{Backup, back_up},
    kept::Scratch,
    portable::{SqliteCopy, refuse_existing},
};
use self::{
    flusher::Flusher,
    worker::Worker,
    writer::{Flush, Operation},
};
use super::{
    Acceptance, Begun, CronKey, Due, End, Fired, Horizon, JournalRow, KnownRoom, KvEntry, KvExpect, KvScope,
    Lease, NewEvent, PartState, Release, SessionChange, Stopping, Store, StoreError, Swept, Timer,
    ToolCallRow,
};
use crate::id::{BotName, EventId, HostId, LaneKey, MessageId, Timestamp, TurnId};

/// How many calls may wait for the writer, and as many for the reader; further ones wait for a place.
const QUEUE: usize = 1024;

/// The pause before a store that another process has is tried again.
const IN_USE_PAUSE: Duration = Duration::from_millis(100);

/// A store in one SQLite file.
///
/// Dropping it works off what is queued, which blocks for about one commit; in async code, [`close`](Self::close) first.
pub struct SqliteStore {
    // Dropped in this order: the last connection to close tidies up the write-ahead log, and only the writer's may.
    reader: Worker<Read>,
    writer: Worker<Box<dyn Operation>>,
    commits: Arc<AtomicU64>,
    flushes: Arc<AtomicU64>,
}

/// One read, which answers by itself.
type Read = Box<dyn FnOnce(&Connection) + Send>;

impl SqliteStore {
    /// Opens the file, and makes it (and its folder) if there is none. Blocks; for the start of the host.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::TooNew`], or [`StoreError::Unavailable`] with the path and the cause.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let opened = file::open(path)?;
        let flush = flusher::of_log(opened.log.clone());
        Self::run(opened, flush)
    }

    fn run(opened: file::Opened, flush: flusher::Flush) -> Result<Self, StoreError> {
        let file::Opened { lock, write, read, .. } = opened;
        let (commits, flushes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let beside = Flusher::start(flush, Arc::clone(&flushes))?;
        let writer = writer::start(write, lock, QUEUE, Arc::clone(&commits), beside)?;
        let reader = Worker::<Read>::start("hearth-store-read", QUEUE, move |reads| {
            while let Some(read_one) = reads.next() {
                read_one(&read);
            }
        })?;
        Ok(Self { reader, writer, commits, flushes })
    }

    /// The same, waiting up to `patience` for whoever has the store to leave it.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub async fn open_within(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let deadline = Instant::now() + patience;
        loop {
            match Self::open(path) {
                Err(StoreError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(IN_USE_PAUSE).await;
                }
                opened => return opened,
            }
        }
    }

    /// How many transactions were committed since it was opened: fewer than writes, if these are gathered well.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// How often the log was flushed to stable storage since then, besides at checkpoints.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    async fn write<T: Send + 'static>(
        &self,
        flush: Flush,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.ask(|reply| writer::operation(flush, work, reply)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader
            .ask(|reply| -> Read {
                Box::new(move |connection| {
                    // Nobody listens any more if the caller was dropped.
                    _ = reply.send(work(connection));
                })
            })
            .await
    }
}

// === impl Store for SqliteStore ===

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, event: NewEvent, queue_limit: u32) -> Result<Acceptance, StoreError> {
        self.write(Flush::Never, move |c| inbox::accept(c, &event, queue_limit)).await
    }

    async fn persist(&self) -> Result<(), StoreError> {
        self.writer.ask(writer::barrier).await
    }

    async fn known_rooms(&self) -> Result<Vec<KnownRoom>, StoreError> {
        self.read(rooms::list).await
    }

    async fn know_room(&self, room: KnownRoom) -> Result<KnownRoom, StoreError> {
        self.write(Flush::Never, move |c| rooms::know(c, &room)).await
    }

    async fn unheard(&self, bot: &BotName, messages: Vec<MessageId>) -> Result<Vec<MessageId>, StoreError> {
        let bot = bot.clone();
        self.read(move |c| inbox::unheard(c, &bot, messages)).await
    }

    async fn read_to(&self, lane: &LaneKey, message: MessageId) -> Result<(), StoreError> {
        let lane = lane.clone();
        self.write(Flush::Never, move |c| rooms::read_to(c, &lane, message)).await
    }

    async fn forget_room(&self, lane: &LaneKey) -> Result<(), StoreError> {
        let lane = lane.clone();
        self.write(Flush::Never, move |c| rooms::forget(c, &lane)).await
    }

    async fn ask_to_stop(&self, event: NewEvent) -> Result<Stopping, StoreError> {
        self.write(Flush::Always, move |c| inbox::ask_to_stop(c, &event)).await
    }

    async fn unfinished_lanes(&self) -> Result<Vec<LaneKey>, StoreError> {
        self.read(inbox::unfinished_lanes).await
    }

    async fn abandoned_lanes(&self, now: Timestamp) -> Result<Vec<LaneKey>, StoreError> {
        self.read(move |c| inbox::abandoned_lanes(c, now)).await
    }

    async fn give_up(&self, bots: &[BotName], before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let bots = bots.to_vec();
        self.write(Flush::Never, move |c| inbox::give_up(c, &bots, before, now)).await
    }

    async fn lease(
        &self,
        lane: &LaneKey,
        host: HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let lane = lane.clone();
        self.write(Flush::Never, move |c| lanes::lease(c, lane, host, now, until)).await
    }

    async fn renew(&self, leases: Vec<Lease>, until: Timestamp) -> Result<Vec<Lease>, StoreError> {
        self.write(Flush::Never, move |c| lanes::renew(c, leases, until)).await
    }

    async fn release_if_idle(&self, lease: &Lease) -> Result<Release, StoreError> {
        let lease = lease.clone();
        self.write(Flush::Never, move |c| lanes::release_if_idle(c, &lease)).await
    }

    async fn begin(&self, lease: &Lease, now: Timestamp) -> Result<Option<Begun>, StoreError> {
        let lease = lease.clone();
        self.write(Flush::Never, move |c| inbox::begin(c, &lease, now)).await
    }

    async fn note(&self, lease: &Lease, event: EventId, note: &str) -> Result<(), StoreError> {
        let (lease, note) = (lease.clone(), note.to_owned());
        self.write(Flush::Never, move |c| inbox::note(c, &lease, event, &note)).await
    }

    async fn record_parts(
        &self,
        lease: &Lease,
        event: EventId,
        parts: Vec<String>,
        verdict: End,
        session: SessionChange,
        details: String,
    ) -> Result<(), StoreError> {
        let lease = lease.clone();
        let record =
            move |c: &Connection| outbox::record(c, &lease, event, &parts, verdict, session, &details);
        self.write(Flush::Always, record).await
    }

    async fn mark_part(
        &self,
        lease: &Lease,
        event: EventId,
        index: u32,
        state: PartState,
    ) -> Result<(), StoreError> {
        let lease = lease.clone();
        let flush = Flush::If(Box::new(move |c| outbox::is_relied_on(c, event, index, state)));
        self.write(flush, move |c| outbox::mark(c, &lease, event, index, state)).await
    }

    async fn break_off(&self, lease: &Lease, event: EventId) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write(Flush::Never, move |c| inbox::break_off(c, &lease, event)).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        event: EventId,
        end: End,
        session: SessionChange,
        row: JournalRow,
        trace: Option<String>,
    ) -> Result<(), StoreError> {
        let lease = lease.clone();
        let finish =
            move |c: &Connection| inbox::finish(c, &lease, event, end, session, &row, trace.as_deref());
        self.write(Flush::Never, finish).await
    }

    async fn journal(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<JournalRow>, StoreError> {
        let bot = bot.cloned();
        self.read(move |c| journal::newest(c, bot.as_ref(), limit)).await
    }

    async fn spend(&self, bot: &BotName, day: i64, usd: f64) -> Result<(), StoreError> {
        let bot = bot.clone();
        self.write(Flush::Never, move |c| spending::add(c, &bot, day, usd)).await
    }

    async fn spent(&self, bot: &BotName, day: i64) -> Result<f64, StoreError> {
        let bot = bot.clone();
        self.read(move |c| spending::of_day(c, &bot, day)).await
    }

    async fn record_tool_call(&self, row: ToolCallRow) -> Result<(), StoreError> {
        self.write(Flush::Never, move |c| tool_calls::record(c, &row)).await
    }

    async fn tool_calls(&self, turn: &TurnId) -> Result<Vec<ToolCallRow>, StoreError> {
        let turn = turn.clone();
        self.read(move |c| tool_calls::of_turn(c, &turn)).await
    }

    async fn timer_counts(&self) -> Result<Vec<(BotName, u64)>, StoreError> {
        self.read(timers::counts).await
    }

    async fn due_timers(
        &self,
        bots: &[BotName],
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Timer>, StoreError> {
        let bots = bots.to_vec();
        self.read(move |c| timers::due(c, &bots, now, limit)).await
    }

    async fn next_timer(&self, bots: &[BotName]) -> Result<Option<Timestamp>, StoreError> {
        let bots = bots.to_vec();
        self.read(move |c| timers::next(c, &bots)).await
    }

    async fn postpone_timer(&self, timer: &Timer, until: Timestamp) -> Result<(), StoreError> {
        let timer = timer.clone();
        self.write(Flush::Never, move |c| timers::postpone(c, &timer, until)).await
    }

    async fn cron_settled(&self, cron: &CronKey) -> Result<Option<Timestamp>, StoreError> {
        let cron = cron.clone();
        self.read(move |c| timers::cron_settled(c, &cron)).await
    }

    async fn settle_cron(&self, cron: &CronKey, until: Timestamp) -> Result<(), StoreError> {
        let cron = cron.clone();
        self.write(Flush::Never, move |c| timers::settle_cron(c, &cron, until)).await
    }

    async fn fire(&self, due: Due, event: NewEvent, queue_limit: u32) -> Result<Fired, StoreError> {
        self.write(Flush::Never, move |c| timers::fire(c, &due, &event, queue_limit)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.write(Flush::Never, |c| counter::next(c, counter::PING).map(drop)).await
    }

    async fn sweep(&self, keep: Horizon, now: Timestamp) -> Result<Swept, StoreError> {
        self.write(Flush::Never, move |c| sweep::sweep(c, keep, now)).await
    }

    async fn close(&self) {
        self.reader.stop().await;
        self.writer.stop().await;
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable(error.to_string().into())
    }
}
