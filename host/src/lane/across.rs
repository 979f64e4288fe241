//! What hosts that share a store have to do with each other's lanes.
//!
//! Any host takes any webhook. Who runs the lane is settled by its lease, in this order:
//!
//! 1. Whoever holds it: before a lane is given back it is looked once more, in the same step, whether anything waits.
//! 2. Else the host that had it last, if it listens: it has the process that is warm and the newest transcript. It is called,
//!    and has a head start. If it is full, closes, or does not know the bot, it says so, and the host that called goes on at
//!    once; so it does if nobody listens there any more.
//! 3. Else the host that took the webhook. So rooms are spread as their first messages are, and stay where they are.
//!
//! Every step may fail without harm. A call that is lost costs the head start; a host that dies in the middle leaves a lane
//! that nobody holds, which every host looks for ([`TAKE_OVER`]); two that ask at once are told apart by the lease. So
//! nothing is polled on the way of a message, and no host has to know which others there are.
//!
//! A word that stops a turn is marked in the store first, and then told to whoever holds the lane. A host that begins to
//! listen, or listens again, looks for marks that it has not heard of.

use std::{sync::Arc, time::Duration};

use super::{Lanes, Phase};
use crate::{
    id::{HostId, LaneKey, Timestamp},
    store::{Signal, StoreError},
};

/// How often it is looked for what other hosts have left. They are rare, and it is one call.
const TAKE_OVER: Duration = Duration::from_secs(2);

impl Lanes {
    /// Hears other hosts that share the store, and takes over what they leave. Runs until it is dropped.
    pub async fn stay_in_touch(&self) {
        let Some(shared) = self.0.store.shared() else { return std::future::pending().await };
        let hear = |signal| self.hear(signal);
        tokio::join!(shared.listen(self.0.host, &hear), self.take_over());
    }

    fn hear(&self, signal: Signal) {
        match signal {
            Signal::Listening => {
                for active in self.0.known().active.values() {
                    active.wakes.go_on.notify_one();
                }
                let lanes = self.clone();
                self.0.tasks.spawn(async move {
                    if let Err(error) = lanes.catch_up().await {
                        tracing::warn!(%error, "it is not known whether a message was to be stopped meanwhile");
                    }
                });
            }
            Signal::Stop { lane, event } => self.stop(&lane, event),
            Signal::Take { lane, caller } if self.takes(&lane) => {
                tracing::debug!(%lane, host = %caller, "another host has a message for a lane that was here last");
                self.wake(lane);
            }
            Signal::Take { lane, caller } => self.leave_to(caller, lane),
            Signal::Left { lane } => {
                if let Some(active) = self.0.known().active.get(&lane) {
                    active.wakes.go_on.notify_one();
                }
            }
        }
    }

    /// Whether this host can run one more lane, and this one.
    fn takes(&self, lane: &LaneKey) -> bool {
        self.phase() == Phase::Open && !self.0.in_flight.is_full() && self.0.turns.knows(&lane.bot)
    }

    fn leave_to(&self, caller: HostId, lane: LaneKey) {
        let inner = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            if let Some(shared) = inner.store.shared()
                && let Err(error) = shared.leave(&lane, caller).await
            {
                tracing::debug!(%lane, %error, "a host that asked goes on after its head start");
            }
        });
    }

    /// Stops what was marked as stopped while nobody listened here.
    async fn catch_up(&self) -> Result<(), StoreError> {
        let Some(shared) = self.0.store.shared() else { return Ok(()) };
        let running: Vec<_> = self.running().into_keys().collect();
        if !running.is_empty() {
            for (lane, event) in shared.stopped(&running).await? {
                self.stop(&lane, event);
            }
        }
        Ok(())
    }

    /// Wakes what another host has left: it died, or it closed before it was through.
    async fn take_over(&self) {
        // Until its turns may begin, it would only be in the way of others.
        self.0.opened.cancelled().await;
        loop {
            tokio::time::sleep(TAKE_OVER).await;
            match self.0.store.abandoned_lanes(Timestamp::now()).await {
                Ok(left) => left.into_iter().for_each(|lane| self.wake_known(lane)),
                Err(error) => tracing::warn!(%error, "it is not known what other hosts have left"),
            }
        }
    }
}
