//! Every way in which the demo agent can fail, as the room sees it: one sentence or the answer, then a conversation that
//! goes on, and in the end nothing that runs or lies about. What becomes of the process and the session in each case is
//! told in `host/src/agent/tests/faults.rs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{fs, path::Path};

use futures_util::future::join_all;
use hearth::{
    id::{RoomId, UserId},
    playground::Options,
};
use hearth_tests::world::{World, demo_agent};

/// The faults, and how what the room is told begins.
const FAULTS: [(&str, &str); 23] = [
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
/// Those that only a deadline ends.
const HANGING: [&str; 4] = ["demo:hang-start", "demo:hang", "demo:stubborn", "demo:close"];
const SLOW: &str = "That took too long";
const BROKEN: &str = "Something broke";
const STOPPED: &str = "I was stopped.";
const ANSWERED: &str = "(demo agent)";

/// A bot whose agent has these deadlines.
async fn world(deadlines: &str) -> World {
    let toml = format!(
        "{}[agent.deadlines]\n{deadlines}exit = \"1s\"\n[bots.assistant]\nplugin = \"assistant\"\n",
        demo_agent()
    );
    World::with(&toml, Options::default()).await
}

/// Has the agent fail in this room, and go on with the conversation.
async fn fails(world: &World, (person, room): (UserId, RoomId), fault: &str, told: &str) {
    let answer = world.ask_as(person, room, fault).await.plain;
    assert!(answer.starts_with(told), "{fault}: {answer}");
    assert_eq!(answer.contains(" (turn "), told != ANSWERED, "{fault}: {answer}");
    let after = world.ask_as(person, room, "what is my name?").await.plain;
    assert!(after.contains("Zelda"), "after {fault}: {after}");
}

/// The same in a room of its own, with an agent that hangs; answers which room that is.
async fn hangs(world: &World, fault: &str) -> RoomId {
    // The prompt has the name in it: it must not be what the agent listens for.
    let person = world.playground.add_person(&fault.replace("demo:", "Friend of "));
    let room = world.playground.direct_room(person, world.user("assistant")).unwrap();
    world.ask_as(person, room, "my name is Zelda").await;
    fails(world, (person, room), fault, SLOW).await;
    room
}

/// Ends the host, after which nothing runs or lies about.
async fn leaves_nothing(mut world: World) {
    world.stop().await;
    let bot = world.agents().as_ref().join("assistant");
    assert_eq!(fs::read_dir(bot.join("tmp")).unwrap().count(), 0, "temporary files");
    assert_eq!(at_work_in(&bot), 0, "processes");
}

/// The processes that were started with something in this folder.
fn at_work_in(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap().as_bytes();
    let environments = fs::read_dir("/proc").unwrap().flatten();
    let environments = environments.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
    environments.filter(|environment| environment.windows(folder.len()).any(|part| part == folder)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_agent_does_the_room_is_told_once_and_the_conversation_goes_on() {
    let world = world("").await;
    let (you, room) = (world.playground.you(), world.room("assistant"));
    world.ask(room, "my name is Zelda").await;
    for (fault, told) in FAULTS {
        fails(&world, (you, room), fault, told).await;
    }
    world.drained().await;
    assert_eq!(world.answers(room).len(), 2 * FAULTS.len() + 1, "{:?}", world.answers(room));
    leaves_nothing(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_hangs_is_ended_in_time_and_the_conversation_goes_on() {
    // Long enough for an agent on a busy machine that does not hang; so all hang at once, each in a room of its own.
    let world = world("first-event = \"15s\"\nsilence = \"15s\"\n").await;
    let rooms = join_all(HANGING.map(|fault| hangs(&world, fault))).await;
    world.drained().await;
    for room in rooms {
        let said = world.playground.messages(room);
        assert_eq!(said.len(), 6, "three messages, and an answer to each: {said:?}");
    }
    leaves_nothing(world).await;
}
