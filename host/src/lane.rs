//! One turn at a time per (room, bot), in the order of the inbox; rooms in parallel, within one bound for the host.
//!
//! A lane exists in memory only while it has work: a task that holds the lane's lease, hands its events to the turn one
//! by one, and ends when none is left. The queue itself is the store's, so nothing is lost with a task, and ten
//! thousand quiet rooms cost nothing.
//!
//! - A wake-up is never lost: a lane ends under the same lock under which [`Lanes::wake`] looks for it.
//! - A lease that is lost stops the turn at once: someone else runs the lane now.
//! - A store that fails keeps the lane waiting, with growing pauses, until it answers again.
//! - A full lane is told to the room once, until it has drained; what was refused is counted and logged.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    id::{HostId, LaneKey, Timestamp},
    store::{Acceptance, Begun, Lease, NewEvent, Store, StoreError},
    turn::Turns,
};

/// How long a lane stays ours without a word from us.
const LEASE: Duration = Duration::from_secs(30);
/// The first and the longest pause after the store failed, or while another host holds the lane.
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
    active: Mutex<HashMap<LaneKey, Active>>,
    /// How many those are; told under their lock.
    count: watch::Sender<usize>,
    tasks: TaskTracker,
    /// No new turn begins.
    closing: CancellationToken,
    /// Running turns break off.
    stopping: CancellationToken,
    refused: AtomicU64,
}

/// A lane that has a task.
#[derive(Default)]
struct Active {
    /// Something came since the task last looked.
    woken: bool,
    /// The room knows that the lane is full.
    told_full: bool,
}

// === impl Lanes ===

impl Lanes {
    /// Lanes that hold at most `queue_limit` unfinished events each, and run at most `in_flight` turns at once.
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
            active: Mutex::default(),
            count: watch::Sender::new(0),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            stopping: CancellationToken::new(),
            refused: AtomicU64::new(0),
        }))
    }

    /// Takes an event into the inbox, durably, and has its lane answer it.
    ///
    /// # Errors
    /// If the store could not take it; then nothing happens.
    pub async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError> {
        let lane = event.lane.clone();
        let acceptance = self.0.store.accept(event, self.0.queue_limit).await?;
        match acceptance {
            Acceptance::Fresh => self.wake(lane),
            Acceptance::Duplicate => tracing::info!(%lane, "a repeated delivery was passed over"),
            Acceptance::Refused => self.overflow(lane),
        }
        Ok(acceptance)
    }

    /// Something waits in this lane.
    pub fn wake(&self, lane: LaneKey) {
        let mut active = self.0.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = active.get_mut(&lane) {
            running.woken = true;
        } else if !self.0.closing.is_cancelled() {
            active.insert(lane.clone(), Active::default());
            self.0.count.send_replace(active.len());
            let span = tracing::info_span!("lane", %lane);
            self.0.tasks.spawn(Arc::clone(&self.0).run(lane).instrument(span));
        }
    }

    /// A message of this lane was refused: the room is told, once until the lane has drained.
    fn overflow(&self, lane: LaneKey) {
        let refused = self.0.refused.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(%lane, refused, "a lane was full; the message was refused");
        self.wake(lane.clone());
        let first = {
            let mut active = self.0.active.lock().unwrap_or_else(PoisonError::into_inner);
            active.get_mut(&lane).is_some_and(|running| !std::mem::replace(&mut running.told_full, true))
        };
        if first {
            let inner = Arc::clone(&self.0);
            self.0.tasks.spawn(async move { inner.turns.tell_full(&lane).await });
        }
    }

    /// How many messages were refused since the start.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// How many lanes have work.
    pub fn active(&self) -> usize {
        *self.0.count.borrow()
    }

    /// Waits until no lane has work.
    pub async fn drained(&self) {
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.0.count.subscribe().wait_for(|active| *active == 0).await;
    }

    /// Begins no new turn, gives running ones `grace` to end, then breaks them off. What has not ended is in the inbox.
    pub async fn close(&self, grace: Duration) {
        self.0.closing.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(
                lanes = self.active(),
                "turns did not end within {grace:?}; they will run at the next start"
            );
            self.0.stopping.cancel();
            self.0.tasks.wait().await;
        }
        self.0.turns.agents_gone().await;
    }
}

