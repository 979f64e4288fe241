//! The lines of the CLI's stream-json protocol, as the demo agent writes them.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{keyword::Refusal, tools::Server, transcript::Usage};
use crate::id::Timestamp;

/// The one model there is.
pub(super) const MODEL: &str = "demo";
/// Pieces of a streamed answer, in characters.
const PIECE: usize = 40;

/// How a turn ended, for its `result` line.
#[derive(Debug)]
pub(super) enum Ended<'a> {
    Answered(&'a str),
    Refused(&'a Refusal),
    TurnLimit(u32),
    Budget(f64),
    Interrupted,
}

/// What all lines of a process have in common.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) session: Uuid,
    pub(super) working_dir: PathBuf,
    pub(super) config_dir: Option<PathBuf>,
    pub(super) permission_mode: String,
    pub(super) mcp_servers: Vec<Server>,
    /// How many results this process has written.
    pub(super) results: u64,
}

/// What the lines of one turn have in common.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) began: Instant,
    /// The sender's keys of the messages that it answers.
    pub(super) keys: Vec<String>,
    /// How many times a model would have been called.
    pub(super) model_calls: u32,
    /// Tokens of this turn.
    pub(super) usage: Usage,
    /// Tokens of the whole conversation, this turn included.
    pub(super) total: Usage,
}

impl Lines {
    /// Each turn's first line.
    pub(super) fn init(&self) -> Value {
        let servers: Vec<_> = self.mcp_servers.iter().map(Server::shown).collect();
        let config_dir = self.config_dir.as_deref().unwrap_or(Path::new(""));
        json!({
            "type": "system",
            "subtype": "init",
            "cwd": self.working_dir,
            "session_id": self.session,
            "tools": self.tools().collect::<Vec<_>>(),
            "mcp_servers": servers,
            "model": MODEL,
            "permissionMode": self.permission_mode,
            "slash_commands": [],
            "terminal_slash_commands": [],
            "apiKeySource": "none",
            "claude_code_version": env!("CARGO_PKG_VERSION"),
            "output_style": "default",
            "agents": [],
            "skills": [],
            "plugins": [],
            "capabilities": [],
            "analytics_disabled": true,
            "product_feedback_disabled": true,
            "served_by_anthropic": false,
            "uuid": Uuid::new_v4(),
            "memory_paths": { "auto": config_dir.join("projects") },
            "original_cwd": self.working_dir,
            "additional_directories": [],
            "messaging_socket_path": "",
            "fast_mode_state": "off",
            "fast_mode_disabled_reason": "demo_agent",
            "per_turn_effort_active": false,
            "ultrathink_available": false,
            "ultrathink_typed_raises": false,
            "view_mode": "default",
        })
    }

    /// The tools that there are, as the model knows them.
    pub(super) fn tools(&self) -> impl Iterator<Item = String> {
        self.mcp_servers.iter().flat_map(Server::names)
    }

    /// A piece of an answer.
    pub(super) fn assistant(&self, turn: &Turn, message_id: &str, text: &str) -> Value {
        let mut line = json!({
            "type": "assistant",
            "message": {
                "id": message_id,
                "type": "message",
                "role": "assistant",
                "model": MODEL,
                "content": [{ "type": "text", "text": text }],
                "stop_reason": null,
                "stop_sequence": null,
                "usage": {
                    "input_tokens": turn.usage.input,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": turn.usage.output,
                },
                "context_management": null,
            },
            "parent_tool_use_id": null,
            "session_id": self.session,
            "uuid": Uuid::new_v4(),
            "timestamp": Timestamp::now().iso_8601(),
            "request_id": "req_demo",
        });
        add_keys(&mut line, &turn.keys);
        line
    }

    /// What the CLI says in the assistant's place when the API refused.
    pub(super) fn refusal(&self, turn: &Turn, refusal: &Refusal) -> Value {
        let mut line = self.assistant(turn, &Uuid::new_v4().to_string(), refusal.prose);
        line["message"]["model"] = json!("<synthetic>");
        line["message"]["stop_reason"] = json!("stop_sequence");
        line["message"]["stop_sequence"] = json!("");
        line["error"] = json!(refusal.error);
        line["is_api_error_message"] = json!(true);
        line["api_error_status"] = json!(refusal.status);
        line["api_error_type"] = json!(refusal.kind);
        line
    }

    /// What the CLI says in the user's place after an interrupt.
    pub(super) fn interruption(&self) -> Value {
        json!({
            "type": "user",
            "message": {
                "role": "user",
                "content": [{ "type": "text", "text": "[Request interrupted by user]" }],
            },
            "parent_tool_use_id": null,
            "session_id": self.session,
            "uuid": Uuid::new_v4(),
            "timestamp": Timestamp::now().iso_8601(),
        })
    }

