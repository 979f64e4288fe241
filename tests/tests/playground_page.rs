//! The playground's page in a real Chromium: each test is a scene of `tests/browser/playground.mjs`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{path::Path, process::Stdio};

use hearth::playground::Options;
use hearth_tests::{
    binary, browser,
    world::{PATIENCE, World, demo_agent},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n[bots.assistant]\nplugin = \"assistant\"\n\
    grants = [\"campfire\", \"kv\"]\nprogress-after = \"100ms\"\n";

async fn world() -> World {
    World::with(&format!("{}{BOTS}", demo_agent()), Options::default()).await
}

/// Plays a scene to its end.
async fn play(scene: &str, world: &World, more: Value) {
    let url = world.config.bots.values().next().unwrap().campfire_url.clone().unwrap();
    browser::play("playground", scene, url.as_str(), more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_talk_to_bots_name_them_and_are_somebody_else() {
    let world = world().await;
    world.playground.add_person("Mira");
    world.generation("echo", 1).await;
    play("converse", &world, json!({})).await;
    // Bots see who it was.
    let mira = world.playground.messages(world.room("echo"));
    assert!(!mira.iter().any(|message| message.plain == "it is me"), "Mira has a room of her own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_writes_edits_boosts_sends_and_deletes_the_other_sees() {
    let world = world().await;
    let mira = world.playground.add_person("Mira");
    play("together", &world, json!({ "mira": mira })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_seen_to_come_along_where_the_server_can_edit() {
    play("progress", &world().await, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_turn_behind_a_message_is_there_to_be_looked_into() {
    let world = world().await;
    world.generation("assistant", 1).await;
    play("turn", &world, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_bots_toml_is_shown_as_long_as_it_is_there() {
    let world = world().await;
    let folder = TempDir::new().unwrap();
    let files = ["wrong", "right"].map(|name| folder.path().join(name));
    let scene = play("refused", &world, json!({ "wrong": files[0], "right": files[1] }));
    let saving = async {
        exists(&files[0]).await;
        world.save(&format!("{}{BOTS}max-turnz = 3\n", demo_agent()));
        exists(&files[1]).await;
        world.save(&format!("{}{BOTS}", demo_agent()));
    };
    tokio::join!(scene, saving);
}

/// Waits until the scene has made this file. (A file that is written tells nobody: it is looked for.)
async fn exists(file: &Path) {
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(50));
    let there = async {
        while !file.exists() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE * 5, there).await.expect("the scene comes to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_and_bots_write_is_never_more_than_text() {
    let world = world().await;
    let evil = |number: u32| {
        format!("<img src=x onerror=\"window.broken={number}\"><script>window.broken={number}</script>")
    };
    let (you, echo) = (world.playground.you(), world.user("echo"));
    let account = world.playground.add_person(&evil(1));
    let room = world.playground.add_room(&evil(2), &[you, account, echo]).unwrap();
    world.playground.upload(you, room, &evil(3), "x").unwrap();
    world.playground.say(account, room, &evil(4)).unwrap();
    // The bot says it back, as markup that Campfire would take.
    world.ask_as(account, room, &format!("@echo {}", evil(5))).await;
    world.playground.set_notice(&evil(1));
    let texts = [3, 4, 5].map(|number| format!("window.broken={number}"));
    play("markup", &world, json!({ "room": evil(2), "texts": texts })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_it_by_sight_by_ear_and_by_keyboard() {
    let world = world().await;
    let (you, room) = (world.playground.you(), world.playground.shared_room());
    let mira = world.playground.add_person("Mira");
    world.playground.say(mira, room, "Morning! Is the new bot in yet?").unwrap();
    let said = world.playground.say(you, room, "It is. Name it, and see what it does.").unwrap();
    world.playground.boost(mira, room, said, "❤").unwrap();
    world.ask_as(mira, room, "@echo coffee at ten, in the kitchen?").await;
    world.playground.upload(you, room, "beans.csv", "kind,grams\nmocha,250\n").unwrap();
    world.playground.say(you, room, "/play tada").unwrap();
    world.ask_as(you, room, r#"@assistant demo:tool remember {"subject":"coffee","note":"at ten"}"#).await;
    world.drained().await;
    play("access", &world, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_compiler_refuses_is_shown_and_what_it_takes_answers() {
    let folder = TempDir::new().unwrap();
    let hearth = |folder: &Path, arguments: &[&str]| {
        #[expect(clippy::disallowed_methods, reason = "the commands are what is tested")]
        let mut command = Command::new(binary::path());
        // Guests are built below this, so that the standard library is compiled once for all of them.
        command.env("CARGO_TARGET_DIR", binary::repository().join("target")).args(arguments);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    };
    let made = hearth(folder.path(), &["new", "my-bot"]).status().await.unwrap();
    assert!(made.success());
    let project = folder.path().join("my-bot");
    let sources = project.join("plugins/my-bot/src");
    let source = std::fs::read_to_string(sources.join("lib.rs")).unwrap();
    let mut dev = hearth(&project, &["dev"]).spawn().unwrap();
    let mut said = BufReader::new(dev.stdout.take().unwrap()).lines();
    let url = async {
        loop {
            let line = said.next_line().await.unwrap().expect("it says where its page is");
            if let Some((_, rest)) = line.split_once("Open ") {
                return rest.split(' ').next().unwrap().to_owned();
            }
        }
    };
    let url = tokio::time::timeout(PATIENCE, url).await.expect("it is up in time");
    browser::play("playground", "workshop", &url, json!({ "sources": sources, "source": source })).await;
    let id = rustix::process::Pid::from_raw(dev.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, dev.wait()).await.expect("it ends").unwrap();
    assert!(ended.success());
}
