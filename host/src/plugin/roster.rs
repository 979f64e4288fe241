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

    /// Takes a bot out. Turns that run keep the generation they hold.
    pub fn remove(&self, name: &BotName) {
        let mut seats = self.seats.write().unwrap_or_else(PoisonError::into_inner);
        if seats.remove(name).is_some() {
            self.changes.send_modify(|changes| *changes += 1);
        }
    }

    /// All bots, in no order.
    pub fn seats(&self) -> Vec<Seat> {
        self.seats.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
