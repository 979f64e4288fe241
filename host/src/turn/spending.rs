//! What a bot's agent costs: counted by the day, and looked at before the agent is asked.

use std::sync::PoisonError;

use super::Turns;
use crate::{
    agent::{self, Report},
    config::Bot,
    id::Timestamp,
    store::StoreError,
};

/// A day, in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

impl Turns {
    /// Whether the bot has spent what it may today.
    pub(super) async fn has_spent_the_day(&self, bot: &Bot) -> Result<bool, StoreError> {
        let Some(budget) = bot.budget_usd_day else { return Ok(false) };
        let spent = self.store.spent(&bot.name, today()).await?;
        if spent >= budget {
            tracing::warn!(spent, budget, "the bot has spent its `budget-usd.day`");
        }
        Ok(spent >= budget)
    }

    /// Takes note of what a turn cost, and whether its credentials were refused.
    pub(super) async fn count(&self, bot: &Bot, report: &Report) {
        if let (Some(_), Some(cost)) = (bot.budget_usd_day, report.usage.cost_usd.filter(|cost| *cost > 0.0))
        {
            // An answer that is there is not asked for again.
            if let Err(error) = self.store.spend(&bot.name, today(), cost).await {
                tracing::error!(%error, cost, "what a turn cost can't be counted");
            }
        }
        let mut locked_out = self.locked_out.lock().unwrap_or_else(PoisonError::into_inner);
        match report.outcome {
            agent::Outcome::Auth if locked_out.insert(bot.name.clone()) => tracing::error!(
                bot = %bot.name,
                "the model's provider refuses the agent's credentials: set ANTHROPIC_API_KEY in Hearth's environment to a key \
                 that is valid and paid for, or sign the agent in, and start Hearth again"
            ),
            agent::Outcome::Completed { .. } => {
                locked_out.remove(&bot.name);
            }
            _ => {}
        }
    }
}

/// Today, in days since 1970, UTC.
fn today() -> i64 {
    Timestamp::now().0.div_euclid(DAY)
}
