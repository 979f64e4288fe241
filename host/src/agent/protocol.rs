//! The CLI's stream-json protocol, as far as a turn needs it.
//!
//! Reading is forgiving: unknown types, subtypes and fields are skipped, the order of keys is free, and a known field of an
//! unexpected shape is as good as absent. A line is junk only if it is no JSON object with a `type`.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::{BufMut, BytesMut};
use rmcp::model::ServerJsonRpcMessage;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use super::mcp;
use crate::id::SessionId;

/// A longer id of a control request is not echoed: the answers wait in memory.
const REQUEST_ID_LIMIT: usize = 256;
/// The id of the request that tells the CLI that the host serves it.
const INITIALIZE: &str = "initialize";

/// What one line of the CLI says.
#[derive(Debug)]
pub(super) enum Line {
    /// `system/init`: a turn begins.
    Init(Init),
    /// `result`: the turn has ended.
    Result(Box<ResultLine>),
    /// An `assistant` line that stands for an error of the API: its kind, such as `authentication_failed`.
    AssistantError(String),
    /// `command_lifecycle`: where the user message of this id stands.
    Lifecycle(Uuid, LifecycleState),
    /// `control_request`: the CLI wants something from the host and waits for the answer.
    ControlRequest(ControlRequest),
    /// The CLI has answered that the host serves it: it is up.
    Up,
    /// Anything else; nothing a turn depends on.
    Other,
}

/// The fields of `system/init` that decide something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Init {
    /// None if the session's name is no UUID.
    pub(super) session: Option<SessionId>,
    /// How the host's own MCP server stands with the CLI; none if the CLI does not know it.
    pub(super) tools: Option<String>,
}

/// What the CLI wants from the host.
#[derive(Debug)]
pub(super) struct ControlRequest {
    pub(super) id: String,
    pub(super) wants: Wants,
}

#[derive(Debug)]
pub(super) enum Wants {
    /// `mcp_message`: that an MCP server gets this.
    Mcp { server: String, message: Option<Box<RawValue>> },
    /// Another subtype.
    Other(String),
}

/// `command_lifecycle`'s states; others don't matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LifecycleState {
    Started,
    Completed,
    Cancelled,
    Other,
}

/// The fields of `result` that decide something.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ResultLine {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) subtype: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) session_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) is_error: Option<bool>,
    /// The answer; or an error's prose.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) result: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) errors: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) api_error_status: Option<u16>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) api_error_type: Option<String>,
    /// What went wrong where no status came back, such as `connection_failed`.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) api_error: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) terminal_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) num_turns: Option<u32>,
    /// Cumulative over resumes.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) total_cost_usd: Option<f64>,
    /// Of this turn alone.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) usage: Option<TokenUsage>,
    /// Of this turn alone, by model; 2.1.290 does not say it yet.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) model_usage_since_last_result: Option<BTreeMap<String, ModelUsage>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the protocol's names")]
