//! An occasion's way (a message, a time, something else that happened): the plugin decides, the agent is asked, the plugin
//! formats, the outbox posts, the journal keeps.
//!
//! Invariants:
//! - A turn holds one generation of its bot from the first call to the last.
//! - Whatever fails, the event ends: the room gets an answer or one sentence from [`face`], the log gets the cause.
//!   Only a store that fails, a lost lease or the host's closing leave the event unfinished, to be begun again.
//! - What is posted was recorded first. A turn that finds recorded parts only posts: it asks nobody again.
//! - Nothing is changed in a room once the turn's [`Tenure`] is over, also not by the plugin: the way there carries it.

mod answered;
mod attempt;
mod deliver;
mod face;
mod insist;
mod lookup;
mod meter;
mod occasion;
mod placeholder;
mod progress;
mod spending;
mod tools;
mod travel;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use self::occasion::{Come, Occasion, Origin};
use self::{
    answered::Answered,
    attempt::Attempt,
    deliver::{Delivery, Errand, Posted},
    insist::insist,
    placeholder::{Placeholder, Spot},
};
pub(crate) use self::{
    insist::PAUSES,
    travel::{Brought, bring},
};
use crate::{
    agent::{self, AgentError, CliVersion, Runner},
    campfire::{Client, Target},
    config::Bot,
    id::{BotName, Host, LaneKey, RoomId, Timestamp, TurnId},
    plugin::{Roster, Services, trace::Tracer},
    store::{
        Begun, End, JournalRow, Lease, NewEvent, OutboxPart, PartState, SessionChange, Store, StoreError,
    },
    telemetry::{Ended, Telemetry},
    tenure::{Moment, Tenure},
};

/// For how long it is worth telling a room what was the matter with a message.
const NOTICE: Duration = Duration::from_secs(30);

/// What turns need; shared by all lanes.
pub struct Turns {
    store: Arc<dyn Store>,
    roster: Arc<Roster>,
    agents: Arc<Runner>,
    delivery: Delivery,
    /// What plugins can reach.
    services: Arc<Services>,
    /// The bots whose credentials were refused and not taken since: the operator is told once.
    locked_out: Mutex<HashSet<BotName>>,
    /// None if nobody wants their traces.
    telemetry: Option<Arc<Telemetry>>,
    /// Whose they are, for the journal; none if there is but one host.
    host: Option<Host>,
}

/// How a turn went, as far as its lane is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The event has ended.
    Ended,
    /// The host closes; the event is to be begun at the next start.
    Stopped,
    /// It can't go on now, and is to be begun again after a pause.
    Blocked,
}

// === impl Turns ===

impl Turns {
    /// Turns over these. `timer_set` is told whenever a plugin sets a timer.
    pub fn new(
        store: Arc<dyn Store>,
        roster: Arc<Roster>,
        agents: Arc<Runner>,
        client: Client,
        timer_set: Arc<Notify>,
    ) -> Self {
        let services = Arc::new(Services::new(Arc::<dyn Store>::clone(&store), client.clone(), timer_set));
        let (delivery, locked_out) = (Delivery::new(client), Mutex::default());
        Self { store, roster, agents, delivery, services, locked_out, telemetry: None, host: None }
    }

    /// Has their traces sent.
    #[must_use]
    pub fn traced_by(self, telemetry: Option<Arc<Telemetry>>) -> Self {
        Self { telemetry, ..self }
    }

    /// Has the journal say that they are this host's.
    #[must_use]
    pub fn told_of(self, host: Option<Host>) -> Self {
        Self { host, ..self }
    }

    /// Answers an event, and ends it, unless `stop` comes first or its Campfire can't be reached. Whoever gives the
    /// `tenure` has `stop` come when that is over. `interrupt` breaks off what the agent does; the room is told.
    ///
    /// # Errors
    /// If the store fails or the lease is lost; the event stays unfinished.
    pub async fn run(
        &self,
        lease: &Lease,
        tenure: &Tenure,
        begun: Begun,
        stop: CancellationToken,
        interrupt: CancellationToken,
    ) -> Result<Way, StoreError> {
        let turn = TurnId::random();
        let span = tracing::info_span!("turn", %turn, attempt = begun.attempt);
        let event = begun.event;
        let way = self.answer(lease, tenure, begun, &turn, &stop, &interrupt).instrument(span).await?;
        if way == Way::Stopped
            && let Err(error) = self.store.break_off(lease, event).await
        {
            tracing::warn!(%error, "an event that was broken off counts as tried");
        }
        Ok(way)
    }

