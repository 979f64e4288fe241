//! Rooms that are known, and messages that never arrived and were found there.

use super::*;
use crate::store::{DUPLICATE_WINDOW, KnownRoom};

/// A message that arrived.
fn arrived(id: u64) -> NewEvent {
    NewEvent { source: Source::Message { room_name: Some("Talk".to_owned()) }, ..message(id) }
}

/// The same as the history has it: its text is a little different.
fn found(id: u64) -> NewEvent {
    NewEvent { source: Source::History, content_hash: [8; 32], ..message(id) }
}

pub(in crate::store) async fn a_message_that_arrived_is_not_taken_as_missed(store: &dyn Store) {
    let late = NOW.after(DUPLICATE_WINDOW * 2);
    assert_eq!(accept(store, &arrived(1)).await, Acceptance::Fresh);
    assert_eq!(store.accept(arrived(2), 1).await.unwrap(), Acceptance::Refused);
    for id in [1, 2] {
        assert_eq!(accept(store, &found(id)).await, Acceptance::Duplicate, "{id}");
        assert_eq!(accept(store, &NewEvent { received_at: late, ..found(id) }).await, Acceptance::Duplicate);
    }
    let others = [
        found(3),
        NewEvent { kind: "edit".to_owned(), ..found(1) },
        NewEvent { lane: lane("b", 1), ..found(1) },
    ];
    for other in others {
        assert_eq!(accept(store, &other).await, Acceptance::Fresh, "{other:?}");
    }
    let ids = (0..=4).map(MessageId).collect();
    assert_eq!(store.unheard(&"a".into(), ids).await.unwrap(), [MessageId(0), MessageId(4)]);
    assert_eq!(store.unheard(&"c".into(), vec![MessageId(1)]).await.unwrap(), [MessageId(1)]);
}

pub(in crate::store) async fn a_found_message_that_arrives_after_all_is_a_duplicate(store: &dyn Store) {
    assert_eq!(accept(store, &found(1)).await, Acceptance::Fresh);
    assert_eq!(accept(store, &found(1)).await, Acceptance::Duplicate);
    for received_at in [NOW, NOW.after(DUPLICATE_WINDOW), at(-5)] {
        let late = NewEvent { received_at, ..arrived(1) };
        assert_eq!(accept(store, &late).await, Acceptance::Duplicate, "at {received_at:?}");
    }
    // A Campfire that was set up anew.
    let another = NewEvent { received_at: Timestamp(NOW.after(DUPLICATE_WINDOW).0 + 1), ..arrived(1) };
    assert_eq!(accept(store, &another).await, Acceptance::Fresh);
    let lease = take(store, &lane("a", 1)).await;
    for expected in [Some("message 1"), Some("message 1"), None] {
        assert_eq!(answer_next(store, &lease).await.as_deref(), expected);
    }
}

pub(in crate::store) async fn a_room_is_known_from_its_first_message_on(store: &dyn Store) {
    for other in [message(1), found(2)] {
        accept(store, &other).await;
    }
    assert_eq!(store.known_rooms().await.unwrap(), []);
    accept(store, &arrived(7)).await;
    let mut room =
        KnownRoom { lane: lane("a", 1), name: Some("Talk".to_owned()), read_to: MessageId(6), heard_at: NOW };
    assert_eq!(store.known_rooms().await.unwrap(), std::slice::from_ref(&room));

    // Messages come in any order; only reading moves the mark. A room that gets another name is known by that.
    accept(store, &arrived(5)).await;
    accept(store, &arrived(9)).await;
    store.read_to(&room.lane, MessageId(8)).await.unwrap();
    let renamed = NewEvent { source: Source::Message { room_name: None }, ..arrived(10) };
    accept(store, &renamed).await;
    room = KnownRoom { name: None, read_to: MessageId(8), ..room };
    assert_eq!(store.known_rooms().await.unwrap(), std::slice::from_ref(&room));
    let refused = KnownRoom { read_to: MessageId(20), ..room.clone() };
    assert_eq!(store.know_room(refused).await.unwrap(), room, "it is known better");

    let other = KnownRoom { lane: lane("b", 2), heard_at: at(60), ..room.clone() };
    assert_eq!(store.know_room(other.clone()).await.unwrap(), other);
    assert_eq!(store.known_rooms().await.unwrap(), [other.clone(), room.clone()], "the last one first");
    store.forget_room(&room.lane).await.unwrap();
    assert_eq!(store.known_rooms().await.unwrap(), [other]);
}

pub(in crate::store) async fn a_room_from_which_nothing_comes_is_forgotten_some_day(store: &dyn Store) {
    let day = 24 * 60 * 60;
    accept(store, &arrived(1)).await;
    // Nothing is written for a message that comes a little later.
    accept(store, &NewEvent { received_at: at(60), ..arrived(2) }).await;
    accept(store, &NewEvent { received_at: at(day), ..arrived(3) }).await;
    assert_eq!(sweep(store, at(day), at(9 * day)).await, 0);
    assert_eq!(store.known_rooms().await.unwrap()[0].heard_at, at(day));
    assert_eq!(sweep(store, at(day + 1), at(9 * day)).await, 1);
    assert_eq!(store.known_rooms().await.unwrap(), []);
}
