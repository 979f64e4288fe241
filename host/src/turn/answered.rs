//! What a turn came to, before it is posted: the parts for the room, and what the store and the journal keep of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    deliver::Delivered,
    face::{self, Face},
    meter,
    tools::TurnTools,
};
use crate::{
    agent::Report,
    campfire::{Outgoing, attach},
    config::Bot,
    id::{SessionId, Timestamp, TurnId},
    plugin::{
        Answer, CallError, Cause, Failure, FailureKind, Generation, Outcome, Part, Reach, TEXT_LIMIT,
        bounded, trace::Tracer,
    },
    store::{End, SessionChange},
};

/// What a turn came to, before it is posted.
pub(super) struct Answered {
    /// What goes to the room.
    pub(super) parts: Vec<Outgoing>,
    /// In one word, for the journal.
    pub(super) outcome: Cow<'static, str>,
    pub(super) end: End,
    pub(super) session: SessionChange,
    /// For the journal.
    pub(super) details: serde_json::Value,
    /// How the plugin lived it; none if it was not called.
    pub(super) tracer: Option<Tracer>,
}

/// What is recorded with the parts, for a later attempt that only posts them.
#[derive(Serialize, Deserialize)]
struct Recorded {
    outcome: String,
    details: serde_json::Value,
}

/// The plugin's words for the agent's outcome, and what the host adds.
pub(super) async fn formatted(
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
            sentence: Face::Agent { kind, max_turns: generation.bot.max_turns }.sentence(turn),
            attributes: Vec::new(),
        }),
    };
    // With these two the conversation got somewhere, and goes on from there.
    let end = match verdict {
        Ok(_) | Err(FailureKind::TurnLimit | FailureKind::Budget) => End::Done,
        Err(_) => End::Failed,
    };
    let mut answered = match generation.format_reply(reach, cause, &outcome).await {
        Ok(formatted) => Answered { end, ..Answered::new(posts(&generation.bot, formatted), word) },
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
    pub(super) fn new(parts: Vec<Outgoing>, outcome: &'static str) -> Self {
        let outcome = outcome.into();
        Self {
            parts,
            outcome,
            end: End::Done,
            session: SessionChange::Keep,
            details: json!({}),
            tracer: None,
        }
    }

    /// No answer of its own: one sentence.
    pub(super) fn face(face: Face, turn: &TurnId, outcome: &'static str) -> Self {
        Self { end: End::Failed, ..Self::new(Outgoing::sentence(&face.sentence(turn)), outcome) }
    }

    pub(super) fn plugin_failed(error: &CallError, turn: &TurnId) -> Self {
        tracing::error!(%error, "the plugin failed");
        let mut answered = Self::face(Face::Plugin, turn, "plugin-failed");
        answered.details["cause"] = json!(error.to_string());
        answered
    }

    /// An earlier attempt got as far as the outbox, with what it knew.
    pub(super) fn resumed(verdict: Option<End>, recorded: Option<&str>) -> Self {
        let mut answered = Self::new(Vec::new(), "resumed");
        answered.end = verdict.unwrap_or(End::Done);
        if let Some(Recorded { outcome, details }) =
            recorded.and_then(|recorded| serde_json::from_str::<Recorded>(recorded).ok())
            && details.is_object()
        {
            answered.outcome = outcome.into();
            answered.details = details;
        }
        answered.details["resumed"] = json!(true);
        answered
    }

    /// What a later attempt is to know.
    pub(super) fn recorded(&self) -> String {
        let recorded = Recorded { outcome: self.outcome.to_string(), details: self.details.clone() };
        // Strings and numbers; serialising them can't fail.
        serde_json::to_string(&recorded).unwrap_or_default()
    }

    pub(super) fn with(mut self, generation: &Generation) -> Self {
        let plugin = &generation.plugin;
        self.details["plugin"] = json!({
            "name": plugin.name,
            "version": plugin.version,
            "hash": plugin.hash.to_string(),
            "generation": generation.number,
            "compiler": plugin.compiler(),
        });
        self
    }

    pub(super) fn with_tracer(self, tracer: Tracer) -> Self {
        Self { tracer: Some(tracer), ..self }
    }

    fn with_agent(mut self, report: &Report, session: SessionChange) -> Self {
        self.session = session;
        let (usage, timings) = (&report.usage, &report.timings);
        self.details["agent"] = json!({
            "session": report.session,
            "memory-lost": report.memory_lost,
            "recovered": report.recovered,
            "cause": report.cause,
            "cost-usd": usage.cost_usd,
            "turns": usage.turns,
            "input-tokens": usage.input_tokens,
            "output-tokens": usage.output_tokens,
            "cache-read-tokens": usage.cache_read_tokens,
            "cache-creation-tokens": usage.cache_creation_tokens,
            "warm": report.start.is_warm(),
            "start": report.start.word(),
            "gate-ms": timings.gate.as_millis(),
            "first-event-ms": timings.first_event.map(|time| time.as_millis()),
            "total-ms": timings.total.as_millis(),
        });
        self
    }

    pub(super) fn with_tools(mut self, tools: Option<&TurnTools>) -> Self {
        if let Some(tools) = tools {
            self.details["tool-calls"] = json!(tools.calls());
        }
        self
    }

    pub(super) fn add(&mut self, delivered: &Delivered) {
        if delivered.failed > 0 {
            self.end = End::Failed;
            self.outcome = "not-posted".into();
        }
        self.details["posted"] = json!(delivered.posted);
        if delivered.uncertain + delivered.failed > 0 {
            self.details["uncertain"] = json!(delivered.uncertain);
            self.details["failed"] = json!(delivered.failed);
            self.details["post-cause"] = json!(delivered.cause);
        }
    }
}

/// What the parts of an answer become on their way to the room.
pub(super) fn posts(bot: &Bot, parts: Vec<Part>) -> Vec<Outgoing> {
    let mut posts = Vec::new();
    for part in parts {
        let attached = match (&part, bot.attach_over) {
            (Part::Markdown(text), Some(over)) => attach(text, over),
            _ => None,
        };
        match attached {
            Some((text, files)) => {
                posts.extend(Part::Markdown(text).into_posts());
                posts.extend(files);
            }
            None => posts.extend(part.into_posts()),
        }
    }
    posts
}
