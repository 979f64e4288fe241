//! `kv`: keys and values that last, in the store.
//!
//! - A bot sees its own keys only; in the scope `room`, those of the turn's room.
//! - A page holds at most [`PAGE_BYTES`] of keys and values; one entry always fits, so that reading goes on.
//!
//! What goes wrong with the store itself is for the log; the guest is told that it does not work now.

use serde_json::json;

use super::{
    State,
    bindings::bot::hearth::bot::kv::{Entry, Expectation, Host, KvError, KvErrorKind, Page, Scope},
    shape::Bytes,
    types::Capability,
};
use crate::{
    causes::with_causes,
    plugin::reach::Reach,
    store::{KV_KEY_BYTES, KV_VALUE_BYTES, KvEntry, KvExpect, KvScope, StoreError},
};

/// Entries that one page may have.
const PAGE_ENTRIES: u32 = 100;
/// Bytes of keys and values that one page may have.
const PAGE_BYTES: usize = 1 << 20;
const _: () = assert!(KV_KEY_BYTES + KV_VALUE_BYTES <= PAGE_BYTES);

impl Host for State {
    async fn get(&mut self, scope: Scope, key: String) -> wasmtime::Result<Result<Option<Entry>, KvError>> {
        self.enter()?;
        let arguments = json!({ "scope": scope, "key": key });
        Ok(self
            .ask(
                ("kv.get", Capability::Kv),
                arguments,
                || check_key(&key).is_ok(),
                self.get_entry(scope, &key),
            )
            .await)
    }

    async fn set(
        &mut self,
        scope: Scope,
        key: String,
        value: Vec<u8>,
        expect: Expectation,
    ) -> wasmtime::Result<Result<u64, KvError>> {
        self.enter()?;
        let arguments =
            json!({ "scope": scope, "key": key, "value": Bytes((&value).into()), "expect": expect });
        let makes_sense = || check_key(&key).is_ok();
        let set = self.set_entry(scope, &key, value, expect);
        Ok(self.ask(("kv.set", Capability::Kv), arguments, makes_sense, set).await)
    }

    async fn delete(
        &mut self,
        scope: Scope,
        key: String,
        expect: Expectation,
    ) -> wasmtime::Result<Result<bool, KvError>> {
        self.enter()?;
        let arguments = json!({ "scope": scope, "key": key, "expect": expect });
        let makes_sense = || check_key(&key).is_ok();
        let delete = self.delete_entry(scope, &key, expect);
        Ok(self.ask(("kv.delete", Capability::Kv), arguments, makes_sense, delete).await)
    }

    async fn list(
        &mut self,
        scope: Scope,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Page, KvError>> {
        self.enter()?;
        let arguments = json!({ "scope": scope, "prefix": prefix, "after": after, "limit": limit });
        let makes_sense = || check_page(&prefix, after.as_deref(), limit).is_ok();
        let list = self.list_entries(scope, &prefix, after.as_deref(), limit);
        Ok(self.ask(("kv.list", Capability::Kv), arguments, makes_sense, list).await)
    }
}

// === impl State ===

impl State {
    async fn get_entry(&self, scope: Scope, key: &str) -> Result<Option<Entry>, KvError> {
        let (reach, scope) = self.space(scope)?;
        check_key(key)?;
        Ok(reach.services.store.kv_get(&scope, key).await?.map(Entry::from))
    }

    async fn set_entry(
        &self,
        scope: Scope,
        key: &str,
        value: Vec<u8>,
        expect: Expectation,
    ) -> Result<u64, KvError> {
        let (reach, scope) = self.space(scope)?;
        check_key(key)?;
        Ok(reach.services.store.kv_set(&scope, key, value, expect.into()).await?)
    }

    async fn delete_entry(&self, scope: Scope, key: &str, expect: Expectation) -> Result<bool, KvError> {
        let (reach, scope) = self.space(scope)?;
        check_key(key)?;
        Ok(reach.services.store.kv_delete(&scope, key, expect.into()).await?)
    }

    async fn list_entries(
        &self,
        scope: Scope,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page, KvError> {
        let (reach, scope) = self.space(scope)?;
        check_page(prefix, after, limit)?;
        // One more than asked for, to know whether this is the last page.
        let entries = reach.services.store.kv_list(&scope, prefix, after, limit + 1).await?;
        Ok(page(entries, limit as usize))
    }

    /// Where the keys of this scope are.
    fn space(&self, scope: Scope) -> Result<(&Reach, KvScope), KvError> {
        let reach = self
            .granted(Capability::Kv)
            .ok_or_else(|| failure(KvErrorKind::Denied, self.denied(Capability::Kv)))?;
        let room = match scope {
            Scope::Room => Some(reach.room),
            Scope::Bot => None,
        };
        Ok((reach, KvScope { bot: self.calling.bot.clone(), room }))
    }
}

fn check_key(key: &str) -> Result<(), KvError> {
    match key.len() {
        1..=KV_KEY_BYTES => Ok(()),
        bytes => Err(invalid(format!("a key has 1 to {KV_KEY_BYTES} bytes, this one has {bytes}"))),
    }
}

fn check_page(prefix: &str, after: Option<&str>, limit: u32) -> Result<(), KvError> {
    if !(1..=PAGE_ENTRIES).contains(&limit) {
        return Err(invalid(format!("a page has 1 to {PAGE_ENTRIES} entries, not {limit}")));
    }
    for (name, text) in [("prefix", prefix), ("after", after.unwrap_or_default())] {
        if text.len() > KV_KEY_BYTES {
            let bytes = text.len();
            return Err(invalid(format!("`{name}` has {bytes} bytes; a key may have {KV_KEY_BYTES}")));
        }
    }
    Ok(())
}

/// As many of the entries as a page may have.
fn page(mut entries: Vec<KvEntry>, limit: usize) -> Page {
    let mut bytes = 0;
    let fitting = entries
        .iter()
        .take_while(|entry| {
            bytes += entry.key.len() + entry.value.len();
            bytes <= PAGE_BYTES
        })
        .count();
    let kept = fitting.min(limit);
    let is_last = entries.len() <= kept;
    entries.truncate(kept);
    let next = if is_last { None } else { entries.last().map(|last| last.key.clone()) };
    Page { entries: entries.into_iter().map(Entry::from).collect(), next, attributes: Vec::new() }
}

// === From one floor's words to another's ===

fn failure(kind: KvErrorKind, message: String) -> KvError {
    KvError { kind, message, attributes: Vec::new() }
}

fn invalid(message: String) -> KvError {
    failure(KvErrorKind::Invalid, message)
}

impl From<StoreError> for KvError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => failure(
                KvErrorKind::Conflict,
                "the key is not as expected: someone else wrote or removed it; read it again".to_owned(),
            ),
            StoreError::Quota(limit) => failure(KvErrorKind::Quota, limit),
            broken => {
                tracing::error!(cause = with_causes(&broken), "a plugin's keys could not be reached");
                let message = "the host's store does not work now; try again later".to_owned();
                failure(KvErrorKind::Unavailable, message)
            }
        }
    }
}

impl From<KvEntry> for Entry {
    fn from(entry: KvEntry) -> Self {
        Self { key: entry.key, value: entry.value, version: entry.version, attributes: Vec::new() }
    }
}

impl From<Expectation> for KvExpect {
    fn from(expect: Expectation) -> Self {
        match expect {
            Expectation::Anything => Self::Anything,
            Expectation::Absent => Self::Absent,
            Expectation::Version(version) => Self::Version(version),
        }
    }
}

#[cfg(test)]
mod tests;
