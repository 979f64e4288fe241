//! One bot: what it ought to run, and what became of that.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{
    behind::Behind,
    follow::{Followed, Refusal, Stamp},
    status::{BotStatus, Outcome, Refused, Running},
};
use crate::{
    causes::with_causes,
    config::Bot,
    id::{BotName, Timestamp},
    plugin::{ContentHash, Generation, Loader, Roster, Seat, Verdict},
};

/// How many contents of a bot are kept out; the oldest is let in again.
const QUARANTINED: usize = 16;

/// A bot as the reload sees it.
pub(super) struct Held {
    /// What bots.toml says. It is what runs, unless it could not be put in place.
    pub(super) wanted: Arc<Bot>,
    pub(super) file: Followed<Option<Stamp>>,
    /// One load at a time: of two, the older could come second.
    pub(super) loading: bool,
    /// The latest generation.
    pub(super) number: u64,
    /// The last good one, until the one that replaced it has proven itself.
    pub(super) before: Option<Arc<Generation>>,
    since: Timestamp,
    quarantined: Vec<Quarantined>,
    refused: Option<Refused>,
    /// What is compiled again, or was last.
    pub(super) behind: Option<Behind>,
}

/// Something that failed again and again.
struct Quarantined {
    content: ContentHash,
    /// If only the configuration was new: it may be that which is wrong.
    bot: Option<Arc<Bot>>,
}

/// What a load came to.
pub(super) struct Loaded {
    pub(super) bot: Arc<Bot>,
    began: Instant,
    /// How the file looked just before.
    stamp: Option<Stamp>,
    generation: Result<Generation, Refusal>,
}

// === impl Held ===

impl Held {
    /// A bot that is not loaded yet; generations count on from `number`.
    pub(super) fn new(bot: &Arc<Bot>, number: u64) -> Self {
        let mut file = Followed::new(None, Instant::now(), true);
        file.again(Instant::now());
        Self {
            wanted: Arc::clone(bot),
            file,
            loading: false,
            number,
            before: None,
            since: Timestamp::now(),
            quarantined: Vec::new(),
            refused: None,
            behind: None,
        }
    }

    /// bots.toml says something else.
    pub(super) fn want(&mut self, bot: &Arc<Bot>) {
        self.wanted = Arc::clone(bot);
        self.file.again(Instant::now());
    }

    pub(super) fn load(&mut self, loader: &Arc<Loader>) -> impl Future<Output = Loaded> + use<> {
        self.loading = true;
        let (bot, loader, number) = (Arc::clone(&self.wanted), Arc::clone(loader), self.number + 1);
        async move {
            let (began, stamp) = (Instant::now(), Stamp::of(&bot.plugin).await);
            let cause = match AssertUnwindSafe(loader.load(&bot, number)).catch_unwind().await {
                Ok(Ok(generation)) => return Loaded { bot, began, stamp, generation: Ok(generation) },
                Ok(Err(error)) => with_causes(&error),
                Err(_) => "loading it panicked, which is a fault of Hearth".to_owned(),
            };
            let generation = Err(Refusal { content: ContentHash::of_file(&bot.plugin).await, cause });
            Loaded { bot, began, stamp, generation }
        }
    }

    /// Puts in place what was loaded, if it is another one than runs; nothing if it is not what is wanted any more.
    pub(super) fn take(&mut self, loaded: Loaded, roster: &Roster) -> Option<Outcome> {
        self.loading = false;
        let Loaded { bot, began, stamp, generation } = loaded;
        if !Arc::ptr_eq(&bot, &self.wanted) {
            return None;
        }
        self.file.is_at(stamp);
        let seat = roster.bot(bot.name.as_str());
        let running = seat.as_ref().and_then(|seat| seat.generation.as_ref());
        match generation.and_then(|generation| self.admit(generation)) {
            Ok(new) if running.is_some_and(|running| is_same(running, &new)) => {
                self.file.tried(Ok(()));
                self.refused = None;
                Some(Outcome::Unchanged)
            }
            Ok(new) => {
                self.file.tried(Ok(()));
                let (name, plugin, number) = (bot.name.clone(), Arc::clone(&new.plugin), new.number);
                self.before = fallback(running.cloned(), self.before.take());
                (self.number, self.since, self.refused) = (number, Timestamp::now(), None);
                roster.seat(Seat { bot, generation: Some(Arc::new(new)) });
                tracing::info!(
                    bot = %name, ?plugin, generation = number, since = self.since.iso_8601(),
                    compiler = %plugin.compiler(), took = ?began.elapsed(),
                    "loaded; the next message runs it"
                );
                count(&name, "live");
                Some(Outcome::Live(number))
            }
            Err(refusal) => {
                if running.is_none() {
                    // What it ought to run can't be had either way; at least its keys are as they ought to be.
                    roster.seat(Seat { bot, generation: None });
                }
                let cause = refusal.cause.clone();
                self.file.tried(Err(refusal));
                Some(Outcome::Refused(cause))
            }
        }
    }

    fn admit(&self, generation: Generation) -> Result<Generation, Refusal> {
        let content = generation.plugin.hash;
        let is_kept_out = self.quarantined.iter().any(|kept_out| kept_out.covers(content, &generation.bot));
        if is_kept_out {
            let bot = &generation.bot.name;
            return Err(Refusal {
                content: Some(content),
                cause: format!(
                    "{:?} failed again and again and was taken back; change it, or let it run with `hearth reload --lift {bot}`",
                    generation.plugin
                ),
            });
        }
        Ok(generation)
    }

