//! What the agent can call in the host: tools, offered to the model beside the CLI's own.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde_json::{Map, Value};

/// The tools of a turn. They are offered when the process starts; calls go to those of the turn that runs.
#[async_trait]
pub trait Tools: Send + Sync + 'static {
    /// What is offered. The names differ from each other.
    fn list(&self) -> Vec<ToolSpec>;

    /// Calls one and answers what the model is to read. `input` fits no schema yet: it is as the model made it. The future
    /// is dropped when the model takes the call back, or the turn ends.
    async fn call(&self, name: &str, input: Map<String, Value>) -> Result<String, ToolFailure>;
}

/// A tool as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// What it is called.
    pub name: String,
    /// What it does.
    pub description: String,
    /// A JSON Schema of type `object`.
    pub input_schema: Arc<Map<String, Value>>,
    /// It changes nothing: calls of such tools run side by side. One that does change something runs alone.
    pub read_only: bool,
}

/// Why a call brought nothing, for the model: it may try something else. Both end up in the conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct ToolFailure {
    /// In one word, such as `invalid-input`.
    pub kind: &'static str,
    /// What is wrong, and what to do instead.
    pub message: String,
}

impl fmt::Debug for dyn Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list().iter().map(|tool| &tool.name)).finish()
    }
}
