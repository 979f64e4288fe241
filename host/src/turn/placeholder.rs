//! The message that stands in the room for an answer until the answer takes its place.
//!
//! - There is at most one a turn, over all its attempts. That it will be posted is noted in the store before, and its id
//!   after: a later attempt goes on with the same message.
//! - Whatever the turn comes to takes its place. If that is nothing to read, it is removed.
//! - It is only posted where it can be edited.
//!
//! If its post came to nothing clear, or the host died meanwhile, it is looked for in the room's history by what it says.
//! Editing and removing may be repeated without harm, so a doubt about them is none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    campfire::{Client, Outgoing, PastMessage, RequestError, Span, Target},
    causes::with_causes,
    id::{EventId, MessageId, SessionId},
    store::{Lease, Store},
};

/// How often a change is tried that is not answered clearly, and how long after the one before.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Where a turn's placeholder is.
pub(super) struct Spot<'turn> {
    pub(super) store: &'turn dyn Store,
    pub(super) lease: &'turn Lease,
    pub(super) event: EventId,
    pub(super) client: &'turn Client,
    pub(super) target: &'turn Target,
    /// The message that is answered, if it is one: the placeholder comes after it.
    pub(super) trigger: Option<MessageId>,
}

/// A turn's placeholder, as far as there is one; and what else a later attempt must know, since there is one note for both.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Placeholder {
    #[serde(flatten)]
    noted: Option<Noted>,
    /// The conversation that begins with this turn, where the event does not tell its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    conversation: Option<SessionId>,
}

/// What is noted of it. Read again by later versions: variants may be added, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Noted {
    /// This was about to be posted, or may be in the room.
    Announced(String),
    /// It is this message.
    Posted(MessageId),
}

/// What became of a change to a message.
#[derive(Debug)]
pub(super) enum Changed {
    Done,
    /// There is no such message of ours any more.
    Gone,
    /// It may be done or not.
    Unclear,
    /// Campfire can't be reached.
    Away(String),
    Refused(String),
}

// === impl Placeholder ===

impl Placeholder {
    /// What an earlier attempt left.
    pub(super) fn noted(note: Option<&str>) -> Self {
        note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default()
    }

    /// The conversation that an earlier attempt began.
    pub(super) fn conversation(&self) -> Option<SessionId> {
        self.conversation
    }

    /// Notes the conversation that is about to begin. False: a later attempt would not know of it.
    pub(super) async fn keep_conversation(&mut self, spot: &Spot<'_>, conversation: SessionId) -> bool {
        self.conversation = Some(conversation);
        self.write(spot).await
    }

    /// Makes it say this. False: it can't say anything more in this turn.
    pub(super) async fn say(&mut self, spot: &Spot<'_>, html: &str) -> bool {
        self.find(spot).await;
        match self.noted {
            Some(Noted::Posted(message)) => match spot.client.edit(spot.target, message, html).await {
                Ok(()) | Err(RequestError::NotSent { .. }) => true,
                Err(RequestError::MessageUnknown { .. } | RequestError::NotOwn { .. }) => {
                    self.noted = None;
                    false
                }
                Err(error) => {
                    // One that is not answered may still come to pass; another behind it could come before it.
                    tracing::debug!(cause = with_causes(&error), "what a turn shows was not taken");
                    false
                }
            },
            Some(Noted::Announced(_)) => false,
            None => self.post(spot, html).await,
        }
    }

    /// Puts what the turn came to in its place.
    pub(super) async fn give_way(&mut self, spot: &Spot<'_>, parts: &mut Vec<Outgoing>) {
        self.find(spot).await;
        let Some(Noted::Posted(message)) = self.noted.take() else { return };
        match parts.iter_mut().find(|part| part.is_text()) {
            Some(part) => {
                if let Outgoing::Html(html) = part {
                    *part = Outgoing::Edit { message, html: std::mem::take(html) };
                }
            }
            None => parts.insert(0, Outgoing::Remove { message }),
        }
    }

