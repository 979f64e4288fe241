//! Calling a plugin: a fresh instance, the bot's limits, and a check of what comes back.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use metrics::histogram;
use serde_json::json;
use tokio::time::timeout;
use wasmtime::{Store, Trap};
use wasmtime_wasi::I32Exit;

use super::{
    BotError, Cause, Code, Decision, Description, Display, Engine, Generation, Outcome, Part, Progress,
    Prompt, Reach,
    bound::Limit,
    engine::Share,
    health::{Kind, Verdict},
    part::TEXT_LIMIT,
    v1::{Calling, State},
};
use crate::{config::Limits, id::BotName};

/// Parts one answer may have.
const PARTS_LIMIT: usize = 32;
/// Bytes of a system prompt.
const SYSTEM_PROMPT_LIMIT: usize = 64 << 10;
/// Bytes that are kept of a guest's own words about a failure.
const WORDS_LIMIT: usize = 4 << 10;

/// Why a call gave no result. For the log: none of these is fit for a room.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The guest said so itself.
    #[error("the plugin refused: {0}")]
    Refused(String),
    /// A timer has come for a guest that takes none.
    #[error("the plugin does not export `timer-handler` any more, so the timer `{0}` can't reach it")]
    NoTimers(String),
    /// The guest broke off.
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    /// The guest came up against one of its bot's limits.
    #[error("the plugin {limit}; raise `{}` in [bots.{bot}.limits] if it may", .limit.setting())]
    Limit {
        /// Whose limits.
        bot: BotName,
        /// Which one.
        limit: Limit,
    },
    /// Too many calls of the same bot were under way.
    #[error(
        "{calls} calls of this bot were under way, and none ended within {patience:?}; what its plugin waits for is slow"
    )]
    Crowded {
        /// As many as a bot may have at once.
        calls: u32,
        /// How long this one waited.
        patience: Duration,
    },
    /// Too many other guests ran.
    #[error("no instance was free within {0:?}; other plugins are using them all")]
    Busy(Duration),
    /// The result is beyond what the interface allows.
    #[error("the plugin answered what it may not: {0}")]
    Result(String),
}

/// Asks a plugin who it is.
pub(super) async fn describe(
    engine: &Engine,
    code: &Code,
    limits: &Limits,
) -> Result<Description, CallError> {
    let calling = Calling {
        bot: "-".into(),
        settings: Arc::from("{}"),
        http: Arc::from([]),
        wants: Arc::from([]),
        granted: Arc::from([]),
        takes_timers: false,
        reach: None,
    };
    let Code::V1(guest) = code;
    let describe = async |store: &mut Store<State>| guest.describe(store).await;
    call(engine, code, None, calling, limits, limits.call_time, describe).await
}

