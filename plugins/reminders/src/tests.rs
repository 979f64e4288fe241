//! Whole conversations. They begin on Thursday 1 January 2026 at 00:00 UTC, which is 01:00 in Zurich.

use std::time::Duration;

use hearth_plugin::{log::Level, testing::Harness};

use super::*;

fn harness() -> Harness<Reminders> {
    Harness::new().settings(json!({ "zone": "Europe/Zurich" }))
}

fn said(decision: &Decision) -> &str {
    match decision {
        Decision::Reply(parts) => match &parts[..] {
            [Part::Text(text)] => text,
            other => panic!("not one text: {other:?}"),
        },
        other => panic!("nothing is said: {other:?}"),
    }
}

fn answer(harness: &mut Harness<Reminders>, message: &str) -> String {
    said(&harness.message(message).unwrap()).to_owned()
}

/// What is said over a time.
fn heard(harness: &mut Harness<Reminders>, time: Duration) -> Vec<String> {
    let decisions = harness.advance(time);
    decisions.iter().map(|decision| said(decision.as_ref().unwrap()).to_owned()).collect()
}

#[test]
fn a_reminder_comes_once_at_its_time_and_names_who_wanted_it() {
    let mut harness = harness();
    assert_eq!(
        answer(&mut harness, "Remind me in 20 minutes to *stretch*,\nand to drink."),
        "Reminder 1, for Thu 1 Jan at 01:20 CET: “*stretch*,\nand to drink.”\nTo take it back, write: cancel 1"
    );
    assert_eq!(heard(&mut harness, Duration::from_secs(20 * 60 - 1)), [""; 0]);
    assert_eq!(
        heard(&mut harness, Duration::from_secs(1)),
        ["⏰ Ann, you wanted to be reminded: “*stretch*,\nand to drink.”"]
    );
    assert_eq!(heard(&mut harness, Duration::from_hours(24)), [""; 0]);
}

#[test]
fn a_reminder_for_us_is_for_everyone() {
    let mut harness = harness();
    answer(&mut harness, "remind us in 2h 30m that the release is due");
    assert_eq!(
        heard(&mut harness, Duration::from_hours(3)),
        ["⏰ Everyone, Ann wanted us to be reminded: “the release is due”"]
    );
}

#[test]
fn a_reminder_that_comes_late_says_when_it_was_meant_to_come() {
    let mut harness = harness();
    answer(&mut harness, "remind me in an hour to stretch");
    let kept = harness.pending().remove(0);
    let mut timer = testing::timer(&kept.name, &kept.payload);
    (timer.origin, timer.due_at) = (TimerOrigin::Plugin, kept.due_at);
    timer.received_at = kept.due_at + LATE;
    assert_eq!(said(&harness.timer(timer.clone()).unwrap()), "⏰ Ann, you wanted to be reminded: “stretch”");
    timer.received_at += 1;
    assert_eq!(
        said(&harness.timer(timer).unwrap()),
        "⏰ Ann, you wanted to be reminded: “stretch”\nThis comes late: it was for Thu 1 Jan at 02:00 CET."
    );
}

#[test]
fn the_clock_is_that_of_the_settings_also_after_it_has_changed() {
    let mut harness = harness();
    let told = answer(&mut harness, "remind me on 2026-03-29 at 9 to sleep");
    assert!(told.contains("Sun 29 Mar at 09:00 CEST"), "{told}");
    assert_eq!(hearth_plugin::clock::rfc3339(harness.pending()[0].due_at), "2026-03-29T07:00:00Z");

    let mut utc = Harness::<Reminders>::new();
    let told = answer(&mut utc, "remind me tomorrow at 9 to sleep");
    assert!(told.contains("Fri 2 Jan at 09:00 UTC"), "{told}");
}

#[test]
fn a_list_has_the_next_one_first_and_cuts_what_is_long() {
    let mut harness = harness();
    assert_eq!(answer(&mut harness, "list"), "There are no reminders in this room.");
    answer(&mut harness, "remind us tomorrow at 9 about the report");
    answer(&mut harness, &format!("remind me in 5 minutes to {}", "ä".repeat(SHOWN_IN_LIST + 1)));
    assert_eq!(
        answer(&mut harness, "List"),
        format!(
            "2 · Thu 1 Jan at 01:05 CET, Ann: {}…\n1 · Fri 2 Jan at 09:00 CET, all: the report",
            "ä".repeat(SHOWN_IN_LIST)
        )
    );
}

