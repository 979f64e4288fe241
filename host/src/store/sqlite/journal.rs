//! The journal: one row a turn, in the order the turns ended.

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use uuid::Uuid;

use super::{super::JOURNAL_ROWS, JournalRow, StoreError, lanes};
use crate::id::{BotName, EventId, Timestamp, TurnId};

/// The newest rows of one bot.
pub(super) const NEWEST_OF_BOT: &str =
    "SELECT turn, event, bot, room, attempt, started_at, ended_at, outcome, details
    FROM journal WHERE bot = ?2 ORDER BY sequence DESC LIMIT ?1";
/// The newest rows of all.
pub(super) const NEWEST: &str =
    "SELECT turn, event, bot, room, attempt, started_at, ended_at, outcome, details
    FROM journal ORDER BY sequence DESC LIMIT ?1";

/// The newest row of an event.
pub(super) const NEWEST_OF_EVENT: &str =
    "SELECT turn, event, bot, room, attempt, started_at, ended_at, outcome, details
    FROM journal WHERE event = ?1 ORDER BY sequence DESC LIMIT 1";

/// See [`Store::journal`](super::Store::journal).
pub(super) fn newest(
    connection: &Connection,
    bot: Option<&BotName>,
    limit: u32,
) -> Result<Vec<JournalRow>, StoreError> {
    let limit = limit.min(JOURNAL_ROWS);
    let mut statement = connection.prepare_cached(if bot.is_some() { NEWEST_OF_BOT } else { NEWEST })?;
    let rows = match bot {
        Some(bot) => statement.query_map(params![limit, bot.as_str()], read)?,
        None => statement.query_map([limit], read)?,
    };
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest row of an event.
pub(super) fn of_event(connection: &Connection, event: EventId) -> Result<Option<JournalRow>, StoreError> {
    let mut statement = connection.prepare_cached(NEWEST_OF_EVENT)?;
    Ok(statement.query_row([event.0.as_bytes()], read).optional()?)
}

/// Adds a row, and the turn's trace.
pub(super) fn insert(
    connection: &Connection,
    row: &JournalRow,
    trace: Option<&str>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO journal (turn, event, bot, room, attempt, started_at, ended_at, outcome, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            &*row.turn.0,
            row.event.0.as_bytes(),
            row.lane.bot.as_str(),
            row.lane.room.0.cast_signed(),
            row.attempt,
            row.started_at.0,
            row.ended_at.0,
            row.outcome,
            row.details.to_string(),
        ])?;
    keep_trace(connection, connection.last_insert_rowid(), trace)
}

/// Keeps the trace of the row with this number, if there is one.
pub(super) fn keep_trace(connection: &Connection, row: i64, trace: Option<&str>) -> Result<(), StoreError> {
    if let Some(trace) = trace {
        connection
            .prepare_cached("INSERT INTO trace (turn, content) VALUES (?1, ?2)")?
            .execute(params![row, trace])?;
    }
    Ok(())
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<JournalRow> {
    let turn: String = row.get(0)?;
    let details: String = row.get(8)?;
    Ok(JournalRow {
        turn: TurnId(turn.into()),
        event: EventId(Uuid::from_bytes(row.get(1)?)),
        lane: lanes::read(row, 2)?,
        attempt: row.get(4)?,
        started_at: Timestamp(row.get(5)?),
        ended_at: Timestamp(row.get(6)?),
        outcome: row.get(7)?,
        details: serde_json::from_str(&details)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(8, Type::Text, error.into()))?,
    })
}
