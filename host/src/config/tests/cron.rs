//! Times that come again.

use super::*;
use crate::id::Timestamp;

fn with(cron: &str) -> String {
    format!("[bots.a]\nplugin = 'a'\n[bots.a.cron.x]\n{cron}\n")
}

fn schedule(at: &str, zone: &str) -> Schedule {
    let config = parse(&with(&format!("at = '{at}'\nzone = '{zone}'\nroom = 7"))).unwrap();
    bot(&config, "a").cron[0].schedule.clone()
}

/// The next times after one, as they are written in UTC.
fn after(schedule: &Schedule, time: &str, count: usize) -> Vec<String> {
    let start = Timestamp(time.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let next = |time: &Timestamp| schedule.next_after(*time);
    let times = std::iter::successors(next(&start), next).take(count);
    times.map(|time| time.iso_8601().replace(":00.000Z", "Z")).collect()
}

#[test]
fn what_is_said_is_taken_and_the_rest_has_its_default() {
    let full = "at = '30 9 * * MON-FRI'\nzone = 'Europe/Zurich'\nroom = 7\npayload = '{}'\ncatch-up = '2h'";
    let config = parse(&format!("{}[bots.a.cron.'a b']\nat = '@daily'\nroom = 8", with(full))).unwrap();
    let [plain, x] = &bot(&config, "a").cron[..] else { panic!() };
    assert_eq!((plain.name.as_str(), plain.room, plain.payload.as_str()), ("a b", RoomId(8), ""));
    assert_eq!(plain.catch_up, units::HOUR);
    assert_eq!(after(&plain.schedule, "2026-11-22T11:00:00Z", 1), ["2026-11-23T00:00Z"]);
    assert_eq!((x.name.as_str(), x.room, x.payload.as_str()), ("x", RoomId(7), "{}"));
    assert_eq!(x.catch_up, 2 * units::HOUR);
    let weekdays = ["2026-11-20T08:30Z", "2026-11-23T08:30Z"];
    assert_eq!(after(&x.schedule, "2026-11-20T08:29:59.999Z", 2), weekdays);
}

#[test]
fn the_time_itself_is_not_after_itself() {
    let hourly = schedule("0 * * * *", "UTC");
    assert_eq!(after(&hourly, "2026-11-22T11:00:00Z", 1), ["2026-11-22T12:00Z"]);
    assert_eq!(after(&hourly, "2026-11-22T10:59:59.999Z", 1), ["2026-11-22T11:00Z"]);
    assert_eq!(after(&hourly, "2026-11-22T11:00:00.001Z", 1), ["2026-11-22T12:00Z"]);
}

#[test]
fn a_time_that_the_clock_leaves_out_comes_when_it_has_gone_forward() {
    let fixed = schedule("30 2 * * *", "Europe/Zurich");
    assert_eq!(
        after(&fixed, "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"],
        "02:30 in winter, 03:00 where there is no 02:30, 02:30 in summer"
    );
    let steps = schedule("*/30 * * * *", "Europe/Zurich");
    assert_eq!(
        after(&steps, "2026-03-29T00:00:00Z", 3),
        ["2026-03-29T00:30Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"]
    );
}

#[test]
fn a_fixed_time_that_the_clock_shows_twice_comes_once() {
    let fixed = schedule("30 2 * * *", "Europe/Zurich");
    assert_eq!(
        after(&fixed, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
        "the first 02:30 of the two"
    );
    let hourly = schedule("0 * * * *", "Europe/Zurich");
    let next = after(&hourly, "2026-10-24T23:30:00Z", 3);
    assert_eq!(next, ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z"]);
}

#[test]
fn what_is_wrong_is_told_with_a_remedy() {
    let wrong = [
        "at = '0 9 * *'\nroom = 7",
        "at = '0 0 9 * * *'\nroom = 7",
        "at = '61 9 * * *'\nroom = 7",
        "at = 'soon'\nroom = 7",
        "at = ''\nroom = 7",
        "at = '0 0 30 2 *'\nroom = 7",
        "at = '0 9 * * *'\nroom = 7\nzone = 'Europe/Zürich'",
        "at = '0 9 * * *'\nroom = 0\ncatch-up = '25h'",
        "zone = 'UTC'",
    ];
    let told: Vec<_> = wrong.iter().map(|cron| plain(&with(cron))).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_room_that_the_bot_does_not_serve_a_long_payload_and_a_long_name_are_told() {
    let source = format!(
        "[bots.a]\nplugin = 'a'\nrooms = [1, 2]\n\
         [bots.a.cron.x]\nat = '0 9 * * *'\nroom = 3\npayload = '{}'\n\
         [bots.a.cron.{}]\nat = '0 9 * * *'\nroom = 2\n",
        "p".repeat(4097),
        "n".repeat(129)
    );
    let mistakes: Vec<_> = problems(&source)
        .iter()
        .map(|problem| format!("{} ({})", problem, problem.mistake().remedy()))
        .collect();
    assert_eq!(
        mistakes,
        [
            "`room` is 3, which is not in the bot's `rooms` (add 3 to `rooms`, or name a room that is there)",
            "`payload` is longer than 4KiB (shorten it to at most 4KiB)",
            "a timer's name has 1 to 128 bytes (give it another name)",
        ]
    );
}

#[test]
fn a_bot_has_a_limited_number_of_times() {
    let cron = |n| format!("[bots.a.cron.x{n:03}]\nat = '0 9 * * *'\nroom = 7\n");
    let tables = |count| (0..count).map(cron).collect::<String>();
    let many = |count| format!("[bots.a]\nplugin = 'a'\n{}", tables(count));
    assert_eq!(bot(&parse(&many(100)).unwrap(), "a").cron.len(), 100);
    insta::assert_snapshot!(plain(&many(101)), @r"
    bots.toml has a problem
    bots.toml:303:14: a bot can have 100 timers in `cron` (join some of them, or make it two bots)
    ");
}
