//! What a turn came to, decided from recorded facts alone: no clock, no process, no I/O.

#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

use uuid::Uuid;

use super::{
    Clock, Outcome, Usage,
    protocol::{ControlRequest, Init, LifecycleState, Line, ResultLine},
};
use crate::id::SessionId;

/// How an exchange with a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It said all it had to say ([`Facts::is_settled`]).
    Settled,
    /// The process has ended by itself.
    Exited(Exit),
    /// The host wants the turn to stop.
    Stopped,
    /// A deadline passed.
    TimedOut(Clock),
    /// It sent more control requests than a turn may.
    Flooded,
    /// It answered something before it had taken up what it was asked.
    OutOfTurn,
}

/// A process's exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What is to be done with an ended exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The turn has come to this.
    Final(Outcome),
    /// The CLI does not know the session.
    StaleSession,
    /// The session has answered this very message before (its uuid is known), and the CLI says nothing more about it.
    AlreadyAnswered,
}

/// What was seen on stdout so far.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is something that was seen or was not")]
pub(super) struct Facts {
    /// The user message this is about.
    message: Uuid,
    /// What the first `init` said.
    init: Init,
    /// Its lifecycle was spoken of.
    is_heard: bool,
    /// There was an `init` or a `result` before that.
    is_out_of_turn: bool,
    /// The message's turn has begun: an `init`, or its lifecycle says so.
    begun: bool,
    /// Its lifecycle has ended.
    is_over: bool,
    /// There was a second `init` or `result`: one was expected of each.
    is_repeated: bool,
    /// Its lifecycle ended without ever having begun.
    answered_before: bool,
    /// The first `result`. One message was sent, so a second one is about nothing that was asked.
    result: Option<Box<ResultLine>>,
    /// The last API error that came as an `assistant` line: the kind where `result` has no status.
    assistant_error: Option<String>,
    /// Lines that are not the protocol.
    junk: u64,
}

impl Facts {
    /// Nothing seen yet about `message`.
    pub(super) fn about(message: Uuid) -> Self {
        Self {
            message,
            init: Init::default(),
            is_heard: false,
            is_out_of_turn: false,
            begun: false,
            is_over: false,
            is_repeated: false,
            answered_before: false,
            result: None,
            assistant_error: None,
            junk: 0,
        }
    }

    /// Takes note of a line. Gives back the control request that needs an answer.
    pub(super) fn note(&mut self, line: Line) -> Option<ControlRequest> {
        if matches!(line, Line::Init(_) | Line::Result(_)) {
            self.is_out_of_turn |= !self.is_heard;
        }
        match line {
            Line::Init(init) => {
                self.is_repeated |= self.init != Init::default();
                self.begun = true;
                self.init.session = self.init.session.or(init.session);
                self.init.tools = self.init.tools.take().or(init.tools);
            }
            Line::Result(result) => {
                self.is_repeated |= self.result.is_some();
                self.result.get_or_insert(result);
            }
            Line::AssistantError(kind) => self.assistant_error = Some(kind),
            Line::Lifecycle(message, state) if message == self.message => {
                self.is_heard = true;
                match state {
                    LifecycleState::Started => self.begun = true,
                    LifecycleState::Completed => {
                        self.answered_before = !self.begun;
                        self.is_over = true;
                    }
                    LifecycleState::Cancelled => self.is_over = true,
                    LifecycleState::Other => {}
                }
            }
            Line::ControlRequest(request) => return Some(request),
            Line::Lifecycle(..) | Line::Up | Line::Other => {}
        }
        None
    }

    /// Counts a line that is not the protocol.
    pub(super) fn note_junk(&mut self) {
        self.junk += 1;
    }

    /// How many lines were not the protocol.
    pub(super) fn junk(&self) -> u64 {
        self.junk
    }

    /// Whether nothing more can be expected.
    pub(super) fn is_settled(&self) -> bool {
        self.result.is_some() || self.answered_before
    }

    /// Whether an answer came before the message was taken up, which is then none to it. Only for a process that says when
    /// it takes one up.
    pub(super) fn is_out_of_turn(&self) -> bool {
        self.is_out_of_turn
    }

    /// Whether the message's lifecycle has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether all was said once and of one session.
    pub(super) fn is_clean(&self) -> bool {
        let of_session = |result: &ResultLine| {
            result.session_id.map(SessionId).is_none_or(|session| self.init.session == Some(session))
        };
        !self.is_repeated && self.junk == 0 && self.result.as_deref().is_some_and(of_session)
    }

