//! What plugins keep, in the store's file or, for a rehearsal, in memory only.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;

use super::{
    super::{Kept, Timer, rules},
    Flush, KvEntry, KvExpect, KvScope, SqliteStore, StoreError, kv, migration, timers,
};
use crate::id::{LaneKey, Timestamp};

/// What plugins keep while they are rehearsed: nothing of it outlives this. The limits are those of a store.
pub struct Scratch(Mutex<Connection>);

/// Runs work where the rows are.
trait Rows: Send + Sync {
    fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

impl Rows for SqliteStore {
    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(work).await
    }

    async fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(Flush::Never, work).await
    }
}

impl Rows for Scratch {
    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with(work)
    }

    async fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with(work)
    }
}

#[async_trait]
impl<R: Rows> Kept for R {
    async fn set_timer(
        &self,
        lane: &LaneKey,
        name: &str,
        due_at: Timestamp,
        payload: &str,
    ) -> Result<(), StoreError> {
        let (lane, name, payload) = (lane.clone(), name.to_owned(), payload.to_owned());
        self.writing(move |c| timers::set(c, &lane, &name, due_at, &payload)).await
    }

    async fn cancel_timer(&self, lane: &LaneKey, name: &str) -> Result<bool, StoreError> {
        let (lane, name) = (lane.clone(), name.to_owned());
        self.writing(move |c| timers::cancel(c, &lane, &name)).await
    }

    async fn timers(&self, lane: &LaneKey) -> Result<Vec<Timer>, StoreError> {
        let lane = lane.clone();
        self.reading(move |c| timers::of_lane(c, &lane)).await
    }

    async fn kv_get(&self, scope: &KvScope, key: &str) -> Result<Option<KvEntry>, StoreError> {
        let (scope, key) = (scope.clone(), key.to_owned());
        self.reading(move |c| kv::get(c, &scope, &key)).await
    }

    async fn kv_set(
        &self,
        scope: &KvScope,
        key: &str,
        value: Vec<u8>,
        expect: KvExpect,
    ) -> Result<u64, StoreError> {
        rules::check_kv_size(key, &value)?;
        let (scope, key) = (scope.clone(), key.to_owned());
        self.writing(move |c| kv::set(c, &scope, &key, &value, expect)).await
    }

    async fn kv_delete(&self, scope: &KvScope, key: &str, expect: KvExpect) -> Result<bool, StoreError> {
        let (scope, key) = (scope.clone(), key.to_owned());
        self.writing(move |c| kv::delete(c, &scope, &key, expect)).await
    }

    async fn kv_list(
        &self,
        scope: &KvScope,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<KvEntry>, StoreError> {
        let (scope, prefix, after) = (scope.clone(), prefix.to_owned(), after.map(str::to_owned));
        self.reading(move |c| kv::list(c, &scope, &prefix, after.as_deref(), limit)).await
    }
}

// === impl Scratch ===

impl Scratch {
    /// An empty one.
    ///
    /// # Errors
    /// If SQLite can't.
    pub fn new() -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        migration::run(&mut connection, migration::STEPS)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Puts a key where it was, with the version that it had.
    ///
    /// # Errors
    /// If SQLite can't, or a limit would be passed.
    pub fn put(&self, scope: &KvScope, entry: &KvEntry) -> Result<(), StoreError> {
        self.with(|c| kv::put(c, scope, entry))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// If SQLite can't.
    pub fn take(&self, scope: &KvScope, key: &str) -> Result<(), StoreError> {
        self.with(|c| kv::delete(c, scope, key, KvExpect::Anything).map(drop))
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.unchecked_transaction()?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_that_is_put_back_has_its_version_and_the_next_one_is_newer() {
        let scratch = Scratch::new().unwrap();
        let scope = KvScope { bot: "a".into(), room: None };
        let entry = KvEntry { key: "k".into(), value: b"old".to_vec(), version: 70 };
        scratch.put(&scope, &entry).unwrap();
        assert_eq!(scratch.kv_get(&scope, "k").await.unwrap(), Some(entry));
        let set = scratch.kv_set(&scope, "k", b"new".to_vec(), KvExpect::Version(70)).await.unwrap();
        assert!(set > 70);
        let conflict = scratch.kv_set(&scope, "k", Vec::new(), KvExpect::Version(70)).await;
        assert!(matches!(conflict, Err(StoreError::Conflict)));
        scratch.take(&scope, "k").unwrap();
        assert_eq!(scratch.kv_list(&scope, "", None, 10).await.unwrap(), []);
    }
}
