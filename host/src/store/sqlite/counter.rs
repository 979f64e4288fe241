//! Numbers that only grow: none of them is ever given out twice, whatever is deleted meanwhile.

use rusqlite::Connection;

use super::StoreError;

/// Tokens of leases, over all lanes.
pub(super) const LEASE_TOKEN: &str = "lease-token";
/// Versions of kv entries, over all bots.
pub(super) const KV_VERSION: &str = "kv-version";
/// Versions of timers, over all bots.
pub(super) const TIMER_VERSION: &str = "timer-version";
/// Written to learn whether writing works.
pub(super) const PING: &str = "ping";

/// The counter's next number; the first is 1.
pub(super) fn next(connection: &Connection, name: &str) -> Result<u64, StoreError> {
    let value: i64 = connection
        .prepare_cached("UPDATE counter SET value = value + 1 WHERE name = ?1 RETURNING value")?
        .query_row([name], |row| row.get(0))?;
    Ok(value.cast_unsigned())
}
