//! Which bots there are, and which generation of each one runs.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::Generation;
use crate::{config::Bot, id::BotName};

/// The bots by name. Read by every webhook and every turn, written when something is put in place.
#[derive(Default)]
pub struct Roster(RwLock<HashMap<BotName, Seat>>);

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
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, seat);
    }

    /// The bot of that name.
    pub fn bot(&self, name: &str) -> Option<Seat> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&BotName::from(name)).cloned()
    }
}
