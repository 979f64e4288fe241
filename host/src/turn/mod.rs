//! An occasion's way (a message, a time, something else that happened): the plugin decides, the agent is asked, the plugin
//! formats, the outbox posts, the journal keeps.
//!
//! Invariants:
//! - A turn holds one generation of its bot from the first call to the last.
//! - Whatever fails, the event ends: the room gets an answer or one sentence from [`face`], the log gets the cause.
//!   Only a store that fails, a lost lease or the host's closing leave the event unfinished, to be begun again.
//! - What is posted was recorded first. A turn that finds recorded parts only posts: it asks nobody again.

mod deliver;
mod face;
mod meter;
mod occasion;
mod tools;

use std::{pin::pin, sync::Arc};

use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

pub use self::occasion::{Come, Occasion, Origin};
use self::{
    deliver::{Delivered, Delivery, Errand, Posted},
    face::Face,
    tools::TurnTools,
};
use crate::{
    agent::{self, Report, Runner},
    campfire::{Client, Outgoing, Target},
    config::Bot,
    id::{LaneKey, RoomId, SessionId, Timestamp, TurnId},
    plugin::{
        Answer, CallError, Cause, Decision, Failure, FailureKind, Generation, Outcome, Part, Prompt, Reach,
        Roster, Services, TEXT_LIMIT, bounded,
    },
    store::{Begun, End, JournalRow, Lease, OutboxPart, PartState, SessionChange, Store, StoreError},
};

/// How often an event is begun before it is given up: a message that brings the host down must not do so for ever.
const ATTEMPTS: u32 = 3;
/// The reaction that says "seen, thinking".
const SEEN: &str = "👀";

/// What turns need; shared by all lanes.
pub struct Turns {
    store: Arc<dyn Store>,
    roster: Arc<Roster>,
    agents: Runner,
    delivery: Delivery,
    /// What plugins can reach.
    services: Arc<Services>,
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

/// What a turn came to, before it is posted.
struct Answered {
    /// What goes to the room.
    parts: Vec<Outgoing>,
    /// In one word, for the journal.
    outcome: &'static str,
    end: End,
    session: SessionChange,
    /// For the journal.
    details: serde_json::Value,
}

// === impl Turns ===

impl Turns {
    /// Turns over these. `timer_set` is told whenever a plugin sets a timer.
    pub fn new(
        store: Arc<dyn Store>,
        roster: Arc<Roster>,
        agents: Runner,
        client: Client,
        timer_set: Arc<Notify>,
    ) -> Self {
        let services = Arc::new(Services::new(Arc::clone(&store), client.clone(), timer_set));
        Self { store, roster, agents, delivery: Delivery::new(client), services }
    }

    /// Answers an event, and ends it, unless `stop` comes first or its Campfire can't be reached.
    ///
    /// # Errors
    /// If the store fails or the lease is lost; the event stays unfinished.
    pub async fn run(&self, lease: &Lease, begun: Begun, stop: CancellationToken) -> Result<Way, StoreError> {
        let turn = TurnId::random();
        let span = tracing::info_span!("turn", %turn, attempt = begun.attempt);
        self.answer(lease, begun, &turn, &stop).instrument(span).await
    }

    /// Waits until no agent process of an ended turn is left: a few of `[agent.deadlines] exit` at most.
    pub async fn agents_gone(&self) {
        self.agents.drained().await;
    }

    /// Tells a room that its lane is full.
    pub async fn tell_full(&self, lane: &LaneKey) {
        let target = self.roster.bot(lane.bot.as_str()).and_then(|seat| target(&seat.bot, lane.room));
        if let Some(target) = target {
            self.delivery.tell(&target, face::FULL).await;
        }
    }

