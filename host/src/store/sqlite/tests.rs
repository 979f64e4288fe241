//! What is SQLite's own: files, restarts, group commit, failing disks, query plans.

mod files;
mod model;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{inbox, journal, kv, migration, pauses, retry, rooms, sweep, timers, tool_calls, *};
use crate::{
    id::{EventId, MessageId, RoomId, SessionId, TurnId},
    store::{Kept, OutboxPart, Source},
};

mod conformance {
    crate::store::conformance::conformance!(crate::store::sqlite::tests::fresh);
}

fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("hearth.db")).unwrap();
    (store, folder)
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("hearth.db")
}

fn lane(room: u64) -> LaneKey {
    LaneKey { bot: "a".into(), room: RoomId(room) }
}

fn message(room: u64, id: u64) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        lane: lane(room),
        message: Some(MessageId(id)),
        kind: "message".to_owned(),
        content_hash: [0; 32],
        payload: format!("message {id}"),
        received_at: Timestamp(1_000),
        source: Source::Other,
        hop: None,
    }
}

async fn take(store: &SqliteStore, room: u64) -> Lease {
    store.lease(&lane(room), HostId::random(), Timestamp(0), Timestamp(60_000)).await.unwrap().unwrap()
}

/// Lets the file grow by this many pages at most, as a disk would that is nearly full; without a number, for ever.
async fn limit_growth(store: &SqliteStore, pages: Option<i64>) {
    let limit = move |c: &Connection| {
        let now: i64 = c.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = pages.map_or(i64::from(u32::MAX) - 1, |pages| now + pages);
        c.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
        Ok(())
    };
    store.write(Flush::Never, limit).await.unwrap();
}

/// Makes the calls (not more than 100: a task may only do so much at a time) so that the writer finds all of them
/// waiting at once.
async fn together<C: Future>(store: &SqliteStore, calls: impl IntoIterator<Item = C>) -> Vec<C::Output> {
    let (entered, writer_waits) = tokio::sync::oneshot::channel();
    let (let_go, gathered) = sync_channel(1);
    let hold_up = store.write(Flush::Never, move |_| {
        entered.send(()).unwrap();
        gathered.recv().unwrap();
        Ok(())
    });
    let gather = async {
        writer_waits.await.unwrap();
        let mut calls = join_all(calls);
        // Polled once, they are in the queue.
        assert!(futures_util::poll!(&mut calls).is_pending());
        let_go.send(()).unwrap();
        calls.await
    };
    let (ended, answers) = futures_util::future::join(hold_up, gather).await;
    ended.unwrap();
    answers
}

// === Restarts and files ===

#[tokio::test]
async fn after_a_restart_everything_is_there_and_what_ran_runs_again() {
    let (store, folder) = fresh();
    for id in 1..=3 {
        store.accept(message(1, id), 10).await.unwrap();
    }
    let lease = take(&store, 1).await;
    let begun = store.begin(&lease, Timestamp(0)).await.unwrap().unwrap();
    let session = SessionId(uuid::Uuid::from_u128(5));
    let change = SessionChange::Set(session, Timestamp(90_000));
    let parts = vec!["one".to_owned(), "two".to_owned()];
    store.record_parts(&lease, begun.event, parts, End::Done, change, String::new()).await.unwrap();
    store.mark_part(&lease, begun.event, 0, PartState::Posted(Some(MessageId(7)))).await.unwrap();
    let scope = KvScope { bot: "a".into(), room: None };
    let version = store.kv_set(&scope, "k", vec![1], KvExpect::Anything).await.unwrap();
    drop(store);

    let store = SqliteStore::open(&path(&folder)).unwrap();
    assert_eq!(store.unfinished_lanes().await.unwrap(), [lane(1)]);
    // The old process's lease had long to go; but it is gone, so the lane is free at once.
    let new_lease = take(&store, 1).await;
    assert!(new_lease.token > lease.token);
    assert!(matches!(store.begin(&lease, Timestamp(0)).await, Err(StoreError::LeaseLost(_))));
    let again = store.begin(&new_lease, Timestamp(0)).await.unwrap().unwrap();
    assert_eq!((again.event, again.attempt, again.session), (begun.event, 2, Some(session)));
    let posted = PartState::Posted(Some(MessageId(7)));
    assert_eq!(
        again.parts,
        [
            OutboxPart { index: 0, content: "one".to_owned(), state: posted },
            OutboxPart { index: 1, content: "two".to_owned(), state: PartState::Planned },
        ]
    );
    assert_eq!(store.kv_get(&scope, "k").await.unwrap().unwrap().version, version);
    assert_eq!(store.accept(message(1, 2), 10).await.unwrap(), Acceptance::Duplicate);
}

