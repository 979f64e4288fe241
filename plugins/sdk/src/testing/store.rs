//! Keys and values in memory, within the interface's limits.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

use crate::bindings::hearth::bot::kv::{Entry, Expectation, KvError, KvErrorKind, Page};

const LONGEST_KEY: usize = 512;
const LARGEST_VALUE: usize = 64 << 10;
const MOST_KEYS: usize = 10_000;
const MOST_BYTES: usize = 16 << 20;
const LARGEST_PAGE: usize = 1 << 20;

/// All keys of a bot.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// By room, none for those that all share.
    scopes: BTreeMap<Option<u64>, BTreeMap<String, Entry>>,
    version: u64,
}

/// Those of one scope.
pub(crate) struct Keys<'a> {
    store: &'a mut Store,
    room: Option<u64>,
}

fn refused<T>(kind: KvErrorKind, message: impl Into<String>) -> Result<T, KvError> {
    Err(KvError { kind, message: message.into(), attributes: Vec::new() })
}

// === impl Store ===

impl Store {
    pub(crate) fn keys(&mut self, room: Option<u64>) -> Keys<'_> {
        Keys { store: self, room }
    }

    /// How many keys there are, and how many bytes keys and values have.
    fn size(&self) -> (usize, usize) {
        let entries = self.scopes.values().flat_map(BTreeMap::values);
        entries.fold((0, 0), |(keys, bytes), entry| (keys + 1, bytes + entry.key.len() + entry.value.len()))
    }
}

// === impl Keys ===

impl Keys<'_> {
    pub(crate) fn get(&self, key: &str) -> Result<Option<Entry>, KvError> {
        check_key(key)?;
        Ok(self.entry(key).cloned())
    }

    pub(crate) fn set(&mut self, key: &str, value: &[u8], expect: Expectation) -> Result<u64, KvError> {
        check_key(key)?;
        if value.len() > LARGEST_VALUE {
            return refused(KvErrorKind::Quota, "a value has at most 64 KiB");
        }
        self.check(key, expect)?;
        let (keys, bytes) = self.store.size();
        let replaced = self.entry(key).map_or(0, |entry| entry.key.len() + entry.value.len());
        if replaced == 0 && keys == MOST_KEYS {
            return refused(KvErrorKind::Quota, "a bot has at most 10,000 keys");
        }
        if bytes - replaced + key.len() + value.len() > MOST_BYTES {
            return refused(KvErrorKind::Quota, "a bot has at most 16 MiB of keys and values");
        }
        self.store.version += 1;
        let version = self.store.version;
        let entry = Entry { key: key.to_owned(), value: value.to_owned(), version, attributes: Vec::new() };
        self.store.scopes.entry(self.room).or_default().insert(key.to_owned(), entry);
        Ok(version)
    }

    pub(crate) fn delete(&mut self, key: &str, expect: Expectation) -> Result<bool, KvError> {
        check_key(key)?;
        self.check(key, expect)?;
        Ok(self.store.scopes.get_mut(&self.room).is_some_and(|scope| scope.remove(key).is_some()))
    }

    pub(crate) fn list(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Page, KvError> {
        if !(1..=100).contains(&limit) {
            return refused(KvErrorKind::Invalid, "a page has 1 to 100 keys");
        }
        let from = match after {
            Some(after) if after >= prefix => Excluded(after),
            _ => Included(prefix),
        };
        let mut page = Page { entries: Vec::new(), next: None, attributes: Vec::new() };
        let mut bytes = 0;
        let scope = self.store.scopes.get(&self.room);
        let matching = scope.into_iter().flat_map(|scope| scope.range::<str, _>((from, Unbounded)));
        for (key, entry) in matching.take_while(|(key, _)| key.starts_with(prefix)) {
            bytes += key.len() + entry.value.len();
            if page.entries.len() == limit as usize || bytes > LARGEST_PAGE {
                page.next = page.entries.last().map(|entry: &Entry| entry.key.clone());
                break;
            }
            page.entries.push(entry.clone());
        }
        Ok(page)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.store.scopes.get(&self.room)?.get(key)
    }

    fn check(&self, key: &str, expect: Expectation) -> Result<(), KvError> {
        let version = self.entry(key).map(|entry| entry.version);
        let holds = match expect {
            Expectation::Anything => true,
            Expectation::Absent => version.is_none(),
            Expectation::Version(expected) => version == Some(expected),
        };
        if holds {
            Ok(())
        } else {
            refused(KvErrorKind::Conflict, format!("`{key}` was written by someone else"))
        }
    }
}

fn check_key(key: &str) -> Result<(), KvError> {
    if (1..=LONGEST_KEY).contains(&key.len()) {
        return Ok(());
    }
    refused(KvErrorKind::Invalid, "a key has 1 to 512 bytes")
}
