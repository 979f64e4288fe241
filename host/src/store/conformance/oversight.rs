//! What an operator sees and asks for.

use super::*;
use crate::store::{
    Begun, Conversation, End, FailedEvent, Forgotten, PartState, Pause, Release, Retried, Retry, Scope,
    SessionChange, StoreError,
};

fn everywhere(bot: &str) -> Scope {
    Scope { bot: bot.into(), room: None }
}

fn only(bot: &str, room: u64) -> Scope {
    Scope { bot: bot.into(), room: Some(RoomId(room)) }
}

// === Pauses ===

pub(in crate::store) async fn a_paused_lane_takes_messages_and_begins_none(store: &dyn Store) {
    for scope in [everywhere("a"), only("a", 1)] {
        let before = store.journal(None, 100).await.unwrap().len() as u64;
        let (first, second) = (message(10 * before + 1), message(10 * before + 2));
        assert_eq!(accept(store, &first).await, Acceptance::Fresh);
        let lease = store.lease(&first.lane, HostId::random(), NOW, at(60)).await.unwrap().unwrap();
        store.begin(&lease, NOW).await.unwrap().unwrap();

        assert!(store.pause(&scope, NOW).await.unwrap());
        let third = message(10 * before + 3);
        assert_eq!(store.accept(third, 1).await.unwrap(), Acceptance::Refused, "the limit holds");
        assert_eq!(accept(store, &second).await, Acceptance::Fresh);
        finish(store, &lease, first.id, NOW).await;
        assert!(store.begin(&lease, NOW).await.unwrap().is_none(), "{scope:?}");
        assert_eq!(store.unfinished_lanes().await.unwrap(), [], "{scope:?}");

        assert!(store.resume(&scope).await.unwrap());
        assert_eq!(store.unfinished_lanes().await.unwrap(), [lane("a", 1)]);
        assert_eq!(answer_next(store, &lease).await, Some(second.payload));
        assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle);
    }
}

pub(in crate::store) async fn a_bot_and_each_of_its_rooms_are_paused_on_their_own(store: &dyn Store) {
    for (room, bot) in [(1, "a"), (2, "a"), (1, "b")] {
        accept(store, &message_in(lane(bot, room), room)).await;
    }
    let running = async || store.unfinished_lanes().await.unwrap();
    assert!(store.pause(&only("a", 2), at(1)).await.unwrap());
    assert_eq!(running().await, [lane("a", 1), lane("b", 1)]);
    assert!(store.pause(&everywhere("a"), at(2)).await.unwrap());
    assert!(!store.pause(&everywhere("a"), at(3)).await.unwrap(), "it was already");
    assert_eq!(running().await, [lane("b", 1)]);
    let pauses =
        [Pause { scope: everywhere("a"), since: at(2) }, Pause { scope: only("a", 2), since: at(1) }];
    assert_eq!(store.pauses().await.unwrap(), pauses);

    assert!(!store.resume(&only("a", 1)).await.unwrap(), "it was not paused as such");
    assert!(store.resume(&everywhere("a")).await.unwrap());
    assert_eq!(running().await, [lane("a", 1), lane("b", 1)]);
    assert!(store.resume(&only("a", 2)).await.unwrap());
    assert_eq!(running().await, [lane("a", 1), lane("a", 2), lane("b", 1)]);
    assert_eq!(store.pauses().await.unwrap(), []);
}

pub(in crate::store) async fn a_paused_lane_is_given_back_and_its_messages_kept(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    store.pause(&everywhere("a"), NOW).await.unwrap();
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle, "nothing waits");
    let lease = take(store, &lane("a", 1)).await;
    accept(store, &message(1)).await;
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Paused);
    let again = take(store, &lane("a", 1)).await;
    assert!(again.token > lease.token);
    assert_eq!(sweep(store, at(9_000_000), at(9_000_000)).await, 0, "neither the message nor its lease");
    store.resume(&everywhere("a")).await.unwrap();
    assert_eq!(answer_next(store, &again).await.as_deref(), Some("message 1"));
}

// === Conversations ===

