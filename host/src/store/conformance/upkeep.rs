//! Sessions, the journal, and the removal of what is old.

use super::*;
use crate::store::{
    DUPLICATE_WINDOW, End, Horizon, KvExpect, KvScope, PartState, SessionChange, ToolCallRow,
};

const DAY: i64 = 24 * 60 * 60;

pub(in crate::store) async fn a_conversation_lasts_until_it_expires_or_is_forgotten(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    let steps = [
        // What the event before left behind, and when the next one sees what.
        (SessionChange::Set(session(1), at(100)), at(99), Some(session(1))),
        (SessionChange::Keep, at(99), Some(session(1))),
        (SessionChange::Keep, at(100), None),
        (SessionChange::Set(session(1), at(200)), at(199), Some(session(1))),
        (SessionChange::Set(session(2), at(300)), at(199), Some(session(2))),
        (SessionChange::Forget, at(199), None),
    ];
    for (id, (change, now, expected)) in (1..).zip(steps) {
        accept(store, &message(2 * id)).await;
        let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
        store.finish(&lease, event, End::Done, change, journal_row(&lease, event, NOW), None).await.unwrap();
        accept(store, &message(2 * id + 1)).await;
        let begun = store.begin(&lease, now).await.unwrap().unwrap();
        assert_eq!(begun.session, expected, "step {id}");
        finish(store, &lease, begun.event, NOW).await;
    }

    accept(store, &message(100)).await;
    let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
    let set = SessionChange::Set(session(3), at(300));
    store.record_parts(&lease, event, vec!["a".to_owned()], End::Done, set, String::new()).await.unwrap();
    store.mark_part(&lease, event, 0, PartState::Posted(None)).await.unwrap();
    let row = journal_row(&lease, event, NOW);
    store.finish(&lease, event, End::Done, SessionChange::Forget, row, None).await.unwrap();
    accept(store, &message(101)).await;
    assert_eq!(store.begin(&lease, NOW).await.unwrap().unwrap().session, None);
}

pub(in crate::store) async fn the_journal_is_read_newest_first_and_by_bot(store: &dyn Store) {
    let mut rows = Vec::new();
    for (id, bot) in (1..).zip(["a", "b", "a", "b", "a"]) {
        let lane = lane(bot, id);
        accept(store, &message_in(lane.clone(), id)).await;
        let lease = take(store, &lane).await;
        let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
        // The order is that of the ends as the store saw them, not of anyone's clock.
        let row = journal_row(&lease, event, at(-i64::try_from(id).unwrap()));
        store.finish(&lease, event, End::Failed, SessionChange::Keep, row.clone(), None).await.unwrap();
        rows.insert(0, row);
    }
    assert_eq!(store.journal(None, 100).await.unwrap(), rows);
    assert_eq!(store.journal(None, 2).await.unwrap(), rows[..2]);
    let of_b = store.journal(Some(&"b".into()), 100).await.unwrap();
    assert_eq!(of_b, [rows[1].clone(), rows[3].clone()]);
    assert_eq!(store.journal(Some(&"c".into()), 100).await.unwrap(), []);
}

pub(in crate::store) async fn a_trace_is_kept_as_long_as_its_turn(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    let mut turns = Vec::new();
    let traces = [(NOW, Some("first \u{0}é")), (at(3 * DAY), None), (at(3 * DAY), Some("second"))];
    for (id, (ended_at, trace)) in (1..).zip(traces) {
        accept(store, &message(id)).await;
        let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
        let row = journal_row(&lease, event, ended_at);
        turns.push(row.turn.clone());
        let trace = trace.map(str::to_owned);
        store.finish(&lease, event, End::Done, SessionChange::Keep, row, trace).await.unwrap();
    }
    for (turn, (_, trace)) in turns.iter().zip(traces) {
        assert_eq!(store.trace(turn).await.unwrap().as_deref(), trace, "{turn}");
    }
    assert_eq!(store.trace(&TurnId::random()).await.unwrap(), None);
    sweep(store, at(2 * DAY), at(4 * DAY)).await;
    assert_eq!(store.trace(&turns[0]).await.unwrap(), None);
    assert_eq!(store.trace(&turns[2]).await.unwrap().as_deref(), Some("second"));
}

