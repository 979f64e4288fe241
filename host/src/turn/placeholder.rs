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
    id::{EventId, MessageId},
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

/// A turn's placeholder, as far as there is one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Placeholder(Option<Noted>);

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
        Self(note.and_then(|note| serde_json::from_str(note).ok()))
    }

    /// Makes it say this. False: it can't say anything more in this turn.
    pub(super) async fn say(&mut self, spot: &Spot<'_>, html: &str) -> bool {
        self.find(spot).await;
        match self.0 {
            Some(Noted::Posted(message)) => match spot.client.edit(spot.target, message, html).await {
                Ok(()) | Err(RequestError::NotSent { .. }) => true,
                Err(RequestError::MessageUnknown { .. } | RequestError::NotOwn { .. }) => {
                    self.0 = None;
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
        let Some(Noted::Posted(message)) = self.0.take() else { return };
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
                matches!(self.0, Some(Noted::Posted(_)))
            }
            Err(error) => {
                tracing::debug!(cause = with_causes(&error), "what a turn shows could not be posted");
                if !matches!(error, RequestError::Uncertain { .. }) {
                    self.0 = None;
                }
                false
            }
        }
    }

    /// Looks for it in the room, if it may be there and nobody knows which message it is.
    async fn find(&mut self, spot: &Spot<'_>) {
        let Some(Noted::Announced(html)) = &self.0 else { return };
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
        // Texts and numbers; serialising them can't fail.
        let note = serde_json::to_string(&noted).unwrap_or_default();
        // What is in the room counts for this attempt, whether a later one will know of it or not.
        let is_posted = matches!(noted, Noted::Posted(_));
        let kept = spot.store.note(spot.lease, spot.event, &note).await;
        if let Err(error) = &kept {
            tracing::warn!(%error, "what a turn shows can't be noted");
        }
        if kept.is_ok() || is_posted {
            self.0 = Some(noted);
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
    use super::*;

    #[test]
    fn what_was_noted_is_read_again() {
        for noted in [Noted::Announced("<p>Working on it…</p>".into()), Noted::Posted(MessageId(7))] {
            let note = serde_json::to_string(&noted).unwrap();
            assert_eq!(Placeholder::noted(Some(&note)), Placeholder(Some(noted)));
        }
        assert_eq!(Placeholder::noted(Some("of another version")), Placeholder::default());
    }
}
