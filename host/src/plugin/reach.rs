//! What a call of a plugin can reach, if it is granted: the room of its turn and what the host keeps for the bot.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::Notify, time::Instant};

use super::{
    rate::Rates,
    trace::{Told, Tracer},
};
use crate::{
    campfire::{Client, Target},
    egress::Gate,
    id::{LaneKey, MessageId, RoomId, Timestamp},
    store::Store,
};

/// What all turns share.
pub struct Services {
    /// For `kv` and `schedule`.
    pub(super) store: Arc<dyn Store>,
    /// For `campfire`.
    pub(super) client: Client,
    /// How much of `campfire` each bot has used in each room.
    rates: Mutex<Rates>,
    /// Told whenever a timer is set: it may be the next one.
    pub(super) timer_set: Arc<Notify>,
    /// For `http`.
    pub(super) gate: Gate,
}

impl Services {
    /// These.
    pub fn new(store: Arc<dyn Store>, client: Client, timer_set: Arc<Notify>) -> Self {
        Self { store, client, rates: Mutex::default(), gate: Gate::default(), timer_set }
    }

    /// Takes `count` of the requests that the lane may make now, or tells after which time they could be taken.
    pub(super) fn take(&self, lane: &LaneKey, count: usize, now: Instant) -> Result<(), Duration> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).take(lane, count, now)
    }
}

/// What the calls of one turn can reach.
#[derive(Clone)]
pub struct Reach {
    /// What all turns share.
    pub services: Arc<Services>,
    /// The turn's room.
    pub room: RoomId,
    /// How it is reached; none if the bot has no key or Campfire.
    pub target: Option<Target>,
    /// The message that is answered, if the turn is about one.
    pub trigger: Option<MessageId>,
    /// When the host received what the turn is about.
    pub received_at: Timestamp,
    /// Where it is taken down what the plugin is called with, asks and says; none if nobody wants to know.
    pub tracer: Option<Tracer>,
}

impl Reach {
    /// The same for a call that begins now.
    pub(super) fn calling(&self, call: &str, input: &impl Serialize) -> Self {
        let tracer = self.tracer.as_ref().map(|tracer| tracer.calling(call, input));
        Self { tracer, ..self.clone() }
    }

    /// That call has ended.
    pub(super) fn called<T: Serialize, E: Serialize>(&self, output: Result<T, E>) {
        if let Some(tracer) = &self.tracer {
            tracer.called(&Told::from(output));
        }
    }
}
