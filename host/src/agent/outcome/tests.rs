//! Every recording of the real CLI, and what the recordings don't show.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use super::*;
use crate::agent::{framer::Framer, protocol};

/// The user message of the recordings that name one.
const RECORDED: Uuid = Uuid::from_u128(0xb246_dd2d_22ab_49b1_a608_e023_4df1_56cd);

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
    use Outcome::{Auth, Budget, Crashed, Interrupted, InvalidRequest, Overloaded, RateLimited, TurnLimit};
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
        ("04_session_id", completed("ECHO n=2 users=1 last=eaef0c85 hist=eaef0c85 text=first message ALPHA")),
        ("04b_session_id_reuse", is(Crashed)),
        ("05_resume", completed("RECALL n=4 :: first message ALPHA")),
        ("05c_resume_bad_uuid_wellformed", Verdict::StaleSession),
        ("05d_resume_not_uuid", is(Crashed)),
        ("10h_mcp_invalid_json", is(Crashed)),
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
    let facts =
        facts(&[r#"{"type":"result","subtype":"success","is_error":false,"result":"","total_cost_usd":0.5,
        "usage":{"input_tokens":10,"output_tokens":5}}"#]);
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
        let line = format!(r#"{{"type":"result","subtype":"success","result":"API Error: prose",{mark}}}"#);
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
        (End::Exited(Exit::Code(0)), Outcome::Interrupted),
        (End::Exited(Exit::Code(1)), Outcome::Crashed),
        (End::Flooded, Outcome::Crashed),
    ] {
        assert_eq!(facts(&begun).judge(end), Verdict::Final(outcome), "{end:?}");
    }
    assert_eq!(facts(&[]).judge(End::Exited(Exit::Code(0))), Verdict::Final(Outcome::Crashed));
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
