//! The host's tools as the demo agent uses them: the client's side of MCP, over control requests, as the CLI speaks it.
//!
//! A server is connected when the host says `initialize`, before that is answered; a host that never says it has offered
//! nothing. `demo:tool <name> <json>` calls a tool, several of them at once if there are several in a message. As with the
//! CLI, what `--allowedTools` does not name is refused without asking the host.

use std::{collections::HashMap, io::Write, sync::mpsc::RecvTimeoutError, time::Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    End,
    conversation::Conversation,
    inbox::Incoming,
    protocol::{Lines, Turn},
    words::{LABEL, shortened},
};
use crate::id::Timestamp;

/// The word that asks for a call.
const KEYWORD: &str = "demo:tool";
/// Calls of one message.
const CALLS: usize = 64;
/// How much of a result is quoted, in characters.
const QUOTED: usize = 4_000;
/// The protocol version that is spoken.
const VERSION: &str = "2025-11-25";

/// A configured MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    /// Whether it is the host, at the other end of the pipe. Others are not used, which for a host is the same as servers
    /// that could not be reached.
    pub(super) in_host: bool,
    /// The tools it has; none before it is connected.
    pub(super) tools: Option<Vec<String>>,
}

/// A call that a message asks for.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    id: String,
    /// As it was asked for: with or without the prefix for its server.
    tool: String,
    input: Value,
}

/// What became of requests to servers in the host.
struct Asked {
    /// In the order of the requests; none where one was refused, taken back or not answered.
    answers: Vec<Option<Value>>,
    interrupted: bool,
}

/// What a tool answered.
struct Said {
    text: String,
    is_error: bool,
}

/// The calls that a message asks for, in its order.
fn calls(text: &str) -> Vec<Call> {
    let asked = text.split(KEYWORD).skip(1).take(CALLS);
    asked
        .filter_map(|asked| {
            let asked = asked.trim_start();
            let (tool, rest) = asked.split_once(char::is_whitespace).unwrap_or((asked, ""));
            let input = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next();
            let input = input.and_then(Result::ok).filter(Value::is_object).unwrap_or_else(|| json!({}));
            let id = format!("toolu_{}", Uuid::new_v4().simple());
            (!tool.is_empty()).then(|| Call { id, tool: tool.to_owned(), input })
        })
        .collect()
}

impl Server {
    /// Its line in `init`.
    pub(super) fn shown(&self) -> Value {
        let status = if self.tools.is_some() { "connected" } else { "failed" };
        if self.in_host {
            json!({ "name": self.name, "status": status, "source": "sdk" })
        } else {
            json!({ "name": self.name, "status": status })
        }
    }

    /// Its tools as the model knows them.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.tools.iter().flatten().map(|tool| format!("mcp__{}__{tool}", self.name))
    }
}

