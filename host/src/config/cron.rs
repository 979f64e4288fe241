//! `[bots.<name>.cron.<timer>]`: times that come again, by the clock of a place.
//!
//! An expression has five fields: minute, hour, day of the month, month, day of the week, with the extensions that
//! croner knows (names, `L`, `#`, `W`, `@daily`). If both days are given, either will do. Where clocks go forward, a
//! fixed time that is left out comes as soon as the clock is past it; where they go back, a fixed time comes once. An
//! expression with a `*` or a step in its hours or minutes follows the clock instead: what is left out is left out, and
//! what is shown twice comes twice.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use croner::{
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Zoned, tz::TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    bot::ROOM,
    check::{Checked, Checks, Reported, every},
    located::Located,
    mistake::Mistake,
    units::{self, DAY, DurationText, MINUTE},
};
use crate::id::{RoomId, Timestamp};

/// The longest name of a timer, in bytes; the shortest has one.
pub const TIMER_NAME_BYTES: usize = 128;
/// The largest payload of a timer, in bytes.
pub const TIMER_PAYLOAD_BYTES: usize = 4 * 1024;
/// How many of the operator's a bot may have.
const CRONS_PER_BOT: usize = 100;
const CATCH_UP: RangeInclusive<Duration> = MINUTE..=DAY;
/// From where it is looked whether an expression ever comes; any day will do.
const SOME_DAY: Timestamp = Timestamp(1_767_225_600_000);

/// `[bots.<name>.cron.<timer>]`: a time that comes again.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    /// The table's name, 1 to [`TIMER_NAME_BYTES`].
    pub name: String,
    /// `at` and `zone`: when. The zone is UTC by default.
    pub schedule: Schedule,
    /// `room`: where.
    pub room: RoomId,
    /// `payload`: what the plugin gets with it. At most [`TIMER_PAYLOAD_BYTES`].
    pub payload: String,
    /// `catch-up`: how late it may come. Of the times that were missed only the latest counts. Default 1 h, 1 min to 24 h.
    pub catch_up: Duration,
}

/// When something comes again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    expression: croner::Cron,
    zone: TimeZone,
}

/// A time that comes again, for which the plugin is called.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
#[schemars(extend("required" = ["at", "room"]))]
pub(super) struct RawCron {
    /// When: minute, hour, day of the month, month and day of the week, as cron takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["0 9 * * 1-5"]))]
    at: Option<Located<String>>,
    /// By the clock of which place: a name of the IANA time zone database.
    #[schemars(extend("examples" = ["Europe/Zurich"]))]
    zone: Located<String>,
    /// The id of the room where the answer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ROOM.start()), extend("examples" = [7]))]
    room: Option<Located<i64>>,
    /// What the plugin gets with it, at most 4KiB.
    payload: Located<String>,
    /// How late it may come, 1m to 24h: when the host was not running, the latest time that was missed is made up for if
    /// it is not longer ago.
    catch_up: Located<DurationText>,
}

impl Default for RawCron {
    fn default() -> Self {
        Self { at: None, zone: "UTC".into(), room: None, payload: "".into(), catch_up: "1h".into() }
    }
}

// === impl Schedule ===