async fn remember(store: &dyn Store, lane: &LaneKey, number: u128, until: Timestamp) -> Lease {
    let event = message_in(lane.clone(), u64::try_from(number).unwrap());
    accept(store, &event).await;
    let lease = take(store, lane).await;
    store.begin(&lease, NOW).await.unwrap().unwrap();
    let set = SessionChange::Set(session(number), until);
    let row = journal_row(&lease, event.id, NOW);
    store.finish(&lease, event.id, End::Done, set, row, None).await.unwrap();
    lease
}

pub(in crate::store) async fn conversations_are_listed_until_they_expire(store: &dyn Store) {
    let lanes = [lane("b", 1), lane("a", 20), lane("a", 3)];
    for (number, lane) in (1..).zip(&lanes) {
        remember(store, lane, number, at(i64::try_from(number).unwrap() * 100)).await;
    }
    let known = |number: u128| Conversation {
        lane: lanes[usize::try_from(number).unwrap() - 1].clone(),
        session: session(number),
        expires_at: at(i64::try_from(number).unwrap() * 100),
    };
    let listed = async |bot: Option<&str>, now, limit| {
        store.conversations(bot.map(Into::into).as_ref(), now, limit).await.unwrap()
    };
    assert_eq!(listed(None, NOW, 100).await, [known(3), known(2), known(1)]);
    assert_eq!(listed(None, at(100), 100).await, [known(3), known(2)]);
    assert_eq!(listed(None, NOW, 1).await, [known(3)]);
    assert_eq!(listed(Some("b"), NOW, 100).await, [known(1)]);
    assert_eq!(listed(Some("c"), NOW, 100).await, []);
}

pub(in crate::store) async fn a_conversation_is_forgotten_at_once_unless_a_turn_uses_it(store: &dyn Store) {
    let (busy, idle, other) = (lane("a", 1), lane("a", 2), lane("b", 1));
    let lease = remember(store, &busy, 1, at(900)).await;
    remember(store, &idle, 2, at(900)).await;
    remember(store, &other, 3, at(900)).await;
    accept(store, &message(10)).await;
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!(begun.session, Some(session(1)));

    let after_turn = Forgotten { now: 0, after_turn: 1 };
    assert_eq!(store.forget(&only("a", 1)).await.unwrap(), after_turn);
    assert_eq!(store.forget(&everywhere("a")).await.unwrap(), Forgotten { now: 1, after_turn: 1 });
    assert_eq!(store.forget(&everywhere("a")).await.unwrap(), after_turn, "once is enough");
    let left: Vec<_> =
        store.conversations(None, NOW, 100).await.unwrap().into_iter().map(|c| c.lane).collect();
    assert_eq!(left, [busy.clone(), other], "the one that is in use is still there");

    let set = SessionChange::Set(session(1), at(900));
    let row = journal_row(&lease, begun.event, NOW);
    store.finish(&lease, begun.event, End::Done, set, row, None).await.unwrap();
    for (id, expected) in [(11, None), (12, Some(session(4)))] {
        accept(store, &message(id)).await;
        let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
        assert_eq!(begun.session, expected, "forgotten once, not for ever");
        let set = SessionChange::Set(session(4), at(900));
        let row = journal_row(&lease, begun.event, NOW);
        store.finish(&lease, begun.event, End::Done, set, row, None).await.unwrap();
    }
    assert_eq!(store.forget(&everywhere("nobody")).await.unwrap(), Forgotten::default());
}

// === Failed events ===

/// Ends a new event of the lane with an answer whose parts came this far.
async fn ended(
    store: &dyn Store,
    lease: &Lease,
    id: u64,
    (verdict, end): (End, End),
    parts: &[PartState],
) -> EventId {
    accept(store, &message_in(lease.lane.clone(), id)).await;
    let Begun { event, .. } = store.begin(lease, NOW).await.unwrap().unwrap();
    if !parts.is_empty() {
        let contents = (0..parts.len()).map(|part| format!("part {part}")).collect();
        store
            .record_parts(lease, event, contents, verdict, SessionChange::Keep, String::new())
            .await
            .unwrap();
        for (index, state) in (0..).zip(parts).take_while(|(_, state)| **state != PartState::Planned) {
            store.mark_part(lease, event, index, *state).await.unwrap();
        }
    }
    let row = JournalRow { outcome: format!("outcome {id}"), ..journal_row(lease, event, NOW) };
    store.finish(lease, event, end, SessionChange::Keep, row, None).await.unwrap();
    event
}