impl<Out: Write, Complaints: Write> Conversation<Out, Complaints> {
    /// Begins with the host's servers, answers its `initialize`, and asks for their tools.
    pub(super) fn initialize(&mut self, request_id: &str) -> Result<(), End> {
        let unconnected =
            self.lines.mcp_servers.iter().filter(|server| server.in_host && server.tools.is_none());
        let mut names: Vec<String> = unconnected.map(|server| server.name.clone()).collect();
        let params = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": { "name": "hearth-demo-agent", "version": env!("CARGO_PKG_VERSION") },
        });
        let asked = names.iter().map(|name| (name.clone(), "initialize", params.clone())).collect();
        let mut answers = self.ask(asked)?.answers.into_iter();
        names.retain(|_| answers.next().flatten().is_some_and(|answer| answer["result"].is_object()));

        let answer = self.lines.control(request_id, "initialize");
        self.say(&answer)?;
        for name in &names {
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
            let notification = mcp_message(&Uuid::new_v4().to_string(), name, &message);
            self.say(&notification)?;
        }
        let asked = names.iter().map(|name| (name.clone(), "tools/list", json!({}))).collect();
        for (name, answer) in names.iter().zip(self.ask(asked)?.answers) {
            let Some(tools) = answer.and_then(|answer| answer["result"]["tools"].as_array().cloned()) else {
                continue;
            };
            let tools = tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
            for server in self.lines.mcp_servers.iter_mut().filter(|server| server.name == *name) {
                server.tools = Some(Vec::clone(&tools));
            }
        }
        Ok(())
    }

    /// Makes the calls that the message asks for, all at once, and says what came of them; nothing if it was interrupted.
    pub(super) fn call_tools(&mut self, turn: &Turn, text: &str) -> Result<Option<String>, End> {
        let calls = calls(text);
        if calls.is_empty() {
            let names: Vec<String> = self.lines.tools().map(|name| format!("\n- `{name}`")).collect();
            let names = if names.is_empty() { " none".to_owned() } else { names.concat() };
            return Ok(Some(format!("{LABEL} `{KEYWORD}` needs the name of a tool. There are:{names}")));
        }
        for call in &calls {
            let line = self.lines.tool_use(turn, &call.id, &call.tool, &call.input);
            self.say(&line)?;
        }
        let (mut said, mut asked, mut asking) = (HashMap::new(), Vec::new(), Vec::new());
        for call in &calls {
            match self.permitted(&call.tool) {
                Ok((server, tool)) => {
                    let meta = json!({ "claudecode/toolUseId": call.id, "progressToken": asked.len() });
                    let params = json!({ "name": tool, "arguments": call.input, "_meta": meta });
                    asked.push((server, "tools/call", params));
                    asking.push(call.id.clone());
                }
                Err(refused) => {
                    said.insert(call.id.clone(), Said { text: refused, is_error: true });
                }
            }
        }
        let Asked { answers, interrupted } = self.ask(asked)?;
        if interrupted {
            return Ok(None);
        }
        for (id, answer) in asking.into_iter().zip(answers) {
            said.insert(id, read(answer.as_ref()));
        }
        let mut answer = LABEL.to_owned();
        for call in &calls {
            let Some(said) = said.remove(&call.id) else { continue };
            let line = self.lines.tool_result(&call.id, &said.text, said.is_error);
            self.say(&line)?;
            let verb = if said.is_error { "failed" } else { "answered" };
            let quoted: String = said.text.chars().take(QUOTED).collect();
            let ellipsis = if quoted.len() < said.text.len() { "…" } else { "" };
            let tool = shortened(&call.tool, 100);
            answer.extend([" `", &tool, "` ", verb, ": ", &quoted, ellipsis, "\n"]);
        }
        Ok(Some(answer.trim_end().to_owned()))
    }

    /// The tool's server and its name there; else what the CLI tells the model instead.
    fn permitted(&self, tool: &str) -> Result<(String, String), String> {
        let servers = &self.lines.mcp_servers;
        let found = servers.iter().find_map(|server| {
            let prefix = format!("mcp__{}__", server.name);
            let bare = tool.strip_prefix(&prefix).unwrap_or(tool);
            let has_it = server.tools.iter().flatten().any(|known| known == bare);
            has_it.then(|| (server.name.clone(), bare.to_owned()))
        });
        let (server, bare) = found.ok_or_else(|| format!("Error: No such tool available: {tool}"))?;
        let (all, one) = (format!("mcp__{server}"), format!("mcp__{server}__{bare}"));
        if self.allowed_tools.iter().any(|allowed| *allowed == all || *allowed == one) {
            Ok((server, bare))
        } else {
            Err(format!(
                "Permission to use {one} has been denied because the demo agent is in don't ask mode."
            ))
        }
    }

    /// Sends requests to servers in the host, all at once, and waits for their answers. An interrupt takes those back that
    /// are open.
    fn ask(&mut self, requests: Vec<(String, &str, Value)>) -> Result<Asked, End> {
        let mut answers = vec![None; requests.len()];
        let mut open = HashMap::new();
        for (index, (server, method, params)) in requests.into_iter().enumerate() {
            let (request_id, id) = (Uuid::new_v4().to_string(), self.next_id);
            self.next_id += 1;
            let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
            let line = mcp_message(&request_id, &server, &message);
            self.say(&line)?;
            open.insert(request_id, (index, id, server));
        }
        self.stdout.flush()?;
        let until = Instant::now() + self.longest_wait;
        while !open.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(Incoming::Response(request_id, answer)) => {
                    if let Some((index, ..)) = open.remove(&request_id) {
                        answers[index] = answer;
                    }
                }
                Ok(Incoming::User(text, key)) => self.hold(text, key)?,
                Ok(other) => {
                    if self.aside(other)? {
                        for (_, id, server) in open.into_values() {
                            self.cancel(&server, id)?;
                        }
                        return Ok(Asked { answers, interrupted: true });
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                // Nobody is there any more who could answer.
                Err(RecvTimeoutError::Disconnected) => return Err(End::Exit(1)),
            }
        }
        Ok(Asked { answers, interrupted: false })
    }

    fn cancel(&mut self, server: &str, id: u64) -> Result<(), End> {
        let message = json!({
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": { "requestId": id, "reason": "interrupted" },
        });
        let line = mcp_message(&Uuid::new_v4().to_string(), server, &message);
        self.say(&line)
    }
}

