//! The plugins' key-value space, within its limits.

use rusqlite::{
    Connection, OptionalExtension, Row, params,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    super::{KV_BYTES_PER_BOT, KV_KEYS_PER_BOT, rules},
    KvEntry, KvExpect, KvScope, StoreError, counter,
};

/// Keys from ?3 up to, not with, ?4.
pub(super) const LIST: &str = "SELECT key, value, version FROM kv
    WHERE bot = ?1 AND scope = ?2 AND key >= ?3 AND key < ?4 ORDER BY key LIMIT ?5";

/// See [`Store::kv_get`](super::Store::kv_get).
pub(super) fn get(
    connection: &Connection,
    scope: &KvScope,
    key: &str,
) -> Result<Option<KvEntry>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT key, value, version FROM kv WHERE bot = ?1 AND scope = ?2 AND key = ?3")?
        .query_row(params![scope.bot.as_str(), column(scope), key], read)
        .optional()?)
}

/// See [`Store::kv_set`](super::Store::kv_set). The sizes were checked.
pub(super) fn set(
    connection: &Connection,
    scope: &KvScope,
    key: &str,
    value: &[u8],
    expect: KvExpect,
) -> Result<u64, StoreError> {
    let old = find(connection, scope, key)?;
    check_expected(expect, old.as_ref())?;
    let bytes = (key.len() + value.len()) as u64;
    take_room(connection, scope, old.as_ref(), bytes)?;
    let version = counter::next(connection, counter::KV_VERSION)?;
    connection
        .prepare_cached(
            "INSERT INTO kv (bot, scope, key, value, version) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version",
        )?
        .execute(params![scope.bot.as_str(), column(scope), key, value, version.cast_signed()])?;
    Ok(version)
}

/// Writes a key with the version that it had elsewhere; later ones are newer.
pub(super) fn put(connection: &Connection, scope: &KvScope, entry: &KvEntry) -> Result<(), StoreError> {
    delete(connection, scope, &entry.key, KvExpect::Anything)?;
    take_room(connection, scope, None, (entry.key.len() + entry.value.len()) as u64)?;
    let version = entry.version.cast_signed();
    connection
        .prepare_cached("INSERT INTO kv (bot, scope, key, value, version) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![scope.bot.as_str(), column(scope), entry.key, entry.value, version])?;
    counter::raise(connection, counter::KV_VERSION, entry.version)
}

/// See [`Store::kv_delete`](super::Store::kv_delete).
pub(super) fn delete(
    connection: &Connection,
    scope: &KvScope,
    key: &str,
    expect: KvExpect,
) -> Result<bool, StoreError> {
    let old = find(connection, scope, key)?;
    check_expected(expect, old.as_ref())?;
    let Some(old) = old else { return Ok(false) };
    connection
        .prepare_cached("DELETE FROM kv WHERE bot = ?1 AND scope = ?2 AND key = ?3")?
        .execute(params![scope.bot.as_str(), column(scope), key])?;
    let usage = usage(connection, scope)?;
    set_usage(
        connection,
        scope,
        &Usage { keys: usage.keys.saturating_sub(1), bytes: usage.bytes.saturating_sub(old.bytes) },
    )?;
    Ok(true)
}

/// See [`Store::kv_list`](super::Store::kv_list).
pub(super) fn list(
    connection: &Connection,
    scope: &KvScope,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<KvEntry>, StoreError> {
    // The next text after `after` is the same with a NUL behind it.
    let start = after.map_or_else(String::new, |after| format!("{after}\0")).max(prefix.to_owned());
    let end = end_of_prefix(prefix);
    // To SQLite any blob is greater than any text.
    let end = end.as_ref().map_or(ValueRef::Blob(&[]), |end| ValueRef::Text(end.as_bytes()));
    let mut statement = connection.prepare_cached(LIST)?;
    let entries = statement.query_map(
        params![scope.bot.as_str(), column(scope), start, ToSqlOutput::Borrowed(end), limit],
        read,
    )?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// What is known of an entry without its value.
struct Found {
    version: u64,
    /// Of key and value.
    bytes: u64,
}

/// What a bot's space holds.
#[derive(Default)]
struct Usage {
    keys: u64,
    bytes: u64,
}

fn find(connection: &Connection, scope: &KvScope, key: &str) -> Result<Option<Found>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT version, octet_length(key) + octet_length(value) FROM kv
             WHERE bot = ?1 AND scope = ?2 AND key = ?3",
        )?
        .query_row(params![scope.bot.as_str(), column(scope), key], |row| {
            Ok(Found {
                version: row.get::<_, i64>(0)?.cast_unsigned(),
                bytes: row.get::<_, i64>(1)?.cast_unsigned(),
            })
        })
        .optional()?)
}

