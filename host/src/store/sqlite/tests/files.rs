//! Files of earlier versions, copies of files, and files that shrink.

use super::*;
use crate::store::{End, Oversight, Retry, back_up};

/// A file that a Hearth of schema version 1 left behind, with a row of every kind.
fn version_1(folder: &TempDir) -> PathBuf {
    let path = path(folder);
    Connection::open(&path).unwrap().execute_batch(include_str!("schema-1.sql")).unwrap();
    path
}

/// What the schema of a database is, in the words that made it.
fn schema(connection: &Connection) -> Vec<(String, Option<String>)> {
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_released_steps_still_make_the_schemas_that_they_made() {
    let folder = tempfile::tempdir().unwrap();
    let released = Connection::open(version_1(&folder)).unwrap();
    let mut made = Connection::open_in_memory().unwrap();
    migration::run(&mut made, &migration::STEPS[..1]).unwrap();
    assert_eq!(schema(&made), schema(&released));
    assert_eq!(migration::version(&released).unwrap(), 1);
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date_with_everything_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&version_1(&folder)).unwrap();
    let event = |number| EventId(uuid::Uuid::from_u128(number));
    let far = LaneKey { bot: "a".into(), room: RoomId(u64::MAX) };
    assert_eq!(store.unfinished_lanes().await.unwrap(), [lane(1), far]);

    let kv = KvScope { bot: "a".into(), room: Some(RoomId(1)) };
    let entry = store.kv_get(&kv, "k").await.unwrap().unwrap();
    assert_eq!((entry.value.as_slice(), entry.version), (b"in the room".as_slice(), 8));
    assert!(store.kv_set(&kv, "k", vec![], KvExpect::Version(8)).await.unwrap() > 8);
    assert_eq!(store.journal(None, 10).await.unwrap().len(), 4);

    let failed = store.failed_events(None, 10).await.unwrap();
    assert_eq!(failed.iter().map(|failed| failed.event).collect::<Vec<_>>(), [event(8), event(3), event(2)]);
    assert_eq!((failed[2].posted, failed[2].uncertain, failed[2].failed), (1, 0, 2));
    assert_eq!(failed[2].row.as_ref().unwrap().details["post-cause"], "Campfire refused it");

    // No verdict was recorded then: what could not be sent was an answer, what is in the room was no answer.
    assert_eq!(store.retry(event(2), false).await.unwrap().retry, Retry::Posting);
    assert_eq!(store.retry(event(3), false).await.unwrap().retry, Retry::Anew);
    let now = Timestamp(1_800_000_000_000);
    let lease = store.lease(&lane(1), HostId::random(), now, now).await.unwrap().unwrap();
    assert!(lease.token > 41);
    let begun = store.begin(&lease, now).await.unwrap().unwrap();
    assert_eq!((begun.event, begun.attempt, begun.tries, begun.verdict), (event(5), 2, 2, None));
    assert_eq!(begun.session, Some(SessionId(uuid::Uuid::from_u128(500))));
    assert_eq!(begun.parts[1].state, PartState::Planned);
    store.mark_part(&lease, event(5), 1, PartState::Uncertain).await.unwrap();
    let mut payloads = Vec::new();
    while let Some(begun) = store.begin(&lease, now).await.unwrap() {
        payloads.push(begun.payload);
        store
            .finish(&lease, begun.event, End::Failed, SessionChange::Keep, row(begun.event), None)
            .await
            .unwrap();
    }
    assert_eq!(payloads, ["message 5", "message 6", "message 2", "message 3"]);
    store.close().await;

    let (_, fresh_folder) = fresh();
    let migrated = Connection::open(path(&folder)).unwrap();
    // A column that was added stands elsewhere in the words than one that was there from the start, so both are
    // compared as steps made them.
    assert_eq!(schema(&migrated), schema(&Connection::open(path(&fresh_folder)).unwrap()));
}

#[test]
fn rooms_are_known_from_the_messages_that_an_earlier_version_kept() {
    let mut connection = Connection::open_in_memory().unwrap();
    migration::run(&mut connection, &migration::STEPS[..4]).unwrap();
    let told = r#"{"kind":"message","room":{"id":1,"name":"Talk"}}"#;
    let direct = r#"{"kind":"message","room":{"id":2,"name":null}}"#;
    for (room, message, kind, payload) in [
        (1, 7, "message", told),
        (1, 9, "message", told),
        (1, 8, "message", told),
        (2, 5, "message", direct),
        (3, 6, "message", "what no Hearth wrote"),
        (3, 6, "message_updated", told),
        (3, 0, "timer", "{}"),
    ] {
        connection
            .execute(
                "INSERT INTO event (id, bot, room, message, kind, content_hash, payload, received_at, state)
                 VALUES (randomblob(16), 'a', ?1, ?2, ?3, x'00', ?4, 1000 + ?2, 'waiting')",
                rusqlite::params![room, message, kind, payload],
            )
            .unwrap();
    }
    migration::run(&mut connection, migration::STEPS).unwrap();
    let known = rooms::list(&connection).unwrap();
    let told: Vec<_> = known
        .iter()
        .map(|room| (room.lane.room.0, room.name.as_deref(), room.read_to.0, room.heard_at.0))
        .collect();
    assert_eq!(told, [(1, Some("Talk"), 9, 1009), (2, None, 5, 1005)]);
}

