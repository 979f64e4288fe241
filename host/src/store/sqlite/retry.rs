//! Events that failed, and how one is put back.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{
    super::{
        FailedEvent, LISTED, PartState, Retried, Retry,
        rules::{self, Plan},
    },
    StoreError, inbox, journal, lanes, outbox,
};
use crate::id::{BotName, EventId, LaneKey, Timestamp};

/// The newest events that failed, or have a part that may not be in the room; of one bot if named.
pub(super) const FAILED: &str =
    "SELECT sequence, id, bot, room, message, received_at, ended_at, state, attempt, kind
    FROM event WHERE state = 'failed' AND (?1 IS NULL OR bot = ?1)
    UNION ALL SELECT sequence, id, bot, room, message, received_at, ended_at, state, attempt, kind
    FROM event WHERE state = 'done' AND (?1 IS NULL OR bot = ?1)
        AND sequence IN (SELECT event FROM part WHERE state = 'uncertain')
    ORDER BY sequence DESC LIMIT ?2";

/// See [`Oversight::failed_events`](super::super::Oversight::failed_events).
pub(super) fn failed(
    connection: &Connection,
    bot: Option<&BotName>,
    limit: u32,
) -> Result<Vec<FailedEvent>, StoreError> {
    let mut statement = connection.prepare_cached(FAILED)?;
    let mut rows = statement.query(params![bot.map(BotName::as_str), limit.min(LISTED)])?;
    let mut failed = Vec::new();
    while let Some(row) = rows.next()? {
        let event = EventId(Uuid::from_bytes(row.get(1)?));
        let (message, state): (i64, String) = (row.get(4)?, row.get(7)?);
        let mut found = FailedEvent {
            event,
            lane: lanes::read(row, 2)?,
            message: inbox::message_in(message),
            kind: row.get(9)?,
            received_at: Timestamp(row.get(5)?),
            ended_at: Timestamp(row.get(6)?),
            end: rules::end(&state),
            attempts: row.get(8)?,
            posted: 0,
            uncertain: 0,
            failed: 0,
            row: journal::of_event(connection, event)?,
        };
        [found.posted, found.uncertain, found.failed] = rules::tally(states(connection, row.get(0)?)?);
        failed.push(found);
    }
    Ok(failed)
}

/// See [`Oversight::retry`](super::super::Oversight::retry).
pub(super) fn retry(connection: &Connection, event: EventId, anyway: bool) -> Result<Retried, StoreError> {
    let refused = |problem| StoreError::OutOfStep { event, problem };
    let (sequence, lane, state, verdict): (i64, LaneKey, String, Option<String>) = connection
        .prepare_cached("SELECT sequence, bot, room, state, verdict FROM event WHERE id = ?1")?
        .query_row([event.0.as_bytes()], |row| {
            Ok((row.get(0)?, lanes::read(row, 1)?, row.get(3)?, row.get(4)?))
        })
        .optional()?
        .ok_or(refused(rules::step::UNKNOWN))?;
    let verdict = verdict.map(|verdict| rules::end(&verdict));
    let parts = states(connection, sequence)?;
    let plan = rules::plan(&state, verdict, parts, anyway).map_err(refused)?;

    // The queue's order is that of the sequence, so the end of the lane is a new number.
    connection.execute_batch("PRAGMA defer_foreign_keys = ON")?;
    let last: i64 = connection.query_row(
        "UPDATE event SET sequence = (SELECT max(sequence) + 1 FROM event), state = 'waiting',
            ended_at = NULL, earlier = attempt, retries = retries + 1, note = NULL, stopped = 0
         WHERE sequence = ?1 RETURNING sequence",
        [sequence],
        |row| row.get(0),
    )?;
    connection.execute("UPDATE part SET event = ?2 WHERE event = ?1", [sequence, last])?;
    let retry = match plan {
        Plan::Anew => {
            connection.execute("DELETE FROM part WHERE event = ?1", [last])?;
            connection
                .execute("UPDATE event SET verdict = NULL, details = NULL WHERE sequence = ?1", [last])?;
            Retry::Anew
        }
        Plan::Post(parts) => {
            for (index, state) in (0..).zip(parts) {
                outbox::set(connection, last, index, state)?;
            }
            Retry::Posting
        }
    };
    Ok(Retried { lane, retry })
}

fn states(connection: &Connection, sequence: i64) -> Result<Vec<PartState>, StoreError> {
    Ok(outbox::parts(connection, sequence)?.into_iter().map(|part| part.state).collect())
}
