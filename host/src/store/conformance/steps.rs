//! The arrows of the store's diagrams: which there are, and that there are no others.

use super::*;
use crate::store::{End, PartState, SessionChange, StoreError};

const CONTENT: &str = "part";

/// The states of an event, each in a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Waiting,
    Running,
    Done,
    Failed,
    Refused,
}

const STATES: [State; 6] =
    [State::Unknown, State::Waiting, State::Running, State::Done, State::Failed, State::Refused];

/// Brings a new event into a state, and answers it with the lease of its lane.
async fn in_state(store: &dyn Store, state: State, room: u64) -> (Lease, EventId) {
    let event = message_in(lane("a", room), room);
    let lease = take(store, &event.lane).await;
    match state {
        State::Unknown => return (lease, event.id),
        State::Refused => drop(store.accept(event.clone(), 0).await.unwrap()),
        _ => drop(accept(store, &event).await),
    }
    if matches!(state, State::Running | State::Done | State::Failed) {
        store.begin(&lease, NOW).await.unwrap().unwrap();
    }
    let end = match state {
        State::Done => End::Done,
        State::Failed => End::Failed,
        _ => return (lease, event.id),
    };
    let row = journal_row(&lease, event.id, NOW);
    store.finish(&lease, event.id, end, SessionChange::Keep, row, None).await.unwrap();
    (lease, event.id)
}

pub(in crate::store) async fn an_event_takes_only_the_steps_of_its_state(store: &dyn Store) {
    let mut room = 0;
    for state in STATES {
        for step in
            ["record", "mark", "break off", "finish as done", "finish as failed", "retry", "retry anyway"]
        {
            room += 1;
            let (lease, event) = in_state(store, state, room).await;
            let keep = SessionChange::Keep;
            let row = journal_row(&lease, event, NOW);
            if step == "mark" && state == State::Running {
                let parts = vec![CONTENT.to_owned()];
                store.record_parts(&lease, event, parts, End::Done, keep, String::new()).await.unwrap();
            }
            let taken = match step {
                "record" => {
                    store
                        .record_parts(&lease, event, vec![CONTENT.to_owned()], End::Done, keep, String::new())
                        .await
                }
                "mark" => store.mark_part(&lease, event, 0, PartState::Posted(None)).await,
                "break off" => store.break_off(&lease, event).await,
                "finish as done" => store.finish(&lease, event, End::Done, keep, row, None).await,
                "finish as failed" => store.finish(&lease, event, End::Failed, keep, row, None).await,
                retry => store.retry(event, retry == "retry anyway").await.map(drop),
            };
            let fits = match step {
                "retry" | "retry anyway" => state == State::Failed,
                _ => state == State::Running,
            };
            match taken {
                Ok(()) => assert!(fits, "{step} of an event that is {state:?}"),
                Err(StoreError::OutOfStep { event: of, .. }) => {
                    assert_eq!((fits, of), (false, event), "{step} of an event that is {state:?}");
                }
                Err(other) => panic!("{step} of an event that is {state:?}: {other}"),
            }
        }
        // What is handed out: an event that waits or runs, however often it was begun.
        room += 1;
        let (lease, event) = in_state(store, state, room).await;
        let begun = store.begin(&lease, NOW).await.unwrap().map(|begun| begun.event);
        let expected = matches!(state, State::Waiting | State::Running).then_some(event);
        assert_eq!(begun, expected, "{state:?}");
    }
}

pub(in crate::store) async fn a_part_becomes_only_what_its_state_allows(store: &dyn Store) {
    use PartState::{Failed, Planned, Posted, Uncertain, Unsent};
    let states = [
        Planned,
        Unsent,
        Posted(Some(MessageId(1))),
        Posted(Some(MessageId(2))),
        Posted(None),
        Uncertain,
        Failed,
    ];
    let mut room = 0;
    for from in states {
        for to in states {
            room += 1;
            let (lease, event) = in_state(store, State::Running, room).await;
            let parts = vec![CONTENT.to_owned()];
            store
                .record_parts(&lease, event, parts, End::Done, SessionChange::Keep, String::new())
                .await
                .unwrap();
            store.mark_part(&lease, event, 0, from).await.unwrap();
            let marked = store.mark_part(&lease, event, 0, to).await;
            let allowed = match from {
                Planned => true,
                Unsent => matches!(to, Planned | Unsent | Failed),
                settled => to == settled,
            };
            let refused = matches!(marked, Err(StoreError::OutOfStep { event: of, .. }) if of == event);
            assert_eq!((marked.is_ok(), refused), (allowed, !allowed), "{from:?} to {to:?}: {marked:?}");
            let known = store.begin(&lease, NOW).await.unwrap().unwrap().parts[0].state;
            assert_eq!(known, if allowed { to } else { from }, "{from:?} to {to:?}");
        }
    }
}

pub(in crate::store) async fn an_event_is_not_done_before_its_parts_are_settled(store: &dyn Store) {
    use PartState::{Failed, Planned, Posted, Uncertain, Unsent};
    let states = [(Planned, false), (Unsent, false), (Posted(None), true), (Uncertain, true), (Failed, true)];
    for (room, (state, is_settled)) in (1..).zip(states) {
        let (lease, event) = in_state(store, State::Running, room).await;
        let parts = vec![CONTENT.to_owned()];
        store
            .record_parts(&lease, event, parts, End::Done, SessionChange::Keep, String::new())
            .await
            .unwrap();
        store.mark_part(&lease, event, 0, state).await.unwrap();
        let finish = |end| {
            store.finish(&lease, event, end, SessionChange::Keep, journal_row(&lease, event, NOW), None)
        };
        let done = finish(End::Done).await;
        assert_eq!(done.is_ok(), is_settled, "{state:?}: {done:?}");
        if !is_settled {
            assert!(matches!(done, Err(StoreError::OutOfStep { .. })), "{done:?}");
            finish(End::Failed).await.unwrap();
        }
        assert_eq!(answer_next(store, &lease).await, None, "it has ended");
    }
}