    /// Ends the agents of an earlier host that was killed, and finds out whether the agent's command fits.
    ///
    /// # Errors
    /// If it does not.
    pub async fn agents_ready(&self) -> Result<CliVersion, AgentError> {
        self.agents.clear_leftovers().await;
        self.agents.version().await
    }

    /// The agents' processes.
    pub fn agents(&self) -> agent::Processes {
        self.agents.processes()
    }

    /// Whether it is a message that asks the bot to stop what it does in that room.
    pub fn is_stop(&self, event: &NewEvent) -> bool {
        let Some(seat) = self.roster.bot(event.lane.bot.as_str()) else { return false };
        if seat.bot.stop_words.is_empty() {
            return false;
        }
        let Ok(Occasion::Message(incoming)) = serde_json::from_str(&event.payload) else { return false };
        seat.bot.stop_words.contains(&incoming.message.text.trim().to_lowercase())
    }

    /// Whether there is such a bot now.
    pub fn knows(&self, bot: &BotName) -> bool {
        self.roster.bot(bot.as_str()).is_some()
    }

    /// How many of the host's turns may be this bot's at once; any number if nothing is said.
    pub fn share(&self, bot: &BotName) -> Option<usize> {
        self.roster.bot(bot.as_str()).and_then(|seat| seat.bot.turns_in_flight)
    }

    /// Waits until no agent process of an ended turn is left: a few of `[agent.deadlines] exit` at most.
    pub async fn agents_gone(&self) {
        self.agents.drained().await;
    }

    /// Tells a room that its lane is full; says whether it may have heard.
    pub async fn tell_full(&self, lane: &LaneKey) -> bool {
        self.tell(lane, face::FULL).await
    }

    /// Tells a room that bots have answered each other there for too long.
    pub async fn tell_looping(&self, lane: &LaneKey) -> bool {
        self.tell(lane, face::LOOPING).await
    }

    async fn tell(&self, lane: &LaneKey, sentence: &str) -> bool {
        // It is no answer, so it needs no lease; but it must not come when it is no longer true.
        let tenure = Tenure::until(Moment::now().after(NOTICE));
        let target = self.roster.bot(lane.bot.as_str()).and_then(|seat| target(&seat.bot, lane.room, tenure));
        match target {
            Some(target) => self.delivery.tell(&target, sentence).await,
            None => false,
        }
    }

