//! Which hosts are there.
//!
//! A host that says nothing more is taken to be there until the time that it named last; then it is as if it had never been.

use async_trait::async_trait;

use crate::{
    id::{HostId, Timestamp},
    store::StoreError,
};

/// How many hosts may be there at once.
pub const HOSTS: u32 = 1_000;
/// How much a host may say of itself, in bytes.
pub const PRESENCE_BYTES: usize = 64 * 1024;

/// The hosts' side of a store.
#[async_trait]
pub trait Presence {
    /// A host says how it is, in place of what it said before, until `until`; answers how many hosts are there. `state` is
    /// opaque to the store, and the caller sees to [`PRESENCE_BYTES`]. One host too many is [`StoreError::Quota`].
    async fn announce(
        &self,
        host: HostId,
        state: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<usize, StoreError>;

    /// A host is gone.
    async fn withdraw(&self, host: HostId) -> Result<(), StoreError>;

    /// What the hosts say that are there at `now`, in no order. At most [`HOSTS`].
    async fn present(&self, now: Timestamp) -> Result<Vec<String>, StoreError>;
}
