//! A lane's task: takes its lease, and has its events answered one by one until none is left.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Answering, Inner, Known, held::Held};
use crate::{
    id::{EventId, LaneKey, Timestamp},
    store::{Asked, Manner, Release, StoreError},
    tenure::Moment,
    turn::{PAUSES, Way},
};

/// How long a host that is called to take a lane may take to do it. It takes a millisecond. One that is gone is not called, and
/// one that is full says so: this is for one that hangs, which is rare and costs each of its lanes one such wait.
const HEAD_START: Duration = Duration::from_secs(1);

/// How a lane's work came to a stop.
pub(super) enum Worked {
    /// Nothing is left; the lease is given back.
    Drained,
    /// Something is left that must not run now; the lease is given back.
    Paused,
    /// Something may be left, and there is no such bot.
    Absent,
    /// The host closes.
    Closing,
    /// Another host has it, or nothing is to be done in it now.
    Elsewhere,
    /// Another host was called to take it, for this event.
    Called(EventId),
    /// The first event in line can't go on now.
    Stuck,
}

// === impl Inner ===

impl Inner {
    /// A lane's task: works until nothing is left, or the host closes.
    pub(super) async fn run(self: Arc<Self>, lane: LaneKey) {
        let wakes =
            self.known().active.get(&lane).map(|active| Arc::clone(&active.wakes)).unwrap_or_default();
        let (mut pause, mut manner) = (PAUSES.0, Manner::Politely);
        // For which event another host was called first, and when.
        let mut called = None;
        loop {
            match self.work(&lane, manner).await {
                // Who holds it finds whatever waits there; if that host dies, the lane is taken over some time.
                Ok(worked @ (Worked::Drained | Worked::Paused | Worked::Absent | Worked::Elsewhere)) => {
                    if self.leave(&lane, matches!(worked, Worked::Drained)) {
                        return;
                    }
                    (pause, manner) = (PAUSES.0, Manner::Politely);
                    continue;
                }
                Ok(Worked::Called(event)) => {
                    // As long as others end meanwhile, that host is at work.
                    let since = match called {
                        Some((first, since)) if first == event => since,
                        _ => Instant::now(),
                    };
                    called = Some((event, since));
                    manner = tokio::select! {
                        () = sleep_until(since + HEAD_START) => Manner::Insistently,
                        () = wakes.go_on.notified() => Manner::Insistently,
                        // It has not been called for that one.
                        () = wakes.came.notified() => Manner::Politely,
                        () = self.closing.cancelled() => break,
                    };
                    continue;
                }
                Ok(Worked::Closing) => break,
                Ok(Worked::Stuck) => tracing::info!("the lane pauses for {pause:?}"),
                Err(StoreError::LeaseLost(_)) => {
                    metrics::counter!("hearth_leases_lost_total", "bot" => lane.bot.to_string()).increment(1);
                    tracing::warn!(
                        "the lane's lease was lost, or not renewed in time; another host may have it"
                    );
                }
                Err(error) => tracing::error!(%error, "the lane waits for the store"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                // The store is there again, perhaps.
                () = wakes.go_on.notified() => {}
                () = self.closing.cancelled() => break,
            }
        }
        self.remove(&mut self.known(), &lane);
    }

    /// Takes the lane off the list, unless something came in the meantime.
    fn leave(&self, lane: &LaneKey, drained: bool) -> bool {
        let mut known = self.known();
        let woken = known.active.get_mut(lane).is_some_and(|active| std::mem::take(&mut active.woken));
        if !woken {
            self.remove(&mut known, lane);
            if drained {
                known.told_full.remove(lane);
            }
        }
        !woken
    }

    fn remove(&self, known: &mut Known, lane: &LaneKey) {
        known.active.remove(lane);
        self.count.send_replace(known.active.len());
    }

    /// An event begins to be answered: what breaks that off.
    fn runs(&self, lane: &LaneKey, event: EventId) -> CancellationToken {
        let interrupt = CancellationToken::new();
        if let Some(active) = self.known().active.get_mut(lane) {
            if active.stopped == Some(event) {
                interrupt.cancel();
            }
            let (since, interrupt) = (Timestamp::now(), interrupt.clone());
            active.running = Some(Answering { event, since, interrupt });
        }
        interrupt
    }

    /// It is no longer answered, for now or for good.
    fn rests(&self, lane: &LaneKey) {
        if let Some(active) = self.known().active.get_mut(lane) {
            active.running = None;
        }
    }

    async fn work(&self, lane: &LaneKey, manner: Manner) -> Result<Worked, StoreError> {
        let asked = Moment::now();
        let lease = match self.ask_for(lane, manner).await? {
            Asked::Granted(lease) => lease,
            Asked::Held | Asked::Idle => return Ok(Worked::Elsewhere),
            Asked::Called(event) => return Ok(Worked::Called(event)),
        };
        let held = Held::new(self, lease, asked);
        loop {
            let Some(place) = held.place().await? else { return held.give_back(Worked::Closing).await };
            if !self.turns.knows(&lane.bot) {
                tracing::warn!(
                    "the bot is gone from bots.toml; what waits for it here is kept until it is back"
                );
                return held.give_back(Worked::Absent).await;
            }
            if let Some(begun) = self.store.begin(&held.lease, Timestamp::now()).await? {
                let interrupt = self.runs(lane, begun.event);
                let way = held.turn(begun, interrupt).await;
                self.rests(lane);
                match way? {
                    Way::Ended => {}
                    Way::Stopped => return held.give_back(Worked::Closing).await,
                    Way::Blocked => return Ok(Worked::Stuck),
                }
            }
            // Others need not wait while this lane finds out that it is done.
            drop(place);
            match self.store.release_if_idle(&held.lease).await? {
                Release::Idle => return Ok(Worked::Drained),
                Release::Paused => return Ok(Worked::Paused),
                Release::Kept => {}
            }
        }
    }

    async fn ask_for(&self, lane: &LaneKey, manner: Manner) -> Result<Asked, StoreError> {
        let now = Timestamp::now();
        let until = now.after(self.leases.length());
        if let Some(shared) = self.store.shared() {
            return shared.ask_for(lane, self.host, now, until, manner).await;
        }
        let lease = self.store.lease(lane, self.host, now, until).await?;
        Ok(lease.map_or(Asked::Held, Asked::Granted))
    }
}
