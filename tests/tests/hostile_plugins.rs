//! Plugins that misbehave: the room gets one short sentence, the log the cause, and the other bots notice nothing.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::Path;

use hearth::{
    config::{Bot, Config},
    plugin::{CallError, Decision, Event, LoadError, Loader, Message, Room, User},
};
use hearth_tests::{
    binary,
    world::{PATIENCE, World},
};
use tempfile::TempDir;

/// A bot on the plugin file `plugin`, with these `[limits]`.
fn bot(plugin: &Path, limits: &str) -> std::sync::Arc<Bot> {
    let toml = format!("[bots.x]\nplugin = '{}'\nlimits = {{ {limits} }}\n", plugin.display());
    let config = Config::parse("bots.toml".as_ref(), &toml, &|_| None).unwrap();
    config.bots.into_values().next().unwrap()
}

fn event(text: &str) -> Event {
    Event {
        bot: "x".into(),
        user: User { id: 1, name: "Ann".into(), attributes: Vec::new() },
        room: Room { id: 1, name: None, attributes: Vec::new() },
        message: Message { id: 1, text: text.into(), html: None, attributes: Vec::new() },
        received_at: 0,
        attributes: Vec::new(),
    }
}

async fn misdeed(text: &str) -> Result<Decision, CallError> {
    let bot = bot(&binary::guest("hostile"), "memory = \"16MiB\", call-time = \"300ms\"");
    let generation = Loader::new().unwrap().load(&bot, 1).await.unwrap();
    generation.on_message(&event(text)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_traps_is_told_with_its_cause() {
    let error = misdeed("trap").await.unwrap_err();
    assert!(matches!(error, CallError::Trapped(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_loops_is_ended_by_the_clock_and_the_error_names_the_setting() {
    let error = misdeed("loop").await.unwrap_err();
    assert!(matches!(error, CallError::Time(_)), "{error}");
    assert!(error.to_string().contains("call-time"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_recurses_for_ever_traps() {
    let error = misdeed("recurse").await.unwrap_err();
    assert!(matches!(error, CallError::Trapped(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_hoards_memory_is_refused_it_and_the_error_names_the_setting() {
    let error = misdeed("memory").await.unwrap_err();
    assert!(matches!(error, CallError::Memory(_)), "{error}");
    assert!(error.to_string().contains("`memory`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_beyond_the_interface_are_refused() {
    for text in ["many", "huge", "nothing"] {
        let error = misdeed(text).await.unwrap_err();
        assert!(matches!(error, CallError::Result(_)), "{text}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_floods_the_log_still_answers() {
    assert!(matches!(misdeed("log").await.unwrap(), Decision::Reply(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn looping_guests_do_not_hold_up_a_well_behaved_one() {
    let patient = bot(&binary::guest("hostile"), "call-time = \"60s\"");
    let generation = Loader::new().unwrap().load(&patient, 1).await.unwrap();
    let (looping, well) = (event("loop"), event("well"));
    let loops = futures_util::future::join_all((0..16).map(|_| generation.on_message(&looping)));
    let answered = tokio::select! {
        _ = loops => panic!("they loop for ever"),
        answered = async { generation.on_message(&well).await } => answered,
    };
    assert!(matches!(answered.unwrap(), Decision::Reply(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_plugin_are_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let loader = Loader::new().unwrap();
    let whole = std::fs::read(binary::repository().join("plugins/dist/echo.wasm")).unwrap();
    let half = &whole[..whole.len() / 2];
    // A component in which one export has another name.
    let incomplete = replaced(&whole, b"format-reply", b"format-rexly");
    let cases: [(&str, &[u8], &str); 6] = [
        ("incomplete.wasm", &incomplete, "does not fit the interface"),
        ("module.wasm", b"\0asm\x01\0\0\0", "hearth:bot/handler"),
        ("text.wasm", b"not wasm at all", "not WebAssembly"),
        ("empty.wasm", b"", "not WebAssembly"),
        ("half.wasm", half, "hearth build"),
        ("component.wasm", b"\0asm\x0d\0\x01\0", "hearth:bot/handler"),
    ];
    for (name, content, expected) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = loader.load(&bot(&path, ""), 1).await.err().unwrap().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
    let missing = loader.load(&bot(&folder.path().join("none.wasm"), ""), 1).await.err().unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_are_refused_with_their_place() {
    let toml = "[bots.x]\nplugin = \"assistant\"\n[bots.x.settings]\npersona = 7\n";
    let dist = binary::repository().join("plugins/dist");
    let toml = format!("[host]\nplugins = '{}'\n{toml}", dist.display());
    let config = Config::parse("bots.toml".as_ref(), &toml, &|_| None).unwrap();
    let bot = config.bots.into_values().next().unwrap();
    let error = Loader::new().unwrap().load(&bot, 1).await.err().unwrap().to_string();
    assert!(error.contains("[bots.x.settings]") && error.contains("/persona"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_room_gets_one_sentence_and_the_other_bot_notices_nothing() {
    let world = World::new(&format!(
        "[bots.hostile]\nplugin = '{}'\nlimits = {{ memory = \"16MiB\", call-time = \"300ms\" }}\n\
         [bots.echo]\nplugin = \"echo\"\n",
        binary::guest("hostile").display()
    ))
    .await;
    let room = world.room("hostile");
    for misdeed in ["trap", "loop", "recurse", "memory", "refuse", "many", "trap later"] {
        let answer = world.ask(room, misdeed).await;
        assert!(answer.plain.starts_with("Something is wrong with my code"), "{misdeed}: {}", answer.plain);
        assert!(!answer.plain.contains("secret-looking-cause"), "{}", answer.plain);
        assert_eq!(world.ask(world.room("echo"), "still there?").await.plain, "still there?");
    }
    assert_eq!(world.ask(room, "well").await.plain, "well behaved");
    world.drained().await;
    let you = world.playground.you();
    let said = world.playground.messages(room).into_iter().filter(|message| message.author != you).count();
    assert_eq!(said, 8, "one sentence each");
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
async fn a_misdeed_is_in_the_journal_with_its_cause() {
    let world =
        World::new(&format!("[bots.hostile]\nplugin = '{}'\n", binary::guest("hostile").display())).await;
    world.ask(world.room("hostile"), "refuse").await;
    tokio::time::timeout(PATIENCE, world.lanes().drained()).await.unwrap();
    let journal = world.journal("hostile").await;
    assert_eq!(journal[0].outcome, "plugin-failed");
    assert!(
        journal[0].details["cause"].as_str().unwrap().contains("secret-looking-cause"),
        "{}",
        journal[0].details
    );
    assert_eq!(journal[0].details["plugin"]["name"], "hostile");
}