// === impl Inner ===

impl Inner {
    /// A lane's task: works until nothing is left, or the host closes.
    async fn run(self: Arc<Self>, lane: LaneKey) {
        let mut pause = PAUSES.0;
        loop {
            match self.work(&lane).await {
                Ok(Worked::Drained) if self.leave(&lane) => return,
                Ok(Worked::Drained) => {
                    pause = PAUSES.0;
                    continue;
                }
                Ok(Worked::Closing) => break,
                Ok(Worked::HeldElsewhere) => tracing::debug!("the lane is another host's"),
                Err(StoreError::LeaseLost(_)) => tracing::warn!("the lane was taken over by another host"),
                Err(error) => tracing::error!(%error, "the lane waits for the store"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                () = self.closing.cancelled() => break,
            }
        }
        self.remove(&mut self.active.lock().unwrap_or_else(PoisonError::into_inner), &lane);
    }

    fn remove(&self, active: &mut HashMap<LaneKey, Active>, lane: &LaneKey) {
        active.remove(lane);
        self.count.send_replace(active.len());
    }

    /// Takes the lane off the list, unless something came in the meantime.
    fn leave(&self, lane: &LaneKey) -> bool {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        match active.get_mut(lane) {
            Some(running) if running.woken => {
                running.woken = false;
                false
            }
            _ => {
                self.remove(&mut active, lane);
                true
            }
        }
    }

    async fn work(&self, lane: &LaneKey) -> Result<Worked, StoreError> {
        let now = Timestamp::now();
        let Some(lease) = self.store.lease(lane, self.host, now, now.after(LEASE)).await? else {
            return Ok(Worked::HeldElsewhere);
        };
        let mut renewed = Instant::now();
        loop {
            let _place = tokio::select! {
                place = self.in_flight.acquire() => place,
                () = self.closing.cancelled() => return Ok(Worked::Closing),
            };
            if renewed.elapsed() > LEASE / 3 {
                self.renew(&lease).await?;
                renewed = Instant::now();
            }
            match self.store.begin(&lease, Timestamp::now()).await? {
                Some(begun) => renewed = self.turn(&lease, begun).await?,
                None if self.store.release_if_idle(&lease).await? => return Ok(Worked::Drained),
                None => {}
            }
        }
    }

    /// Runs one turn and keeps the lease alive meanwhile; answers when it was last renewed.
    async fn turn(&self, lease: &Lease, begun: Begun) -> Result<Instant, StoreError> {
        let mut renewed = Instant::now();
        let stop = self.stopping.child_token();
        let mut turn = std::pin::pin!(self.turns.run(lease, begun, stop.clone()));
        loop {
            tokio::select! {
                ended = &mut turn => return ended.map(|()| renewed),
                () = tokio::time::sleep_until(renewed + LEASE / 3) => match self.renew(lease).await {
                    Ok(()) => renewed = Instant::now(),
                    Err(StoreError::LeaseLost(lane)) => {
                        stop.cancel();
                        let _ = turn.await;
                        return Err(StoreError::LeaseLost(lane));
                    }
                    // The lease still runs; the next try may find the store well again.
                    Err(error) => {
                        tracing::warn!(%error, "a lease could not be renewed");
                        renewed = Instant::now();
                    }
                },
            }
        }
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StoreError> {
        let held = self.store.renew(vec![lease.clone()], Timestamp::now().after(LEASE)).await?;
        if held.is_empty() { Err(StoreError::LeaseLost(lease.lane.clone())) } else { Ok(()) }
    }
}

/// How a lane's work ended.
enum Worked {
    /// Nothing is left; the lease is given back.
    Drained,
    /// The host closes.
    Closing,
    /// Another host has it.
    HeldElsewhere,
}
