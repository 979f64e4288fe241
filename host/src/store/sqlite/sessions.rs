//! The lanes' conversations.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{SessionChange, StoreError};
use crate::id::{LaneKey, SessionId, Timestamp};

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