    /// The session `init` named.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.init.session
    }

    /// How the host's tools stand with the CLI, where that is not well: what `init` said of them.
    pub(super) fn tools_trouble(&self) -> Option<&str> {
        let status = self.init.tools.as_deref().unwrap_or("unknown");
        (self.begun && status != "connected").then_some(status)
    }

    /// What these facts and this end come to.
    pub(super) fn judge(&self, end: End) -> Verdict {
        if let Some(result) = &self.result {
            return judge_result(result, self.assistant_error.as_deref());
        }
        if self.answered_before {
            return Verdict::AlreadyAnswered;
        }
        Verdict::Final(match end {
            End::TimedOut(clock) => Outcome::TimedOut(clock),
            // Somebody else may have ended it: a signal 2 or 15, or what the CLI makes of them, which for a turn that had
            // begun and a signal 2 is the code 0.
            End::Stopped | End::Exited(Exit::Signal(2 | 15) | Exit::Code(130 | 143)) => Outcome::Interrupted,
            End::Exited(Exit::Code(0)) if self.begun => Outcome::Interrupted,
            End::Settled | End::Exited(_) | End::Flooded | End::OutOfTurn => Outcome::Crashed,
        })
    }

    /// What this turn used. `resumed` says that the totals include earlier turns.
    pub(super) fn usage(&self, resumed: bool) -> Usage {
        let Some(result) = &self.result else { return Usage::default() };
        let mut usage = Usage { turns: result.num_turns.unwrap_or(0), ..Usage::default() };
        if let Some(models) = &result.model_usage_since_last_result {
            usage.cost_usd = Some(models.values().map(|model| model.cost_usd).sum());
            for model in models.values() {
                usage.input_tokens = usage.input_tokens.saturating_add(model.input_tokens);
                usage.output_tokens = usage.output_tokens.saturating_add(model.output_tokens);
                usage.cache_read_tokens =
                    usage.cache_read_tokens.saturating_add(model.cache_read_input_tokens);
                usage.cache_creation_tokens =
                    usage.cache_creation_tokens.saturating_add(model.cache_creation_input_tokens);
            }
            return usage;
        }
        if let Some(tokens) = &result.usage {
            usage.input_tokens = tokens.input_tokens;
            usage.output_tokens = tokens.output_tokens;
            usage.cache_read_tokens = tokens.cache_read_input_tokens;
            usage.cache_creation_tokens = tokens.cache_creation_input_tokens;
        }
        usage.cost_usd = result.total_cost_usd.filter(|_| !resumed);
        usage
    }

    /// What happened, in words for the log. May carry an error's prose, never an answer.
    pub(super) fn describe(&self, end: End) -> String {
        let mut words = match end {
            End::Settled => String::new(),
            End::Exited(exit) => format!("the agent ended with {exit}"),
            End::Stopped => "the turn was stopped".into(),
            End::TimedOut(clock) => format!("the agent's {clock} deadline passed"),
            End::Flooded => "the agent sent too many control requests".into(),
            End::OutOfTurn => "the agent answered before it had taken up the message".into(),
        };
        match &self.result {
            Some(result) => describe_result(&mut words, result, self.assistant_error.as_deref()),
            None if self.answered_before => {
                add(&mut words, format_args!("the session has answered this message before"));
            }
            None if !self.begun => add(&mut words, format_args!("the turn had not begun")),
            None => add(&mut words, format_args!("there was no result")),
        }
        words
    }
}

fn judge_result(result: &ResultLine, assistant_error: Option<&str>) -> Verdict {
    let subtype = result.subtype.as_deref().unwrap_or_default();
    Verdict::Final(match subtype {
        "success" if is_api_error(result) => api_error(result, assistant_error),
        "success" => match &result.result {
            Some(text) => Outcome::Completed { text: text.clone() },
            None => Outcome::Crashed,
        },
        "error_max_turns" => Outcome::TurnLimit,
        "error_max_budget_usd" => Outcome::Budget,
        _ if errors(result).any(|error| error.contains("No conversation found with session ID")) => {
            return Verdict::StaleSession;
        }
        _ if result.terminal_reason.as_deref().is_some_and(|reason| reason.starts_with("aborted")) => {
            Outcome::Interrupted
        }
        _ => Outcome::Crashed,
    })
}

/// Any one of these marks is enough: an error's prose must never pass for an answer.
fn is_api_error(result: &ResultLine) -> bool {
    result.is_error != Some(false)
        || result.api_error_status.is_some()
        || result.api_error.is_some()
        || result.terminal_reason.as_deref() == Some("api_error")
}

/// The kind of an API error: by its status, else by what the CLI calls it.
fn api_error(result: &ResultLine, assistant_error: Option<&str>) -> Outcome {
    match result.api_error_status {
        Some(429) => return Outcome::RateLimited,
        Some(401..=403) => return Outcome::Auth,
        Some(408 | 500..=599) => return Outcome::Overloaded,
        Some(400..=499) => return Outcome::InvalidRequest,
        _ => {}
    }
    if result.api_error.as_deref() == Some("connection_failed") {
        return Outcome::Overloaded;
    }
    match assistant_error {
        Some("authentication_failed" | "billing_error" | "oauth_org_not_allowed") => Outcome::Auth,
        Some("rate_limit") => Outcome::RateLimited,
        Some("server_error" | "overloaded") => Outcome::Overloaded,
        Some("invalid_request" | "model_not_found") => Outcome::InvalidRequest,
        _ => Outcome::Crashed,
    }
}

fn describe_result(words: &mut String, result: &ResultLine, assistant_error: Option<&str>) {
    add(words, format_args!("result {}", result.subtype.as_deref().unwrap_or("without a subtype")));
    if let Some(status) = result.api_error_status {
        add(words, format_args!("HTTP status {status}"));
    }
    let kinds = [&result.api_error_type, &result.api_error, &result.terminal_reason];
    for kind in kinds.into_iter().flatten().map(String::as_str).chain(assistant_error) {
        add(words, format_args!("{kind}"));
    }
    for error in errors(result) {
        add(words, format_args!("{error}"));
    }
    if is_api_error(result)
        && let Some(prose) = &result.result
    {
        add(words, format_args!("{prose}"));
    }
}

fn errors(result: &ResultLine) -> impl Iterator<Item = &str> {
    result.errors.iter().flatten().map(String::as_str)
}

fn add(words: &mut String, more: fmt::Arguments<'_>) {
    if !words.is_empty() {
        words.push_str("; ");
    }
    // Writing to a string does not fail.
    let _ = words.write_fmt(more);
}
