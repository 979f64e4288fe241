//! Events: acceptance, order, attempts.

use super::*;
use crate::store::{DUPLICATE_WINDOW, End, SessionChange, Stopping, StoreError};

pub(in crate::store) async fn an_event_is_begun_with_what_it_was_accepted_with(store: &dyn Store) {
    let event = message(1);
    assert_eq!(accept(store, &event).await, Acceptance::Fresh);
    let lease = take(store, &event.lane).await;
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!((begun.event, begun.payload, begun.attempt), (event.id, event.payload, 1));
    assert_eq!((begun.session, begun.parts), (None, vec![]));
}

pub(in crate::store) async fn events_of_a_lane_come_in_the_order_they_were_accepted(store: &dyn Store) {
    // The clock runs backwards meanwhile, and so do the messages' ids.
    for id in (1..=5).rev() {
        let event = NewEvent { received_at: at(i64::try_from(id).unwrap()), ..message(id) };
        accept(store, &event).await;
    }
    let lease = take(store, &lane("a", 1)).await;
    for id in (1..=5).rev() {
        assert_eq!(answer_next(store, &lease).await, Some(format!("message {id}")));
    }
    assert_eq!(answer_next(store, &lease).await, None);
}

pub(in crate::store) async fn lanes_do_not_see_each_others_events(store: &dyn Store) {
    accept(store, &message_in(lane("a", 1), 1)).await;
    for other in [lane("a", 2), lane("b", 1)] {
        let lease = take(store, &other).await;
        assert_eq!(answer_next(store, &lease).await, None);
    }
}

pub(in crate::store) async fn an_unfinished_event_is_begun_again_and_counted(store: &dyn Store) {
    accept(store, &message(1)).await;
    accept(store, &message(2)).await;
    let lease = take(store, &lane("a", 1)).await;
    for attempt in 1..=3 {
        let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
        assert_eq!((begun.payload.as_str(), begun.attempt), ("message 1", attempt));
    }
}

pub(in crate::store) async fn a_finished_event_is_not_begun_again(store: &dyn Store) {
    accept(store, &message(1)).await;
    let lease = take(store, &lane("a", 1)).await;
    assert!(answer_next(store, &lease).await.is_some());
    assert!(store.begin(&lease, NOW).await.unwrap().is_none());
    assert_eq!(store.unfinished_lanes().await.unwrap(), []);
}

pub(in crate::store) async fn an_equal_delivery_within_the_window_is_a_duplicate(store: &dyn Store) {
    accept(store, &message(1)).await;
    for received_at in [NOW, NOW.after(DUPLICATE_WINDOW), at(-5)] {
        let again = NewEvent { received_at, ..message(1) };
        assert_eq!(accept(store, &again).await, Acceptance::Duplicate, "at {received_at:?}");
    }
    let lease = take(store, &lane("a", 1)).await;
    assert!(answer_next(store, &lease).await.is_some());
    assert_eq!(accept(store, &message(1)).await, Acceptance::Duplicate, "after it was answered");
    assert_eq!(answer_next(store, &lease).await, None);
}

pub(in crate::store) async fn a_delivery_that_differs_is_no_duplicate(store: &dyn Store) {
    accept(store, &message(1)).await;
    let later = Timestamp(NOW.after(DUPLICATE_WINDOW).0 + 1);
    for other in [
        NewEvent { content_hash: [8; 32], ..message(1) },
        NewEvent { kind: "edit".to_owned(), ..message(1) },
        NewEvent { lane: lane("b", 1), ..message(1) },
        NewEvent { message: Some(MessageId(2)), ..message(1) },
        NewEvent { message: None, ..message(1) },
        NewEvent { received_at: later, ..message(1) },
    ] {
        assert_eq!(accept(store, &other).await, Acceptance::Fresh, "{other:?}");
    }
}

pub(in crate::store) async fn a_full_lane_refuses_and_takes_the_same_delivery_once_there_is_room(
    store: &dyn Store,
) {
    let lease = take(store, &lane("a", 1)).await;
    for (id, expected) in [(1, Acceptance::Fresh), (2, Acceptance::Fresh), (3, Acceptance::Refused)] {
        assert_eq!(store.accept(message(id), 2).await.unwrap(), expected);
    }
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!(store.accept(message(3), 2).await.unwrap(), Acceptance::Refused, "a running event counts");
    finish(store, &lease, begun.event, NOW).await;
    assert_eq!(store.accept(message(3), 2).await.unwrap(), Acceptance::Fresh);
    assert_eq!(
        store.accept(message_in(lane("a", 2), 4), 2).await.unwrap(),
        Acceptance::Fresh,
        "another lane"
    );
    for expected in [Some("message 2"), Some("message 3"), None] {
        assert_eq!(answer_next(store, &lease).await.as_deref(), expected);
    }
}

pub(in crate::store) async fn lanes_with_unfinished_events_are_listed_oldest_first(store: &dyn Store) {
    for (bot, room, id) in [("b", 9, 1), ("a", 5, 2), ("b", 9, 3), ("a", 4, 4), ("c", 1, 5)] {
        accept(store, &message_in(lane(bot, room), id)).await;
    }
    store.accept(message_in(lane("d", 1), 6), 0).await.unwrap();
    let expected = vec![lane("b", 9), lane("a", 5), lane("a", 4), lane("c", 1)];
    assert_eq!(store.unfinished_lanes().await.unwrap(), expected);

    // A running event counts, a finished one does not.
    let lease = take(store, &lane("a", 5)).await;
    answer_next(store, &lease).await;
    let lease = take(store, &lane("b", 9)).await;
    store.begin(&lease, NOW).await.unwrap();
    let expected = vec![lane("b", 9), lane("a", 4), lane("c", 1)];
    assert_eq!(store.unfinished_lanes().await.unwrap(), expected);
}

