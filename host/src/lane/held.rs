//! The leases of this host, and what is done under one.
//!
//! Where hosts share the store, a lease is a thing with a deadline by this host's own clock ([`Tenure`]). All are renewed
//! together, four times before they would run out, in calls that fail early enough to be tried again. A turn whose lease
//! has run out is ended. It may be that nobody has taken the lane since; this host can't know.
//!
//! A store that one host has for itself gives nobody else the lane, however long it fails: there a tenure has no end, and what
//! a turn came to waits for the store.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{Inner, task::Worked};
use crate::{
    gate::Place,
    id::{LaneKey, Timestamp},
    store::{Begun, Lease, Store, StoreError},
    tenure::{Moment, Tenure},
    turn::Way,
};

/// How long a lane stays ours without a word from us, where others may take it: what a host that dies leaves waits so long.
const SHARED: Duration = Duration::from_secs(10);
/// For how much of that it is acted on. The rest is for a post that is under way then: it has so long to arrive before another
/// host looks for it. What two clocks differ over the time of a lease is nothing beside it.
const ACTED_ON: Duration = Duration::from_secs(8);
/// How long one is where nobody else may take the lane.
const OWN: Duration = Duration::from_secs(30);
/// How many are renewed in one call.
const RENEWED: usize = 256;
/// How soon it is tried again if that failed.
const AGAIN: Duration = Duration::from_millis(500);

/// The leases that are held.
pub(super) struct Leases {
    held: Mutex<HashMap<LaneKey, (Lease, Tenure)>>,
    is_shared: bool,
}

/// A lane's lease, while anything is done under it.
pub(super) struct Held<'lane> {
    lane: &'lane Inner,
    pub(super) lease: Lease,
    tenure: Tenure,
}