impl Generation {
    /// What its calls so far say about its code.
    pub fn verdict(&self) -> Verdict {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).verdict(Instant::now())
    }

    /// Takes down how a call went.
    pub(super) fn noted<T>(&self, kind: Kind, called: Result<T, CallError>) -> Result<T, CallError> {
        let failed = called.as_ref().is_err_and(CallError::is_the_codes);
        self.health.lock().unwrap_or_else(PoisonError::into_inner).note(kind, failed, Instant::now());
        if failed {
            self.failed.notify_one();
        }
        called
    }

    /// What to do about it. What a plugin does not take, it need not know of: it is ignored, unless it is a timer, for
    /// which somebody waits.
    pub async fn decide(&self, reach: &Reach, cause: &Cause) -> Result<Decision, CallError> {
        let reach = reach.calling("decide", &());
        let decided = self.call_decide(&reach, cause).await;
        reach.called(decided.as_ref().map_err(ToString::to_string));
        self.noted(Kind::Decide, decided)
    }

    async fn call_decide(&self, reach: &Reach, cause: &Cause) -> Result<Decision, CallError> {
        let Code::V1(guest) = &self.plugin.code;
        if !guest.takes(cause) {
            return match cause {
                Cause::Timer(timer) => {
                    Err(CallError::NoTimers(super::bounded(&timer.name, 128).into_owned()))
                }
                Cause::Message(_) | Cause::Occurrence(_) => Ok(Decision::Ignore),
            };
        }
        let decision =
            said(self.call("decide", Some(reach), async |store| guest.decide(store, cause).await).await?)?;
        match &decision {
            Decision::Ignore => {}
            Decision::Reply(parts) => check_parts(parts)?,
            Decision::Ask(prompt) => check_prompt(prompt)?,
        }
        Ok(decision)
    }

    /// What to post after the agent has ended.
    pub async fn format_reply(
        &self,
        reach: &Reach,
        cause: &Cause,
        outcome: &Outcome,
    ) -> Result<Vec<Part>, CallError> {
        let Code::V1(guest) = &self.plugin.code;
        let reach = reach.calling("format-reply", outcome);
        let parts = self
            .call("format-reply", Some(&reach), async |store| guest.format_reply(store, cause, outcome).await)
            .await;
        let checked = parts.and_then(said).and_then(|parts| check_parts(&parts).map(|()| parts));
        reach.called(checked.as_ref().map_err(ToString::to_string));
        self.noted(Kind::Format, checked)
    }

    /// What the room is to see now, while the agent works. A plugin that has no say in it leaves it to the host.
    pub async fn show(
        &self,
        reach: &Reach,
        cause: &Cause,
        progress: &Progress,
    ) -> Result<Display, CallError> {
        let Code::V1(guest) = &self.plugin.code;
        if !guest.has_progress() {
            return Ok(Display::Standard);
        }
        let reach =
            reach.calling("show", &json!({ "elapsed": progress.elapsed, "steps": progress.steps.len() }));
        let display =
            self.call("show", Some(&reach), async |store| guest.show(store, cause, progress).await).await;
        let checked = display.and_then(|display| match &display {
            Display::Markdown(text) if text.len() > TEXT_LIMIT => Err(CallError::Result(format!(
                "a display of {} bytes; one may have {TEXT_LIMIT}",
                text.len()
            ))),
            _ => Ok(display),
        });
        reach.called(checked.as_ref().map_err(ToString::to_string));
        self.noted(Kind::Show, checked)
    }

    /// Makes one call of the guest, under the bot's limits. `what` is a word for it, among few.
    pub(super) async fn call<T>(
        &self,
        what: &'static str,
        reach: Option<&Reach>,
        run: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        self.call_within(what, self.bot.limits.call_time, reach, run).await
    }

    /// The same with what is left of the bot's `call-time`.
    pub(super) async fn call_within<T>(
        &self,
        what: &'static str,
        left: Duration,
        reach: Option<&Reach>,
        run: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let calling = Calling {
            bot: self.bot.name.clone(),
            settings: Arc::clone(&self.settings),
            http: Arc::clone(&self.bot.http),
            wants: Arc::clone(&self.plugin.wanted),
            granted: Arc::clone(&self.granted),
            takes_timers: self.plugin.has_timers(),
            reach: reach.cloned(),
        };
        let began = Instant::now();
        let (engine, code, limits) = (&self.plugin.engine, &self.plugin.code, &self.bot.limits);
        let ended = call(engine, code, Some(&self.share), calling, limits, left, run).await;
        histogram!("hearth_plugin_call_duration_seconds", "bot" => self.bot.name.to_string(), "call" => what)
            .record(began.elapsed());
        ended
    }
}

fn said<T>(said: Result<T, BotError>) -> Result<T, CallError> {
    said.map_err(|error| CallError::Refused(super::bounded(&error.message, WORDS_LIMIT).into_owned()))
}

/// Runs one call under its limits, in what is `left` of its `call-time`. Waiting for a slot takes nothing of that.
async fn call<T>(
    engine: &Engine,
    code: &Code,
    share: Option<&Share>,
    calling: Calling,
    limits: &Limits,
    left: Duration,
    run: impl AsyncFnOnce(&mut Store<State>) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    let bot = calling.bot.clone();
    let _slot = engine.slot(share, limits.call_time).await?;
    let mut store = Engine::store(code.engine(), State::new(calling, limits));
    let ended = timeout(left, run(&mut store)).await;
    store.data_mut().log_rest();
    let bound = &store.data().bound;
    let dropped = bound.dropped_lines();
    if dropped > 0 {
        tracing::warn!(target: "plugin", %bot, dropped, "the call logged more lines than `log-lines` in [limits] allows");
    }
    let limit = match ended {
        Ok(Ok(result)) => return Ok(result),
        Ok(Err(error)) => bound.blame(&error).ok_or_else(|| CallError::Trapped(describe_trap(&error)))?,
        Err(_) => Limit::CallTime(limits.call_time),
    };
    Err(CallError::Limit { bot, limit })
}

/// The trap, and the guest's innermost functions: what its author needs, without the engine's own frames.
fn describe_trap(error: &wasmtime::Error) -> String {
    let exit = error.downcast_ref::<I32Exit>().map(|I32Exit(status)| {
        format!("it ended itself with exit status {status}, instead of returning from the call")
    });
    let trap = || error.downcast_ref::<Trap>().map(ToString::to_string);
    let cause = exit.or_else(trap).unwrap_or_else(|| error.root_cause().to_string());
    let frames: Vec<String> = error
        .downcast_ref::<wasmtime::WasmBacktrace>()
        .map(|backtrace| backtrace.frames().iter().take(5).filter_map(|frame| frame.func_name()))
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    let told = if frames.is_empty() { cause } else { format!("{cause} in {}", frames.join(" ← ")) };
    super::bounded(&told, WORDS_LIMIT).into_owned()
}

// === What a result may be ===

fn check_parts(parts: &[Part]) -> Result<(), CallError> {
    if parts.len() > PARTS_LIMIT {
        let problem = format!("{} parts; an answer may have {PARTS_LIMIT}", parts.len());
        return Err(CallError::Result(problem));
    }
    parts.iter().try_for_each(Part::check).map_err(CallError::Result)
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
