//! What an operator does with a deployment, while its host runs and while none does.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{os::unix::fs::PermissionsExt, time::Instant};

use hearth::playground::{Fault, Features};
use hearth_tests::{outside::Outside, world::PATIENCE};
use rustix::process::Signal;
use serde_json::{Value, json};

async fn json(outside: &Outside, arguments: &[&str]) -> Value {
    serde_json::from_str(&outside.hearth(&[arguments, &["--json"]].concat()).await).unwrap()
}

/// What failed, once something has.
async fn failed(outside: &Outside) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let failed = json(outside, &["events", "failed"]).await;
        if failed != json!([]) {
            return failed;
        }
        assert!(Instant::now() < deadline, "nothing failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_bot_takes_messages_and_answers_them_once_it_is_resumed() {
    let mut outside = Outside::new("").await;
    assert_eq!(outside.hearth(&["pause"]).await, "Nothing is paused.\n");
    assert_eq!(outside.hearth(&["pause", "assistant"]).await, "assistant is paused.\n");
    assert_eq!(outside.hearth(&["pause", "assistant"]).await, "assistant is paused already.\n");
    outside.say("my name is Zelda").await;
    let listed = outside.hearth(&["pause"]).await;
    assert!(listed.starts_with("BOT\tROOM\tSINCE\nassistant\tall\t20"), "{listed}");

    // It holds over a restart.
    outside.end(Signal::TERM).await;
    outside.start().await;
    outside.say("what is my name?").await;
    outside.end(Signal::TERM).await;
    assert!(outside.answers().is_empty(), "{:?}", outside.answers());
    outside.start().await;

    assert_eq!(outside.hearth(&["resume", "assistant"]).await, "assistant goes on.\n");
    outside.hear("Your name is Zelda").await;
    assert_eq!(outside.answers().len(), 2);
    assert_eq!(outside.hearth(&["resume", "assistant"]).await, "assistant was not paused.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_paused_and_resumed_while_no_host_runs() {
    let mut outside = Outside::new("").await;
    let room = outside.room.to_string();
    outside.end(Signal::TERM).await;
    let changed = json(&outside, &["pause", "assistant", "--room", &room]).await;
    assert_eq!((&changed["changed"], &changed["pauses"][0]["room"]), (&json!(true), &json!(outside.room.0)));
    outside.hearth(&["pause", "assistant"]).await;
    outside.start().await;
    outside.say("my name is Zelda").await;
    let said = outside.hearth(&["resume", "assistant", "--room", &room]).await;
    assert!(said.contains("still paused as a whole"), "{said}");
    outside.hearth(&["pause", "assistant", "--room", &room]).await;
    let said = outside.hearth(&["resume", "assistant"]).await;
    assert!(said.contains(&format!("rooms {room}.")), "{said}");
    outside.end(Signal::TERM).await;
    assert!(outside.answers().is_empty());
    outside.hearth(&["resume", "assistant", "--room", &room]).await;
    outside.start().await;
    outside.hear("Zelda").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_nobody_knows_is_named_with_those_there_are() {
    let mut outside = Outside::new("").await;
    for _ in ["with a host", "without one"] {
        let said = outside.hearth_fails(&["pause", "asistant"]).await;
        assert!(said.contains("`asistant`") && said.contains("the bots are: assistant"), "{said}");
        let said = outside.hearth_fails(&["events", "retry", "12"]).await;
        assert!(said.contains("`12` is no event") && said.contains("hearth events failed"), "{said}");
        let nothing = "019a0000-0000-7000-8000-000000000000";
        let said = outside.hearth_fails(&["events", "retry", nothing]).await;
        assert!(said.contains(nothing) && said.contains("no such event"), "{said}");
        if std::fs::exists(outside.folder().join(".hearth/operator.sock")).unwrap() {
            outside.end(Signal::TERM).await;
        }
    }
    let said = outside.hearth_fails(&["sessions", "list", "--playground"]).await;
    assert!(said.contains("there is no store at"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_listed_and_forgotten() {
    let mut outside = Outside::new("").await;
    let none = outside.hearth(&["sessions", "list"]).await;
    assert_eq!(none, "No conversation is remembered.\n");
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    let sessions = json(&outside, &["sessions", "list", "--bot", "assistant"]).await;
    assert_eq!((&sessions[0]["bot"], &sessions[0]["room"]), (&json!("assistant"), &json!(outside.room.0)));
    outside.end(Signal::TERM).await;
    assert_eq!(outside.hearth(&["sessions", "forget", "assistant"]).await, "Forgot 1 of assistant.\n");
    assert_eq!(json(&outside, &["sessions", "list"]).await, json!([]));

    // One that is in use is forgotten after the turn.
    outside.start().await;
    outside.ask("demo:slow=10000 patience").await;
    let forgotten = json(&outside, &["sessions", "forget", "assistant"]).await;
    assert_eq!(forgotten, json!({ "now": 0, "after-turn": 1 }));
    outside.hear("patience").await;
    outside.end(Signal::TERM).await;
    assert_eq!(json(&outside, &["sessions", "list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_campfire_refused_is_listed_and_posted_after_all() {
    // What announces an answer would meet the fault.
    let outside = Outside::with_bot("progress-after = \"0s\"").await;
    outside.playground.inject(Fault::Redirect, 1);
    outside.say("patience").await;
    let failed = failed(&outside).await;
    assert_eq!((&failed[0]["outcome"], &failed[0]["failed"]), (&json!("not-posted"), &json!(1)));
    let listed = outside.hearth(&["events", "failed"]).await;
    assert!(
        listed.contains("\tfailed\t") && listed.contains("not-posted: ") && listed.contains("bots.toml"),
        "{listed}"
    );
    assert!(outside.answers().is_empty());

    let event = failed[0]["event"].as_str().unwrap();
    let said = outside.hearth(&["events", "retry", event]).await;
    assert!(said.contains("the rest of its answer is posted"), "{said}");
    outside.hear("patience").await;
    assert_eq!(outside.answers().len(), 1);
    assert_eq!(json(&outside, &["events", "failed"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_whose_agent_broke_is_listed_and_run_anew() {
    let mut outside = Outside::new("").await;
    outside.say("demo:die").await;
    let failed = failed(&outside).await;
    assert_eq!((&failed[0]["outcome"], &failed[0]["posted"]), (&json!("crashed"), &json!(1)));
    let event = failed[0]["event"].as_str().unwrap();
    outside.end(Signal::TERM).await;
    let back = json(&outside, &["events", "retry", event]).await;
    assert_eq!(back["retry"], json!("anew"));
    let said = outside.hearth_fails(&["events", "retry", event]).await;
    assert!(said.contains("it has not ended yet"), "{said}");
    outside.start().await;
    let again = self::failed(&outside).await;
    assert_eq!((&again[0]["event"], &again[0]["attempts"]), (&failed[0]["event"], &json!(2)));
    assert_eq!(outside.answers().len(), 2, "it broke again, and said so again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_in_the_room_is_posted_again_only_if_that_is_asked_for() {
    let outside = Outside::of_age(Features::oldest(), "").await;
    outside.playground.inject(Fault::ErrorAfterStoring(500), 1);
    outside.say("patience").await;
    let failed = failed(&outside).await;
    assert_eq!((&failed[0]["end"], &failed[0]["uncertain"]), (&json!("done"), &json!(1)));
    let event = failed[0]["event"].as_str().unwrap();
    let said = outside.hearth_fails(&["events", "retry", event]).await;
    assert!(said.contains("may be in the room") && said.contains("--anyway"), "{said}");
    assert_eq!(outside.answers().len(), 1);
    outside.hearth(&["events", "retry", event, "--anyway"]).await;
    outside.answered(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_under_a_running_host_and_takes_its_stores_place() {
    let mut outside = Outside::new("").await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    let (file, store) = (outside.folder().join("copy.db"), outside.folder().join(".hearth/hearth.db"));
    let name = file.to_str().unwrap();
    let backup = json(&outside, &["backup", name]).await;
    assert_eq!(backup["bytes"], json!(std::fs::metadata(&file).unwrap().len()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let said = outside.hearth_fails(&["backup", name]).await;
    assert!(said.contains("exists already"), "{said}");

    outside.end(Signal::TERM).await;
    outside.hearth(&["sessions", "forget", "assistant"]).await;
    std::fs::rename(&file, &store).unwrap();
    outside.hearth(&["backup", name]).await;
    outside.start().await;
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_killed_leaves_nothing_in_the_way_of_commands() {
    let mut outside = Outside::new("").await;
    outside.end(Signal::KILL).await;
    assert!(outside.folder().join(".hearth/operator.sock").exists(), "it could not tidy up");
    outside.hearth(&["pause", "assistant"]).await;
    outside.start().await;
    assert_eq!(outside.hearth(&["resume", "assistant"]).await, "assistant goes on.\n");
    let socket = std::fs::metadata(outside.folder().join(".hearth/operator.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    outside.end(Signal::TERM).await;
    assert!(!outside.folder().join(".hearth/operator.sock").exists());
}
