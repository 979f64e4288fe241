//! Whole conversations. They are on 1 January 2026 at 00:00 UTC, which is 01:00 in Zurich.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hearth_plugin::{
    Capability, Sent,
    http::{HttpErrorKind, Method, Response},
    log::Level,
    testing::{Action, Harness},
};
use serde_json::Value;

use super::*;

const SCHEDULE: &str =
    "https://oncall.example.com/api/schedule?from=2026-01-01T00%3A00%3A00Z&until=2026-01-15T00%3A00%3A00Z";
const INCIDENTS: &str = "https://oncall.example.com/api/incidents";

const NOW: &str = "**On call now** (times: Europe/Zurich)\n\n\
    | Team | On call | Until |\n| --- | --- | --- |\n\
    | database | nobody |  |\n| web | Ann | Thu 1 Jan 09:00 |\n| web | Bea \\| Cem | Thu 1 Jan 01:30 |";
const OPEN: &str = "**Open incidents** (times: Europe/Zurich)\n\n\
    | Incident | Team | Since | What |\n| --- | --- | --- | --- |\n\
    | INC-2 | database | Wed 31 Dec 12:00 | Disk is full |\n| INC-7 | web | Thu 1 Jan 00:15 | Checkout is slow |";

fn schedule() -> Value {
    let shift =
        |team, person, from, until| json!({ "team": team, "person": person, "from": from, "until": until });
    json!({ "shifts": [
        shift("web", "Dora", "2026-01-01T09:00:00+01:00", "2026-01-02T09:00:00+01:00"),
        shift("web", "Ann", "2025-12-31T08:00:00Z", "2026-01-01T08:00:00Z"),
        shift("web", "Bea | Cem", "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"),
        shift("web", "Eve", "2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z"),
        shift("canteen", "Fay", "2025-12-31T08:00:00Z", "2026-01-01T08:00:00Z"),
    ], "page": 1 })
}

fn incidents() -> Value {
    json!({ "incidents": [
        { "id": "INC-7", "team": "web", "title": "Checkout is slow", "since": "2025-12-31T23:15:00Z" },
        { "id": "INC-2", "team": "database", "title": "Disk\nis full", "since": "2025-12-31T11:00:00Z" },
        { "id": "INC-9", "team": "canteen", "title": "No cake", "since": "2025-12-31T12:00:00Z" },
    ] })
}

/// A bot whose service the test has yet to tell of.
fn without_service() -> Harness<OnCall> {
    Harness::new().settings(json!({
        "url": "https://oncall.example.com/api/",
        "teams": ["database", "web"],
        "zone": "Europe/Zurich",
    }))
}

fn harness() -> Harness<OnCall> {
    without_service().on_get(SCHEDULE, 200, schedule()).on_get(INCIDENTS, 200, incidents())
}

/// What the room sees at last: the answer, or what the placeholder became.
fn answer(harness: &mut Harness<OnCall>, message: &str) -> String {
    let decision = harness.message(message).unwrap();
    let part = match decision {
        Decision::Reply(mut parts) if parts.len() == 1 => parts.remove(0),
        Decision::Reply(parts) if parts.is_empty() => match harness.actions().last() {
            Some(Action::Edited { part, .. }) => part.clone(),
            other => panic!("nothing is said, and the last that was done is {other:?}"),
        },
        other => panic!("{message}: {other:?}"),
    };
    match part {
        Part::Markdown(text) | Part::Text(text) => text,
        other => panic!("{message}: {other:?}"),
    }
}

fn warnings(harness: &Harness<OnCall>) -> Vec<&str> {
    let warnings = harness.lines().iter().filter(|(level, _)| *level >= Level::Warn);
    warnings.map(|(_, line)| line.as_str()).collect()
}

#[test]
fn who_is_on_call_is_a_table_by_team() {
    for message in ["who", "Who?", "Who is on-call now?", "who's on call"] {
        assert_eq!(answer(&mut harness(), message), NOW, "{message}");
    }
}

#[test]
fn next_is_who_comes_first_after_now() {
    assert_eq!(
        answer(&mut harness(), "next"),
        "**Next on call** (times: Europe/Zurich)\n\n\
         | Team | Next | From | Until |\n| --- | --- | --- | --- |\n\
         | database | nobody in the next 14 days |  |  |\n| web | Dora | Thu 1 Jan 09:00 | Fri 2 Jan 09:00 |"
    );
}

#[test]
fn open_incidents_are_listed_the_oldest_first() {
    assert_eq!(answer(&mut harness(), "incidents"), OPEN);
    let mut none = without_service().on_get(INCIDENTS, 200, json!({ "incidents": [] }));
    assert_eq!(answer(&mut none, "incidents"), "There are no open incidents.");
}

