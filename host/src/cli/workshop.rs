//! What `hearth dev` does for authors: a plugin whose sources are saved is built, and the reload puts it in place.
//!
//! - A plugin's sources are where `hearth build` finds them: in a folder beside the one that its component is in.
//! - What is out of date at the start is built too. A component that was put there by other means is left alone.
//! - One build at a time. While one runs, or has failed, the last good code answers.
//! - How it fares, with the compiler's words, is shown in the terminal and on the playground's page.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

use super::terminal;
use crate::{
    causes::with_causes,
    id::Timestamp,
    playground::{Build, BuildState, Playground},
    plugin::{ContentHash, Roster},
    reload::Folders,
    toolchain::{self, StaleReason},
};

/// How long sources have to stay as they are before they are built: editors save several files one after the other.
const SETTLED: Duration = Duration::from_millis(50);
/// How often they are looked at without being told of a change.
const LOOK: Duration = Duration::from_secs(2);
/// How long it may take until what was built is in place.
const LIVE: Duration = Duration::from_secs(10);
/// How many folders of one plugin's sources are watched; in others, changes are found by looking.
const FOLDERS: usize = 100;

/// Builds what is saved.
pub(super) struct Workshop {
    /// Whose plugins.
    pub(super) roster: Arc<Roster>,
    /// Where people look.
    pub(super) playground: Playground,
}

/// A plugin's sources, as they were found.
struct Found {
    /// The component.
    plugin: PathBuf,
    project: PathBuf,
    /// The sources' hash.
    sources: String,
    /// Whether the component is what these sources make, or not theirs.
    is_fresh: bool,
    folders: Vec<PathBuf>,
}

/// Sources, as they were last seen.
#[derive(Debug)]
struct Followed {
    sources: String,
    since: Instant,
    /// The hash of those that were built last, well or not.
    tried: Option<String>,
}

// === impl Workshop ===

impl Workshop {
    /// Runs until it is dropped.
    pub(super) async fn run(self) {
        let changed = Arc::new(Notify::new());
        let mut folders = Folders::new(&changed);
        let mut followed: BTreeMap<PathBuf, Followed> = BTreeMap::new();
        // What became of each project's last build.
        let mut builds: BTreeMap<PathBuf, Build> = BTreeMap::new();
        loop {
            let mut look = Instant::now() + LOOK;
            let found = self.found().await;
            let before = builds.len();
            builds.retain(|project, _| found.iter().any(|found| found.project == *project));
            if builds.len() < before {
                self.playground.show_builds(builds.values().cloned().collect());
            }
            for found in found {
                for folder in &found.folders {
                    folders.follow(folder).await;
                }
                let now = Instant::now();
                let project =
                    followed.entry(found.project.clone()).or_insert_with(|| Followed::new(&found, now));
                if project.is_due(&found.sources, now) {
                    let saved = project.since;
                    let mut show = |state| {
                        let plugin = found.name();
                        let build = Build { plugin, since: Timestamp::now(), state };
                        builds.insert(found.project.clone(), build);
                        self.playground.show_builds(builds.values().cloned().collect());
                    };
                    show(BuildState::Building);
                    show(self.build(&found, saved).await);
                }
                look = look.min(project.due().unwrap_or(look));
            }
            tokio::select! {
                () = changed.notified() => {}
                () = sleep_until(look) => {}
            }
        }
    }

    /// The sources of the plugins that the bots use, where there are any.
    async fn found(&self) -> Vec<Found> {
        let plugins: BTreeSet<_> = self.roster.seats().iter().map(|seat| seat.bot.plugin.clone()).collect();
        let find = move || plugins.into_iter().filter_map(|plugin| find(&plugin)).collect();
        tokio::task::spawn_blocking(find).await.unwrap_or_default()
    }

    /// Builds a plugin, and says what came of it.
    async fn build(&self, found: &Found, saved: Instant) -> BuildState {
        let (name, out) = (found.name(), found.plugin.parent().unwrap_or(Path::new("")));
        terminal::note(&format!("… {name}: building"));
        let built = match toolchain::build(&found.project, out).await {
            Ok(built) => built,
            Err(error) => {
                let cause = with_causes(&error);
                terminal::note(&format!("✗ {cause}; the last good code answers"));
                let words = error.words().map_or(cause, str::to_owned);
                return BuildState::Failed { why: format!("{name} can't be built"), words };
            }
        };
        let (took, hash) = (built.took, ContentHash::of_file(&built.path).await);
        let mut changes = self.roster.changes();
        let runs = |_: &u64| {
            let seats = self.roster.seats().into_iter().filter(|seat| seat.bot.plugin == found.plugin);
            seats.into_iter().all(|seat| seat.generation.map(|running| running.plugin.hash) == hash)
        };
        let live = timeout(LIVE, changes.wait_for(runs)).await.is_ok();
        let after = saved.elapsed();
        if live {
            terminal::note(&format!("✓ {name}: live {after:.2?} after it was saved (built in {took:.2?})"));
            return BuildState::Live { after: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) };
        }
        terminal::note(&format!("✗ {name}: built in {took:.2?}, and not in place; the log says why"));
        BuildState::Failed {
            why: format!("{name} is built, and can't be put in place"),
            words: String::new(),
        }
    }
}

