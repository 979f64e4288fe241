//! Stopping what a bot does: by a word in the room, and by whoever holds its lanes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::{Duration, Instant};

use hearth::playground::Options;
use hearth_tests::{
    outside::Outside,
    world::{World, demo_agent},
};
use rustix::process::Signal;

/// What announced an answer, and was there before the word that stops, would become what is said of the stop.
const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n\
                    [bots.assistant]\nplugin = \"assistant\"\nprogress-after = \"1h\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_word_stops_what_runs_at_once_and_the_conversation_goes_on() {
    let world = World::new(BOTS).await;
    let room = world.room("assistant");
    world.ask(room, "my name is Zelda").await;
    world.begin(room, "demo:slow=600000").await;
    let began = Instant::now();
    let stopped = world.ask(room, " STOP ").await;
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert!(stopped.plain.starts_with("I was stopped. (turn "), "{}", stopped.plain);
    world.drained().await;
    assert_eq!(world.answers(room).len(), 2, "the word itself is not answered: {:?}", world.answers(room));

    let after = world.ask(room, "what is my name?").await;
    assert!(after.plain.contains("Zelda"), "{}", after.plain);
    let journal = world.journal("assistant").await;
    assert_eq!(journal[1].outcome, "interrupted");
    assert_eq!(journal.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_what_is_stopped_is_answered() {
    let world = World::new(BOTS).await;
    let room = world.room("assistant");
    world.begin(room, "demo:slow=600000").await;
    world.say(room, "my name is Zelda").await;
    world.say(room, "stop").await;
    world.drained().await;
    let answers = world.answers(room);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers[0].starts_with("I was stopped.") && answers[1].contains("Zelda"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_to_stop_the_word_is_a_message_like_any_other() {
    let world = World::new(BOTS).await;
    assert_eq!(world.ask(world.room("echo"), "stop").await.plain, "stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_are_the_operators_and_only_the_whole_message_counts() {
    let toml = format!(
        "{}[bots.assistant]\nplugin = \"assistant\"\nprogress-after = \"1h\"\nstop-words = [\"halt\", \"pssst now\"]\n",
        demo_agent()
    );
    let world = World::with(&toml, Options::default()).await;
    let room = world.room("assistant");
    for word in ["halt", "Pssst now"] {
        world.begin(room, "demo:slow=600000").await;
        world.say(room, "stop").await;
        world.say(room, "halt, please").await;
        let stopped = world.ask(room, word).await;
        assert!(stopped.plain.starts_with("I was stopped."), "{}", stopped.plain);
        world.drained().await;
    }
    assert_eq!(world.answers(room).len(), 6, "{:?}", world.answers(room));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_the_lanes_can_interrupt_one() {
    let world = World::new(BOTS).await;
    let (room, shared) = (world.room("assistant"), world.playground.shared_room());
    world.begin(room, "demo:slow=600000").await;
    world.begin(shared, "@assistant demo:slow=3000").await;
    assert!(!world.lanes().interrupt(&world.lane("echo")).await.unwrap(), "nothing runs there");
    assert!(world.lanes().interrupt(&world.lane("assistant")).await.unwrap());
    world.drained().await;
    let (stopped, other) = (world.answers(room), world.answers(shared));
    assert!(stopped.len() == 1 && stopped[0].starts_with("I was stopped."), "{stopped:?}");
    assert!(other.len() == 1 && other[0].contains("demo agent"), "{other:?}");
    assert!(!world.lanes().interrupt(&world.lane("assistant")).await.unwrap(), "nothing runs any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_outlives_the_host_that_took_it() {
    let mut outside = Outside::new("").await;
    outside.ask("demo:slow=600000").await;
    // Nothing ends in time that hangs so: the host is killed between the word and what it does.
    kill_after(&mut outside, "stop").await;
    outside.start().await;
    outside.hear("I was stopped.").await;
    assert_eq!(outside.answers().len(), 1, "{:?}", outside.answers());
}

/// Ends the host as soon as it has acknowledged this, or later.
async fn kill_after(outside: &mut Outside, text: &str) {
    outside.say(text).await;
    outside.end(Signal::KILL).await;
}