fn check_expected(expect: KvExpect, found: Option<&Found>) -> Result<(), StoreError> {
    let holds = match expect {
        KvExpect::Anything => true,
        KvExpect::Absent => found.is_none(),
        KvExpect::Version(version) => found.is_some_and(|found| found.version == version),
    };
    if holds { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Counts an entry of `bytes` in, in place of `old`. One that takes no more room than before is always taken.
fn take_room(
    connection: &Connection,
    scope: &KvScope,
    old: Option<&Found>,
    bytes: u64,
) -> Result<(), StoreError> {
    let usage = usage(connection, scope)?;
    let old_bytes = old.map_or(0, |old| old.bytes);
    let after = Usage {
        keys: usage.keys + u64::from(old.is_none()),
        bytes: usage.bytes.saturating_sub(old_bytes) + bytes,
    };
    if old.is_none() && after.keys > KV_KEYS_PER_BOT {
        return Err(rules::too_many_keys());
    }
    if bytes > old_bytes && after.bytes > KV_BYTES_PER_BOT {
        return Err(rules::too_many_bytes());
    }
    set_usage(connection, scope, &after)
}

fn usage(connection: &Connection, scope: &KvScope) -> Result<Usage, StoreError> {
    let usage = connection
        .prepare_cached("SELECT keys, bytes FROM kv_usage WHERE bot = ?1")?
        .query_row([scope.bot.as_str()], |row| {
            Ok(Usage {
                keys: row.get::<_, i64>(0)?.cast_unsigned(),
                bytes: row.get::<_, i64>(1)?.cast_unsigned(),
            })
        })
        .optional()?;
    Ok(usage.unwrap_or_default())
}

fn set_usage(connection: &Connection, scope: &KvScope, usage: &Usage) -> Result<(), StoreError> {
    connection
        .prepare_cached("REPLACE INTO kv_usage (bot, keys, bytes) VALUES (?1, ?2, ?3)")?
        .execute(params![scope.bot.as_str(), usage.keys.cast_signed(), usage.bytes.cast_signed()])?;
    Ok(())
}

/// The column `scope`.
fn column(scope: &KvScope) -> String {
    scope.room.map_or_else(|| "shared".to_owned(), |room| format!("room:{room}"))
}

/// The entry in the first columns.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<KvEntry> {
    Ok(KvEntry { key: row.get(0)?, value: row.get(1)?, version: row.get::<_, i64>(2)?.cast_unsigned() })
}

/// The first text after all those that begin with `prefix`, if there is any. Text is ordered by its UTF-8 bytes, which
/// is the order of its characters.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_of_last_characters_has_no_end() {
        assert_eq!(end_of_prefix(""), None);
        assert_eq!(end_of_prefix("\u{10FFFF}\u{10FFFF}"), None);
        assert_eq!(end_of_prefix("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(end_of_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
    }

    proptest! {
        #[test]
        fn a_key_is_in_the_range_exactly_if_it_has_the_prefix(prefix: String, key: String, tail: String) {
            let in_range = |key: &str| {
                key >= prefix.as_str() && end_of_prefix(&prefix).is_none_or(|end| key < end.as_str())
            };
            prop_assert_eq!(in_range(&key), key.starts_with(&prefix));
            let longer = format!("{prefix}{tail}");
            prop_assert!(in_range(&longer));
        }
    }
}