    /// A streamed answer's events: the message is opened and filled, before its `assistant` line …
    pub(super) fn opening(&self, message_id: &str, text: &str) -> Vec<Value> {
        let message = json!({
            "id": message_id, "type": "message", "role": "assistant", "model": MODEL, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 0, "output_tokens": 0 },
        });
        let mut events = vec![
            json!({ "type": "message_start", "message": message }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        ];
        let characters: Vec<char> = text.chars().collect();
        events.extend(characters.chunks(PIECE).map(|piece| {
            let delta = json!({ "type": "text_delta", "text": piece.iter().collect::<String>() });
            json!({ "type": "content_block_delta", "index": 0, "delta": delta })
        }));
        events.into_iter().map(|event| self.stream_event(message_id, &event)).collect()
    }

    /// … and closed after it.
    pub(super) fn closing(&self, message_id: &str, output_tokens: u64) -> Vec<Value> {
        let delta = json!({ "stop_reason": "end_turn", "stop_sequence": null });
        let usage = json!({ "output_tokens": output_tokens });
        [
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": delta, "usage": usage }),
            json!({ "type": "message_stop" }),
        ]
        .iter()
        .map(|event| self.stream_event(message_id, event))
        .collect()
    }

    /// The API has refused, and will be asked again.
    pub(super) fn retry(&self) -> Value {
        json!({
            "type": "system",
            "subtype": "api_retry",
            "attempt": 1,
            "max_retries": 10,
            "retry_delay_ms": 500,
            "error_status": 529,
            "error": "overloaded",
            "session_id": self.session,
            "uuid": Uuid::new_v4(),
        })
    }

    /// May a tool be used?
    pub(super) fn permission_request() -> Value {
        json!({
            "type": "control_request",
            "request_id": Uuid::new_v4(),
            "request": { "subtype": "can_use_tool", "tool_name": "Bash", "input": { "command": "true" } },
        })
    }

    fn stream_event(&self, message_id: &str, event: &Value) -> Value {
        json!({
            "type": "stream_event",
            "event": event,
            "session_id": self.session,
            "parent_tool_use_id": null,
            "uuid": Uuid::new_v4(),
            "api_message_id": message_id,
        })
    }