fn tool_call(turn: &TurnId, index: u32, started_at: Timestamp) -> ToolCallRow {
    ToolCallRow {
        turn: turn.clone(),
        index,
        tool: "add".to_owned(),
        input: r#"{"a":"é\u0000"}"#.to_owned(),
        output: format!("the answer {index}\nof two lines"),
        error: (index == 1).then(|| "failed".to_owned()),
        cause: (index == 1).then(|| "it trapped".to_owned()),
        started_at,
        duration: std::time::Duration::from_micros(1_234),
    }
}

pub(in crate::store) async fn tool_calls_are_kept_by_turn_in_their_order(store: &dyn Store) {
    let (turn, other) = (TurnId::random(), TurnId::random());
    // They are recorded when they end, which may be in another order.
    for (turn, index) in [(&turn, 1), (&other, 0), (&turn, 2), (&turn, 0)] {
        store.record_tool_call(tool_call(turn, index, NOW)).await.unwrap();
    }
    let again = ToolCallRow { output: "another".to_owned(), ..tool_call(&turn, 2, NOW) };
    store.record_tool_call(again).await.unwrap();
    let expected: Vec<_> = (0..3).map(|index| tool_call(&turn, index, NOW)).collect();
    assert_eq!(store.tool_calls(&turn).await.unwrap(), expected);
    assert_eq!(store.tool_calls(&TurnId::random()).await.unwrap(), []);

    store.record_tool_call(tool_call(&turn, 3, at(DAY))).await.unwrap();
    assert_eq!(sweep(store, at(1), at(2)).await, 4, "all but the last");
    assert_eq!(store.tool_calls(&turn).await.unwrap(), [tool_call(&turn, 3, at(DAY))]);
}

pub(in crate::store) async fn a_sweep_removes_what_is_old_and_keeps_what_is_needed(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    // Ended at the start, and on the third day.
    for (id, ended_at) in [(1, NOW), (2, at(3 * DAY))] {
        accept(store, &message(id)).await;
        let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
        let parts = vec!["part".to_owned()];
        store
            .record_parts(&lease, event, parts, End::Done, SessionChange::Keep, String::new())
            .await
            .unwrap();
        store.mark_part(&lease, event, 0, PartState::Posted(None)).await.unwrap();
        finish(store, &lease, event, ended_at).await;
    }
    store.accept(message(3), 0).await.unwrap();
    // Never ended, with a lease that has expired.
    let unfinished = message_in(lane("b", 1), 4);
    accept(store, &unfinished).await;
    let late = take(store, &unfinished.lane).await;
    let event = store.begin(&late, NOW).await.unwrap().unwrap().event;
    let set = SessionChange::Set(session(1), at(60));
    store.record_parts(&late, event, vec!["kept".to_owned()], End::Done, set, String::new()).await.unwrap();
    let scope = KvScope { bot: "a".into(), room: None };
    store.kv_set(&scope, "k", vec![1], KvExpect::Anything).await.unwrap();

    // Whatever `before` says, an event stays for as long as it could be delivered again.
    let last_moment = NOW.after(DUPLICATE_WINDOW);
    assert_eq!(sweep(store, at(2 * DAY), at(30)).await, 1, "the first journal row");
    assert_eq!(
        accept(store, &NewEvent { received_at: last_moment, ..message(1) }).await,
        Acceptance::Duplicate
    );

    let removed = sweep(store, at(2 * DAY), at(4 * DAY)).await;
    assert_eq!(removed, 4, "the first and the refused event, the session and the idle lane's lease");
    assert_eq!(sweep(store, at(2 * DAY), at(4 * DAY)).await, 0);

    assert_eq!(accept(store, &message(1)).await, Acceptance::Fresh, "it is forgotten");
    assert_eq!(accept(store, &message(2)).await, Acceptance::Duplicate, "it is not");
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 1);
    assert!(store.kv_get(&scope, "k").await.unwrap().is_some());
    let begun = store.begin(&late, NOW).await.unwrap().unwrap();
    assert_eq!((begun.event, begun.session), (unfinished.id, None));
    assert_eq!(begun.parts.len(), 1);
}