pub(super) struct TokenUsage {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModelUsage {
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cache_read_input_tokens: u64,
    pub(super) cache_creation_input_tokens: u64,
    #[serde(rename = "costUSD")]
    pub(super) cost_usd: f64,
}

/// Reads one line.
///
/// # Errors
/// It is junk: no JSON object, or one without a `type`.
pub(super) fn read(line: &[u8]) -> Result<Line, serde_json::Error> {
    /// What tells the lines apart; read first, so that the long ones of no interest cost no allocation.
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    Ok(match &*serde_json::from_slice::<Kind>(line)?.kind {
        "system" => read_system(serde_json::from_slice(line)?),
        "result" => Line::Result(serde_json::from_slice(line)?),
        "assistant" => match serde_json::from_slice::<Assistant>(line)?.error {
            Some(kind) => Line::AssistantError(kind),
            None => Line::Other,
        },
        "command_lifecycle" => read_lifecycle(&serde_json::from_slice(line)?),
        "control_request" => read_control_request(&serde_json::from_slice(line)?),
        "control_response" => read_control_response(&serde_json::from_slice(line)?),
        _ => Line::Other,
    })
}

/// A user's message, ready for stdin. `client_composed` makes the CLI take the text as it is: neither `@/path` nor a
/// leading `/` means anything then.
pub(super) fn user_message(prompt: &str, message: Uuid) -> BytesMut {
    line(&json!({
        "type": "user",
        "message": { "role": "user", "content": prompt },
        "parent_tool_use_id": null,
        "session_id": "default",
        "uuid": message,
        "client_composed": true,
    }))
}

/// What tells the CLI that the host serves it, so that it asks the host's own MCP server for its tools. The CLI answers,
/// but not before it has been answered itself; a turn does not depend on that answer.
pub(super) fn initialize() -> BytesMut {
    line(&json!({
        "type": "control_request",
        "request_id": INITIALIZE,
        "request": { "subtype": "initialize", "hooks": null },
    }))
}

/// Asks the CLI to break off the turn that runs. It says so in a `result`, and stays.
pub(super) fn interrupt() -> BytesMut {
    line(&json!({
        "type": "control_request",
        "request_id": "interrupt",
        "request": { "subtype": "interrupt" },
    }))
}

/// The answer to a control request that is not served, so that the CLI does not wait for one.
pub(super) fn refusal(request_id: &str, why: &str) -> BytesMut {
    line(&json!({
        "type": "control_response",
        "response": { "subtype": "error", "request_id": request_id, "error": why },
    }))
}

/// The answer to a control request that brought an MCP request.
pub(super) fn mcp_answer(request_id: &str, answer: &ServerJsonRpcMessage) -> BytesMut {
    mcp_response(request_id, &json!(answer))
}

/// The answer to a control request that brought an MCP notification.
pub(super) fn mcp_acknowledgement(request_id: &str) -> BytesMut {
    mcp_response(request_id, &json!({ "jsonrpc": "2.0", "result": {} }))
}

fn mcp_response(request_id: &str, answer: &Value) -> BytesMut {
    line(&json!({
        "type": "control_response",
        "response": {
            "subtype": "success",
            "request_id": request_id,
            "response": { "mcp_response": answer },
        },
    }))
}

#[derive(Deserialize)]
struct System {
    #[serde(default, deserialize_with = "lenient")]
    subtype: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    session_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    mcp_servers: Option<Vec<McpServer>>,
}

#[derive(Deserialize)]
struct McpServer {
    name: String,
    status: String,
}

#[derive(Deserialize)]
struct Assistant {
    #[serde(default, deserialize_with = "lenient")]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Lifecycle {
    #[serde(default, deserialize_with = "lenient")]
    command_uuid: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient")]
    state: Option<String>,
}

#[derive(Deserialize)]
struct ControlRequestLine<'a> {
    #[serde(default, deserialize_with = "lenient")]
    request_id: Option<String>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ControlResponseLine {
    #[serde(default, deserialize_with = "lenient")]
    response: Option<ControlResponse>,
}

#[derive(Deserialize)]
struct ControlResponse {
    subtype: String,
    request_id: String,
}

#[derive(Deserialize)]
struct ControlRequestBody<'a> {
    #[serde(default, deserialize_with = "lenient")]
    subtype: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    server_name: Option<String>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

fn read_system(system: System) -> Line {
    match system.subtype.as_deref() {
        Some("init") => {
            let servers = system.mcp_servers.into_iter().flatten();
            Line::Init(Init {
                session: system.session_id.map(SessionId),
                tools: servers
                    .filter(|server| server.name == mcp::NAME)
                    .map(|server| short(&server.status))
                    .next(),
            })
        }
        _ => Line::Other,
    }
}

fn read_lifecycle(lifecycle: &Lifecycle) -> Line {
    let state = match lifecycle.state.as_deref() {
        Some("started") => LifecycleState::Started,
        Some("completed") => LifecycleState::Completed,
        Some("cancelled") => LifecycleState::Cancelled,
        _ => LifecycleState::Other,
    };
    lifecycle.command_uuid.map_or(Line::Other, |message| Line::Lifecycle(message, state))
}

fn read_control_request(line: &ControlRequestLine<'_>) -> Line {
    let Some(id) = line.request_id.clone().filter(|id| id.len() <= REQUEST_ID_LIMIT) else {
        return Line::Other;
    };
    let body = line.request.and_then(|body| serde_json::from_str::<ControlRequestBody<'_>>(body.get()).ok());
    let wants = match body {
        Some(ControlRequestBody { subtype: Some(subtype), server_name, message }) => match &*subtype {
            "mcp_message" => Wants::Mcp {
                server: short(&server_name.unwrap_or_default()),
                message: message.map(ToOwned::to_owned),
            },
            _ => Wants::Other(short(&subtype)),
        },
        _ => Wants::Other(String::new()),
    };
    Line::ControlRequest(ControlRequest { id, wants })
}

fn read_control_response(line: &ControlResponseLine) -> Line {
    match &line.response {
        Some(response) if response.request_id == INITIALIZE && response.subtype == "success" => Line::Up,
        _ => Line::Other,
    }
}

/// A word of the CLI's, as far as it is looked at.
fn short(word: &str) -> String {
    word.chars().take(64).collect()
}

fn line(message: &Value) -> BytesMut {
    let mut line = BytesMut::new().writer();
    // A `Value` has string keys and the buffer grows: neither can fail.
    if serde_json::to_writer(&mut line, message).is_ok() {
        line.get_mut().put_u8(b'\n');
    }
    line.into_inner()
}

/// Absent and misshapen are the same: one odd field must not cost the whole line.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_types_and_subtypes_are_skipped() {
        for line in [
            r#"{"type":"tomorrow","deep":{"x":[1,2]}}"#,
            r#"{"subtype":"weather","type":"system"}"#,
            r#"{"type":"system"}"#,
            r#"{"type":"command_lifecycle","state":"queued"}"#,
            r#"{"type":"assistant","message":{"content":[]}}"#,
        ] {
            assert!(matches!(read(line.as_bytes()), Ok(Line::Other)), "{line}");
        }
    }

