//! The outbox's way to the room: recorded parts, posted in order, each marked before the next.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::meter;
use crate::{
    campfire::{Client, Outgoing, RequestError, Target},
    causes::with_causes,
    id::{EventId, MessageId, Timestamp},
    store::{Lease, OutboxPart, PartState, Store, StoreError},
};

/// How old a message may become while its Campfire can't be reached. Then its answer is of no use to anybody.
const PATIENCE: Duration = Duration::from_hours(24);

/// Posts what the outbox holds.
pub(super) struct Delivery {
    client: Client,
}

/// Whose answer goes where.
pub(super) struct Errand<'turn> {
    pub(super) store: &'turn dyn Store,
    pub(super) lease: &'turn Lease,
    pub(super) event: EventId,
    /// The message that is answered, if it is one.
    pub(super) trigger: Option<MessageId>,
    pub(super) target: &'turn Target,
    /// When the message came.
    pub(super) received_at: Timestamp,
    /// The host closes.
    pub(super) stop: &'turn CancellationToken,
}

/// How far the outbox came.
pub(super) enum Posted {
    /// Through all parts.
    Through(Delivered),
    /// Not through, since the host closes.
    Stopped,
    /// Not through, since Campfire can't be reached.
    Blocked,
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
        Self { client }
    }

    /// Posts the planned parts in order and marks each. With `resumed`, the first planned one may have been sent by an
    /// attempt that was cut off: it is marked uncertain and not sent again.
    ///
    /// # Errors
    /// If the store fails or the lease is lost; what was not marked stays as it was.
    pub(super) async fn post(
        &self,
        errand: &Errand<'_>,
        parts: Vec<OutboxPart>,
        resumed: bool,
    ) -> Result<Posted, StoreError> {
        let mark = async |part: &OutboxPart, state| {
            errand.store.mark_part(errand.lease, errand.event, part.index, state).await
        };
        let mut delivered = Delivered::default();
        let mut doubtful = resumed;
        for part in parts {
            let state = match part.state {
                PartState::Planned if doubtful => PartState::Uncertain,
                PartState::Planned | PartState::Unsent if delivered.failed > 0 => PartState::Failed,
                PartState::Planned | PartState::Unsent => {
                    if errand.stop.is_cancelled() {
                        mark(&part, PartState::Unsent).await?;
                        return Ok(Posted::Stopped);
                    }
                    if part.state == PartState::Unsent {
                        mark(&part, PartState::Planned).await?;
                    }
                    match self.send(&part.content, errand).await {
                        Sent::As(state) => state,
                        Sent::Failed(cause) => {
                            tracing::error!(cause, "an answer could not be posted");
                            delivered.cause = Some(cause);
                            PartState::Failed
                        }
                        Sent::Not(cause) => {
                            tracing::warn!(cause, "Campfire can't be reached; the answer waits");
                            mark(&part, PartState::Unsent).await?;
                            return Ok(Posted::Blocked);
                        }
                    }
                }
                known => known,
            };
            // Only the first part that was not marked can be in doubt.
            doubtful &= matches!(part.state, PartState::Posted(_) | PartState::Uncertain | PartState::Failed);
            if state != part.state {
                mark(&part, state).await?;
                meter::post(&errand.lease.lane.bot, state);
            }
            delivered.count(state);
        }
        if delivered.uncertain > 0 {
            tracing::warn!(
                parts = delivered.uncertain,
                "parts of an answer may or may not be in the room; they are not repeated"
            );
        }
        Ok(Posted::Through(delivered))
    }

    async fn send(&self, content: &str, errand: &Errand<'_>) -> Sent {
        let target = errand.target;
        let outgoing: Outgoing = match serde_json::from_str(content) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                return Sent::Failed(format!("the outbox holds a part that can't be read: {error}"));
            }
        };
        let sent = match &outgoing {
            Outgoing::Html(html) => self.client.post_html(target, html).await,
            Outgoing::File { name, media_type, content } => {
                self.client.post_file(target, name, media_type, content.clone()).await
            }
            Outgoing::Boost(text) => {
                // Where there is no message to react to, there is no reaction.
                if let Some(message) = errand.trigger {
                    self.boost(target, message, text).await;
                }
                return Sent::As(PartState::Posted(None));
            }
        };
        match sent {
            Ok(id) => Sent::As(PartState::Posted(id)),
            Err(RequestError::Uncertain { .. }) => Sent::As(PartState::Uncertain),
            Err(error @ RequestError::NotSent { .. })
                if errand.received_at.after(PATIENCE) > Timestamp::now() =>
            {
                Sent::Not(with_causes(&error))
            }
            Err(error) => Sent::Failed(with_causes(&error)),
        }
    }

    /// Reacts to a message where the server can; it is an ornament, so nothing depends on it.
    pub(super) async fn boost(&self, target: &Target, message: MessageId, text: &str) {
        match self.client.boost(target, message, text).await {
            Ok(()) | Err(RequestError::Unsupported(_)) => {}
            Err(error) => tracing::debug!(cause = with_causes(&error), "a boost was not taken"),
        }
    }

    /// Posts a sentence that is not part of an answer, once, as well as it goes.
    pub(super) async fn tell(&self, target: &Target, sentence: &str) {
        for outgoing in Outgoing::sentence(sentence) {
            let Outgoing::Html(html) = outgoing else { continue };
            if let Err(error) = self.client.post_html(target, &html).await {
                tracing::warn!(cause = with_causes(&error), "a notice could not be posted");
            }
        }
    }
}

/// What became of one part.
enum Sent {
    /// Campfire has it, or may have it.
    As(PartState),
    /// Campfire will not have it.
    Failed(String),
    /// Campfire could not be reached.
    Not(String),
}

impl Delivered {
    fn count(&mut self, state: PartState) {
        match state {
            PartState::Posted(id) => self.posted.extend(id),
            PartState::Uncertain => self.uncertain += 1,
            PartState::Failed => self.failed += 1,
            PartState::Planned | PartState::Unsent => {}
        }
    }
}
