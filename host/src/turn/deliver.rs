//! The outbox's way to the room: recorded parts, posted in order, each marked before the next.

use std::{collections::HashSet, sync::Mutex, sync::PoisonError, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::outgoing::Outgoing;
use crate::{
    campfire::{Client, PostError, Target},
    id::{EventId, MessageId},
    store::{Lease, OutboxPart, PartState, Store, StoreError},
};

/// How long a turn goes on trying to reach a Campfire that refuses connections. Nothing was sent, so nothing is doubled.
const PATIENCE: Duration = Duration::from_mins(5);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(5);

/// Posts what the outbox holds.
pub(super) struct Delivery {
    client: Client,
    /// Campfires that were seen to know no boosts; they are not asked again.
    without_boosts: Mutex<HashSet<Url>>,
}

/// Whose answer goes where.
pub(super) struct Errand<'turn> {
    pub(super) store: &'turn dyn Store,
    pub(super) lease: &'turn Lease,
    pub(super) event: EventId,
    /// The message that is answered.
    pub(super) trigger: MessageId,
    pub(super) target: &'turn Target,
    /// The host closes.
    pub(super) stop: &'turn CancellationToken,
}

/// What became of an answer's parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Messages in the room, those whose id the server told.
    pub(super) posted: Vec<MessageId>,
    /// Parts that may be in the room or not.
    pub(super) uncertain: u32,
    /// Parts that surely are not.
    pub(super) failed: u32,
    /// Why, for the log.
    pub(super) cause: Option<String>,
}

impl Delivery {
    pub(super) fn new(client: Client) -> Self {
        Self { client, without_boosts: Mutex::default() }
    }

    /// Posts the planned parts in order and marks each; none if the host closed before it was through. With `resumed`, the first planned one may have been sent by an
    /// attempt that was cut off: it is marked uncertain and not sent again.
    ///
    /// # Errors
    /// If the store fails or the lease is lost; what was not marked stays planned.
    pub(super) async fn post(
        &self,
        errand: &Errand<'_>,
        parts: Vec<OutboxPart>,
        resumed: bool,
    ) -> Result<Option<Delivered>, StoreError> {
        let mut delivered = Delivered::default();
        let mut doubtful = resumed;
        let mut hopeless = false;
        for part in parts {
            let state = match part.state {
                PartState::Planned if doubtful => {
                    doubtful = false;
                    PartState::Uncertain
                }
                PartState::Planned if hopeless => PartState::Failed,
                PartState::Planned => match self.send(&part.content, errand).await {
                    Sent::As(state) => state,
                    Sent::Failed(error) => {
                        hopeless = true;
                        tracing::error!(%error, "an answer could not be posted");
                        delivered.cause = Some(error);
                        PartState::Failed
                    }
                    Sent::Stopped => return Ok(None),
                },
                known => known,
            };
            match state {
                PartState::Posted(id) => delivered.posted.extend(id),
                PartState::Uncertain => delivered.uncertain += 1,
                PartState::Failed => delivered.failed += 1,
                PartState::Planned => {}
            }
            if state != part.state {
                errand.store.mark_part(errand.lease, errand.event, part.index, state).await?;
            }
        }
        if delivered.uncertain > 0 {
            tracing::warn!(
                parts = delivered.uncertain,
                "parts of an answer may or may not be in the room; they are not repeated"
            );
        }
        Ok(Some(delivered))
    }

    async fn send(&self, content: &str, errand: &Errand<'_>) -> Sent {
        let target = errand.target;
        let outgoing: Outgoing = match serde_json::from_str(content) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                return Sent::Failed(format!("the outbox holds a part that can't be read: {error}"));
            }
        };
        let begun = Instant::now();
        loop {
            let sent = match &outgoing {
                Outgoing::Html(html) => self.client.post_html(target, html).await,
                Outgoing::File { name, media_type, content } => {
                    self.client.post_file(target, name, media_type, content.clone()).await
                }
                Outgoing::Boost(text) => {
                    self.boost(target, errand.trigger, text).await;
                    return Sent::As(PartState::Posted(None));
                }
            };
            match sent {
                Ok(id) => return Sent::As(PartState::Posted(id)),
                Err(PostError::Uncertain { .. }) => return Sent::As(PartState::Uncertain),
                Err(error @ PostError::NotSent { .. }) if begun.elapsed() < PATIENCE => {
                    tracing::warn!(%error, "Campfire can't be reached; the answer waits");
                    tokio::select! {
                        () = tokio::time::sleep(PAUSE) => {}
                        () = errand.stop.cancelled() => return Sent::Stopped,
                    }
                }
                Err(error) => return Sent::Failed(error.to_string()),
            }
        }
    }

    /// Reacts to a message where the server can; it is an ornament, so nothing depends on it.
    pub(super) async fn boost(&self, target: &Target, message: MessageId, text: &str) {
        let known = self.without_boosts.lock().unwrap_or_else(PoisonError::into_inner).contains(&target.base);
        if known {
            return;
        }
        match self.client.boost(target, message, text).await {
            Ok(()) => {}
            Err(PostError::Unsupported) => {
                tracing::info!(campfire = %target.base, "this Campfire has no boosts");
                self.without_boosts
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(target.base.clone());
            }
            Err(error) => tracing::debug!(%error, "a boost was not taken"),
        }
    }

    /// Posts a sentence that is not part of an answer, once, as well as it goes.
    pub(super) async fn tell(&self, target: &Target, sentence: &str) {
        for outgoing in Outgoing::sentence(sentence) {
            let Outgoing::Html(html) = outgoing else { continue };
            if let Err(error) = self.client.post_html(target, &html).await {
                tracing::warn!(%error, "a notice could not be posted");
            }
        }
    }
}

/// What became of one post.
enum Sent {
    As(PartState),
    Failed(String),
    /// The host closes; the part was not sent.
    Stopped,
}
