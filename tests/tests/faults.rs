//! Every way in which the demo agent can fail, as the room sees it: one sentence or the answer, then a conversation that
//! goes on, and in the end nothing that runs or lies about. What becomes of the process and the session in each case is
//! told in `host/src/agent/tests/faults.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{fs, path::Path};

use hearth::playground::Options;
use hearth_tests::world::{World, demo_agent};

/// The faults, and how what the room is told begins.
const FAULTS: [(&str, &str); 27] = [
    ("demo:hang-start", SLOW),
    ("demo:hang", SLOW),
    ("demo:stubborn", SLOW),
    ("demo:close", SLOW),
    ("demo:die", BROKEN),
    ("demo:orphan", BROKEN),
    ("demo:abort-line", STOPPED),
    ("demo:requests", BROKEN),
    ("demo:signal=1", BROKEN),
    ("demo:signal=3", BROKEN),
    ("demo:signal=4", BROKEN),
    ("demo:signal=6", BROKEN),
    ("demo:signal=8", BROKEN),
    ("demo:signal=9", BROKEN),
    ("demo:signal=10", BROKEN),
    ("demo:signal=11", BROKEN),
    ("demo:signal=12", BROKEN),
    ("demo:signal=14", BROKEN),
    ("demo:signal=15", STOPPED),
    ("demo:signal=31", BROKEN),
    ("demo:long-line", ANSWERED),
    ("demo:flood", ANSWERED),
    ("demo:junk", ANSWERED),
    ("demo:stderr", ANSWERED),
    ("demo:linger", ANSWERED),
    ("demo:lie", ANSWERED),
    ("demo:two-results", ANSWERED),
];
const SLOW: &str = "That took too long";
const BROKEN: &str = "Something broke";
const STOPPED: &str = "I was stopped.";
const ANSWERED: &str = "(demo agent)";

/// The processes that were started with something in this folder.
fn at_work_in(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap().as_bytes();
    let environments = fs::read_dir("/proc").unwrap().flatten();
    let environments = environments.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
    environments.filter(|environment| environment.windows(folder.len()).any(|part| part == folder)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_agent_does_the_room_is_told_once_and_the_conversation_goes_on() {
    let deadlines = "[agent.deadlines]\nfirst-event = \"5s\"\nsilence = \"5s\"\nexit = \"1s\"\n";
    let toml = format!("{}{deadlines}[bots.assistant]\nplugin = \"assistant\"\n", demo_agent());
    let mut world = World::with(&toml, Options::default()).await;
    let room = world.room("assistant");
    world.ask(room, "my name is Zelda").await;
    for (fault, told) in FAULTS {
        let answer = world.ask(room, fault).await.plain;
        assert!(answer.starts_with(told), "{fault}: {answer}");
        assert_eq!(answer.contains(" (turn "), told != ANSWERED, "{fault}: {answer}");
        let after = world.ask(room, "what is my name?").await.plain;
        assert!(after.contains("Zelda"), "after {fault}: {after}");
    }
    world.drained().await;
    assert_eq!(world.answers(room).len(), 2 * FAULTS.len() + 1, "{:?}", world.answers(room));
    world.stop().await;
    let bot = world.agents().as_ref().join("assistant");
    assert_eq!(fs::read_dir(bot.join("tmp")).unwrap().count(), 0, "temporary files");
    assert_eq!(at_work_in(&bot), 0, "processes");
}
