//! What a turn came to, decided from recorded facts alone: no clock, no process, no I/O.

use std::fmt::{self, Write as _};

use uuid::Uuid;

use super::{
    Clock, Outcome, Usage,
    protocol::{LifecycleState, Line, ResultLine},
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
pub(super) struct Facts {
    /// The user message this is about.
    message: Uuid,
    /// What the first `init` said.
    session: Option<SessionId>,
    /// The message's turn has begun: an `init`, or its lifecycle says so.
    begun: bool,
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
            session: None,
            begun: false,
            answered_before: false,
            result: None,
            assistant_error: None,
            junk: 0,
        }
    }

    /// Takes note of a line. Gives back the control request that needs an answer.
    pub(super) fn note(&mut self, line: Line) -> Option<(String, String)> {
        match line {
            Line::Init(session) => {
                self.begun = true;
                self.session = self.session.or(session);
            }
            Line::Result(result) => {
                self.result.get_or_insert(result);
            }
            Line::AssistantError(kind) => self.assistant_error = Some(kind),
            Line::Lifecycle(message, state) if message == self.message => match state {
                LifecycleState::Started => self.begun = true,
                LifecycleState::Completed => self.answered_before = !self.begun,
                LifecycleState::Other => {}
            },
            Line::ControlRequest { request_id, subtype } => return Some((request_id, subtype)),
            Line::Lifecycle(..) | Line::Other => {}
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

    /// The session `init` named.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session
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
            End::Stopped => Outcome::Interrupted,
            End::TimedOut(clock) => Outcome::TimedOut(clock),
            // Somebody ended it: a signal 2 or 15, or the exit codes the CLI makes of them.
            End::Exited(Exit::Signal(2 | 15) | Exit::Code(130 | 143)) => Outcome::Interrupted,
            End::Settled | End::Exited(_) | End::Flooded => Outcome::Crashed,
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use serde_json::Value;

    use super::*;
    use crate::agent::{framer::Framer, protocol};

    /// The user message of the recordings that name one.
    const RECORDED: Uuid = Uuid::from_u128(0xb246_dd2d_22ab_49b1_a608_e0234df156cd);

    fn recordings() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/claude")
    }

    /// Replays a recording of the real CLI: what a listener knows at its end, and the end.
    fn replay(name: &str) -> (Facts, End) {
        let stdout = fs::read(recordings().join(format!("{name}.stdout.jsonl"))).unwrap();
        let meta = fs::read(recordings().join(format!("{name}.meta.json"))).unwrap();
        let meta: Value = serde_json::from_slice(&meta).unwrap();
        let code = i32::try_from(meta["exit"].as_i64().unwrap()).unwrap();
        let mut facts = Facts::about(RECORDED);
        let mut framer = Framer::new(1 << 20);
        let mut chunk = &stdout[..];
        while let Some(line) = framer.next_line(&mut chunk) {
            facts.note(protocol::read(line).unwrap());
        }
        assert!(!framer.is_mid_line(), "{name}");
        let end = if facts.is_settled() { End::Settled } else { End::Exited(Exit::Code(code)) };
        (facts, end)
    }

    fn completed(text: &str) -> Verdict {
        Verdict::Final(Outcome::Completed { text: text.into() })
    }

    #[test]
    fn every_recording_comes_to_what_it_shows() {
        use Outcome::{
            Auth, Budget, Crashed, Interrupted, InvalidRequest, Overloaded, RateLimited, TurnLimit,
        };
        let is = Verdict::Final;
        let table = [
            ("01_print_hi", completed("ECHO n=2 users=1 last=8f434346 hist=8f434346 text=hi")),
            ("01d_streamjson_without_verbose", is(Crashed)),
            (
                "02_input_stream_json_one",
                completed("ECHO n=2 users=1 last=40de4213 hist=40de4213 text=hello from stdin"),
            ),
            (
                "02c_input_stream_json_two_then_eof",
                completed("ECHO n=2 users=1 last=41fc70fb hist=41fc70fb text=msg 1"),
            ),
            ("02e_input_stream_json_garbage", is(Crashed)),
            ("02h_input_stream_json_empty_eof", is(Crashed)),
            (
                "04_session_id",
                completed("ECHO n=2 users=1 last=eaef0c85 hist=eaef0c85 text=first message ALPHA"),
            ),
            ("04b_session_id_reuse", is(Crashed)),
            ("05_resume", completed("RECALL n=4 :: first message ALPHA")),
            ("05c_resume_bad_uuid_wellformed", Verdict::StaleSession),
            ("05d_resume_not_uuid", is(Crashed)),
            ("11_max_turns_1_tool", is(TurnLimit)),
            ("12_budget", is(Budget)),
            ("20_http529_default", is(Overloaded)),
            ("21b_http429_retries1", is(RateLimited)),
            ("22b_http500_retries1", is(Overloaded)),
            ("23_http401", is(Auth)),
            ("23b_http400", is(InvalidRequest)),
            ("23d_http413", is(InvalidRequest)),
            ("25b_conn_refused_retries1", is(Overloaded)),
            ("27_no_api_key", is(Auth)),
            ("28_http529_stream_input", is(Overloaded)),
            ("35_SIGTERM_kill", is(Interrupted)),
            ("61_interrupt_hang", is(Interrupted)),
            ("68b_uuid_redelivered_after_resume", Verdict::AlreadyAnswered),
        ];
        let mut seen = BTreeSet::new();
        for (name, verdict) in table {
            let (facts, end) = replay(name);
            assert_eq!(facts.judge(end), verdict, "{name}");
            seen.insert(name.to_owned());
        }
        for entry in fs::read_dir(recordings()).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let Some(name) = file.strip_suffix(".meta.json") else { continue };
            if !seen.contains(name) {
                let (facts, end) = replay(name);
                let verdict = facts.judge(end);
                assert!(matches!(verdict, Verdict::Final(Outcome::Completed { .. })), "{name}: {verdict:?}");
                assert!(facts.session().is_some(), "{name}");
            }
        }
    }

    #[test]
    fn the_session_is_what_init_says_and_a_stale_one_is_not_taken_up() {
        let session = |name| replay(name).0.session().map(|session| session.to_string());
        assert_eq!(session("05_resume").as_deref(), Some("67e8e5cd-d197-4b12-b76f-aa14e85f8018"));
        assert_eq!(session("11_max_turns_1_tool").as_deref(), Some("26b747db-9759-4e0e-b554-f7e3034cb2e8"));
        assert_eq!(session("05c_resume_bad_uuid_wellformed"), None);
    }

    #[test]
    fn usage_is_of_the_turn_alone() {
        let usage = replay("05_resume").0.usage(true);
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.turns), (12_358, 15, 1));
        let cost = usage.cost_usd.unwrap();
        assert!((cost - 0.049_732).abs() < 1e-6, "{cost}");
        assert_eq!(replay("35_SIGTERM_kill").0.usage(true), Usage::default());
    }

    fn facts(lines: &[&str]) -> Facts {
        let mut facts = Facts::about(RECORDED);
        for line in lines {
            facts.note(protocol::read(line.as_bytes()).unwrap());
        }
        facts
    }

    #[test]
    fn the_sum_of_a_whole_session_is_not_taken_for_the_turns_cost() {
        let facts = facts(&[
            r#"{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.5,
            "usage":{"input_tokens":10,"output_tokens":5}}"#,
        ]);
        assert_eq!(facts.usage(true).cost_usd, None);
        assert_eq!(facts.usage(false).cost_usd, Some(0.5));
        assert_eq!(facts.usage(true).input_tokens, 10);
    }

    #[test]
    fn no_mark_of_an_error_passes_for_an_answer() {
        for mark in [
            r#""is_error":true"#,
            r#""is_error":false,"api_error_status":418"#,
            r#""is_error":false,"terminal_reason":"api_error""#,
            r#""is_error":false,"api_error":"connection_failed""#,
            r#""is_error":"yes""#,
            r#""subtype2":1"#,
        ] {
            let line =
                format!(r#"{{"type":"result","subtype":"success","result":"API Error: prose",{mark}}}"#);
            let verdict = facts(&[&line]).judge(End::Settled);
            assert!(!matches!(verdict, Verdict::Final(Outcome::Completed { .. })), "{mark}: {verdict:?}");
        }
    }

    #[test]
    fn the_status_decides_before_the_kind_does() {
        let judge = |status: &str, kind: &str| {
            let assistant = format!(r#"{{"type":"assistant","error":"{kind}"}}"#);
            let result = format!(
                r#"{{"type":"result","subtype":"success","is_error":true,"api_error_status":{status},"result":""}}"#
            );
            facts(&[&assistant, &result]).judge(End::Settled)
        };
        for (status, kind, outcome) in [
            ("402", "unknown", Outcome::Auth),
            ("403", "server_error", Outcome::Auth),
            ("404", "unknown", Outcome::InvalidRequest),
            ("408", "unknown", Outcome::Overloaded),
            ("503", "rate_limit", Outcome::Overloaded),
            ("null", "rate_limit", Outcome::RateLimited),
            ("null", "billing_error", Outcome::Auth),
            ("null", "invalid_request", Outcome::InvalidRequest),
            ("null", "news", Outcome::Crashed),
            ("700", "news", Outcome::Crashed),
        ] {
            assert_eq!(judge(status, kind), Verdict::Final(outcome), "{status} {kind}");
        }
    }

    #[test]
    fn without_a_result_the_end_decides() {
        let begun = [r#"{"type":"system","subtype":"init","session_id":"x"}"#];
        for (end, outcome) in [
            (End::Stopped, Outcome::Interrupted),
            (End::TimedOut(Clock::Silence), Outcome::TimedOut(Clock::Silence)),
            (End::Exited(Exit::Signal(15)), Outcome::Interrupted),
            (End::Exited(Exit::Code(130)), Outcome::Interrupted),
            (End::Exited(Exit::Signal(9)), Outcome::Crashed),
            (End::Exited(Exit::Code(0)), Outcome::Crashed),
            (End::Flooded, Outcome::Crashed),
        ] {
            assert_eq!(facts(&begun).judge(end), Verdict::Final(outcome), "{end:?}");
        }
    }

    #[test]
    fn the_first_result_counts() {
        let facts = facts(&[
            r#"{"type":"result","subtype":"success","is_error":false,"result":"first"}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"second"}"#,
        ]);
        assert_eq!(facts.judge(End::Settled), completed("first"));
    }

    #[test]
    fn a_message_that_completes_after_it_began_is_not_one_answered_before() {
        let about = |state: &str| {
            format!(r#"{{"type":"command_lifecycle","command_uuid":"{RECORDED}","state":"{state}"}}"#)
        };
        assert!(!facts(&[&about("started"), &about("completed")]).is_settled());
        assert!(facts(&[&about("queued"), &about("completed")]).is_settled());
        assert!(!facts(&[&about("completed").replace("b246", "b247")]).is_settled());
    }

    #[test]
    fn the_words_for_the_log_have_the_errors_prose_and_never_the_answer() {
        let (facts, end) = replay("25b_conn_refused_retries1");
        insta::assert_snapshot!(facts.describe(end), @"result success; connection_failed; api_error; server_error; API Error: Connection refused — a firewall or proxy may be blocking it (ECONNREFUSED)");
        let (facts, end) = replay("01_print_hi");
        assert!(!facts.describe(end).contains("ECHO"));
        let (facts, end) = replay("02h_input_stream_json_empty_eof");
        insta::assert_snapshot!(facts.describe(end), @"the agent ended with exit code 0; the turn had not begun");
    }
}