const ANSWER: (End, End) = (End::Done, End::Failed);
const SENTENCE: (End, End) = (End::Failed, End::Failed);
const POSTED: PartState = PartState::Posted(Some(MessageId(9)));

/// The states of the parts of the event that is begun next.
async fn begun_with(store: &dyn Store, lease: &Lease) -> (EventId, Vec<PartState>) {
    let begun = store.begin(lease, NOW).await.unwrap().unwrap();
    assert_eq!((begun.attempt, begun.tries), (2, 1), "the tries are counted anew, the attempts are not");
    (begun.event, begun.parts.iter().map(|part| part.state).collect())
}

pub(in crate::store) async fn failed_events_are_listed_newest_first_with_what_is_known_of_them(
    store: &dyn Store,
) {
    let (here, there) = (take(store, &lane("a", 1)).await, take(store, &lane("b", 2)).await);
    let parts = [POSTED, PartState::Uncertain, PartState::Failed, PartState::Failed];
    let first = ended(store, &here, 1, ANSWER, &parts).await;
    ended(store, &here, 2, (End::Done, End::Done), &[POSTED]).await;
    let second = ended(store, &there, 3, (End::Done, End::Done), &[PartState::Uncertain]).await;
    let third = ended(store, &here, 4, SENTENCE, &[]).await;

    let listed = store.failed_events(None, 100).await.unwrap();
    assert_eq!(listed.iter().map(|failed| failed.event).collect::<Vec<_>>(), [third, second, first]);
    let FailedEvent { end, attempts, posted, uncertain, failed, row, message, received_at, lane, .. } =
        &listed[2];
    assert_eq!((*end, *attempts, *posted, *uncertain, *failed), (End::Failed, 1, 1, 1, 2));
    assert_eq!((*message, *received_at, lane), (Some(MessageId(1)), NOW, &here.lane));
    assert_eq!(row.as_ref().map(|row| row.outcome.as_str()), Some("outcome 1"));
    assert_eq!((listed[1].end, listed[1].uncertain), (End::Done, 1));
    assert_eq!(listed[0].row.as_ref().map(|row| row.outcome.as_str()), Some("outcome 4"));

    assert_eq!(store.failed_events(None, 1).await.unwrap(), listed[..1]);
    assert_eq!(store.failed_events(Some(&"b".into()), 100).await.unwrap(), listed[1..2]);
    assert_eq!(store.failed_events(Some(&"c".into()), 100).await.unwrap(), []);
}

pub(in crate::store) async fn an_event_without_an_answer_is_answered_anew_at_the_end_of_its_lane(
    store: &dyn Store,
) {
    let lease = take(store, &lane("a", 1)).await;
    let failed = ended(store, &lease, 1, SENTENCE, &[]).await;
    for id in 2..=3 {
        accept(store, &message(id)).await;
    }
    let running = store.begin(&lease, NOW).await.unwrap().unwrap();
    let expected = Retried { lane: lane("a", 1), retry: Retry::Anew };
    assert_eq!(store.retry(failed, false).await.unwrap(), expected);
    assert_eq!(store.failed_events(None, 10).await.unwrap(), []);
    let next = store.begin(&lease, NOW).await.unwrap().unwrap();
    assert_eq!(next.event, running.event, "what runs comes first, as long as it runs");
    for expected in ["message 2", "message 3"] {
        assert_eq!(answer_next(store, &lease).await.as_deref(), Some(expected));
    }
    assert_eq!(begun_with(store, &lease).await, (failed, vec![]));
    assert_eq!(accept(store, &message(1)).await, Acceptance::Duplicate, "it is still known");
    finish(store, &lease, failed, NOW).await;
    assert_eq!(store.journal(None, 10).await.unwrap()[0].event, failed);
}

