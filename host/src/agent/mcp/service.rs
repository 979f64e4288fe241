//! What the server answers: the list of tools, and calls of them.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListToolsResult, MetaObject, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
        ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::agent::tools::{ToolFailure, ToolSpec, Tools};

/// How many calls of read-only tools run at once; the rest wait, first come, first served.
const CALLS: u32 = 4;
/// How many characters of a result the CLI hands on. Of more than 50,000 it would only tell the model a file's name,
/// which the model has no tool to read, unless the tool asks for more in its list entry.
const RESULT_CHARACTERS: usize = 100_000;

/// Where calls go, and until when.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) tools: Arc<dyn Tools>,
    pub(super) ended: CancellationToken,
}

pub(super) struct Service {
    tools: Vec<Tool>,
    current: watch::Receiver<Option<Current>>,
    /// A call of a read-only tool takes one, any other all of them.
    slots: Semaphore,
}

impl Service {
    pub(super) fn new(tools: &[ToolSpec], current: watch::Receiver<Option<Current>>) -> Self {
        Self { tools: tools.iter().map(listed).collect(), current, slots: Semaphore::new(CALLS as usize) }
    }

    async fn call(&self, current: &Current, request: CallToolRequestParams) -> Result<String, ToolFailure> {
        let is_read_only = self.tools.iter().any(|tool| {
            tool.name == request.name
                && tool.annotations.as_ref().is_some_and(|hints| hints.read_only_hint == Some(true))
        });
        // The semaphore is never closed.
        let _slots = self.slots.acquire_many(if is_read_only { 1 } else { CALLS }).await;
        let called = current.tools.call(&request.name, request.arguments.unwrap_or_default());
        let Ok(answer) = AssertUnwindSafe(called).catch_unwind().await else {
            tracing::error!(tool = &*request.name, "a tool panicked");
            return Err(failed("the tool broke"));
        };
        answer
    }
}

impl ServerHandler for Service {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(super::NAME, env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let current = self.current.borrow().clone();
        let answer = match current {
            None => Err(failed("no message is being answered")),
            Some(current) => tokio::select! {
                biased;
                () = context.ct.cancelled() => Err(failed("it was cancelled")),
                () = current.ended.cancelled() => Err(failed("the turn has ended")),
                answer = self.call(&current, request) => answer,
            },
        };
        // As text alone: from structured content the CLI makes just the same text.
        Ok(match answer {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.to_string())]),
        }
        .into())
    }
}

fn failed(message: &str) -> ToolFailure {
    ToolFailure { kind: "failed", message: message.to_owned() }
}

fn listed(tool: &ToolSpec) -> Tool {
    let mut meta = MetaObject::default();
    meta.0.insert("anthropic/maxResultSizeChars".to_owned(), json!(RESULT_CHARACTERS));
    let description = Some(Cow::from(tool.description.clone()));
    Tool::new_with_raw(tool.name.clone(), description, Arc::clone(&tool.input_schema))
        .with_annotations(ToolAnnotations::new().read_only(tool.read_only))
        .with_meta(meta)
}
