//! Timers, from being set to becoming an event.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{CronKey, Due, Fired, TIMERS_PER_BOT, TIMERS_PER_ROOM, Timer, rules},
    NewEvent, StoreError, counter, inbox,
};
use crate::id::{BotName, LaneKey, RoomId, Timestamp};

/// All timers, each with when it is tried.
pub(super) const ALL: &str = "SELECT bot, room, name, version, due_at, payload, next_at FROM timer";
/// A lane's timers.
pub(super) const OF_LANE: &str = "SELECT bot, room, name, version, due_at, payload FROM timer
    WHERE bot = ?1 AND room = ?2 ORDER BY due_at, version";
/// A bot's timers that are to be tried.
pub(super) const DUE: &str = "SELECT bot, room, name, version, due_at, payload FROM timer
    WHERE bot = ?1 AND next_at <= ?2 ORDER BY next_at LIMIT ?3";
/// When a bot's next timer is to be tried.
pub(super) const NEXT: &str = "SELECT min(next_at) FROM timer WHERE bot = ?1";
/// How many timers a lane has.
pub(super) const COUNT_OF_LANE: &str = "SELECT count(*) FROM timer WHERE bot = ?1 AND room = ?2";
/// How many timers a bot has.
pub(super) const COUNT_OF_BOT: &str = "SELECT count(*) FROM timer WHERE bot = ?1";

/// See [`Store::set_timer`](super::Store::set_timer).
pub(super) fn set(
    connection: &Connection,
    lane: &LaneKey,
    name: &str,
    due_at: Timestamp,
    payload: &str,
) -> Result<(), StoreError> {
    let (bot, room) = columns(lane);
    let is_new = !connection
        .prepare_cached("SELECT 1 FROM timer WHERE bot = ?1 AND room = ?2 AND name = ?3")?
        .exists(params![bot, room, name])?;
    if is_new {
        let count = |sql, params: &[&dyn rusqlite::ToSql]| -> Result<u64, StoreError> {
            let count: i64 = connection.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
            Ok(count.cast_unsigned())
        };
        if count(COUNT_OF_LANE, &[&bot, &room])? >= TIMERS_PER_ROOM {
            return Err(rules::too_many_timers_in_room());
        }
        if count(COUNT_OF_BOT, &[&bot])? >= TIMERS_PER_BOT {
            return Err(rules::too_many_timers());
        }
    }
    let version = counter::next(connection, counter::TIMER_VERSION)?;
    let timer =
        Timer { lane: lane.clone(), name: name.to_owned(), version, due_at, payload: payload.to_owned() };
    put(connection, &timer, due_at)
}

