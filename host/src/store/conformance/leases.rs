//! Leases: one holder, takeover, fencing.

use super::*;
use crate::store::{End, PartState, Release, SessionChange, StoreError};

pub(in crate::store) async fn a_lane_has_one_holder_until_its_lease_expires(store: &dyn Store) {
    let (one, other, lane) = (HostId::random(), HostId::random(), lane("a", 1));
    let first = store.lease(&lane, one, NOW, at(30)).await.unwrap().unwrap();
    let before_expiry = Timestamp(at(30).0 - 1);
    assert_eq!(store.lease(&lane, other, before_expiry, at(60)).await.unwrap(), None);
    let second = store.lease(&lane, other, at(30), at(60)).await.unwrap().unwrap();
    assert!(second.token > first.token);
    assert_eq!(store.lease(&lane, one, at(31), at(61)).await.unwrap(), None);
}

pub(in crate::store) async fn the_holder_renews_under_the_same_token_by_taking_the_lane_again(
    store: &dyn Store,
) {
    let (host, lane) = (HostId::random(), lane("a", 1));
    let first = store.lease(&lane, host, NOW, at(30)).await.unwrap();
    assert_eq!(store.lease(&lane, host, at(20), at(50)).await.unwrap(), first);
    assert_eq!(store.lease(&lane, HostId::random(), at(40), at(70)).await.unwrap(), None);
    assert_eq!(store.lease(&lane, host, at(90), at(120)).await.unwrap(), first, "after it expired unseen");
}

pub(in crate::store) async fn renewing_answers_the_leases_that_are_still_held(store: &dyn Store) {
    let (host, other) = (HostId::random(), HostId::random());
    let mut leases = Vec::new();
    for room in 1..=3 {
        leases.push(store.lease(&lane("a", room), host, NOW, at(30)).await.unwrap().unwrap());
    }
    store.lease(&lane("a", 2), other, at(30), at(60)).await.unwrap().unwrap();
    let held = store.renew(leases.clone(), at(90)).await.unwrap();
    assert_eq!(held, [leases[0].clone(), leases[2].clone()]);
    assert_eq!(store.lease(&lane("a", 1), other, at(89), at(120)).await.unwrap(), None, "it was extended");
    assert!(store.lease(&lane("a", 2), host, at(60), at(90)).await.unwrap().is_some(), "another's was not");
}

pub(in crate::store) async fn an_expired_lease_that_nobody_took_still_works(store: &dyn Store) {
    accept(store, &message(1)).await;
    let lease = take(store, &lane("a", 1)).await;
    assert!(store.begin(&lease, at(3_600)).await.unwrap().is_some());
    assert_eq!(store.renew(vec![lease.clone()], at(3_660)).await.unwrap(), [lease]);
}

pub(in crate::store) async fn an_idle_lane_is_released_and_its_lease_is_void(store: &dyn Store) {
    let (host, lane) = (HostId::random(), lane("a", 1));
    let lease = store.lease(&lane, host, NOW, at(60)).await.unwrap().unwrap();
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle);
    assert!(matches!(store.release_if_idle(&lease).await, Err(StoreError::LeaseLost(lost)) if lost == lane));
    let again = store.lease(&lane, host, NOW, at(60)).await.unwrap().unwrap();
    assert!(again.token > lease.token, "even the same host gets a new token");
    assert!(matches!(store.begin(&lease, NOW).await, Err(StoreError::LeaseLost(_))));
}

pub(in crate::store) async fn a_lane_with_an_unfinished_event_is_not_released(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    accept(store, &message(1)).await;
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Kept, "an event waits");
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Kept, "an event runs");
    finish(store, &lease, begun.event, NOW).await;
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle);
}

pub(in crate::store) async fn no_write_with_a_lost_lease_changes_anything(store: &dyn Store) {
    let lane = lane("a", 1);
    accept(store, &message(1)).await;
    let old = take(store, &lane).await;
    let event = store.begin(&old, NOW).await.unwrap().unwrap().event;
    let set = |number| SessionChange::Set(session(number), at(3_600));
    store.record_parts(&old, event, vec!["one".to_owned()], End::Done, set(1), String::new()).await.unwrap();
    let current = store.lease(&lane, HostId::random(), at(60), at(120)).await.unwrap().unwrap();

    let row = journal_row(&old, event, NOW);
    for refused in [
        store.begin(&old, NOW).await.map(drop),
        store.record_parts(&old, event, vec!["two".to_owned()], End::Done, set(2), String::new()).await,
        store.mark_part(&old, event, 0, PartState::Failed).await,
        store.finish(&old, event, End::Failed, set(3), row, None).await,
        store.release_if_idle(&old).await.map(drop),
    ] {
        assert!(matches!(&refused, Err(StoreError::LeaseLost(lost)) if *lost == lane), "{refused:?}");
    }
    assert_eq!(store.renew(vec![old], at(600)).await.unwrap(), []);

    let begun = store.begin(&current, at(60)).await.unwrap().unwrap();
    assert_eq!((begun.event, begun.attempt, begun.session), (event, 2, Some(session(1))));
    assert_eq!(begun.parts.len(), 1);
    assert_eq!((begun.parts[0].content.as_str(), begun.parts[0].state), ("one", PartState::Planned));
    assert_eq!(store.journal(None, 10).await.unwrap(), []);
}

pub(in crate::store) async fn a_token_is_never_given_out_twice(store: &dyn Store) {
    let (lane, mut last) = (lane("a", 1), 0);
    for round in 0..4 {
        let start = at(round * 60);
        let lease = store.lease(&lane, HostId::random(), start, at(round * 60 + 60)).await.unwrap().unwrap();
        assert!(lease.token > last);
        last = lease.token;
        // Released, swept away after it expired, or taken over.
        match round {
            0 => assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle),
            1 => assert_eq!(sweep(store, NOW, at(120)).await, 1),
            _ => {}
        }
    }
}
