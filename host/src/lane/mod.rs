//! One turn at a time per (room, bot), in the order of the inbox; rooms in parallel, within one bound for the host and one
//! for the bot. For the places within them the bots take turns ([`Gate`]).
//!
//! A lane exists in memory only while it has work: a task that holds the lane's lease, hands its events to the turn one
//! by one, and ends when none is left. The queue itself is the store's, so nothing is lost with a task, and ten
//! thousand quiet rooms cost nothing.
//!
//! - A wake-up is never lost: a lane ends under the same lock under which [`Lanes::wake`] looks for it, and whoever
//!   stores an event wakes its lane even if nobody waits for the answer any more.
//! - A lease that is lost, or could not be renewed in time, stops the turn at once: someone else may run the lane now
//!   ([`held`]). Nothing is posted from then on.
//! - A lane that another host holds is left to it. What that host leaves, is woken when the lease has expired.
//! - Who runs a lane that is free, and how hosts reach each other's turns, is told in [`across`].
//! - A store that fails, a Campfire that can't be reached and a turn that panics keep the lane, with growing pauses,
//!   and give its place to others meanwhile.
//! - A full lane is told to the room once, until it has drained; what was refused is counted and logged.
//! - A lane whose bot is gone from bots.toml runs nothing. What waits there is kept, and goes on when the bot is back and
//!   the lane is woken.
//! - Who asks a lane to stop does not wait in it: what runs is broken off, or what is next in line is answered with that.
//!   With nothing to stop it is a message like any other.
//! - Bots that answer each other are stopped, and the room is told ([`Hops`]).
//! - Events that wait for the store are bounded too ([`ACCEPTS`]): one more is refused at once.
//! - A paused lane (see [`store::Oversight`](crate::store::Oversight)) takes messages and runs none. The room is told
//!   nothing about that, only, as ever, when the lane is full. [`Lanes::wake`] wakes it when it may go on; an answer that
//!   waits for its Campfire waits for that too.

mod across;
mod held;
mod hops;
mod task;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use self::held::Leases;
pub use self::hops::Hops;
use crate::{
    agent::{AgentError, CliVersion, Processes},
    gate::Gate,
    id::{BotName, EventId, HostId, LaneKey, Timestamp},
    store::{Acceptance, Due, Fired, NewEvent, Stopping, Store, StoreError},
    turn::Turns,
};

/// How many events may wait for the store to take them, each in memory.
const ACCEPTS: usize = 1024;

/// The lanes of this host. Cheap to clone.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    host: HostId,
    store: Arc<dyn Store>,
    turns: Turns,
    /// How many unfinished events a lane may have.
    queue_limit: u32,
    in_flight: Gate,
    /// Those that are held now.
    leases: Leases,
    /// Events on their way into the store.
    accepts: Arc<Semaphore>,
    known: Mutex<Known>,
    /// How many are active; told under the lock.
    count: watch::Sender<usize>,
    tasks: TaskTracker,
    /// Turns may begin.
    opened: CancellationToken,
    /// No new turn begins.
    closing: CancellationToken,
    /// Running turns break off.
    stopping: CancellationToken,
}

/// What is known of lanes from one moment to the next.
#[derive(Default)]
struct Known {
    /// The lanes that have a task.
    active: HashMap<LaneKey, Active>,
    /// The lanes whose room knows that they are full. A paused one has no task, but stays here until it has drained. Hosts
    /// that share the store keep that there.
    told_full: HashSet<LaneKey>,
}

/// Where the host is between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Messages are taken, and wait.
    Opening,
    /// Turns run.
    Open,
    /// No new turn begins.
    Closing,
}

/// A lane with a task.
#[derive(Default)]
struct Active {
    /// Something came since the task last looked.
    woken: bool,
    /// What is being answered.
    running: Option<Answering>,
    /// The event that was last to be stopped: it may be about to run.
    stopped: Option<EventId>,
    /// What may end the task's waits.
    wakes: Arc<Wakes>,
}

/// What a lane's task is told while it waits.
#[derive(Default)]
struct Wakes {
    /// Something came.
    came: Notify,
    /// Whoever was to take the lane leaves it to this host, or the store is there again: there is no reason to wait longer.
    go_on: Notify,
}

/// An event that is being answered.
struct Answering {
    event: EventId,
    since: Timestamp,
    /// Breaks it off.
    interrupt: CancellationToken,
}

// === impl Lanes ===

