//! A server against what a CLI sends, as recorded and as it should not be.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::{sync::Semaphore, time::timeout};

use super::*;
use crate::agent::{
    protocol::{Line, Wants},
    tools::ToolFailure,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// Tools that say what they were called with, or wait until they are let go.
struct Workshop {
    running: watch::Sender<usize>,
    most: AtomicUsize,
    dropped: watch::Sender<usize>,
    /// A permit lets one call of `wait` or `change` go on.
    gate: Semaphore,
}

/// Counts a call that runs.
struct Running<'a>(&'a Workshop, bool);

impl Workshop {
    fn open() -> Arc<Self> {
        let (running, dropped) = (watch::Sender::new(0), watch::Sender::new(0));
        Arc::new(Self { running, most: AtomicUsize::new(0), dropped, gate: Semaphore::new(0) })
    }

    fn enter(&self) -> Running<'_> {
        self.running.send_modify(|running| {
            *running += 1;
            self.most.fetch_max(*running, Ordering::Relaxed);
        });
        Running(self, false)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
        if !self.1 {
            self.0.dropped.send_modify(|dropped| *dropped += 1);
        }
    }
}

#[async_trait]
impl Tools for Workshop {
    fn list(&self) -> Vec<ToolSpec> {
        let tools = [("post", true), ("wait", true), ("change", false), ("refuse", true), ("panic", true)];
        let schema = Arc::new(Map::from_iter([("type".to_owned(), json!("object"))]));
        tools
            .map(|(name, read_only)| ToolSpec {
                name: name.to_owned(),
                description: format!("To {name}."),
                input_schema: Arc::clone(&schema),
                read_only,
            })
            .into()
    }

    async fn call(&self, name: &str, input: Map<String, Value>) -> Result<String, ToolFailure> {
        let mut running = self.enter();
        match name {
            "wait" | "change" => self.gate.acquire().await.unwrap().forget(),
            "refuse" => {
                running.1 = true;
                return Err(ToolFailure { kind: "denied", message: "not here".to_owned() });
            }
            "panic" => panic!("told to"),
            _ => {}
        }
        running.1 = true;
        Ok(format!("{name} got {}", Value::Object(input)))
    }
}

fn raw(message: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(message).unwrap()
}

fn call(id: &Value, tool: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": { "x": 1 } } })
}

fn cancelled(id: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id, "reason": "enough" } })
}

fn lines(answers: &[u8]) -> Vec<Value> {
    let lines = answers.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["response"].clone()).collect()
}

/// Sends a message; what is answered at once.
fn send(serving: &mut Serving<'_>, control_request: &str, message: &Value) -> Vec<Value> {
    let answers = serving.take(control_request.to_owned(), NAME, Some(&raw(message)));
    lines(&answers.unwrap_or_default())
}

async fn next(serving: &mut Serving<'_>) -> Value {
    lines(&timeout(PATIENCE, serving.next()).await.expect("there is an answer")).remove(0)
}

/// The result of a request that is not answered at once.
async fn result(serving: &mut Serving<'_>, message: &Value) -> Value {
    assert_eq!(send(serving, "c", message), [] as [Value; 0]);
    let answer = next(serving).await;
    assert_eq!((&answer["subtype"], &answer["request_id"]), (&json!("success"), &json!("c")));
    answer["response"]["mcp_response"]["result"].clone()
}

