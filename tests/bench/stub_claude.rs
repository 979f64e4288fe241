//! The `claude` CLI without the thinking: speaks its stream-json protocol and answers at once, so that what is left to
//! measure is the host.
//!
//! A message is answered with itself; one that has the word `AFTER=<ms>`, after that time. One that has the word `TOOLS=<count>` calls the host's tool `add` that many times, one
//! call after the other, and is answered with how many nanoseconds each call took, as a JSON list.

#![allow(clippy::print_stdout, reason = "stdout is the protocol")]

use std::{
    collections::VecDeque,
    env,
    io::{self, Lines, StdinLock, Write},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// What it says it is: the version that the benches are run with.
const VERSION: &str = "2.1.330";

struct Stub {
    session: String,
    input: Lines<StdinLock<'static>>,
    /// What came while it waited for something else.
    early: VecDeque<Value>,
    requests: u32,
    /// The host serves its tools.
    has_tools: bool,
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--version") {
        println!("{VERSION} (Claude Code)");
        return Ok(());
    }
    let value = |name: &str| {
        let mut arguments = arguments.iter();
        arguments.find_map(|argument| argument.strip_prefix(name)).map(str::to_owned)
    };
    let session = value("--resume=").or_else(|| value("--session-id=")).unwrap_or_else(a_session);
    Stub { session, input: io::stdin().lines(), early: VecDeque::new(), requests: 0, has_tools: false }.run()
}

/// Another one for each process.
fn a_session() -> String {
    format!("00000000-0000-4000-8000-{:012x}", std::process::id())
}

fn say(line: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

impl Stub {
    fn run(&mut self) -> io::Result<()> {
        while let Some(line) = self.next()? {
            if line["type"] == "control_request" {
                self.initialised(&line)?;
            } else if line["type"] == "user" {
                self.answer(&line)?;
            }
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<Value>> {
        if let Some(line) = self.early.pop_front() {
            return Ok(Some(line));
        }
        self.read()
    }

    fn read(&mut self) -> io::Result<Option<Value>> {
        let Some(line) = self.input.next().transpose()? else { return Ok(None) };
        Ok(Some(serde_json::from_str(&line)?))
    }

    /// The host says that it is there; if it has tools, these are asked for first, as the CLI does.
    fn initialised(&mut self, request: &Value) -> io::Result<()> {
        if env::args().any(|argument| argument.starts_with("--mcp-config")) {
            let client = json!({ "name": "stub", "version": "1" });
            self.call(
                "initialize",
                &json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }),
            )?;
            self.tell("notifications/initialized")?;
            self.call("tools/list", &json!({}))?;
            self.has_tools = true;
        }
        let response = json!({ "commands": [], "agents": [], "models": [], "output_style": "default" });
        say(&json!({ "type": "control_response", "response": {
            "subtype": "success", "request_id": request["request_id"], "response": response,
        } }))
    }

    fn answer(&mut self, message: &Value) -> io::Result<()> {
        let lifecycle = |state: &str| {
            say(&json!({ "type": "command_lifecycle", "command_uuid": message["uuid"], "state": state }))
        };
        let servers =
            if self.has_tools { json!([{ "name": "host", "status": "connected" }]) } else { json!([]) };
        let text = match &message["message"]["content"] {
            Value::String(text) => text.clone(),
            content => content[0]["text"].as_str().unwrap_or_default().to_owned(),
        };
        let value = |name: &str| {
            text.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse::<u32>().ok())
        };
        lifecycle("started")?;
        say(&json!({
            "type": "system", "subtype": "init", "session_id": self.session, "tools": [], "mcp_servers": servers,
            "model": "stub", "permissionMode": "default", "claude_code_version": VERSION, "cwd": "/",
            "slash_commands": [], "apiKeySource": "none", "output_style": "default",
        }))?;
        if let Some(pause) = value("AFTER=") {
            #[expect(clippy::disallowed_methods, reason = "this process has nothing else to do")]
            std::thread::sleep(Duration::from_millis(pause.into()));
        }
        let answer = match value("TOOLS=") {
            Some(count) => json!(self.call_tool(count)?).to_string(),
            None => text,
        };
        say(&json!({
            "type": "assistant", "parent_tool_use_id": null, "session_id": self.session,
            "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "stub",
                "content": [{ "type": "text", "text": answer }], "stop_reason": "end_turn",
                "usage": { "input_tokens": 1, "output_tokens": 1 },
            },
        }))?;
        say(&json!({
            "type": "result", "subtype": "success", "is_error": false, "result": answer, "session_id": self.session,
            "num_turns": 1, "duration_ms": 0, "duration_api_ms": 0, "total_cost_usd": 0.0, "permission_denials": [],
            "usage": { "input_tokens": 1, "output_tokens": 1 },
        }))?;
        lifecycle("completed")
    }

    /// How long each call took, in nanoseconds.
    fn call_tool(&mut self, count: u32) -> io::Result<Vec<u64>> {
        let mut times = Vec::new();
        for a in 0..count {
            let began = Instant::now();
            let answer =
                self.call("tools/call", &json!({ "name": "add", "arguments": { "a": a, "b": 1 } }))?;
            times.push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            if !text.contains(&(a + 1).to_string()) {
                return Err(io::Error::other(format!("the tool answered {answer}")));
            }
        }
        Ok(times)
    }

    /// An MCP request over the pipe, and its answer.
    fn call(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        self.requests += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.requests, "method": method, "params": params }))
    }

    fn tell(&mut self, method: &str) -> io::Result<Value> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method }))
    }

    fn send(&mut self, message: &Value) -> io::Result<Value> {
        let id = format!("stub-{}-{}", self.requests, message["method"].as_str().unwrap_or_default());
        say(&json!({ "type": "control_request", "request_id": id, "request": {
            "subtype": "mcp_message", "server_name": "host", "message": message,
        } }))?;
        loop {
            let line = self.read()?.ok_or_else(|| io::Error::other("the host does not answer"))?;
            if line["type"] == "control_response" && line["response"]["request_id"] == *id {
                return Ok(line["response"]["response"]["mcp_response"].clone());
            }
            self.early.push_back(line);
        }
    }
}