pub(in crate::store) async fn an_answer_that_was_not_posted_is_posted_from_where_it_broke_off(
    store: &dyn Store,
) {
    let lease = take(store, &lane("a", 1)).await;
    let parts = [POSTED, PartState::Uncertain, PartState::Failed, PartState::Failed];
    let event = ended(store, &lease, 1, ANSWER, &parts).await;
    assert_eq!(store.retry(event, false).await.unwrap().retry, Retry::Posting);
    let rest = vec![POSTED, PartState::Uncertain, PartState::Unsent, PartState::Unsent];
    assert_eq!(begun_with(store, &lease).await, (event, rest));
    // Each can be sent now, in order.
    for index in 2..=3 {
        store.mark_part(&lease, event, index, PartState::Planned).await.unwrap();
        store.mark_part(&lease, event, index, PartState::Posted(None)).await.unwrap();
    }
    finish(store, &lease, event, NOW).await;
}

pub(in crate::store) async fn a_sentence_about_a_failure_is_not_posted_again(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    for (id, state) in (1..).zip([POSTED, PartState::Failed, PartState::Uncertain, PartState::Planned]) {
        let event = ended(store, &lease, id, SENTENCE, &[state]).await;
        assert_eq!(store.retry(event, id == 3).await.unwrap().retry, Retry::Anew, "{state:?}");
        assert_eq!(begun_with(store, &lease).await, (event, vec![]), "{state:?}");
        let answer = vec!["an answer".to_owned()];
        store
            .record_parts(&lease, event, answer, End::Done, SessionChange::Keep, String::new())
            .await
            .unwrap();
        store.mark_part(&lease, event, 0, POSTED).await.unwrap();
        finish(store, &lease, event, NOW).await;
    }
}

pub(in crate::store) async fn what_may_be_in_the_room_is_only_posted_anyway(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    let event = ended(store, &lease, 1, (End::Done, End::Done), &[POSTED, PartState::Uncertain]).await;
    let refused = store.retry(event, false).await;
    assert!(matches!(refused, Err(StoreError::OutOfStep { .. })), "{refused:?}");
    assert_eq!(store.retry(event, true).await.unwrap().retry, Retry::Posting);
    assert_eq!(begun_with(store, &lease).await, (event, vec![POSTED, PartState::Unsent]));
}

pub(in crate::store) async fn an_event_that_was_given_up_in_the_middle_repeats_nothing(store: &dyn Store) {
    let parts = [POSTED, PartState::Planned, PartState::Planned];
    for (anyway, second) in [(false, PartState::Uncertain), (true, PartState::Unsent)] {
        let lease = take(store, &lane("a", u64::from(anyway))).await;
        let event = ended(store, &lease, u64::from(anyway), ANSWER, &parts).await;
        let failed = store.failed_events(None, 1).await.unwrap();
        assert_eq!((failed[0].posted, failed[0].uncertain, failed[0].failed), (1, 1, 1));
        store.retry(event, anyway).await.unwrap();
        assert_eq!(begun_with(store, &lease).await, (event, vec![POSTED, second, PartState::Unsent]));
    }
}

pub(in crate::store) async fn what_has_not_failed_is_not_put_back(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    let answered = ended(store, &lease, 1, (End::Done, End::Done), &[POSTED]).await;
    let refused = message(2);
    store.accept(refused.clone(), 0).await.unwrap();
    let waiting = message(3);
    accept(store, &waiting).await;
    for event in [answered, refused.id, waiting.id, EventId::new()] {
        for anyway in [false, true] {
            let refused = store.retry(event, anyway).await;
            assert!(
                matches!(refused, Err(StoreError::OutOfStep { event: of, .. }) if of == event),
                "{refused:?}"
            );
        }
    }
    assert_eq!(answer_next(store, &lease).await.as_deref(), Some("message 3"));
    assert_eq!(answer_next(store, &lease).await, None);
}
