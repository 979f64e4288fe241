//! One attempt at an event, from the occasion to the parts: the plugin decides, the agent is asked, the plugin formats.
//!
//! It posts nothing but the reaction, and what shows meanwhile that the turn is under way. What it comes to is recorded and
//! posted by whoever made it.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Turns,
    answered::{Answered, formatted, posts},
    face::{self, Face},
    occasion::Occasion,
    placeholder::{Placeholder, Spot},
    progress::{self, Show},
    tools::TurnTools,
    travel::Travel,
};
use crate::{
    agent,
    config::Bot,
    id::{RoomId, SessionId, TurnId},
    plugin::{
        Cause, Decision, FailureKind, Generation, Prompt, Reach,
        trace::{Asked, Tracer},
    },
    store::{Begun, End, StoreError},
};

/// How often an event is begun before it is given up: a message that brings the host down must not do so for ever.
const ATTEMPTS: u32 = 3;
/// The reaction that says "seen, thinking".
const SEEN: &str = "👀";

/// An attempt at an event that nothing was recorded of yet.
pub(super) struct Attempt<'turn> {
    pub(super) turns: &'turn Turns,
    pub(super) turn: &'turn TurnId,
    pub(super) begun: &'turn Begun,
    pub(super) bot: &'turn Bot,
    pub(super) occasion: &'turn Occasion,
    pub(super) spot: &'turn Spot<'turn>,
    /// The host closes, or has lost the lane.
    pub(super) stop: &'turn CancellationToken,
    /// Somebody wants no answer any more.
    pub(super) interrupt: &'turn CancellationToken,
}