    async fn answer(
        &self,
        lease: &Lease,
        tenure: &Tenure,
        begun: Begun,
        turn: &TurnId,
        stop: &CancellationToken,
        interrupt: &CancellationToken,
    ) -> Result<Way, StoreError> {
        let started_at = Timestamp::now();
        let lane = &lease.lane;
        // Removed just now; the lane sees that when it looks again.
        let Some(seat) = self.roster.bot(lane.bot.as_str()) else { return Ok(Way::Blocked) };
        let occasion = serde_json::from_str::<Occasion>(&begun.payload);
        let target = target(&seat.bot, lane.room, tenure.clone());
        let row = |outcome: &str, details: serde_json::Value| JournalRow {
            turn: turn.clone(),
            event: begun.event,
            lane: lane.clone(),
            attempt: begun.attempt,
            started_at,
            ended_at: Timestamp::now(),
            outcome: outcome.to_owned(),
            details: self.signed(details),
        };
        let (Some(target), Ok(occasion)) = (target, occasion) else {
            // Nobody could be told: there is no key, or no message to speak of.
            tracing::error!("the event can't be answered: its bot has no key, or its record is broken");
            let row = row("unanswerable", json!({}));
            let received_at = begun.received_at;
            let ended = Ended { row: &row, end: End::Failed, received_at, posted_from: None, tracer: None };
            return self.finish(lease, &ended, SessionChange::Keep, stop).await;
        };

        let resumed = !begun.parts.is_empty();
        let (mut answered, parts) = if resumed {
            (Answered::resumed(begun.verdict, begun.details.as_deref()), begun.parts)
        } else {
            let spot = Spot {
                store: &*self.store,
                lease,
                event: begun.event,
                client: self.delivery.client(),
                target: &target,
                trigger: occasion.trigger(),
            };
            let attempt = Attempt {
                turns: self,
                turn,
                begun: &begun,
                bot: &seat.bot,
                occasion: &occasion,
                spot: &spot,
                stop,
                interrupt,
            };
            let mut placeholder = Placeholder::noted(begun.note.as_deref());
            let answered = async {
                let mut answered = attempt.answer(seat.generation.as_ref(), &mut placeholder).await?;
                placeholder.give_way(&spot, &mut answered.parts).await;
                Ok::<_, StoreError>(answered)
            };
            let answered = tokio::select! {
                answered = answered => answered?,
                () = stop.cancelled() => return Ok(Way::Stopped),
            };
            if stop.is_cancelled() {
                return Ok(Way::Stopped);
            }
            let contents = answered.parts.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
            // These are strings and numbers; serialising them can't fail.
            let contents = contents.unwrap_or_default();
            if !contents.is_empty() {
                let (end, session, details) = (answered.end, answered.session, answered.recorded());
                let record = || {
                    let (contents, details) = (contents.clone(), details.clone());
                    self.store.record_parts(lease, begun.event, contents, end, session, details)
                };
                if insist(stop, record).await?.is_none() {
                    return Ok(Way::Stopped);
                }
            }
            (answered, planned(contents))
        };
        let errand = Errand {
            store: &*self.store,
            lease,
            event: begun.event,
            trigger: occasion.trigger(),
            target: &target,
            received_at: begun.received_at,
            posted: begun.posted,
            stop,
        };
        let posted_from = (!parts.is_empty()).then(Timestamp::now);
        let delivered = match self.delivery.post(&errand, parts, resumed).await? {
            Posted::Through(delivered) => delivered,
            Posted::Stopped => return Ok(Way::Stopped),
            Posted::Blocked => return Ok(Way::Blocked),
        };
        answered.add(&delivered);
        answered.details["about"] = occasion.about();
        tracing::info!(outcome = %answered.outcome, posted = delivered.posted.len(), "the turn ended");
        let row = row(&answered.outcome, answered.details);
        let (received_at, tracer) = (begun.received_at, answered.tracer.as_ref());
        let ended = Ended { row: &row, end: answered.end, received_at, posted_from, tracer };
        self.finish(lease, &ended, answered.session, stop).await
    }

    /// Writes down what a turn came to.
    async fn finish(
        &self,
        lease: &Lease,
        ended: &Ended<'_>,
        session: SessionChange,
        stop: &CancellationToken,
    ) -> Result<Way, StoreError> {
        let Ended { row, end, tracer, .. } = *ended;
        meter::turn(row);
        let trace = tracer.map(Tracer::written);
        let finish = || self.store.finish(lease, row.event, end, session, row.clone(), trace.clone());
        if insist(stop, finish).await?.is_none() {
            return Ok(Way::Stopped);
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.turn(ended);
        }
        Ok(Way::Ended)
    }

    fn signed(&self, mut details: serde_json::Value) -> serde_json::Value {
        if let Some(host) = &self.host {
            details["host"] = json!(host);
        }
        details
    }
}

// === From one floor's words to another's ===

/// Where the bot's answers go, as long as the tenure lasts; none without a key or a Campfire.
pub fn target(bot: &Bot, room: RoomId, tenure: Tenure) -> Option<Target> {
    Some(Target { base: bot.campfire_url.clone()?, room, bot_key: bot.bot_key.clone()?, tenure })
}

fn planned(contents: Vec<String>) -> Vec<OutboxPart> {
    let parts = (0..).zip(contents);
    parts.map(|(index, content)| OutboxPart { index, content, state: PartState::Planned }).collect()
}
