//! Cranelift's code for a generation that runs on Winch's: compiled behind everything else, and put in its place.

use std::{
    ptr,
    sync::{Arc, Weak},
};

use tokio::{
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use crate::{
    causes::with_causes,
    plugin::{Compiler, Generation, LoadError, Loader, Roster, Seat},
};

/// Work on a generation that runs. Dropping it gives the work up, unless the compiler is at it: that comes to its end.
pub(super) struct Behind {
    quick: Weak<Generation>,
    work: AbortHandle,
}

/// What the work came to.
pub(super) struct Optimised {
    /// What it was made of.
    quick: Arc<Generation>,
    began: Instant,
    better: Result<Option<Generation>, LoadError>,
}

// === impl Behind ===

impl Behind {
    /// Whether this bot's generation ought to be compiled again, and `begun` is no work on that.
    pub(super) fn is_due(running: &Arc<Generation>, begun: Option<&Self>) -> bool {
        running.plugin.compiler() == Compiler::Winch
            && begun.is_none_or(|begun| !ptr::eq(begun.quick.as_ptr(), Arc::as_ptr(running)))
    }

    /// Begins it.
    pub(super) fn begin(
        running: &Arc<Generation>,
        loader: &Arc<Loader>,
        works: &mut JoinSet<Optimised>,
    ) -> Self {
        let (quick, loader) = (Arc::clone(running), Arc::clone(loader));
        let work = works.spawn(Optimised::of(quick, loader));
        Self { quick: Arc::downgrade(running), work }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.work.abort();
    }
}

// === impl Optimised ===

impl Optimised {
    async fn of(quick: Arc<Generation>, loader: Arc<Loader>) -> Self {
        let began = Instant::now();
        let better = loader.optimised(&quick).await;
        Self { quick, began, better }
    }

    /// Puts it in the place of what it was made of, if that still runs.
    pub(super) fn put(self, roster: &Roster) {
        let Self { quick, began, better } = self;
        let (bot, number) = (&quick.bot.name, quick.number);
        let running = roster.bot(bot.as_str()).and_then(|seat| seat.generation);
        if !running.is_some_and(|running| Arc::ptr_eq(&running, &quick)) {
            return;
        }
        match better {
            Ok(Some(better)) => {
                roster.seat(Seat { bot: Arc::clone(&better.bot), generation: Some(Arc::new(better)) });
                tracing::info!(
                    %bot, generation = number, took = ?began.elapsed(),
                    "compiled by Cranelift too; the next message runs that"
                );
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(
                %bot, generation = number, error = with_causes(&error),
                "Cranelift can't compile what Winch could; Winch's code runs on, which is slower"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Bot, Config};

    fn echo() -> Arc<Bot> {
        let toml = "[host]\nplugins = '../plugins/dist'\n[bots.echo]\nplugin = 'echo'";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots.toml");
        Arc::clone(&Config::parse(&path, toml, &|_| None).unwrap().bots[&"echo".into()])
    }

    /// Generation `number` as Winch compiled it, in the place of what there was.
    async fn seated(loader: &Loader, number: u64, roster: &Roster) -> Arc<Generation> {
        let generation = Arc::new(loader.load(&echo(), number).await.unwrap());
        roster.seat(Seat { bot: Arc::clone(&generation.bot), generation: Some(Arc::clone(&generation)) });
        generation
    }

    fn running(roster: &Roster) -> (u64, Compiler) {
        let running = roster.bot("echo").unwrap().generation.unwrap();
        (running.number, running.plugin.compiler())
    }

    #[tokio::test]
    async fn cranelifts_code_takes_the_place_of_winchs_under_the_same_number() {
        let (loader, roster) = (Arc::new(Loader::for_development().unwrap()), Roster::default());
        let quick = seated(&loader, 7, &roster).await;
        assert_eq!(running(&roster), (7, Compiler::Winch));
        let mut works = JoinSet::new();
        assert!(Behind::is_due(&quick, None));
        let begun = Behind::begin(&quick, &loader, &mut works);
        assert!(!Behind::is_due(&quick, Some(&begun)), "it is under way");
        works.join_next().await.unwrap().unwrap().put(&roster);
        assert_eq!(running(&roster), (7, Compiler::Cranelift));
        let better = roster.bot("echo").unwrap().generation.unwrap();
        assert!(!Behind::is_due(&better, Some(&begun)));
        assert!(loader.optimised(&better).await.unwrap().is_none(), "there is nothing better");
        let again = loader.load(&echo(), 8).await.unwrap();
        assert_eq!(again.plugin.compiler(), Compiler::Cranelift, "it is there, and so it is taken");
    }

    #[tokio::test]
    async fn what_was_compiled_of_a_generation_that_runs_no_more_comes_to_nothing() {
        let (loader, roster) = (Arc::new(Loader::for_development().unwrap()), Roster::default());
        let first = seated(&loader, 1, &roster).await;
        let second = seated(&loader, 2, &roster).await;
        Optimised::of(first, Arc::clone(&loader)).await.put(&roster);
        assert_eq!(running(&roster), (2, Compiler::Winch));
        roster.remove(&"echo".into());
        Optimised::of(second, loader).await.put(&roster);
        assert!(roster.bot("echo").is_none());
    }

    #[tokio::test]
    async fn work_that_is_superseded_is_given_up() {
        let (loader, roster) = (Arc::new(Loader::for_development().unwrap()), Roster::default());
        let quick = seated(&loader, 1, &roster).await;
        let mut works = JoinSet::new();
        drop(Behind::begin(&quick, &loader, &mut works));
        assert!(works.join_next().await.unwrap().is_err_and(|error| error.is_cancelled()));
    }
}
