//! The time of day jumps while turns run, as on a machine whose clock is corrected: no turn is ended by that, and none is
//! waited for any longer.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use hearth_tests::{clock::Clock, outside::Outside};
use rustix::process::Signal;

/// How far the clock jumps, in seconds: more than any deadline of a turn's, and less than a conversation is remembered.
const FAR: i64 = 12 * 3600;

/// A host with this `[agent]` whose clock can be set.
async fn outside(agent: &str) -> (Outside, Clock) {
    let mut outside = Outside::with_agent(&format!("command = \"demo-agent\"\n{agent}")).await;
    outside.end(Signal::TERM).await;
    let clock = Clock::new(outside.folder());
    let script = format!("export {}; exec \"$@\"", clock.variables());
    outside.start_by(&["sh", "-c", &script, "clock"], Stdio::null()).await;
    (outside, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_outlives_any_jump_of_the_clock_and_so_does_its_process() {
    let (outside, clock) = outside("").await;
    outside.say("my name is Zelda").await;
    outside.hear("Nice to meet you, Zelda").await;
    let agents = outside.agents();
    for (number, jump) in [FAR, 0, -FAR, 0].into_iter().enumerate() {
        let text = format!("demo:slow=1500 turn {number}");
        outside.ask(&text).await;
        clock.set(jump);
        outside.hear(&format!("turn {number}")).await;
    }
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
    assert_eq!(outside.answers().len(), 6, "one answer each: {:?}", outside.answers());
    assert_eq!(outside.agents(), agents, "the process stays all the while");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_hangs_ends_at_its_deadline_wherever_the_clock_jumps() {
    const SILENCE: Duration = Duration::from_secs(5);
    let (outside, clock) = outside(&format!("[agent.deadlines]\nsilence = \"{}s\"", SILENCE.as_secs())).await;
    for (number, jump) in [-FAR, FAR].into_iter().enumerate() {
        let began = Instant::now();
        outside.ask(&format!("demo:hang {number}")).await;
        clock.set(jump);
        outside.answered(number + 1).await;
        assert!(outside.answers()[number].starts_with("That took too long"), "{:?}", outside.answers());
        assert!(began.elapsed() >= SILENCE, "not before its time: {:?}", began.elapsed());
    }
}
