//! Processes that stay after their turn, so that the next message of their room needs no start.
//!
//! A process here is a cache of its conversation and never the truth: whatever happens to it, the transcript is there and the
//! next turn can be run by a new one. So whatever is odd about it is a reason to end it, and none to think further.
//!
//! - It is bound to its room, its session and the [`Terms`] it was started on. A message that fits in all of them takes it; one
//!   that does not ends it, and goes on when it has ended: no session ever has two processes.
//! - Before it is given away it has said that its turn is over (`command_lifecycle`, which follows the result). What it
//!   says after that, its end, and too long a wait for a message end it.
//! - The number and the memory of those that wait are bounded: the one that was used the longest time ago goes first.
//!   Memory is measured, once after each turn; where that can't be done, the number alone counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use rustix::process::Pid;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use uuid::Uuid;

use super::{
    exchange::later,
    live::{Live, Terms},
    memory,
    process::{Happening, Leave},
    protocol::{self, LifecycleState, Line},
};
use crate::{
    config::Warm,
    id::{BotName, RoomId, SessionId},
};

/// How long after the result a process may take to say that its turn is over. It takes milliseconds.
const SETTLING: Duration = Duration::from_secs(1);

/// The processes that wait. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    limits: Warm,
    waiting: Mutex<Waiting>,
    /// Where the tasks that hold the processes are known.
    endings: TaskTracker,
}

#[derive(Default)]
struct Waiting {
    processes: HashMap<Place, Entry>,
    /// Counts up with each entry: the lowest number was used the longest time ago.
    next: u64,
    /// Nothing may wait any more.
    is_closed: bool,
}

/// Whose process it is. A room's turns follow each other, so there is at most one.
pub(super) type Place = (BotName, RoomId);

/// A process that waits, in the hands of a task of its own. Dropping this tells the task to end it.
struct Entry {
    number: u64,
    session: SessionId,
    terms: Terms,
    /// In bytes, once it is measured.
    memory: u64,
    /// Asks the task for the process.
    hand: oneshot::Sender<oneshot::Sender<Live>>,
    /// The task is over, and so is its process unless it was given away.
    over: CancellationToken,
}

/// A process whose turn has just ended well.
pub(super) struct Kept {
    pub(super) live: Live,
    pub(super) place: Place,
    pub(super) session: SessionId,
    pub(super) terms: Terms,
    /// What it was asked.
    pub(super) message: Uuid,
    /// It has said that this is over.
    pub(super) is_over: bool,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(limits: Warm, endings: TaskTracker) -> Self {
        Self(Arc::new(Shared { limits, waiting: Mutex::default(), endings }))
    }

    /// Whether any process may wait here.
    pub(super) fn is_on(&self) -> bool {
        self.0.limits.processes > 0
    }

    /// The process for a message of this session on these terms. One of this place that does not fit has ended afterwards.
    pub(super) async fn take(
        &self,
        place: &Place,
        session: Option<SessionId>,
        terms: &Terms,
    ) -> Option<Live> {
        let Entry { session: its_session, terms: its_terms, hand, over, .. } =
            self.0.lock().processes.remove(place)?;
        if session == Some(its_session) && its_terms == *terms {
            let (give, given) = oneshot::channel();
            if hand.send(give).is_ok()
                && let Ok(live) = given.await
            {
                return Some(live);
            }
        } else {
            drop(hand);
        }
        over.cancelled().await;
        None
    }

    /// Lets a process wait for the next message of its room.
    pub(super) fn keep(&self, kept: Kept) {
        let Kept { live, place, session, terms, message, is_over } = kept;
        let (hand, asked) = oneshot::channel();
        let over = CancellationToken::new();
        let mut waiting = self.0.lock();
        if waiting.is_closed {
            return;
        }
        waiting.next += 1;
        let number = waiting.next;
        let entry = Entry { number, session, terms, memory: 0, hand, over: over.clone() };
        waiting.processes.insert(place.clone(), entry);
        waiting.shrink(&self.0.limits);
        drop(waiting);
        let watch = Watch {
            live,
            message,
            is_over,
            place,
            number,
            pool: Arc::clone(&self.0),
            _over: over.drop_guard(),
        };
        self.0.endings.spawn(watch.run(asked));
    }

    /// Ends all that wait, and keeps nothing any more until it is [`Pool::reopen`]ed.
    pub(super) fn close(&self) {
        let mut waiting = self.0.lock();
        waiting.is_closed = true;
        waiting.processes.clear();
    }

