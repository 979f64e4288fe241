//! What a room may be told when there is no answer: one short, plain sentence by kind, with the turn's id.
//!
//! A [`Face`] is the only thing about a failure that reaches a room. It has no field that a cause could slip into.

use crate::{agent::Outcome, id::TurnId, plugin::FailureKind};

/// Why there is no answer, as far as the room is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// The agent ended without an answer.
    Agent(FailureKind),
    /// The bot's plugin is not loaded, or failed.
    Plugin,
    /// The host broke off this message several times.
    GivenUp,
}

impl Face {
    /// The sentence for the room.
    pub(super) fn sentence(self, turn: &TurnId) -> String {
        let sentence = match self {
            Self::Agent(FailureKind::TurnLimit) => {
                "I ran out of turns before I was done; say “continue” and I'll go on."
            }
            Self::Agent(FailureKind::Budget) => {
                "This message used up what I may spend on one; a smaller question may work."
            }
            Self::Agent(FailureKind::Interrupted) => "I was stopped.",
            Self::Agent(FailureKind::RateLimited) => {
                "I've been asking the model too much and have to wait; please try again in a minute."
            }
            Self::Agent(FailureKind::Overloaded) => {
                "The model is overloaded just now; please try again in a minute."
            }
            Self::Agent(FailureKind::Auth) => {
                "I can't reach my model: whoever runs me needs to look at its credentials."
            }
            Self::Agent(FailureKind::InvalidRequest) => "The model couldn't take that; it may be too long.",
            Self::Agent(FailureKind::TimedOut) => "That took too long, so I stopped; please try again.",
            Self::Agent(FailureKind::Crashed) => "Something broke while I was thinking; please try again.",
            Self::Plugin => {
                "Something is wrong with my code, so I can't answer; whoever runs me will find the reason in the log."
            }
            Self::GivenUp => "I was interrupted on this one several times and gave it up; please ask again.",
        };
        format!("{sentence} (turn {turn})")
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
        for face in [
            Face::Agent(FailureKind::TurnLimit),
            Face::Agent(FailureKind::Auth),
            Face::Agent(FailureKind::Crashed),
            Face::Plugin,
            Face::GivenUp,
        ] {
            let sentence = face.sentence(&turn);
            assert!(sentence.len() < 160, "{sentence}");
            assert!(sentence.ends_with(&format!("(turn {turn})")), "{sentence}");
        }
    }
}