#[tokio::test]
async fn the_recorded_cli_gets_all_it_asks_for() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(workshop);
    let recording =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/claude/66_sdk_mcp_server.stdout.jsonl");
    let mut answers = Vec::new();
    for line in fs::read_to_string(recording).unwrap().lines() {
        let Ok(Line::ControlRequest(request)) = protocol::read(line.as_bytes()) else { continue };
        let Wants::Mcp { server, message } = request.wants else { panic!("{line}") };
        let answer = match serving.take(request.id.clone(), &server, message.as_deref()) {
            Some(answer) => lines(&answer).remove(0),
            None => next(&mut serving).await,
        };
        assert_eq!((&answer["subtype"], &answer["request_id"]), (&json!("success"), &json!(request.id)));
        answers.push(answer["response"]["mcp_response"].clone());
    }
    let [initialized, acknowledged, listed, called] = &answers[..] else { panic!("{answers:#?}") };
    assert_eq!(initialized["id"], 0);
    assert_eq!(initialized["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(initialized["result"]["capabilities"], json!({ "tools": {} }));
    assert_eq!(*acknowledged, json!({ "jsonrpc": "2.0", "result": {} }));
    assert_eq!(
        listed["result"]["tools"][0],
        json!({
            "name": "post",
            "description": "To post.",
            "inputSchema": { "type": "object" },
            "annotations": { "readOnlyHint": true },
            "_meta": { "anthropic/maxResultSizeChars": 100_000 },
        })
    );
    let text = json!([{ "type": "text", "text": "post got {\"text\":\"in-process\"}" }]);
    assert_eq!((&called["id"], &called["result"]["content"]), (&json!(2), &text));
    assert!(!serving.is_busy());
}

#[tokio::test]
async fn a_failure_and_a_panic_are_results_that_the_model_can_read() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(workshop);
    for (tool, text) in [("refuse", "denied: not here"), ("panic", "failed: the tool broke")] {
        let result = result(&mut serving, &call(&json!(1), tool)).await;
        assert_eq!(result["isError"], true, "{result}");
        assert_eq!(result["content"], json!([{ "type": "text", "text": text }]));
    }
}

#[tokio::test]
async fn calls_that_change_nothing_run_side_by_side_but_not_all_at_once() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(Arc::clone(&workshop) as Arc<dyn Tools>);
    for id in 0..7 {
        assert!(send(&mut serving, &id.to_string(), &call(&json!(id), "wait")).is_empty());
    }
    assert!(serving.is_busy());
    let four_run = workshop.running.subscribe().wait_for(|running| *running == 4).await.map(|_| ());
    four_run.unwrap();
    workshop.gate.add_permits(7);
    for _ in 0..7 {
        next(&mut serving).await;
    }
    assert_eq!(workshop.most.load(Ordering::Relaxed), 4);
    assert!(!serving.is_busy());
}

#[tokio::test]
async fn a_call_that_changes_something_runs_alone() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(Arc::clone(&workshop) as Arc<dyn Tools>);
    for (id, tool) in (0..).zip(["change", "wait", "change", "change"]) {
        assert!(send(&mut serving, &id.to_string(), &call(&json!(id), tool)).is_empty());
    }
    workshop.gate.add_permits(4);
    for _ in 0..4 {
        next(&mut serving).await;
    }
    assert_eq!(workshop.most.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_that_is_taken_back_is_dropped_and_answered() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(Arc::clone(&workshop) as Arc<dyn Tools>);
    assert!(send(&mut serving, "call", &call(&json!(1), "wait")).is_empty());
    workshop.running.subscribe().wait_for(|running| *running == 1).await.map(|_| ()).unwrap();
    let answers = send(&mut serving, "cancel", &cancelled(&json!(1)));
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[0]["response"]["mcp_response"], json!({ "jsonrpc": "2.0", "result": {} }));
    assert_eq!((&answers[1]["subtype"], &answers[1]["request_id"]), (&json!("error"), &json!("call")));
    workshop.dropped.subscribe().wait_for(|dropped| *dropped == 1).await.map(|_| ()).unwrap();
    assert!(!serving.is_busy());
    // Another one of an unknown id changes nothing, and the server goes on.
    assert_eq!(send(&mut serving, "cancel", &cancelled(&json!(9))).len(), 1);
    assert_eq!(result(&mut serving, &call(&json!(2), "post")).await["isError"], false);
}

