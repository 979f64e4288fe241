//! The plugins' key-value space, within its limits. An entry is stored as `<version> <value>`.

use super::{
    super::{KV_BYTES_PER_BOT, KV_KEYS_PER_BOT, KvEntry, KvExpect, KvScope},
    Link, OK, StoreError, answer, malformed, rules, scripts,
};

/// See [`Store::kv_get`](super::Store::kv_get).
pub(super) async fn get(link: &Link, scope: &KvScope, key: &str) -> Result<Option<KvEntry>, StoreError> {
    let space = link.key(&format!("kv:{}:{}", scope.bot, scope_word(scope)));
    let entry: Option<Vec<u8>> = link.query(redis::cmd("HGET").arg(space).arg(key)).await?;
    entry.map(|entry| read(key.to_owned(), &entry)).transpose()
}

/// See [`Store::kv_set`](super::Store::kv_set). The sizes were checked.
pub(super) async fn set(
    link: &Link,
    scope: &KvScope,
    key: &str,
    value: &[u8],
    expect: KvExpect,
) -> Result<u64, StoreError> {
    let mut call = link.call(&scripts::KV_SET);
    call.arg(scope.bot.as_str()).arg(scope_word(scope)).arg(key).arg(value).arg(expected(expect));
    let mut answer = link.ask(call.arg(KV_KEYS_PER_BOT).arg(KV_BYTES_PER_BOT)).await?;
    match &*answer.word {
        OK => answer.parsed(),
        "conflict" => Err(StoreError::Conflict),
        "keys" => Err(rules::too_many_keys()),
        "bytes" => Err(rules::too_many_bytes()),
        _ => Err(malformed()),
    }
}

/// See [`Store::kv_delete`](super::Store::kv_delete).
pub(super) async fn delete(
    link: &Link,
    scope: &KvScope,
    key: &str,
    expect: KvExpect,
) -> Result<bool, StoreError> {
    let mut call = link.call(&scripts::KV_DELETE);
    call.arg(scope.bot.as_str()).arg(scope_word(scope)).arg(key).arg(expected(expect));
    let mut answer = link.ask(&call).await?;
    match &*answer.word {
        OK => Ok(answer.parsed::<u8>()? == 1),
        _ => Err(StoreError::Conflict),
    }
}

/// See [`Store::kv_list`](super::Store::kv_list).
pub(super) async fn list(
    link: &Link,
    scope: &KvScope,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<KvEntry>, StoreError> {
    let first = match after.filter(|after| *after >= prefix) {
        Some(after) => format!("({after}"),
        None => format!("[{prefix}"),
    };
    // No text has this byte, which is larger than any that one can have.
    let end = if prefix.is_empty() { b"+".to_vec() } else { [b"(", prefix.as_bytes(), b"\xff"].concat() };
    let mut call = link.call(&scripts::KV_LIST);
    call.arg(scope.bot.as_str()).arg(scope_word(scope)).arg(first).arg(end).arg(limit);
    let mut answer = link.ask(&call).await?;
    let mut entries = Vec::new();
    while !answer.is_over() {
        let key = answer.text()?;
        entries.push(read(key, &answer.bytes()?)?);
    }
    Ok(entries)
}

fn expected(expect: KvExpect) -> String {
    match expect {
        KvExpect::Anything => "any".to_owned(),
        KvExpect::Absent => "absent".to_owned(),
        KvExpect::Version(version) => version.to_string(),
    }
}

pub(super) fn scope_word(scope: &KvScope) -> String {
    scope.room.map_or_else(|| "shared".to_owned(), |room| format!("room:{room}"))
}

fn read(key: String, entry: &[u8]) -> Result<KvEntry, StoreError> {
    let space = entry.iter().position(|byte| *byte == b' ').ok_or_else(malformed)?;
    let version = str::from_utf8(&entry[..space]).map_err(|_| malformed())?;
    Ok(KvEntry { key, value: entry[space + 1..].to_vec(), version: answer::parse(version)? })
}
