//! Chains of messages that bots write to each other.

use super::*;
use crate::store::{CHAIN_PAUSE, Hop};

/// How many messages of bots may follow each other here.
const BUDGET: u32 = 2;
const LOOPING: Acceptance = Acceptance::Looping { tell: false };
const FIRST_TOO_MANY: Acceptance = Acceptance::Looping { tell: true };

fn hop(by_bot: bool) -> Hop {
    Hop { campfire: "https://one.example/".to_owned(), by_bot, budget: BUDGET }
}

/// A message to bot `to` in room 1.
fn said(to: &str, id: u64, by_bot: bool) -> NewEvent {
    NewEvent { hop: Some(hop(by_bot)), ..message_in(lane(to, 1), id) }
}

pub(in crate::store) async fn messages_of_bots_are_counted_once_each_until_there_are_too_many(
    store: &dyn Store,
) {
    assert_eq!(accept(store, &said("a", 1, false)).await, Acceptance::Fresh);
    // Each is delivered to two bots.
    for (id, first, second) in [
        (2, Acceptance::Fresh, Acceptance::Fresh),
        (3, Acceptance::Fresh, Acceptance::Fresh),
        (4, FIRST_TOO_MANY, LOOPING),
        (5, LOOPING, LOOPING),
    ] {
        assert_eq!(accept(store, &said("a", id, true)).await, first, "{id}");
        assert_eq!(accept(store, &said("b", id, true)).await, second, "{id}");
    }
    let lease = take(store, &lane("a", 1)).await;
    let mut stored = Vec::new();
    while let Some(payload) = answer_next(store, &lease).await {
        stored.push(payload);
    }
    assert_eq!(stored, ["message 1", "message 2", "message 3"], "nothing else was stored");
}

pub(in crate::store) async fn a_person_ends_the_chain_and_so_does_a_pause(store: &dyn Store) {
    for (id, expected) in [(10, Acceptance::Fresh), (11, Acceptance::Fresh), (12, FIRST_TOO_MANY)] {
        assert_eq!(accept(store, &said("a", id, true)).await, expected);
    }
    assert_eq!(accept(store, &said("a", 13, false)).await, Acceptance::Fresh);
    for (id, expected) in [(14, Acceptance::Fresh), (15, Acceptance::Fresh), (16, FIRST_TOO_MANY)] {
        assert_eq!(accept(store, &said("a", id, true)).await, expected, "{id}");
    }
    let later = NOW.after(CHAIN_PAUSE);
    let after_pause = NewEvent { received_at: later, ..said("a", 17, true) };
    assert_eq!(accept(store, &after_pause).await, Acceptance::Fresh);
    // A Campfire that was set up anew counts from 1 again.
    assert_eq!(
        accept(store, &NewEvent { received_at: later, ..said("a", 1, false) }).await,
        Acceptance::Fresh
    );
    for (id, expected) in [(2, Acceptance::Fresh), (3, Acceptance::Fresh), (4, FIRST_TOO_MANY)] {
        let anew = NewEvent { received_at: later, ..said("a", id, true) };
        assert_eq!(accept(store, &anew).await, expected, "{id}");
    }
}

pub(in crate::store) async fn rooms_and_campfires_have_chains_of_their_own(store: &dyn Store) {
    for id in 1..=2 {
        assert_eq!(accept(store, &said("a", id, true)).await, Acceptance::Fresh);
    }
    let elsewhere = NewEvent { lane: lane("a", 2), ..said("a", 3, true) };
    assert_eq!(accept(store, &elsewhere).await, Acceptance::Fresh);
    let campfire = Hop { campfire: "https://two.example/".to_owned(), ..hop(true) };
    let other = NewEvent { hop: Some(campfire), ..said("b", 3, true) };
    assert_eq!(accept(store, &other).await, Acceptance::Fresh);
    assert_eq!(accept(store, &said("a", 4, true)).await, FIRST_TOO_MANY);
}

pub(in crate::store) async fn a_repeated_delivery_is_not_counted(store: &dyn Store) {
    for _ in 0..5 {
        accept(store, &said("a", 1, true)).await;
    }
    assert_eq!(accept(store, &said("a", 1, true)).await, Acceptance::Duplicate);
    assert_eq!(accept(store, &said("a", 2, true)).await, Acceptance::Fresh);
}

pub(in crate::store) async fn where_bots_may_not_answer_bots_nobody_is_told(store: &dyn Store) {
    let none = Hop { budget: 0, ..hop(true) };
    assert_eq!(accept(store, &NewEvent { hop: Some(none), ..said("a", 1, true) }).await, LOOPING);
    assert_eq!(accept(store, &said("a", 2, false)).await, Acceptance::Fresh);
}