    #[test]
    fn what_is_no_object_with_a_type_is_junk() {
        for line in
            ["", "hello", "[]", "7", "{}", r#"{"type":7}"#, r#"{"type":"result""#, "{\"type\":\"\u{0}\"}"]
        {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
        assert!(read(b"\xff\xfe").is_err());
    }

    #[test]
    fn the_order_of_keys_is_free_and_the_type_may_come_last() {
        let line = br#"{"is_error":false,"result":"hi","subtype":"success","ty\u0070e":"result"}"#;
        let Ok(Line::Result(result)) = read(line) else { panic!("a result") };
        assert_eq!(result.result.as_deref(), Some("hi"));
    }

    #[test]
    fn a_misshapen_field_does_not_cost_the_line() {
        let line = br#"{"type":"result","subtype":"success","is_error":false,"result":"hi","num_turns":"two","usage":[1]}"#;
        let Ok(Line::Result(result)) = read(line) else { panic!("a result") };
        assert_eq!((result.result.as_deref(), result.num_turns), (Some("hi"), None));
    }

    #[test]
    fn a_session_that_is_no_uuid_is_no_session() {
        let line = br#"{"type":"system","subtype":"init","session_id":"../../etc/passwd"}"#;
        assert!(matches!(read(line), Ok(Line::Init(Init { session: None, .. }))));
    }

    #[test]
    fn only_the_answer_to_our_first_request_says_that_the_cli_is_up() {
        let answered = |id: &str, subtype: &str| {
            let line = json!({ "type": "control_response", "response": {
                "subtype": subtype, "request_id": id, "response": { "commands": [] } } });
            read(line.to_string().as_bytes()).unwrap()
        };
        assert!(matches!(answered("initialize", "success"), Line::Up));
        assert!(matches!(answered("initialize", "error"), Line::Other));
        assert!(matches!(answered("interrupt", "success"), Line::Other));
        assert!(matches!(read(br#"{"type":"control_response","response":7}"#), Ok(Line::Other)));
    }

    #[test]
    fn a_control_request_with_a_huge_id_is_not_answered() {
        let line = format!(r#"{{"type":"control_request","request_id":"{}"}}"#, "x".repeat(300));
        assert!(matches!(read(line.as_bytes()), Ok(Line::Other)));
    }

    #[test]
    fn messages_are_single_lines_whatever_the_text() {
        let message = user_message("one\ntwo\r\n\u{2028}\"\u{0}", Uuid::nil());
        assert_eq!(message.iter().position(|byte| *byte == b'\n'), Some(message.len() - 1));
        let value: Value = serde_json::from_slice(&message).unwrap();
        assert_eq!(value["message"]["content"], "one\ntwo\r\n\u{2028}\"\u{0}");
        assert_eq!(value["client_composed"], true);
    }
}
