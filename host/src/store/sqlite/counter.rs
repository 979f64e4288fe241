//! Numbers that only grow: none of them is ever given out twice, whatever is deleted meanwhile.

use rusqlite::{Connection, params};

use super::StoreError;

/// Tokens of leases, over all lanes.
pub(super) const LEASE_TOKEN: &str = "lease-token";
/// Versions of kv entries, over all bots.
pub(super) const KV_VERSION: &str = "kv-version";
/// Versions of timers, over all bots.
pub(super) const TIMER_VERSION: &str = "timer-version";
/// Written to learn whether writing works.
pub(super) const PING: &str = "ping";

/// The number that the counter gave out last.
pub(super) fn last(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    let query = "SELECT value FROM counter WHERE name = ?1";
    let value: i64 = connection.prepare_cached(query)?.query_row([name], |row| row.get(0))?;
    Ok(value.cast_unsigned())
}

/// Has the counter give out larger numbers than this only.
pub(super) fn raise(connection: &Connection, name: &str, value: u64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE counter SET value = max(value, ?2) WHERE name = ?1")?
        .execute(params![name, value.cast_signed()])?;
    Ok(())
}

/// The counter's next number; the first is 1.
pub(super) fn next(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    let value: i64 = connection
        .prepare_cached("UPDATE counter SET value = value + 1 WHERE name = ?1 RETURNING value")?
        .query_row([name], |row| row.get(0))?;
    Ok(value.cast_unsigned())
}
