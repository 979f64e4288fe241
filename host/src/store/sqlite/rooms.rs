//! The rooms in which bots are spoken to, and how far their histories were read.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::{
    super::{KnownRoom, LISTED, Source},
    NewEvent, StoreError, lanes,
};
use crate::id::{LaneKey, MessageId, Timestamp};

/// How exactly it is known when a room was last heard of; saves a write for most messages.
const ROUNDING: Duration = Duration::from_hours(1);
/// The rooms, those that were heard of last first.
const LIST: &str = "SELECT bot, room, name, read_to, heard_at FROM room ORDER BY heard_at DESC LIMIT ?1";

/// All of them.
pub(super) const ALL: &str = "SELECT bot, room, name, read_to, heard_at FROM room";
/// One of them.
const FIND: &str = "SELECT bot, room, name, read_to, heard_at FROM room WHERE bot = ?1 AND room = ?2";

/// Keeps in mind where a message came from.
pub(super) fn heard(connection: &Connection, event: &NewEvent) -> Result<(), StoreError> {
    let (Source::Message { room_name }, Some(message)) = (&event.source, event.message) else {
        return Ok(());
    };
    let at = event.received_at;
    connection
        .prepare_cached(
            "INSERT INTO room (bot, room, name, read_to, heard_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (bot, room) DO UPDATE SET name = excluded.name, heard_at = excluded.heard_at
             WHERE name IS NOT excluded.name OR heard_at NOT BETWEEN ?6 AND ?7",
        )?
        .execute(params![
            event.lane.bot.as_str(),
            event.lane.room.0.cast_signed(),
            room_name,
            message.0.saturating_sub(1).cast_signed(),
            at.0,
            at.before(ROUNDING).0,
            at.after(ROUNDING).0,
        ])?;
    Ok(())
}

/// See [`Store::know_room`](super::Store::know_room).
pub(super) fn know(connection: &Connection, room: &KnownRoom) -> Result<KnownRoom, StoreError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO room (bot, room, name, read_to, heard_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            room.lane.bot.as_str(),
            room.lane.room.0.cast_signed(),
            room.name,
            room.read_to.0.cast_signed(),
            room.heard_at.0,
        ])?;
    let lane = params![room.lane.bot.as_str(), room.lane.room.0.cast_signed()];
    Ok(connection.prepare_cached(FIND)?.query_row(lane, read)?)
}

/// See [`Store::known_rooms`](super::Store::known_rooms).
pub(super) fn list(connection: &Connection) -> Result<Vec<KnownRoom>, StoreError> {
    let mut statement = connection.prepare_cached(LIST)?;
    let rooms = statement.query_map([LISTED], read)?;
    Ok(rooms.collect::<Result<_, _>>()?)
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<KnownRoom> {
    Ok(KnownRoom {
        lane: lanes::read(row, 0)?,
        name: row.get(2)?,
        read_to: MessageId(row.get::<_, i64>(3)?.cast_unsigned()),
        heard_at: Timestamp(row.get(4)?),
    })
}

/// See [`Store::read_to`](super::Store::read_to).
pub(super) fn read_to(connection: &Connection, lane: &LaneKey, message: MessageId) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE room SET read_to = ?3 WHERE bot = ?1 AND room = ?2")?
        .execute(params![lane.bot.as_str(), lane.room.0.cast_signed(), message.0.cast_signed()])?;
    Ok(())
}

/// See [`Store::forget_room`](super::Store::forget_room).
pub(super) fn forget(connection: &Connection, lane: &LaneKey) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM room WHERE bot = ?1 AND room = ?2")?
        .execute(params![lane.bot.as_str(), lane.room.0.cast_signed()])?;
    Ok(())
}
