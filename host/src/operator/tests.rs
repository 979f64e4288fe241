use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    id::{HostId, LaneKey},
    store::{Acceptance, NewEvent, SessionChange, Source, SqliteStore},
};

/// A store in a folder of its own, with its API at a socket there.
struct Served {
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
    ended: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("hearth.db")).unwrap());
        let bots = Arc::new(|| vec!["a".into(), "b".into()]);
        let api = router(Operator { store: Arc::clone(&store), running: None, bots });
        let ended = CancellationToken::new();
        let task = tokio::spawn(Socket::bind(folder.path()).unwrap().serve(api, ended.clone()));
        Self { store, folder, ended, task }
    }

    async fn ask(&self, method: Method, target: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(target).header("host", "x");
        let answer = ask(&socket_path(self.folder.path()), request.body(Full::default()).unwrap()).await;
        let (status, body) = answer.unwrap().expect("it listens");
        (status.as_u16(), serde_json::from_slice(&body).unwrap_or_default())
    }
}

fn lane() -> LaneKey {
    LaneKey { bot: "a".into(), room: RoomId(7) }
}

#[tokio::test]
async fn pauses_are_put_listed_and_taken_away() {
    let served = Served::new();
    assert_eq!(served.ask(Method::GET, "/pauses").await, (200, json!([])));
    for changed in [true, false] {
        let (status, answer) = served.ask(Method::PUT, "/pauses/a?room=7").await;
        assert_eq!((status, &answer["changed"]), (200, &json!(changed)));
        assert_eq!((&answer["pauses"][0]["bot"], &answer["pauses"][0]["room"]), (&json!("a"), &json!(7)));
    }
    served.ask(Method::PUT, "/pauses/b").await;
    let (_, all) = served.ask(Method::GET, "/pauses").await;
    assert_eq!((all.as_array().unwrap().len(), &all[1]["room"]), (2, &Value::Null));
    let gone = json!({ "changed": true, "pauses": [] });
    assert_eq!(served.ask(Method::DELETE, "/pauses/a?room=7").await, (200, gone));
}

#[tokio::test]
async fn only_known_bots_are_paused_but_whatever_is_paused_can_be_resumed() {
    let served = Served::new();
    let (status, refusal) = served.ask(Method::PUT, "/pauses/c").await;
    assert_eq!(status, 404);
    assert_eq!(refusal, json!({ "error": "no bot is called `c`", "help": "the bots are: a, b" }));
    let gone = Scope { bot: "c".into(), room: None };
    served.store.pause(&gone, Timestamp::now()).await.unwrap();
    let (status, answer) = served.ask(Method::DELETE, "/pauses/c").await;
    assert_eq!((status, &answer["changed"]), (200, &json!(true)));
}

#[tokio::test]
async fn a_failure_says_why_and_is_put_back() {
    let served = Served::new();
    let event = NewEvent {
        id: EventId::new(),
        lane: lane(),
        message: Some(MessageId(1)),
        kind: "message".to_owned(),
        content_hash: [0; 32],
        payload: "{}".to_owned(),
        received_at: Timestamp(5),
        source: Source::Other,
        hop: None,
    };
    assert_eq!(served.store.accept(event.clone(), 10).await.unwrap(), Acceptance::Fresh);
    let lease =
        served.store.lease(&lane(), HostId::random(), Timestamp(0), Timestamp(9)).await.unwrap().unwrap();
    served.store.begin(&lease, Timestamp(0)).await.unwrap().unwrap();
    let row = crate::store::JournalRow {
        turn: TurnId("k3v9x2qa".into()),
        event: event.id,
        lane: lane(),
        attempt: 1,
        started_at: Timestamp(5),
        ended_at: Timestamp(6),
        outcome: "crashed".to_owned(),
        details: json!({ "agent": { "cause": "exit code 3" }, "posted": [9] }),
    };
    let set = SessionChange::Set(crate::id::SessionId(uuid::Uuid::nil()), Timestamp(i64::MAX));
    served.store.finish(&lease, event.id, End::Failed, set, row, None).await.unwrap();

    let (_, failed) = served.ask(Method::GET, "/events/failed?bot=a&limit=5").await;
    let expected = json!([{
        "event": event.id, "bot": "a", "room": 7, "message": 1, "kind": "message", "received-at": 5, "ended-at": 6, "end": "failed",
        "attempts": 1, "posted": 0, "uncertain": 0, "failed": 0,
        "turn": "k3v9x2qa", "outcome": "crashed", "cause": "exit code 3",
    }]);
    assert_eq!(failed, expected);
    let (_, sessions) = served.ask(Method::GET, "/sessions").await;
    assert_eq!((&sessions[0]["bot"], &sessions[0]["room"]), (&json!("a"), &json!(7)));
    let (_, forgotten) = served.ask(Method::DELETE, "/sessions/a?room=7").await;
    assert_eq!(forgotten, json!({ "now": 1, "after-turn": 0 }));

    let retry = format!("/events/{}/retry?anyway=true", event.id);
    let back = json!({ "event": event.id, "bot": "a", "room": 7, "retry": "anew" });
    assert_eq!(served.ask(Method::POST, &retry).await, (200, back));
    let (status, refusal) = served.ask(Method::POST, &retry).await;
    assert_eq!(status, 409);
    assert!(refusal["error"].as_str().unwrap().contains("has not ended"), "{refusal}");
    for wrong in ["/events/12/retry", "/sessions/a?room=seven", "/nowhere"] {
        let (status, _) = served.ask(Method::POST, wrong).await;
        assert!((400..500).contains(&status), "{wrong}: {status}");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_503() {
    let served = Served::new();
    served.store.close().await;
    let (status, refusal) = served.ask(Method::GET, "/pauses").await;
    assert_eq!(status, 503);
    assert!(refusal["error"].as_str().unwrap().contains("the store failed"), "{refusal}");
}

#[tokio::test]
async fn a_socket_that_is_in_use_is_not_taken_and_one_that_is_left_over_is() {
    let served = Served::new();
    let path = socket_path(served.folder.path());
    let refused = Socket::bind(served.folder.path()).err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    served.ended.cancel();
    served.task.await.unwrap();
    assert!(!path.exists());
    let none = ask(&path, Request::new(Full::default())).await.unwrap();
    assert!(none.is_none(), "nobody is there");

    // As a killed host leaves it: a file that nobody listens at.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert!(ask(&path, Request::new(Full::default())).await.unwrap().is_none());
    drop(Socket::bind(served.folder.path()).unwrap());
    assert!(!path.exists());
}
