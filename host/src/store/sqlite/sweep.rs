//! Removing what nobody needs any more, a little at a time: other writes wait meanwhile.

use rusqlite::{Connection, params};

use super::{super::DUPLICATE_WINDOW, Horizon, StoreError, Swept};
use crate::id::Timestamp;

/// How many rows of each kind one call removes at most.
const ROWS: u32 = 1_000;
/// How many pages of 4 KiB one call gives back to the file system at most.
const PAGES: u32 = 1_000;

/// Removes ended events (with their parts).
pub(super) const ENDED_EVENTS: &str = "DELETE FROM event WHERE sequence IN
    (SELECT sequence FROM event WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
/// Removes journal rows, but for those that say why an event failed, or may have, that is kept longer.
pub(super) const JOURNAL_ROWS: &str = "DELETE FROM journal WHERE sequence IN
    (SELECT sequence FROM journal WHERE ended_at < ?1 AND NOT EXISTS
        (SELECT 1 FROM event WHERE event.id = journal.event AND (state = 'failed' OR (state = 'done' AND EXISTS
            (SELECT 1 FROM part WHERE part.event = event.sequence AND part.state = 'uncertain'))))
     ORDER BY ended_at LIMIT ?2)";
/// Removes tool calls.
pub(super) const TOOL_CALLS: &str = "DELETE FROM tool_call WHERE sequence IN
    (SELECT sequence FROM tool_call WHERE started_at < ?1 ORDER BY started_at LIMIT ?2)";
/// Removes expired sessions.
pub(super) const EXPIRED_SESSIONS: &str = "DELETE FROM session WHERE (bot, room) IN
    (SELECT bot, room FROM session WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
/// Removes expired leases. A lane with something to do keeps its: its holder may only be late, and would lose a turn.
pub(super) const EXPIRED_LEASES: &str = "DELETE FROM lane WHERE (bot, room) IN
    (SELECT bot, room FROM lane WHERE expires_at <= ?1 AND NOT EXISTS
        (SELECT 1 FROM event WHERE event.bot = lane.bot AND event.room = lane.room AND ended_at IS NULL)
     ORDER BY expires_at LIMIT ?2)";

/// Removes rooms that were not heard of for long.
pub(super) const SILENT_ROOMS: &str = "DELETE FROM room WHERE (bot, room) IN
    (SELECT bot, room FROM room WHERE heard_at < ?1 ORDER BY heard_at LIMIT ?2)";
/// Removes chains that ended long ago.
pub(super) const ENDED_CHAINS: &str = "DELETE FROM chain WHERE (campfire, room) IN
    (SELECT campfire, room FROM chain WHERE counted_at < ?1 ORDER BY counted_at LIMIT ?2)";

/// See [`Store::sweep`](super::super::Store::sweep).
pub(super) fn sweep(connection: &Connection, keep: Horizon, now: Timestamp) -> Result<Swept, StoreError> {
    let events_before = keep.events.min(now.before(DUPLICATE_WINDOW));
    let mut rows = 0;
    for (statement, until) in [
        (ENDED_EVENTS, events_before),
        (JOURNAL_ROWS, keep.journal),
        (TOOL_CALLS, keep.journal),
        (EXPIRED_SESSIONS, now),
        (EXPIRED_LEASES, now),
        (SILENT_ROOMS, events_before),
        (ENDED_CHAINS, now.before(DUPLICATE_WINDOW)),
    ] {
        rows += connection.prepare_cached(statement)?.execute(params![until.0, ROWS])? as u64;
    }
    let free = || connection.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    let before = free()?;
    // It frees one page per step, so it has to be stepped to its end.
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut freed = vacuum.query([])?;
    while freed.next()?.is_some() {}
    let size: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    Ok(Swept { rows, bytes: ((before - free()?) * size).cast_unsigned() })
}