    /// A turn's last line.
    pub(super) fn result(&mut self, turn: &Turn, ended: &Ended) -> Value {
        let milliseconds = u64::try_from(turn.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut line = self.result_of_any_kind(milliseconds, turn.usage, turn.total);
        for (key, value) in [
            ("fast_mode_state", json!("off")),
            ("fast_mode_disabled_reason", json!("demo_agent")),
            ("subagent_stats", subagent_stats()),
            ("safety_stops", json!(0)),
            ("queued_turn_count", json!(0)),
            ("model_usage_since_last_result", model_usage(turn.usage)),
        ] {
            line[key] = value;
        }
        let (subtype, terminal_reason, stop_reason) = match ended {
            Ended::Answered(_) => ("success", "completed", json!("end_turn")),
            Ended::Refused(refusal) => ("success", refusal.terminal_reason, json!("stop_sequence")),
            Ended::TurnLimit(_) => ("error_max_turns", "max_turns", json!("tool_use")),
            Ended::Budget(_) => ("error_max_budget_usd", "budget_exhausted", json!("tool_use")),
            Ended::Interrupted => ("error_during_execution", "aborted_streaming", Value::Null),
        };
        line["subtype"] = json!(subtype);
        line["terminal_reason"] = json!(terminal_reason);
        line["stop_reason"] = stop_reason;
        line["is_error"] = json!(!matches!(ended, Ended::Answered(_)));
        match ended {
            Ended::Answered(text) => {
                line["result"] = json!(text);
                line["num_turns"] = json!(turn.model_calls);
                line["api_error_status"] = Value::Null;
                for key in ["ttft_ms", "ttft_stream_ms", "time_to_request_ms", "first_content_frame_ms"] {
                    line[key] = json!(milliseconds);
                }
                if !turn.keys.is_empty() {
                    line["request_sent_wall_ms"] = json!(Timestamp::now());
                    line["first_request_input_tokens"] = json!(turn.usage.input);
                    line["first_request_cache_read_input_tokens"] = json!(0);
                }
            }
            Ended::Refused(refusal) => {
                line["result"] = json!(refusal.prose);
                line["api_error_status"] = json!(refusal.status);
                line["api_error_type"] = json!(refusal.kind);
            }
            Ended::TurnLimit(limit) => {
                line["errors"] = json!([format!("Reached maximum number of turns ({limit})")]);
                line["num_turns"] = json!(2);
            }
            Ended::Budget(budget) => {
                line["errors"] = json!([format!("Reached maximum budget (${budget})")]);
                line["num_turns"] = json!(2);
            }
            Ended::Interrupted => {
                line["errors"] =
                    json!(["[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null"]);
                line["begun_message_ids"] = json!([]);
                line["num_turns"] = json!(2);
            }
        }
        add_keys(&mut line, &turn.keys);
        line
    }

    /// The only line of a process that can't find the session it was to resume.
    pub(super) fn not_resumed(&mut self, why: &str) -> Value {
        let mut line = self.result_of_any_kind(0, Usage::default(), Usage::default());
        line["subtype"] = json!("error_during_execution");
        line["is_error"] = json!(true);
        line["num_turns"] = json!(0);
        line["stop_reason"] = Value::Null;
        line["errors"] = json!([why]);
        line
    }

    fn result_of_any_kind(&mut self, milliseconds: u64, usage: Usage, total: Usage) -> Value {
        let index = self.results;
        self.results += 1;
        json!({
            "type": "result",
            "duration_ms": milliseconds,
            "duration_api_ms": milliseconds,
            "num_turns": 1,
            "session_id": self.session,
            "total_cost_usd": 0.0,
            "usage": {
                "output_tokens_details": { "thinking_tokens": 0 },
                "input_tokens": usage.input,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": usage.output,
                "server_tool_use": { "web_search_requests": 0, "web_fetch_requests": 0 },
                "service_tier": "standard",
                "cache_creation": { "ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0 },
                "inference_geo": "",
                "iterations": [],
                "speed": "standard",
                "fallback_credit": null,
            },
            "modelUsage": model_usage(total),
            "permission_denials": [],
            "uuid": Uuid::new_v4(),
            "result_index": index,
        })
    }

    /// What became of a message that came with a key.
    pub(super) fn lifecycle(&self, key: &str, state: &str) -> Value {
        json!({
            "type": "command_lifecycle",
            "command_uuid": key,
            "state": state,
            "uuid": Uuid::new_v4(),
            "session_id": self.session,
        })
    }

    /// The answer to a control request.
    pub(super) fn control(&self, request_id: &str, subtype: &str) -> Value {
        let response = match subtype {
            "interrupt" => json!({ "still_queued": [] }),
            "initialize" => json!({
                "commands": [],
                "agents": [],
                "output_style": "default",
                "available_output_styles": ["default"],
                "models": [{ "value": "default", "resolvedModel": MODEL, "displayName": "Hearth demo agent" }],
                "account": { "tokenSource": "none", "apiKeySource": "none" },
                "pid": std::process::id(),
                "claude_code_version": env!("CARGO_PKG_VERSION"),
                "current_permission_mode": self.permission_mode,
                "session_state": "idle",
                "capabilities": [],
            }),
            _ => {
                let error = format!("Unsupported control request subtype: {subtype}");
                return json!({ "type": "control_response", "response": {
                    "subtype": "error", "request_id": request_id, "error": error, "error_code": "unsupported_request",
                } });
            }
        };
        json!({ "type": "control_response", "response": {
            "subtype": "success", "request_id": request_id, "response": response,
        } })
    }
}

fn add_keys(line: &mut Value, keys: &[String]) {
    if let Some(first) = keys.first() {
        line["user_message_uuid"] = json!(first);
        line["user_message_uuids"] = json!(keys);
    }
}

fn model_usage(usage: Usage) -> Value {
    let mut models = Map::new();
    if usage != Usage::default() {
        models.insert(
            MODEL.to_owned(),
            json!({
                "inputTokens": usage.input,
                "outputTokens": usage.output,
                "cacheReadInputTokens": 0,
                "cacheCreationInputTokens": 0,
                "webSearchRequests": 0,
                "costUSD": 0.0,
                "contextWindow": 1_000_000,
                "maxOutputTokens": 128_000,
                "thinkingTokens": 0,
                "cacheCreationEphemeral5mInputTokens": 0,
                "cacheCreationEphemeral1hInputTokens": 0,
                "canonicalModel": MODEL,
                "provider": "demo",
                "costBasis": "list",
            }),
        );
    }
    Value::Object(models)
}

fn subagent_stats() -> Value {
    json!({
        "spawned": 0,
        "requested": { "background": 0, "foreground": 0, "unset": 0 },
        "started_in_background": 0,
        "max_depth": 0,
        "spawned_by_subagents": 0,
        "completed": 0,
        "failed": 0,
        "killed": { "parent": 0, "user": 0, "system": 0 },
        "refused": { "depth_limit": 0, "concurrency_limit": 0, "budget": 0 },
        "by_type": {},
    })
}