/// Writes a timer as it is, to be tried at `next_at`.
pub(super) fn put(connection: &Connection, timer: &Timer, next_at: Timestamp) -> Result<(), StoreError> {
    let (bot, room) = columns(&timer.lane);
    let version = timer.version.cast_signed();
    connection
        .prepare_cached(
            "REPLACE INTO timer (bot, room, name, version, due_at, next_at, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![bot, room, timer.name, version, timer.due_at.0, next_at.0, timer.payload])?;
    Ok(())
}

/// See [`Store::cancel_timer`](super::Store::cancel_timer).
pub(super) fn cancel(connection: &Connection, lane: &LaneKey, name: &str) -> Result<bool, StoreError> {
    let (bot, room) = columns(lane);
    let removed = connection
        .prepare_cached("DELETE FROM timer WHERE bot = ?1 AND room = ?2 AND name = ?3")?
        .execute(params![bot, room, name])?;
    Ok(removed > 0)
}

/// See [`Store::timers`](super::Store::timers).
pub(super) fn of_lane(connection: &Connection, lane: &LaneKey) -> Result<Vec<Timer>, StoreError> {
    let (bot, room) = columns(lane);
    let mut statement = connection.prepare_cached(OF_LANE)?;
    Ok(statement.query_map(params![bot, room], read)?.collect::<Result<_, _>>()?)
}

/// See [`Store::timer_counts`](super::Store::timer_counts).
pub(super) fn counts(connection: &Connection) -> Result<Vec<(BotName, u64)>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT bot, count(*) FROM timer GROUP BY bot")?;
    let counts = statement.query_map([], |row| {
        let bot: String = row.get(0)?;
        Ok((BotName(bot.into()), row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    Ok(counts.collect::<Result<_, _>>()?)
}

/// See [`Store::due_timers`](super::Store::due_timers).
pub(super) fn due(
    connection: &Connection,
    bots: &[BotName],
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Timer>, StoreError> {
    let mut due = Vec::new();
    for bot in bots {
        let left = limit.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
        let mut statement = connection.prepare_cached(DUE)?;
        for timer in statement.query_map(params![bot.as_str(), now.0, left], read)? {
            due.push(timer?);
        }
    }
    Ok(due)
}

/// See [`Store::next_timer`](super::Store::next_timer).
pub(super) fn next(connection: &Connection, bots: &[BotName]) -> Result<Option<Timestamp>, StoreError> {
    let mut statement = connection.prepare_cached(NEXT)?;
    let mut earliest: Option<i64> = None;
    for bot in bots {
        let next: Option<i64> = statement.query_row([bot.as_str()], |row| row.get(0))?;
        earliest = earliest.into_iter().chain(next).min();
    }
    Ok(earliest.map(Timestamp))
}

/// See [`Store::postpone_timer`](super::Store::postpone_timer).
pub(super) fn postpone(connection: &Connection, timer: &Timer, until: Timestamp) -> Result<(), StoreError> {
    let (bot, room) = columns(&timer.lane);
    connection
        .prepare_cached(
            "UPDATE timer SET next_at = ?5 WHERE bot = ?1 AND room = ?2 AND name = ?3 AND version = ?4",
        )?
        .execute(params![bot, room, timer.name, timer.version.cast_signed(), until.0])?;
    Ok(())
}

/// See [`Store::cron_settled`](super::Store::cron_settled).
pub(super) fn cron_settled(connection: &Connection, cron: &CronKey) -> Result<Option<Timestamp>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT settled FROM cron WHERE bot = ?1 AND name = ?2")?
        .query_row(params![cron.bot.as_str(), cron.name], |row| row.get(0).map(Timestamp))
        .optional()?)
}

/// See [`Store::settle_cron`](super::Store::settle_cron).
pub(super) fn settle_cron(
    connection: &Connection,
    cron: &CronKey,
    until: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO cron (bot, name, settled) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET settled = max(settled, excluded.settled)",
        )?
        .execute(params![cron.bot.as_str(), cron.name, until.0])?;
    Ok(())
}

/// See [`Store::fire`](super::Store::fire).
pub(super) fn fire(
    connection: &Connection,
    due: &Due,
    event: &NewEvent,
    queue_limit: u32,
) -> Result<Fired, StoreError> {
    let is_there = match due {
        Due::Timer(timer) => {
            let (bot, room) = columns(&timer.lane);
            connection
                .prepare_cached(
                    "SELECT 1 FROM timer WHERE bot = ?1 AND room = ?2 AND name = ?3 AND version = ?4",
                )?
                .exists(params![bot, room, timer.name, timer.version.cast_signed()])?
        }
        Due::Cron(cron, at) => cron_settled(connection, cron)?.is_none_or(|settled| settled < *at),
    };
    if !is_there {
        return Ok(Fired::Gone);
    }
    if inbox::is_full(connection, &event.lane, queue_limit)? {
        return Ok(Fired::Full);
    }
    inbox::insert(connection, event, true)?;
    match due {
        Due::Timer(timer) => cancel(connection, &timer.lane, &timer.name).map(drop)?,
        Due::Cron(cron, at) => settle_cron(connection, cron, *at)?,
    }
    Ok(Fired::Fresh)
}

fn columns(lane: &LaneKey) -> (&str, i64) {
    (lane.bot.as_str(), lane.room.0.cast_signed())
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Timer> {
    let bot: String = row.get(0)?;
    let room: i64 = row.get(1)?;
    Ok(Timer {
        lane: LaneKey { bot: BotName(bot.into()), room: RoomId(room.cast_unsigned()) },
        name: row.get(2)?,
        version: row.get::<_, i64>(3)?.cast_unsigned(),
        due_at: Timestamp(row.get(4)?),
        payload: row.get(5)?,
    })
}
