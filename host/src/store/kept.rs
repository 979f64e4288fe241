//! What plugins keep with the host: keys and values, and timers.

use async_trait::async_trait;

use super::{KvEntry, KvExpect, KvScope, StoreError, Timer};
use crate::id::{LaneKey, Timestamp};

/// The plugins' side of a store.
#[async_trait]
pub trait Kept: Send + Sync {
    /// Sets a timer of the lane, or replaces the one of that name. That name and payload are
    /// not too long is the caller's affair; how many there may be is bounded by
    /// [`TIMERS_PER_ROOM`](super::TIMERS_PER_ROOM) and [`TIMERS_PER_BOT`](super::TIMERS_PER_BOT) ([`StoreError::Quota`]).
    async fn set_timer(
        &self,
        lane: &LaneKey,
        name: &str,
        due_at: Timestamp,
        payload: &str,
    ) -> Result<(), StoreError>;

    /// Takes a timer back; answers whether it was there.
    async fn cancel_timer(&self, lane: &LaneKey, name: &str) -> Result<bool, StoreError>;

    /// The lane's timers, the next one first.
    async fn timers(&self, lane: &LaneKey) -> Result<Vec<Timer>, StoreError>;

    /// Reads a key.
    async fn kv_get(&self, scope: &KvScope, key: &str) -> Result<Option<KvEntry>, StoreError>;

    /// Writes a key if `expect` holds ([`StoreError::Conflict`] if not); answers its new version. The limits are
    /// [`KV_KEY_BYTES`](super::KV_KEY_BYTES), [`KV_VALUE_BYTES`](super::KV_VALUE_BYTES),
    /// [`KV_KEYS_PER_BOT`](super::KV_KEYS_PER_BOT) and [`KV_BYTES_PER_BOT`](super::KV_BYTES_PER_BOT)
    /// ([`StoreError::Quota`]).
    async fn kv_set(
        &self,
        scope: &KvScope,
        key: &str,
        value: Vec<u8>,
        expect: KvExpect,
    ) -> Result<u64, StoreError>;

    /// Removes a key if `expect` holds; answers whether it was there.
    async fn kv_delete(&self, scope: &KvScope, key: &str, expect: KvExpect) -> Result<bool, StoreError>;

    /// Up to `limit` keys that begin with `prefix` and sort after `after`, in order.
    async fn kv_list(
        &self,
        scope: &KvScope,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<KvEntry>, StoreError>;
}
