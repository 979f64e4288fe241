//! Plugins that misbehave: the room gets one short sentence, the log the cause, and the other bots notice nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::{id::RoomId, plugin::LoadError};
use hearth_tests::{
    binary,
    crooked::{CLEAN, Crooked, described},
    workbench::Workbench,
    world::World,
};
use tempfile::TempDir;

/// What the hostile guest is told to do, and what the journal's cause then has in it: the setting, if it is a limit.
const MISDEEDS: [(&str, &str); 10] = [
    ("trap", "unreachable"),
    ("trap later", "unreachable"),
    ("recurse", "call stack exhausted"),
    ("loop", "`compute` in [bots.hostile.limits]"),
    ("memory", "`memory` in [bots.hostile.limits]"),
    ("host calls", "`host-calls` in [bots.hostile.limits]"),
    ("refuse", "secret-looking-cause"),
    ("many", "33 parts"),
    ("huge", "a text of 307200 bytes"),
    ("nothing", "an empty prompt"),
];

/// A deployment of the hostile bot, with these limits, and of one beside it.
async fn world(limits: &str) -> World {
    World::new(&format!(
        "[bots.hostile]\nplugin = '{}'\nlimits = {{ {limits} }}\n[bots.echo]\nplugin = \"echo\"\n",
        binary::guest("hostile").display()
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_misdeed_is_one_sentence_in_the_room_and_a_cause_in_the_journal() {
    let world = world("memory = \"16MiB\", compute = \"300ms\"").await;
    let room = world.room("hostile");
    for (misdeed, _) in MISDEEDS {
        let answer = world.ask(room, misdeed).await;
        assert!(answer.plain.starts_with("Something is wrong with my code"), "{misdeed}: {}", answer.plain);
        assert!(!answer.plain.contains("secret-looking-cause"), "{}", answer.plain);
        assert_eq!(world.ask(world.room("echo"), "still there?").await.plain, "still there?");
    }
    assert_eq!(world.ask(room, "well").await.plain, "well behaved");
    world.drained().await;
    assert_eq!(world.answers(room).len(), MISDEEDS.len() + 1, "one sentence each");

    let journal = world.journal("hostile").await;
    let misdeeds = journal.iter().rev().zip(MISDEEDS);
    for (row, (misdeed, cause)) in misdeeds {
        assert_eq!(row.outcome, "plugin-failed", "{misdeed}");
        let told = row.details["cause"].as_str().unwrap();
        assert!(told.contains(cause), "{misdeed}: {told}");
        assert_eq!(row.details["plugin"]["name"], "hostile");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_full_of_loops_do_not_hold_up_the_bot_beside_them() {
    // More of them than one bot may run at once.
    const LOOPS: usize = 20;
    let world = world("compute = \"60s\", call-time = \"60s\"").await;
    let bot = world.user("hostile");
    let mut rooms = Vec::new();
    for number in 0..LOOPS {
        let person = world.playground.add_person(&format!("Person {number}"));
        let room = world.playground.direct_room(person, bot).unwrap();
        world.say_as(person, room, "loop").await;
        rooms.push(room);
    }
    for _ in 0..5 {
        assert_eq!(world.ask(world.room("echo"), "still there?").await.plain, "still there?");
    }
    let answered = |room: &RoomId| world.playground.messages(*room).len() > 1;
    assert!(!rooms.iter().any(answered), "the loops ended before the other bot had answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_without_its_plugin_says_so_and_the_others_run() {
    let world =
        World::new("[bots.broken]\nplugin = \"no-such-plugin\"\n[bots.echo]\nplugin = \"echo\"\n").await;
    let answer = world.ask(world.room("broken"), "hello").await;
    assert!(answer.plain.starts_with("Something is wrong with my code"), "{}", answer.plain);
    assert_eq!(world.ask(world.room("echo"), "hello").await.plain, "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_cannot_describe_itself_says_so_and_the_others_run() {
    let folder = TempDir::new().unwrap();
    let looping = Crooked { describe: described("(loop (br 0))"), ..Crooked::default() };
    let looping = looping.write(folder.path(), "looping");
    let world = World::new(&format!(
        "[bots.looping]\nplugin = '{}'\n[bots.echo]\nplugin = \"echo\"\n",
        looping.display()
    ))
    .await;
    let answer = world.ask(world.room("looping"), "hello").await;
    assert!(answer.plain.starts_with("Something is wrong with my code"), "{}", answer.plain);
    assert_eq!(world.ask(world.room("echo"), "hello").await.plain, "hello");
}

// === Loading ===

/// Why the plugin at this path, or by this name, is refused.
async fn refused(plugin: &str, more: &str) -> LoadError {
    let loaded = Workbench::load(&format!("plugin = '{plugin}'\n{more}")).await;
    loaded.err().unwrap_or_else(|| panic!("{plugin} was loaded"))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_plugin_are_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let whole = std::fs::read(binary::repository().join("plugins/dist/echo.wasm")).unwrap();
    let half = &whole[..whole.len() / 2];
    // A component in which one export has another name.
    let incomplete = replaced(&whole, b"format-reply", b"format-rexly");
    let crowd = wat::parse_str(format!(
        "(component (core module $m) {})",
        "(core instance (instantiate $m))".repeat(65)
    ))
    .unwrap();
    let cases: [(&str, &[u8], &str); 7] = [
        ("incomplete.wasm", &incomplete, "does not fit the interface"),
        ("module.wasm", b"\0asm\x01\0\0\0", "hearth:bot/handler"),
        ("text.wasm", b"not wasm at all", "not WebAssembly"),
        ("empty.wasm", b"", "not WebAssembly"),
        ("half.wasm", half, "hearth build"),
        ("component.wasm", b"\0asm\x0d\0\x01\0", "hearth:bot/handler"),
        ("crowd.wasm", &crowd, "made of 65 core instances, and a plugin may have 64"),
    ];
    for (name, content, expected) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = refused(path.to_str().unwrap(), "").await.to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let missing = refused(folder.path().join("none.wasm").to_str().unwrap(), "").await;
    assert!(matches!(missing, LoadError::Missing(_)), "{missing}");
}

/// `bytes` with every `from` made `to`, which is as long.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_owned();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|&place| bytes[place..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    bytes
}

/// Writes a number into the description: its name's length is at 68, the list of what it wants at 80 and 84, its schema's
/// presence, address and length at 88, 92 and 96.
fn says(numbers: &[(u32, u32)]) -> String {
    let stores =
        numbers.iter().map(|(at, number)| format!("(i32.store (i32.const {at}) (i32.const {number}))"));
    described(&stores.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptions_that_are_none_are_refused_with_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let cases = [
        ("traps", described("unreachable"), "unreachable"),
        ("loops", described("(loop (br 0))"), "computed for more than 5s"),
        ("recurses", described("(call $recurse)"), "call stack exhausted"),
        ("nameless", says(&[(68, 0)]), "its name is empty"),
        // Zeros are wants of `kv`.
        ("greedy", says(&[(80, CLEAN), (84, 17)]), "it asks for 17 capabilities"),
        ("grasping", says(&[(80, CLEAN), (84, 8_000_000)]), "handed the host a value"),
        // The name's bytes as a capability.
        ("inventive", says(&[(80, 16), (84, 1)]), "`describe` failed"),
        ("boundless", says(&[(68, 0x7fff_ffff)]), "`describe` failed"),
        (
            "wordy",
            says(&[(88, 1), (92, CLEAN), (96, 65_537)]),
            "the schema of its settings can't be used: it has 65537 bytes",
        ),
        (
            "vague",
            says(&[(88, 1), (92, 16), (96, 7)]),
            "the schema of its settings can't be used: it is no JSON",
        ),
    ];
    for (name, describe, expected) in cases {
        let pages = 4_000;
        let module = "(func $recurse (call $recurse))";
        let guest = Crooked { pages, module, describe, ..Crooked::default() };
        let error = refused(guest.write(folder.path(), name).to_str().unwrap(), "").await.to_string();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(!error.contains("raise"), "no setting would help: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_are_refused_with_their_place() {
    let error = refused("assistant", "settings = { persona = 7 }").await.to_string();
    assert!(error.contains("[bots.x.settings]") && error.contains("/persona"), "{error}");
}
