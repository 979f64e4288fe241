//! A host that is ended, well or badly: nothing that was acknowledged is lost, and nothing is said twice.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use hearth::{
    playground::{Fault, Features, Options},
    store::{SqliteStore, Store},
};
use hearth_tests::{
    outside::{Outside, was_killed_by},
    world::PATIENCE,
};
use rustix::process::{Signal, kill_process};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_acknowledged_is_answered_after_a_kill() {
    let mut outside = Outside::new("").await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    outside.ask("demo:slow=10000 first").await;
    outside.say("what is my name?").await;
    let agents = outside.agents();
    assert_eq!(agents.len(), 1, "one agent runs");
    let status = outside.end(Signal::KILL).await;
    assert!(was_killed_by(status, Signal::KILL));
    assert_eq!(outside.answers().len(), 1, "the slow answer was on its way");

    outside.start().await;
    outside.hear("Your name is Zelda").await;
    assert!(!is_alive(agents[0]), "the agent of the killed host must not meet the next one");
    let answers = outside.answers();
    assert_eq!(answers.len(), 3, "one answer each: {answers:?}");
    assert!(answers[1].contains("first"), "in order: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_takes_its_agents_with_it() {
    let mut outside = Outside::new("").await;
    // One that waits for the next message, and one that works.
    outside.say("hello").await;
    outside.hear("hello").await;
    outside.ask("demo:slow=600000").await;
    let agents = outside.agents();
    assert!(!agents.is_empty() && agents.iter().all(|agent| is_alive(*agent)));
    outside.end(Signal::KILL).await;
    let gone = async {
        while agents.iter().any(|agent| is_alive(*agent)) || !outside.agents().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("they end without another start");
}

/// Whether there is such a process, and it is not one that only nobody has waited for yet.
fn is_alive(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_let_a_running_turn_end() {
    for (answers, signal) in [(1, Signal::TERM), (1, Signal::INT)] {
        let mut outside = Outside::new("shutdown-grace = \"60s\"").await;
        outside.ask("demo:slow=1500").await;
        let status = outside.end(signal).await;
        assert!(status.success(), "{status}");
        assert_eq!(outside.answers().len(), answers, "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_a_post_and_what_it_did_is_found_out() {
    let options = Options { webhook_read_timeout: PATIENCE, ..Options::default() };
    let (grace, timeout) = ("shutdown-grace = \"5m\"", "timeout = \"5m\"");
    let mut outside = Outside::set(&["assistant"], grace, timeout, options).await;
    let notices = outside.folder().join("notices");
    let manager = tokio::net::UnixDatagram::bind(&notices).expect("a socket");
    outside.start_by(&["env", &format!("NOTIFY_SOCKET={}", notices.display())], Stdio::null()).await;
    outside.playground.inject(Fault::HangAfterStoring, 1);
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;

    let began = Instant::now();
    kill_process(outside.process(), Signal::TERM).expect("it runs");
    let mut told = [0; 64];
    while !told.starts_with(b"STOPPING=1") {
        let notice = tokio::time::timeout(PATIENCE, manager.recv(&mut told)).await;
        notice.expect("it says that it stops").expect("a notice");
    }
    let status = outside.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(30), "Campfire takes a minute to answer");

    outside.start().await;
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
    assert_eq!(outside.answers().len(), 2, "{:?}", outside.answers());
    assert_eq!(outside.hearth(&["events", "failed"]).await, "Nothing failed.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_stored_when_the_host_was_killed_is_not_repeated() {
    for features in [Features::newest(), Features::oldest()] {
        // What announces an answer would meet the fault.
        let mut outside = Outside::of_age(features, "progress-after = \"0s\"").await;
        outside.playground.inject(Fault::HangAfterStoring, 1);
        outside.say("my name is Zelda").await;
        outside.hear("Zelda").await;
        outside.end(Signal::KILL).await;
        outside.start().await;
        outside.say("what is my name?").await;
        outside.hear("Your name is Zelda").await;
        assert_eq!(outside.answers().len(), 2, "{:?}", outside.answers());
        // Without a history nobody knows; the operator is told.
        let failed = outside.hearth(&["events", "failed"]).await;
        assert_eq!(failed == "Nothing failed.\n", features.history, "{failed}");
        outside.end(Signal::TERM).await;
        let store = SqliteStore::open(&outside.folder().join(".hearth/hearth.db")).expect("it is free");
        let journal = store.journal(None, 10).await.expect("it can be read");
        let (details, how) = (&journal[1].details, journal[1].outcome.as_str());
        assert_eq!(
            (how, &details["resumed"], &details["agent"]["turns"]),
            ("answered", &json!(true), &json!(1))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_not_stored_when_the_host_was_killed_comes() {
    let mut outside = Outside::new("").await;
    outside.playground.inject(Fault::HangBeforeStoring, 1);
    let mut hung = outside.playground.faults_taken();
    outside.say("my name is Zelda").await;
    tokio::time::timeout(PATIENCE, hung.wait_for(|taken| *taken == 1))
        .await
        .expect("in time")
        .expect("it lives");
    outside.end(Signal::KILL).await;
    outside.start().await;
    outside.hear("Zelda").await;
    assert_eq!(outside.answers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_message_outlasts_any_number_of_restarts() {
    let mut outside = Outside::new("shutdown-grace = \"0s\"").await;
    outside.ask("demo:slow=10000 patience").await;
    for _ in 0..4 {
        assert!(outside.end(Signal::TERM).await.success());
        outside.start().await;
        outside.agent_runs().await;
    }
    outside.hear("patience").await;
    assert_eq!(outside.answers().len(), 1, "{:?}", outside.answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_outlasts_the_grace_runs_at_the_next_start() {
    let mut outside = Outside::new("shutdown-grace = \"200ms\"").await;
    outside.ask("demo:slow=10000 patience").await;
    let began = Instant::now();
    let status = outside.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(30), "the grace is short");
    assert!(outside.answers().is_empty());
    outside.start().await;
    outside.hear("patience").await;
    assert_eq!(outside.answers().len(), 1);
}
