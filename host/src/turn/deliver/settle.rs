//! One part's way into the room, or the reason why it can't be there.
//!
//! Whether a part is in the room is in doubt when Campfire did not answer clearly, and when an attempt was cut off. Then it
//! is looked up (see [`lookup`]), and repeated only if it is surely not there; where that can't be found out it is never
//! repeated, and counted.

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use url::Url;

use super::{
    super::{
        lookup::{self, After, Look},
        placeholder::{Changed, change},
    },
    Delivery, Errand,
};
use crate::{
    campfire::{Outgoing, RequestError, Target},
    causes::with_causes,
    id::{LaneKey, MessageId, Timestamp},
    store::PartState,
};

/// How old a message may become while its Campfire can't be reached. Then its answer is of no use to anybody.
const PATIENCE: Duration = Duration::from_hours(24);
/// How long this host must have met no Campfire before it believes that age: a clock that jumps makes every message old.
const AWAY: Duration = Duration::from_hours(1);
/// How long after the first look a second one is taken, if Campfire may still be at work on what was sent.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// How often a part is sent that is never clearly answered and then not there.
const SENDS: u32 = 3;

/// Why it is not known whether a part is in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Campfire may still be at work on it.
    Open,
    /// Campfire is done with it, and did not say what it did.
    Answered,
}

/// What became of one part.
pub(super) enum Settled {
    /// This, for good; with the reason if that is no good.
    As(PartState, Option<String>),
    /// Campfire can't be reached. `in_doubt` says that it may be in the room.
    Waits { cause: String, in_doubt: bool },
}

