//! One turn at a time per (room, bot), in the order of the inbox; rooms in parallel, within one bound for the host.
//!
//! A lane exists in memory only while it has work: a task that holds the lane's lease, hands its events to the turn one
//! by one, and ends when none is left. The queue itself is the store's, so nothing is lost with a task, and ten
//! thousand quiet rooms cost nothing.
//!
//! - A wake-up is never lost: a lane ends under the same lock under which [`Lanes::wake`] looks for it, and whoever
//!   stores an event wakes its lane even if nobody waits for the answer any more.
//! - A lease that is lost stops the turn at once: someone else runs the lane now.
//! - A store that fails, a Campfire that can't be reached and a turn that panics keep the lane, with growing pauses,
//!   and give its place to others meanwhile.
//! - A full lane is told to the room once, until it has drained; what was refused is counted and logged.
//! - A paused lane (see [`store::Oversight`](crate::store::Oversight)) takes messages and runs none. The room is told
//!   nothing about that, only, as ever, when the lane is full. [`Lanes::wake`] wakes it when it may go on; an answer that
//!   waits for its Campfire waits for that too.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    id::{HostId, LaneKey, Timestamp},
    store::{Acceptance, Begun, Due, Fired, Lease, NewEvent, Release, Store, StoreError},
    turn::{Turns, Way},
};

/// How long a lane stays ours without a word from us.
const LEASE: Duration = Duration::from_secs(30);
/// The first and the longest pause before what did not go is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// The lanes of this host. Cheap to clone.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    host: HostId,
    store: Arc<dyn Store>,
    turns: Turns,
    /// How many unfinished events a lane may have.
    queue_limit: u32,
    in_flight: Semaphore,
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
    /// The lanes that have a task, and whether something came since the task last looked.
    active: HashMap<LaneKey, bool>,
    /// The lanes whose room knows that they are full. A paused one has no task, but stays here until it has drained.
    told_full: HashSet<LaneKey>,
    /// The lanes in which a turn runs, and since when.
    running: HashMap<LaneKey, Timestamp>,
}

/// Where the host is between its start and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Messages are taken, and wait.
    Opening,
    /// Turns run.
    Open,
    /// No new turn begins.
    Closing,
}

/// How a lane's work came to a stop.
enum Worked {
    /// Nothing is left; the lease is given back.
    Drained,
    /// Something is left that must not run now; the lease is given back.
    Paused,
    /// The host closes.
    Closing,
    /// Another host has it.
    HeldElsewhere,
    /// The first event in line can't go on now.
    Stuck,
}

// === impl Lanes ===