#[test]
fn a_reminder_is_cancelled_by_its_number_or_by_what_it_says() {
    let mut harness = harness();
    for message in [
        "remind me in 1 hour to stretch",
        "remind me in 2 hours to Stretch again",
        "remind me in 3 hours to eat",
    ] {
        answer(&mut harness, message);
    }
    assert_eq!(
        answer(&mut harness, "cancel stretch"),
        "Which one? Write `cancel` and its number.\n1 · Ann: stretch\n2 · Ann: Stretch again"
    );
    assert_eq!(answer(&mut harness, "cancel #2"), "Reminder 2 is cancelled: “Stretch again”");
    assert_eq!(answer(&mut harness, "cancel STRETCH"), "Reminder 1 is cancelled: “stretch”");
    assert_eq!(
        answer(&mut harness, "cancel 2"),
        "There is no reminder 2 in this room. `list` shows all of them."
    );
    assert_eq!(
        answer(&mut harness, "cancel the party"),
        "There is no reminder that says “the party” in this room. `list` shows all of them."
    );
    assert_eq!(heard(&mut harness, Duration::from_hours(24)), ["⏰ Ann, you wanted to be reminded: “eat”"]);
}

#[test]
fn a_message_that_is_handled_again_sets_its_reminder_once() {
    let mut harness = harness();
    answer(&mut harness, "remind me in 1 hour to eat");
    let mut event = testing::event("remind me in 20 minutes to stretch");
    event.message.id = 100;
    let first = harness.message(event.clone()).unwrap();
    assert!(said(&first).starts_with("Reminder 2,"), "{first:?}");
    assert_eq!(harness.message(event).unwrap(), first);
    assert_eq!(harness.pending().len(), 2);
}

#[test]
fn what_is_not_understood_is_told_with_an_example() {
    let mut harness = harness();
    for (message, told) in [
        ("hello", "I only know about reminders."),
        ("remind", "Whom?"),
        ("remind Bea in 5 minutes to call", "Whom?"),
        ("remind me", "When?"),
        ("remind me to stretch", "When?"),
        ("remind me in a moment to stretch", "When?"),
        ("remind me at 25:00 to stretch", "When?"),
        ("remind me in 5 minutes", "What of?"),
        ("remind me tomorrow at 9 to", "What of?"),
        ("remind me today at 0:30 to sleep", "Thu 1 Jan at 00:30 CET has passed."),
        ("remind me on 2025-12-24 to sing", "Wed 24 Dec 2025 at 09:00 CET has passed."),
        ("remind me in 367 days to renew it", "That is too far away"),
        ("remind me in 4000000000 weeks to renew it", "That is too far away"),
        ("cancel", "Which one?"),
    ] {
        let answer = answer(&mut harness, message);
        assert!(answer.starts_with(told), "{message}: {answer}");
        let example = ["remind ", "cancel "].iter().any(|word| answer.contains(word));
        assert!(example, "no example: {answer}");
    }
    assert_eq!(harness.pending(), []);
    assert_eq!(answer(&mut harness, ""), HELP);
    assert_eq!(answer(&mut harness, "Help!"), HELP);
}

#[test]
fn every_example_of_the_help_works() {
    let mut harness = harness();
    for example in HELP.lines().filter_map(|line| line.strip_prefix("• remind")) {
        let told = answer(&mut harness, &format!("remind{example}"));
        assert!(told.starts_with("Reminder "), "{example}: {told}");
    }
    assert_eq!(harness.pending().len(), 5);
}

#[test]
fn a_full_room_is_told_so() {
    let mut harness = harness();
    for n in 0..MOST_IN_A_ROOM {
        answer(&mut harness, &format!("remind me in 1 hour to count {n}"));
    }
    let told = answer(&mut harness, "remind me in 1 hour to stop counting");
    assert!(told.starts_with("This room has 100 reminders already"), "{told}");
    assert_eq!(harness.pending().len(), MOST_IN_A_ROOM);
    assert_eq!(answer(&mut harness, "cancel 100"), "Reminder 100 is cancelled: “count 99”");
    assert!(answer(&mut harness, "remind me in 1 hour to stop").starts_with("Reminder 100, for"));
}

