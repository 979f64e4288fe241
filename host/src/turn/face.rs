//! What a room may be told when there is no answer: one short, plain sentence by kind, with the turn's id.
//!
//! A [`Face`] is the only thing about a failure that reaches a room. It has no field that a cause could slip into.

use crate::{agent::Outcome, id::TurnId, plugin::FailureKind};

/// Why there is no answer, as far as the room is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// The agent ended without an answer; it could have called the model so many times.
    Agent { kind: FailureKind, max_turns: u32 },
    /// The bot has spent what it may in a day.
    DayBudget,
    /// The bot's plugin is not loaded, or failed.
    Plugin,
    /// The host broke off this message several times.
    GivenUp,
}

impl Face {
    /// The sentence for the room.
    pub(super) fn sentence(self, turn: &TurnId) -> String {
        let sentence = match self {
            Self::Agent { kind, max_turns } => match kind {
                FailureKind::TurnLimit => {
                    let steps = if max_turns == 1 { "step" } else { "steps" };
                    return format!(
                        "I ran out of turns after {max_turns} {steps}; say “continue” and I'll go on. (turn {turn})"
                    );
                }
                FailureKind::Budget => {
                    "This message used up what I may spend on one; a smaller question may work."
                }
                FailureKind::Interrupted => "I was stopped.",
                FailureKind::RateLimited => {
                    "I've been asking the model too much and have to wait; please try again in a minute."
                }
                FailureKind::Overloaded => "The model is overloaded just now; please try again in a minute.",
                FailureKind::Auth => {
                    "I can't reach my model: whoever runs me needs to look at its credentials."
                }
                FailureKind::InvalidRequest => "The model couldn't take that; it may be too long.",
                FailureKind::TimedOut => "That took too long, so I stopped; please try again.",
                FailureKind::Crashed => "Something broke while I was thinking; please try again.",
            },
            Self::DayBudget => "I've spent what I may spend in a day; I can go on after midnight UTC.",
            Self::Plugin => {
                "Something is wrong with my code, so I can't answer; whoever runs me will find the reason in the log."
            }
            Self::GivenUp => "I was interrupted on this one several times and gave it up; please ask again.",
        };
        format!("{sentence} (turn {turn})")
    }
}

/// What the room is shown while the agent works.
pub(super) const WORKING: &str = "Working on it…";

/// What the room is shown while the provider refuses; `kind` is the CLI's word for why.
pub(super) fn retrying(kind: &str) -> &'static str {
    match kind {
        "rate_limit" => "I'm asking the model too much just now; I keep trying…",
        "overloaded" => "The model is overloaded just now; I keep trying…",
        _ => "The model doesn't answer just now; I keep trying…",
    }
}

/// What the room is told when the agent's earlier conversation is gone.
pub(super) const MEMORY_LOST: &str = "I couldn't find our earlier conversation, so I answer without it.";

/// What the room is told when bots have answered each other for too long.
pub(super) const LOOPING: &str =
    "Bots have been answering each other here for a while, so I stop until a person writes.";

/// What the room is told when a lane is full.
pub(super) const FULL: &str = "More messages are waiting here than I can keep, so I have to leave some out; please repeat what matters in a while.";

/// The answer, or which kind of failure it is.
pub(super) fn verdict(outcome: &Outcome) -> Result<&str, FailureKind> {
    Err(match outcome {
        Outcome::Completed { text } => return Ok(text),
        Outcome::TurnLimit => FailureKind::TurnLimit,
        Outcome::Budget => FailureKind::Budget,
        Outcome::Interrupted => FailureKind::Interrupted,
        Outcome::RateLimited => FailureKind::RateLimited,
        Outcome::Overloaded => FailureKind::Overloaded,
        Outcome::Auth => FailureKind::Auth,
        Outcome::InvalidRequest => FailureKind::InvalidRequest,
        Outcome::Crashed => FailureKind::Crashed,
        Outcome::TimedOut(_) => FailureKind::TimedOut,
    })
}

/// The outcome in one word, for the journal.
pub(super) fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::TurnLimit => "turn-limit",
        FailureKind::Budget => "budget",
        FailureKind::Interrupted => "interrupted",
        FailureKind::RateLimited => "rate-limited",
        FailureKind::Overloaded => "overloaded",
        FailureKind::Auth => "auth",
        FailureKind::InvalidRequest => "invalid-request",
        FailureKind::TimedOut => "timed-out",
        FailureKind::Crashed => "crashed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_is_short_and_names_the_turn() {
        let turn = TurnId::random();
        let kinds = [
            FailureKind::TurnLimit,
            FailureKind::Budget,
            FailureKind::Interrupted,
            FailureKind::RateLimited,
            FailureKind::Overloaded,
            FailureKind::Auth,
            FailureKind::InvalidRequest,
            FailureKind::TimedOut,
            FailureKind::Crashed,
        ];
        let agent = kinds.map(|kind| Face::Agent { kind, max_turns: 1000 });
        for face in agent.into_iter().chain([Face::DayBudget, Face::Plugin, Face::GivenUp]) {
            let sentence = face.sentence(&turn);
            assert!(sentence.len() < 160, "{sentence}");
            assert!(sentence.ends_with(&format!("(turn {turn})")), "{sentence}");
        }
    }

    #[test]
    fn the_turn_limit_is_told_with_how_far_it_went() {
        let face = |max_turns| Face::Agent { kind: FailureKind::TurnLimit, max_turns };
        let sentence = |max_turns| face(max_turns).sentence(&TurnId::random());
        assert!(sentence(16).starts_with("I ran out of turns after 16 steps; say “continue”"));
        assert!(sentence(1).starts_with("I ran out of turns after 1 step; say “continue”"));
    }
}
