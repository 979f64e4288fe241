//! Which hosts are there.

use async_trait::async_trait;

use super::{
    super::{HOSTS, Presence},
    OK, RedisStore, StoreError, scripts,
};
use crate::id::{HostId, Timestamp};

/// How many hosts' words are read at once.
const PAGE: usize = 64;

#[async_trait]
impl Presence for RedisStore {
    async fn announce(
        &self,
        host: HostId,
        state: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<usize, StoreError> {
        let mut call = self.link.call(&scripts::ANNOUNCE);
        call.arg(host.to_string()).arg(state).arg(now.0).arg(until.0).arg(HOSTS);
        let mut answer = self.link.ask(&call).await?;
        if answer.word != OK {
            return Err(StoreError::Quota(format!("{HOSTS} hosts share the store already")));
        }
        answer.parsed()
    }

    async fn withdraw(&self, host: HostId) -> Result<(), StoreError> {
        // If only the first of them takes place, the next host that says something does the rest.
        let (states, times) = (self.link.key("hosts"), self.link.key("host-times"));
        self.link.query::<u8>(redis::cmd("HDEL").arg(states).arg(host.to_string())).await?;
        self.link.query::<u8>(redis::cmd("ZREM").arg(times).arg(host.to_string())).await.map(drop)
    }

    async fn present(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let mut there = redis::cmd("ZRANGEBYSCORE");
        there.arg(self.link.key("host-times")).arg(format!("({}", now.0)).arg("+inf");
        let hosts: Vec<String> = self.link.query(there.arg("LIMIT").arg(0).arg(HOSTS)).await?;
        let mut states = Vec::with_capacity(hosts.len());
        for page in hosts.chunks(PAGE) {
            let mut read = redis::cmd("HMGET");
            let found: Vec<Option<String>> =
                self.link.query(read.arg(self.link.key("hosts")).arg(page)).await?;
            states.extend(found.into_iter().flatten());
        }
        Ok(states)
    }
}