#[test]
fn a_bot_that_is_full_over_all_rooms_is_told_so() {
    let mut harness = harness();
    let in_room = |harness: &mut Harness<Reminders>, room, n| {
        let mut event = testing::event("remind me in 1 hour to count");
        (event.room.id, event.message.id) = (room, 1000 * room + n);
        said(&harness.message(event).unwrap()).to_owned()
    };
    for room in 0..10 {
        for n in 0..100 {
            in_room(&mut harness, room, n);
        }
    }
    let told = in_room(&mut harness, 10, 0);
    assert!(told.starts_with("I have as many reminders to keep, over all rooms"), "{told}");
}

#[test]
fn a_text_that_no_timer_can_hold_is_refused() {
    let mut harness = harness();
    let told = answer(&mut harness, &format!("remind me in 1 hour to read {}", "\" ".repeat(2000)));
    assert!(told.starts_with("That is too long for me to keep."), "{told}");
    assert_eq!(harness.pending(), []);
}

#[test]
fn what_the_first_version_kept_is_read_and_what_is_unknown_in_it_passed_over() {
    let kept = r#"{"version":"1","number":3,"name":"Bea","everyone":false,"text":"stretch","colour":"red"}"#;
    let mut timer = testing::timer("message-7", kept);
    timer.origin = TimerOrigin::Plugin;
    let decision = harness().timer(timer).unwrap();
    assert_eq!(said(&decision), "⏰ Bea, you wanted to be reminded: “stretch”");

    let mut harness = harness();
    answer(&mut harness, "remind me in 1 hour to stretch");
    let payload: serde_json::Value = serde_json::from_str(&harness.pending()[0].payload).unwrap();
    let first = json!({ "version": "1", "number": 1, "name": "Ann", "everyone": false, "text": "stretch" });
    assert_eq!(payload, first);
}

#[test]
fn what_a_later_version_kept_is_an_error_and_no_wrong_reminder() {
    let mut timer = testing::timer("message-7", r#"{"version":"2","text":"stretch"}"#);
    timer.origin = TimerOrigin::Plugin;
    let error = harness().timer(timer).unwrap_err();
    assert!(error.message().contains("unknown variant `2`"), "{error:?}");
}

#[test]
fn what_the_operator_wants_said_is_said_and_nothing_is_an_error() {
    let mut harness = harness();
    let decision = harness.timer(testing::timer("standup", "Standup in 5 minutes")).unwrap();
    assert_eq!(said(&decision), "Standup in 5 minutes");
    let error = harness.timer(testing::timer("standup", " ")).unwrap_err();
    assert_eq!(
        error.message(),
        "there is nothing to say: set `payload` in [bots.bot.cron.standup] of bots.toml"
    );
    assert!(harness.lines().iter().all(|(level, _)| *level < Level::Warn), "{:?}", harness.lines());
}

#[test]
fn a_name_is_kept_on_one_line() {
    let mut harness = harness();
    let mut event = testing::event("remind me in 1 minute to stretch");
    event.user.name = format!("Eve\n\n{}", "x".repeat(200));
    harness.message(event).unwrap();
    let told = heard(&mut harness, Duration::from_mins(1)).remove(0);
    assert!(told.starts_with(&format!("⏰ Eve {}…, you wanted", "x".repeat(96))), "{told}");
}

#[test]
fn a_zone_that_there_is_not_is_found_when_the_plugin_is_loaded() {
    let schema = Harness::<Reminders>::new().describe().settings_schema.unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let zones = schema["properties"]["zone"]["enum"].as_array().unwrap();
    assert!(zones.contains(&json!("Europe/Zurich")) && zones.contains(&json!("UTC")));
    let mut wrong = Harness::<Reminders>::new().settings(json!({ "zone": "Europe/Zürich" }));
    let error = wrong.message("list").unwrap_err();
    assert!(error.message().contains("Europe/Zürich"), "{error:?}");
}
