//! The outbox's way to the room: recorded parts, posted in order, each marked before the next.
//!
//! Whether a part is in the room is in doubt when Campfire did not answer clearly, and when an attempt was cut off. Then it
//! is looked up (see [`lookup`](super::lookup)), and repeated only if it is surely not there; where that can't be found out
//! it is never repeated, and counted.
//!
//! What a request comes to after the turn's tenure is over says nothing: it may not have been sent at all. Then the part
//! stays planned, and whoever has the lane next looks it up.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    insist::insist,
    lookup::{self, After, Look},
    meter,
    placeholder::{Changed, change},
};
use crate::{
    campfire::{Client, Outgoing, RequestError, Target},
    causes::with_causes,
    id::{EventId, LaneKey, MessageId, Timestamp},
    store::{Lease, OutboxPart, PartState, Store, StoreError},
};

/// How old a message may become while its Campfire can't be reached. Then its answer is of no use to anybody.
const PATIENCE: Duration = Duration::from_hours(24);
/// How long this host must have met no Campfire before it believes that age: a clock that jumps makes every message old.
const AWAY: Duration = Duration::from_hours(1);
/// How long after the first look a second one is taken, if Campfire may still be at work on what was sent.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// How often a part is sent that is never clearly answered and then not there.
const SENDS: u32 = 3;

/// Posts what the outbox holds.
pub(super) struct Delivery {
    client: Client,
    second_look: Duration,
    /// Since when which Campfire can't be reached; has at most as many as there are Campfires.
    away: Mutex<HashMap<Url, Instant>>,
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
    /// The last message that the lane is known to have posted.
    pub(super) posted: Option<MessageId>,
    /// The host closes.
    pub(super) stop: &'turn CancellationToken,
}

/// How far the outbox came.
pub(super) enum Posted {
    /// Through all parts.
    Through(Delivered),
    /// Not through, since the host closes or has lost the lane.
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

/// Why it is not known whether a part is in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Campfire may still be at work on it.
    Open,
    /// Campfire is done with it, and did not say what it did.
    Answered,
}

/// What became of one part.
enum Settled {
    /// This, for good; with the reason if that is no good.
    As(PartState, Option<String>),
    /// Campfire can't be reached. `in_doubt` says that it may be in the room.
    Waits { cause: String, in_doubt: bool },
}

impl Delivery {
    pub(super) fn new(client: Client) -> Self {
        Self { client, second_look: SECOND_LOOK, away: Mutex::default() }
    }

    /// What it posts with.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Posts the planned parts in order and marks each. With `resumed`, the first planned one may have been sent by an
    /// attempt that was cut off.
    ///
    /// # Errors
    /// If the store refuses a mark or the lease is lost; what was not marked stays as it was.
    pub(super) async fn post(
        &self,
        errand: &Errand<'_>,
        parts: Vec<OutboxPart>,
        resumed: bool,
    ) -> Result<Posted, StoreError> {
        let mark = async |part: &OutboxPart, state| {
            let Errand { store, lease, event, stop, .. } = errand;
            insist(stop, || store.mark_part(lease, *event, part.index, state)).await
        };
        let mut delivered = Delivered::default();
        let mut doubtful = resumed;
        let mut newest = errand.posted;
        for part in parts {
            let state = match part.state {
                PartState::Planned | PartState::Unsent if delivered.failed > 0 => PartState::Failed,
                PartState::Planned | PartState::Unsent => {
                    let doubt = (doubtful && part.state == PartState::Planned).then_some(Doubt::Open);
                    if errand.stop.is_cancelled() {
                        if doubt.is_none() {
                            errand
                                .store
                                .mark_part(errand.lease, errand.event, part.index, PartState::Unsent)
                                .await?;
                        }
                        return Ok(Posted::Stopped);
                    }
                    if part.state == PartState::Unsent && mark(&part, PartState::Planned).await?.is_none() {
                        return Ok(Posted::Stopped);
                    }
                    let settled = tokio::select! {
                        settled = self.settle(&part.content, errand, doubt, newest) => settled,
                        // It stays planned: whoever begins the event again looks it up.
                        () = errand.stop.cancelled() => return Ok(Posted::Stopped),
                    };
                    let is_there = matches!(settled, Settled::As(PartState::Posted(Some(_)), _));
                    if !is_there && errand.target.tenure.is_over() {
                        return Ok(Posted::Stopped);
                    }
                    match settled {
                        Settled::As(state, cause) => {
                            delivered.cause = cause.or(delivered.cause);
                            state
                        }
                        Settled::Waits { cause, in_doubt } => {
                            tracing::warn!(cause, "Campfire can't be reached; the answer waits");
                            if !in_doubt {
                                mark(&part, PartState::Unsent).await?;
                            }
                            return Ok(Posted::Blocked);
                        }
                    }
                }
                known => known,
            };
            // Only the first part that was not marked can be in doubt.
            doubtful &= matches!(part.state, PartState::Posted(_) | PartState::Uncertain | PartState::Failed);
            if state != part.state {
                if mark(&part, state).await?.is_none() {
                    return Ok(Posted::Stopped);
                }
                meter::post(&errand.lease.lane.bot, state);
            }
            if let PartState::Posted(Some(message)) = state {
                newest = Some(message);
            }
            delivered.count(state);
        }
        Ok(Posted::Through(delivered))
    }

