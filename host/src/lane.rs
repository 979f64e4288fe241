//! One turn at a time per (room, bot), in the order of the inbox; rooms in parallel, within one bound for the host and one
//! for the bot. For the places within them the bots take turns ([`Gate`]).
//!
//! A lane exists in memory only while it has work: a task that holds the lane's lease, hands its events to the turn one
//! by one, and ends when none is left. The queue itself is the store's, so nothing is lost with a task, and ten
//! thousand quiet rooms cost nothing.
//!
//! - A wake-up is never lost: a lane ends under the same lock under which [`Lanes::wake`] looks for it, and whoever
//!   stores an event wakes its lane even if nobody waits for the answer any more.
//! - A lease that is lost stops the turn at once: someone else runs the lane now.
//! - A lane that another host holds is left to it. What that host leaves, is woken when the lease has expired.
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

mod hops;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    agent::{AgentError, CliVersion, Processes},
    gate::{Gate, Place},
    id::{BotName, EventId, HostId, LaneKey, Timestamp},
    store::{Acceptance, Begun, Due, Fired, Lease, NewEvent, Release, Stopping, Store, StoreError},
    turn::{PAUSES, Turns, Way},
};

pub use self::hops::Hops;

/// How long a lane stays ours without a word from us.
const LEASE: Duration = Duration::from_secs(30);
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
    /// The lanes whose room knows that they are full. A paused one has no task, but stays here until it has drained.
    told_full: HashSet<LaneKey>,
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

/// A lane with a task.
#[derive(Default)]
struct Active {
    /// Something came since the task last looked.
    woken: bool,
    /// What is being answered.
    running: Option<Answering>,
    /// The event that was last to be stopped: it may be about to run.
    stopped: Option<EventId>,
}

/// An event that is being answered.
struct Answering {
    event: EventId,
    since: Timestamp,
    /// Breaks it off.
    interrupt: CancellationToken,
}