#[test]
fn without_teams_in_the_settings_all_are_shown_and_times_are_in_utc() {
    let mut harness = harness().settings(json!({ "url": "https://oncall.example.com/api" }));
    let told = answer(&mut harness, "who");
    assert!(told.starts_with("**On call now** (times: UTC)"), "{told}");
    assert!(told.ends_with("| canteen | Fay | Thu 1 Jan 08:00 |"), "{told}");
}

#[test]
fn one_message_is_edited_as_parts_arrive_and_ends_as_the_answer() {
    let mut harness = harness();
    assert_eq!(harness.message("status").unwrap(), reply([]));
    let [
        Action::Posted { message: Some(posted), part: waiting },
        Action::Edited { message: first, part: half },
        Action::Edited { message: second, part: whole },
    ] = harness.actions()
    else {
        panic!("{:?}", harness.actions())
    };
    assert_eq!((first, second), (posted, posted));
    assert_eq!(*waiting, text("⏳ Asking the on-call service…"));
    assert_eq!(*half, markdown(format!("⏳ There is more to come…\n\n{NOW}")));
    assert_eq!(*whole, markdown(format!("{NOW}\n\n{OPEN}")));
}

#[test]
fn a_turn_that_was_cut_off_and_is_begun_again_uses_the_placeholder_that_it_left() {
    // Nothing is answered here: the test ends the turn as a host does that dies.
    let mut harness = without_service();
    let question = testing::event("who");
    let died = catch_unwind(AssertUnwindSafe(|| harness.message(question.clone())));
    assert!(died.is_err());
    let [Action::Posted { message: Some(left), .. }] = *harness.actions() else {
        panic!("{:?}", harness.actions())
    };

    let mut harness = harness.on_get(SCHEDULE, 200, schedule());
    assert_eq!(harness.message(question).unwrap(), reply([]));
    assert_eq!(harness.actions()[1..], [Action::Edited { message: left, part: markdown(NOW) }]);

    // What was answered is no placeholder any more: the next question gets its own.
    harness.message("who").unwrap();
    assert!(matches!(harness.actions()[2..], [Action::Posted { .. }, Action::Edited { .. }]));
}

#[test]
fn an_answer_that_the_placeholder_can_not_become_is_posted_anew() {
    let mut harness = harness();
    // Each takes 3 of the 60 requests that a bot has in a minute: to look, to post, to edit.
    for _ in 0..19 {
        answer(&mut harness, "who");
    }
    assert_eq!(harness.message("status").unwrap(), reply(markdown(format!("{NOW}\n\n{OPEN}"))));
    let [edited, removed] = warnings(&harness)[..] else { panic!("{:?}", warnings(&harness)) };
    assert!(edited.starts_with("the answer is posted anew"), "{edited}");
    assert!(removed.starts_with("the placeholder stays in the room"), "{removed}");
}

#[test]
fn an_older_server_and_one_without_the_grant_get_one_answer_and_no_placeholder() {
    for mut harness in [harness().older_server(), harness().grants(&[Capability::Http])] {
        let decision = harness.message("status").unwrap();
        assert_eq!(decision, reply(markdown(format!("{NOW}\n\n{OPEN}"))));
        assert_eq!(harness.actions(), []);
        assert_eq!(warnings(&harness), [""; 0]);
    }
}

