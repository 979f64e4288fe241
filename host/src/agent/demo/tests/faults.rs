//! Each keyword's fault, as a host would see it.

use std::io::Cursor;

use super::{Ran, ask, environment, keyed, run_with, user};
use crate::agent::demo::{
    Transcript,
    conversation::{COMPLAINTS, CONVERSATION, FLOOD, LONG_LINE, REQUESTS},
};

fn results(ran: &Ran) -> usize {
    ran.of_type("result").len()
}

#[test]
fn a_hang_begins_a_turn_and_ends_with_the_longest_wait() {
    let ran = ask("Ann in All Talk: demo:hang");
    assert_eq!((ran.code, ran.types()), (1, vec!["system".to_owned()]));
}

#[test]
fn a_hang_at_the_start_says_nothing_at_all() {
    let config_dir = tempfile::tempdir().unwrap();
    let input = Cursor::new(keyed("demo:hang-start", "key"));
    let ran = run_with(&environment(config_dir.path()), &[], input);
    assert_eq!((ran.code, ran.stdout.len()), (1, 0));
}

#[test]
fn dying_leaves_a_turn_without_a_result() {
    let ran = ask("demo:die");
    assert_eq!((ran.code, ran.types()), (1, vec!["system".to_owned(), "assistant".to_owned()]));
}

#[test]
fn an_aborted_line_is_half_an_object_without_an_end() {
    let ran = ask("demo:abort-line");
    let last = ran.stdout.rsplit(|byte| *byte == b'\n').next().unwrap();
    assert!(last.starts_with(b"{") && serde_json::from_slice::<serde_json::Value>(last).is_err());
    assert_eq!((ran.code, ran.types()), (0, vec!["system".to_owned()]));
}

#[test]
fn a_flood_is_bounded_and_followed_by_the_answer() {
    let ran = ask("demo:flood");
    let noise = ran.stdout.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"noise ")).count();
    assert_eq!((ran.code, noise, results(&ran)), (0, FLOOD, 1));
}

#[test]
fn junk_is_not_the_protocol_and_is_followed_by_the_answer() {
    let ran = ask("demo:junk");
    let lines: Vec<_> = ran.stdout.split(|byte| *byte == b'\n').collect();
    assert!(lines.iter().any(|line| std::str::from_utf8(line).is_err()), "a line that is no text");
    assert!(lines.contains(&&b"null"[..]) && lines.contains(&&b"[1,2,3]"[..]), "JSON that is no object");
    assert_eq!((ran.code, results(&ran)), (0, 1));
}

#[test]
fn a_long_line_is_one_object_of_fifty_megabytes() {
    let ran = ask("demo:long-line");
    let longest = ran.stdout.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap();
    assert!(longest > LONG_LINE && longest < LONG_LINE + 4096, "{longest}");
    assert_eq!((ran.code, results(&ran)), (0, 1));
}

#[test]
fn complaints_go_to_stderr_and_the_answer_to_stdout() {
    let ran = ask("demo:stderr");
    assert!(ran.stderr.len() >= COMPLAINTS && ran.stderr.len() < COMPLAINTS + 4096);
    assert_eq!((ran.code, results(&ran)), (0, 1));
}

#[test]
fn lingering_answers_first_and_outlasts_the_end_of_the_input() {
    let config_dir = tempfile::tempdir().unwrap();
    let environment = environment(config_dir.path());
    let began = std::time::Instant::now();
    let ran = run_with(&environment, &[], Cursor::new(user("demo:linger")));
    assert!(began.elapsed() >= environment.longest_wait);
    assert_eq!((ran.code, results(&ran)), (0, 1));
}

#[test]
fn a_lie_is_a_result_of_another_session() {
    let ran = ask("demo:lie");
    let session = |kind: &str| ran.of_type(kind)[0]["session_id"].clone();
    assert_eq!(session("system"), session("assistant"));
    assert_ne!(session("system"), session("result"));
}

#[test]
fn two_results_are_one_too_many() {
    let ran = ask("demo:two-results");
    assert_eq!((ran.code, results(&ran)), (0, 2));
}

#[test]
fn permissions_are_asked_for_and_not_waited_for() {
    let ran = ask("demo:requests");
    assert_eq!((ran.code, ran.of_type("control_request").len(), results(&ran)), (0, REQUESTS, 1));
}

#[test]
fn limits_are_errors_without_a_text() {
    for (keyword, subtype, terminal_reason) in [
        ("demo:turn-limit", "error_max_turns", "max_turns"),
        ("demo:budget", "error_max_budget_usd", "budget_exhausted"),
    ] {
        let ran = ask(keyword);
        let result = &ran.of_type("result")[0];
        assert_eq!(
            (&result["subtype"], &result["terminal_reason"]),
            (&subtype.into(), &terminal_reason.into())
        );
        assert_eq!((ran.code, result.get("result"), &result["is_error"]), (1, None, &true.into()));
    }
}

#[test]
fn a_refusal_of_the_api_is_a_success_that_is_an_error() {
    for (keyword, status, kind) in [
        ("demo:rate-limit", 429, "rate_limit_error"),
        ("demo:overloaded", 529, "overloaded_error"),
        ("demo:auth", 401, "authentication_error"),
        ("demo:too-long", 413, "request_too_large"),
    ] {
        let ran = ask(keyword);
        let result = &ran.of_type("result")[0];
        assert_eq!((&result["subtype"], &result["is_error"]), (&"success".into(), &true.into()));
        assert_eq!((&result["api_error_status"], &result["api_error_type"]), (&status.into(), &kind.into()));
        assert_eq!((ran.code, &ran.of_type("assistant")[0]["message"]["model"]), (1, &"<synthetic>".into()));
    }
}

#[test]
fn after_a_failed_turn_the_process_still_serves_the_next() {
    let config_dir = tempfile::tempdir().unwrap();
    let input = user("demo:rate-limit") + &user("hello");
    let ran = run_with(&environment(config_dir.path()), &[], Cursor::new(input));
    assert_eq!((ran.code, results(&ran)), (0, 2));
    assert!(ran.said().contains("message 2"));
}

#[test]
fn a_slow_answer_comes_although_the_input_has_ended() {
    let began = std::time::Instant::now();
    let ran = ask("demo:slow=20");
    assert!(began.elapsed().as_millis() >= 20);
    assert_eq!((ran.code, results(&ran)), (0, 1));
}

#[test]
fn a_big_answer_has_as_many_paragraphs_as_were_asked_for() {
    assert!(ask("demo:big=300").said().contains("Paragraph 300 of 300."));
}

#[test]
fn a_conversation_that_is_too_long_is_refused_as_the_api_does() {
    let config_dir = tempfile::tempdir().unwrap();
    let environment = environment(config_dir.path());
    let session = uuid::Uuid::new_v4();
    let project = config_dir.path().join("projects/any");
    std::fs::create_dir_all(&project).unwrap();
    let line = r#"{"type":"user","message":{"content":"hello"}}"#;
    std::fs::write(project.join(format!("{session}.jsonl")), format!("{line}\n").repeat(CONVERSATION))
        .unwrap();
    let known = Transcript::find(Some(config_dir.path()), session).unwrap().unwrap();
    assert_eq!(known.memory.messages, CONVERSATION);

    let ran = run_with(&environment, &["--resume", &session.to_string()], Cursor::new(user("one more")));
    assert_eq!((ran.code, &ran.of_type("result")[0]["api_error_status"]), (1, &413.into()));
}