pub(in crate::store) async fn lanes_that_nobody_holds_are_found(store: &dyn Store) {
    for room in 1..=4 {
        accept(store, &message_in(lane("a", room), room)).await;
    }
    let (host, rooms) =
        (HostId::random(), |rooms: &[u64]| -> Vec<_> { rooms.iter().map(|room| lane("a", *room)).collect() });
    let given_back = store.lease(&lane("a", 1), host, NOW, at(60)).await.unwrap().unwrap();
    store.lease(&lane("a", 2), host, NOW, at(30)).await.unwrap();
    store.pause(&crate::store::Scope { bot: "a".into(), room: Some(RoomId(3)) }, NOW).await.unwrap();
    assert_eq!(store.abandoned_lanes(at(29)).await.unwrap(), rooms(&[4]));
    assert_eq!(store.abandoned_lanes(at(30)).await.unwrap(), rooms(&[2, 4]), "its lease has expired");
    store.renew(vec![given_back], at(10)).await.unwrap();
    assert_eq!(store.abandoned_lanes(at(10)).await.unwrap(), rooms(&[1, 4]), "it was given back early");
}

pub(in crate::store) async fn ids_of_any_size_come_back_unchanged(store: &dyn Store) {
    let lane = lane("a", u64::MAX);
    accept(store, &message_in(lane.clone(), u64::MAX)).await;
    assert_eq!(store.unfinished_lanes().await.unwrap(), std::slice::from_ref(&lane));
    let lease = take(store, &lane).await;
    assert!(answer_next(store, &lease).await.is_some());
    assert_eq!(store.journal(None, 1).await.unwrap()[0].lane, lane);
}

pub(in crate::store) async fn what_waits_too_long_for_a_bot_that_is_gone_is_given_up(store: &dyn Store) {
    for (id, bot, received_at) in [(1, "here", at(1)), (2, "gone", at(1)), (3, "gone", at(5))] {
        accept(store, &NewEvent { received_at, ..message_in(lane(bot, 1), id) }).await;
    }
    let here = [lane("here", 1).bot];
    assert_eq!(store.give_up(&here, at(1), NOW).await.unwrap(), 0, "none is older");
    assert_eq!(store.give_up(&here, at(5), NOW).await.unwrap(), 1);
    let lease = take(store, &lane("gone", 1)).await;
    assert_eq!(answer_next(store, &lease).await, Some("message 3".to_owned()));
    assert_eq!(answer_next(store, &lease).await, None);
    let lease = take(store, &lane("here", 1)).await;
    assert_eq!(answer_next(store, &lease).await, Some("message 1".to_owned()));
}

pub(in crate::store) async fn who_asks_a_lane_to_stop_stops_its_oldest_event_once(store: &dyn Store) {
    let (first, second, stop) = (message(1), message(2), message(3));
    accept(store, &first).await;
    accept(store, &second).await;
    let lease = take(store, &first.lane).await;
    assert!(!store.begin(&lease, NOW).await.unwrap().unwrap().stopped);

    let again = NewEvent { id: EventId::new(), ..stop.clone() };
    assert_eq!(store.ask_to_stop(stop).await.unwrap(), Stopping::Stopped(first.id));
    assert_eq!(store.ask_to_stop(again.clone()).await.unwrap(), Stopping::Duplicate);
    assert_eq!(accept(store, &again).await, Acceptance::Duplicate);

    assert!(store.begin(&lease, NOW).await.unwrap().unwrap().stopped);
    finish(store, &lease, first.id, NOW).await;
    let next = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!((next.event, next.stopped), (second.id, false));
    finish(store, &lease, second.id, NOW).await;
    assert_eq!(answer_next(store, &lease).await, None, "who asked has ended");
}

pub(in crate::store) async fn a_lane_with_nothing_to_do_has_nothing_to_stop(store: &dyn Store) {
    let stop = message(1);
    accept(store, &message_in(lane("a", 2), 2)).await;
    assert_eq!(store.ask_to_stop(stop.clone()).await.unwrap(), Stopping::Idle);
    assert_eq!(accept(store, &stop).await, Acceptance::Fresh, "it is a message like any other");
}

pub(in crate::store) async fn what_was_broken_off_was_no_try(store: &dyn Store) {
    accept(store, &message(1)).await;
    let lease = take(store, &lane("a", 1)).await;
    for attempt in 1..=5 {
        let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
        assert_eq!((begun.attempt, begun.tries, begun.retries), (attempt, 1, 0));
        store.break_off(&lease, begun.event).await.unwrap();
    }
    let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!((begun.attempt, begun.tries), (7, 2), "a crash is a try");

    let row = journal_row(&lease, event, NOW);
    store.finish(&lease, event, End::Failed, SessionChange::Keep, row, None).await.unwrap();
    let late = store.break_off(&lease, event).await;
    assert!(matches!(late, Err(StoreError::OutOfStep { .. })), "{late:?}");
    store.retry(event, false).await.unwrap();
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!((begun.attempt, begun.tries, begun.retries), (8, 1, 1));
}
