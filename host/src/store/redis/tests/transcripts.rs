//! Transcripts: who may write them, how they grow, and when they go.

use super::*;
use crate::{
    id::{HostId, RoomId, SessionId},
    store::{Horizon, Mark, Oversight, PIECES_BYTES, Scope, Source, Transcripts},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000)
}

fn lane() -> LaneKey {
    LaneKey { bot: "a".into(), room: RoomId(1) }
}

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

/// How far a transcript of the session goes; no two of these are the same.
fn mark(session: SessionId, bytes: u8) -> Mark {
    Mark { session, bytes: u64::from(bytes), sha256: [bytes; 32] }
}

fn message(number: u64) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        lane: lane(),
        message: Some(MessageId(number)),
        kind: "message".to_owned(),
        content_hash: [7; 32],
        payload: String::new(),
        received_at: NOW,
        source: Source::Other,
        hop: None,
    }
}

/// The lane's next event, begun by a host that has just taken the lane.
async fn begun(store: &RedisStore, number: u64) -> (Lease, EventId) {
    store.accept(message(number), 100).await.unwrap();
    let lease = store.lease(&lane(), HostId::random(), at(60), at(120)).await.unwrap().unwrap();
    store.renew(vec![lease.clone()], at(60)).await.unwrap();
    let event = store.begin(&lease, NOW).await.unwrap().unwrap().event;
    (lease, event)
}

async fn keep(
    store: &RedisStore,
    held: &(Lease, EventId),
    after: Option<Mark>,
    mark: Mark,
    piece: &[u8],
) -> bool {
    store.keep_transcript(&held.0, held.1, after.as_ref(), &mark, 0, piece).await.unwrap()
}

async fn finish(store: &RedisStore, (lease, event): &(Lease, EventId), change: SessionChange) {
    let row = JournalRow {
        turn: TurnId::random(),
        event: *event,
        lane: lane(),
        attempt: 1,
        started_at: NOW,
        ended_at: NOW,
        outcome: "answered".to_owned(),
        details: serde_json::json!({}),
    };
    store.finish(lease, *event, End::Done, change, row, None).await.unwrap();
}

/// The whole transcript, read a call at a time.
async fn read(store: &RedisStore, mark: Mark) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    loop {
        let from = u32::try_from(pieces.len()).unwrap();
        let more = store.transcript_pieces(&lane(), &mark, from).await.unwrap();
        if more.is_empty() {
            return pieces;
        }
        pieces.extend(more);
    }
}

async fn known(store: &RedisStore) -> Option<(Mark, Option<u32>)> {
    let known = store.transcript(&lane()).await.unwrap();
    known.map(|known| (known.mark, known.pieces))
}

/// Nothing of a transcript is left, whatever the store says of it.
async fn is_gone(store: &RedisStore) -> bool {
    let keys = ["transcript:a:1", "transcript-pieces:a:1", "transcript-aside:a:1"];
    let keys = keys.map(|key| store.link.key(key));
    store.link.query::<u32>(redis::cmd("EXISTS").arg(&keys)).await.unwrap() == 0
}

#[tokio::test]
async fn a_transcript_grows_from_where_it_is_and_from_nowhere_else() {
    let (store, ()) = fresh();
    let held = begun(&store, 1).await;
    let (one, two, three) = (mark(session(1), 1), mark(session(1), 2), mark(session(1), 3));
    assert_eq!(known(&store).await, None);
    assert!(keep(&store, &held, None, one, b"one").await);
    assert!(keep(&store, &held, Some(one), two, b"\0two\xff").await);
    assert!(keep(&store, &held, Some(one), two, b"\0two\xff").await, "said again");
    assert_eq!(known(&store).await, Some((two, Some(2))));
    assert_eq!(read(&store, two).await, [b"one".to_vec(), b"\0two\xff".to_vec()]);

    for not_there in [one, mark(session(2), 2), Mark { bytes: 3, ..two }, Mark { sha256: [3; 32], ..two }] {
        assert!(!keep(&store, &held, Some(not_there), three, b"three").await, "{not_there:?}");
        assert_eq!(read(&store, not_there).await, Vec::<Vec<u8>>::new());
    }
    assert_eq!(read(&store, two).await.len(), 2, "nothing has changed");
}