#[tokio::test]
async fn folder_and_files_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("state");
    let store = SqliteStore::open(&inner.join("hearth.db")).unwrap();
    store.accept(message(1, 1), 10).await.unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(inner.clone()), 0o700);
    for file in ["hearth.db", "hearth.db-wal", "hearth.db-shm", "hearth.db.lock"] {
        assert_eq!(mode(inner.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_to_them() {
    let (store, folder) = fresh();
    drop(store);
    fs::set_permissions(path(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = SqliteStore::open(&path(&folder)).unwrap();
    assert_eq!(fs::metadata(path(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_has_closed() {
    let (store, folder) = fresh();
    let link = folder.path().join("other-name.db");
    std::os::unix::fs::symlink(path(&folder), &link).unwrap();
    for name in [path(&folder), link.clone()] {
        let refused = SqliteStore::open(&name).err().unwrap();
        assert!(matches!(&refused, StoreError::InUse { .. }));
        assert!(refused.to_string().contains("hearth.db is in use by another hearth"), "{refused}");
    }
    store.accept(message(1, 1), 10).await.unwrap();
    store.close().await;
    SqliteStore::open(&link).unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let (store, folder) = fresh();
    drop(store);
    let connection = Connection::open(path(&folder)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = fs::read(path(&folder)).unwrap();
    let refused = SqliteStore::open(&path(&folder)).err();
    let newest = i64::try_from(migration::STEPS.len()).unwrap();
    let is_named = matches!(&refused, Some(StoreError::TooNew { found: 99, known, .. }) if *known == newest);
    assert!(is_named, "{refused:?}");
    assert_eq!(fs::read(path(&folder)).unwrap(), before);
}

#[test]
fn what_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    let text = "not a database ".repeat(100);
    fs::write(&file, &text).unwrap();
    let refused = SqliteStore::open(&file).err().unwrap();
    assert!(matches!(refused, StoreError::Unavailable(_)));
    assert!(refused.to_string().contains("notes.txt"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(SqliteStore::open(folder.path()).is_err(), "a folder");
}

// === Ends ===

#[tokio::test]
async fn a_closed_store_answers_that_it_is_unavailable() {
    let (store, _folder) = fresh();
    store.close().await;
    assert!(matches!(store.accept(message(1, 1), 10).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.unfinished_lanes().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    store.close().await;
}

#[tokio::test]
async fn what_was_asked_before_the_close_is_done() {
    let (store, folder) = fresh();
    // Polled in this order, so they are queued in this order.
    let asked = join_all((0..20).map(|id| store.accept(message(1, id), 100)));
    let (accepted, ()) = futures_util::future::join(asked, store.close()).await;
    assert!(accepted.iter().all(|accepted| matches!(accepted, Ok(Acceptance::Fresh))), "{accepted:?}");
    assert!(!folder.path().join("hearth.db-wal").exists(), "its log is written back");
    // The file is free although the store was not dropped.
    let file = Connection::open(path(&folder)).unwrap();
    let kept: i64 = file.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 20);
}

#[tokio::test]
async fn a_call_whose_caller_gave_up_is_still_done() {
    let (store, folder) = fresh();
    let (let_go, freed) = sync_channel(1);
    let hold_up = store.write(Flush::Never, move |_| {
        freed.recv().unwrap();
        Ok(())
    });
    let mut hold_up = Box::pin(hold_up);
    assert!(futures_util::poll!(&mut hold_up).is_pending());
    let mut call = store.accept(message(1, 1), 10);
    assert!(futures_util::poll!(&mut call).is_pending(), "it is in the queue");
    drop(call);
    let_go.send(()).unwrap();
    hold_up.await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path(&folder)).unwrap();
    assert_eq!(store.unfinished_lanes().await.unwrap(), [lane(1)]);
}

// === Group commit ===

#[tokio::test]
async fn calls_that_gather_share_a_transaction() {
    let (store, _folder) = fresh();
    let before = store.commits();
    let accepted = together(&store, (0..100).map(|id| store.accept(message(id, id), 10))).await;
    assert!(accepted.iter().all(|accepted| matches!(accepted, Ok(Acceptance::Fresh))));
    assert_eq!(store.commits() - before, 1 + 1, "one held the writer up, one took them all");
}

#[tokio::test]
async fn a_call_that_fails_does_not_undo_those_beside_it() {
    let (store, _folder) = fresh();
    let before = store.commits();
    let first = message(1, 1);
    let same_id = NewEvent { id: first.id, ..message(1, 2) };
    let lost = Lease { lane: lane(1), token: 99 };
    let begin = async { store.begin(&lost, Timestamp(0)).await.map(|_| Acceptance::Fresh) };
    let calls = [
        store.accept(first, 10),
        store.accept(same_id, 10),
        Box::pin(begin),
        store.accept(message(1, 3), 10),
    ];
    let answers = together(&store, calls).await;
    assert!(
        matches!(
            &answers[..],
            [
                Ok(Acceptance::Fresh),
                Err(StoreError::Unavailable(_)),
                Err(StoreError::LeaseLost(_)),
                Ok(Acceptance::Fresh)
            ]
        ),
        "{answers:?}"
    );
    assert_eq!(store.commits() - before, 1 + 1, "they were together");
    let kept: i64 =
        store.read(|c| Ok(c.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?)).await.unwrap();
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn a_mark_is_flushed_if_and_only_if_another_part_follows() {
    let (store, _folder) = fresh();
    store.accept(message(1, 1), 10).await.unwrap();
    let lease = take(&store, 1).await;
    let event = store.begin(&lease, Timestamp(0)).await.unwrap().unwrap().event;
    let parts = vec!["one".to_owned(), "two".to_owned()];
    let before = store.flushes();
    store.record_parts(&lease, event, parts, End::Done, SessionChange::Keep, String::new()).await.unwrap();
    assert_eq!(store.flushes() - before, 1, "the answer is a promise");
    store.ping().await.unwrap();
    assert_eq!(store.flushes() - before, 1, "nobody relies on that");
    store.mark_part(&lease, event, 0, PartState::Posted(None)).await.unwrap();
    assert_eq!(store.flushes() - before, 2, "the second part is sent next");
    store.mark_part(&lease, event, 1, PartState::Posted(None)).await.unwrap();
    assert_eq!(store.flushes() - before, 2, "only this part can be in doubt");
}

/// A store whose flushes begin and end as the test says: each tells that it has begun, and waits for what it comes to.
fn flushed_by_hand() -> (SqliteStore, Receiver<()>, SyncSender<io::Result<()>>, TempDir) {
    let folder = TempDir::new().unwrap();
    let (begins, begun) = sync_channel(10);
    let (ends, ended) = sync_channel(10);
    let flush = move || {
        begins.send(()).unwrap();
        ended.recv().unwrap()
    };
    let opened = file::open(&path(&folder)).unwrap();
    (SqliteStore::run(opened, Box::new(flush)).unwrap(), begun, ends, folder)
}

#[tokio::test]
async fn what_needs_no_flush_does_not_wait_for_one() {
    let (store, begun, ends, _folder) = flushed_by_hand();
    store.accept(message(1, 1), 10).await.unwrap();
    let (flushes, commits) = (store.flushes(), store.commits());
    let mut kept = store.persist();
    assert!(futures_util::poll!(&mut kept).is_pending());
    begun.recv().unwrap();
    assert_eq!(store.commits(), commits, "there is nothing to commit");
    let lease = take(&store, 1).await;
    assert!(store.begin(&lease, Timestamp(0)).await.unwrap().is_some());
    assert!(futures_util::poll!(&mut kept).is_pending(), "it is not promised yet");
    ends.send(Ok(())).unwrap();
    kept.await.unwrap();
    assert_eq!(store.flushes(), flushes + 1);
}

#[tokio::test]
async fn what_gathers_during_a_flush_shares_the_next_one() {
    let (store, begun, ends, _folder) = flushed_by_hand();
    store.accept(message(1, 1), 10).await.unwrap();
    let mut first = store.persist();
    assert!(futures_util::poll!(&mut first).is_pending());
    begun.recv().unwrap();
    for id in 2..6 {
        store.accept(message(id, id), 10).await.unwrap();
    }
    let mut later = join_all((2..6).map(|_| store.persist()));
    assert!(futures_util::poll!(&mut later).is_pending());
    // Once the second is answered, what came before the first is committed and handed over.
    store.ping().await.unwrap();
    store.ping().await.unwrap();
    for _ in 0..2 {
        ends.send(Ok(())).unwrap();
    }
    first.await.unwrap();
    assert!(later.await.iter().all(Result::is_ok));
    assert_eq!(store.flushes(), 2);
}

#[tokio::test]
async fn a_failed_flush_is_told_and_the_next_promise_rests_on_a_checkpoint() {
    let (store, _begun, ends, folder) = flushed_by_hand();
    ends.send(Err(io::Error::other("the disk is gone"))).unwrap();
    store.accept(message(1, 1), 10).await.unwrap();
    let refused = store.persist().await.unwrap_err();
    assert!(refused.to_string().contains("the disk is gone"), "{refused}");
    let log = || fs::metadata(folder.path().join("hearth.db-wal")).unwrap().len();
    let before = log();
    ends.send(Ok(())).unwrap();
    assert_eq!(
        store.accept(message(1, 1), 10).await.unwrap(),
        Acceptance::Duplicate,
        "it was taken all the same"
    );
    store.persist().await.unwrap();
    assert!(log() < before, "the log was written back first: {} bytes, {before} before", log());
}

// === Failing disks ===

#[tokio::test]
async fn a_full_disk_fails_the_whole_batch_and_the_store_recovers_with_it() {
    let (store, folder) = fresh();
    store.accept(message(1, 1), 100).await.unwrap();
    limit_growth(&store, Some(20)).await;
    let large = |id| NewEvent { payload: "x".repeat(30_000), ..message(1, id) };
    // 20 pages hold two of these, but all are in one transaction.
    let refused = together(&store, (2..8).map(|id| store.accept(large(id), 100))).await;
    for refused in refused {
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(store.unfinished_lanes().await.unwrap(), [lane(1)], "reading goes on");
    assert_eq!(store.accept(message(1, 8), 100).await.unwrap(), Acceptance::Fresh, "what fits is taken");

    limit_growth(&store, None).await;
    assert_eq!(store.accept(large(2), 100).await.unwrap(), Acceptance::Fresh, "nothing of it had stayed");
    drop(store);
    let store = SqliteStore::open(&path(&folder)).unwrap();
    let lease = take(&store, 1).await;
    let mut lengths = Vec::new();
    while let Some(begun) = store.begin(&lease, Timestamp(0)).await.unwrap() {
        lengths.push(begun.payload.len());
        store
            .finish(&lease, begun.event, End::Done, SessionChange::Keep, row(begun.event), None)
            .await
            .unwrap();
    }
    assert_eq!(lengths, ["message 1".len(), "message 8".len(), 30_000]);
}

#[tokio::test]
async fn a_write_that_another_program_blocks_fails_and_the_next_one_works() {
    let (store, folder) = fresh();
    store.write(Flush::Never, |c| Ok(c.busy_timeout(Duration::ZERO)?)).await.unwrap();
    let other = Connection::open(path(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.accept(message(1, 1), 10).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))), "it is not ready");
    other.execute_batch("ROLLBACK").unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.accept(message(1, 1), 10).await.unwrap(), Acceptance::Fresh);
}

#[tokio::test]
async fn after_a_write_that_was_blocked_nobody_who_reads_is_waited_for() {
    let (store, folder) = fresh();
    store.accept(message(1, 1), 10).await.unwrap();
    store.write(Flush::Never, |c| Ok(c.busy_timeout(Duration::ZERO)?)).await.unwrap();
    // A backup reads the state of its beginning until it ends.
    let backup = Connection::open(path(&folder)).unwrap();
    backup.execute_batch("BEGIN; SELECT count(*) FROM event").unwrap();
    store.accept(message(1, 2), 10).await.unwrap();
    let other = Connection::open(path(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(store.accept(message(1, 3), 10).await.unwrap(), Acceptance::Fresh);

    // After a failure of the disk there has to be a checkpoint; but a call does not take as long as the backup.
    store.write(Flush::Never, |c| Ok(c.busy_timeout(Duration::from_hours(1))?)).await.unwrap();
    limit_growth(&store, Some(0)).await;
    let large = NewEvent { payload: "x".repeat(30_000), ..message(1, 4) };
    assert!(matches!(store.accept(large, 10).await, Err(StoreError::Unavailable(_))));
    let refused = store.ping().await.unwrap_err().to_string();
    assert!(refused.contains("another process reads it"), "{refused}");
    backup.execute_batch("COMMIT").unwrap();
    store.ping().await.unwrap();
}

fn row(event: EventId) -> JournalRow {
    JournalRow {
        turn: TurnId::random(),
        event,
        lane: lane(1),
        attempt: 1,
        started_at: Timestamp(0),
        ended_at: Timestamp(0),
        outcome: "replied".to_owned(),
        details: serde_json::Value::Null,
    }
}

// === Space and plans ===

#[tokio::test]
async fn swept_space_is_given_back() {
    let (store, _folder) = fresh();
    let large = |id| NewEvent { payload: "x".repeat(30_000), ..message(1, id) };
    join_all((0..100).map(|id| store.accept(large(id), 0))).await;
    let pages = || store.read(|c| Ok(c.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?));
    let full = pages().await.unwrap();
    let all = Horizon { events: Timestamp(i64::MAX), journal: Timestamp(i64::MAX) };
    let removed = store.sweep(all, Timestamp(i64::MAX)).await.unwrap();
    assert_eq!((removed.rows, removed.bytes > 2_000_000), (100, true), "{removed:?}");
    let swept = pages().await.unwrap();
    assert!(swept < full / 4, "{full} pages before, {swept} after");
}

#[test]
fn no_frequent_statement_scans_a_table() {
    let mut connection = Connection::open_in_memory().unwrap();
    migration::run(&mut connection, migration::STEPS).unwrap();
    let plan = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    for (sql, index) in [
        (inbox::FIND_DUPLICATE, "event_delivery (bot=? AND message=? AND kind=? AND content_hash=?)"),
        (inbox::FIND_FOUND, "event_delivery (bot=? AND message=? AND kind=?)"),
        (inbox::FIND_ARRIVED, "event_delivery (bot=? AND message=? AND kind=?)"),
        (inbox::COUNT_UNFINISHED, "event_unfinished (bot=? AND room=?)"),
        (inbox::FIND_OLDEST, "event_unfinished (bot=? AND room=?)"),
        (inbox::FIND_LANES, "event_unfinished"),
        (inbox::FIND_LANES, "pause_bot (bot=?)"),
        (inbox::FIND_LANES, "pause_room (bot=? AND room=?)"),
        (pauses::COVERS, "pause_bot (bot=?)"),
        (pauses::COVERS, "pause_room (bot=? AND room=?)"),
        (retry::FAILED, "event_failed (state=?)"),
        (retry::FAILED, "part_uncertain"),
        (journal::NEWEST_OF_EVENT, "journal_event (event=?)"),
        (insight::TURN, "journal_turn (turn=?)"),
        (insight::TRACE, "journal_turn (turn=?)"),
        (insight::TRACE, "trace USING INTEGER PRIMARY KEY"),
        (insight::SPENDING, "journal_ended (ended_at>?)"),
        (insight::OUTCOMES, "journal_ended (ended_at>?)"),
        (insight::QUEUES, "event_unfinished"),
        (journal::NEWEST_OF_BOT, "journal_bot (bot=?)"),
        (tool_calls::OF_TURN, "(turn=?)"),
        (kv::LIST, "(bot=? AND scope=? AND key>? AND key<?)"),
        (timers::OF_LANE, "sqlite_autoindex_timer_1 (bot=? AND room=?)"),
        (timers::COUNT_OF_LANE, "sqlite_autoindex_timer_1 (bot=? AND room=?)"),
        (timers::COUNT_OF_BOT, "(bot=?)"),
        (timers::DUE, "timer_next (bot=? AND next_at<?)"),
        (timers::NEXT, "timer_next (bot=?)"),
        (sweep::SILENT_ROOMS, "room_heard (heard_at<?)"),
        (sweep::ENDED_EVENTS, "event_ended (ended_at<?)"),
        (sweep::JOURNAL_ROWS, "journal_ended (ended_at<?)"),
        (sweep::TOOL_CALLS, "tool_call_started (started_at<?)"),
        (sweep::EXPIRED_SESSIONS, "session_expiry (expires_at<?)"),
        (sweep::EXPIRED_LEASES, "lane_expiry (expires_at<?)"),
        (sweep::ENDED_CHAINS, "chain_counted (counted_at<?)"),
    ] {
        let plan = plan(sql);
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}\n{plan:#?}");
        // These two indexes hold only what is looked for, and little of it.
        let scans = |step: &&String| {
            step.starts_with("SCAN") && !step.contains("event_unfinished") && !step.contains("part_uncertain")
        };
        // The subquery that `COUNT_UNFINISHED` counts is not a table.
        assert_eq!(
            plan.iter().filter(scans).filter(|step| !step.contains("subquery")).count(),
            0,
            "{plan:#?}"
        );
    }
    let oldest = plan(inbox::FIND_OLDEST);
    assert!(!oldest.iter().any(|step| step.contains("TEMP B-TREE")), "the index orders it: {oldest:?}");
}
