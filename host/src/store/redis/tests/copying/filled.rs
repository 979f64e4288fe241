//! Stores with something of every kind and in every state, and stores that have lived by chance. All of it comes through the
//! store's own ways.

use crate::{
    id::{EventId, HostId, LaneKey, MessageId, RoomId, SessionId, Timestamp, TurnId},
    store::{
        Begun, CronKey, Due, End, Hop, JournalRow, KvExpect, KvScope, Lease, NewEvent, PartState, Scope,
        SessionChange, Source, Store, ToolCallRow,
    },
};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// Rooms have smaller numbers, but for one.
pub(super) const ROOMS: u64 = 20;

/// This many seconds after [`NOW`].
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000)
}

pub(super) fn lane(bot: &str, room: u64) -> LaneKey {
    LaneKey { bot: bot.into(), room: RoomId(room) }
}

pub(super) fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

pub(super) fn hop(by_bot: bool) -> Hop {
    Hop { campfire: "https://chat.example:8080/x".into(), by_bot, budget: 2 }
}

/// A message that has arrived, each in a second of its own.
pub(super) fn message(lane: LaneKey, id: u64) -> NewEvent {
    let name = format!("Room {} — “quoted”", lane.room);
    NewEvent {
        id: EventId::new(),
        message: Some(MessageId(id)),
        kind: "message".to_owned(),
        content_hash: [u8::try_from(id % 251).unwrap(); 32],
        payload: json!({ "text": format!("message {id} 🔥\0"), "room": { "name": name } }).to_string(),
        received_at: at(i64::try_from(id % 10_000).unwrap()),
        source: Source::Message { room_name: (lane.room.0 % 2 == 1).then_some(name) },
        hop: None,
        lane,
    }
}

fn row(lease: &Lease, begun: &Begun, turn: TurnId, outcome: &str) -> JournalRow {
    JournalRow {
        turn,
        event: begun.event,
        lane: lease.lane.clone(),
        attempt: begun.attempt,
        started_at: begun.received_at,
        ended_at: begun.received_at.after(Duration::from_millis(1_250)),
        outcome: outcome.to_owned(),
        details: json!({
            "posted": [4711], "agent": { "cost-usd": 0.25, "input-tokens": 12, "output-tokens": 3 },
            "words": "ünï", "whole": u64::MAX,
        }),
    }
}

fn tool_call(turn: &TurnId, index: u32) -> ToolCallRow {
    ToolCallRow {
        turn: turn.clone(),
        index,
        tool: "look".into(),
        input: "{\"at\":\"sky\"}".into(),
        output: "blue".into(),
        error: (index == 1).then(|| "failed".to_owned()),
        cause: (index == 1).then(|| "the host refused".to_owned()),
        started_at: at(i64::from(index)),
        duration: Duration::from_micros(1_234_567),
    }
}

/// Ends a begun event: with what was recorded, each planned part posted, or as done.
pub(super) async fn end(store: &dyn Store, lease: &Lease, begun: &Begun, turn: TurnId) {
    for part in &begun.parts {
        if part.state == PartState::Unsent {
            store.mark_part(lease, begun.event, part.index, PartState::Planned).await.unwrap();
        }
        if matches!(part.state, PartState::Planned | PartState::Unsent) {
            let message = MessageId(5_000 + u64::from(part.index));
            store.mark_part(lease, begun.event, part.index, PartState::Posted(Some(message))).await.unwrap();
        }
    }
    let verdict = begun.verdict.unwrap_or(End::Done);
    // The kinds of stores list the rooms with the largest numbers at either end.
    let change = if lease.lane.room.0 < ROOMS {
        SessionChange::Set(session(u128::from(lease.lane.room.0) + 7), at(90_000))
    } else {
        SessionChange::Keep
    };
    let told = row(lease, begun, turn, "replied");
    store.finish(lease, begun.event, verdict, change, told, None).await.unwrap();
}

async fn take(store: &dyn Store, lane: &LaneKey) -> Lease {
    store.lease(lane, HostId(Uuid::nil()), NOW, at(60)).await.unwrap().expect("it is always the same host")
}

/// A message in a room of bot "a", begun.
async fn begun(store: &dyn Store, room: u64, id: u64) -> (Lease, Begun) {
    let lane = lane("a", room);
    store.accept(message(lane.clone(), id), 1_000).await.unwrap();
    let lease = take(store, &lane).await;
    let begun = store.begin(&lease, at(10)).await.unwrap().unwrap();
    (lease, begun)
}

/// Records an answer of as many parts as there are states, and brings each to its state.
async fn answered(store: &dyn Store, (lease, begun): &(Lease, Begun), verdict: End, states: &[PartState]) {
    let parts = (0..states.len()).map(|part| format!("part {part} of “{}”", begun.event)).collect();
    let set = SessionChange::Set(session(begun.received_at.0.unsigned_abs().into()), at(5_000));
    let details = "{\"told\": 1}".to_owned();
    store.record_parts(lease, begun.event, parts, verdict, set, details).await.unwrap();
    for (index, state) in (0..).zip(states) {
        if *state == PartState::Planned {
            break;
        }
        store.mark_part(lease, begun.event, index, *state).await.unwrap();
    }
}