pub(in crate::store) async fn messages_and_the_journal_are_kept_each_for_its_own_time(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    accept(store, &message(1)).await;
    answer_next(store, &lease).await;
    let swept = store.sweep(Horizon { events: at(DAY), journal: NOW }, at(4 * DAY)).await.unwrap();
    assert_eq!(swept.rows, 2, "the event and the lease");
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 1);
    let lease = take(store, &lane("a", 1)).await;
    accept(store, &message(2)).await;
    answer_next(store, &lease).await;
    assert_eq!(
        store.sweep(Horizon { events: NOW, journal: at(DAY) }, at(30)).await.unwrap().rows,
        2,
        "the rows"
    );
    assert_eq!(accept(store, &message(2)).await, Acceptance::Duplicate);
}

pub(in crate::store) async fn a_sweep_does_a_bounded_amount_of_work(store: &dyn Store) {
    let refused = (1..=2_500).map(|id| store.accept(message(id), 0));
    futures_util::future::join_all(refused).await;
    let mut calls = Vec::new();
    while let removed @ 1.. = sweep(store, at(2 * DAY), at(4 * DAY)).await {
        calls.push(removed);
    }
    assert_eq!(calls.iter().sum::<u64>(), 2_500);
    assert!(calls.iter().all(|removed| *removed <= 1_000), "{calls:?}");
}

pub(in crate::store) async fn a_store_that_works_answers_a_ping(store: &dyn Store) {
    store.ping().await.unwrap();
    store.ping().await.unwrap();
}

pub(in crate::store) async fn what_was_spent_is_counted_by_bot_and_day(store: &dyn Store) {
    for (bot, day, usd) in [("a", 7, 0.25), ("a", 7, 0.5), ("a", 8, 1.0), ("b", 7, 2.0)] {
        store.spend(&bot.into(), day, usd).await.unwrap();
    }
    for (bot, day, usd) in [("a", 7, 0.75), ("a", 8, 1.0), ("b", 7, 2.0), ("b", 8, 0.0)] {
        let spent = store.spent(&bot.into(), day).await.unwrap();
        assert!((spent - usd).abs() < 1e-9, "{bot} on day {day}: {spent}");
    }
}

pub(in crate::store) async fn the_reason_of_a_failure_is_kept_as_long_as_the_failure(store: &dyn Store) {
    let lease = take(store, &lane("a", 1)).await;
    for (id, end, state) in [
        (1, End::Failed, PartState::Failed),
        (2, End::Done, PartState::Uncertain),
        (3, End::Done, PartState::Posted(None)),
    ] {
        accept(store, &message(id)).await;
        let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
        let parts = vec!["part".to_owned()];
        store.record_parts(&lease, event, parts, end, SessionChange::Keep, String::new()).await.unwrap();
        store.mark_part(&lease, event, 0, state).await.unwrap();
        let row = journal_row(&lease, event, NOW);
        store.finish(&lease, event, end, SessionChange::Keep, row, None).await.unwrap();
    }
    store.sweep(Horizon { events: NOW, journal: at(DAY) }, at(30)).await.unwrap();
    let failed = store.failed_events(None, 10).await.unwrap();
    assert_eq!(failed.iter().filter(|failed| failed.row.is_some()).count(), 2, "{failed:?}");
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 2);
    let all = Horizon { events: at(2 * DAY), journal: at(2 * DAY) };
    store.sweep(all, at(4 * DAY)).await.unwrap();
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 0);
}
