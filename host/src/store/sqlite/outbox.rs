//! The parts of an answer: recorded as a whole, marked one by one in order.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{OutboxPart, rules},
    End, Lease, PartState, SessionChange, StoreError, inbox, sessions,
};
use crate::id::{EventId, LaneKey, MessageId};

/// See [`Store::record_parts`](super::Store::record_parts).
pub(super) fn record(
    connection: &Connection,
    lease: &Lease,
    event: EventId,
    contents: &[String],
    verdict: End,
    session: SessionChange,
    details: &str,
) -> Result<(), StoreError> {
    let sequence = inbox::running(connection, lease, event)?;
    let recorded = parts(connection, sequence)?;
    if !recorded.is_empty() {
        return if recorded.iter().map(|part| &part.content).eq(contents) {
            Ok(())
        } else {
            Err(StoreError::OutOfStep { event, problem: rules::step::OTHER_ANSWER })
        };
    }
    for (index, content) in (0..).zip(contents) {
        plan(connection, sequence, index, content)?;
    }
    connection
        .prepare_cached("UPDATE event SET verdict = ?2, details = ?3, note = NULL WHERE sequence = ?1")?
        .execute(params![sequence, rules::word(verdict), details])?;
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
        return Err(StoreError::OutOfStep { event, problem: rules::step::EARLY });
    }
    let known = connection
        .prepare_cached("SELECT state, message FROM part WHERE event = ?1 AND position = ?2")?
        .query_row(params![sequence, index], |row| read_state(row, 0))
        .optional()?
        .ok_or(StoreError::OutOfStep { event, problem: rules::step::NO_PART })?;
    if !may_become(known, state) {
        return Err(StoreError::OutOfStep { event, problem: rules::step::PAST });
    }
    if let PartState::Posted(Some(message)) = state {
        set_last_posted(connection, &lease.lane, message, sequence)?;
    }
    set(connection, sequence, index, state)
}

/// Adds a part.
pub(super) fn plan(
    connection: &Connection,
    sequence: i64,
    index: u32,
    content: &str,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO part (event, position, content) VALUES (?1, ?2, ?3)")?
        .execute(params![sequence, index, content])?;
    Ok(())
}

/// Notes which message a lane has posted last, and for which event.
pub(super) fn set_last_posted(
    connection: &Connection,
    lane: &LaneKey,
    message: MessageId,
    sequence: i64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("REPLACE INTO posted (bot, room, message, event) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![lane.bot.as_str(), lane.room.0.cast_signed(), message.0.cast_signed(), sequence])?;
    Ok(())
}

/// The last message that a lane is known to have posted: a lane posts in order.
pub(super) fn last_posted(connection: &Connection, lane: &LaneKey) -> Result<Option<MessageId>, StoreError> {
    let message = connection
        .prepare_cached("SELECT message FROM posted WHERE bot = ?1 AND room = ?2")?
        .query_row(params![lane.bot.as_str(), lane.room.0.cast_signed()], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(message.map(|message| MessageId(message.cast_unsigned())))
}

/// The arrows between the states of a part, as the store's documentation draws them.
fn may_become(known: PartState, state: PartState) -> bool {
    use PartState::{Failed, Planned, Unsent};
    match (known, state) {
        (Planned, _) | (Unsent, Planned | Failed) => true,
        _ => known == state,
    }
}

/// Writes a part's state.
pub(super) fn set(
    connection: &Connection,
    sequence: i64,
    index: u32,
    state: PartState,
) -> Result<(), StoreError> {
    let (state, message) = match state {
        PartState::Planned => ("planned", None),
        PartState::Unsent => ("unsent", None),
        PartState::Posted(message) => ("posted", message),
        PartState::Uncertain => ("uncertain", None),
        PartState::Failed => ("failed", None),
    };
    connection
        .prepare_cached("UPDATE part SET state = ?3, message = ?4 WHERE event = ?1 AND position = ?2")?
        .execute(params![sequence, index, state, message.map(|message| message.0.cast_signed())])?;
    Ok(())
}

/// Whether a part of the event is still to be sent, or in doubt and not yet marked as such.
pub(super) fn has_unsettled(connection: &Connection, sequence: i64) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM part WHERE event = ?1 AND state IN ('planned', 'unsent')")?
        .exists([sequence])?)
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
        Ok(OutboxPart { index: row.get(0)?, content: row.get(1)?, state: read_state(row, 2)? })
    })?;
    Ok(parts.collect::<Result<_, _>>()?)
}

/// The state in this column, and the message in the next.
fn read_state(row: &Row<'_>, column: usize) -> rusqlite::Result<PartState> {
    let (state, message): (String, Option<i64>) = (row.get(column)?, row.get(column + 1)?);
    // The schema allows these five.
    Ok(match state.as_str() {
        "posted" => PartState::Posted(message.map(|id| MessageId(id.cast_unsigned()))),
        "unsent" => PartState::Unsent,
        "uncertain" => PartState::Uncertain,
        "failed" => PartState::Failed,
        _ => PartState::Planned,
    })
}