/// Has the leases of this host renewed, for as long as its lanes are there.
pub(super) async fn renew(lanes: Weak<Inner>) {
    loop {
        let Some(pause) = lanes.upgrade().map(|lanes| lanes.leases.length() / 4) else { return };
        tokio::time::sleep(pause).await;
        // Not held while it waits: the lanes go with their last owner.
        while let Some(inner) = lanes.upgrade() {
            let renewed = inner.leases.renew(&*inner.store).await;
            drop(inner);
            match renewed {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "leases could not be renewed"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

// === impl Leases ===

impl Leases {
    pub(super) fn of(store: &dyn Store) -> Self {
        Self { held: Mutex::default(), is_shared: store.shared().is_some() }
    }

    /// How long one lasts.
    pub(super) fn length(&self) -> Duration {
        if self.is_shared { SHARED } else { OWN }
    }

    /// For how long one is acted on that was asked for at this moment.
    fn tenure(&self, asked: Moment) -> Tenure {
        if self.is_shared { Tenure::until(asked.after(ACTED_ON)) } else { Tenure::endless() }
    }

    /// Renews all.
    ///
    /// # Errors
    /// If the store fails. They still run, each until its deadline.
    async fn renew(&self, store: &dyn Store) -> Result<(), StoreError> {
        let held: Vec<_> = self.held().values().cloned().collect();
        for some in held.chunks(RENEWED) {
            let asked = Moment::now();
            let leases = some.iter().map(|(lease, _)| lease.clone()).collect();
            let kept = store.renew(leases, Timestamp::now().after(self.length())).await?;
            let kept: HashSet<_> = kept.iter().map(|lease| (&lease.lane, lease.token)).collect();
            for (lease, tenure) in some {
                if kept.contains(&(&lease.lane, lease.token)) {
                    tenure.extend(asked.after(ACTED_ON));
                } else {
                    tenure.end();
                }
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<LaneKey, (Lease, Tenure)>> {
        // It is changed in single steps, so a panic elsewhere leaves it whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Held ===

impl<'lane> Held<'lane> {
    /// A lease that was asked for at this moment, and granted.
    pub(super) fn new(lane: &'lane Inner, lease: Lease, asked: Moment) -> Self {
        let tenure = lane.leases.tenure(asked);
        lane.leases.held().insert(lease.lane.clone(), (lease.clone(), tenure.clone()));
        Self { lane, lease, tenure }
    }

    /// Waits until a turn may run; none if the host closes.
    pub(super) async fn place(&self) -> Result<Option<Place>, StoreError> {
        let lane = self.lane;
        let bot = self.lease.lane.bot.clone();
        let place = async {
            lane.opened.cancelled().await;
            let came = Instant::now();
            let place = lane.in_flight.enter(&bot, lane.turns.share(&bot)).await;
            metrics::histogram!("hearth_turn_wait_seconds", "bot" => bot.to_string()).record(came.elapsed());
            place
        };
        tokio::select! {
            biased;
            () = lane.closing.cancelled() => Ok(None),
            () = self.tenure.over() => Err(self.lost()),
            place = place => Ok(Some(place)),
        }
    }

    /// Runs one turn. A panic in it is a turn that can't go on now: what it was begun is counted, so it ends some time.
    pub(super) async fn turn(
        &self,
        begun: Begun,
        interrupt: tokio_util::sync::CancellationToken,
    ) -> Result<Way, StoreError> {
        let lane = self.lane;
        let stop = lane.stopping.child_token();
        let turn = lane.turns.run(&self.lease, &self.tenure, begun, stop.clone(), interrupt);
        let mut turn = pin!(AssertUnwindSafe(turn).catch_unwind());
        let ended = tokio::select! {
            biased;
            () = self.tenure.over() => {
                stop.cancel();
                // Its agent ends, and what it would have said is not said.
                let _ = turn.await;
                return Err(self.lost());
            }
            ended = &mut turn => ended,
        };
        match ended {
            // Nothing else stops a turn while the host does not.
            Ok(Ok(Way::Stopped)) if !lane.stopping.is_cancelled() => Err(self.lost()),
            Ok(ended) => ended,
            Err(_) => {
                tracing::error!("a turn panicked; it is begun again");
                Ok(Way::Blocked)
            }
        }
    }

    /// Lets the lease expire now: another host need not wait for what this one leaves.
    pub(super) async fn give_back(self, worked: Worked) -> Result<Worked, StoreError> {
        self.lane.store.renew(vec![self.lease.clone()], Timestamp::now()).await?;
        Ok(worked)
    }

    fn lost(&self) -> StoreError {
        StoreError::LeaseLost(self.lease.lane.clone())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.lane.leases.held().remove(&self.lease.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{HostId, RoomId},
        store::SqliteStore,
    };

    /// Has time pass, and nothing else.
    async fn pass(time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    async fn take(leases: &Leases, store: &SqliteStore, room: u64) -> Tenure {
        let lane = LaneKey { bot: "a".into(), room: RoomId(room) };
        let now = Timestamp::now();
        let lease = store.lease(&lane, HostId::random(), now, now.after(SHARED)).await.unwrap().unwrap();
        let tenure = leases.tenure(Moment::now());
        leases.held().insert(lane, (lease, tenure.clone()));
        tenure
    }

    #[tokio::test]
    async fn a_lease_lasts_as_long_as_it_is_renewed_and_ends_when_another_host_has_it_or_the_store_fails() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("hearth.db")).unwrap();
        let leases = Leases { held: Mutex::default(), is_shared: true };
        let (kept, lost) = (take(&leases, &store, 1).await, take(&leases, &store, 2).await);
        for _ in 0..5 {
            pass(leases.length() / 4).await;
            leases.renew(&store).await.unwrap();
            assert!(!kept.is_over() && !lost.is_over());
        }

        let lane = LaneKey { bot: "a".into(), room: RoomId(2) };
        let later = Timestamp::now().after(Duration::from_hours(1));
        store.lease(&lane, HostId::random(), later, later.after(SHARED)).await.unwrap().unwrap();
        leases.renew(&store).await.unwrap();
        assert!(lost.is_over() && !kept.is_over());

        store.close().await;
        assert!(leases.renew(&store).await.is_err());
        assert!(!kept.is_over(), "what it covers may be finished");
        pass(ACTED_ON).await;
        leases.renew(&store).await.unwrap_err();
        assert!(kept.is_over(), "before the store gives the lane to another host");
    }

    #[tokio::test]
    async fn a_lane_that_nobody_else_can_have_is_not_lost_to_a_store_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("hearth.db")).unwrap();
        let leases = Leases::of(&store);
        let tenure = take(&leases, &store, 1).await;
        store.close().await;
        pass(Duration::from_hours(1)).await;
        leases.renew(&store).await.unwrap_err();
        assert!(!tenure.is_over());
    }
}
