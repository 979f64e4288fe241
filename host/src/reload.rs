//! A plugin file that changes is loaded and put in place while the host runs; until that succeeds, what ran keeps running.
//!
//! - The next turn runs the new generation; a turn that runs keeps the one it began with.
//! - Only content counts: a file that was touched, moved or written again with the same bytes changes nothing.
//! - A file is loaded once it holds still for [`SETTLED`]. One that is no complete plugin may still be on its way; it is
//!   complained about once it has held still for [`GIVEN_UP`], and once per content.
//! - The file system tells of changes where it can. Where it can't (bind mounts, network file systems, folders that come
//!   and go, links that are switched), looking at the files every [`LOOK`] finds them a little later.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    causes::with_causes,
    id::BotName,
    plugin::{ContentHash, Loader, Roster, Seat},
};

/// How long a file has to stay as it is before it is loaded.
const SETTLED: Duration = Duration::from_millis(30);
/// How long a file that can't be loaded has to stay as it is before that is said.
const GIVEN_UP: Duration = Duration::from_secs(1);
/// How often the files are looked at without being told of a change.
const LOOK: Duration = Duration::from_secs(2);

/// Watches the plugin files of all bots and reloads what changes. Runs until it is dropped.
pub async fn watch(loader: &Loader, roster: &Roster) {
    let changed = Arc::new(Notify::new());
    let mut folders = Folders::new(&changed);
    let mut files: HashMap<BotName, Followed> = HashMap::new();
    loop {
        let mut look = Instant::now() + LOOK;
        for seat in roster.seats() {
            let file = &seat.bot.plugin;
            folders.follow(file.parent().unwrap_or(file)).await;
            let stamp = Stamp::of(file).await;
            // What could not be loaded at the start was said there.
            let followed = files
                .entry(seat.bot.name.clone())
                .or_insert_with(|| Followed::new(stamp, Instant::now(), seat.generation.is_none()));
            match followed.see(stamp, Instant::now()) {
                Step::Wait => {}
                Step::Load => followed.tried(load(loader, roster, &seat).await),
                Step::Complain(refusal) => {
                    complain(&seat, &refusal);
                    roster.note(&seat.bot.name, Some(refusal.cause));
                }
            }
            look = look.min(followed.due().unwrap_or(look));
        }
        tokio::select! {
            () = changed.notified() => {}
            () = sleep_until(look) => {}
        }
    }
}

/// Loads a bot's plugin, and puts it in place if it is another one than runs.
async fn load(loader: &Loader, roster: &Roster, seat: &Seat) -> Result<(), Refusal> {
    let began = Instant::now();
    let running = seat.generation.as_ref();
    let number = running.map_or(1, |running| running.number + 1);
    let generation = match loader.load(&seat.bot, number).await {
        Ok(generation) => generation,
        Err(error) => {
            let content = ContentHash::of_file(&seat.bot.plugin).await;
            return Err(Refusal { content, cause: with_causes(&error) });
        }
    };
    roster.note(&seat.bot.name, None);
    if running.is_none_or(|running| running.plugin.hash != generation.plugin.hash) {
        tracing::info!(
            bot = %seat.bot.name,
            plugin = ?generation.plugin,
            generation = number,
            took = ?began.elapsed(),
            "reloaded; the next message runs it"
        );
        roster.seat(Seat { bot: Arc::clone(&seat.bot), generation: Some(Arc::new(generation)) });
    }
    Ok(())
}

fn complain(seat: &Seat, refusal: &Refusal) {
    let (bot, plugin) = (&seat.bot.name, seat.bot.plugin.display());
    match &seat.generation {
        Some(running) => tracing::error!(
            %bot, %plugin, error = refusal.cause, generation = running.number,
            "the changed plugin can't be loaded; the one before it runs on"
        ),
        None => {
            tracing::error!(%bot, %plugin, error = refusal.cause, "the changed plugin can't be loaded either");
        }
    }
}

/// Why a content can't be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    /// None if it can't be read.
    content: Option<ContentHash>,
    cause: String,
}

// === Followed: what is to be done about a file, from how it looks and when ===

/// How a file looks from outside; none if it isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Device and inode: a file that another one was moved over is another one.
    identity: (u64, u64),
}

impl Stamp {
    async fn of(file: &Path) -> Option<Self> {
        let metadata = tokio::fs::metadata(file).await.ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            identity: (metadata.dev(), metadata.ino()),
        })
    }
}

/// A file, as it was last seen.
#[derive(Debug)]
struct Followed {
    stamp: Option<Stamp>,
    since: Instant,
    state: State,
    /// What was complained about last.
    told: Option<Refusal>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It changed.
    Changed,
    /// It was tried, and can't be loaded as it is. It may be on its way still.
    Refused(Refusal),
    /// There is nothing to do about it until it changes.
    Settled,
}

/// What is to be done about a file now.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Wait,
    Load,
    Complain(Refusal),
}

impl Followed {
    fn new(stamp: Option<Stamp>, now: Instant, settled: bool) -> Self {
        let state = if settled { State::Settled } else { State::Changed };
        Self { stamp, since: now, state, told: None }
    }

