//! What an operator wants to know of the past and of what waits.

use super::*;
use crate::{
    id::BotName,
    store::{End, Queue, Scope, SessionChange, TurnQuery},
};

/// A turn of a bot in room 1 that began at [`NOW`] plus `from` and took `took`, both in seconds.
async fn turn(
    store: &dyn Store,
    bot: &str,
    outcome: &str,
    from: i64,
    took: i64,
    details: serde_json::Value,
) -> TurnId {
    // Each says something else, so that none is a repeated delivery.
    let mut event = message_in(lane(bot, 1), 1);
    event.content_hash[..16].copy_from_slice(event.id.0.as_bytes());
    assert_eq!(accept(store, &event).await, Acceptance::Fresh);
    let lease = take(store, &event.lane).await;
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    let row = JournalRow {
        started_at: at(from),
        outcome: outcome.to_owned(),
        details,
        ..journal_row(&lease, begun.event, at(from + took))
    };
    let turn = row.turn.clone();
    store.finish(&lease, begun.event, End::Done, SessionChange::Keep, row, None).await.unwrap();
    store.release_if_idle(&lease).await.unwrap();
    turn
}

async fn found(store: &dyn Store, query: TurnQuery) -> Vec<TurnId> {
    store.turns(&query).await.unwrap().into_iter().map(|row| row.turn).collect()
}

pub(in crate::store) async fn turns_are_found_by_whose_they_are_how_they_ended_and_what_they_say(
    store: &dyn Store,
) {
    let first = turn(store, "a", "answered", 0, 1, json!({ "plugin": { "name": "Alpha_100%" } })).await;
    let second = turn(store, "a", "crashed", 1, 1, json!({ "cause": "exit code 3" })).await;
    let third = turn(store, "b", "answered", 2, 1, json!({})).await;
    let all = [third.clone(), second.clone(), first.clone()];
    assert_eq!(found(store, TurnQuery::default()).await, all);
    let query = TurnQuery { bot: Some("a".into()), ..TurnQuery::default() };
    assert_eq!(found(store, query).await, [second.clone(), first.clone()]);
    let query = TurnQuery { bot: Some("a".into()), outcome: Some("answered".into()), ..TurnQuery::default() };
    assert_eq!(found(store, query).await, std::slice::from_ref(&first));
    let query = TurnQuery { room: Some(RoomId(2)), ..TurnQuery::default() };
    assert!(found(store, query).await.is_empty());
    for (text, expected) in [
        ("EXIT code", vec![&second]),
        ("alpha_100%", vec![&first]),
        ("a_p", vec![]),
        ("a%0", vec![]),
        (&*third.0, vec![&third]),
        ("ANSWER", vec![&third, &first]),
        ("", vec![&third, &second, &first]),
    ] {
        let query = TurnQuery { text: Some(text.to_owned()), ..TurnQuery::default() };
        assert_eq!(found(store, query).await.iter().collect::<Vec<_>>(), expected, "{text}");
    }
    let long = TurnQuery { text: Some("ü".repeat(100_000)), ..TurnQuery::default() };
    assert!(found(store, long).await.is_empty());
}

pub(in crate::store) async fn a_turn_is_found_by_what_it_posted(store: &dyn Store) {
    let first = turn(store, "a", "answered", 0, 1, json!({ "posted": [41, 42] })).await;
    let again = turn(store, "a", "answered", 1, 1, json!({ "posted": [42] })).await;
    turn(store, "a", "ignored", 2, 1, json!({ "posted": [], "about": { "message": 41 } })).await;
    turn(store, "a", "crashed", 3, 1, json!({ "posted": "41" })).await;
    for (message, expected) in [(41, vec![&first]), (42, vec![&again, &first]), (4, vec![])] {
        let query =
            TurnQuery { bot: Some("a".into()), posted: Some(MessageId(message)), ..TurnQuery::default() };
        assert_eq!(found(store, query).await.iter().collect::<Vec<_>>(), expected, "{message}");
    }
    let other = TurnQuery { bot: Some("b".into()), posted: Some(MessageId(41)), ..TurnQuery::default() };
    assert!(found(store, other).await.is_empty());
}

pub(in crate::store) async fn turns_are_read_page_by_page(store: &dyn Store) {
    let mut turns = Vec::new();
    for number in 0..5 {
        // They end at the same time: their order is that in which they were written.
        turns.insert(0, turn(store, "a", "answered", 0, number % 2, json!({})).await);
    }
    let page = |before: Option<&TurnId>| TurnQuery {
        before: before.cloned(),
        limit: Some(2),
        ..TurnQuery::default()
    };
    assert_eq!(found(store, page(None)).await, turns[..2]);
    assert_eq!(found(store, page(Some(&turns[1]))).await, turns[2..4]);
    assert_eq!(found(store, page(Some(&turns[3]))).await, turns[4..]);
    assert!(found(store, page(Some(&TurnId("nosuch".into())))).await.is_empty());
}

