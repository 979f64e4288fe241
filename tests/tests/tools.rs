//! Tools of a plugin: what is offered, what is refused, and what a room and the journal see of calls.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use hearth::{
    config::{Bot, Config},
    plugin::{LoadError, Loader},
    store::{JournalRow, Store, ToolCallRow},
};
use hearth_tests::{
    binary,
    world::{PATIENCE, World},
};
use serde_json::{Value, json};

/// A bot on the test guest that has tools, with these settings.
fn bot(settings: &Value, call_time: &str) -> Arc<Bot> {
    let bot = json!({
        "plugin": binary::guest("toolbox"),
        "limits": { "call-time": call_time, "compute": "1m" },
        "settings": settings,
    });
    let toml = toml::to_string(&json!({ "bots": { "x": bot } })).unwrap();
    let config = Config::parse("bots.toml".as_ref(), &toml, &|_| None).unwrap();
    config.bots.into_values().next().unwrap()
}

async fn refused(settings: Value, call_time: &str) -> LoadError {
    Loader::new().unwrap().load(&bot(&settings, call_time), 1).await.err().expect("it is refused")
}

fn tool(name: &str, description: &str, schema: &str) -> Value {
    json!({ "name": name, "description": description, "input-schema": schema })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_a_plugin_are_known_once_it_is_loaded() {
    let generation = Loader::new().unwrap().load(&bot(&json!({}), "30s"), 1).await.unwrap();
    let names: Vec<_> = generation.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["add", "fill", "context", "build", "refuse", "trap", "loop", "hoard"]);
    let add = &generation.tools()[0];
    assert!(add.read_only && add.description == "Adds two whole numbers.");
    assert_eq!(add.input_schema["required"], json!(["a", "b"]));

    let echo = Config::parse(
        "bots.toml".as_ref(),
        &format!("[bots.x]\nplugin = '{}'\n", binary::guest("echo").display()),
        &|_| None,
    );
    let echo = echo.unwrap().bots.into_values().next().unwrap();
    assert!(Loader::new().unwrap().load(&echo, 1).await.unwrap().tools().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_with_a_tool_that_can_t_be_offered_is_refused_and_the_tool_is_named() {
    let object = r#"{"type": "object"}"#;
    for (tools, name, problem) in [
        (json!([tool("two words", "x", object)]), "two words", "1 to 64"),
        (json!([tool("add", "", object)]), "add", "description is empty"),
        (json!([tool("add", "x", "{")]), "add", "no JSON object"),
        (json!([tool("add", "x", r#"{"type": "string"}"#)]), "add", "not of `\"type\": \"object\"`"),
        (json!([tool("add", "x", r#"{"type": "object", "required": 7}"#)]), "add", "no JSON Schema"),
        (
            json!([tool("add", "x", r#"{"type": "object", "$ref": "https://example.com/x.json"}"#)]),
            "add",
            "no JSON Schema",
        ),
        (json!([tool("add", "x", object), tool("add", "y", object)]), "add", "another tool of that name"),
    ] {
        match refused(json!({ "tools": tools }), "30s").await {
            LoadError::Tool { tool, problem: found } => {
                assert_eq!(tool, name);
                assert!(found.contains(problem), "{problem:?} in {found:?}");
            }
            other => panic!("{tools}: {other}"),
        }
    }
    let many: Vec<_> = (0..65).map(|index| tool(&format!("t{index}"), "x", object)).collect();
    let error = refused(json!({ "tools": many }), "30s").await;
    assert!(error.to_string().contains("65 tools"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_traps_or_does_not_end_refuses_the_plugin() {
    for (listing, call_time, cause) in [("trap", "30s", "trapped"), ("loop", "300ms", "`call-time`")] {
        let error = refused(json!({ "listing": listing }), call_time).await;
        assert!(matches!(error, LoadError::ListTools(_)), "{error}");
        assert!(error.to_string().contains(cause), "{error}");
    }
}

async fn world() -> World {
    World::new(&format!(
        "[bots.toolbox]\nplugin = '{}'\nlimits = {{ memory = \"16MiB\", compute = \"5s\" }}\n\
         [bots.toolbox.settings]\ncolour = \"red\"\n",
        binary::guest("toolbox").display()
    ))
    .await
}

/// The last turn's row and its calls. Ends the host.
async fn journal(mut world: World) -> (JournalRow, Vec<ToolCallRow>) {
    tokio::time::timeout(PATIENCE, world.lanes().drained()).await.unwrap();
    world.stop().await;
    let store = world.store().await;
    let row = store.journal(None, 1).await.unwrap().remove(0);
    let calls = store.tool_calls(&row.turn).await.unwrap();
    (row, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_calls_a_tool_and_the_call_is_kept() {
    let world = world().await;
    let room = world.room("toolbox");
    let answer = world.ask(room, r#"please demo:tool add {"a": 2, "b": 40}"#).await;
    assert!(answer.plain.contains(r#"add answered: {"sum":42}"#), "{}", answer.plain);
    let (row, calls) = journal(world).await;
    assert_eq!((row.outcome.as_str(), &row.details["tool-calls"]), ("answered", &json!(1)));
    assert_eq!(row.details["agent"]["cause"], Value::Null);
    let call = &calls[0];
    assert_eq!((call.index, call.tool.as_str(), call.output.as_str()), (0, "add", r#"{"sum":42}"#));
    assert_eq!(serde_json::from_str::<Value>(&call.input).unwrap(), json!({ "a": 2, "b": 40 }));
    assert_eq!((&call.error, &call.cause), (&None, &None));
    assert!(!call.duration.is_zero() && call.started_at >= row.started_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_knows_what_the_turn_is_about() {
    let world = world().await;
    let room = world.room("toolbox");
    let answer = world.ask(room, "demo:tool context").await;
    for part in [&format!("\"room\":{}", room.0), "\"bot\":\"toolbox\"", "demo:tool context", "red"] {
        assert!(answer.plain.contains(part), "{part} in {}", answer.plain);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_tool_does_the_turn_goes_on_and_the_model_is_told_what_it_can_use() {
    let world = world().await;
    let broke_off = "failed: the tool broke off";
    for (call, told) in [
        (r#"refuse {"kind": "denied"}"#, "denied: it was told to refuse; try"),
        (r#"refuse {"kind": "not-found"}"#, "not-found: it was told"),
        (r#"add {"a": "two", "b": 1}"#, "invalid-input: the input does not fit:"),
        ("add", "invalid-input: the input does not fit:"),
        ("trap", broke_off),
        ("loop", broke_off),
        ("hoard", broke_off),
    ] {
        let answer = world.ask(world.room("toolbox"), &format!("demo:tool {call}")).await;
        assert!(answer.plain.contains(told), "{told:?} in {}", answer.plain);
        for inside in ["secret-looking-cause", "wasm", "unreachable", "compute", "call-time", "bytes"] {
            assert!(!answer.plain.contains(inside), "{call}: {}", answer.plain);
        }
    }
    let (row, calls) = journal(world).await;
    assert_eq!(row.outcome, "answered");
    assert_eq!(calls[0].error.as_deref(), Some("failed"));
    assert!(calls[0].cause.as_deref().unwrap().contains("raise `memory`"), "{:?}", calls[0].cause);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_message_are_counted_in_their_order() {
    let world = world().await;
    let text = r#"demo:tool add {"a": 1, "b": 1} demo:tool trap demo:tool add {"a": 2, "b": 2}"#;
    let answer = world.ask(world.room("toolbox"), text).await;
    for part in [r#"{"sum":2}"#, "broke off", r#"{"sum":4}"#] {
        assert!(answer.plain.contains(part), "{part} in {}", answer.plain);
    }
    let (row, calls) = journal(world).await;
    assert_eq!(row.details["tool-calls"], 3);
    assert_eq!(calls.len(), 3);
    assert!((0..).zip(&calls).all(|(index, call)| call.index == index));
    assert_eq!(calls.iter().filter(|call| call.error.is_some()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_of_a_large_output_is_its_beginning() {
    let world = world().await;
    world.ask(world.room("toolbox"), r#"demo:tool fill {"kib": 200}"#).await;
    let (_, calls) = journal(world).await;
    assert_eq!(calls[0].output.len(), 16 << 10);
    assert!(calls[0].output.ends_with('…'));
}
