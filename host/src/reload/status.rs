//! What runs, and what a reload came to, for people and programs.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    id::{BotName, Timestamp},
    plugin::Compiler,
};

/// What runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The file that says what ought to.
    pub config: ConfigStatus,
    /// By name.
    pub bots: Vec<BotStatus>,
}

/// `bots.toml`, as it was last read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConfigStatus {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub refused: Option<Refused>,
    /// Keys that have changed and are only read at the start.
    pub restart: Vec<String>,
}

/// One bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BotStatus {
    /// Its name.
    pub bot: BotName,
    /// None while its plugin can't be loaded.
    pub running: Option<Running>,
    /// What was refused since the running one was put in place.
    pub refused: Option<Refused>,
    /// Contents that failed again and again, and are not loaded.
    pub quarantined: Vec<String>,
}

/// A generation that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Running {
    /// Counts up per bot while the host runs.
    pub generation: u64,
    /// The plugin's own name.
    pub plugin: String,
    /// Its own version.
    pub version: String,
    /// Of its file, as the journal has it.
    pub hash: String,
    /// The hash of the bot's settings.
    pub settings: String,
    /// What compiled it. It is Winch until Cranelift has done so too.
    pub compiler: Compiler,
    /// Since when it runs.
    pub since: Timestamp,
}

/// What could not be put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Refused {
    /// The hash of the content; none if it can't be read, or is not a plugin's.
    pub content: Option<String>,
    /// Why.
    pub cause: String,
    /// When.
    pub at: Timestamp,
}

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reloaded {
    /// What is wrong with `bots.toml`. The bots that it names keep what they had.
    pub config: Option<String>,
    /// Keys that have changed and are only read at the start.
    pub restart: Vec<String>,
    /// Each bot.
    pub bots: BTreeMap<BotName, Outcome>,
}

/// What a reload came to for one bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It runs what it ran.
    Unchanged,
    /// This generation is in place.
    Live(u64),
    /// It can't be put in place; what ran before still does.
    Refused(String),
    /// It is gone from `bots.toml`.
    Removed,
}

/// Where the status can be read at any time. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Board(watch::Sender<Status>);

impl Board {
    pub(super) fn put(&self, status: Status) {
        self.0.send_if_modified(|shown| {
            let is_new = *shown != status;
            *shown = status;
            is_new
        });
    }

    pub(super) fn get(&self) -> Status {
        self.0.borrow().clone()
    }

    pub(super) fn changes(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }
}