    async fn post(&mut self, spot: &Spot<'_>, html: &str) -> bool {
        if !self.note(spot, Noted::Announced(html.to_owned())).await {
            return false;
        }
        match spot.client.post_html(spot.target, html).await {
            Ok(Some(message)) => self.note(spot, Noted::Posted(message)).await,
            Ok(None) => {
                self.find(spot).await;
                matches!(self.noted, Some(Noted::Posted(_)))
            }
            Err(error) => {
                tracing::debug!(cause = with_causes(&error), "what a turn shows could not be posted");
                if !matches!(error, RequestError::Uncertain { .. }) {
                    self.noted = None;
                }
                false
            }
        }
    }

    /// Looks for it in the room, if it may be there and nobody knows which message it is.
    async fn find(&mut self, spot: &Spot<'_>) {
        let Some(Noted::Announced(html)) = &self.noted else { return };
        let span = spot.trigger.map_or(Span::Newest, Span::After);
        let found = match spot.client.page(spot.target, span).await {
            Ok(page) => {
                page.messages.iter().rev().find(|message| is_it(message, spot.target, html)).map(|it| it.id)
            }
            Err(error) => {
                tracing::debug!(cause = with_causes(&error), "what a turn shows can't be looked up");
                None
            }
        };
        if let Some(message) = found {
            self.note(spot, Noted::Posted(message)).await;
        }
    }

    async fn note(&mut self, spot: &Spot<'_>, noted: Noted) -> bool {
        // What is in the room counts for this attempt, whether a later one will know of it or not.
        let is_posted = matches!(noted, Noted::Posted(_));
        let before = self.noted.replace(noted);
        let kept = self.write(spot).await;
        if !kept && !is_posted {
            self.noted = before;
        }
        kept
    }

    async fn write(&self, spot: &Spot<'_>) -> bool {
        // Texts and numbers; serialising them can't fail.
        let note = serde_json::to_string(self).unwrap_or_default();
        let kept = spot.store.note(spot.lease, spot.event, &note).await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "what a later attempt must know of a turn can't be noted");
        }
        kept.is_ok()
    }
}

fn is_it(message: &PastMessage, target: &Target, html: &str) -> bool {
    Some(message.author.id) == target.bot() && Outgoing::Html(html.to_owned()).is_like(message)
}

// === Changes from the outbox ===

/// Puts `html` in the place of a message's, or removes the message; again, if that is not answered clearly.
pub(super) async fn change(
    client: &Client,
    target: &Target,
    message: MessageId,
    html: Option<&str>,
) -> Changed {
    let mut tries = 1;
    loop {
        let changed = match html {
            Some(html) => client.edit(target, message, html).await,
            None => client.remove(target, message).await,
        };
        return match changed {
            Ok(()) => Changed::Done,
            Err(RequestError::Uncertain { .. }) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(RequestError::Uncertain { .. }) => Changed::Unclear,
            Err(
                RequestError::MessageUnknown { .. }
                | RequestError::NotOwn { .. }
                | RequestError::Unsupported(_),
            ) => Changed::Gone,
            Err(error @ RequestError::NotSent { .. }) => Changed::Away(with_causes(&error)),
            Err(error) => Changed::Refused(with_causes(&error)),
        };
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_was_noted_is_read_again() {
        let shown = [Noted::Announced("<p>Working on it…</p>".into()), Noted::Posted(MessageId(7))];
        for noted in shown.into_iter().map(Some).chain([None]) {
            for conversation in [None, Some(SessionId(Uuid::from_u128(7)))] {
                let placeholder = Placeholder { noted: noted.clone(), conversation };
                let note = serde_json::to_string(&placeholder).unwrap();
                assert_eq!(Placeholder::noted(Some(&note)), placeholder, "{note}");
            }
        }
        assert_eq!(Placeholder::noted(Some("of another version")), Placeholder::default());
        let earlier = Placeholder { noted: Some(Noted::Posted(MessageId(7))), conversation: None };
        assert_eq!(Placeholder::noted(Some(r#"{"posted":7}"#)), earlier, "of an earlier version");
    }
}
