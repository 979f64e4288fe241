//! The demo agent's lines have every key of the recorded ones, with the same kind of value.

use std::io::Cursor;

use serde_json::Value;

use super::{Ran, ask, environment, keyed, run_with, user};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../../../tests/fixtures/claude/", $name, ".stdout.jsonl"))
    };
}

/// The first line of a recording that is of this kind.
fn of_kind(recording: &str, kind: &str) -> Value {
    let mut lines = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.find(|line| kind_of(line) == kind).unwrap()
}

fn ours(ran: &Ran, kind: &str) -> Value {
    ran.lines().into_iter().find(|line| kind_of(line) == kind).unwrap_or_else(|| panic!("no {kind} line"))
}

fn kind_of(line: &Value) -> &str {
    match &line["type"] {
        Value::String(kind) if kind == "system" => line["subtype"].as_str().unwrap(),
        kind => kind.as_str().unwrap(),
    }
}

/// What of `recorded` is missing in `ours` or is of another type there.
pub(super) fn differences(recorded: &Value, ours: &Value, path: &str) -> Vec<String> {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            // Their keys are models' names: any entry has the shape.
            if path.ends_with("modelUsage") || path.ends_with("model_usage_since_last_result") {
                return match (recorded.values().next(), ours.values().next()) {
                    (Some(recorded), Some(ours)) => differences(recorded, ours, &format!("{path}.*")),
                    _ => Vec::new(),
                };
            }
            let each = recorded.iter().flat_map(|(key, recorded)| {
                let path = format!("{path}.{key}");
                match ours.get(key) {
                    Some(ours) => differences(recorded, ours, &path),
                    None => vec![format!("{path} is missing")],
                }
            });
            each.collect()
        }
        _ if std::mem::discriminant(recorded) == std::mem::discriminant(ours) => Vec::new(),
        _ => vec![format!("{path} is {ours}, recorded was {recorded}")],
    }
}

fn assert_same_shape(recording: &str, kind: &str, ran: &Ran) {
    let differences = differences(&of_kind(recording, kind), &ours(ran, kind), kind);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_turn_has_the_recorded_shape() {
    let ran = ask("hello");
    let recording = recorded!("02c_input_stream_json_two_then_eof");
    for kind in ["init", "assistant", "result"] {
        assert_same_shape(recording, kind, &ran);
    }
}

#[test]
fn a_turn_for_a_message_with_a_key_has_the_recorded_shape() {
    let config_dir = tempfile::tempdir().unwrap();
    let environment = environment(config_dir.path());
    let session = "8b33d0c8-b797-43ea-b9eb-6ac3cd4bb97b";
    let first = run_with(&environment, &["--session-id", session], Cursor::new(keyed("hello", "key")));
    let recording = recorded!("68_uuid_first");
    for kind in ["command_lifecycle", "assistant", "result"] {
        assert_same_shape(recording, kind, &first);
    }
    let again = run_with(&environment, &["--resume", session], Cursor::new(keyed("hello", "key")));
    let recording = recorded!("68b_uuid_redelivered_after_resume");
    assert_eq!(again.lines().len(), recording.lines().count());
    assert_same_shape(recording, "command_lifecycle", &again);
}

#[test]
fn failed_turns_have_the_recorded_shape() {
    for (keyword, recording) in [
        ("demo:turn-limit", recorded!("11_max_turns_1_tool")),
        ("demo:budget", recorded!("12_budget")),
        ("demo:rate-limit", recorded!("21b_http429_retries1")),
        ("demo:too-long", recorded!("23d_http413")),
    ] {
        let ran = ask(keyword);
        assert_same_shape(recording, "result", &ran);
        let (recorded, ours) = (of_kind(recording, "result"), ours(&ran, "result"));
        for key in
            ["subtype", "is_error", "terminal_reason", "stop_reason", "api_error_status", "api_error_type"]
        {
            assert_eq!(recorded.get(key), ours.get(key), "{keyword}: {key}");
        }
    }
}

#[test]
fn a_refusal_in_the_assistants_place_names_the_recorded_error() {
    let (recording, ran) = (recorded!("21b_http429_retries1"), ask("demo:rate-limit"));
    let (recorded, ours) = (of_kind(recording, "assistant"), ours(&ran, "assistant"));
    for key in ["error", "is_api_error_message", "api_error_status", "api_error_type"] {
        assert_eq!(recorded[key], ours[key], "{key}");
    }
    assert_eq!(recorded["message"]["model"], ours["message"]["model"]);
}

#[test]
fn a_session_that_cannot_be_resumed_is_reported_as_recorded() {
    for (session, recording) in [
        ("79ab9322-00e1-4015-8655-a233b297afbc", recorded!("05c_resume_bad_uuid_wellformed")),
        ("no-such-session", recorded!("05d_resume_not_uuid")),
    ] {
        let config_dir = tempfile::tempdir().unwrap();
        let environment = environment(config_dir.path());
        let ran = run_with(&environment, &["--resume", session], Cursor::new(user("x")));
        assert_same_shape(recording, "result", &ran);
        assert_eq!(ours(&ran, "result")["errors"], of_kind(recording, "result")["errors"]);
    }
}

#[test]
fn a_missing_key_and_another_type_are_differences() {
    let recorded = serde_json::json!({ "a": 1, "b": { "c": "x" } });
    assert_eq!(differences(&recorded, &recorded, "line"), Vec::<String>::new());
    let ours = serde_json::json!({ "a": "1", "b": {} });
    assert_eq!(differences(&recorded, &ours, "line").len(), 2);
}
