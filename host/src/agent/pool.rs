//! Processes that stay after their turn, so that the next message of their room needs no start; and those that were started
//! ahead, see [`spares`](super::spares).
//!
//! A process here is a cache of its conversation and never the truth: whatever happens to it, the transcript is there and the
//! next turn can be run by a new one. So whatever is odd about it is a reason to end it, and none to think further.
//!
//! - It is bound to its room, its session and the [`Terms`] it was started on. A message that fits in all of them takes it; one
//!   that does not ends it, and goes on when it has ended: no session ever has two processes.
//! - Where hosts share a store, another one may have gone on with the conversation meanwhile. So it is known up to which
//!   [`Mark`] a process knows it, and one that was left behind is ended ([`Pool::knows`]) before the transcript is touched.
//! - Before it is given away it has said that its turn is over (`command_lifecycle`, which follows the result). What it
//!   says after that, its end, and too long a wait for a message end it.
//! - The number and the memory of those that wait are bounded: spares go first, then the one that was used the longest time
//!   ago. Memory is measured while one waits, and again when that is some time ago ([`Gauge`]). Where it can't be done, the
//!   number alone counts.

mod waiting;

use std::{
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use futures_util::future::OptionFuture;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::DropGuard, task::TaskTracker};
use uuid::Uuid;

