//! What plugins keep with the host.

use async_trait::async_trait;

use super::{
    super::{Kept, KvEntry, KvExpect, KvScope},
    RedisStore, StoreError, Timer, kv, rules, timers,
};
use crate::id::{LaneKey, Timestamp};

#[async_trait]
impl Kept for RedisStore {
    async fn set_timer(
        &self,
        lane: &LaneKey,
        name: &str,
        due_at: Timestamp,
        payload: &str,
    ) -> Result<(), StoreError> {
        timers::set(&self.link, lane, name, due_at, payload).await
    }

    async fn cancel_timer(&self, lane: &LaneKey, name: &str) -> Result<bool, StoreError> {
        timers::cancel(&self.link, lane, name).await
    }

    async fn timers(&self, lane: &LaneKey) -> Result<Vec<Timer>, StoreError> {
        timers::of_lane(&self.link, lane).await
    }

    async fn kv_get(&self, scope: &KvScope, key: &str) -> Result<Option<KvEntry>, StoreError> {
        kv::get(&self.link, scope, key).await
    }

    async fn kv_set(
        &self,
        scope: &KvScope,
        key: &str,
        value: Vec<u8>,
        expect: KvExpect,
    ) -> Result<u64, StoreError> {
        rules::check_kv_size(key, &value)?;
        kv::set(&self.link, scope, key, &value, expect).await
    }

    async fn kv_delete(&self, scope: &KvScope, key: &str, expect: KvExpect) -> Result<bool, StoreError> {
        kv::delete(&self.link, scope, key, expect).await
    }

    async fn kv_list(
        &self,
        scope: &KvScope,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<KvEntry>, StoreError> {
        kv::list(&self.link, scope, prefix, after, limit).await
    }
}
