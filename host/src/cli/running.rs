//! `hearth status` and `hearth reload`: what a running host does, in words.

use super::{table, terminal};
use crate::{
    operator::{BotNow, Now},
    plugin::Compiler,
    reload::{Outcome, Reloaded},
};

/// Prints what runs.
pub(super) fn show_status(now: &Now) {
    let header = ["bot", "generation", "plugin", "hash", "since", "busy rooms", "state"];
    table::print(header, &now.bots.iter().map(row).collect::<Vec<_>>());
    for bot in &now.bots {
        if bot.status.running.as_ref().is_some_and(|running| running.compiler == Compiler::Winch) {
            terminal::print(&format!(
                "{}: compiled by Winch, which is quick and makes slower code; Cranelift's follows",
                bot.status.bot
            ));
        }
        if let Some(refused) = &bot.status.refused {
            let content =
                refused.content.as_ref().map_or_else(String::new, |content| format!(" ({content})"));
            terminal::print(&format!(
                "{}: refused{content} at {}: {}",
                bot.status.bot,
                refused.at.iso_8601(),
                refused.cause
            ));
        }
        if !bot.status.quarantined.is_empty() {
            terminal::print(&format!(
                "{0}: kept out, since it failed again and again: {1} (`hearth reload --lift {0}` lets it in)",
                bot.status.bot,
                bot.status.quarantined.join(", ")
            ));
        }
    }
    for (bot, rooms) in &now.gone {
        terminal::print(&format!(
            "{bot} is gone from bots.toml, and messages wait for it in {rooms} of its rooms."
        ));
    }
    if let Some(refused) = &now.config.refused {
        terminal::print(&format!("Since {}: {}", refused.at.iso_8601(), refused.cause));
    }
    restart(&now.config.restart);
}

fn row(bot: &BotNow) -> [String; 7] {
    let name = bot.status.bot.to_string();
    let state = match bot.pauses.as_slice() {
        [] => "open".to_owned(),
        pauses if pauses.iter().any(|pause| pause.scope.room.is_none()) => "paused".to_owned(),
        pauses => format!("paused in {} rooms", pauses.len()),
    };
    let busy = bot.busy.to_string();
    match &bot.status.running {
        Some(running) => [
            name,
            running.generation.to_string(),
            format!("{} {}", running.plugin, running.version),
            running.hash.clone(),
            running.since.iso_8601(),
            busy,
            state,
        ],
        None => [name, "none".into(), String::new(), String::new(), String::new(), busy, state],
    }
}

/// Prints what a reload came to.
pub(super) fn show_reloaded(reloaded: &Reloaded) {
    for (bot, outcome) in &reloaded.bots {
        terminal::print(&match outcome {
            Outcome::Unchanged => format!("  {bot}: unchanged"),
            Outcome::Live(generation) => format!("✓ {bot}: generation {generation} runs"),
            Outcome::Removed => format!("✓ {bot}: removed"),
            Outcome::Refused(cause) => format!("✗ {bot}: {cause}"),
        });
    }
    if let Some(cause) = &reloaded.config {
        terminal::print(&format!("✗ {cause}"));
    }
    restart(&reloaded.restart);
}

/// Whether all that was asked for could be done.
pub(super) fn is_whole(reloaded: &Reloaded) -> bool {
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused(_));
    reloaded.config.is_none() && !reloaded.bots.values().any(refused)
}

fn restart(keys: &[String]) {
    if !keys.is_empty() {
        terminal::print(&format!("! changed, and read at the next start only: {}", keys.join(", ")));
    }
}
