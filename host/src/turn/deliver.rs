//! The outbox's way to the room: recorded parts, posted in order, each marked before the next.
//!
//! How one part gets there is told in [`settle`]. What a request comes to after the turn's tenure is over says nothing: it may
//! not have been sent at all. Then the part stays planned, and whoever has the lane next looks it up.

mod settle;

use std::{collections::HashMap, sync::Mutex};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::settle::{Doubt, Settled};
use super::{insist::insist, meter};
use crate::{
    campfire::{Client, Outgoing, RequestError, Target},
    causes::with_causes,
    id::{EventId, MessageId, Timestamp},
    store::{Lease, OutboxPart, PartState, Store, StoreError},
};

/// Posts what the outbox holds.
pub(super) struct Delivery {
    client: Client,
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

impl Delivery {
    pub(super) fn new(client: Client) -> Self {
        Self { client, away: Mutex::default() }
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
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        campfire::Format,
        id::{HostId, LaneKey, RoomId},
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
        let lease = store
            .lease(lane, HostId::random(), now, now.after(Duration::from_mins(1)))
            .await
            .unwrap()
            .unwrap();
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
            let lane = LaneKey { bot: "a".into(), room: RoomId(room) };
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
