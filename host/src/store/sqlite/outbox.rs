//! The parts of an answer: recorded as a whole, marked one by one in order.

use rusqlite::{Connection, params};

use super::{super::OutboxPart, Lease, PartState, SessionChange, StoreError, inbox, sessions};
use crate::id::{EventId, MessageId};

/// See [`Store::record_parts`](super::Store::record_parts).
pub(super) fn record(
    connection: &Connection,
    lease: &Lease,
    event: EventId,
    contents: &[String],
    session: SessionChange,
) -> Result<(), StoreError> {
    let sequence = inbox::running(connection, lease, event)?;
    let recorded = parts(connection, sequence)?;
    if !recorded.is_empty() {
        return if recorded.iter().map(|part| &part.content).eq(contents) {
            Ok(())
        } else {
            Err(StoreError::OutOfStep { event, problem: "another answer was recorded for it" })
        };
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO part (event, position, content) VALUES (?1, ?2, ?3)")?;
    for (position, content) in (0_u32..).zip(contents) {
        insert.execute(params![sequence, position, content])?;
    }
    sessions::change(connection, &lease.lane, session)
}

/// See [`Store::mark_part`](super::Store::mark_part).
pub(super) fn mark(
    connection: &Connection,
    lease: &Lease,
    event: EventId,
    index: u32,
    state: PartState,
) -> Result<(), StoreError> {
    let sequence = inbox::running(connection, lease, event)?;
    let is_early = connection
        .prepare_cached(
            "SELECT 1 FROM part WHERE event = ?1 AND position < ?2 AND state IN ('planned', 'unsent')",
        )?
        .exists(params![sequence, index])?;
    if is_early {
        return Err(StoreError::OutOfStep { event, problem: "a part before this one is not marked" });
    }
    let (state, message) = match state {
        PartState::Planned => ("planned", None),
        PartState::Unsent => ("unsent", None),
        PartState::Posted(message) => ("posted", message),
        PartState::Uncertain => ("uncertain", None),
        PartState::Failed => ("failed", None),
    };
    let found = connection
        .prepare_cached("UPDATE part SET state = ?3, message = ?4 WHERE event = ?1 AND position = ?2")?
        .execute(params![sequence, index, state, message.map(|message| message.0.cast_signed())])?;
    if found == 0 {
        return Err(StoreError::OutOfStep { event, problem: "it has no such part" });
    }
    Ok(())
}

/// Whether something is sent on the strength of a mark, which then must be flushed before: this part, if it is planned
/// again, or the parts behind one that was sent. Were the mark lost, more than the first planned part would be in doubt.
pub(super) fn is_relied_on(
    connection: &Connection,
    event: EventId,
    index: u32,
    state: PartState,
) -> Result<bool, StoreError> {
    match state {
        PartState::Planned => Ok(true),
        PartState::Unsent => Ok(false),
        _ => has_parts_behind(connection, event, index),
    }
}

fn has_parts_behind(connection: &Connection, event: EventId, index: u32) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM part JOIN event ON event.sequence = part.event
             WHERE event.id = ?1 AND part.position > ?2",
        )?
        .exists(params![event.0.as_bytes(), index])?)
}

/// The recorded parts of an event, in order.
pub(super) fn parts(connection: &Connection, sequence: i64) -> Result<Vec<OutboxPart>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT position, content, state, message FROM part WHERE event = ?1 ORDER BY position",
    )?;
    let parts = statement.query_map([sequence], |row| {
        let state: String = row.get(2)?;
        let message: Option<i64> = row.get(3)?;
        Ok(OutboxPart {
            index: row.get(0)?,
            content: row.get(1)?,
            // The schema allows these five.
            state: match state.as_str() {
                "posted" => PartState::Posted(message.map(|id| MessageId(id.cast_unsigned()))),
                "unsent" => PartState::Unsent,
                "uncertain" => PartState::Uncertain,
                "failed" => PartState::Failed,
                _ => PartState::Planned,
            },
        })
    })?;
    Ok(parts.collect::<Result<_, _>>()?)
}