impl Schedule {
    fn parse(expression: &str, zone: TimeZone) -> Result<Self, Mistake> {
        let wrong = |cause: &str| Mistake::CronExpression {
            given: expression.to_owned(),
            cause: cause.trim_end_matches('.').to_owned(),
        };
        let fields = expression.split_whitespace().count();
        if fields != 5 && !expression.trim_start().starts_with('@') {
            let plural = if fields == 1 { "" } else { "s" };
            return Err(wrong(&format!("it has {fields} field{plural}, not 5")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let schedule = match parser.parse(expression) {
            Ok(expression) => Self { expression, zone },
            Err(
                CronError::InvalidPattern(cause)
                | CronError::IllegalCharacters(cause)
                | CronError::ComponentError(cause),
            ) => return Err(wrong(&cause)),
            Err(other) => return Err(wrong(&other.to_string())),
        };
        match schedule.next_after(SOME_DAY) {
            Some(_) => Ok(schedule),
            None => Err(Mistake::CronNever { given: expression.to_owned() }),
        }
    }

    /// The first time after `time`; none if there is none in the next thousands of years.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let time = jiff::Timestamp::from_millisecond(time.0).ok()?;
        let from: Zoned = time.to_zoned(self.zone.clone());
        let next = self.expression.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp(next.timestamp().as_millisecond()))
    }
}

// === the checks ===

impl Checks<'_> {
    pub(super) fn crons(
        &mut self,
        bot: &str,
        raw: &BTreeMap<Located<String>, RawCron>,
        rooms: &[Located<i64>],
    ) -> Checked<Vec<Cron>> {
        if let Some((name, _)) = raw.iter().nth(CRONS_PER_BOT) {
            return Err(self.findings.add(name.span(), Mistake::ManyCrons { limit: CRONS_PER_BOT }));
        }
        every(raw.iter().map(|(name, raw)| self.cron(bot, name, raw, rooms)))
    }

    fn cron(
        &mut self,
        bot: &str,
        name: &Located<String>,
        raw: &RawCron,
        rooms: &[Located<i64>],
    ) -> Checked<Cron> {
        let own_name = if (1..=TIMER_NAME_BYTES).contains(&name.get().len()) {
            Ok(name.get().clone())
        } else {
            Err(self.findings.add(name.span(), Mistake::CronName { limit: TIMER_NAME_BYTES }))
        };
        let schedule = self.schedule(bot, name, raw);
        let room = self.cron_room(bot, name, raw.room.as_ref(), rooms);
        let payload = if raw.payload.get().len() <= TIMER_PAYLOAD_BYTES {
            Ok(raw.payload.get().clone())
        } else {
            let limit = units::size_text(TIMER_PAYLOAD_BYTES as u64);
            Err(self.findings.add(raw.payload.span(), Mistake::Long { key: "payload", limit }))
        };
        let catch_up = self.duration("catch-up", &raw.catch_up, CATCH_UP);
        Ok(Cron { name: own_name?, schedule: schedule?, room: room?, payload: payload?, catch_up: catch_up? })
    }

    fn schedule(&mut self, bot: &str, name: &Located<String>, raw: &RawCron) -> Checked<Schedule> {
        let zone = TimeZone::get(raw.zone.get())
            .map_err(|_| self.findings.add(raw.zone.span(), Mistake::Zone { given: raw.zone.get().clone() }));
        let Some(at) = &raw.at else { return Err(self.cron_lacks(bot, name, "at")) };
        // A wrong zone is no reason to say nothing about the expression.
        let schedule = Schedule::parse(at.get(), zone.clone().unwrap_or(TimeZone::UTC))
            .map_err(|mistake| self.findings.add(at.span(), mistake));
        zone.and(schedule)
    }

    fn cron_room(
        &mut self,
        bot: &str,
        name: &Located<String>,
        raw: Option<&Located<i64>>,
        rooms: &[Located<i64>],
    ) -> Checked<RoomId> {
        let Some(raw) = raw else { return Err(self.cron_lacks(bot, name, "room")) };
        let room = self.number("room", raw, ROOM).map(RoomId)?;
        if !rooms.is_empty() && !rooms.iter().any(|served| served.get() == raw.get()) {
            return Err(self.findings.add(raw.span(), Mistake::CronRoom { room: *raw.get() }));
        }
        Ok(room)
    }

    fn cron_lacks(&mut self, bot: &str, name: &Located<String>, key: &'static str) -> Reported {
        let mistake = Mistake::Missing { bot: name.get().clone(), key };
        self.findings.lacks(name.span(), &["bots", bot, "cron", name.get(), key], mistake)
    }
}