#[tokio::test]
async fn a_transcript_of_many_pieces_is_there_as_a_whole_or_not_at_all() {
    let (store, ()) = fresh();
    let held = begun(&store, 1).await;
    let (old, new) = (mark(session(1), 1), mark(session(1), 2));
    keep(&store, &held, None, old, b"old").await;
    let piece = |index: u8| vec![index; PIECES_BYTES / 2 + 1];
    for index in [0, 1, 2, 1, 2, 3] {
        // Some of them twice, as after an answer that did not arrive.
        store.lay_aside(&held.0, held.1, index.into(), &piece(index)).await.unwrap();
        assert_eq!(known(&store).await, Some((old, Some(1))));
    }
    let keep_aside =
        async |aside| store.keep_transcript(&held.0, held.1, None, &new, aside, b"last").await.unwrap();
    assert!(!keep_aside(5).await, "so many were not laid aside");
    assert_eq!(read(&store, old).await, [b"old".to_vec()]);
    assert!(keep_aside(4).await);
    assert_eq!(read(&store, new).await, [piece(0), piece(1), piece(2), piece(3), b"last".to_vec()]);
    let first = store.transcript_pieces(&lane(), &new, 0).await.unwrap();
    assert_eq!(first.len(), 2, "no answer has much more than it should");

    store.lay_aside(&held.0, held.1, 0, b"of an attempt that was cut off").await.unwrap();
    let newer = mark(session(1), 3);
    assert!(keep(&store, &held, Some(new), newer, b"more").await);
    assert_eq!(read(&store, newer).await.len(), 6);
}

#[tokio::test]
async fn many_small_pieces_are_read_to_the_last() {
    let (store, ()) = fresh();
    let held = begun(&store, 1).await;
    let mut last = None;
    for number in 1..=200 {
        for half in [0, 1] {
            let next = Mark { sha256: [half; 32], ..mark(session(1), number) };
            assert!(keep(&store, &held, last, next, &[number, half]).await);
            last = Some(next);
        }
    }
    let pieces = read(&store, last.unwrap()).await;
    assert_eq!(pieces.len(), 400);
    assert_eq!(pieces.last().unwrap(), &[200, 1]);
}

#[tokio::test]
async fn one_that_has_lost_a_piece_is_not_gone_on_from_and_can_be_kept_anew() {
    let (store, ()) = fresh();
    let held = begun(&store, 1).await;
    let (one, two) = (mark(session(1), 1), mark(session(1), 2));
    for lost in ["RPOP", "DEL"] {
        assert!(keep(&store, &held, None, one, b"one").await);
        assert!(keep(&store, &held, Some(one), two, b"two").await);
        let pieces = store.link.key("transcript-pieces:a:1");
        store.link.query::<redis::Value>(redis::cmd(lost).arg(pieces)).await.unwrap();
        assert_eq!(read(&store, two).await, Vec::<Vec<u8>>::new(), "{lost}");
        assert!(!keep(&store, &held, Some(two), mark(session(1), 3), b"three").await, "{lost}");
        assert!(keep(&store, &held, None, two, b"all").await, "{lost}");
        assert_eq!(read(&store, two).await, [b"all".to_vec()]);
    }
}

#[tokio::test]
async fn only_the_holder_of_the_lane_writes_its_transcript_and_for_what_runs() {
    let (store, ()) = fresh();
    let old = begun(&store, 1).await;
    let (one, two) = (mark(session(1), 1), mark(session(1), 2));
    keep(&store, &old, None, one, b"one").await;
    let new = store.lease(&lane(), HostId::random(), at(200), at(300)).await.unwrap().unwrap();

    let (lease, event) = &old;
    for refused in [
        store.lay_aside(lease, *event, 0, b"piece").await,
        store.keep_transcript(lease, *event, Some(&one), &two, 0, b"two").await.map(drop),
        store.keep_transcript(lease, *event, None, &two, 0, b"two").await.map(drop),
        store.mark_transcript(lease, *event, &two).await,
    ] {
        assert!(matches!(refused, Err(StoreError::LeaseLost(_))), "{refused:?}");
    }
    let other = EventId::new();
    for refused in [
        store.lay_aside(&new, other, 0, b"piece").await,
        store.keep_transcript(&new, other, Some(&one), &two, 0, b"two").await.map(drop),
        store.mark_transcript(&new, other, &two).await,
    ] {
        assert!(matches!(refused, Err(StoreError::OutOfStep { event, .. }) if event == other), "{refused:?}");
    }
    assert_eq!(known(&store).await, Some((one, Some(1))));
    assert_eq!(read(&store, one).await, [b"one".to_vec()]);
}