    /// Has one part in the room, or finds out that it can't be there.
    async fn settle(
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

    async fn send(&self, target: &Target, outgoing: &Outgoing) -> Result<Option<MessageId>, RequestError> {
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
        tokio::time::sleep(self.second_look).await;
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

    /// Reacts to a message where the server can; it is an ornament, so nothing depends on it.
    pub(super) async fn boost(&self, target: &Target, message: MessageId, text: &str) {
        match self.client.boost(target, message, text).await {
            Ok(()) | Err(RequestError::Unsupported(_)) => {}
            Err(error) => tracing::debug!(cause = with_causes(&error), "a boost was not taken"),
        }
    }

    /// Posts a sentence that is not part of an answer, once, as well as it goes; says whether it may be there.
    pub(super) async fn tell(&self, target: &Target, sentence: &str) -> bool {
        for outgoing in Outgoing::sentence(sentence) {
            if let Err(error) = self.send(target, &outgoing).await {
                tracing::warn!(cause = with_causes(&error), "a notice could not be posted");
                return matches!(error, RequestError::Uncertain { .. });
            }
        }
        true
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        campfire::Format,
        id::HostId,
        playground::{Options, Playground},
        store::{End, NewEvent, SessionChange, Source, SqliteStore},
        tenure::Tenure,
    };

    /// A message of the lane, whose answer is recorded.
    async fn recorded(store: &SqliteStore, lane: &LaneKey, parts: Vec<String>) -> (Lease, EventId) {
        let event = NewEvent {
            id: EventId::new(),
            lane: lane.clone(),
            message: Some(MessageId(lane.room.0)),
            kind: "message".to_owned(),
            content_hash: [7; 32],
            payload: String::new(),
            received_at: Timestamp::now(),
            source: Source::Other,
            hop: None,
        };
        store.accept(event.clone(), 10).await.unwrap();
        let now = Timestamp::now();
        let lease = store.lease(lane, HostId::random(), now, now.after(AWAY)).await.unwrap().unwrap();
        store.begin(&lease, now).await.unwrap().unwrap();
        let keep = SessionChange::Keep;
        store.record_parts(&lease, event.id, parts, End::Done, keep, String::new()).await.unwrap();
        (lease, event.id)
    }

    #[tokio::test]
    async fn what_is_not_sent_since_the_tenure_is_over_stays_planned_whatever_it_is() {
        let playground = Playground::new(Options::default());
        let account = playground.add_bot("bot", None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let router = playground.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("hearth.db")).unwrap();
        let trigger = playground.say(playground.you(), account.direct_room, "hi").unwrap();

        let html = "<p>there</p>".to_owned();
        for (room, part) in (1..).zip([
            Outgoing::text(Format::Markdown, "there").remove(0),
            Outgoing::Boost("👍".to_owned()),
            Outgoing::Edit { message: trigger, html },
            Outgoing::Remove { message: trigger },
        ]) {
            let content = serde_json::to_string(&part).unwrap();
            let lane = LaneKey { bot: "a".into(), room: crate::id::RoomId(room) };
            let (lease, event) = recorded(&store, &lane, vec![content.clone()]).await;
            let (tenure, stop) = (Tenure::endless(), CancellationToken::new());
            tenure.end();
            let target = Target {
                base: base.clone(),
                room: account.direct_room,
                bot_key: account.key.clone(),
                tenure,
            };
            let errand = Errand {
                store: &store,
                lease: &lease,
                event,
                trigger: Some(trigger),
                target: &target,
                received_at: Timestamp::now(),
                posted: None,
                stop: &stop,
            };
            let delivery = Delivery::new(Client::new(Duration::from_mins(1)).unwrap());
            let parts = vec![OutboxPart { index: 0, content, state: PartState::Planned }];
            let posted = delivery.post(&errand, parts, false).await.unwrap();
            assert!(matches!(posted, Posted::Stopped), "{part:?}");
            let later = store.begin(&lease, Timestamp::now()).await.unwrap().unwrap();
            assert_eq!(later.parts[0].state, PartState::Planned, "{part:?}");
        }
        let said = playground.messages(account.direct_room);
        assert!(said.len() == 1 && said[0].plain == "hi" && said[0].boosts.is_empty(), "{said:?}");
    }
}
