//! The lanes' conversations: kept, set, listed, and forgotten once nobody uses them.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{
    super::{Conversation, Forgotten, LISTED, Scope},
    SessionChange, StoreError, lanes,
};
use crate::id::{BotName, LaneKey, SessionId, Timestamp};

/// The lane's conversation, if it has one that has not expired.
pub(super) fn of_lane(
    connection: &Connection,
    lane: &LaneKey,
    now: Timestamp,
) -> Result<Option<SessionId>, StoreError> {
    let id = connection
        .prepare_cached("SELECT id FROM session WHERE bot = ?1 AND room = ?2 AND expires_at > ?3")?
        .query_row(params![lane.bot.as_str(), lane.room.0.cast_signed(), now.0], |row| row.get(0))
        .optional()?;
    Ok(id.map(|bytes| SessionId(Uuid::from_bytes(bytes))))
}

/// What the end of a turn does to the lane's conversation, unless it was to be forgotten after the turn.
pub(super) fn change_after_turn(
    connection: &Connection,
    lane: &LaneKey,
    asked: SessionChange,
) -> Result<(), StoreError> {
    let to_forget = connection
        .prepare_cached("DELETE FROM forgetting WHERE bot = ?1 AND room = ?2")?
        .execute(params![lane.bot.as_str(), lane.room.0.cast_signed()])?;
    change(connection, lane, if to_forget > 0 { SessionChange::Forget } else { asked })
}

/// See [`Oversight::conversations`](super::super::Oversight::conversations).
pub(super) fn list(
    connection: &Connection,
    bot: Option<&BotName>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Conversation>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT bot, room, id, expires_at FROM session
         WHERE expires_at > ?1 AND (?2 IS NULL OR bot = ?2) ORDER BY bot, room LIMIT ?3",
    )?;
    let bot = bot.map(BotName::as_str);
    let rows = statement.query_map(params![now.0, bot, limit.min(LISTED)], |row| {
        Ok(Conversation {
            lane: lanes::read(row, 0)?,
            session: SessionId(Uuid::from_bytes(row.get(2)?)),
            expires_at: Timestamp(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// See [`Oversight::forget`](super::super::Oversight::forget). A turn runs in a lane if it is held and an event there
/// was begun.
pub(super) fn forget(connection: &Connection, scope: &Scope) -> Result<Forgotten, StoreError> {
    let asked = params![scope.bot.as_str(), scope.room.map(|room| room.0.cast_signed())];
    let after_turn = connection.execute(
        "REPLACE INTO forgetting (bot, room) SELECT bot, room FROM lane
         WHERE bot = ?1 AND (?2 IS NULL OR room = ?2) AND EXISTS (SELECT 1 FROM event
            WHERE event.bot = lane.bot AND event.room = lane.room AND ended_at IS NULL AND state = 'running')",
        asked,
    )?;
    let now = connection.execute(
        "DELETE FROM session WHERE bot = ?1 AND (?2 IS NULL OR room = ?2) AND NOT EXISTS (SELECT 1 FROM event
            JOIN lane ON lane.bot = event.bot AND lane.room = event.room
            WHERE event.bot = session.bot AND event.room = session.room AND ended_at IS NULL AND state = 'running')",
        asked,
    )?;
    Ok(Forgotten { now: now as u64, after_turn: after_turn as u64 })
}

/// Keeps, sets or forgets the lane's conversation.
pub(super) fn change(
    connection: &Connection,
    lane: &LaneKey,
    change: SessionChange,
) -> Result<(), StoreError> {
    let (bot, room) = (lane.bot.as_str(), lane.room.0.cast_signed());
    match change {
        SessionChange::Keep => {}
        SessionChange::Set(id, expires_at) => {
            connection
                .prepare_cached("REPLACE INTO session (bot, room, id, expires_at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![bot, room, id.0.as_bytes(), expires_at.0])?;
        }
        SessionChange::Forget => {
            connection
                .prepare_cached("DELETE FROM session WHERE bot = ?1 AND room = ?2")?
                .execute(params![bot, room])?;
        }
    }
    Ok(())
}
