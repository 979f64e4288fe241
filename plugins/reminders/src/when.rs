//! Times as people write them: "in 2h 30m", "at 15:30", "tomorrow at 9", "on Friday at noon".
//!
//! A time without a day is the next one that comes; a day without a time is meant at nine in the morning. Words are expected
//! in lower case.

use std::ops::RangeInclusive;

use jiff::{
    SignedDuration, Span, Zoned,
    civil::{Date, Time, Weekday},
};

use crate::{command::Refusal, zone};

/// The interface's bound: how far away a timer may be.
const FARTHEST: SignedDuration = SignedDuration::from_hours(366 * 24);
const MORNING: Time = Time::constant(9, 0, 0, 0);

/// A time that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So long from now.
    After(Amount),
    /// At a time of a day.
    At {
        /// None for the next day on which it comes.
        day: Option<Day>,
        /// None for the morning.
        time: Option<Time>,
    },
}

/// How long. Days are days of the calendar: tomorrow at the same time, also if clocks change in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amount {
    days: i64,
    seconds: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Day {
    Today,
    Tomorrow,
    /// The next one of the week's, today included.
    Next(Weekday),
    On(Date),
}

// === impl When ===

impl When {
    /// Reads a time that words begin with; answers how many it took.
    pub(crate) fn read(words: &[&str]) -> Option<(Self, usize)> {
        if let ["in", rest @ ..] = words {
            let (amount, taken) = amount(rest)?;
            return Some((Self::After(amount), taken + 1));
        }
        match (day(words), time(words)) {
            (Some((on, taken)), _) => {
                let (time, more) = time(&words[taken..]).unzip();
                Some((Self::At { day: Some(on), time }, taken + more.unwrap_or(0)))
            }
            (None, Some((time, taken))) => {
                let (day, more) = day(&words[taken..]).unzip();
                Some((Self::At { day, time: Some(time) }, taken + more.unwrap_or(0)))
            }
            (None, None) => None,
        }
    }

    /// Reads words that are a time and nothing else.
    pub(crate) fn read_whole(words: &[&str]) -> Option<Self> {
        Self::read(words).filter(|(_, taken)| *taken == words.len()).map(|(when, _)| when)
    }

    /// A day that was said at first with the time that was said at last, if that is what the two are.
    pub(crate) fn at_time_of(self, last: &Self) -> Option<Self> {
        match (self, last) {
            (Self::At { day, time: None }, Self::At { day: None, time }) => {
                Some(Self::At { day, time: *time })
            }
            _ => None,
        }
    }

    /// When that is, said now.
    ///
    /// # Errors
    /// It has passed, or is too far away.
    pub(crate) fn resolve(&self, now: &Zoned) -> Result<Zoned, Refusal> {
        let due_at = match self {
            Self::After(Amount { days, seconds }) => Span::new()
                .try_days(*days)
                .and_then(|days| now.checked_add(days))
                .and_then(|then| then.checked_add(SignedDuration::from_secs(*seconds)))
                .map_err(|_| Refusal::Far)?,
            Self::At { day, time } => at(now, *day, time.unwrap_or(MORNING)).ok_or(Refusal::Far)?,
        };
        if due_at < *now {
            return Err(Refusal::Passed(zone::shown(&due_at, now)));
        }
        if due_at.duration_since(now) > FARTHEST {
            return Err(Refusal::Far);
        }
        Ok(due_at)
    }
}

/// None beyond the calendar's end.
fn at(now: &Zoned, day: Option<Day>, time: Time) -> Option<Zoned> {
    // A time that the clock leaves out comes as much later; one that it shows twice comes the first time.
    let on = |date: Date| date.to_datetime(time).to_zoned(now.time_zone().clone()).ok();
    let today = now.date();
    let to_come = on(today).filter(|then| then > now);
    match day {
        None => to_come.or_else(|| on(today.tomorrow().ok()?)),
        Some(Day::Today) => on(today),
        Some(Day::Tomorrow) => on(today.tomorrow().ok()?),
        Some(Day::Next(weekday)) if weekday == today.weekday() && to_come.is_some() => to_come,
        Some(Day::Next(weekday)) => on(today.nth_weekday(1, weekday).ok()?),
        Some(Day::On(date)) => on(date),
    }
}

// === how long ===

/// Amounts that words begin with, added up: "2h 30m", "1 hour and 20 minutes", "half an hour".
fn amount(words: &[&str]) -> Option<(Amount, usize)> {
    let (mut sum, mut taken) = (Amount::default(), 0);
    loop {
        let rest = &words[taken..];
        let and = usize::from(taken > 0 && rest.first() == Some(&"and"));
        let Some((amount, more)) = one_amount(&rest[and..]) else { break };
        sum = sum.plus(amount);
        taken += and + more;
    }
    (taken > 0).then_some((sum, taken))
}