    async fn answer(
        &self,
        lease: &Lease,
        begun: Begun,
        turn: &TurnId,
        stop: &CancellationToken,
    ) -> Result<Way, StoreError> {
        let started_at = Timestamp::now();
        let lane = &lease.lane;
        let seat = self.roster.bot(lane.bot.as_str());
        let occasion = serde_json::from_str::<Occasion>(&begun.payload);
        let target = seat.as_ref().and_then(|seat| target(&seat.bot, lane.room));
        let row = |outcome: &str, details| JournalRow {
            turn: turn.clone(),
            event: begun.event,
            lane: lane.clone(),
            attempt: begun.attempt,
            started_at,
            ended_at: Timestamp::now(),
            outcome: outcome.to_owned(),
            details,
        };
        let (Some(seat), Some(target), Ok(occasion)) = (seat, target, occasion) else {
            // Nobody could be told: there is no bot, no key, or no message to speak of.
            tracing::error!(
                "the event can't be answered: its bot is gone from bots.toml, or its record is broken"
            );
            let row = row("unanswerable", json!({}));
            meter::turn(&row);
            self.store.finish(lease, begun.event, End::Failed, SessionChange::Keep, row).await?;
            return Ok(Way::Ended);
        };

        let resumed = !begun.parts.is_empty();
        let (mut answered, parts) = if resumed {
            (Answered::resumed(begun.verdict), begun.parts)
        } else {
            let answered = tokio::select! {
                answered = self.decide(&begun, &seat.bot, seat.generation.as_ref(), &occasion, &target, turn, stop) => answered,
                () = stop.cancelled() => return Ok(Way::Stopped),
            };
            if stop.is_cancelled() {
                return Ok(Way::Stopped);
            }
            let contents = answered.parts.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
            // These are strings and numbers; serialising them can't fail.
            let contents = contents.unwrap_or_default();
            if !contents.is_empty() {
                let recorded = contents.clone();
                self.store.record_parts(lease, begun.event, recorded, answered.end, answered.session).await?;
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
            stop,
        };
        let delivered = match self.delivery.post(&errand, parts, resumed).await? {
            Posted::Through(delivered) => delivered,
            Posted::Stopped => return Ok(Way::Stopped),
            Posted::Blocked => return Ok(Way::Blocked),
        };
        answered.add(&delivered);
        answered.details["about"] = occasion.about();
        tracing::info!(outcome = answered.outcome, posted = delivered.posted.len(), "the turn ended");
        let row = row(answered.outcome, answered.details);
        meter::turn(&row);
        self.store.finish(lease, begun.event, answered.end, answered.session, row).await?;
        Ok(Way::Ended)
    }

    /// Everything from the occasion to the parts; asks the plugin and the agent, posts nothing but the reaction.
    #[expect(
        clippy::too_many_arguments,
        reason = "one story, told in one place; a struct would only rename them"
    )]
    async fn decide(
        &self,
        begun: &Begun,
        bot: &Bot,
        generation: Option<&Arc<Generation>>,
        occasion: &Occasion,
        target: &Target,
        turn: &TurnId,
        stop: &CancellationToken,
    ) -> Answered {
        let Some(generation) = generation else {
            if occasion.may_be_missed() {
                return Answered::new(Vec::new(), "ignored");
            }
            tracing::error!("the bot's plugin is not loaded; see the log of the start, or `hearth check`");
            return Answered::face(Face::Plugin, turn, "plugin-missing");
        };
        if begun.tries > ATTEMPTS {
            tracing::error!("the event was begun {ATTEMPTS} times and never ended");
            return Answered::face(Face::GivenUp, turn, "given-up").with(generation);
        }
        let cause = occasion.clone().cause(bot, begun.received_at);
        let reach = Reach {
            services: Arc::clone(&self.services),
            room: occasion.room(),
            target: Some(target.clone()),
            trigger: occasion.trigger(),
            received_at: begun.received_at,
        };
        let answered = match generation.decide(&reach, &cause).await {
            Err(error) => Answered::plugin_failed(&error, turn),
            Ok(Decision::Ignore) => Answered::new(Vec::new(), "ignored"),
            Ok(Decision::Reply(parts)) => Answered::new(posts(parts), "replied"),
            Ok(Decision::Ask(prompt)) => {
                let tools = TurnTools::of(generation, &reach, &cause, turn, &self.store);
                let request = agent::Request {
                    tools: tools.clone().map(|tools| tools as Arc<dyn agent::Tools>),
                    ..request(begun, bot, occasion.room(), prompt)
                };
                let asked = self.agents.run(request, stop.clone());
                let mut asked = pin!(asked);
                let report = tokio::select! {
                    report = &mut asked => report,
                    () = self.seen(begun, occasion, target) => asked.await,
                };
                let answered = formatted(generation, &reach, &cause, report, begun.session, turn).await;
                answered.with_tools(tools.as_deref())
            }
        };
        answered.with(generation)
    }

    /// Shows that the message was seen, once. Nothing waits for it.
    async fn seen(&self, begun: &Begun, occasion: &Occasion, target: &Target) {
        if let (1, Some(message)) = (begun.attempt, occasion.trigger()) {
            self.delivery.boost(target, message, SEEN).await;
        }
    }
}

/// The plugin's words for the agent's outcome, and what the host adds.
async fn formatted(
    generation: &Generation,
    reach: &Reach,
    cause: &Cause,
    report: Report,
    asked: Option<SessionId>,
    turn: &TurnId,
) -> Answered {
    meter::agent(&generation.bot.name, &report);
    let verdict = face::verdict(&report.outcome);
    let word = verdict.map_or_else(face::word, |_| "answered");
    if let Some(trouble) = &report.cause {
        tracing::warn!(outcome = word, cause = trouble, "the agent had trouble");
    }
    let outcome = match verdict {
        Ok(text) => Outcome::Completed(Answer {
            // What a plugin may put into one part, as most do.
            text: bounded(text, TEXT_LIMIT).into_owned(),
            turns: report.usage.turns,
            cost_usd: report.usage.cost_usd,
            memory_lost: report.memory_lost,
            attributes: Vec::new(),
        }),
        Err(kind) => Outcome::Failed(Failure {
            kind,
            sentence: Face::Agent(kind).sentence(turn),
            attributes: Vec::new(),
        }),
    };
    // With these two the conversation got somewhere, and goes on from there.
    let end = match verdict {
        Ok(_) | Err(FailureKind::TurnLimit | FailureKind::Budget) => End::Done,
        Err(_) => End::Failed,
    };
    let mut answered = match generation.format_reply(reach, cause, &outcome).await {
        Ok(formatted) => Answered { end, ..Answered::new(posts(formatted), word) },
        Err(error) => Answered::plugin_failed(&error, turn),
    };
    if report.memory_lost {
        answered.parts.splice(..0, Outgoing::sentence(face::MEMORY_LOST));
    }
    let session = match report.session {
        // A conversation that brings no answer is not kept for longer than it was: it may be what is in the way.
        Some(session) if verdict.is_err() && asked == Some(session) => SessionChange::Keep,
        Some(session) => SessionChange::Set(session, Timestamp::now().after(generation.bot.session_ttl)),
        None if report.memory_lost => SessionChange::Forget,
        None => SessionChange::Keep,
    };
    answered.with_agent(&report, session)
}

