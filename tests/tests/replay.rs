//! What is kept of a turn, and the turn run again from it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{path::Path, process::Stdio, sync::Arc};

use hearth::{
    config::{Bot, Config},
    plugin::{
        Loader,
        trace::{Piece, Trace},
    },
    store::{Insight, Store},
};
use hearth_tests::{binary, outside::Outside, world::World};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The trace of the newest turn. Ends the host.
async fn last_trace(world: &mut World) -> Trace {
    world.drained().await;
    world.stop().await;
    let store = world.store().await;
    let turn = store.journal(None, 1).await.unwrap().remove(0).turn;
    let trace = store.trace(&turn).await.unwrap().expect("it has a trace");
    store.close().await;
    serde_json::from_str(&trace).unwrap()
}

fn value(piece: &Piece) -> Value {
    serde_json::from_str(piece.as_ref().expect("it is kept").get()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_kept_as_its_plugin_lived_it() {
    let mut world = World::new(&format!(
        "[bots.assistant]\nplugin = '{}'\ngrants = [\"kv\"]\nsettings = {{ persona = \"You are a pirate.\" }}\n",
        binary::guest("assistant").display()
    ))
    .await;
    let room = world.room("assistant");
    let text = r#"demo:tool remember {"subject": "Standup", "note": "It is at nine."}"#;
    let answer = world.ask(room, text).await;
    let trace = last_trace(&mut world).await;

    assert_eq!(value(&trace.cause)["message"]["message"]["text"], json!(text));
    let asked = trace.asked.unwrap();
    assert!(asked.system_prompt.unwrap().starts_with("You are a pirate.") && !asked.resumed);
    let calls: Vec<_> = trace.calls.iter().filter(|call| call.call != "show").collect();
    let names: Vec<_> = calls.iter().map(|call| call.call.as_str()).collect();
    assert_eq!(names, ["decide", "call-tool", "format-reply"]);
    let prompt = value(&calls[0].output)["ok"]["ask"]["text"].clone();
    assert!(prompt.as_str().unwrap().ends_with(text), "{prompt}");
    assert_eq!(value(&calls[1].input)["name"], json!("remember"));
    assert!(value(&calls[1].output)["ok"].as_str().unwrap().contains("Noted."));
    let set = calls[1].host.iter().find(|call| call.function == "kv.set").expect("it writes the note");
    assert!(value(&set.arguments)["value"].as_str().unwrap().contains("It is at nine."));
    assert!(value(&set.answer)["ok"].is_u64());
    let outcome = value(&calls[2].input);
    assert!(outcome["completed"]["text"].as_str().unwrap().contains("Noted."), "{outcome}");
    let said = value(&calls[2].output)["ok"][0]["markdown"].clone();
    assert!(said.as_str().unwrap().contains("Noted.") && answer.plain.contains("Noted."), "{said}");
    assert!(calls.iter().all(|call| call.took > 0) && calls[0].at <= calls[2].at);
    assert!(!trace.cut);
}

/// Runs `hearth replay`: its exit code, and what it prints.
async fn replay(outside: &Outside, arguments: &[&str]) -> (Option<i32>, String) {
    let arguments: Vec<_> = ["replay"].iter().chain(arguments).copied().collect();
    let output = outside.run_by(&[], &arguments, Stdio::null()).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_run_again_on_what_served_them_and_on_another_build() {
    let mut outside = Outside::with_bot("grants = [\"kv\"]").await;
    outside.say(r#"demo:tool remember {"subject": "Standup", "note": "It is at nine."}"#).await;
    outside.answered(1).await;
    outside.say(r#"demo:tool recall {"about": "standup"}"#).await;
    outside.answered(2).await;
    let said = outside.answers();
    // Once it has ended, all of it is in the journal.
    outside.end(Signal::TERM).await;

    let (code, told) = replay(&outside, &["--last", "10", "--json"]).await;
    assert_eq!(code, Some(0), "{told}");
    let turns: Value = serde_json::from_str(&told).unwrap();
    let verdicts: Vec<_> = turns.as_array().unwrap().iter().map(|turn| &turn["verdict"]).collect();
    assert_eq!(verdicts, ["same", "same"], "{told}");
    let turn = turns[0]["turn"].as_str().unwrap();
    let calls: Vec<_> =
        turns[0]["replayed"]["calls"].as_array().unwrap().iter().map(|call| &call["call"]).collect();
    assert_eq!(calls, ["decision", "tool remember", "reply"]);

    // A host that runs is asked.
    outside.start().await;
    let (code, told) = replay(&outside, &[turn]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains(": same\n✓ decision\n✓ tool remember\n✓ reply\n"), "{told}");

    let echo = binary::guest("echo");
    let (code, told) = replay(&outside, &[turn, "--plugin", echo.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{told}");
    for line in
        ["✗ decision", "--- then", "+++ now", "-  ask:", "+  reply:", "the agent would not be asked now"]
    {
        assert!(told.contains(line), "{line} is missing in:\n{told}");
    }
    let (code, told) = replay(&outside, &["--last", "10", "--plugin", echo.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("decision differs") && told.contains("0 same, 2 differ, 0 not run"), "{told}");

    outside.end(Signal::TERM).await;
    assert_eq!(outside.answers(), said, "nothing is posted");
    let (_, told) = replay(&outside, &["--last", "10"]).await;
    assert!(told.contains("2 same, 0 differ, 0 not run"), "nothing was added to the journal: {told}");
    let refused = outside.hearth_fails(&["replay", "nosuchid"]).await;
    assert!(refused.contains("no such turn"), "{refused}");
}

fn bot(plugin: &Path) -> Arc<Bot> {
    let toml = format!("[bots.x]\nplugin = '{}'\n", plugin.display());
    let config = Config::parse("bots.toml".as_ref(), &toml, &|_| None).unwrap();
    config.bots.into_values().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_file_was_replaced_is_found_among_what_was_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, compiled) = (folder.path().join("x.wasm"), folder.path().join("compiled"));
    std::fs::copy(binary::guest("echo"), &plugin).unwrap();
    let bot = bot(&plugin);
    let loader = || Loader::new().unwrap().keeping(&compiled);
    let hash = loader().load(&bot, 1).await.unwrap().plugin.hash.to_string();
    std::fs::copy(binary::guest("toolbox"), &plugin).unwrap();
    let again = loader().load_again(&bot, &hash).await.unwrap().expect("it was compiled");
    assert_eq!((again.plugin.name.as_str(), again.plugin.hash.to_string()), ("echo", hash.clone()));
    let now = loader().load(&bot, 1).await.unwrap().plugin.hash.to_string();
    assert_ne!(now, hash);
    let nothing_kept = Loader::new().unwrap();
    assert!(nothing_kept.load_again(&bot, &hash).await.unwrap().is_none());
    assert!(nothing_kept.load_again(&bot, &now).await.unwrap().is_some(), "the file itself");
}
