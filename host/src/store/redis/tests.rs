//! The store against a real Redis, one for all tests of the process; each has a prefix of its own.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    net::TcpListener,
    sync::LazyLock,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tempfile::TempDir;
use uuid::Uuid;

use self::redis_server::{PASSWORD, RedisServer};
use super::*;

#[path = "../../../../tests/src/redis_server.rs"]
#[allow(unreachable_pub, reason = "it is a module of the end-to-end tests")]
mod redis_server;

mod copying;
mod presence;
mod signals;
mod transcripts;

mod conformance {
    crate::store::conformance::conformance!(crate::store::redis::tests::fresh);
}

/// How long a call may take: some cases make ten thousand at once, on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

struct Shared {
    server: RedisServer,
    _folder: TempDir,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    Shared { server: RedisServer::start(folder.path()), _folder: folder }
});

fn at(port: u16, password: &str) -> RedisLocation {
    RedisLocation {
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
        database: 0,
        prefix: Uuid::new_v4().simple().to_string(),
        user: None,
        password: Some(SecretString::from(password)),
    }
}

fn fresh() -> (RedisStore, ()) {
    let link = Link::new(&at(SHARED.server.port(), PASSWORD), BOUND).unwrap();
    (RedisStore { link, clock: Clock::Callers }, ())
}

fn why<T>(result: Result<T, StoreError>) -> String {
    match result {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it worked"),
    }
}

#[tokio::test]
async fn what_the_setup_may_lose_is_said() {
    let store = RedisStore::open(&at(SHARED.server.port(), PASSWORD)).await.unwrap();
    let concerns = store.concerns().await.unwrap();
    assert!(concerns.len() == 1 && concerns[0].contains("appendfsync everysec"), "{concerns:?}");
}

#[tokio::test]
async fn a_wrong_password_is_no_way_in_and_is_not_told() {
    let said = why(RedisStore::open(&at(SHARED.server.port(), "wrong-horse")).await);
    assert!(said.starts_with("redis://127.0.0.1:") && !said.contains("horse"), "{said}");
}

#[tokio::test]
async fn calls_fail_in_time_while_redis_is_away_and_work_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    // One that flushes once a second may put even the write off, on a busy disk.
    let mut server = RedisServer::start_flushing(folder.path(), "always");
    let store = RedisStore::open(&at(server.port(), PASSWORD)).await.unwrap();
    store.spend(&"a".into(), 7, 0.5).await.unwrap();
    for round in 1..=2 {
        server.goes_away();
        for _ in 0..3 {
            let begun = Instant::now();
            why(store.ping().await);
            assert!(begun.elapsed() < BOUND);
        }
        assert!(server.comes_back(), "{round}");
        // The first call may be the one that finds the old connection dead.
        let back = async {
            while let Err(error) = store.ping().await {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(BOUND, back).await.unwrap();
        // Scripts are not among what it keeps.
        store.spend(&"a".into(), 7, 0.25).await.unwrap();
    }
    assert!((store.spent(&"a".into(), 7).await.unwrap() - 1.0).abs() < 1e-9, "it kept what it was told");
}

#[tokio::test]
async fn a_redis_that_says_nothing_keeps_nobody_waiting() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    why(RedisStore::open(&at(silent.local_addr().unwrap().port(), PASSWORD)).await);
    assert!(begun.elapsed() < BOUND);
}

#[tokio::test]
async fn a_redis_that_hangs_is_told_before_campfire_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let location = at(server.port(), PASSWORD);
    let store = RedisStore::open(&location).await.unwrap();
    let mut hang = redis::cmd("CLIENT");
    hang.arg("PAUSE").arg(60_000).arg("ALL");
    store.link.query::<String>(&hang).await.unwrap();
    let event = NewEvent {
        id: EventId::new(),
        lane: LaneKey { bot: "a".into(), room: crate::id::RoomId(1) },
        message: None,
        kind: "message".to_owned(),
        content_hash: [7; 32],
        payload: String::new(),
        received_at: Timestamp::now(),
        source: super::super::Source::Other,
        hop: None,
    };
    let said = why(store.accept(event, 10).await);
    assert!(said.ends_with("did not answer within 2s"), "{said}");
    // This one has to connect first, to a server that takes connections and says nothing.
    why(store.ping().await);
}

#[tokio::test]
async fn a_store_that_was_closed_takes_nothing_more() {
    let (store, ()) = fresh();
    store.ping().await.unwrap();
    store.close().await;
    assert_eq!(why(store.ping().await), "it is closed");
    why(store.unfinished_lanes().await);
}

#[tokio::test]
async fn stores_of_other_prefixes_are_others() {
    let ((one, ()), (other, ())) = (fresh(), fresh());
    one.spend(&"a".into(), 7, 0.5).await.unwrap();
    assert!(other.spent(&"a".into(), 7).await.unwrap().abs() < 1e-9);
}
