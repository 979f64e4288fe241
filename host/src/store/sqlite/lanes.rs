//! Who holds which lane. A lane that is held has a row; its token is newer than any given out before, by whatever lane.
//!
//! So a row may be deleted at any time: the lease it stood for is lost, and no later one can be mistaken for it.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Lease, Release, StoreError, counter, inbox, pauses};
use crate::id::{BotName, HostId, LaneKey, RoomId, Timestamp};

/// See [`Store::lease`](super::Store::lease).
pub(super) fn lease(
    connection: &Connection,
    lane: LaneKey,
    host: HostId,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<Lease>, StoreError> {
    let (bot, room) = (lane.bot.as_str(), lane.room.0.cast_signed());
    let held: Option<([u8; 16], i64, i64)> = connection
        .prepare_cached("SELECT host, token, expires_at FROM lane WHERE bot = ?1 AND room = ?2")?
        .query_row(params![bot, room], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let token = match held {
        Some((holder, token, _)) if holder == *host.0.as_bytes() => token.cast_unsigned(),
        Some((_, _, expires_at)) if expires_at > now.0 => return Ok(None),
        _ => counter::next(connection, counter::LEASE_TOKEN)?,
    };
    connection
        .prepare_cached("REPLACE INTO lane (bot, room, host, token, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![bot, room, host.0.as_bytes(), token.cast_signed(), until.0])?;
    Ok(Some(Lease { lane, token }))
}

/// See [`Store::renew`](super::Store::renew).
pub(super) fn renew(
    connection: &Connection,
    leases: Vec<Lease>,
    until: Timestamp,
) -> Result<Vec<Lease>, StoreError> {
    let mut update = connection
        .prepare_cached("UPDATE lane SET expires_at = ?4 WHERE bot = ?1 AND room = ?2 AND token = ?3")?;
    let mut held = Vec::with_capacity(leases.len());
    for lease in leases {
        let lane = &lease.lane;
        let found = update.execute(params![
            lane.bot.as_str(),
            lane.room.0.cast_signed(),
            lease.token.cast_signed(),
            until.0
        ])?;
        if found == 1 {
            held.push(lease);
        }
    }
    Ok(held)
}

/// See [`Store::release_if_idle`](super::Store::release_if_idle).
pub(super) fn release_if_idle(connection: &Connection, lease: &Lease) -> Result<Release, StoreError> {
    check(connection, lease)?;
    let release = if !inbox::has_unfinished(connection, &lease.lane)? {
        Release::Idle
    } else if pauses::covers(connection, &lease.lane)? {
        Release::Paused
    } else {
        return Ok(Release::Kept);
    };
    connection
        .prepare_cached("DELETE FROM lane WHERE bot = ?1 AND room = ?2")?
        .execute(params![lease.lane.bot.as_str(), lease.lane.room.0.cast_signed()])?;
    Ok(release)
}

/// Fails unless `lease` is its lane's current one. Every write on behalf of a lane begins with this.
pub(super) fn check(connection: &Connection, lease: &Lease) -> Result<(), StoreError> {
    let lane = &lease.lane;
    let current = connection
        .prepare_cached("SELECT 1 FROM lane WHERE bot = ?1 AND room = ?2 AND token = ?3")?
        .exists(params![lane.bot.as_str(), lane.room.0.cast_signed(), lease.token.cast_signed()])?;
    if current { Ok(()) } else { Err(StoreError::LeaseLost(lane.clone())) }
}

/// The lane in this column (its bot) and the next (its room).
pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<LaneKey> {
    let (bot, room): (String, i64) = (row.get(column)?, row.get(column + 1)?);
    Ok(LaneKey { bot: BotName(bot.into()), room: RoomId(room.cast_unsigned()) })
}
