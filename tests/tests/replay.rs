//! What is kept of a turn, and the turn run again from it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::{
    id::TurnId,
    plugin::trace::Trace,
    store::{Insight, Store},
};
use hearth_tests::{binary, world::World};
use serde_json::{Value, json};

/// The newest turn and its trace. Ends the host.
async fn last_trace(world: &mut World) -> (TurnId, Trace) {
    world.drained().await;
    world.stop().await;
    let store = world.store().await;
    let turn = store.journal(None, 1).await.unwrap().remove(0).turn;
    let trace = store.trace(&turn).await.unwrap().expect("it has a trace");
    store.close().await;
    (turn, serde_json::from_str(&trace).unwrap())
}

fn value(piece: &hearth::plugin::trace::Piece) -> Value {
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
    let (_, trace) = last_trace(&mut world).await;

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
