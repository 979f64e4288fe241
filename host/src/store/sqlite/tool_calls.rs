//! The journal's tool calls.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::{super::TOOL_CALL_ROWS, StoreError, ToolCallRow};
use crate::id::{Timestamp, TurnId};

/// All calls, in the order they were recorded.
pub(super) const ALL: &str = "SELECT turn, position, tool, input, output, error, cause, started_at, duration
    FROM tool_call ORDER BY sequence";
/// The calls of a turn.
pub(super) const OF_TURN: &str =
    "SELECT turn, position, tool, input, output, error, cause, started_at, duration
    FROM tool_call WHERE turn = ?1 ORDER BY position LIMIT ?2";

/// See [`Store::record_tool_call`](super::Store::record_tool_call).
pub(super) fn record(connection: &Connection, row: &ToolCallRow) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO tool_call (turn, position, tool, input, output, error, cause, started_at, duration)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            &*row.turn.0,
            row.index,
            row.tool,
            row.input,
            row.output,
            row.error,
            row.cause,
            row.started_at.0,
            i64::try_from(row.duration.as_micros()).unwrap_or(i64::MAX),
        ])?;
    Ok(())
}

/// See [`Store::tool_calls`](super::Store::tool_calls).
pub(super) fn of_turn(connection: &Connection, turn: &TurnId) -> Result<Vec<ToolCallRow>, StoreError> {
    let mut statement = connection.prepare_cached(OF_TURN)?;
    let rows = statement.query_map(params![&*turn.0, TOOL_CALL_ROWS], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<ToolCallRow> {
    let turn: String = row.get(0)?;
    let microseconds: i64 = row.get(8)?;
    Ok(ToolCallRow {
        turn: TurnId(turn.into()),
        index: row.get(1)?,
        tool: row.get(2)?,
        input: row.get(3)?,
        output: row.get(4)?,
        error: row.get(5)?,
        cause: row.get(6)?,
        started_at: Timestamp(row.get(7)?),
        duration: Duration::from_micros(microseconds.unsigned_abs()),
    })
}
