//! Events, from their acceptance to their end.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{
    super::{DUPLICATE_WINDOW, Source, rules},
    Acceptance, Begun, End, JournalRow, Lease, NewEvent, SessionChange, Stopping, StoreError, chain, journal,
    lanes, outbox, pauses, rooms, sessions,
};
use crate::id::{BotName, EventId, LaneKey, MessageId, Timestamp};

/// The kind of a new message.
const MESSAGE: &str = "message";
/// Whether the same was taken before. Later times count too: a clock may have been set back.
pub(super) const FIND_DUPLICATE: &str = "SELECT 1 FROM event
    WHERE bot = ?1 AND message = ?2 AND kind = ?3
      AND content_hash = ?4 AND received_at >= ?5 AND state <> 'refused'";
/// Whether the message was found before, under whatever text.
pub(super) const FIND_FOUND: &str = "SELECT 1 FROM event
    WHERE bot = ?1 AND message = ?2 AND kind = ?3 AND received_at >= ?4 AND found";
/// Whether what was found has arrived, or was found before, at whatever time and under whatever text.
pub(super) const FIND_ARRIVED: &str = "SELECT 1 FROM event WHERE bot = ?1 AND message = ?2 AND kind = ?3";
/// How many unfinished events a lane has, counted up to a limit.
pub(super) const COUNT_UNFINISHED: &str = "SELECT count(*) FROM
    (SELECT 1 FROM event WHERE bot = ?1 AND room = ?2 AND ended_at IS NULL LIMIT ?3)";
/// The lane's oldest unfinished event.
pub(super) const FIND_OLDEST: &str =
    "SELECT sequence, id, attempt, earlier, payload, received_at, verdict, note, stopped, retries, details FROM event
    WHERE bot = ?1 AND room = ?2 AND ended_at IS NULL ORDER BY sequence LIMIT 1";
/// The lanes that have unfinished events and are not paused.
pub(super) const FIND_LANES: &str = "SELECT bot, room FROM event
    WHERE ended_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM pause WHERE pause.bot = event.bot AND pause.room IS NULL)
      AND NOT EXISTS (SELECT 1 FROM pause WHERE pause.bot = event.bot AND pause.room = event.room)
    GROUP BY bot, room ORDER BY min(sequence)";

/// See [`Store::accept`](super::Store::accept).
pub(super) fn accept(
    connection: &Connection,
    event: &NewEvent,
    queue_limit: u32,
) -> Result<Acceptance, StoreError> {
    rooms::heard(connection, event)?;
    if is_known(connection, event)? {
        return Ok(Acceptance::Duplicate);
    }
    if let Some(looping) = chain::count(connection, event)? {
        return Ok(looping);
    }
    let is_full = is_full(connection, &event.lane, queue_limit)?;
    insert(connection, event, !is_full)?;
    Ok(if is_full { Acceptance::Refused } else { Acceptance::Fresh })
}

/// Whether the event was taken in before.
fn is_known(connection: &Connection, event: &NewEvent) -> Result<bool, StoreError> {
    let (bot, message, kind) = (event.lane.bot.as_str(), message(event), &event.kind);
    let since = event.received_at.before(DUPLICATE_WINDOW).0;
    let arrived = || connection.prepare_cached(FIND_ARRIVED)?.exists(params![bot, message, kind]);
    let repeated = || {
        let delivery = params![bot, message, kind, event.content_hash, since];
        connection.prepare_cached(FIND_DUPLICATE)?.exists(delivery)
    };
    let found = || connection.prepare_cached(FIND_FOUND)?.exists(params![bot, message, kind, since]);
    Ok(match event.source {
        Source::History => arrived()?,
        Source::Message { .. } => repeated()? || found()?,
        Source::Other => repeated()?,
    })
}

/// See [`Store::unheard`](super::Store::unheard).
pub(super) fn unheard(
    connection: &Connection,
    bot: &BotName,
    messages: Vec<MessageId>,
) -> Result<Vec<MessageId>, StoreError> {
    let mut statement = connection.prepare_cached(FIND_ARRIVED)?;
    let mut unheard = Vec::new();
    for message in messages {
        if !statement.exists(params![bot.as_str(), message.0.cast_signed(), MESSAGE])? {
            unheard.push(message);
        }
    }
    Ok(unheard)
}