fn one_amount(words: &[&str]) -> Option<(Amount, usize)> {
    match words {
        ["half", "an", "hour", ..] => Some((unit("minute")?.times(30), 3)),
        ["a" | "an", word, ..] => Some((unit(word)?, 2)),
        [word, ..] if joined(word).is_some() => Some((joined(word)?, 1)),
        [number, word, ..] => Some((unit(word)?.times(number.parse::<u32>().ok()?.into()), 2)),
        _ => None,
    }
}

/// Numbers and units without a space: "2h30m".
fn joined(word: &str) -> Option<Amount> {
    let mut rest = word;
    let mut sum = Amount::default();
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (letters, next) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        sum = sum.plus(unit(letters)?.times(number.parse::<u32>().ok()?.into()));
        rest = next;
    }
    (!word.is_empty()).then_some(sum)
}

fn unit(word: &str) -> Option<Amount> {
    let (days, seconds) = match word {
        "s" | "sec" | "secs" | "second" | "seconds" => (0, 1),
        "m" | "min" | "mins" | "minute" | "minutes" => (0, 60),
        "h" | "hr" | "hrs" | "hour" | "hours" => (0, 3600),
        "d" | "day" | "days" => (1, 0),
        "w" | "week" | "weeks" => (7, 0),
        _ => return None,
    };
    Some(Amount { days, seconds })
}

// === which day, what time ===

fn day(words: &[&str]) -> Option<(Day, usize)> {
    match words {
        ["today", ..] => Some((Day::Today, 1)),
        ["tomorrow", ..] => Some((Day::Tomorrow, 1)),
        ["on" | "next", word, ..] => Some((weekday_or_date(word)?, 2)),
        [word, ..] => Some((weekday_or_date(word)?, 1)),
        [] => None,
    }
}

fn weekday_or_date(word: &str) -> Option<Day> {
    Some(Day::Next(match word {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        // Of all that could be a date only what looks like one: "2026-12-24".
        _ if word.len() == 10 => return word.parse().ok().map(Day::On),
        _ => return None,
    }))
}

/// "at 9", "at 3 pm", "15:30", "9am", "noon". A number alone is a time only behind "at".
fn time(words: &[&str]) -> Option<(Time, usize)> {
    let (words, at) = match words {
        ["at", rest @ ..] => (rest, 1),
        _ => (words, 0),
    };
    let (time, taken) = match words {
        ["noon", ..] => (Time::constant(12, 0, 0, 0), 1),
        ["midnight", ..] => (Time::midnight(), 1),
        [clock, half @ ("am" | "pm"), ..] => (of_clock(clock, half)?, 2),
        [word, ..] => {
            let half = ["am", "pm"].into_iter().find(|half| word.ends_with(half)).unwrap_or("");
            let clock = word.strip_suffix(half)?;
            if at == 0 && half.is_empty() && !clock.contains(':') {
                return None;
            }
            (of_clock(clock, half)?, 1)
        }
        [] => return None,
    };
    Some((time, at + taken))
}

/// "15:30" or "3", and which half of the day, if that was said.
fn of_clock(clock: &str, half: &str) -> Option<Time> {
    let (hour, minute) = clock.split_once(':').unwrap_or((clock, "00"));
    let is_number = |text: &str, digits: RangeInclusive<usize>| {
        digits.contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())
    };
    if !is_number(hour, 1..=2) || !is_number(minute, 2..=2) {
        return None;
    }
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        "am" | "pm" if !(1..=12).contains(&hour) => return None,
        "am" => hour % 12,
        "pm" => hour % 12 + 12,
        _ => hour,
    };
    Time::new(hour, minute, 0, 0).ok()
}