pub(super) use self::waiting::{Asked, Place};
use self::waiting::{Key, Waiting};
pub use self::waiting::{Processes, WaitingProcess};
use super::{
    exchange::later,
    live::{Aside, Expected, Live, Terms},
    memory::Gauge,
    process::{Happening, Leave},
    protocol::{self, LifecycleState, Line},
};
use crate::{
    config::Warm,
    id::{BotName, SessionId},
    store::Mark,
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

/// A task's end of its entry.
pub(super) struct Held {
    pool: Arc<Shared>,
    key: Key,
    number: u64,
    /// Tells when the task is over.
    _over: DropGuard,
}

/// Says that a process is in use.
pub(super) struct InUse(Arc<Shared>);

/// A process whose turn has just ended well.
pub(super) struct Kept {
    pub(super) live: Live,
    pub(super) place: Place,
    pub(super) session: SessionId,
    pub(super) terms: Arc<Terms>,
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
        let entry = self.0.lock().processes.remove(&Key::Room(place.clone()))?;
        let over = entry.over.clone();
        let fits = session == Some(entry.session) && *entry.terms == *terms;
        let given = if fits {
            entry.given().await
        } else {
            // That tells its task.
            drop(entry);
            None
        };
        if given.is_none() {
            over.cancelled().await;
        }
        given
    }

    /// Whether the process that waits for this place's next message knows the conversation up to this mark, and no other.
    /// One that does not has ended afterwards, with all it had to write.
    pub(super) async fn knows(&self, place: &Place, mark: Option<&Mark>) -> bool {
        let key = Key::Room(place.clone());
        let stale = {
            let mut waiting = self.0.lock();
            match waiting.processes.get(&key) {
                Some(entry) if entry.mark.as_ref() == mark => return true,
                _ => waiting.processes.remove(&key),
            }
        };
        if let Some(entry) = stale {
            let over = entry.over.clone();
            // That tells its task.
            drop(entry);
            over.cancelled().await;
        }
        false
    }

    /// The process of this place's last turn, if it waits for the next, knows the conversation up to this mark.
    pub(super) fn left_with(&self, place: &Place, mark: Mark) {
        let mut waiting = self.0.lock();
        let entry = waiting.processes.get_mut(&Key::Room(place.clone()));
        if let Some(entry) = entry.filter(|entry| entry.session == mark.session) {
            entry.mark = Some(mark);
        }
    }

    /// A process is in use that may come to wait here; until the answer goes.
    pub(super) fn in_use(&self) -> InUse {
        self.0.lock().in_use += 1;
        InUse(Arc::clone(&self.0))
    }

    /// A process of this bot that was started ahead on these terms, and the name of its conversation.
    pub(super) async fn take_spare(&self, bot: &BotName, terms: &Terms) -> Option<(SessionId, Live)> {
        loop {
            let entry = self.0.lock().remove_spare(bot, terms)?;
            let session = entry.session;
            if let Some(live) = entry.given().await {
                return Some((session, live));
            }
        }
    }

    /// Whether processes of this bot are to be started ahead, up to `count`: if it was asked twice in a row on the same
    /// terms. Those on other terms, and all if none are to be there, are ended.
    pub(super) fn are_spares_wanted(&self, bot: &BotName, terms: &Arc<Terms>, count: usize) -> bool {
        let mut waiting = self.0.lock();
        if count == 0 || !self.is_on() {
            // Most bots never had any.
            if waiting.last_terms.remove(bot).is_some() {
                waiting.processes.retain(|key, _| !key.is_spare_of(bot));
            }
            return false;
        }
        let before = waiting.last_terms.insert(bot.clone(), Arc::clone(terms));
        waiting.processes.retain(|key, entry| !key.is_spare_of(bot) || entry.terms == *terms);
        before.is_some_and(|before| before == *terms)
    }

    /// Room for one more spare of the bot's, as long as it has fewer than `count` and nothing has to go for it.
    pub(super) fn reserve(
        &self,
        bot: &BotName,
        session: SessionId,
        terms: &Arc<Terms>,
        count: usize,
    ) -> Option<(Held, Asked)> {
        let mut waiting = self.0.lock();
        let has = waiting.processes.keys().filter(|key| key.is_spare_of(bot)).count();
        if waiting.is_closed || has >= count || !waiting.has_room(&self.0.limits) {
            return None;
        }
        let key = Key::Spare(bot.clone(), session);
        Some(self.0.enter(&mut waiting, key, session, Arc::clone(terms), false))
    }

    /// Lets a process wait for the next message of its room.
    pub(super) fn keep(&self, kept: Kept) {
        let Kept { live, place, session, terms, message, is_over } = kept;
        let mut waiting = self.0.lock();
        if waiting.is_closed {
            return;
        }
        let (held, asked) = self.0.enter(&mut waiting, Key::Room(place), session, terms, true);
        if let (Some(memory), Some(entry)) = (live.memory.known(), waiting.entry(&held.key, held.number)) {
            entry.memory = memory;
        }
        waiting.shrink(&self.0.limits);
        drop(waiting);
        let settling = Settling { live, message, is_over };
        self.0.endings.spawn(async move {
            match settling.settled().await {
                Ok(live) => held.wait(live, asked).await,
                Err((live, doubt)) => held.end(live, doubt).await,
            }
        });
    }

    /// How many processes of this bot that were started ahead can be given away.
    #[cfg(test)]
    pub(super) fn ready_spares(&self, bot: &BotName) -> usize {
        let waiting = self.0.lock();
        waiting.processes.iter().filter(|(key, entry)| key.is_spare_of(bot) && entry.is_up).count()
    }

    pub(super) fn processes(&self) -> Processes {
        self.0.lock().processes()
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

    fn enter(
        self: &Arc<Self>,
        waiting: &mut Waiting,
        key: Key,
        session: SessionId,
        terms: Arc<Terms>,
        is_up: bool,
    ) -> (Held, Asked) {
        let (number, asked, over) = waiting.enter(key.clone(), session, terms, is_up);
        (Held { pool: Arc::clone(self), key, number, _over: over }, asked)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.lock().in_use -= 1;
    }
}

// === impl Held ===

/// How a wait ended.
enum Waited {
    /// Somebody wants the process.
    Wanted(oneshot::Sender<Live>),
    /// Nobody does, or nobody may.
    Unwanted,
    /// It did something that it should not have.
    Doubtful(&'static str),
}

impl Held {
    /// From now on it can be given away.
    pub(super) fn is_up(&self) {
        if let Some(entry) = self.pool.lock().entry(&self.key, self.number) {
            entry.is_up = true;
        }
    }

    /// Holds the process until somebody takes it, or it has to go.
    pub(super) async fn wait(self, mut live: Live, asked: Asked) {
        let mut gauge = std::mem::take(&mut live.memory);
        let waited = self.waited(&mut live, &mut gauge, asked).await;
        live.memory = gauge;
        let leave = match waited {
            Waited::Wanted(taker) => match taker.send(live) {
                Ok(()) => return,
                Err(given_back) => {
                    live = given_back;
                    Leave::ByItself
                }
            },
            Waited::Unwanted => Leave::ByItself,
            Waited::Doubtful(doubt) => return self.end(live, doubt).await,
        };
        self.forget();
        live.process.end(leave).await;
    }

    /// Ends a process about which something is odd.
    async fn end(self, mut live: Live, doubt: &'static str) {
        tracing::debug!(waited_for = ?self.key, doubt, "a waiting agent is ended");
        self.forget();
        live.process.end(Leave::Terminated).await;
    }

    async fn waited(&self, live: &mut Live, gauge: &mut Gauge, mut asked: Asked) -> Waited {
        let until = later(Instant::now(), self.pool.limits.idle);
        let group = live.process.group().filter(|_| !gauge.is_recent());
        let mut measuring = std::pin::pin!(OptionFuture::from(group.map(|group| gauge.measure(group))));
        let mut is_measured = group.is_none();
        // One that was not asked anything yet may still be asking for its tools.
        let expected = match self.key {
            Key::Spare(..) => Expected::Questions,
            Key::Room(_) => Expected::Nothing,
        };
        loop {
            tokio::select! {
                biased;
                aside = live.attend(expected) => return Waited::Doubtful(match aside {
                    Aside::Ended => "it ended by itself",
                    Aside::Up | Aside::Spoke => "it spoke without being asked",
                }),
                asked = &mut asked => return asked.map_or(Waited::Unwanted, Waited::Wanted),
                memory = &mut measuring, if !is_measured => {
                    is_measured = true;
                    self.measured(memory.flatten());
                }
                () = sleep_until(until) => return Waited::Unwanted,
            }
        }
    }

    /// Takes note of what it takes, unless it is no longer here.
    fn measured(&self, memory: Option<u64>) {
        static UNKNOWN: Once = Once::new();
        let Some(memory) = memory else {
            UNKNOWN.call_once(|| {
                tracing::info!(
                    "the memory of agents can't be measured here; `[agent.warm] memory` does not bound them"
                );
            });
            return;
        };
        let mut waiting = self.pool.lock();
        waiting.largest = waiting.largest.max(memory);
        if let Some(entry) = waiting.entry(&self.key, self.number) {
            entry.memory = memory;
            waiting.shrink(&self.pool.limits);
        }
    }

    fn forget(&self) {
        let mut waiting = self.pool.lock();
        if waiting.entry(&self.key, self.number).is_some() {
            waiting.processes.remove(&self.key);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.forget();
    }
}

// === impl Settling ===

/// A process between its result and the end of its turn.
struct Settling {
    live: Live,
    message: Uuid,
    is_over: bool,
}

impl Settling {
    /// Waits until the process says that its turn is over.
    async fn settled(mut self) -> Result<Live, (Live, &'static str)> {
        match self.settle().await {
            Ok(()) => Ok(self.live),
            Err(doubt) => Err((self.live, doubt)),
        }
    }

    async fn settle(&mut self) -> Result<(), &'static str> {
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
                Ok(Line::Other | Line::Up) if !self.is_over => {}
                _ => return Err("it went on after its turn"),
            }
        }
        Ok(())
    }
}
