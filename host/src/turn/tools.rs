//! The plugin's tools as the agent calls them in one turn: each call goes to the turn's generation, and is recorded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tracing::{Instrument, Span};

use super::meter;
use crate::{
    agent::{ToolFailure, ToolSpec, Tools},
    causes::with_causes,
    id::{BotName, Timestamp, TurnId},
    plugin::{Cause, Generation, Reach, ToolTrouble, bounded},
    store::{Store, TOOL_CALL_TEXT_BYTES, ToolCallRow},
};

/// Bytes kept of a tool's name that the model made up.
const NAME_LIMIT: usize = 64;

/// The tools of one turn.
pub(super) struct TurnTools {
    generation: Arc<Generation>,
    reach: Reach,
    cause: Cause,
    turn: TurnId,
    /// Where calls are recorded.
    store: Arc<dyn Store>,
    /// The turn's own: calls come in on another task.
    span: Span,
    /// Calls so far.
    calls: AtomicU32,
}

/// A call that is being made. One that is dropped before it has ended is recorded as cancelled: it may have done something.
struct Call {
    bot: BotName,
    store: Arc<dyn Store>,
    /// None once it is being recorded.
    row: Option<ToolCallRow>,
    began: Instant,
}

// === impl TurnTools ===

impl TurnTools {
    /// The generation's tools in this turn; none if it has none.
    pub(super) fn of(
        generation: &Arc<Generation>,
        reach: &Reach,
        cause: &Cause,
        turn: &TurnId,
        store: &Arc<dyn Store>,
    ) -> Option<Arc<Self>> {
        (!generation.tools().is_empty()).then(|| {
            Arc::new(Self {
                generation: Arc::clone(generation),
                reach: reach.clone(),
                cause: cause.clone(),
                turn: turn.clone(),
                store: Arc::clone(store),
                span: Span::current(),
                calls: AtomicU32::new(0),
            })
        })
    }

    /// How many calls there were.
    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn call_and_record(&self, name: &str, input: Map<String, Value>) -> Result<String, ToolFailure> {
        let call = Call {
            bot: self.generation.bot.name.clone(),
            store: Arc::clone(&self.store),
            row: Some(ToolCallRow {
                turn: self.turn.clone(),
                index: self.calls.fetch_add(1, Ordering::Relaxed),
                tool: bounded(name, NAME_LIMIT).into_owned(),
                input: kept(&Value::Object(input.clone()).to_string()),
                output: String::new(),
                error: None,
                cause: None,
                started_at: Timestamp::now(),
                duration: std::time::Duration::ZERO,
            }),
            began: Instant::now(),
        };
        let answer = self.generation.call_tool(&self.reach, &self.cause, name, input).await;
        call.ended(&answer).await;
        answer.map_err(|trouble| ToolFailure { kind: trouble.kind(), message: trouble.sentence() })
    }
}

#[async_trait]
impl Tools for TurnTools {
    fn list(&self) -> Vec<ToolSpec> {
        let tools = self.generation.tools().iter();
        tools
            .map(|tool| ToolSpec {
                name: tool.name.clone(),
                description: tool.description.clone(),
                input_schema: Arc::clone(&tool.input_schema),
                read_only: tool.read_only,
            })
            .collect()
    }

    async fn call(&self, name: &str, input: Map<String, Value>) -> Result<String, ToolFailure> {
        self.call_and_record(name, input).instrument(self.span.clone()).await
    }
}

// === impl Call ===

impl Call {
    /// Logs and records what came of it. What can't be recorded does not concern the model.
    async fn ended(mut self, answer: &Result<String, ToolTrouble>) {
        let Some(mut row) = self.row.take() else { return };
        row.duration = self.began.elapsed();
        meter::tool_call(&self.bot, answer.as_ref().err().map(ToolTrouble::kind));
        match answer {
            Ok(output) => {
                tracing::info!(tool = row.tool, milliseconds = row.duration.as_millis(), "a tool was called");
                row.output = kept(output);
            }
            Err(trouble) => {
                let cause = with_causes(trouble);
                tracing::warn!(tool = row.tool, kind = trouble.kind(), cause, "a tool call brought nothing");
                row.output = kept(&trouble.sentence());
                row.error = Some(trouble.kind().to_owned());
                row.cause = Some(kept(&cause));
            }
        }
        record(&*self.store, row).await;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Some(mut row) = self.row.take() else { return };
        row.duration = self.began.elapsed();
        row.error = Some("cancelled".to_owned());
        meter::tool_call(&self.bot, Some("cancelled"));
        if let Ok(runtime) = Handle::try_current() {
            let store = Arc::clone(&self.store);
            runtime.spawn(async move { record(&*store, row).await }.in_current_span());
        }
    }
}

async fn record(store: &dyn Store, row: ToolCallRow) {
    if let Err(error) = store.record_tool_call(row).await {
        tracing::error!(%error, "a tool call can't be recorded");
    }
}

fn kept(text: &str) -> String {
    bounded(text, TOOL_CALL_TEXT_BYTES).into_owned()
}