    fn see(&mut self, stamp: Option<Stamp>, now: Instant) -> Step {
        if stamp != self.stamp {
            (self.stamp, self.since, self.state) = (stamp, now, State::Changed);
        }
        if self.due().is_none_or(|due| now < due) {
            return Step::Wait;
        }
        match std::mem::replace(&mut self.state, State::Settled) {
            State::Changed => Step::Load,
            State::Refused(refusal) if self.told.as_ref() != Some(&refusal) => {
                self.told = Some(refusal.clone());
                Step::Complain(refusal)
            }
            State::Refused(_) | State::Settled => Step::Wait,
        }
    }

    fn tried(&mut self, outcome: Result<(), Refusal>) {
        match outcome {
            Ok(()) => self.told = None,
            Err(refusal) => self.state = State::Refused(refusal),
        }
    }

    /// When there is something to do if the file stays as it is.
    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Changed => Some(self.since + SETTLED),
            State::Refused(_) => Some(self.since + GIVEN_UP),
            State::Settled => None,
        }
    }
}

// === Folders: the file system's own word of a change ===

/// The folders that are watched.
struct Folders {
    /// None where the system can't watch at all.
    watcher: Option<RecommendedWatcher>,
    /// By path, with device and inode: a folder that was deleted and made again has to be watched again.
    watched: HashMap<PathBuf, (u64, u64)>,
}

impl Folders {
    fn new(changed: &Arc<Notify>) -> Self {
        let changed = Arc::clone(changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change, and is what we do ourselves.
            if event.is_ok_and(|event| {
                !matches!(event.kind, EventKind::Access(AccessKind::Open(_) | AccessKind::Read))
            }) {
                changed.notify_one();
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::info!(%error, "files can't be watched here; they are looked at every {LOOK:?}"))
            .ok();
        Self { watcher, watched: HashMap::new() }
    }

    /// Watches the folder, if it is there and isn't watched.
    async fn follow(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        let Ok(metadata) = tokio::fs::metadata(folder).await else { return };
        let identity = (metadata.dev(), metadata.ino());
        if self.watched.get(folder) == Some(&identity) {
            return;
        }
        if self.watched.insert(folder.to_owned(), identity).is_some() {
            // The watch went with the folder that it was for.
            let _ = watcher.unwatch(folder);
        }
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            tracing::info!(folder = %folder.display(), %error, "a folder can't be watched; its files are looked at every {LOOK:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a file that is there, among some that aren't")]
    fn stamp(length: u64) -> Option<Stamp> {
        Some(Stamp { modified: None, length, identity: (1, 1) })
    }

    fn refusal(cause: &str) -> Refusal {
        Refusal { content: None, cause: cause.into() }
    }

    #[test]
    fn a_file_is_loaded_once_it_holds_still() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, true);
        assert_eq!(file.see(stamp(1), start + LOOK), Step::Wait, "it did not change");
        let changed = start + LOOK;
        assert_eq!(file.see(stamp(2), changed), Step::Wait);
        assert_eq!(file.see(stamp(3), changed + SETTLED), Step::Wait, "it grows");
        assert_eq!(file.due(), Some(changed + SETTLED + SETTLED));
        assert_eq!(file.see(stamp(3), changed + SETTLED + SETTLED), Step::Load);
        file.tried(Ok(()));
        assert_eq!(file.see(stamp(3), changed + LOOK), Step::Wait);
        assert_eq!(file.due(), None);
    }

    #[test]
    fn a_file_that_is_still_being_copied_is_not_complained_about() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, false);
        assert_eq!(file.see(stamp(1), start + SETTLED), Step::Load);
        file.tried(Err(refusal("half of it")));
        assert_eq!(file.see(stamp(1), start + SETTLED), Step::Wait);
        let grown = start + GIVEN_UP;
        assert_eq!(file.see(stamp(2), grown), Step::Wait);
        assert_eq!(file.see(stamp(2), grown + SETTLED), Step::Load);
    }

    #[test]
    fn a_refused_content_is_complained_about_once() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, false);
        for (round, expected) in [(0, Step::Complain(refusal("broken"))), (1, Step::Wait)] {
            let touched = start + LOOK * round;
            let seen = stamp(u64::from(round) + 1);
            file.see(seen, touched);
            assert_eq!(file.see(seen, touched + SETTLED), Step::Load);
            file.tried(Err(refusal("broken")));
            assert_eq!(file.see(seen, touched + GIVEN_UP), expected);
            assert_eq!(file.due(), None);
        }
    }

    #[test]
    fn a_file_that_goes_away_is_complained_about_and_loaded_when_it_is_back() {
        let start = Instant::now();
        let mut file = Followed::new(stamp(1), start, true);
        file.see(None, start);
        assert_eq!(file.see(None, start + SETTLED), Step::Load);
        file.tried(Err(refusal("missing")));
        assert_eq!(file.see(None, start + GIVEN_UP), Step::Complain(refusal("missing")));
        let back = start + LOOK;
        file.see(stamp(1), back);
        assert_eq!(file.see(stamp(1), back + SETTLED), Step::Load);
    }
}
