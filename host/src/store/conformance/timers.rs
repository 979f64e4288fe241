//! Timers: set, listed, found when they are due, fired once.

use super::*;
use crate::store::{CronKey, Due, Fired, StoreError, TIMERS_PER_BOT, TIMERS_PER_ROOM, Timer};

async fn set(store: &dyn Store, lane: &LaneKey, name: &str, due_at: Timestamp) -> Result<(), StoreError> {
    store.set_timer(lane, name, due_at, &format!("about {name}")).await
}

async fn names(store: &dyn Store, lane: &LaneKey) -> Vec<String> {
    store.timers(lane).await.unwrap().into_iter().map(|timer| timer.name).collect()
}

async fn due(store: &dyn Store, bots: &[&str], now: Timestamp, limit: u32) -> Vec<Timer> {
    let bots: Vec<_> = bots.iter().map(|bot| (*bot).into()).collect();
    store.due_timers(&bots, now, limit).await.unwrap()
}

async fn next(store: &dyn Store, bots: &[&str]) -> Option<Timestamp> {
    let bots: Vec<_> = bots.iter().map(|bot| (*bot).into()).collect();
    store.next_timer(&bots).await.unwrap()
}

/// The only timer of the lane.
async fn only(store: &dyn Store, lane: &LaneKey) -> Timer {
    let [timer] = store.timers(lane).await.unwrap().try_into().unwrap();
    timer
}

/// What a timer of the lane becomes.
fn event(lane: &LaneKey, payload: &str) -> NewEvent {
    NewEvent {
        message: None,
        kind: "timer".to_owned(),
        payload: payload.to_owned(),
        ..message_in(lane.clone(), 0)
    }
}

async fn fire(store: &dyn Store, due: Due, event: NewEvent) -> Fired {
    store.fire(due, event, ROOMY).await.unwrap()
}

pub(in crate::store) async fn a_timer_is_set_listed_and_taken_back(store: &dyn Store) {
    let room = lane("a", u64::MAX);
    set(store, &room, "late", at(20)).await.unwrap();
    set(store, &room, "soon", at(10)).await.unwrap();
    let [soon, late] = store.timers(&room).await.unwrap().try_into().unwrap();
    assert_eq!((&soon.lane, soon.name.as_str(), soon.due_at), (&room, "soon", at(10)));
    assert_eq!((late.name.as_str(), late.payload.as_str()), ("late", "about late"));
    assert_eq!(store.timer_counts().await.unwrap(), [("a".into(), 2)]);
    assert!(store.cancel_timer(&room, "soon").await.unwrap());
    assert!(!store.cancel_timer(&room, "soon").await.unwrap());
    assert_eq!(names(store, &room).await, ["late"]);
    assert_eq!(next(store, &["a"]).await, Some(at(20)));
}

pub(in crate::store) async fn a_timer_of_the_same_name_replaces_the_one_before(store: &dyn Store) {
    let lane = lane("a", 1);
    set(store, &lane, "x", at(10)).await.unwrap();
    let first = only(store, &lane).await;
    store.set_timer(&lane, "x", at(30), "other").await.unwrap();
    let second = only(store, &lane).await;
    assert_eq!((second.due_at, second.payload.as_str()), (at(30), "other"));
    assert_ne!(first.version, second.version);
    assert_eq!(next(store, &["a"]).await, Some(at(30)));
}

pub(in crate::store) async fn rooms_and_bots_have_timers_of_their_own(store: &dyn Store) {
    let lanes = [lane("a", 1), lane("a", 2), lane("b", 1)];
    for (seconds, lane) in (1..).zip(&lanes) {
        set(store, lane, "x", at(seconds)).await.unwrap();
    }
    assert!(store.cancel_timer(&lanes[0], "x").await.unwrap());
    assert_eq!(names(store, &lanes[0]).await, [""; 0]);
    for lane in &lanes[1..] {
        assert_eq!(names(store, lane).await, ["x"], "{lane}");
    }
    assert_eq!(next(store, &["a"]).await, Some(at(2)));
    assert_eq!(next(store, &["b"]).await, Some(at(3)));
    assert_eq!(next(store, &["a", "b"]).await, Some(at(2)));
    assert_eq!(next(store, &["c"]).await, None);
    let mut counts = store.timer_counts().await.unwrap();
    counts.sort();
    assert_eq!(counts, [("a".into(), 1), ("b".into(), 1)]);
}

