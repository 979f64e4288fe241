//! Parts of answers, and the steps of an event.

use super::*;
use crate::store::{Begun, End, PartState, SessionChange, StoreError};

/// A lane with one event that runs.
async fn running(store: &dyn Store) -> (Lease, Begun) {
    accept(store, &message(1)).await;
    let lease = take(store, &lane("a", 1)).await;
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    (lease, begun)
}

async fn record(store: &dyn Store, lease: &Lease, event: EventId, parts: &[&str]) -> Result<(), StoreError> {
    let parts = parts.iter().map(|&part| part.to_owned()).collect();
    store.record_parts(lease, event, parts, End::Done, SessionChange::Keep, String::new()).await
}

fn is_out_of_step<T>(result: &Result<T, StoreError>, of: EventId) -> bool {
    matches!(result, Err(StoreError::OutOfStep { event, .. }) if *event == of)
}

pub(in crate::store) async fn a_later_attempt_sees_the_parts_and_how_far_they_came(store: &dyn Store) {
    let (lease, Begun { event, .. }) = running(store).await;
    record(store, &lease, event, &["one", "two", "three", "four", "five"]).await.unwrap();
    let states = [
        PartState::Posted(Some(MessageId(42))),
        PartState::Posted(None),
        PartState::Uncertain,
        PartState::Failed,
        PartState::Planned,
    ];
    for (index, state) in (0..4).zip(states) {
        store.mark_part(&lease, event, index, state).await.unwrap();
    }
    let again = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!((again.event, again.attempt), (event, 2));
    assert_eq!(again.parts.iter().map(|part| part.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(again.parts.iter().map(|part| part.state).collect::<Vec<_>>(), states);
    let contents: Vec<_> = again.parts.iter().map(|part| part.content.as_str()).collect();
    assert_eq!(contents, ["one", "two", "three", "four", "five"]);
}

pub(in crate::store) async fn recording_the_same_parts_again_changes_nothing(store: &dyn Store) {
    let (lease, Begun { event, .. }) = running(store).await;
    record(store, &lease, event, &["one", "two"]).await.unwrap();
    store.mark_part(&lease, event, 0, PartState::Uncertain).await.unwrap();
    record(store, &lease, event, &["one", "two"]).await.unwrap();
    let parts = store.begin(&lease, NOW).await.unwrap().unwrap().parts;
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].state, PartState::Uncertain);
}

pub(in crate::store) async fn a_part_that_was_not_sent_is_known_as_such(store: &dyn Store) {
    let (lease, Begun { event, .. }) = running(store).await;
    record(store, &lease, event, &["one", "two"]).await.unwrap();
    for state in [PartState::Unsent, PartState::Planned, PartState::Unsent] {
        store.mark_part(&lease, event, 0, state).await.unwrap();
        assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().parts[0].state, state);
        let early = store.mark_part(&lease, event, 1, PartState::Posted(None)).await;
        assert!(is_out_of_step(&early, event), "{early:?}");
    }
}

pub(in crate::store) async fn another_answer_is_refused_once_one_was_recorded(store: &dyn Store) {
    let (lease, Begun { event, .. }) = running(store).await;
    record(store, &lease, event, &["one", "two"]).await.unwrap();
    for other in [&["one"][..], &["one", "other"], &["one", "two", "three"], &[]] {
        let refused = record(store, &lease, event, other).await;
        assert!(is_out_of_step(&refused, event), "{other:?}: {refused:?}");
    }
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().parts.len(), 2);
}

pub(in crate::store) async fn parts_are_marked_in_order(store: &dyn Store) {
    let (lease, Begun { event, .. }) = running(store).await;
    record(store, &lease, event, &["one", "two"]).await.unwrap();
    let early = store.mark_part(&lease, event, 1, PartState::Failed).await;
    assert!(is_out_of_step(&early, event), "{early:?}");
    for index in 0..2 {
        store.mark_part(&lease, event, index, PartState::Posted(None)).await.unwrap();
    }
    let missing = store.mark_part(&lease, event, 2, PartState::Failed).await;
    assert!(is_out_of_step(&missing, event), "{missing:?}");
    let parts = store.begin(&lease, NOW).await.unwrap().unwrap().parts;
    assert!(parts.iter().all(|part| part.state == PartState::Posted(None)), "{parts:?}");
}

