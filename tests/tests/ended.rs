//! A host that is ended, well or badly: nothing that was acknowledged is lost, and nothing is said twice.

use std::time::{Duration, Instant};

use hearth_tests::{
    outside::{Outside, was_killed_by},
    world::PATIENCE,
};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_acknowledged_is_answered_after_a_kill() {
    let mut outside = Outside::new("").await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    outside.ask("demo:slow=2000 first").await;
    outside.say("what is my name?").await;
    let agents = outside.agents();
    assert_eq!(agents.len(), 1, "one agent runs");
    let status = outside.end(Signal::KILL).await;
    assert!(was_killed_by(status, Signal::KILL));
    assert_eq!(outside.answers().len(), 1, "the slow answer was on its way");

    outside.start().await;
    assert!(!is_alive(agents[0]), "the agent of the killed host must not meet the next one");
    outside.hear("Your name is Zelda").await;
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
async fn sigterm_lets_a_running_turn_end() {
    let mut outside = Outside::new("shutdown-grace = \"60s\"").await;
    outside.ask("demo:slow=1500").await;
    let status = outside.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert_eq!(outside.answers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_outlasts_the_grace_runs_at_the_next_start() {
    let mut outside = Outside::new("shutdown-grace = \"200ms\"").await;
    outside.ask("demo:slow=4000 patience").await;
    let began = Instant::now();
    let status = outside.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(30), "the grace is short");
    assert!(outside.answers().is_empty());
    outside.start().await;
    outside.hear("patience").await;
    assert_eq!(outside.answers().len(), 1);
}
