//! Which bots there are, and which generation of each one runs.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use super::Generation;
use crate::{config::Bot, id::BotName};

/// The bots by name. Read by every webhook and every turn, written when something is put in place.
#[derive(Default)]
pub struct Roster {
    seats: RwLock<HashMap<BotName, Seat>>,
    /// Why the newest content of a bot's plugin file does not run. For those who look; nothing depends on it.
    troubles: RwLock<HashMap<BotName, String>>,
    /// Counts the changes, told under the lock.
    changes: watch::Sender<u64>,
}

/// A configured bot, and its code if that could be loaded.
#[derive(Clone)]
pub struct Seat {
    /// Its configuration.
    pub bot: Arc<Bot>,
    /// What runs; none while its plugin can't be loaded.
    pub generation: Option<Arc<Generation>>,
}

impl Roster {
    /// Puts a bot in place of what was there under its name. Turns that run keep the generation they hold.
    pub fn seat(&self, seat: Seat) {
        let name = seat.bot.name.clone();
        let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
        seats.insert(name, seat);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// All bots, in no order.
    pub fn seats(&self) -> Vec<Seat> {
        self.seats.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Notes why the newest content of a bot's plugin file does not run, or that it does.
    pub fn note(&self, name: &BotName, trouble: Option<String>) {
        let mut troubles = self.troubles.write().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => troubles.insert(name.clone(), trouble),
            None => troubles.remove(name),
        };
    }

    /// What was noted last.
    pub fn trouble(&self, name: &BotName) -> Option<String> {
        self.troubles.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits until the bot's seat is as it is wanted.
    pub async fn wait_for(&self, name: &str, mut wanted: impl FnMut(&Seat) -> bool) {
        let is_wanted = |_: &u64| self.bot(name).is_some_and(|seat| wanted(&seat));
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.changes.subscribe().wait_for(is_wanted).await;
    }

    /// The bot of that name.
    pub fn bot(&self, name: &str) -> Option<Seat> {
        self.seats.read().unwrap_or_else(PoisonError::into_inner).get(&BotName::from(name)).cloned()
    }
}