pub(in crate::store) async fn only_a_running_event_of_the_lane_takes_parts_and_an_end(store: &dyn Store) {
    let (lease, Begun { event: ended, .. }) = running(store).await;
    finish(store, &lease, ended, NOW).await;
    let waiting = message(2);
    accept(store, &waiting).await;
    let elsewhere = message_in(lane("a", 2), 3);
    accept(store, &elsewhere).await;
    let other_lease = take(store, &elsewhere.lane).await;
    store.begin(&other_lease, NOW).await.unwrap().unwrap();

    for event in [ended, waiting.id, elsewhere.id, EventId::new()] {
        let row = journal_row(&lease, event, NOW);
        for refused in [
            record(store, &lease, event, &["one"]).await,
            store.mark_part(&lease, event, 0, PartState::Failed).await,
            store.finish(&lease, event, End::Done, SessionChange::Set(session(1), at(60)), row, None).await,
        ] {
            assert!(is_out_of_step(&refused, event), "{refused:?}");
        }
    }
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 1, "only of the one that ran");
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!((begun.event, begun.attempt, begun.session), (waiting.id, 1, None));
}

pub(in crate::store) async fn the_conversation_is_known_from_the_moment_the_answer_is_recorded(
    store: &dyn Store,
) {
    let (lease, Begun { event, .. }) = running(store).await;
    let set = SessionChange::Set(session(5), at(60));
    store.record_parts(&lease, event, vec!["one".to_owned()], End::Done, set, String::new()).await.unwrap();
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().session, Some(session(5)));
}

pub(in crate::store) async fn a_note_is_kept_until_the_answer_is_recorded(store: &dyn Store) {
    let (lease, Begun { event, note, .. }) = running(store).await;
    assert_eq!(note, None);
    for note in ["one", "two"] {
        store.note(&lease, event, note).await.unwrap();
        assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().note.as_deref(), Some(note));
    }
    record(store, &lease, event, &["one"]).await.unwrap();
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().note, None);

    let stale = Lease { token: lease.token - 1, ..lease };
    assert!(matches!(store.note(&stale, event, "three").await, Err(StoreError::LeaseLost(_))));
}

pub(in crate::store) async fn what_was_recorded_with_the_parts_comes_back_with_them(store: &dyn Store) {
    let (lease, Begun { event, details, .. }) = running(store).await;
    assert_eq!(details, None);
    let (parts, known) = (vec!["one".to_owned()], "what is known".to_owned());
    store.record_parts(&lease, event, parts, End::Done, SessionChange::Keep, known.clone()).await.unwrap();
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().details, Some(known));
}

pub(in crate::store) async fn the_last_message_that_was_posted_is_known_as_long_as_its_event(
    store: &dyn Store,
) {
    let (lease, Begun { event, posted, .. }) = running(store).await;
    assert_eq!(posted, None);
    record(store, &lease, event, &["one", "two", "three"]).await.unwrap();
    let states = [
        PartState::Posted(Some(MessageId(7))),
        PartState::Posted(Some(MessageId(8))),
        PartState::Posted(None),
    ];
    for (index, state) in (0..).zip(states) {
        store.mark_part(&lease, event, index, state).await.unwrap();
    }
    finish(store, &lease, event, NOW).await;
    accept(store, &message(2)).await;
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!(begun.posted, Some(MessageId(8)));
    accept(store, &message_in(lane("a", 2), 3)).await;
    let elsewhere = take(store, &lane("a", 2)).await;
    assert_eq!(store.begin(&elsewhere, NOW).await.unwrap().unwrap().posted, None);

    // Of a Campfire that was set up anew, it is the last and not the largest.
    record(store, &lease, begun.event, &["one"]).await.unwrap();
    store.mark_part(&lease, begun.event, 0, PartState::Posted(Some(MessageId(3)))).await.unwrap();
    finish(store, &lease, begun.event, NOW).await;
    accept(store, &message(4)).await;
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().posted, Some(MessageId(3)));
    sweep(store, at(9_000_000), at(9_000_000)).await;
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().posted, None);
}
