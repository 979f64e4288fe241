//! How hosts that share a store tell each other what to do now.
//!
//! A signal is a hint, and nothing depends on its arrival: what it is about is in the store before it is given. It reaches
//! hosts that listen at that moment, and a host learns whenever it may have missed any ([`Signal::Listening`]).

use async_trait::async_trait;

use super::super::{Lease, StoreError};
use crate::id::{EventId, HostId, LaneKey, Timestamp};

/// What a host is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// It listens from now on. What was said before it has not heard.
    Listening,
    /// `caller` has an event for a lane that nobody holds and that this host held last: it is to take it, or to
    /// [`leave`](Signals::leave) it.
    Take {
        /// Which lane.
        lane: LaneKey,
        /// Who waits for that.
        caller: HostId,
    },
    /// The host that was called leaves the lane to this one.
    Left {
        /// Which lane.
        lane: LaneKey,
    },
    /// An event of a lane that this host holds was marked as stopped.
    Stop {
        /// Which lane.
        lane: LaneKey,
        /// Which event.
        event: EventId,
    },
}

/// How a lane is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The host that held it last comes first, if it listens.
    Politely,
    /// It had its chance.
    Insistently,
}

/// What a host that asked for a lane is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It has it.
    Granted(Lease),
    /// Another host has it.
    Held,
    /// Nobody has it, and nothing is to be done in it now.
    Idle,
    /// The host that held it last was called, for this event, which is the oldest that waits there.
    Called(EventId),
}

/// The way from host to host.
#[async_trait]
pub trait Signals {
    /// Has `hear` told whatever is said to this host, as long as the future is polled and the store is not closed. A
    /// connection that is lost is made anew. `hear` must not block.
    async fn listen(&self, host: HostId, hear: &(dyn Fn(Signal) + Send + Sync));

    /// Asks for a lane because something waits there: [`Store::lease`](crate::store::Store::lease) for hosts that leave a
    /// lane where it was.
    async fn ask_for(
        &self,
        lane: &LaneKey,
        host: HostId,
        now: Timestamp,
        until: Timestamp,
        manner: Manner,
    ) -> Result<Asked, StoreError>;

    /// Leaves a lane to the host that has called.
    async fn leave(&self, lane: &LaneKey, caller: HostId) -> Result<(), StoreError>;

    /// Marks what is being answered in a lane as stopped, and tells whoever holds it; answers whether there was anything.
    async fn stop(&self, lane: &LaneKey) -> Result<bool, StoreError>;

    /// Notes that a lane's room is told that it is full, until the lane has drained, or that it was not told after all;
    /// answers whether that was not known.
    async fn note_full(&self, lane: &LaneKey, told: bool) -> Result<bool, StoreError>;

    /// Those of these lanes whose oldest unfinished event is marked as stopped, and that event.
    async fn stopped(&self, lanes: &[LaneKey]) -> Result<Vec<(LaneKey, EventId)>, StoreError>;
}