/// See [`Store::ask_to_stop`](super::Store::ask_to_stop).
pub(super) fn ask_to_stop(connection: &Connection, event: &NewEvent) -> Result<Stopping, StoreError> {
    rooms::heard(connection, event)?;
    if is_known(connection, event)? {
        return Ok(Stopping::Duplicate);
    }
    let lane = &event.lane;
    let oldest = connection
        .prepare_cached(FIND_OLDEST)?
        .query_row(params![lane.bot.as_str(), lane.room.0.cast_signed()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((sequence, id)) = oldest else { return Ok(Stopping::Idle) };
    connection.prepare_cached("UPDATE event SET stopped = 1 WHERE sequence = ?1")?.execute([sequence])?;
    insert(connection, event, true)?;
    connection
        .prepare_cached("UPDATE event SET state = 'done', ended_at = received_at WHERE id = ?1")?
        .execute([event.id.0.as_bytes()])?;
    Ok(Stopping::Stopped(EventId(Uuid::from_bytes(id))))
}

/// Adds an event, to run or for the record.
pub(super) fn insert(connection: &Connection, event: &NewEvent, to_run: bool) -> Result<(), StoreError> {
    let (state, ended_at) = if to_run { ("waiting", None) } else { ("refused", Some(event.received_at.0)) };
    connection
        .prepare_cached(
            "INSERT INTO event
                (id, bot, room, message, kind, content_hash, payload, received_at, state, ended_at, found)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            event.id.0.as_bytes(),
            event.lane.bot.as_str(),
            event.lane.room.0.cast_signed(),
            message(event),
            event.kind,
            event.content_hash,
            event.payload,
            event.received_at.0,
            state,
            ended_at,
            matches!(event.source, Source::History),
        ])?;
    Ok(())
}

/// Whether the lane takes no further event.
pub(super) fn is_full(connection: &Connection, lane: &LaneKey, queue_limit: u32) -> Result<bool, StoreError> {
    Ok(count_unfinished(connection, lane, queue_limit)? >= queue_limit)
}

/// The column `message`. Campfire counts from 1, so 0 is free for "none".
fn message(event: &NewEvent) -> i64 {
    event.message.map_or(0, |message| message.0.cast_signed())
}

/// What the column says.
pub(super) fn message_in(column: i64) -> Option<MessageId> {
    (column != 0).then(|| MessageId(column.cast_unsigned()))
}

/// See [`Store::unfinished_lanes`](super::Store::unfinished_lanes).
pub(super) fn unfinished_lanes(connection: &Connection) -> Result<Vec<LaneKey>, StoreError> {
    let mut statement = connection.prepare_cached(FIND_LANES)?;
    let lanes = statement.query_map([], |row| lanes::read(row, 0))?;
    Ok(lanes.collect::<Result<_, _>>()?)
}

/// See [`Store::abandoned_lanes`](super::Store::abandoned_lanes).
pub(super) fn abandoned_lanes(connection: &Connection, now: Timestamp) -> Result<Vec<LaneKey>, StoreError> {
    let mut held =
        connection.prepare_cached("SELECT 1 FROM lane WHERE bot = ?1 AND room = ?2 AND expires_at > ?3")?;
    let mut abandoned = Vec::new();
    for lane in unfinished_lanes(connection)? {
        if !held.exists(params![lane.bot.as_str(), lane.room.0.cast_signed(), now.0])? {
            abandoned.push(lane);
        }
    }
    Ok(abandoned)
}

/// See [`Store::give_up`](super::Store::give_up).
pub(super) fn give_up(
    connection: &Connection,
    bots: &[BotName],
    before: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut others = connection.prepare_cached("SELECT DISTINCT bot FROM event WHERE ended_at IS NULL")?;
    let others = others.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut ended = 0;
    for bot in others.iter().filter(|name| bots.iter().all(|bot| bot.as_str() != name.as_str())) {
        ended += connection
            .prepare_cached(
                "UPDATE event SET state = 'failed', ended_at = max(?3, received_at)
                 WHERE bot = ?1 AND ended_at IS NULL AND received_at < ?2",
            )?
            .execute(params![bot, before.0, now.0])? as u64;
    }
    Ok(ended)
}

/// See [`Store::begin`](super::Store::begin).
pub(super) fn begin(
    connection: &Connection,
    lease: &Lease,
    now: Timestamp,
) -> Result<Option<Begun>, StoreError> {
    lanes::check(connection, lease)?;
    let lane = &lease.lane;
    if pauses::covers(connection, lane)? {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(FIND_OLDEST)?;
    let mut oldest = statement.query(params![lane.bot.as_str(), lane.room.0.cast_signed()])?;
    let Some(row) = oldest.next()? else { return Ok(None) };
    let (sequence, before, earlier): (i64, u32, u32) = (row.get(0)?, row.get(2)?, row.get(3)?);
    let (attempt, verdict) = (before.saturating_add(1), row.get::<_, Option<String>>(6)?);
    let begun = Begun {
        event: EventId(Uuid::from_bytes(row.get(1)?)),
        attempt,
        tries: attempt.saturating_sub(earlier),
        retries: row.get(9)?,
        payload: row.get(4)?,
        received_at: Timestamp(row.get(5)?),
        session: sessions::of_lane(connection, lane, now)?,
        parts: outbox::parts(connection, sequence)?,
        verdict: verdict.map(|verdict| rules::end(&verdict)),
        note: row.get(7)?,
        stopped: row.get(8)?,
        details: row.get(10)?,
        posted: outbox::last_posted(connection, lane)?,
    };
    connection
        .prepare_cached("UPDATE event SET state = 'running', attempt = ?2 WHERE sequence = ?1")?
        .execute(params![sequence, attempt])?;
    Ok(Some(begun))
}

/// See [`Store::note`](super::Store::note).
pub(super) fn note(
    connection: &Connection,
    lease: &Lease,
    event: EventId,
    note: &str,
) -> Result<(), StoreError> {
    let sequence = running(connection, lease, event)?;
    connection
        .prepare_cached("UPDATE event SET note = ?2 WHERE sequence = ?1")?
        .execute(params![sequence, note])?;
    Ok(())
}

/// See [`Store::break_off`](super::Store::break_off).
pub(super) fn break_off(connection: &Connection, lease: &Lease, event: EventId) -> Result<(), StoreError> {
    let sequence = running(connection, lease, event)?;
    connection
        .prepare_cached("UPDATE event SET earlier = earlier + 1 WHERE sequence = ?1")?
        .execute([sequence])?;
    Ok(())
}

/// See [`Store::finish`](super::Store::finish).
pub(super) fn finish(
    connection: &Connection,
    lease: &Lease,
    event: EventId,
    end: End,
    session: SessionChange,
    row: &JournalRow,
    trace: Option<&str>,
) -> Result<(), StoreError> {
    let sequence = running(connection, lease, event)?;
    if end == End::Done && outbox::has_unsettled(connection, sequence)? {
        return Err(StoreError::OutOfStep { event, problem: rules::step::UNSETTLED });
    }
    // Never before it was received: the time it may be swept depends on it, and duplicates are recognised until then.
    connection
        .prepare_cached("UPDATE event SET state = ?2, ended_at = max(?3, received_at) WHERE sequence = ?1")?
        .execute(params![sequence, rules::word(end), row.ended_at.0])?;
    sessions::change_after_turn(connection, &lease.lane, session)?;
    journal::insert(connection, row, trace)
}

/// The sequence number of an event that runs in the lane; fails if it does not, or the lease is lost.
pub(super) fn running(connection: &Connection, lease: &Lease, event: EventId) -> Result<i64, StoreError> {
    lanes::check(connection, lease)?;
    let lane = &lease.lane;
    connection
        .prepare_cached(
            "SELECT sequence FROM event WHERE id = ?1 AND bot = ?2 AND room = ?3 AND state = 'running'",
        )?
        .query_row(params![event.0.as_bytes(), lane.bot.as_str(), lane.room.0.cast_signed()], |row| {
            row.get(0)
        })
        .optional()?
        .ok_or(StoreError::OutOfStep { event, problem: rules::step::NOT_RUNNING })
}

/// Whether the lane has anything to do.
pub(super) fn has_unfinished(connection: &Connection, lane: &LaneKey) -> Result<bool, StoreError> {
    Ok(count_unfinished(connection, lane, 1)? > 0)
}

fn count_unfinished(connection: &Connection, lane: &LaneKey, limit: u32) -> Result<u32, StoreError> {
    Ok(connection
        .prepare_cached(COUNT_UNFINISHED)?
        .query_row(params![lane.bot.as_str(), lane.room.0.cast_signed(), limit], |row| row.get(0))?)
}