#[tokio::test]
async fn one_that_is_only_marked_is_not_kept_and_not_gone_on_from() {
    let (store, ()) = fresh();
    let held = begun(&store, 1).await;
    let (kept, marked, whole) = (mark(session(1), 1), mark(session(1), 2), mark(session(1), 3));
    keep(&store, &held, None, kept, b"kept").await;
    store.lay_aside(&held.0, held.1, 0, b"piece").await.unwrap();
    store.mark_transcript(&held.0, held.1, &marked).await.unwrap();
    assert_eq!(known(&store).await, Some((marked, None)));
    assert_eq!(read(&store, marked).await, Vec::<Vec<u8>>::new());
    assert!(!keep(&store, &held, Some(marked), whole, b"more").await);
    assert!(keep(&store, &held, None, marked, b"after all").await);
    assert_eq!(known(&store).await, Some((marked, Some(1))));
}

#[tokio::test]
async fn a_transcript_goes_with_its_conversation() {
    let set = |number, until| SessionChange::Set(session(number), at(until));
    let everywhere = Scope { bot: "a".into(), room: None };
    let only_there = Scope { bot: "a".into(), room: Some(RoomId(1)) };
    let horizon = Horizon { events: at(0), journal: at(0) };

    for (what, is_kept) in [
        ("nothing", true),
        ("kept", true),
        ("set again", true),
        ("expired", false),
        ("forgotten", false),
        ("forgotten there", false),
        ("forgotten with a turn", false),
        ("replaced", false),
    ] {
        let (store, ()) = fresh();
        let held = begun(&store, 1).await;
        let (one, two) = (mark(session(1), 1), mark(session(2), 2));
        keep(&store, &held, None, one, b"one").await;
        store
            .record_parts(&held.0, held.1, vec!["part".to_owned()], End::Done, set(1, 100), String::new())
            .await
            .unwrap();
        assert_eq!(known(&store).await, Some((one, Some(1))), "it is known when the conversation is");
        store.mark_part(&held.0, held.1, 0, PartState::Posted(None)).await.unwrap();
        store.sweep(horizon, at(200)).await.unwrap();
        assert!(known(&store).await.is_some(), "a turn that runs may make its conversation last");
        finish(&store, &held, set(1, 100)).await;

        match what {
            "kept" => finish(&store, &begun(&store, 2).await, SessionChange::Keep).await,
            "set again" => finish(&store, &begun(&store, 2).await, set(1, 200)).await,
            "expired" => drop(store.sweep(horizon, at(100)).await.unwrap()),
            "forgotten" => drop(store.forget(&everywhere).await.unwrap()),
            "forgotten there" => drop(store.forget(&only_there).await.unwrap()),
            "forgotten with a turn" => {
                let held = begun(&store, 2).await;
                assert_eq!(store.forget(&everywhere).await.unwrap().after_turn, 1);
                keep(&store, &held, Some(one), mark(session(1), 2), b"more").await;
                finish(&store, &held, set(1, 100)).await;
            }
            "replaced" => {
                let held = begun(&store, 2).await;
                store.lay_aside(&held.0, held.1, 0, b"piece").await.unwrap();
                finish(&store, &held, set(2, 100)).await;
            }
            _ => drop(store.sweep(horizon, at(99)).await.unwrap()),
        }
        assert_eq!(known(&store).await.is_some(), is_kept, "{what}");
        assert_eq!(is_gone(&store).await, !is_kept, "{what}");
        assert_ne!(known(&store).await, Some((two, Some(1))));
    }
}

#[tokio::test]
async fn a_transcript_of_a_conversation_that_never_came_to_be_goes_with_the_turn() {
    let (store, ()) = fresh();
    let held = begun(&store, 1).await;
    store.lay_aside(&held.0, held.1, 0, b"piece").await.unwrap();
    finish(&store, &held, SessionChange::Keep).await;
    assert!(is_gone(&store).await, "nothing but pieces");

    let held = begun(&store, 2).await;
    keep(&store, &held, None, mark(session(1), 1), b"one").await;
    finish(&store, &held, SessionChange::Keep).await;
    assert!(is_gone(&store).await);

    let held = begun(&store, 3).await;
    keep(&store, &held, None, mark(session(1), 1), b"one").await;
    assert_eq!(store.give_up(&[], at(1), NOW).await.unwrap(), 1);
    assert!(is_gone(&store).await, "its bot is gone");
}