#[tokio::test]
async fn a_file_shrinks_in_bounded_steps_until_nothing_is_left_to_give_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&version_1(&folder)).unwrap();
    let large = |id| NewEvent { payload: "x".repeat(60_000), ..message(1, id) };
    for hundred in 0..5 {
        join_all((0..100).map(|id| store.accept(large(1_000 + hundred * 100 + id), 0))).await;
    }
    let all = Horizon { events: Timestamp(i64::MAX), journal: Timestamp(i64::MAX) };
    let mut steps = Vec::new();
    loop {
        let swept = store.sweep(all, Timestamp(i64::MAX)).await.unwrap();
        if swept == Swept::default() {
            break;
        }
        steps.push(swept);
    }
    assert!(steps.iter().all(|swept| swept.bytes <= 1_000 * 4_096), "{steps:?}");
    assert!(steps.iter().map(|swept| swept.bytes).sum::<u64>() > 500 * 60_000, "{steps:?}");
    assert!(steps.len() > 5, "{steps:?}");
    store.close().await;
    assert!(fs::metadata(path(&folder)).unwrap().len() < 1 << 20);
}

// === Backup ===

#[tokio::test]
async fn a_backup_is_whole_and_private_while_others_write() {
    let (store, folder) = fresh();
    let to = folder.path().join("copy.db");
    join_all((0..50).map(|id| store.accept(message(1, id), 1_000))).await;
    let (from, copy) = (path(&folder), to.clone());
    let copying = tokio::task::spawn_blocking(move || back_up(&from, &copy));
    let writing = join_all((50..100).map(|id| store.accept(message(1, id), 1_000)));
    let (copied, written) = futures_util::future::join(copying, writing).await;
    assert!(written.iter().all(|accepted| matches!(accepted, Ok(Acceptance::Fresh))), "{written:?}");
    let backup = copied.unwrap().unwrap();
    let newest = i64::try_from(migration::STEPS.len()).unwrap();
    assert_eq!((backup.schema, backup.bytes), (newest, fs::metadata(&to).unwrap().len()));
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("copy.db.partial").exists());

    let restored = SqliteStore::open(&to).unwrap();
    let lease = take(&restored, 1).await;
    for id in 0..50 {
        let begun = restored.begin(&lease, Timestamp(0)).await.unwrap().unwrap();
        assert_eq!(begun.payload, format!("message {id}"));
        restored
            .finish(&lease, begun.event, End::Done, SessionChange::Keep, row(begun.event), None)
            .await
            .unwrap();
    }
    let mode = |c: &Connection| Ok(c.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0))?);
    assert_eq!(restored.read(mode).await.unwrap(), 2, "it can shrink");
}

#[tokio::test]
async fn a_backup_needs_no_host_and_sees_what_a_killed_one_left_in_the_log() {
    let (store, folder) = fresh();
    store.accept(message(1, 1), 10).await.unwrap();
    // A killed process leaves the file and its log as they are at some moment.
    let left = tempfile::tempdir().unwrap();
    for name in ["hearth.db", "hearth.db-wal"] {
        fs::copy(folder.path().join(name), left.path().join(name)).unwrap();
    }
    let to = left.path().join("copy.db");
    back_up(&path(&left), &to).unwrap();
    let restored = SqliteStore::open(&to).unwrap();
    assert_eq!(restored.unfinished_lanes().await.unwrap(), [lane(1)]);
}

#[tokio::test]
async fn a_backup_that_fails_says_why_and_leaves_nothing() {
    let (store, folder) = fresh();
    store.accept(message(1, 1), 10).await.unwrap();
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let there = folder.path().join("there.txt");
    fs::write(&there, "kept").unwrap();
    let before = names();
    let refused = back_up(&path(&folder), &there).unwrap_err().to_string();
    assert!(refused.contains("there.txt: it exists already"), "{refused}");
    assert_eq!(fs::read_to_string(&there).unwrap(), "kept");

    let no_store = folder.path().join("no-such.db");
    let refused = back_up(&no_store, &folder.path().join("copy.db")).unwrap_err().to_string();
    assert!(refused.contains("no-such.db"), "{refused}");
    let refused =
        back_up(&path(&folder), &folder.path().join("no-such-folder/copy.db")).unwrap_err().to_string();
    assert!(refused.contains("no-such-folder"), "{refused}");
    let refused = back_up(&there, &folder.path().join("copy.db")).unwrap_err().to_string();
    assert!(refused.contains("not a database"), "{refused}");
    assert_eq!(names(), before);
}