impl Lanes {
    /// Lanes that hold at most `queue_limit` unfinished events each, and run at most `in_flight` turns at once, from
    /// [`Lanes::open`] on.
    pub fn new(
        host: HostId,
        store: Arc<dyn Store>,
        turns: Turns,
        queue_limit: u32,
        in_flight: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            host,
            store,
            turns,
            queue_limit,
            in_flight: Semaphore::new(in_flight),
            known: Mutex::default(),
            count: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            opened: CancellationToken::new(),
            closing: CancellationToken::new(),
            stopping: CancellationToken::new(),
        }))
    }

    /// Lets turns begin. Until then events are accepted, and wait.
    pub fn open(&self) {
        self.0.opened.cancel();
    }

    /// Takes an event into the inbox, durably, and has its lane answer it. Dropping the future does not undo that.
    ///
    /// # Errors
    /// If the store could not take it; then nothing happens.
    pub async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError> {
        let lanes = self.clone();
        // A task of its own: the store commits even if the caller gives up, and then the lane must know. None that the
        // close waits for: messages may come for as long as that takes.
        let accepted = tokio::spawn(async move {
            let lane = event.lane.clone();
            let acceptance = lanes.0.store.accept(event, lanes.0.queue_limit).await?;
            match acceptance {
                Acceptance::Fresh => lanes.wake(lane),
                Acceptance::Duplicate => tracing::info!(%lane, "a repeated delivery was passed over"),
                Acceptance::Refused => lanes.overflow(lane),
            }
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
        if let Some(woken) = known.active.get_mut(&lane) {
            *woken = true;
        } else if !self.0.closing.is_cancelled() {
            known.active.insert(lane.clone(), false);
            self.0.count.send_replace(known.active.len());
            let span = tracing::info_span!("lane", %lane);
            self.0.tasks.spawn(Arc::clone(&self.0).run(lane).instrument(span));
        }
    }

    /// A message of this lane was refused: the room is told, once until the lane has drained.
    fn overflow(&self, lane: LaneKey) {
        metrics::counter!("hearth_messages_refused_total", "bot" => lane.bot.to_string()).increment(1);
        tracing::warn!(%lane, "a lane was full; the message was refused");
        self.wake(lane.clone());
        if !self.0.closing.is_cancelled() && self.0.known().told_full.insert(lane.clone()) {
            let inner = Arc::clone(&self.0);
            self.0.tasks.spawn(async move {
                tokio::select! {
                    () = inner.turns.tell_full(&lane) => {}
                    () = inner.stopping.cancelled() => {}
                }
            });
        }
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
        self.0.known().running.clone()
    }

    /// How many lanes have work.
    pub fn busy(&self) -> usize {
        *self.0.count.borrow()
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

    /// A lane's task: works until nothing is left, or the host closes.
    async fn run(self: Arc<Self>, lane: LaneKey) {
        let mut pause = PAUSES.0;
        loop {
            match self.work(&lane).await {
                Ok(worked @ (Worked::Drained | Worked::Paused)) => {
                    if self.leave(&lane, matches!(worked, Worked::Drained)) {
                        return;
                    }
                    pause = PAUSES.0;
                    continue;
                }
                Ok(Worked::Closing) => break,
                Ok(Worked::Stuck) => tracing::info!("the lane pauses for {pause:?}"),
                Ok(Worked::HeldElsewhere) => tracing::debug!("the lane is another host's"),
                Err(StoreError::LeaseLost(_)) => tracing::warn!("the lane was taken over by another host"),
                Err(error) => tracing::error!(%error, "the lane waits for the store"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                () = self.closing.cancelled() => break,
            }
        }
        self.remove(&mut self.known(), &lane);
    }

    /// Takes the lane off the list, unless something came in the meantime.
    fn leave(&self, lane: &LaneKey, drained: bool) -> bool {
        let mut known = self.known();
        let woken = known.active.get_mut(lane).is_some_and(std::mem::take);
        if !woken {
            self.remove(&mut known, lane);
            if drained {
                known.told_full.remove(lane);
            }
        }
        !woken
    }

    fn remove(&self, known: &mut Known, lane: &LaneKey) {
        known.active.remove(lane);
        self.count.send_replace(known.active.len());
    }

    async fn work(&self, lane: &LaneKey) -> Result<Worked, StoreError> {
        let now = Timestamp::now();
        let Some(lease) = self.store.lease(lane, self.host, now, now.after(LEASE)).await? else {
            return Ok(Worked::HeldElsewhere);
        };
        let mut held = Held { lane: self, lease, renewed: Instant::now() };
        loop {
            let Some(place) = held.place().await? else { return Ok(Worked::Closing) };
            if let Some(begun) = self.store.begin(&held.lease, Timestamp::now()).await? {
                match held.turn(begun).await? {
                    Way::Ended => {}
                    Way::Stopped => return Ok(Worked::Closing),
                    Way::Blocked => return Ok(Worked::Stuck),
                }
            }
            // Others need not wait while this lane finds out that it is done.
            drop(place);
            match self.store.release_if_idle(&held.lease).await? {
                Release::Idle => return Ok(Worked::Drained),
                Release::Paused => return Ok(Worked::Paused),
                Release::Kept => {}
            }
        }
    }
}

/// A lane in which a turn runs, until this is dropped.
struct Running<'lane> {
    inner: &'lane Inner,
    lane: LaneKey,
}

impl<'lane> Running<'lane> {
    fn begin(inner: &'lane Inner, lane: &LaneKey) -> Self {
        inner.known().running.insert(lane.clone(), Timestamp::now());
        Self { inner, lane: lane.clone() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.inner.known().running.remove(&self.lane);
    }
}

/// A lane's lease, kept alive while something is waited for.
struct Held<'lane> {
    lane: &'lane Inner,
    lease: Lease,
    renewed: Instant,
}

impl<'lane> Held<'lane> {
    /// Waits until a turn may run; none if the host closes.
    async fn place(&mut self) -> Result<Option<SemaphorePermit<'lane>>, StoreError> {
        let lane = self.lane;
        let place = async {
            lane.opened.cancelled().await;
            // The semaphore is never closed.
            lane.in_flight.acquire().await.ok()
        };
        let mut place = std::pin::pin!(place);
        loop {
            tokio::select! {
                biased;
                () = lane.closing.cancelled() => return Ok(None),
                place = &mut place => return Ok(place),
                () = tokio::time::sleep_until(self.renewed + LEASE / 3) => self.renew().await?,
            }
        }
    }

    /// Runs one turn. A panic in it is a turn that can't go on now: what it was begun is counted, so it ends some time.
    async fn turn(&mut self, begun: Begun) -> Result<Way, StoreError> {
        let _running = Running::begin(self.lane, &self.lease.lane);
        let stop = self.lane.stopping.child_token();
        let lease = self.lease.clone();
        let turn = AssertUnwindSafe(self.lane.turns.run(&lease, begun, stop.clone())).catch_unwind();
        let mut turn = std::pin::pin!(turn);
        loop {
            tokio::select! {
                ended = &mut turn => return ended.unwrap_or_else(|_| {
                    tracing::error!("a turn panicked; it is begun again");
                    Ok(Way::Blocked)
                }),
                () = tokio::time::sleep_until(self.renewed + LEASE / 3) => {
                    if let Err(lost) = self.renew().await {
                        stop.cancel();
                        let _ = turn.await;
                        return Err(lost);
                    }
                }
            }
        }
    }

    /// # Errors
    /// If the lease is lost. A store that fails is no loss yet: the lease still runs, and the next try may find it well.
    async fn renew(&mut self) -> Result<(), StoreError> {
        self.renewed = Instant::now();
        match self.lane.store.renew(vec![self.lease.clone()], Timestamp::now().after(LEASE)).await {
            Ok(held) if held.is_empty() => Err(StoreError::LeaseLost(self.lease.lane.clone())),
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "a lease could not be renewed");
                Ok(())
            }
        }
    }
}
