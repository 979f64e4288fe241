//! What is paused: a flag for a bot, and one for a bot in a room, each on its own.

use rusqlite::{Connection, Row, params};

use super::{
    super::{LISTED, Pause, Scope},
    StoreError,
};
use crate::id::{BotName, LaneKey, RoomId, Timestamp};

/// All of them.
pub(super) const ALL: &str = "SELECT bot, room, since FROM pause";
/// Whether a lane is paused, by whichever flag. Two questions, so that each has its index.
pub(super) const COVERS: &str = "SELECT 1 FROM pause WHERE bot = ?1 AND room IS NULL
    UNION ALL SELECT 1 FROM pause WHERE bot = ?1 AND room = ?2";

/// Whether a lane is paused.
pub(super) fn covers(connection: &Connection, lane: &LaneKey) -> Result<bool, StoreError> {
    let lane = params![lane.bot.as_str(), lane.room.0.cast_signed()];
    Ok(connection.prepare_cached(COVERS)?.exists(lane)?)
}

/// See [`Oversight::pause`](super::super::Oversight::pause).
pub(super) fn set(connection: &Connection, scope: &Scope, now: Timestamp) -> Result<bool, StoreError> {
    let (bot, room) = columns(scope);
    let added = connection.execute(
        "INSERT OR IGNORE INTO pause (bot, room, since) VALUES (?1, ?2, ?3)",
        params![bot, room, now.0],
    )?;
    Ok(added > 0)
}

/// See [`Oversight::resume`](super::super::Oversight::resume).
pub(super) fn lift(connection: &Connection, scope: &Scope) -> Result<bool, StoreError> {
    let (bot, room) = columns(scope);
    Ok(connection.execute("DELETE FROM pause WHERE bot = ?1 AND room IS ?2", params![bot, room])? > 0)
}

/// See [`Oversight::pauses`](super::super::Oversight::pauses).
pub(super) fn list(connection: &Connection) -> Result<Vec<Pause>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT bot, room, since FROM pause ORDER BY bot, room LIMIT ?1")?;
    let pauses = statement.query_map([LISTED], read)?;
    Ok(pauses.collect::<Result<_, _>>()?)
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Pause> {
    let (bot, room): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
    let room = room.map(|room| RoomId(room.cast_unsigned()));
    Ok(Pause { scope: Scope { bot: BotName(bot.into()), room }, since: Timestamp(row.get(2)?) })
}

fn columns(scope: &Scope) -> (&str, Option<i64>) {
    (scope.bot.as_str(), scope.room.map(|room| room.0.cast_signed()))
}