/// That the room gets this one sentence, and the log this cause.
fn assert_told(harness: &mut Harness<OnCall>, sentence: &str, cause: &str) {
    let told = answer(harness, "who");
    assert!(told.contains(sentence), "{sentence}: {told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!told.contains("example.com") && !told.contains(cause), "{told}");
    let warnings = warnings(harness);
    assert!(warnings[0].contains(cause), "{cause}: {warnings:?}");
}

#[test]
fn a_request_that_fails_is_told_in_one_sentence_with_its_cause_in_the_log() {
    for (kind, sentence) in [
        (HttpErrorKind::Denied, "its host is not allowed in bots.toml"),
        (HttpErrorKind::Invalid, "where my settings say it is"),
        (HttpErrorKind::Unreachable, "I can't reach"),
        (HttpErrorKind::TimedOut, "takes too long"),
        (HttpErrorKind::RateLimited, "was asked too often"),
        (HttpErrorKind::Broken, "that I don't understand"),
        (HttpErrorKind::TooLarge, "that I don't understand"),
        (HttpErrorKind::Redirected, "that I don't understand"),
    ] {
        let mut harness = without_service().on_failure(Method::Get, SCHEDULE, kind, Sent::Maybe);
        assert_told(&mut harness, sentence, &format!("{kind:?}, as the test has it"));
    }
}

#[test]
fn a_status_that_is_no_success_is_told_in_one_sentence_with_its_cause_in_the_log() {
    for (status, sentence) in [
        (401, "does not accept my credentials"),
        (403, "does not accept my credentials"),
        (404, "where my settings say it is"),
        (418, "that I don't understand"),
        (429, "was asked too often"),
        (500, "has trouble of its own (it says 500)"),
    ] {
        let mut harness = without_service().on_get(SCHEDULE, status, json!("because"));
        assert_told(&mut harness, sentence, &format!("answered {status}: \"because\""));
    }
}

#[test]
fn an_answer_that_is_no_schedule_is_told_in_one_sentence_with_its_cause_in_the_log() {
    let when =
        json!({ "team": "web", "person": "Ann", "from": "yesterday", "until": "2026-01-01T08:00:00Z" });
    for (body, cause) in [
        (b"<html>Sign in</html>".to_vec(), "expected value at line 1"),
        (b"{}".to_vec(), "missing field `shifts`"),
        (json!({ "shifts": [when] }).to_string().into_bytes(), "\"yesterday\" is no time"),
    ] {
        let (url, headers, attributes) = (SCHEDULE.to_owned(), Vec::new(), Vec::new());
        let response = Response { status: 200, headers, body, url, attributes };
        let mut harness = without_service().on_response(Method::Get, response);
        assert_told(&mut harness, "that I don't understand", cause);
    }
}

#[test]
fn refused_credentials_that_were_never_set_are_told_to_the_operator() {
    let refused = || without_service().on_get(SCHEDULE, 401, json!("who are you?"));
    let mut unset = refused();
    answer(&mut unset, "who");
    assert_eq!(
        warnings(&unset)[1..],
        ["bots.toml sets no `authorization` in the headers of \"oncall.example.com\""]
    );
    let mut wrong = refused().secret("oncall.example.com", "Authorization");
    answer(&mut wrong, "who");
    assert_eq!(warnings(&wrong).len(), 1);
}

#[test]
fn what_can_be_had_is_told_when_the_other_part_can_not() {
    let mut harness = without_service().on_get(SCHEDULE, 200, schedule()).on_get(INCIDENTS, 503, json!(null));
    let trouble = service::Trouble::Failing(503);
    assert_eq!(answer(&mut harness, "status"), format!("{NOW}\n\n{trouble}"));
}

#[test]
fn requests_ask_for_json_and_have_a_deadline() {
    let mut harness = harness();
    answer(&mut harness, "status");
    assert_eq!(harness.requests().len(), 2);
    for request in harness.requests() {
        assert_eq!(request.headers, [("accept".to_owned(), "application/json".to_owned())]);
        assert_eq!(request.timeout, Some(8000));
    }
}

#[test]
fn anything_else_is_for_the_agent_which_can_look_it_up() {
    let mut harness = harness();
    harness.message("Whom do I call about the checkout?").unwrap();
    assert_eq!(harness.prompt().text, "Whom do I call about the checkout?");
    assert_eq!(
        harness.tool("who_is_on_call", json!({})),
        Ok(json!([
            { "team": "database", "on_call": [] },
            { "team": "web", "on_call": [
                { "person": "Ann", "until": "2026-01-01T09:00:00+01:00" },
                { "person": "Bea | Cem", "until": "2026-01-01T01:30:00+01:00" },
            ] },
        ]))
    );
    let web = harness.tool("who_is_on_call", json!({ "team": "database" })).unwrap();
    assert_eq!(web, json!([{ "team": "database", "on_call": [] }]));
    let error = harness.tool("who_is_on_call", json!({ "team": "canteen" })).unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::NotFound);
    assert_eq!(error.message, "There is no such team. The teams are: database, web.");
    assert_eq!(harness.answers("Call **Ann**.").unwrap(), [markdown("Call **Ann**.")]);
}

#[test]
fn the_agent_is_told_of_trouble_in_the_same_words() {
    let mut harness = without_service().on_get(SCHEDULE, 500, json!(null));
    let error = harness.tool("who_is_on_call", json!({})).unwrap_err();
    assert_eq!(
        (error.kind, error.message),
        (ToolErrorKind::Unavailable, service::Trouble::Failing(500).to_string())
    );
}

#[test]
fn help_needs_no_service() {
    for message in ["", "help", "Help!"] {
        assert_eq!(without_service().message(message).unwrap(), reply(text(HELP)));
    }
}

#[test]
fn settings_are_held_against_a_schema() {
    let schema: Value = serde_json::from_str(&harness().describe().settings_schema.unwrap()).unwrap();
    assert_eq!(schema["required"], json!(["url"]));
    assert_eq!(schema["properties"]["url"]["pattern"], "^https?://");
    let zones = schema["properties"]["zone"]["enum"].as_array().unwrap();
    assert!(zones.contains(&json!("UTC")) && zones.contains(&json!("Europe/Zurich")));
}