async fn ended(store: &dyn Store, (lease, begun): &(Lease, Begun), end: End, outcome: &str) -> TurnId {
    let turn = TurnId::random();
    let told = row(lease, begun, turn.clone(), outcome);
    let trace = (outcome != "ignored").then(|| format!("{{\"trace\": \"{turn}\"}}"));
    store.finish(lease, begun.event, end, SessionChange::Keep, told, trace).await.unwrap();
    turn
}

/// Something of every kind, and in every state.
pub(super) async fn fill(store: &dyn Store) {
    use PartState::{Failed, Planned, Posted, Uncertain, Unsent};
    // Done, with all that belongs to it; and one that is done behind it, so that the last message posted is the first's.
    let done = begun(store, 1, 1).await;
    answered(store, &done, End::Done, &[Posted(Some(MessageId(u64::MAX))), Posted(None), Failed]).await;
    let turn = ended(store, &done, End::Done, "replied").await;
    for index in 0..3 {
        store.record_tool_call(tool_call(&turn, index)).await.unwrap();
    }
    ended(store, &begun(store, 1, 2).await, End::Done, "ignored").await;
    // Waiting, in their order, over two lanes, and one whose numbers are as large as they get.
    for (room, id) in [(2, 20), (3, 21), (2, 22)] {
        store.accept(message(lane("a", room), id), 1_000).await.unwrap();
    }
    store.accept(message(lane("a", u64::MAX), u64::MAX), 1_000).await.unwrap();
    // Running: nothing said yet, and to be stopped; broken off; in the middle of an answer; in doubt.
    let (lease, started) = begun(store, 4, 40).await;
    store.note(&lease, started.event, "a note").await.unwrap();
    let stop = NewEvent { content_hash: [9; 32], ..message(lane("a", 4), 41) };
    store.ask_to_stop(stop).await.unwrap();
    let (lease, started) = begun(store, 5, 50).await;
    store.break_off(&lease, started.event).await.unwrap();
    answered(store, &begun(store, 6, 60).await, End::Done, &[Posted(Some(MessageId(61))), Unsent]).await;
    answered(store, &begun(store, 7, 70).await, End::Failed, &[Planned, Planned]).await;
    // Its conversation goes with it.
    store.forget(&Scope { bot: "a".into(), room: Some(RoomId(7)) }).await.unwrap();
    // Failed: without an answer, after a sentence, with an answer that is not all there.
    ended(store, &begun(store, 8, 80).await, End::Failed, "crashed").await;
    let told = begun(store, 8, 81).await;
    answered(store, &told, End::Failed, &[Posted(Some(MessageId(82)))]).await;
    ended(store, &told, End::Failed, "turn-limit").await;
    let doubtful = begun(store, 9, 90).await;
    answered(store, &doubtful, End::Done, &[Posted(None), Uncertain]).await;
    ended(store, &doubtful, End::Done, "replied").await;
    // Put back: anew, and with the rest of an answer.
    let anew = begun(store, 10, 100).await;
    ended(store, &anew, End::Failed, "crashed").await;
    store.retry(anew.1.event, false).await.unwrap();
    let rest = begun(store, 11, 110).await;
    answered(store, &rest, End::Done, &[Posted(Some(MessageId(111))), Unsent, Planned]).await;
    ended(store, &rest, End::Failed, "unreachable").await;
    store.retry(rest.1.event, true).await.unwrap();
    // Refused, found in the history, given up, and fired.
    store.accept(message(lane("a", 12), 120), 0).await.unwrap();
    let found = NewEvent { source: Source::History, ..message(lane("a", 13), 130) };
    store.accept(found, 1_000).await.unwrap();
    store.accept(message(lane("gone", 1), 140), 1_000).await.unwrap();
    store.give_up(&["a".into(), "b".into()], at(1_000), at(150)).await.unwrap();
    keep(store).await;
    // Paused, as a whole and in a room, with something that waits.
    for scope in [Scope { bot: "b".into(), room: None }, Scope { bot: "a".into(), room: Some(RoomId(2)) }] {
        store.pause(&scope, at(5)).await.unwrap();
    }
    store.accept(message(lane("b", 1), 150), 1_000).await.unwrap();
    // A chain that is too long.
    for id in 160..164 {
        let link = NewEvent { hop: Some(hop(true)), ..message(lane("a", 5), id) };
        store.accept(link, 1_000).await.unwrap();
    }
    store.read_to(&lane("a", 1), MessageId(1 << 60)).await.unwrap();
    for (day, usd) in [(7, 0.1), (7, 0.2), (400, 1e-7), (401, 12.5)] {
        store.spend(&"a".into(), day, usd).await.unwrap();
    }
}