// === impl Amount ===

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            days: self.days.saturating_add(other.days),
            seconds: self.seconds.saturating_add(other.seconds),
        }
    }

    fn times(self, count: i64) -> Self {
        Self { days: self.days.saturating_mul(count), seconds: self.seconds.saturating_mul(count) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A Wednesday.
    const NOW: &str = "2026-03-25T14:00:00+01:00[Europe/Zurich]";

    fn now() -> Zoned {
        NOW.parse().unwrap()
    }

    fn read(text: &str) -> Option<When> {
        When::read_whole(&text.split(' ').collect::<Vec<_>>())
    }

    fn resolved(text: &str) -> String {
        let when = read(text).unwrap_or_else(|| panic!("{text} is no time"));
        let then = when.resolve(&now()).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        then.strftime("%a %F %T").to_string()
    }

    #[test]
    fn amounts_are_read_in_all_the_ways_they_are_written() {
        for (text, days, seconds) in [
            ("in 20 minutes", 0, 1200),
            ("in 1 min", 0, 60),
            ("in 2h 30m", 0, 9000),
            ("in 2h30m", 0, 9000),
            ("in 1 hour and 5 minutes", 0, 3900),
            ("in an hour", 0, 3600),
            ("in half an hour", 0, 1800),
            ("in 90s", 0, 90),
            ("in a day", 1, 0),
            ("in 2 weeks 3 days 4 hours", 17, 14_400),
        ] {
            assert_eq!(read(text), Some(When::After(Amount { days, seconds })), "{text}");
        }
    }

    #[test]
    fn times_and_days_are_read_in_either_order() {
        for (text, expected) in [
            ("at 15:30", "Wed 2026-03-25 15:30:00"),
            ("15:30", "Wed 2026-03-25 15:30:00"),
            ("at 9", "Thu 2026-03-26 09:00:00"),
            ("at 14:00", "Thu 2026-03-26 14:00:00"),
            ("at 3 pm", "Wed 2026-03-25 15:00:00"),
            ("3:05pm", "Wed 2026-03-25 15:05:00"),
            ("at 12am", "Thu 2026-03-26 00:00:00"),
            ("at 12pm", "Thu 2026-03-26 12:00:00"),
            ("at noon", "Thu 2026-03-26 12:00:00"),
            ("at midnight", "Thu 2026-03-26 00:00:00"),
            ("today at 14:01", "Wed 2026-03-25 14:01:00"),
            ("tomorrow", "Thu 2026-03-26 09:00:00"),
            ("tomorrow at 9", "Thu 2026-03-26 09:00:00"),
            ("at 9 tomorrow", "Thu 2026-03-26 09:00:00"),
            ("on friday at noon", "Fri 2026-03-27 12:00:00"),
            ("at 8:15 on friday", "Fri 2026-03-27 08:15:00"),
            ("wednesday at 15:00", "Wed 2026-03-25 15:00:00"),
            ("next wednesday at 13:00", "Wed 2026-04-01 13:00:00"),
            ("on 2026-12-24 at 18:00", "Thu 2026-12-24 18:00:00"),
            ("2027-03-26", "Fri 2027-03-26 09:00:00"),
        ] {
            assert_eq!(resolved(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "in",
            "in 5",
            "in minutes",
            "in 5 parsecs",
            "5 minutes",
            "at",
            "at 24:00",
            "at 9:5",
            "at 13 pm",
            "at 0am",
            "at -1",
            "at +5",
            "9",
            "at 123",
            "pm",
            "at pm",
            "2026-02-30",
            "someday",
            "on",
            "in 5m5",
            "in m5",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn days_keep_the_hour_when_clocks_change_and_hours_do_not() {
        assert_eq!(resolved("in 5 days"), "Mon 2026-03-30 14:00:00");
        assert_eq!(resolved("in 120 hours"), "Mon 2026-03-30 15:00:00");
        // Clocks go from 02:00 to 03:00 on that day.
        assert_eq!(resolved("on sunday at 2:30"), "Sun 2026-03-29 03:30:00");
    }

    #[test]
    fn a_year_away_is_not_too_far_and_more_is() {
        assert_eq!(resolved("in 366 days"), "Fri 2027-03-26 14:00:00");
        for far in ["in 367 days", "in 4294967295 weeks", "on 9999-12-31", "in 4294967295 h"] {
            assert_eq!(read(far).unwrap().resolve(&now()), Err(Refusal::Far), "{far}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_never_before_now_nor_too_far(
            words in prop::collection::vec(
                prop_oneof![
                    "in|at|on|a|an|half|and|today|tomorrow|monday|noon|midnight|am|pm|hour|2h30m|9999-12-31",
                    "[0-9]{1,10}(:[0-9]{2})?(am|pm|h|d|w)?",
                    "\\PC{0,6}",
                ],
                0..6,
            ),
            seconds in -2_000_000_000i64..4_000_000_000,
        ) {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let zone = now().time_zone().clone();
            let now = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(zone);
            if let Some((when, taken)) = When::read(&words) {
                prop_assert!((1..=words.len()).contains(&taken));
                if let Ok(due_at) = when.resolve(&now) {
                    prop_assert!(due_at >= now && due_at.duration_since(&now) <= FARTHEST);
                }
            }
        }
    }
}