impl Delivery {
    /// Has one part in the room, or finds out that it can't be there.
    pub(super) async fn settle(
        &self,
        content: &str,
        errand: &Errand<'_>,
        mut doubt: Option<Doubt>,
        newest: Option<MessageId>,
    ) -> Settled {
        let target = errand.target;
        let outgoing: Outgoing = match serde_json::from_str(content) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                return failed(format!("the outbox holds a part that can't be read: {error}"));
            }
        };
        let outgoing = match outgoing {
            Outgoing::Boost(text) => {
                // Where there is no message to react to, there is no reaction; and none that may be there is repeated.
                if let (Some(message), None) = (errand.trigger, doubt) {
                    self.boost(target, message, &text).await;
                }
                return Settled::As(PartState::Posted(None), None);
            }
            Outgoing::Remove { message } => return self.remove(errand, message).await,
            Outgoing::Edit { message, html } => {
                match self.edit(errand, message, &html).await {
                    Some(settled) => return settled,
                    // Somebody removed that message. An earlier attempt may have met the same, and posted it.
                    None => Outgoing::Html(html),
                }
            }
            other => other,
        };
        let (mut sends, mut unclear) = (0, String::new());
        loop {
            if let Some(doubt) = doubt {
                let look = self.look(&outgoing, errand, doubt, newest).await;
                count_look(&errand.lease.lane, &look);
                match look {
                    Look::Found(message) => return Settled::As(PartState::Posted(Some(message)), None),
                    Look::Absent if sends == SENDS => {
                        return failed(format!("sent {sends} times, and never there: {unclear}"));
                    }
                    Look::Absent => {}
                    Look::Unreachable(cause) if !self.gives_up(errand) => {
                        return Settled::Waits { cause, in_doubt: true };
                    }
                    Look::Unknowable(why) | Look::Unreachable(why) => {
                        tracing::warn!(
                            why,
                            "part of an answer may or may not be in the room; it is not repeated"
                        );
                        return Settled::As(PartState::Uncertain, Some(cause(&unclear, &why)));
                    }
                }
            }
            match self.send(target, &outgoing).await {
                Ok(id) => {
                    self.away().remove(&target.base);
                    return Settled::As(PartState::Posted(id), None);
                }
                Err(error @ RequestError::Uncertain { status, .. }) => {
                    sends += 1;
                    unclear = with_causes(&error);
                    doubt = Some(if status.is_some() { Doubt::Answered } else { Doubt::Open });
                }
                Err(error @ RequestError::NotSent { .. }) if !self.gives_up(errand) => {
                    return Settled::Waits { cause: with_causes(&error), in_doubt: false };
                }
                Err(error) => return failed(with_causes(&error)),
            }
        }
    }

    /// Puts HTML into the place of one of the bot's messages; none if that is gone. To do it twice does no harm, so a doubt
    /// is none.
    async fn edit(&self, errand: &Errand<'_>, message: MessageId, html: &str) -> Option<Settled> {
        Some(match change(&self.client, errand.target, message, Some(html)).await {
            Changed::Gone => return None,
            Changed::Done => Settled::As(PartState::Posted(Some(message)), None),
            Changed::Away(cause) if !self.gives_up(errand) => Settled::Waits { cause, in_doubt: true },
            Changed::Unclear => Settled::As(PartState::Uncertain, None),
            Changed::Away(cause) | Changed::Refused(cause) => failed(cause),
        })
    }

    /// Takes one of the bot's messages away, as well as it goes: it is in the way of no answer.
    async fn remove(&self, errand: &Errand<'_>, message: MessageId) -> Settled {
        match change(&self.client, errand.target, message, None).await {
            Changed::Away(cause) if !self.gives_up(errand) => {
                return Settled::Waits { cause, in_doubt: true };
            }
            Changed::Done | Changed::Gone => {}
            changed => tracing::warn!(?changed, "a message that shows nothing more could not be removed"),
        }
        Settled::As(PartState::Posted(None), None)
    }

    pub(super) async fn send(
        &self,
        target: &Target,
        outgoing: &Outgoing,
    ) -> Result<Option<MessageId>, RequestError> {
        match outgoing {
            Outgoing::Html(html) => self.client.post_html(target, html).await,
            Outgoing::File { name, media_type, content } => {
                self.client.post_file(target, name, media_type, content.clone()).await
            }
            Outgoing::Boost(_) | Outgoing::Edit { .. } | Outgoing::Remove { .. } => Ok(None),
        }
    }

    async fn look(
        &self,
        outgoing: &Outgoing,
        errand: &Errand<'_>,
        doubt: Doubt,
        newest: Option<MessageId>,
    ) -> Look {
        let after = errand.trigger.max(newest).map_or(After::Time(errand.received_at), After::Message);
        let look = lookup::find(&self.client, errand.target, outgoing, after).await;
        if (doubt, &look) != (Doubt::Open, &Look::Absent) {
            return look;
        }
        tokio::time::sleep(SECOND_LOOK).await;
        lookup::find(&self.client, errand.target, outgoing, after).await
    }

    /// Whether an answer has waited long enough for its Campfire, which can't be reached just now.
    fn gives_up(&self, errand: &Errand<'_>) -> bool {
        let since = *self.away().entry(errand.target.base.clone()).or_insert_with(Instant::now);
        errand.received_at.after(PATIENCE) <= Timestamp::now() && since.elapsed() >= AWAY
    }

    fn away(&self) -> MutexGuard<'_, HashMap<Url, Instant>> {
        // What it guards is changed in single steps, so a panic elsewhere leaves it whole.
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened to a part in doubt; nothing is known of it if an earlier attempt was cut off.
fn cause(unclear: &str, why: &str) -> String {
    if unclear.is_empty() {
        format!("an earlier attempt was cut off; {why}")
    } else {
        format!("{unclear}; {why}")
    }
}

fn failed(cause: String) -> Settled {
    tracing::error!(cause, "an answer could not be posted");
    Settled::As(PartState::Failed, Some(cause))
}

fn count_look(lane: &LaneKey, look: &Look) {
    let result = match look {
        Look::Found(_) => "found",
        Look::Absent => "absent",
        Look::Unknowable(_) => "unknowable",
        Look::Unreachable(_) => "unreachable",
    };
    metrics::counter!("hearth_posts_looked_up_total", "bot" => lane.bot.to_string(), "result" => result)
        .increment(1);
    tracing::info!(result, "a post whose fate was unknown was looked up");
}