/// How a lane's work came to a stop.
enum Worked {
    /// Nothing is left; the lease is given back.
    Drained,
    /// Something is left that must not run now; the lease is given back.
    Paused,
    /// Something may be left, and there is no such bot.
    Absent,
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
            in_flight: Gate::new(in_flight),
            accepts: Arc::new(Semaphore::new(ACCEPTS)),
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
        } else if !self.0.closing.is_cancelled() {
            known.active.insert(lane.clone(), Active::default());
            self.0.count.send_replace(known.active.len());
            let span = tracing::info_span!("lane", %lane);
            self.0.tasks.spawn(Arc::clone(&self.0).run(lane).instrument(span));
        }
    }

    /// Breaks off what is being answered in this lane, if anything is; the room is told, and the next message follows.
    pub fn interrupt(&self, lane: &LaneKey) -> bool {
        let known = self.0.known();
        let running = known.active.get(lane).and_then(|active| active.running.as_ref());
        running.map(|running| running.interrupt.cancel()).is_some()
    }

    /// An event of this lane is marked as stopped in the store. If it runs, or is about to, that is broken off.
    fn stop(&self, lane: &LaneKey, event: EventId) {
        tracing::info!(%lane, "a message stops what the bot is doing");
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
        if !self.0.closing.is_cancelled() && self.0.known().told_full.insert(lane.clone()) {
            let inner = Arc::clone(&self.0);
            self.0.tasks.spawn(async move {
                let told = tokio::select! {
                    told = inner.turns.tell_full(&lane) => told,
                    () = inner.stopping.cancelled() => false,
                };
                if !told {
                    // The next one that is refused may be told.
                    inner.known().told_full.remove(&lane);
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

    /// A lane's task: works until nothing is left, or the host closes.
    async fn run(self: Arc<Self>, lane: LaneKey) {
        let mut pause = PAUSES.0;
        loop {
            match self.work(&lane).await {
                // Who holds it finds whatever waits there; if that host dies, the lane is taken over some time.
                Ok(worked @ (Worked::Drained | Worked::Paused | Worked::Absent | Worked::HeldElsewhere)) => {
                    if self.leave(&lane, matches!(worked, Worked::Drained)) {
                        return;
                    }
                    pause = PAUSES.0;
                    continue;
                }
                Ok(Worked::Closing) => break,
                Ok(Worked::Stuck) => tracing::info!("the lane pauses for {pause:?}"),
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
        let woken = known.active.get_mut(lane).is_some_and(|active| std::mem::take(&mut active.woken));
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

    /// An event begins to be answered: what breaks that off.
    fn runs(&self, lane: &LaneKey, event: EventId) -> CancellationToken {
        let interrupt = CancellationToken::new();
        if let Some(active) = self.known().active.get_mut(lane) {
            if active.stopped == Some(event) {
                interrupt.cancel();
            }
            let (since, interrupt) = (Timestamp::now(), interrupt.clone());
            active.running = Some(Answering { event, since, interrupt });
        }
        interrupt
    }

    /// It is no longer answered, for now or for good.
    fn rests(&self, lane: &LaneKey) {
        if let Some(active) = self.known().active.get_mut(lane) {
            active.running = None;
        }
    }

    async fn work(&self, lane: &LaneKey) -> Result<Worked, StoreError> {
        let now = Timestamp::now();
        let Some(lease) = self.store.lease(lane, self.host, now, now.after(LEASE)).await? else {
            return Ok(Worked::HeldElsewhere);
        };
        let mut held = Held { lane: self, lease, renewed: Instant::now() };
        loop {
            let Some(place) = held.place().await? else { return held.give_back(Worked::Closing).await };
            if !self.turns.knows(&lane.bot) {
                tracing::warn!(
                    "the bot is gone from bots.toml; what waits for it here is kept until it is back"
                );
                return held.give_back(Worked::Absent).await;
            }
            if let Some(begun) = self.store.begin(&held.lease, Timestamp::now()).await? {
                let interrupt = self.runs(lane, begun.event);
                let way = held.turn(begun, interrupt).await;
                self.rests(lane);
                match way? {
                    Way::Ended => {}
                    Way::Stopped => return held.give_back(Worked::Closing).await,
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

/// A lane's lease, kept alive while something is waited for.
struct Held<'lane> {
    lane: &'lane Inner,
    lease: Lease,
    renewed: Instant,
}

impl Held<'_> {
    /// Waits until a turn may run; none if the host closes.
    async fn place(&mut self) -> Result<Option<Place>, StoreError> {
        let lane = self.lane;
        let bot = self.lease.lane.bot.clone();
        let place = async {
            lane.opened.cancelled().await;
            let came = Instant::now();
            let place = lane.in_flight.enter(&bot, lane.turns.share(&bot)).await;
            metrics::histogram!("hearth_turn_wait_seconds", "bot" => bot.to_string()).record(came.elapsed());
            place
        };
        let mut place = std::pin::pin!(place);
        loop {
            tokio::select! {
                biased;
                () = lane.closing.cancelled() => return Ok(None),
                place = &mut place => return Ok(Some(place)),
                () = tokio::time::sleep_until(self.renewed + LEASE / 3) => self.renew().await?,
            }
        }
    }

    /// Runs one turn. A panic in it is a turn that can't go on now: what it was begun is counted, so it ends some time.
    async fn turn(&mut self, begun: Begun, interrupt: CancellationToken) -> Result<Way, StoreError> {
        let stop = self.lane.stopping.child_token();
        let lease = self.lease.clone();
        let turn =
            AssertUnwindSafe(self.lane.turns.run(&lease, begun, stop.clone(), interrupt)).catch_unwind();
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

    /// Lets the lease expire now: another host need not wait for what this one leaves.
    async fn give_back(self, worked: Worked) -> Result<Worked, StoreError> {
        self.lane.store.renew(vec![self.lease], Timestamp::now()).await?;
        Ok(worked)
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