/// What plugins and the operator's timers keep.
async fn keep(store: &dyn Store) {
    for (bot, room) in [("a", None), ("a", Some(1)), ("b", Some(u64::MAX))] {
        let scope = KvScope { bot: bot.into(), room: room.map(RoomId) };
        for number in 0..150_u8 {
            let value = vec![number, 0, 255, b' ', b'\n'];
            store.kv_set(&scope, &format!("key {number} é:"), value, KvExpect::Anything).await.unwrap();
        }
        store.kv_set(&scope, "key 3 é:", vec![7; 60_000], KvExpect::Anything).await.unwrap();
        store.kv_delete(&scope, "key 4 é:", KvExpect::Anything).await.unwrap();
    }
    for number in 0..5_u64 {
        let due = at(100 + i64::try_from(number).unwrap());
        let name = format!("name {number}: x");
        store.set_timer(&lane("a", number), &name, due, "{\"a b\": 1}").await.unwrap();
        store.set_timer(&lane("b", 1), &name, due, "").await.unwrap();
    }
    let timers = store.timers(&lane("a", 0)).await.unwrap();
    store.postpone_timer(&timers[0], at(900)).await.unwrap();
    let timers = store.timers(&lane("a", 1)).await.unwrap();
    let came = NewEvent {
        message: None,
        kind: "timer".to_owned(),
        source: Source::Other,
        ..message(lane("a", 1), 3)
    };
    store.fire(Due::Timer(timers[0].clone()), came, 1_000).await.unwrap();
    for (bot, name) in [("a", "daily"), ("a", "weekly"), ("b", "daily")] {
        let cron = CronKey { bot: bot.into(), name: name.into() };
        store.settle_cron(&cron, at(77)).await.unwrap();
    }
}

/// Lives for a while, as this seed has it.
pub(super) async fn live(store: &dyn Store, seed: u64) {
    let mut state = seed;
    // A linear congruential generator; its upper bits are good enough.
    let mut chance = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let states = [
        PartState::Unsent,
        PartState::Uncertain,
        PartState::Failed,
        PartState::Posted(None),
        PartState::Posted(Some(MessageId(4_000))),
        PartState::Planned,
    ];
    for step in 1..250 {
        let lane = lane(if chance(4) == 0 { "b" } else { "a" }, chance(8));
        let scope = KvScope { bot: lane.bot.clone(), room: (chance(2) == 0).then_some(RoomId(1)) };
        match chance(12) {
            0..=4 => drop(store.accept(message(lane, step), 4).await.unwrap()),
            5 => drop(
                store
                    .kv_set(&scope, &format!("k{}", chance(5)), vec![1; 9], KvExpect::Anything)
                    .await
                    .unwrap(),
            ),
            6 => {
                let name = format!("t{}", chance(3));
                let due = at(i64::try_from(step).unwrap());
                store.set_timer(&lane, &name, due, "payload").await.unwrap();
            }
            7 => {
                for failed in store.failed_events(None, 1).await.unwrap() {
                    // Not each can be put back.
                    _ = store.retry(failed.event, true).await;
                }
            }
            _ => {
                // Whoever had the lane is gone.
                let now = at(1_000 * i64::try_from(step).unwrap());
                let until = now.after(Duration::from_secs(10));
                let lease = store.lease(&lane, HostId::random(), now, until).await.unwrap().unwrap();
                let Some(begun) = store.begin(&lease, NOW).await.unwrap() else { continue };
                if begun.parts.is_empty() && chance(3) > 0 {
                    let count = usize::try_from(chance(3)).unwrap();
                    let mut parts: Vec<_> =
                        (0..count).map(|_| states[usize::try_from(chance(6)).unwrap()]).collect();
                    // In order, so that nothing is marked behind what is not settled.
                    parts.sort_by_key(|state| matches!(state, PartState::Planned | PartState::Unsent));
                    if let Some(first) = parts.iter().position(|state| *state == PartState::Unsent) {
                        parts.truncate(first + 1);
                    }
                    if !parts.is_empty() {
                        let verdict = if chance(3) == 0 { End::Failed } else { End::Done };
                        answered(store, &(lease.clone(), begun.clone()), verdict, &parts).await;
                    }
                }
                match chance(4) {
                    0 => {}
                    1 => store.break_off(&lease, begun.event).await.unwrap(),
                    // It may have parts that are not settled, and goes on then.
                    end => {
                        let end = if end == 2 { End::Failed } else { End::Done };
                        let turn = TurnId::random();
                        let told = row(&lease, &begun, turn, "replied");
                        _ = store.finish(&lease, begun.event, end, SessionChange::Keep, told, None).await;
                    }
                }
            }
        }
    }
}
