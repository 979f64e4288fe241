//! The dashboard in a real Chromium: each test is a scene of `tests/browser/dashboard.mjs`, played against a real host.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::playground::{Fault, Features, Options};
use hearth_tests::{
    browser,
    world::{World, demo_agent},
};
use serde_json::json;

const TOKEN: &str = "a-token-that-is-long-enough";
const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n[bots.assistant]\nplugin = \"assistant\"\ngrants = [\"kv\"]\n\
    [bots.absent]\nplugin = \"no-such-plugin\"\n";

async fn observed(host_keys: &str) -> World {
    observed_at(host_keys, Options::default()).await
}

async fn observed_at(host_keys: &str, campfire: Options) -> World {
    let toml = format!("[host]\nadmin = \"127.0.0.1:0\"\n{host_keys}{}{BOTS}", demo_agent());
    World::with(&toml, campfire).await
}

/// Plays a scene to its end.
async fn play(scene: &str, world: &World) {
    let url = format!("http://{}/", world.admin.unwrap());
    browser::play("dashboard", scene, &url, json!({ "token": TOKEN, "room": world.room("assistant") })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_and_turns_are_seen_and_paused_searched_stopped_and_put_back() {
    // Where rooms have no history, it stays unknown whether a post is there.
    let world = observed_at("", Options { features: Features::oldest(), ..Options::default() }).await;
    let room = world.room("assistant");
    world.ask(world.room("echo"), "hello").await;
    world.ask(room, r#"demo:tool remember {"subject":"lunch","note":"pizza"}"#).await;
    world.ask(room, "demo:die").await;
    world.playground.inject(Fault::ErrorAfterStoring(500), 1);
    world.ask(room, "is this there?").await;
    world.drained().await;
    let (you, shared) = (world.playground.you(), world.playground.shared_room());
    world.playground.say(you, shared, "@assistant demo:slow=3600000").unwrap();
    play("operate", &world).await;
    // The scene put the failed message back, and had the uncertain answer posted anyway.
    world.drained().await;
    assert_eq!(world.answers(room).iter().filter(|answer| answer.contains("is this there?")).count(), 2);
    assert!(world.answers(shared)[0].starts_with("I was stopped."), "{:?}", world.answers(shared));
    assert!(!world.answers(world.room("echo")).iter().any(|answer| answer.contains("paused")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_stays_outside_and_who_has_it_comes_in_and_goes() {
    let world = observed(&format!("admin-token = \"{TOKEN}\"\n")).await;
    play("login", &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_bots_write_is_never_more_than_text() {
    let world = observed("").await;
    let evil = |number: u32| {
        format!("<img src=x onerror=\"window.broken={number}\"><script>window.broken={number}</script>")
    };
    let (account, bot) = (world.playground.add_person(&evil(1)), world.user("assistant"));
    let room = world.playground.direct_room(account, bot).unwrap();
    // A name, a message and an answer, as the journal has them: in the calls of tools.
    let note = json!({ "subject": evil(2), "note": evil(3) });
    world.ask_as(account, room, &format!("demo:tool remember {note}")).await;
    world.ask_as(account, room, "demo:tool recall {}").await;
    world.ask_as(account, room, &format!("demo:tool {} {{}}", "<b>no-such</b>")).await;
    world.drained().await;
    play("markup", &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_it_by_sight_by_ear_and_by_keyboard() {
    let world = observed("").await;
    let room = world.room("assistant");
    world.ask(room, r#"demo:tool remember {"subject":"lunch","note":"pizza"}"#).await;
    world.ask(room, "demo:die").await;
    world.ask(world.room("echo"), "hello").await;
    world.drained().await;
    play("access", &world).await;
}