    /// Puts the last good generation in the place of one that fails, if there is one.
    pub(super) fn roll_back(&mut self, running: &Arc<Generation>, roster: &Roster) {
        let Some(before) = self.before.take() else { return };
        let content = running.plugin.hash;
        let bot = (before.plugin.hash == content).then(|| Arc::clone(&running.bot));
        if self.quarantined.len() == QUARANTINED {
            self.quarantined.remove(0);
        }
        self.quarantined.push(Quarantined { content, bot });
        let name = &running.bot.name;
        tracing::error!(
            bot = %name, failed = ?running.plugin, generation = running.number, again = before.number,
            "its calls fail again and again; the generation before it runs again, and this content is not loaded until it changes (`hearth reload --lift {name}` lifts that)"
        );
        count(name, "taken-back");
        self.since = Timestamp::now();
        self.refused = Some(Refused {
            content: Some(content.to_string()),
            cause: format!("{:?} failed again and again as generation {}", running.plugin, running.number),
            at: self.since,
        });
        roster.seat(Seat { bot: Arc::clone(&before.bot), generation: Some(before) });
    }

    /// Lets everything in again.
    pub(super) fn lift(&mut self) -> Vec<String> {
        self.file.again(Instant::now());
        self.quarantined.drain(..).map(|kept_out| kept_out.content.to_string()).collect()
    }

    /// Says why the wanted one does not run.
    pub(super) fn complain(&mut self, roster: &Roster, refusal: Refusal) {
        let (bot, plugin) = (&self.wanted.name, self.wanted.plugin.display());
        let running = roster.bot(bot.as_str()).and_then(|seat| seat.generation);
        if let Some(running) = running {
            tracing::error!(
                %bot, %plugin, error = refusal.cause, generation = running.number,
                "what changed can't be put in place; what ran before runs on"
            );
        } else {
            tracing::error!(
                %bot, %plugin, error = refusal.cause,
                "the plugin can't be loaded; the other bots run without this one"
            );
        }
        count(bot, "refused");
        let content = refusal.content.map(|content| content.to_string());
        self.refused = Some(Refused { content, cause: refusal.cause, at: Timestamp::now() });
    }

    /// The same without waiting for the file to change once more.
    pub(super) fn complain_now(&mut self, roster: &Roster) {
        if let Some(refusal) = self.file.give_up(Instant::now()) {
            self.complain(roster, refusal);
        }
    }

    pub(super) fn status(&self, name: &BotName, roster: &Roster) -> BotStatus {
        let running = roster.bot(name.as_str()).and_then(|seat| seat.generation);
        BotStatus {
            bot: name.clone(),
            running: running.map(|running| Running {
                generation: running.number,
                plugin: running.plugin.name.clone(),
                version: running.plugin.version.clone(),
                hash: running.plugin.hash.to_string(),
                settings: running.settings_hash(),
                compiler: running.plugin.compiler(),
                since: self.since,
            }),
            refused: self.refused.clone(),
            quarantined: self.quarantined.iter().map(|kept_out| kept_out.content.to_string()).collect(),
        }
    }
}

// === impl Quarantined ===

impl Quarantined {
    fn covers(&self, content: ContentHash, bot: &Bot) -> bool {
        self.content == content && self.bot.as_ref().is_none_or(|kept_out| **kept_out == *bot)
    }
}

fn count(bot: &BotName, outcome: &'static str) {
    metrics::counter!("hearth_reloads_total", "bot" => bot.to_string(), "outcome" => outcome).increment(1);
}

fn is_same(running: &Generation, new: &Generation) -> bool {
    running.plugin.hash == new.plugin.hash && running.bot == new.bot
}

/// What to go back to from a new generation: the one that runs, if it is not known to be worse than the one before it.
fn fallback<G: Judged>(running: Option<G>, before: Option<G>) -> Option<G> {
    let running = running?;
    match (running.judge(), before) {
        (Verdict::Sound | Verdict::Proven, _) | (Verdict::Unknown | Verdict::Doubtful, None) => Some(running),
        (_, before) => before,
    }
}

trait Judged {
    fn judge(&self) -> Verdict;
}

impl Judged for Arc<Generation> {
    fn judge(&self) -> Verdict {
        self.verdict()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Judged for (u8, Verdict) {
        fn judge(&self) -> Verdict {
            self.1
        }
    }

    #[test]
    fn the_way_back_leads_to_the_last_one_that_is_not_known_to_be_bad() {
        use Verdict::{Broken, Doubtful, Proven, Sound, Unknown};
        let from = |running, before: Option<Verdict>| {
            fallback(Some((2, running)), before.map(|before| (1, before))).map(|(number, _)| number)
        };
        assert_eq!(fallback::<(u8, Verdict)>(None, None), None, "the first one");
        for (running, alone, behind_another) in [
            (Unknown, Some(2), Some(1)),
            (Sound, Some(2), Some(2)),
            (Proven, Some(2), Some(2)),
            (Doubtful, Some(2), Some(1)),
            (Broken, None, Some(1)),
        ] {
            assert_eq!(from(running, None), alone, "{running:?}");
            assert_eq!(from(running, Some(Sound)), behind_another, "{running:?}");
        }
    }
}