impl Lines {
    /// A call of a tool …
    fn tool_use(&self, turn: &Turn, id: &str, tool: &str, input: &Value) -> Value {
        let mut line = self.assistant(turn, &format!("msg_{id}"), "");
        line["message"]["content"] = json!([{ "type": "tool_use", "id": id, "name": tool, "input": input }]);
        line
    }

    /// … and what came of it.
    fn tool_result(&self, id: &str, text: &str, is_error: bool) -> Value {
        let mut result = json!({
            "tool_use_id": id,
            "type": "tool_result",
            "content": [{ "type": "text", "text": text }],
        });
        if is_error {
            result["is_error"] = json!(true);
        }
        json!({
            "type": "user",
            "message": { "role": "user", "content": [result] },
            "parent_tool_use_id": null,
            "session_id": self.session,
            "uuid": Uuid::new_v4(),
            "timestamp": Timestamp::now().iso_8601(),
            "tool_use_result": [{ "type": "text", "text": text }],
        })
    }
}

/// A message for an MCP server in the host.
fn mcp_message(request_id: &str, server: &str, message: &Value) -> Value {
    json!({
        "type": "control_request",
        "request_id": request_id,
        "request": { "subtype": "mcp_message", "server_name": server, "message": message },
    })
}

/// What a call came to.
fn read(answer: Option<&Value>) -> Said {
    let failed = |text: &str| Said { text: text.to_owned(), is_error: true };
    let Some(answer) = answer else { return failed("the host refused the call") };
    if let Some(message) = answer["error"]["message"].as_str() {
        return failed(message);
    }
    let blocks = answer["result"]["content"].as_array().into_iter().flatten();
    let texts: Vec<_> = blocks.filter_map(|block| block["text"].as_str()).collect();
    Said { text: texts.join("\n"), is_error: answer["result"]["isError"] == json!(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Vec<(String, Value)> {
        calls(text).into_iter().map(|call| (call.tool, call.input)).collect()
    }

    #[test]
    fn a_call_is_a_name_and_an_object_and_the_object_may_be_missing() {
        assert_eq!(
            asked("Ann: demo:tool add {\"a\": {\"b\": 1}} please"),
            [("add".to_owned(), json!({ "a": { "b": 1 } }))]
        );
        assert_eq!(asked("demo:tool add"), [("add".to_owned(), json!({}))]);
        assert_eq!(asked("demo:tool add {nope"), [("add".to_owned(), json!({}))]);
        assert_eq!(asked("demo:tool"), []);
        assert_eq!(asked("nothing"), []);
    }

    #[test]
    fn several_calls_are_taken_in_their_order() {
        let names: Vec<String> = asked("demo:tool a {\"x\":1} demo:tool b\ndemo:tool a")
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["a", "b", "a"]);
    }

    #[test]
    fn a_tools_error_a_protocol_error_and_no_answer_are_failures() {
        let error = json!({ "error": { "code": -32603, "message": "broken" } });
        assert!(read(Some(&error)).is_error);
        assert!(read(None).is_error);
        let said = json!({ "result": { "content": [{ "type": "text", "text": "no" }], "isError": true } });
        assert!(read(Some(&said)).is_error);
        let said = json!({ "result": { "content": [{ "type": "text", "text": "yes" }], "isError": false } });
        assert!(!read(Some(&said)).is_error);
    }
}