#[tokio::test]
async fn the_end_of_a_turn_drops_its_calls_and_the_next_turn_has_its_own_tools() {
    let (first, second) = (Workshop::open(), Workshop::open());
    let mut server = Server::start(&first.list());
    let mut serving = server.serve(Arc::clone(&first) as Arc<dyn Tools>);
    assert!(!serving.greeting().is_empty());
    assert!(send(&mut serving, "late", &call(&json!(1), "wait")).is_empty());
    first.running.subscribe().wait_for(|running| *running == 1).await.map(|_| ()).unwrap();
    drop(serving);
    first.dropped.subscribe().wait_for(|dropped| *dropped == 1).await.map(|_| ()).unwrap();

    let mut serving = server.serve(Arc::clone(&second) as Arc<dyn Tools>);
    assert!(serving.greeting().is_empty(), "a process is greeted once");
    assert!(send(&mut serving, "call", &call(&json!(2), "wait")).is_empty());
    second.running.subscribe().wait_for(|running| *running == 1).await.map(|_| ()).unwrap();
    second.gate.add_permits(1);
    let mut answers = [next(&mut serving).await, next(&mut serving).await];
    answers.sort_by_key(|answer| answer["request_id"].to_string());
    let is_error = |answer: &Value| answer["response"]["mcp_response"]["result"]["isError"].clone();
    assert_eq!((is_error(&answers[0]), is_error(&answers[1])), (json!(false), json!(true)));
    assert_eq!(*first.running.borrow(), 0);
}

#[tokio::test]
async fn whatever_else_is_sent_gets_one_answer() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(workshop);
    let refused = |answers: Vec<Value>| {
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!((&answers[0]["subtype"], &answers[0]["request_id"]), (&json!("error"), &json!("c")));
        answers[0]["error"].as_str().unwrap().to_owned()
    };
    let elsewhere = serving.take("c".into(), "elsewhere", Some(&raw(&call(&json!(1), "post"))));
    assert!(refused(lines(&elsewhere.unwrap())).contains("no MCP server of that name"));
    let nothing = serving.take("c".into(), NAME, None);
    assert!(refused(lines(&nothing.unwrap())).contains("missing"));
    for junk in [
        json!(null),
        json!(7),
        json!([]),
        json!({}),
        json!("tools/list"),
        json!([call(&json!(1), "post")]),
        json!({ "jsonrpc": "1.0", "id": 1, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": { "deep": [] }, "method": "tools/list" }),
        json!({ "jsonrpc": "2.0", "id": 1.5, "method": "tools/list" }),
    ] {
        let answers = send(&mut serving, "c", &junk);
        assert!(refused(answers).contains("not JSON-RPC"), "{junk}");
    }
    let long_id = json!("x".repeat(300));
    assert!(refused(send(&mut serving, "c", &call(&long_id, "post"))).contains("id is too long"));
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "x".repeat(MESSAGE_LIMIT) });
    assert!(refused(send(&mut serving, "c", &long)).contains("too long"));
    // Answers to what was never asked.
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    assert_eq!(send(&mut serving, "c", &answer)[0]["subtype"], "success");

    // Requests for what is not there are the protocol's business.
    for (method, params) in [
        ("no/such/method", json!({})),
        ("resources/list", json!({})),
        ("tools/call", json!({ "name": 7 })),
        ("prompts/get", json!({ "name": "x" })),
    ] {
        let message = json!({ "jsonrpc": "2.0", "id": "m", "method": method, "params": params });
        let answers = send(&mut serving, "c", &message);
        let answer = if answers.is_empty() { next(&mut serving).await } else { answers[0].clone() };
        assert_eq!(answer["request_id"], "c", "{method}: {answer}");
    }
    assert_eq!(result(&mut serving, &call(&json!(1), "post")).await["isError"], false, "it still serves");
}

#[tokio::test]
async fn requests_of_one_id_and_too_many_at_once_are_refused() {
    let workshop = Workshop::open();
    let mut server = Server::start(&workshop.list());
    let mut serving = server.serve(Arc::clone(&workshop) as Arc<dyn Tools>);
    for id in 0..OPEN_LIMIT {
        assert!(send(&mut serving, &id.to_string(), &call(&json!(id), "wait")).is_empty());
    }
    let again = send(&mut serving, "c", &call(&json!(0), "wait"));
    assert!(again[0]["error"].as_str().unwrap().contains("that id"), "{again:?}");
    let more = send(&mut serving, "c", &call(&json!(OPEN_LIMIT), "wait"));
    assert!(more[0]["error"].as_str().unwrap().contains("too many"), "{more:?}");
    // Notifications are acknowledged however many there are.
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    for _ in 0..4 * QUEUE {
        assert_eq!(send(&mut serving, "n", &progress)[0]["subtype"], "success");
    }
    workshop.gate.add_permits(OPEN_LIMIT);
    for _ in 0..OPEN_LIMIT {
        next(&mut serving).await;
    }
}
