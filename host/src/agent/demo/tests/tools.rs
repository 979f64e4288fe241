//! Tools of a host that answers as the test does.

use serde_json::{Value, json};

use super::{Talk, shapes::differences, user};

const CONFIGURED: [&str; 2] =
    [r#"--mcp-config={"mcpServers":{"host":{"type":"sdk","name":"host"}}}"#, "--allowedTools=mcp__host"];
const RECORDING: &str = include_str!("../../../../../tests/fixtures/claude/66_sdk_mcp_server.stdout.jsonl");

/// The lines of the recording that bring a message for the host's server, by its method.
fn recorded(method: &str) -> Value {
    let mut lines = RECORDING.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| line["request"]["message"]["method"] == method).unwrap()
}

/// The next line, which must bring that message in the recorded shape.
fn asked(talk: &Talk, method: &str) -> Value {
    let line = talk.until("control_request");
    let differences = differences(&recorded(method), &line, method);
    // What only a real CLI has to say of itself, and the input's own field.
    let own = ["clientInfo.title", "clientInfo.description", "clientInfo.websiteUrl", "arguments.text"];
    let missing: Vec<_> =
        differences.iter().filter(|difference| !own.iter().any(|own| difference.contains(own))).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert_eq!(line["request"]["message"]["method"], method);
    line
}

fn initialize() -> String {
    let request = json!({ "subtype": "initialize", "hooks": null });
    format!("{}\n", json!({ "type": "control_request", "request_id": "init", "request": request }))
}

fn answer(request: &Value, result: &Value) -> String {
    let message = json!({ "jsonrpc": "2.0", "id": request["request"]["message"]["id"], "result": result });
    let response = json!({
        "subtype": "success",
        "request_id": request["request_id"],
        "response": { "mcp_response": message },
    });
    format!("{}\n", json!({ "type": "control_response", "response": response }))
}

/// A process that has been offered `add` and `wait`.
fn offered() -> Talk {
    let talk = Talk::begin(&CONFIGURED);
    talk.say(initialize());
    let began = asked(&talk, "initialize");
    talk.say(answer(&began, &json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} } })));
    assert_eq!(talk.next()["response"]["request_id"], "init", "its own question comes first");
    asked(&talk, "notifications/initialized");
    let list = asked(&talk, "tools/list");
    talk.say(answer(&list, &json!({ "tools": [{ "name": "add" }, { "name": "wait" }] })));
    talk
}

#[test]
fn tools_are_asked_for_as_the_cli_does_and_named_at_the_beginning_of_a_turn() {
    let talk = offered();
    talk.say(user("hello"));
    let init = talk.until("system");
    assert_eq!(init["tools"], json!(["mcp__host__add", "mcp__host__wait"]));
    assert_eq!(init["mcp_servers"], json!([{ "name": "host", "status": "connected", "source": "sdk" }]));
    assert_eq!(talk.until("result")["num_turns"], 1);
    assert_eq!(talk.end(), 0);
}

#[test]
fn a_call_is_made_as_the_cli_does_and_its_result_is_the_answer() {
    let talk = offered();
    talk.say(user("please demo:tool add {\"a\": 1}"));
    let used = talk.until("assistant");
    assert_eq!(used["message"]["content"][0]["input"], json!({ "a": 1 }));
    let call = asked(&talk, "tools/call");
    assert_eq!(call["request"]["message"]["params"]["name"], "add");
    assert_eq!(call["request"]["message"]["params"]["arguments"], json!({ "a": 1 }));
    talk.say(answer(&call, &json!({ "content": [{ "type": "text", "text": "all of it" }] })));
    assert_eq!(talk.until("user")["message"]["content"][0]["content"][0]["text"], "all of it");
    let result = talk.until("result");
    assert_eq!(
        (&result["result"], &result["num_turns"]),
        (&json!("(demo agent) `add` answered: all of it"), &json!(2))
    );
    assert_eq!(talk.end(), 0);
}

#[test]
fn calls_of_one_message_are_open_at_once_and_answered_in_any_order() {
    let talk = offered();
    talk.say(user("demo:tool add {} demo:tool mcp__host__wait {}"));
    let (first, second) = (asked(&talk, "tools/call"), asked(&talk, "tools/call"));
    let error = json!({ "content": [{ "type": "text", "text": "too late" }], "isError": true });
    talk.say(answer(&second, &error));
    talk.say(answer(&first, &json!({ "content": [{ "type": "text", "text": "soon" }] })));
    let said = talk.until("result")["result"].as_str().unwrap().to_owned();
    assert_eq!(said, "(demo agent) `add` answered: soon\n `mcp__host__wait` failed: too late");
    assert_eq!(talk.end(), 0);
}

#[test]
fn an_interrupt_takes_a_call_back() {
    let talk = offered();
    talk.say(user("demo:tool wait"));
    let call = asked(&talk, "tools/call");
    let interrupt = json!({ "subtype": "interrupt" });
    talk.say(format!("{}\n", json!({ "type": "control_request", "request_id": "i", "request": interrupt })));
    let taken_back = talk.until("control_request")["request"]["message"].clone();
    assert_eq!(taken_back["method"], "notifications/cancelled");
    assert_eq!(taken_back["params"]["requestId"], call["request"]["message"]["id"]);
    assert_eq!(talk.until("result")["terminal_reason"], "aborted_streaming");
    talk.end();
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused_without_asking_the_host() {
    let talk = offered();
    talk.say(user("demo:tool subtract"));
    let said = talk.until("result")["result"].as_str().unwrap().to_owned();
    assert!(said.contains("No such tool available: subtract"), "{said}");
    talk.say(user("demo:tool"));
    let said = talk.until("result")["result"].as_str().unwrap().to_owned();
    assert!(said.contains("- `mcp__host__add`"), "{said}");
    talk.end();
}

#[test]
fn a_host_that_does_not_say_that_it_serves_has_offered_nothing() {
    let talk = Talk::begin(&CONFIGURED);
    talk.say(user("hello"));
    let init = talk.until("system");
    assert_eq!((&init["tools"], &init["mcp_servers"][0]["status"]), (&json!([]), &json!("failed")));
    talk.end();
}
