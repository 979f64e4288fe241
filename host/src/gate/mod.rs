//! A gate with so many places, fair between bots: whoever waits is let in bot by bot, and within a bot first come, first
//! served. A bot with a thousand waiting rooms takes no more than its turn, and a bot may have fewer places than there are.
//!
//! The order is [`Queue`]'s, plain data; here it meets those who wait.

mod queue;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use self::queue::{Queue, Ticket};
use crate::id::BotName;

/// The gate. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Mutex<State>>);

struct State {
    queue: Queue,
    /// Those who wait, to be told when they are let in.
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

/// A place behind the gate, or before it while it is waited for; dropping it gives it back.
pub struct Place {
    gate: Gate,
    bot: BotName,
    ticket: Ticket,
}

impl Gate {
    /// A gate with this many places, at least one.
    pub fn new(places: usize) -> Self {
        let queue = Queue::new(places.max(1));
        Self(Arc::new(Mutex::new(State { queue, waiting: HashMap::new() })))
    }

    /// Waits for a place; `share` is how many of them this bot may have at once. Dropping the future gives up waiting.
    pub async fn enter(&self, bot: &BotName, share: Option<usize>) -> Place {
        let (tell, told) = oneshot::channel();
        let place = {
            let mut state = self.lock();
            let ticket = state.queue.join(bot, share);
            state.waiting.insert(ticket, tell);
            state.admit();
            Place { gate: self.clone(), bot: bot.clone(), ticket }
        };
        // Whoever is let in is told before he is forgotten.
        let _ = told.await;
        place
    }

    /// Whether whoever comes now has to wait.
    pub fn is_full(&self) -> bool {
        self.lock().queue.is_full()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is changed in single steps, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&mut self) {
        while let Some(ticket) = self.queue.admit() {
            if let Some(tell) = self.waiting.remove(&ticket) {
                // Who no longer listens is about to give the place back.
                let _ = tell.send(());
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        if state.waiting.remove(&self.ticket).is_some() {
            state.queue.give_up(&self.bot, self.ticket);
        } else {
            state.queue.leave(&self.bot);
            state.admit();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;

    #[tokio::test]
    async fn who_waits_is_let_in_when_a_place_is_given_back() {
        let (gate, bot) = (Gate::new(1), BotName::from("two"));
        let first = gate.enter(&"one".into(), None).await;
        let mut second = std::pin::pin!(gate.enter(&bot, None));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_is_passed_over_before_and_after_being_let_in() {
        let (gate, bot) = (Gate::new(1), BotName::from("one"));
        for is_let_in in [false, true] {
            let first = gate.enter(&bot, None).await;
            let mut given_up = Box::pin(gate.enter(&bot, None));
            assert!((&mut given_up).now_or_never().is_none());
            if is_let_in {
                drop(first);
                drop(given_up);
            } else {
                drop(given_up);
                drop(first);
            }
            assert!(gate.enter(&"two".into(), None).now_or_never().is_some());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crowd_goes_through_and_leaves_the_gate_as_it_was() {
        let gate = Gate::new(3);
        let crowd = (0..200).map(|number| {
            let gate = gate.clone();
            tokio::spawn(async move {
                let bot = BotName::from(["one", "two", "three"][number % 3]);
                let _place = gate.enter(&bot, Some(2)).await;
                tokio::task::yield_now().await;
            })
        });
        for went in join_all(crowd).await {
            went.unwrap();
        }
        let state = gate.lock();
        assert!(state.waiting.is_empty() && state.queue.is_empty());
    }
}
