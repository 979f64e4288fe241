//! What happens to the files.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{
    BOTS,
    builds::{Builds, hash},
};
use crate::{chance::Chance, chaos::verdict::Fault, outside::Outside};

/// How often a plugin file is replaced.
const PLUGIN: Duration = Duration::from_millis(100);
/// How many of those come to one replacement of bots.toml.
const CONFIG: u32 = 5;
/// How many builds there are. What was compiled once is kept, so that most replacements are quick ones.
const BUILDS: u64 = 16;
/// The bots' plugin files, in the bots' order. The first two share one.
const FILES: [&str; 4] = ["shared.wasm", "shared.wasm", "third.wasm", "fourth.wasm"];
/// A slow copy comes in so many pieces, with this pause between them.
const PIECES: usize = 4;
const PAUSE: Duration = Duration::from_millis(15);

/// A deployment's files, and chance.
pub(super) struct Storm {
    pub(super) builds: Builds,
    /// How often each thing happened.
    pub(super) troubles: BTreeMap<&'static str, u64>,
    folder: PathBuf,
    /// bots.toml as it is right.
    sound: String,
    /// What the host is to run when the storm is over.
    last: u64,
    chance: Chance,
}

impl Storm {
    /// Puts right files in the folder of a deployment.
    ///
    /// # Panics
    /// If the folder can't be written to.
    pub(super) fn new(folder: &Path, builds: Builds, chance: Chance) -> Self {
        let config = folder.join("bots.toml");
        let mut sound = fs::read_to_string(&config).expect("there is a configuration");
        for (bot, file) in BOTS.iter().zip(FILES) {
            // An answer that is announced first is two messages.
            let plugin =
                format!("plugin = '{}'\nprogress-after = \"0s\"", folder.join("bots").join(file).display());
            sound = sound.replace(&format!("plugin = \"{bot}\""), &plugin);
        }
        fs::create_dir(folder.join("bots")).expect("the folder is writable");
        let folder = folder.to_owned();
        let mut storm = Self { builds, troubles: BTreeMap::new(), folder, sound, last: BUILDS, chance };
        storm.calm();
        storm
    }

    /// Replaces files until then.
    pub(super) async fn rage(&mut self, until: Instant) {
        let mut ticks = interval(PLUGIN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for tick in 1_u32.. {
            if ticks.tick().await >= until {
                return;
            }
            self.replace_plugin().await;
            if tick.is_multiple_of(CONFIG) {
                self.replace_config();
            }
        }
    }

    /// Puts right files back, and waits until the host runs them.
    ///
    /// # Errors
    /// If it doesn't.
    pub(super) async fn is_over(&mut self, outside: &Outside) -> Result<(), Fault> {
        let hash = self.calm();
        let reloaded = outside.hearth(&["reload"]).await;
        let status = outside.hearth(&["status"]).await;
        if status.matches(&hash).count() == BOTS.len() && !status.contains("refused") {
            return Ok(());
        }
        Err(Fault(format!("{hash} is right, and not what runs:\n{reloaded}\n{status}")))
    }

    /// Puts right files back; answers the hash of the plugins.
    fn calm(&mut self) -> String {
        self.last += 1;
        let build = self.builds.numbered(self.last);
        for file in FILES {
            self.save(&self.plugin(file), &build);
        }
        self.save(&self.folder.join("bots.toml"), self.sound.as_bytes());
        hash(&build)
    }

    async fn replace_plugin(&mut self) {
        let file = self.chance.one(&FILES).map(|file| self.plugin(file)).unwrap_or_default();
        let build = self.chance.number(0..BUILDS);
        let build = self.builds.numbered(build);
        let trouble = match self.chance.number(0..16) {
            0..=6 => {
                self.save(&file, &build);
                "plugins moved into place"
            }
            7..=8 => {
                copy(&file, &build).await;
                "plugins copied slowly"
            }
            9 => {
                write(&file, &build);
                "plugins written in place"
            }
            10 => {
                self.save(&file, self.builds.half());
                "half plugins"
            }
            11 => {
                self.save(&file, &self.builds.for_another_host());
                "plugins for another host"
            }
            12 => {
                self.save(&file, self.builds.mute());
                "plugins that can't say who they are"
            }
            13 => {
                // It may be gone already.
                let _ = fs::remove_file(&file);
                "plugins removed"
            }
            14 => {
                write(&file, b"");
                "empty plugins"
            }
            _ => {
                write(&file.with_extension("wasm~"), &build);
                "plugins left beside theirs"
            }
        };
        *self.troubles.entry(trouble).or_default() += 1;
    }

    fn replace_config(&mut self) {
        let mut toml = self.sound.clone();
        let colour = self.chance.number(0..1_000);
        // Some of these are no change.
        let trouble = match self.chance.number(0..8) {
            0..=2 => {
                let bot = self.chance.one(&BOTS).unwrap_or_default();
                set(&mut toml, &format!("[bots.{bot}.settings]\ncolour = {colour}"));
                "settings of a bot"
            }
            3 => {
                set(&mut toml, &passing("passing"));
                "a bot more"
            }
            4 => {
                set(&mut toml, &passing("renamed"));
                "a bot renamed"
            }
            5 => {
                // One bot's mistake, and another one's change.
                let (wrong, right) = (BOTS[0], BOTS[3]);
                toml = toml.replace(&format!("[bots.{wrong}]"), &format!("[bots.{wrong}]\nmax-turns = 0"));
                set(&mut toml, &format!("[bots.{right}.settings]\ncolour = {colour}"));
                "a bot with a mistake"
            }
            6 => {
                let quote = toml.rfind("bot-key = \"").expect("bots have keys") + "bot-key = \"".len();
                toml.truncate(quote + 2);
                "half files"
            }
            _ => "files as they were",
        };
        let config = self.folder.join("bots.toml");
        // A file that is written in place is empty for a moment, and no longer: what is gone for a second is gone.
        if self.chance.number(0..4) == 0 {
            write(&config, toml.as_bytes());
        } else {
            self.save(&config, toml.as_bytes());
        }
        *self.troubles.entry(trouble).or_default() += 1;
    }

    fn plugin(&self, file: &str) -> PathBuf {
        self.folder.join("bots").join(file)
    }

    /// Saves as careful editors do: beside the file, and then over it.
    fn save(&self, file: &Path, content: &[u8]) {
        let beside = self.folder.join("beside");
        write(&beside, content);
        fs::rename(beside, file).expect("the folder is writable");
    }
}

/// A bot that nobody speaks to, under a name of its own and with always the same key.
fn passing(name: &str) -> String {
    format!(
        "[bots.{name}]\nplugin = \"echo\"\nbot-key = \"900-abcdefghijkl\"\nwebhook-secret = \"nobody-knows-this-one\""
    )
}

fn set(toml: &mut String, table: &str) {
    write!(toml, "\n{table}\n").expect("a String takes what is written");
}

fn write(file: &Path, content: &[u8]) {
    fs::write(file, content).expect("the folder is writable");
}

async fn copy(file: &Path, content: &[u8]) {
    let mut copy = fs::File::create(file).expect("the folder is writable");
    for piece in content.chunks(content.len() / PIECES + 1) {
        copy.write_all(piece).expect("the folder is writable");
        sleep(PAUSE).await;
    }
}