pub(in crate::store) async fn a_room_and_a_bot_have_a_limited_number_of_timers(store: &dyn Store) {
    let rooms: Vec<_> = (0..TIMERS_PER_BOT / TIMERS_PER_ROOM).map(|room| lane("a", room)).collect();
    for room in &rooms {
        let timers = (0..TIMERS_PER_ROOM).map(async |n| set(store, room, &n.to_string(), at(1)).await);
        futures_util::future::try_join_all(timers).await.unwrap();
    }
    let refused = set(store, &rooms[0], "more", at(1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "a bot may have 100 timers in a room; cancel some first");
    assert!(matches!(refused, StoreError::Quota(_)));
    let refused = set(store, &lane("a", 99), "more", at(1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "a bot may have 1000 timers in all its rooms; cancel some first");

    set(store, &rooms[0], "7", at(2)).await.expect("one that is there may change");
    set(store, &lane("b", 1), "another bot's", at(1)).await.unwrap();
    store.cancel_timer(&rooms[0], "7").await.unwrap();
    set(store, &rooms[0], "more", at(1)).await.unwrap();
}

pub(in crate::store) async fn only_what_is_due_is_found_the_longest_due_first(store: &dyn Store) {
    for (name, seconds) in [("third", 30), ("first", -5), ("fourth", 40), ("second", 20)] {
        set(store, &lane("a", 1), name, at(seconds)).await.unwrap();
    }
    set(store, &lane("b", 1), "b's", at(1)).await.unwrap();
    let found = async |bots, now, limit| -> Vec<String> {
        due(store, bots, now, limit).await.into_iter().map(|timer| timer.name).collect()
    };
    assert_eq!(found(&["a"], at(30), 10).await, ["first", "second", "third"]);
    assert_eq!(found(&["a"], at(30), 2).await, ["first", "second"]);
    assert_eq!(found(&["a"], at(-6), 10).await, [""; 0]);
    assert_eq!(found(&["a", "b"], at(20), 10).await, ["first", "second", "b's"]);
    assert_eq!(found(&["a", "b"], at(20), 1).await.len(), 1);
    assert_eq!(found(&[], at(99), 10).await, [""; 0]);
}

pub(in crate::store) async fn a_timer_that_fires_becomes_an_event_of_its_lane_and_is_no_more(
    store: &dyn Store,
) {
    let lane = lane("a", 1);
    accept(store, &message(1)).await;
    set(store, &lane, "x", at(0)).await.unwrap();
    let timer = only(store, &lane).await;
    assert_eq!(due(store, &["a"], NOW, 10).await, std::slice::from_ref(&timer));
    assert_eq!(fire(store, Due::Timer(timer), event(&lane, "x came")).await, Fired::Fresh);
    assert_eq!(names(store, &lane).await, [""; 0]);
    assert_eq!(next(store, &["a"]).await, None);
    let lease = take(store, &lane).await;
    assert_eq!(answer_next(store, &lease).await.as_deref(), Some("message 1"), "in the order of the lane");
    assert_eq!(answer_next(store, &lease).await.as_deref(), Some("x came"));
    assert_eq!(answer_next(store, &lease).await, None);
}

pub(in crate::store) async fn a_timer_fires_once_however_many_hosts_try(store: &dyn Store) {
    let lane = lane("a", 1);
    set(store, &lane, "x", at(0)).await.unwrap();
    let timer = only(store, &lane).await;
    let tries = (0..5).map(|_| fire(store, Due::Timer(timer.clone()), event(&lane, "x came")));
    let fired = futures_util::future::join_all(tries).await;
    assert_eq!(fired.iter().filter(|fired| **fired == Fired::Fresh).count(), 1, "{fired:?}");
    assert_eq!(fired.iter().filter(|fired| **fired == Fired::Gone).count(), 4, "{fired:?}");
    let lease = take(store, &lane).await;
    assert!(answer_next(store, &lease).await.is_some());
    assert_eq!(answer_next(store, &lease).await, None);
}

pub(in crate::store) async fn a_timer_that_was_set_anew_or_taken_back_does_not_fire(store: &dyn Store) {
    let lane = lane("a", 1);
    set(store, &lane, "x", at(0)).await.unwrap();
    let first = only(store, &lane).await;
    set(store, &lane, "x", at(0)).await.unwrap();
    let second = only(store, &lane).await;
    assert_eq!(fire(store, Due::Timer(first), event(&lane, "first")).await, Fired::Gone);
    assert_eq!(names(store, &lane).await, ["x"]);
    store.cancel_timer(&lane, "x").await.unwrap();
    assert_eq!(fire(store, Due::Timer(second), event(&lane, "second")).await, Fired::Gone);
    assert_eq!(store.unfinished_lanes().await.unwrap(), []);
}

pub(in crate::store) async fn a_full_lane_keeps_its_timers(store: &dyn Store) {
    let lane = lane("a", 1);
    accept(store, &message(1)).await;
    set(store, &lane, "x", at(0)).await.unwrap();
    let timer = only(store, &lane).await;
    let cron = CronKey { bot: "a".into(), name: "c".to_owned() };
    for due in [Due::Timer(timer.clone()), Due::Cron(cron.clone(), NOW)] {
        assert_eq!(store.fire(due, event(&lane, "x"), 1).await.unwrap(), Fired::Full);
    }
    assert_eq!(due(store, &["a"], NOW, 10).await, std::slice::from_ref(&timer));
    assert_eq!(store.cron_settled(&cron).await.unwrap(), None);
    let lease = take(store, &lane).await;
    assert!(answer_next(store, &lease).await.is_some());
    assert_eq!(answer_next(store, &lease).await, None, "nothing of it was stored");
    assert_eq!(store.fire(Due::Timer(timer), event(&lane, "x"), 1).await.unwrap(), Fired::Fresh);
    assert_eq!(answer_next(store, &lease).await.as_deref(), Some("x"));
}

pub(in crate::store) async fn a_postponed_timer_is_not_found_until_then(store: &dyn Store) {
    let lane = lane("a", 1);
    set(store, &lane, "x", at(0)).await.unwrap();
    let timer = only(store, &lane).await;
    store.postpone_timer(&timer, at(60)).await.unwrap();
    assert_eq!(due(store, &["a"], at(59), 10).await, []);
    assert_eq!(next(store, &["a"]).await, Some(at(60)));
    assert_eq!(due(store, &["a"], at(60), 10).await, std::slice::from_ref(&timer), "due when it was");

    set(store, &lane, "x", at(5)).await.unwrap();
    store.postpone_timer(&timer, at(90)).await.unwrap();
    assert_eq!(next(store, &["a"]).await, Some(at(5)), "it is another timer now");
}

pub(in crate::store) async fn firings_are_no_deliveries_and_deliveries_no_firings(store: &dyn Store) {
    let lane = lane("a", 1);
    for payload in ["first", "second"] {
        set(store, &lane, "x", at(0)).await.unwrap();
        let timer = only(store, &lane).await;
        assert_eq!(fire(store, Due::Timer(timer), event(&lane, payload)).await, Fired::Fresh);
    }
    assert_eq!(accept(store, &message(1)).await, Acceptance::Fresh);
    assert_eq!(accept(store, &message(1)).await, Acceptance::Duplicate);
    let lease = take(store, &lane).await;
    for expected in [Some("first"), Some("second"), Some("message 1"), None] {
        assert_eq!(answer_next(store, &lease).await.as_deref(), expected);
    }
}

pub(in crate::store) async fn an_operators_timer_fires_once_for_each_time(store: &dyn Store) {
    let lane = lane("a", 1);
    let cron = CronKey { bot: "a".into(), name: "c".to_owned() };
    assert_eq!(store.cron_settled(&cron).await.unwrap(), None);
    for (seconds, expected) in [(10, Fired::Fresh), (10, Fired::Gone), (5, Fired::Gone), (20, Fired::Fresh)] {
        let due = Due::Cron(cron.clone(), at(seconds));
        assert_eq!(fire(store, due, event(&lane, &seconds.to_string())).await, expected, "{seconds}");
    }
    assert_eq!(store.cron_settled(&cron).await.unwrap(), Some(at(20)));
    let lease = take(store, &lane).await;
    for expected in [Some("10"), Some("20"), None] {
        assert_eq!(answer_next(store, &lease).await.as_deref(), expected);
    }
}

pub(in crate::store) async fn what_is_settled_never_goes_back(store: &dyn Store) {
    let cron = |bot: &str, name: &str| CronKey { bot: bot.into(), name: name.to_owned() };
    store.settle_cron(&cron("a", "c"), at(10)).await.unwrap();
    store.settle_cron(&cron("a", "c"), at(5)).await.unwrap();
    assert_eq!(store.cron_settled(&cron("a", "c")).await.unwrap(), Some(at(10)));
    let due = Due::Cron(cron("a", "c"), at(10));
    assert_eq!(fire(store, due, event(&lane("a", 1), "x")).await, Fired::Gone);
    for other in [cron("a", "d"), cron("b", "c")] {
        assert_eq!(store.cron_settled(&other).await.unwrap(), None);
    }
}