impl Lanes {
    /// Lanes that hold at most `queue_limit` unfinished events each, and run at most `in_flight` turns at once, from
    /// [`Lanes::open`] on. Needs a runtime: their leases are renewed from now on.
    pub fn new(
        host: HostId,
        store: Arc<dyn Store>,
        turns: Turns,
        queue_limit: u32,
        in_flight: usize,
    ) -> Self {
        let leases = Leases::of(&*store);
        let lanes = Self(Arc::new(Inner {
            host,
            leases,
            store,
            turns,
            queue_limit,
            in_flight: Gate::new(in_flight),
            accepts: Arc::new(Semaphore::new(ACCEPTS)),
            known: Mutex::default(),
            count: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            opened: CancellationToken::new(),
            closing: CancellationToken::new(),
            stopping: CancellationToken::new(),
        }));
        tokio::spawn(held::renew(Arc::downgrade(&lanes.0)));
        lanes
    }

    /// Lets turns begin. Until then events are accepted, and wait.
    pub fn open(&self) {
        self.0.opened.cancel();
    }

    /// Takes an event into the inbox, durably, and has its lane answer it. Dropping the future does not undo that.
    ///
    /// # Errors
    /// If the store could not take it, or too many wait for it; then nothing happens.
    pub async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError> {
        let lanes = self.clone();
        // The semaphore is never closed: an error says that none is free.
        let permit = Arc::clone(&self.0.accepts)
            .try_acquire_owned()
            .map_err(|_| StoreError::Unavailable(format!("{ACCEPTS} messages wait for it already").into()))?;
        // A task of its own: the store commits even if the caller gives up, and then the lane must know. None that the
        // close waits for: messages may come for as long as that takes.
        let accepted = tokio::spawn(async move {
            let _permit = permit;
            let lane = event.lane.clone();
            if lanes.0.turns.is_stop(&event) {
                match lanes.0.store.ask_to_stop(event.clone()).await? {
                    Stopping::Stopped(oldest) => {
                        lanes.stop(&lane, oldest);
                        return Ok(Acceptance::Fresh);
                    }
                    Stopping::Duplicate => return Ok(Acceptance::Duplicate),
                    // Then it is a message like any other.
                    Stopping::Idle => {}
                }
            }
            let acceptance = lanes.0.store.accept(event, lanes.0.queue_limit).await;
            let acceptance = acceptance.inspect_err(|_| {
                // The store may have it all the same.
                lanes.wake(lane.clone());
            })?;
            match acceptance {
                // What is posted is kept before, and this with it: the turn need not wait for the disk.
                Acceptance::Fresh => lanes.wake(lane),
                Acceptance::Duplicate => tracing::info!(%lane, "a repeated delivery was passed over"),
                Acceptance::Refused => lanes.overflow(lane),
                Acceptance::Looping { tell } => lanes.looping(lane, tell),
            }
            lanes.0.store.persist().await?;
            Ok(acceptance)
        });
        accepted.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string().into())))
    }

    /// Makes a time that has come an event, and has its lane answer it. Dropping the future does not undo that. A full
    /// lane is not told to the room: nothing is lost, the time is still due.
    ///
    /// # Errors
    /// If the store could not do it; then nothing happens.
    pub async fn fire(&self, due: Due, event: NewEvent) -> Result<Fired, StoreError> {
        let lanes = self.clone();
        let fired = self.0.tasks.spawn(async move {
            let lane = event.lane.clone();
            let fired = lanes.0.store.fire(due, event, lanes.0.queue_limit).await?;
            if fired == Fired::Fresh {
                lanes.wake(lane);
            }
            Ok(fired)
        });
        fired.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string().into())))
    }

    /// Something waits in this lane.
    pub fn wake(&self, lane: LaneKey) {
        let mut known = self.0.known();
        if let Some(active) = known.active.get_mut(&lane) {
            active.woken = true;
            active.wakes.came.notify_one();
        } else if !self.0.closing.is_cancelled() {
            known.active.insert(lane.clone(), Active::default());
            self.0.count.send_replace(known.active.len());
            let span = tracing::info_span!("lane", %lane);
            self.0.tasks.spawn(Arc::clone(&self.0).run(lane).instrument(span));
        }
    }

    /// The same if the lane's bot is in bots.toml.
    pub fn wake_known(&self, lane: LaneKey) {
        if self.0.turns.knows(&lane.bot) {
            self.wake(lane);
        }
    }

    /// Breaks off what is being answered in this lane, by whichever host, if anything is; the room is told, and the next
    /// message follows.
    ///
    /// # Errors
    /// If it does not run here, and the store can't tell where.
    pub async fn interrupt(&self, lane: &LaneKey) -> Result<bool, StoreError> {
        let runs_here = {
            let known = self.0.known();
            let running = known.active.get(lane).and_then(|active| active.running.as_ref());
            running.map(|running| running.interrupt.cancel()).is_some()
        };
        match self.0.store.shared() {
            Some(shared) if !runs_here => shared.stop(lane).await,
            _ => Ok(runs_here),
        }
    }

    /// An event of this lane is marked as stopped in the store. If it runs, or is about to, that is broken off.
    fn stop(&self, lane: &LaneKey, event: EventId) {
        tracing::info!(%lane, "what the bot is doing is stopped");
        if let Some(active) = self.0.known().active.get_mut(lane) {
            active.stopped = Some(event);
            if let Some(Answering { event: running, interrupt, .. }) = &active.running
                && *running == event
            {
                interrupt.cancel();
            }
        }
    }

    /// A message of this lane was refused: the room is told, once until the lane has drained.
    fn overflow(&self, lane: LaneKey) {
        metrics::counter!("hearth_messages_refused_total", "bot" => lane.bot.to_string()).increment(1);
        tracing::warn!(%lane, "a lane was full; the message was refused");
        self.wake(lane.clone());
        if !self.0.closing.is_cancelled() {
            let inner = Arc::clone(&self.0);
            self.0.tasks.spawn(async move {
                if !inner.note_full(&lane, true).await {
                    return;
                }
                let told = tokio::select! {
                    told = inner.turns.tell_full(&lane) => told,
                    () = inner.stopping.cancelled() => false,
                };
                if !told {
                    // The next one that is refused may be told.
                    inner.note_full(&lane, false).await;
                }
            });
        }
    }

    /// A message of a bot was left out, since bots answer each other without end. `tell` says that it is the first.
    fn looping(&self, lane: LaneKey, tell: bool) {
        metrics::counter!("hearth_loops_cut_total", "bot" => lane.bot.to_string()).increment(1);
        tracing::warn!(%lane, "bots answer each other here; the message was left out until a person writes");
        if tell && !self.0.closing.is_cancelled() {
            let inner = Arc::clone(&self.0);
            self.0.tasks.spawn(async move {
                tokio::select! {
                    _ = inner.turns.tell_looping(&lane) => {}
                    () = inner.stopping.cancelled() => {}
                }
            });
        }
    }

    /// Makes agents ready: see [`Turns::agents_ready`].
    ///
    /// # Errors
    /// If the agent's command does not fit.
    pub async fn agents_ready(&self) -> Result<CliVersion, AgentError> {
        self.0.turns.agents_ready().await
    }

    /// The agents' processes.
    pub fn agents(&self) -> Processes {
        self.0.turns.agents()
    }

    /// Whether turns may begin: the plugins are loaded, and the host does not close.
    pub fn phase(&self) -> Phase {
        if self.0.closing.is_cancelled() {
            Phase::Closing
        } else if self.0.opened.is_cancelled() {
            Phase::Open
        } else {
            Phase::Opening
        }
    }

    /// The lanes in which a turn runs, and since when.
    pub fn running(&self) -> HashMap<LaneKey, Timestamp> {
        let known = self.0.known();
        let running = known.active.iter().filter_map(|(lane, active)| Some((lane, active.running.as_ref()?)));
        running.map(|(lane, running)| (lane.clone(), running.since)).collect()
    }

    /// How many lanes have work.
    pub fn busy(&self) -> usize {
        *self.0.count.borrow()
    }

    /// How many lanes of each bot have work.
    pub fn busy_by_bot(&self) -> BTreeMap<BotName, usize> {
        let mut busy = BTreeMap::new();
        for lane in self.0.known().active.keys() {
            *busy.entry(lane.bot.clone()).or_default() += 1;
        }
        busy
    }

    /// Waits until no lane has work.
    pub async fn drained(&self) {
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.0.count.subscribe().wait_for(|busy| *busy == 0).await;
    }

    /// Begins no new turn, gives running ones `grace` to end, or less if `hurry` comes first, then breaks them off and
    /// waits until their agents are gone. What has not ended is in the inbox.
    pub async fn close(&self, grace: Duration, hurry: impl Future<Output = ()>) {
        self.0.closing.cancel();
        self.0.tasks.close();
        tokio::select! {
            biased;
            () = self.0.tasks.wait() => {}
            () = tokio::time::sleep(grace) => tracing::warn!(lanes = self.busy(), "turns did not end within {grace:?}; they run at the next start"),
            () = hurry => tracing::warn!(lanes = self.busy(), "ending at once; what was running runs at the next start"),
        }
        self.0.stopping.cancel();
        self.0.tasks.wait().await;
        self.0.turns.agents_gone().await;
    }
}

// === impl Inner ===

impl Inner {
    fn known(&self) -> MutexGuard<'_, Known> {
        // What it guards is changed in single steps, so a panic elsewhere leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a room is told that its lane is full, or that it was not after all. False: it was known, to some host.
    async fn note_full(&self, lane: &LaneKey, told: bool) -> bool {
        match self.store.shared() {
            Some(shared) => shared.note_full(lane, told).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "it is not known whether a room was told that it is full");
                false
            }),
            None if told => self.known().told_full.insert(lane.clone()),
            None => self.known().told_full.remove(lane),
        }
    }
}