impl Attempt<'_> {
    /// What it comes to.
    ///
    /// # Errors
    /// If the store fails or the lease is lost.
    pub(super) async fn answer(
        &self,
        generation: Option<&Arc<Generation>>,
        placeholder: &mut Placeholder,
    ) -> Result<Answered, StoreError> {
        let Self { begun, bot, occasion, turn, .. } = *self;
        let Some(generation) = generation else {
            if occasion.may_be_missed() {
                return Ok(Answered::new(Vec::new(), "ignored"));
            }
            tracing::error!("the bot's plugin is not loaded; see the log of the start, or `hearth check`");
            return Ok(Answered::face(Face::Plugin, turn, "plugin-missing"));
        };
        if begun.tries > ATTEMPTS {
            tracing::error!("the event was begun {ATTEMPTS} times and never ended");
            return Ok(Answered::face(Face::GivenUp, turn, "given-up").with(generation));
        }
        if begun.stopped {
            return Ok(self.stopped().with(generation));
        }
        let cause = occasion.clone().cause(bot, begun.received_at);
        let tracer = Tracer::of(&cause);
        tracer.settings(generation.settings_hash());
        let reach = Reach {
            services: Arc::clone(&self.turns.services),
            room: occasion.room(),
            target: Some(self.spot.target.clone()),
            trigger: occasion.trigger(),
            received_at: begun.received_at,
            tracer: Some(tracer.clone()),
        };
        let answered = match generation.decide(&reach, &cause).await {
            Err(error) => Answered::plugin_failed(&error, turn),
            Ok(Decision::Ignore) => Answered::new(Vec::new(), "ignored"),
            Ok(Decision::Reply(parts)) => Answered::new(posts(bot, parts), "replied"),
            Ok(Decision::Ask(_)) if self.turns.has_spent_the_day(bot).await? => {
                Answered::face(Face::DayBudget, turn, "day-budget")
            }
            Ok(Decision::Ask(prompt)) => {
                self.ask(generation, &reach, &cause, &tracer, prompt, placeholder).await?
            }
        };
        Ok(answered.with(generation).with_tracer(tracer))
    }

    /// Asks the agent, and has the plugin put what it says into words.
    async fn ask(
        &self,
        generation: &Arc<Generation>,
        reach: &Reach,
        cause: &Cause,
        tracer: &Tracer,
        prompt: Prompt,
        placeholder: &mut Placeholder,
    ) -> Result<Answered, StoreError> {
        let Self { turns, begun, bot, spot, turn, stop, interrupt, .. } = *self;
        let tools = TurnTools::of(generation, reach, cause, turn, &turns.store);
        let (watch, seen) = watch::channel(agent::Progress::default());
        let mut request = agent::Request {
            tools: tools.clone().map(|tools| tools as Arc<dyn agent::Tools>),
            watch: bot.progress_after.map(|_| watch),
            interrupt: interrupt.clone(),
            begun_as: placeholder.conversation(),
            ..request(begun, bot, reach.room, prompt)
        };
        let mut travel = Travel::of(&*turns.store, &turns.agents, spot.lease, spot.event, stop);
        let mut is_lost = false;
        if let Some(travel) = &mut travel {
            let arrived = tokio::select! {
                arrived = travel.arrive(&request) => arrived?,
                () = interrupt.cancelled() => return Ok(self.stopped()),
            };
            // Nobody reads what a turn comes to that the host's end cuts off.
            let Some(is_here) = arrived else { return Ok(self.stopped()) };
            if !is_here {
                (is_lost, request.session) = (true, None);
            }
        }
        tracer.asked(Asked {
            system_prompt: request.system_prompt.clone(),
            model: request.model.clone(),
            resumed: request.session.is_some(),
        });
        let taken_down = progress::take_down(tracer.clone(), seen.clone());
        let spare = self.spare(&request, placeholder).await;
        let over = CancellationToken::new();
        let asked = async {
            let mut asked = Box::pin(turns.agents.run(request, spare, stop.clone()));
            let report = tokio::select! {
                report = &mut asked => report,
                () = self.seen() => asked.await,
            };
            over.cancel();
            report
        };
        let shown = async {
            let Some(after) = bot.progress_after else { return };
            let may_tell = begun.attempt == 1;
            let show = Show { generation, reach, cause, spot, placeholder, seen, after, may_tell };
            show.run(&over).await;
        };
        let (mut report, (), ()) = tokio::join!(asked, shown, taken_down);
        report.memory_lost |= is_lost;
        turns.count(bot, &report).await;
        if let (Some(travel), Some(session)) = (&travel, report.session) {
            travel.depart(session).await?;
        }
        let mut answered = formatted(generation, reach, cause, report, begun.session, turn).await;
        if interrupt.is_cancelled() && answered.outcome == face::word(FailureKind::Interrupted) {
            // It is what somebody wanted.
            answered.end = End::Done;
        }
        Ok(answered.with_tools(tools.as_deref()))
    }

    /// What it comes to if it is stopped before the agent is asked.
    fn stopped(&self) -> Answered {
        let kind = FailureKind::Interrupted;
        let face = Face::Agent { kind, max_turns: self.bot.max_turns };
        Answered { end: End::Done, ..Answered::face(face, self.turn, face::word(kind)) }
    }

    /// A process that was started ahead, if there is one and a later attempt will know which conversation begins with it.
    async fn spare(&self, request: &agent::Request, placeholder: &mut Placeholder) -> Option<agent::Spare> {
        let spare = self.turns.agents.spare(request).await?;
        placeholder.keep_conversation(self.spot, spare.session()).await.then_some(spare)
    }

    /// Shows that the message was seen, once. Nothing waits for it.
    async fn seen(&self) {
        if let (1, Some(message)) = (self.begun.attempt, self.occasion.trigger()) {
            self.turns.delivery.boost(self.spot.target, message, SEEN).await;
        }
    }
}

fn request(begun: &Begun, bot: &Bot, room: RoomId, prompt: Prompt) -> agent::Request {
    agent::Request {
        bot: bot.name.clone(),
        room,
        session: begun.session,
        // Stable over crashes, as the agent's memory of the message is; another question once it was put back.
        message: Uuid::new_v5(&begun.event.0, &begun.retries.to_be_bytes()),
        new_session: SessionId(Uuid::new_v5(&begun.event.0, format!("session {}", begun.retries).as_bytes())),
        again: begun.attempt > 1,
        prompt: prompt.text,
        system_prompt: prompt.system_prompt.or_else(|| bot.system_prompt.clone()),
        model: prompt.model.or_else(|| bot.model.clone()),
        max_turns: bot.max_turns,
        budget_usd: bot.budget_usd_turn,
        builtin_tools: bot.builtin_tools.clone(),
        tools: None,
        watch: None,
        interrupt: CancellationToken::new(),
        spares: bot.spares,
        begun_as: None,
    }
}
