//! A `bots.toml` that changes under a running host.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{fs, os::unix::fs::symlink};

use hearth::reload::Outcome;
use hearth_tests::{
    binary,
    outside::Outside,
    world::{PATIENCE, World, demo_agent},
};
use rustix::process::Signal;

const ECHO: &str = "[bots.echo]\nplugin = \"echo\"\n";

/// A world in which bots.toml says this. What the demo agent is comes with it.
async fn world(bots: &str) -> World {
    World::new(bots).await
}

fn toml(bots: &str) -> String {
    format!("{}\n{bots}", demo_agent())
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_are_added_changed_and_removed_while_others_answer() {
    let world = world(ECHO).await;
    world.generation("echo", 1).await;
    let hostile = binary::guest("hostile");
    world.save(&toml(&format!("{ECHO}[bots.second]\nplugin = '{}'\n", hostile.display())));
    world.generation("second", 1).await;
    assert_eq!(world.ask(world.room("second"), "well").await.plain, "well behaved");

    world.save(&toml(&format!("{ECHO}[bots.second]\nplugin = \"echo\"\n")));
    world.generation("second", 2).await;
    assert_eq!(world.ask(world.room("second"), "well").await.plain, "well");

    world.save(&toml(ECHO));
    world.gone("second").await;
    assert_eq!(world.ask(world.room("echo"), "well").await.plain, "well");
    let echo = world.roster().bot("echo").unwrap().generation.unwrap();
    assert_eq!(echo.number, 1, "what did not change was left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bots_mistake_leaves_the_others_and_its_own_last_good_state_running() {
    let world = world(&format!("{ECHO}[bots.other]\nplugin = \"echo\"\n")).await;
    world.generation("other", 1).await;
    let mistakes = ["plugin = \"echo\"\nmax-turns = 0", "plugin = 3", "plugin = \"no-such-plugin\""];
    for (model, mistake) in (2..).zip(mistakes) {
        world.save(&toml(&format!("{ECHO}model = \"m{model}\"\n[bots.other]\n{mistake}\n")));
        world.generation("echo", model).await;
        assert_eq!(world.ask(world.room("other"), "well").await.plain, "well", "{mistake}");
    }
    // What is no bot's own mistake changes nothing at all.
    world.save(&toml(&format!("{ECHO}model = \"m9\"\n[bots.other\n")));
    let reloaded = world.reloader().reload().await.unwrap();
    assert!(reloaded.config.as_ref().unwrap().contains("this is not TOML"), "{reloaded:?}");
    assert!(reloaded.bots.values().all(|outcome| !matches!(outcome, Outcome::Removed | Outcome::Live(_))));
    assert_eq!(world.ask(world.room("other"), "well").await.plain, "well");

    world.save(&toml(&format!("{ECHO}[bots.other]\nplugin = '{}'\n", binary::guest("hostile").display())));
    world.generation("other", 2).await;
    assert_eq!(world.ask(world.room("other"), "well").await.plain, "well behaved");
    assert_eq!(world.reloader().status().config.refused, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_bots_turn_ends_and_what_waits_behind_it_is_answered_when_the_bot_is_back() {
    let assistant = "[bots.bot]\nplugin = \"assistant\"\n";
    let world = world(&format!("{ECHO}{assistant}")).await;
    let (room, you) = (world.room("bot"), world.playground.you());
    // A bot that is gone from the file is removed a second later.
    world.begin(room, "demo:slow=12000 patience").await;
    world.say(room, "my name is Zelda").await;

    world.save(&toml(ECHO));
    world.gone("bot").await;
    world
        .playground
        .wait_for(room, |message| message.plain.contains("patience") && message.author != you, PATIENCE)
        .await
        .unwrap();
    world.drained().await;
    assert_eq!(world.answers(room).len(), 1, "nobody answers what waits");

    world.save(&toml(&format!("{ECHO}{assistant}")));
    let zelda =
        |message: &hearth::playground::Message| message.author != you && message.plain.contains("Zelda");
    world.playground.wait_for(room, zelda, PATIENCE).await.unwrap();
    world.generation("bot", 2).await;
    world.drained().await;
    assert_eq!(world.answers(room).len(), 2, "each message is answered once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_in_a_file_of_its_own_is_followed_too() {
    let world = world(ECHO).await;
    let prompt = world.config.path.with_file_name("prompt");
    fs::write(&prompt, "be kind").unwrap();
    world.save(&toml(&format!("{ECHO}system-prompt-file = \"prompt\"\n")));
    world.generation("echo", 2).await;
    // Not in place: it would be empty for a moment.
    let beside = prompt.with_extension("new");
    fs::write(&beside, "be brief").unwrap();
    fs::rename(beside, &prompt).unwrap();
    world.generation("echo", 3).await;
    let seat = world.roster().bot("echo").unwrap();
    assert_eq!(seat.bot.system_prompt.as_deref(), Some("be brief"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_a_link_into_a_folder_that_is_swapped_is_followed() {
    // As clusters mount what they configure: bots.toml -> ..data/bots.toml, ..data -> ..1.
    let world = world(ECHO).await;
    let path = world.config.path.clone();
    let folder = path.parent().unwrap();
    let base = fs::read_to_string(&path).unwrap();
    for (version, model) in [("..1", "model = \"one\"\n"), ("..2", "model = \"two\"\n")] {
        fs::create_dir(folder.join(version)).unwrap();
        fs::write(folder.join(version).join("bots.toml"), format!("{base}{model}")).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/bots.toml", folder.join("link")).unwrap();
    fs::rename(folder.join("link"), &path).unwrap();
    world.generation("echo", 2).await;
    symlink("..2", folder.join("..next")).unwrap();
    fs::rename(folder.join("..next"), folder.join("..data")).unwrap();
    world.generation("echo", 3).await;
    assert_eq!(world.roster().bot("echo").unwrap().bot.model.as_deref(), Some("two"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_gets_another_name_ends_its_turn_under_the_old_one_and_answers_under_the_new_one() {
    let outside = Outside::new("").await;
    let path = outside.folder().join("bots.toml");
    let toml = fs::read_to_string(&path).unwrap();
    let (_, secret) = toml.split_once("webhook-secret = \"").unwrap();
    let (secret, _) = secret.split_once('"').unwrap();
    outside.ask("my name is Zelda demo:slow=3000").await;
    outside.save(&toml.replace("[bots.assistant]", "[bots.helper]"));
    outside.logs("a bot has another name").await;
    outside.logs("the bot is gone from bots.toml").await;
    let status: serde_json::Value =
        serde_json::from_str(&outside.hearth(&["status", "--json"]).await).unwrap();
    let bots: Vec<_> = status["bots"].as_array().unwrap().iter().map(|bot| &bot["bot"]).collect();
    assert_eq!(bots, ["helper"]);
    outside.hear("Zelda").await;
    // The key is the same, and so is the account in Campfire; its webhook leads to the old name until that is changed there.
    let client = reqwest::Client::new();
    for (name, taken) in [("assistant", 404), ("helper", 204)] {
        let hook = format!("http://{}/hooks/{name}/{secret}", outside.listen);
        let message = webhook(&outside, "what did I say? under another name");
        let answer = client.post(hook).body(message).send().await.unwrap();
        assert_eq!(answer.status(), taken, "{name}");
    }
    outside.hear("(demo agent)").await;
    outside.answered(2).await;
}

/// What Campfire tells of a message that you wrote to the assistant.
fn webhook(outside: &Outside, text: &str) -> String {
    let Outside { playground, room, .. } = outside;
    serde_json::json!({
        "user": { "id": playground.you().0, "name": "You" },
        "room": { "id": room.0, "name": null, "path": format!("/rooms/{}/1-key/messages", room.0) },
        "message": { "id": 1, "body": { "html": text, "plain": text }, "path": format!("/rooms/{}/@1", room.0) },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_runs_and_has_it_read_again() {
    let outside = Outside::new("").await;
    // Its agent is there, and its plugin loaded.
    outside.logs("the agent is there").await;
    let status = || async { outside.hearth(&["status"]).await };
    let said = status().await;
    assert!(said.starts_with("BOT\tGENERATION\tPLUGIN\tHASH\tSINCE\tBUSY\tSTATE\n"), "{said}");
    assert!(said.contains("assistant\t") && said.contains("\topen"), "{said}");
    let unchanged = outside.hearth(&["reload"]).await;
    assert!(unchanged.contains("assistant: unchanged"), "{unchanged}");

    let path = outside.folder().join("bots.toml");
    let right = fs::read_to_string(&path).unwrap();
    outside.save(&format!("{right}max-turns = 0\n"));
    let refused = outside.run_by(&[], &["reload"], std::process::Stdio::null()).await;
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("`max-turns` is 0") && said.contains("bots.toml:"), "{said}");
    let said = status().await;
    assert!(said.contains("`max-turns` is 0"), "{said}");

    outside.save(&(right.replace("[host]\n", "[host]\nqueue-limit = 7\n") + "model = \"m\"\n"));
    let said = outside.hearth(&["reload", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["restart"], serde_json::json!(["[host] queue-limit"]), "{json}");
    let json: serde_json::Value = serde_json::from_str(&outside.hearth(&["status", "--json"]).await).unwrap();
    assert_eq!(json["config"]["refused"], serde_json::Value::Null, "{json}");
    assert_eq!(json["bots"][0]["running"]["plugin"], "assistant", "{json}");
    let said = outside.hearth_fails(&["reload", "--lift", "asistant"]).await;
    assert!(said.contains("no bot is called `asistant`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_has_everything_read_again_and_without_a_host_there_is_nothing_to_ask() {
    let mut outside = Outside::new("").await;
    let path = outside.folder().join("bots.toml");
    let right = fs::read_to_string(&path).unwrap();
    outside.save(&(right + "model = \"m\"\n"));
    rustix::process::kill_process(outside.process(), Signal::HUP).unwrap();
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    assert!(outside.end(Signal::TERM).await.success());
    for command in ["status", "reload"] {
        let said = outside.hearth_fails(&[command]).await;
        assert!(said.contains("no host runs") && said.contains("hearth run"), "{said}");
    }
}