// === impl Answered ===

impl Answered {
    fn new(parts: Vec<Outgoing>, outcome: &'static str) -> Self {
        Self { parts, outcome, end: End::Done, session: SessionChange::Keep, details: json!({}) }
    }

    /// No answer of its own: one sentence.
    fn face(face: Face, turn: &TurnId, outcome: &'static str) -> Self {
        Self { end: End::Failed, ..Self::new(Outgoing::sentence(&face.sentence(turn)), outcome) }
    }

    fn plugin_failed(error: &CallError, turn: &TurnId) -> Self {
        tracing::error!(%error, "the plugin failed");
        let mut answered = Self::face(Face::Plugin, turn, "plugin-failed");
        answered.details["cause"] = json!(error.to_string());
        answered
    }

    /// An earlier attempt got as far as the outbox; what it knew besides is lost with it.
    fn resumed(verdict: Option<End>) -> Self {
        Self { end: verdict.unwrap_or(End::Done), ..Self::new(Vec::new(), "resumed") }
    }

    fn with(mut self, generation: &Generation) -> Self {
        let plugin = &generation.plugin;
        self.details["plugin"] = json!({
            "name": plugin.name,
            "version": plugin.version,
            "hash": plugin.hash.to_string(),
            "generation": generation.number,
        });
        self
    }

    fn with_agent(mut self, report: &Report, session: SessionChange) -> Self {
        self.session = session;
        let (usage, timings) = (&report.usage, &report.timings);
        self.details["agent"] = json!({
            "session": report.session,
            "memory-lost": report.memory_lost,
            "cause": report.cause,
            "cost-usd": usage.cost_usd,
            "turns": usage.turns,
            "input-tokens": usage.input_tokens,
            "output-tokens": usage.output_tokens,
            "cache-read-tokens": usage.cache_read_tokens,
            "cache-creation-tokens": usage.cache_creation_tokens,
            "gate-ms": timings.gate.as_millis(),
            "first-event-ms": timings.first_event.map(|time| time.as_millis()),
            "total-ms": timings.total.as_millis(),
        });
        self
    }

    fn with_tools(mut self, tools: Option<&TurnTools>) -> Self {
        if let Some(tools) = tools {
            self.details["tool-calls"] = json!(tools.calls());
        }
        self
    }

    fn add(&mut self, delivered: &Delivered) {
        if delivered.failed > 0 {
            self.end = End::Failed;
            self.outcome = "not-posted";
        }
        self.details["posted"] = json!(delivered.posted);
        if delivered.uncertain + delivered.failed > 0 {
            self.details["uncertain"] = json!(delivered.uncertain);
            self.details["failed"] = json!(delivered.failed);
            self.details["post-cause"] = json!(delivered.cause);
        }
    }
}

// === From one floor's words to another's ===

/// Where the bot's answers go; none without a key or a Campfire.
pub fn target(bot: &Bot, room: RoomId) -> Option<Target> {
    Some(Target { base: bot.campfire_url.clone()?, room, bot_key: bot.bot_key.clone()? })
}

fn request(begun: &Begun, bot: &Bot, room: RoomId, prompt: Prompt) -> agent::Request {
    agent::Request {
        bot: bot.name.clone(),
        room,
        session: begun.session,
        // One id an attempt: the CLI answers a repeated one with nothing, and an attempt that was cut off gave no answer.
        message: Uuid::new_v5(&begun.event.0, &begun.attempt.to_be_bytes()),
        prompt: prompt.text,
        system_prompt: prompt.system_prompt.or_else(|| bot.system_prompt.clone()),
        model: prompt.model.or_else(|| bot.model.clone()),
        max_turns: bot.max_turns,
        budget_usd: bot.budget_usd_turn,
        builtin_tools: bot.builtin_tools.clone(),
        tools: None,
    }
}

/// What the parts of an answer become on their way to the room.
fn posts(parts: Vec<Part>) -> Vec<Outgoing> {
    parts.into_iter().flat_map(Part::into_posts).collect()
}

fn planned(contents: Vec<String>) -> Vec<OutboxPart> {
    let parts = (0..).zip(contents);
    parts.map(|(index, content)| OutboxPart { index, content, state: PartState::Planned }).collect()
}
