//! The operator's side of the store. What is changed is flushed: somebody was told that it is so.

use async_trait::async_trait;

use super::{
    super::{Conversation, FailedEvent, Forgotten, Oversight, Pause, Retried, Scope},
    Flush, SqliteStore, StoreError, pauses, retry, sessions,
};
use crate::id::{BotName, EventId, Timestamp};

#[async_trait]
impl Oversight for SqliteStore {
    async fn conversations(
        &self,
        bot: Option<&BotName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError> {
        let bot = bot.cloned();
        self.read(move |c| sessions::list(c, bot.as_ref(), now, limit)).await
    }

    async fn forget(&self, scope: &Scope) -> Result<Forgotten, StoreError> {
        let scope = scope.clone();
        self.write(Flush::Always, move |c| sessions::forget(c, &scope)).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read(pauses::list).await
    }

    async fn pause(&self, scope: &Scope, now: Timestamp) -> Result<bool, StoreError> {
        let scope = scope.clone();
        self.write(Flush::Always, move |c| pauses::set(c, &scope, now)).await
    }

    async fn resume(&self, scope: &Scope) -> Result<bool, StoreError> {
        let scope = scope.clone();
        self.write(Flush::Always, move |c| pauses::lift(c, &scope)).await
    }

    async fn failed_events(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<FailedEvent>, StoreError> {
        let bot = bot.cloned();
        self.read(move |c| retry::failed(c, bot.as_ref(), limit)).await
    }

    async fn retry(&self, event: EventId, anyway: bool) -> Result<Retried, StoreError> {
        self.write(Flush::Always, move |c| retry::retry(c, event, anyway)).await
    }
}