pub(in crate::store) async fn a_turn_is_found_by_its_id(store: &dyn Store) {
    turn(store, "a", "answered", 0, 1, json!({})).await;
    let second = turn(store, "b", "ignored", 0, 1, json!({ "a": [1] })).await;
    let row = store.turn(&second).await.unwrap().unwrap();
    assert_eq!((&row.turn, &row.lane, &*row.outcome), (&second, &lane("b", 1), "ignored"));
    assert_eq!((row.started_at, row.ended_at, row.details), (NOW, at(1), json!({ "a": [1] })));
    assert!(store.turn(&TurnId("nosuch".into())).await.unwrap().is_none());
}

pub(in crate::store) async fn spending_is_summed_up_by_bot_and_day(store: &dyn Store) {
    let day = 24 * 60 * 60;
    let used = |cost: f64| {
        json!({ "agent": {
            "cost-usd": cost, "input-tokens": 1, "cache-read-tokens": 10, "cache-creation-tokens": 100, "output-tokens": 5,
        }})
    };
    turn(store, "a", "answered", -day, 1, used(9.0)).await;
    turn(store, "a", "answered", 0, 1, used(0.25)).await;
    turn(store, "a", "answered", 1, 1, used(0.5)).await;
    turn(store, "a", "crashed", 2, 1, json!({ "agent": { "cost-usd": null } })).await;
    turn(store, "b", "ignored", 3, 1, json!({})).await;
    turn(store, "a", "answered", day, 1, used(1.0)).await;

    let spending = store.spending(NOW).await.unwrap();
    let told: Vec<_> = spending
        .iter()
        .map(|row| (row.bot.as_str(), (row.day.0 - NOW.0).div_euclid(86_400_000), row.turns, row.cost_usd))
        .collect();
    assert_eq!(told, [("a", 0, 1, 1.0), ("a", -1, 3, 0.75), ("b", -1, 1, 0.0)]);
    assert!(spending.iter().all(|row| row.day.0 % 86_400_000 == 0), "days are those of UTC");
    assert_eq!((spending[1].input_tokens, spending[1].output_tokens), (222, 10));
}

pub(in crate::store) async fn hours_count_turns_by_outcome_and_say_how_long_they_took(store: &dyn Store) {
    for took in 1..=20 {
        turn(store, "a", if took == 20 { "crashed" } else { "answered" }, 0, took, json!({})).await;
    }
    turn(store, "b", "ignored", 3 * 60 * 60, 0, json!({})).await;
    let hours = store.hours(NOW).await.unwrap();
    assert_eq!(hours.len(), 2, "hours without turns are left out: {hours:?}");
    assert_eq!(hours[0].outcomes, [("answered".to_owned(), 19), ("crashed".to_owned(), 1)].into());
    assert_eq!((hours[0].median_ms, hours[0].slow_ms), (10_000, 19_000));
    assert_eq!((hours[1].median_ms, hours[1].slow_ms), (0, 0));
    assert_eq!(hours[1].from.0 - hours[0].from.0, 3 * 60 * 60 * 1_000);
    assert_eq!(hours[0].from.0 % (60 * 60 * 1_000), 0);
    assert!(store.hours(at(4 * 60 * 60)).await.unwrap().is_empty());
}

pub(in crate::store) async fn queues_are_listed_the_longest_waiting_first_also_where_it_is_paused(
    store: &dyn Store,
) {
    assert_eq!(store.queues().await.unwrap(), []);
    accept(store, &NewEvent { received_at: at(1), ..message_in(lane("b", 2), 1) }).await;
    accept(store, &NewEvent { received_at: at(2), ..message_in(lane("a", 1), 2) }).await;
    accept(store, &NewEvent { received_at: at(3), ..message_in(lane("b", 2), 3) }).await;
    let bot = BotName::from("b");
    store.pause(&Scope { bot, room: None }, NOW).await.unwrap();
    let queue = |lane: LaneKey, unfinished, oldest| Queue { lane, unfinished, oldest };
    let expected = [queue(lane("b", 2), 2, at(1)), queue(lane("a", 1), 1, at(2))];
    assert_eq!(store.queues().await.unwrap(), expected);
    let lease = take(store, &lane("a", 1)).await;
    answer_next(store, &lease).await;
    assert_eq!(store.queues().await.unwrap(), expected[..1]);
}
