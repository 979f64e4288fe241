//! What a call of a plugin can reach, if it is granted: the room of its turn and what the host keeps for the bot.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Notify, time::Instant};

use super::{
    rate::Rates,
    trace::{Told, Tracer},
};
use crate::{
    campfire::{Client, Target},
    egress::Gate,
    id::{LaneKey, MessageId, RoomId, Timestamp},
    store::Kept,
};

/// What all turns share.
pub struct Services {
    /// For `kv` and `schedule`.
    pub(super) store: Arc<dyn Kept>,
    /// Told whenever a timer is set: it may be the next one.
    pub(super) timer_set: Arc<Notify>,
    outside: Outside,
}

/// What is not the host's own.
#[allow(clippy::large_enum_variant, reason = "there is one")]
enum Outside {
    /// The world as it is.
    Real(Real),
    /// Something that stands in for it.
    Played(Arc<dyn World>),
}

/// Why nothing comes of a call that nobody answers where the world is played.
pub(crate) const NOT_TOLD: &str =
    "nothing outside is reached in a rehearsal, and nobody told what this call is answered";

/// The world as it is.
pub(super) struct Real {
    /// For `campfire`.
    pub(super) client: Client,
    /// For `http`.
    pub(super) gate: Gate,
    /// How much of `campfire` each bot has used in each room.
    rates: Mutex<Rates>,
}

/// Stands in for the world, where a plugin is rehearsed.
pub trait World: Send + Sync {
    /// The answer to a call of the host that the bot grants and that makes sense, both as a trace has them. Without one,
    /// what the plugin keeps and the time are the services', and what is outside can't be reached.
    fn answer(&self, function: &str, arguments: &Value) -> Option<Value>;

    /// What time it is.
    fn now(&self) -> Timestamp;
}

impl Services {
    /// These.
    pub fn new(store: Arc<dyn Kept>, client: Client, timer_set: Arc<Notify>) -> Self {
        let real = Real { client, gate: Gate::default(), rates: Mutex::default() };
        Self { store, timer_set, outside: Outside::Real(real) }
    }

    /// Apart from the world: what is kept is kept here, and everything else is played.
    pub fn apart(store: Arc<dyn Kept>, world: Arc<dyn World>) -> Self {
        Self { store, timer_set: Arc::default(), outside: Outside::Played(world) }
    }

    /// The world as it is; none where it is played.
    pub(super) fn real(&self) -> Option<&Real> {
        match &self.outside {
            Outside::Real(real) => Some(real),
            Outside::Played(_) => None,
        }
    }

    /// What stands in for the world.
    pub(super) fn world(&self) -> Option<&dyn World> {
        match &self.outside {
            Outside::Real(_) => None,
            Outside::Played(world) => Some(&**world),
        }
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.world().map_or_else(Timestamp::now, World::now)
    }
}

impl Real {
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
