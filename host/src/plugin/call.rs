//! Calling a plugin: a fresh instance, the bot's limits, and a check of what comes back.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use wasmtime::{Store, Trap};

use super::{
    BotError, Decision, Engine, Event, Generation, Outcome, Part, Prompt,
    engine::Bound,
    v1::{BotPre, Description, State},
};
use crate::{config::Limits, id::BotName};

/// Parts one answer may have.
const PARTS_LIMIT: usize = 32;
/// Bytes of one text, and of a prompt.
pub const TEXT_LIMIT: usize = 256 << 10;
/// Bytes of a system prompt.
const SYSTEM_PROMPT_LIMIT: usize = 64 << 10;
/// Bytes of one file.
const FILE_LIMIT: usize = 8 << 20;
/// How long a call waits for a slot of the pool. Calls take microseconds; a wait this long means that guests loop.
const SLOT_PATIENCE: Duration = Duration::from_secs(10);

/// Why a call gave no result. For the log: none of these is fit for a room.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The guest said so itself.
    #[error("the plugin refused: {0}")]
    Refused(String),
    /// The guest broke off.
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    /// The guest wanted more memory than it may have.
    #[error(
        "the plugin needs more than {0} bytes of memory; raise `memory` in the bot's [limits] if it should have more"
    )]
    Memory(usize),
    /// The guest did not end.
    #[error(
        "the plugin did not end within {0:?}; raise `call-time` in the bot's [limits] if it may take longer"
    )]
    Time(Duration),
    /// Too many other guests ran.
    #[error("no instance was free within {SLOT_PATIENCE:?}; other plugins are using them all")]
    Busy,
    /// The result is beyond what the interface allows.
    #[error("the plugin answered what it may not: {0}")]
    Result(String),
}

/// Asks a plugin who it is.
pub(super) async fn describe(
    engine: &Engine,
    pre: &BotPre<State>,
    limits: &Limits,
) -> Result<Description, CallError> {
    let state = State::new(BotName::from("-"), Arc::from("{}"), Bound::new(limits));
    call(engine, state, limits, async |store| {
        pre.instantiate_async(&mut *store).await?.hearth_bot_handler().call_describe(store).await
    })
    .await
}

impl Generation {
    /// What to do about a message.
    pub async fn on_message(&self, event: &Event) -> Result<Decision, CallError> {
        let decision = self
            .call(async |store, pre| {
                pre.instantiate_async(&mut *store)
                    .await?
                    .hearth_bot_handler()
                    .call_on_message(store, event)
                    .await
            })
            .await?;
        match &decision {
            Decision::Ignore => {}
            Decision::Reply(parts) => check_parts(parts)?,
            Decision::Ask(prompt) => check_prompt(prompt)?,
        }
        Ok(decision)
    }

    /// What to post after the agent has ended.
    pub async fn format_reply(&self, event: &Event, outcome: &Outcome) -> Result<Vec<Part>, CallError> {
        let parts = self
            .call(async |store, pre| {
                let bot = pre.instantiate_async(&mut *store).await?;
                bot.hearth_bot_handler().call_format_reply(store, event, outcome).await
            })
            .await?;
        check_parts(&parts)?;
        Ok(parts)
    }

    async fn call<T>(
        &self,
        run: impl AsyncFnOnce(&mut Store<State>, &BotPre<State>) -> wasmtime::Result<Result<T, BotError>>,
    ) -> Result<T, CallError> {
        let (plugin, limits) = (&self.plugin, &self.bot.limits);
        let state = State::new(self.bot.name.clone(), Arc::clone(&self.settings), Bound::new(limits));
        call(&plugin.engine, state, limits, async |store| run(store, &plugin.pre).await)
            .await?
            .map_err(|error| CallError::Refused(super::bounded(&error.message, 4 << 10).into_owned()))
    }
}

/// Runs one call under its limits.
async fn call<T>(
    engine: &Engine,
    state: State,
    limits: &Limits,
    run: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    let _slot = within(SLOT_PATIENCE, engine.slot()).await.ok_or(CallError::Busy)?;
    let mut store = engine.store(state);
    let ended = within(limits.call_time, run(&mut store)).await;
    let dropped = store.data().dropped_lines();
    if dropped > 0 {
        tracing::warn!(target: "plugin", dropped, "the call logged more lines than one call may");
    }
    match ended {
        None => Err(CallError::Time(limits.call_time)),
        Some(Ok(result)) => Ok(result),
        Some(Err(_)) if store.data().bound.memory_refused => Err(CallError::Memory(limits.memory)),
        Some(Err(error)) => Err(CallError::Trapped(describe_trap(&error))),
    }
}

async fn within<T>(deadline: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(deadline, future).await.ok()
}

/// The trap, and the guest's innermost functions: what its author needs, without the engine's own frames.
fn describe_trap(error: &wasmtime::Error) -> String {
    let cause = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let frames: Vec<String> = error
        .downcast_ref::<wasmtime::WasmBacktrace>()
        .map(|backtrace| backtrace.frames().iter().take(5).filter_map(|frame| frame.func_name()))
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    if frames.is_empty() { cause } else { format!("{cause} in {}", frames.join(" ← ")) }
}

// === What a result may be ===

fn check_parts(parts: &[Part]) -> Result<(), CallError> {
    let wrong = |problem: String| Err(CallError::Result(problem));
    if parts.len() > PARTS_LIMIT {
        return wrong(format!("{} parts; an answer may have {PARTS_LIMIT}", parts.len()));
    }
    for part in parts {
        match part {
            Part::Markdown(text) | Part::Html(text) | Part::Text(text) if text.len() > TEXT_LIMIT => {
                return wrong(format!("a text of {} bytes; one may have {TEXT_LIMIT}", text.len()));
            }
            Part::File(file) if file.content.len() > FILE_LIMIT => {
                return wrong(format!("a file of {} bytes; one may have {FILE_LIMIT}", file.content.len()));
            }
            Part::File(file)
                if file.name.is_empty()
                    || file.name.len() > 255
                    || file.name.contains(['/', '\\', '\0', '\r', '\n']) =>
            {
                return wrong("a file's name must have 1 to 255 bytes and no path or line break".to_owned());
            }
            Part::Boost(text) if text.trim().is_empty() || text.chars().count() > 16 => {
                return wrong("a boost must have 1 to 16 characters".to_owned());
            }
            Part::Sound(name) if crate::campfire::sound(name).is_none() => {
                return wrong("a sound's name has 1 to 32 lower-case letters and digits".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_prompt(prompt: &Prompt) -> Result<(), CallError> {
    let wrong = |problem: String| Err(CallError::Result(problem));
    if prompt.text.trim().is_empty() {
        return wrong("an empty prompt; reply or ignore instead of asking nothing".to_owned());
    }
    if prompt.text.len() > TEXT_LIMIT {
        return wrong(format!("a prompt of {} bytes; one may have {TEXT_LIMIT}", prompt.text.len()));
    }
    if prompt.system_prompt.as_ref().is_some_and(|text| text.len() > SYSTEM_PROMPT_LIMIT) {
        return wrong(format!("a system prompt of more than {SYSTEM_PROMPT_LIMIT} bytes"));
    }
    if let Some((name, _)) = prompt.attributes.first() {
        return wrong(format!("the prompt's attribute `{name}`, which this host does not know"));
    }
    Ok(())
}
