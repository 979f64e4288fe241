//! Chains of messages that bots write to each other, one for each room of a Campfire.
//!
//! A message is counted once, however many bots it is delivered to: when it is newer than the last that was counted. So one
//! that arrives behind a later one is not counted, and a chain may have up to twice as many messages as it may count.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    super::{CHAIN_PAUSE, Source},
    Acceptance, NewEvent, StoreError,
};

/// Counts a message; answers with what becomes of it if the chain is longer than it may be.
pub(super) fn count(connection: &Connection, event: &NewEvent) -> Result<Option<Acceptance>, StoreError> {
    let (Some(hop), Some(message)) = (&event.hop, event.message) else { return Ok(None) };
    let (campfire, room) = (hop.campfire.as_str(), event.lane.room.0.cast_signed());
    let (message, now) = (message.0.cast_signed(), event.received_at);
    if !hop.by_bot {
        // Where no bot writes, nothing is kept. With the message's id, since a Campfire that was set up anew counts them
        // from 1 again.
        connection
            .prepare_cached(
                "UPDATE chain SET hops = 0, message = ?3 WHERE campfire = ?1 AND room = ?2 AND (hops > 0 OR message > ?3)",
            )?
            .execute(params![campfire, room, message])?;
        return Ok(None);
    }
    let known: Option<(i64, u32, i64)> = connection
        .prepare_cached("SELECT message, hops, counted_at FROM chain WHERE campfire = ?1 AND room = ?2")?
        .query_row(params![campfire, room], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (hops, is_new) = match known {
        // It was left out before, most likely: what bots said to each other is not taken up again behind everything else.
        Some((last, ..)) if message <= last && event.source == Source::History => {
            return Ok(Some(Acceptance::Looping { tell: false }));
        }
        Some((last, hops, _)) if message <= last => (hops, false),
        Some((_, hops, counted_at)) if counted_at > now.before(CHAIN_PAUSE).0 => {
            (hops.saturating_add(1), true)
        }
        _ => (1, true),
    };
    if is_new {
        connection
            .prepare_cached(
                "REPLACE INTO chain (campfire, room, message, hops, counted_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![campfire, room, message, hops, now.0])?;
    }
    let tell = is_new && hop.budget > 0 && hops == hop.budget.saturating_add(1);
    Ok((hops > hop.budget).then_some(Acceptance::Looping { tell }))
}