// === impl Found ===

impl Found {
    /// The plugin's name.
    fn name(&self) -> String {
        self.plugin.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The sources of a component; nothing if it has none here, or they can't be read now.
fn find(plugin: &Path) -> Option<Found> {
    let project = toolchain::sources_of(plugin).ok()??;
    let sources = toolchain::sources_hash(&project).ok()?;
    let stale = toolchain::stale(plugin.parent()?, std::slice::from_ref(&project)).ok()?;
    let is_fresh = !stale.iter().any(|stale| stale.reason != StaleReason::ComponentChanged);
    let mut folders = vec![project.clone()];
    let mut next = 0;
    while let Some(folder) = folders.get(next).filter(|_| folders.len() < FOLDERS) {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let below = below.map(|entry| entry.path()).filter(|path| !is_output(path));
        folders.extend(below.collect::<Vec<_>>());
        next += 1;
    }
    Some(Found { plugin: plugin.to_owned(), project, sources, is_fresh, folders })
}

/// Whether tools write there, and people don't.
fn is_output(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || ["target", "node_modules", "dist", "__pycache__"].contains(&&*name)
}

// === impl Followed ===

impl Followed {
    fn new(found: &Found, now: Instant) -> Self {
        let sources = found.sources.clone();
        let tried = found.is_fresh.then(|| sources.clone());
        Self { sources, since: now, tried }
    }

    /// Whether these sources are to be built now. They are, once.
    fn is_due(&mut self, sources: &str, now: Instant) -> bool {
        if self.sources != sources {
            (self.sources, self.since) = (sources.to_owned(), now);
        }
        let is_due = self.due().is_some_and(|due| now >= due);
        if is_due {
            self.tried = Some(self.sources.clone());
        }
        is_due
    }

    /// When they are to be built if they stay as they are.
    fn due(&self) -> Option<Instant> {
        (self.tried.as_ref() != Some(&self.sources)).then_some(self.since + SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn sources_are_built_once_they_hold_still_and_once_each() {
        let start = Instant::now();
        let mut followed = Followed { sources: "a".into(), since: start, tried: Some("a".into()) };
        assert!(!followed.is_due("a", start + LOOK), "they did not change");
        assert!(!followed.is_due("b", start + LOOK));
        assert!(!followed.is_due("c", start + LOOK + SETTLED), "they changed again");
        assert!(followed.is_due("c", start + LOOK + SETTLED * 2));
        assert!(!followed.is_due("c", start + LOOK * 9), "well or not, they were built");
        followed.is_due("a", start + LOOK * 10);
        assert!(followed.is_due("a", start + LOOK * 11), "taken back is changed too");
    }

    #[test]
    fn the_sources_beside_a_component_are_found_with_the_folders_to_watch() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("plugins/mybot");
        for folder in ["src/parts", "target/debug"] {
            fs::create_dir_all(project.join(folder)).unwrap();
        }
        fs::write(project.join("src/lib.rs"), "").unwrap();
        let manifest = "[package]\nname = \"mybot\"\n[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nhearth-plugin = \"1\"";
        fs::write(project.join("Cargo.toml"), manifest).unwrap();
        let found = find(&root.path().join("plugins/dist/mybot.wasm")).unwrap();
        assert!(!found.is_fresh, "it was never built");
        let below =
            found.folders.iter().map(|folder| folder.strip_prefix(&project).unwrap().to_str().unwrap());
        assert_eq!(below.collect::<Vec<_>>(), ["", "src", "src/parts"]);
        assert!(find(&root.path().join("plugins/dist/other.wasm")).is_none());
        let before = found.sources;
        fs::write(project.join("src/lib.rs"), "// saved").unwrap();
        assert_ne!(find(&root.path().join("plugins/dist/mybot.wasm")).unwrap().sources, before);
    }
}