    pub(super) fn reopen(&self) {
        self.0.lock().is_closed = false;
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // It is changed in single steps, so a panic elsewhere leaves it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what a process takes, unless it is no longer here.
    fn measured(&self, place: &Place, number: u64, memory: Option<u64>) {
        static UNKNOWN: Once = Once::new();
        let Some(memory) = memory else {
            UNKNOWN.call_once(|| {
                tracing::info!(
                    "the memory of agents can't be measured here; `[agent.warm] memory` does not bound them"
                );
            });
            return;
        };
        let mut waiting = self.lock();
        if let Some(entry) = waiting.processes.get_mut(place).filter(|entry| entry.number == number) {
            entry.memory = memory;
            waiting.shrink(&self.limits);
        }
    }

    fn forget(&self, place: &Place, number: u64) {
        let mut waiting = self.lock();
        if waiting.processes.get(place).is_some_and(|entry| entry.number == number) {
            waiting.processes.remove(place);
        }
    }
}

impl Waiting {
    /// Lets go of the least recently used until the rest keeps the limits.
    fn shrink(&mut self, limits: &Warm) {
        let most = u64::try_from(limits.memory).unwrap_or(u64::MAX);
        while self.processes.len() > limits.processes
            || self.processes.values().map(|entry| entry.memory).sum::<u64>() > most
        {
            let oldest = self.processes.iter().min_by_key(|(_, entry)| entry.number);
            let Some(place) = oldest.map(|(place, _)| place.clone()) else { return };
            self.processes.remove(&place);
        }
    }
}

// === impl Watch ===

/// The task that holds a process while it waits.
struct Watch {
    live: Live,
    message: Uuid,
    is_over: bool,
    place: Place,
    number: u64,
    pool: Arc<Shared>,
    /// Tells when this is over.
    _over: DropGuard,
}

/// How a wait ended.
enum Waited {
    /// Somebody wants the process.
    Wanted(oneshot::Sender<Live>),
    /// Nobody does, or nobody may.
    Unwanted,
    /// It did something that it should not have.
    Doubtful(&'static str),
}

impl Watch {
    async fn run(mut self, asked: oneshot::Receiver<oneshot::Sender<Live>>) {
        let waited = match self.settled().await {
            Ok(()) => self.wait(asked).await,
            Err(doubt) => Waited::Doubtful(doubt),
        };
        let leave = match waited {
            Waited::Wanted(taker) => match taker.send(self.live) {
                Ok(()) => return,
                Err(live) => {
                    self.live = live;
                    Leave::ByItself
                }
            },
            Waited::Unwanted => Leave::ByItself,
            Waited::Doubtful(doubt) => {
                let (bot, room) = &self.place;
                tracing::debug!(%bot, %room, doubt, "a waiting agent is ended");
                Leave::Terminated
            }
        };
        self.pool.forget(&self.place, self.number);
        self.live.process.end(leave).await;
    }

    /// Waits until the process says that its turn is over.
    async fn settled(&mut self) -> Result<(), &'static str> {
        let until = Instant::now() + SETTLING;
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        while !self.is_over {
            tokio::select! {
                happening = self.live.process.next(&mut input, &mut output) => match happening {
                    Happening::Output => self.hear(&output)?,
                    Happening::Exited(_) => return Err("it ended after its turn"),
                    Happening::Taken => {}
                },
                () = sleep_until(until) => return Err("it did not say that its turn is over"),
            }
            output.clear();
        }
        if self.live.framer.is_mid_line() { Err("it went on after its turn") } else { Ok(()) }
    }

    /// Takes in what is said between the result and the end of the turn.
    fn hear(&mut self, mut chunk: &[u8]) -> Result<(), &'static str> {
        while let Some(line) = self.live.framer.next_line(&mut chunk) {
            match protocol::read(line) {
                Ok(Line::Lifecycle(message, state)) if message == self.message => {
                    self.is_over |= matches!(state, LifecycleState::Completed | LifecycleState::Cancelled);
                }
                Ok(Line::Other) if !self.is_over => {}
                _ => return Err("it went on after its turn"),
            }
        }
        Ok(())
    }

    async fn wait(&mut self, mut asked: oneshot::Receiver<oneshot::Sender<Live>>) -> Waited {
        let until = later(Instant::now(), self.pool.limits.idle);
        let mut measuring = std::pin::pin!(measure(self.live.process.group()));
        let mut is_measured = false;
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        loop {
            tokio::select! {
                biased;
                happening = self.live.process.next(&mut input, &mut output) => match happening {
                    Happening::Output => return Waited::Doubtful("it spoke without being asked"),
                    Happening::Exited(_) => return Waited::Doubtful("it ended by itself"),
                    Happening::Taken => {}
                },
                asked = &mut asked => return asked.map_or(Waited::Unwanted, Waited::Wanted),
                memory = &mut measuring, if !is_measured => {
                    is_measured = true;
                    self.pool.measured(&self.place, self.number, memory);
                }
                () = sleep_until(until) => return Waited::Unwanted,
            }
        }
    }
}

async fn measure(group: Option<Pid>) -> Option<u64> {
    let group = group?;
    tokio::task::spawn_blocking(move || memory::of_group(group)).await.ok().flatten()
}
