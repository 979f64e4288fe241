//! `bots.toml`, read and checked: what the rest of the host sees is complete, consistent and has every secret resolved.
//!
//! - A [`Config`] exists only if the whole file is right; otherwise there are [`Problems`], all of them from one run.
//! - Paths are absolute. Defaults are filled in.
//! - No secret is shown: `Debug` hides it, and reports show the file with its secrets covered.
//!
//! Each table of the file has a module, with three things in it: what the rest of the host sees, what may be written (`Raw…`:
//! every key, its default, and what editors say about it), and the checks that make the one of the other. Nothing of what may
//! be written derives `Debug`: secrets pass through as they are written.
//!
//! The way of the text: `read` parses it and takes out what does not fit the types of what may be written (`shape` finds
//! unknown keys by the JSON Schema of these types), the tables' checks, put together from those of single values in `check`,
//! turn what is left into what the host sees, `secret` fetches what is not in the file itself, and every step tells `problem`
//! about each `mistake`, which has a `remedy`. A file that is no TOML in one line is still checked in the others, but nothing
//! is called missing then.

mod agent;
mod bot;
mod campfire;
pub mod cases;
mod check;
mod cron;
mod host;
mod http;
mod limits;
mod located;
mod mask;
mod mistake;
mod place;
mod problem;
mod read;
mod remedy;
mod same;
mod secret;
mod settings;
mod shape;
mod store;
#[cfg(test)]
mod tests;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::Deserialize;

use self::{
    agent::RawAgent,
    bot::{NAME_PATTERN, RawBot, Shared},
    campfire::RawCampfire,
    check::{Checked, Checks},
    host::RawHost,
    located::Located,
    problem::{Findings, Source},
    secret::{Surroundings, read_limited},
    store::RawStore,
};
pub use self::{
    agent::{Agent, Deadlines, Sandbox, Warm},
    bot::{Bot, Grant},
    campfire::Campfire,
    cron::{Cron, Schedule, TIMER_NAME_BYTES, TIMER_PAYLOAD_BYTES},
    host::{Admin, Host},
    http::{HttpHost, is_reserved},
    limits::Limits,
    mistake::Mistake,
    place::Place,
    problem::{Problem, Problems},
    shape::schema,
    store::{NamedStore, RedisLocation, StoreLocation},
};
use crate::id::BotName;

/// The longest file that is read, in bytes. Long prompts have files of their own.
const FILE_LIMIT: u64 = 1 << 20;

/// A whole deployment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// `[host]`
    pub host: Host,
    /// `[campfire]`; none in a deployment that only knows the playground.
    pub campfire: Campfire,
    /// `[store]`
    pub store: StoreLocation,
    /// `[agent]`
    pub agent: Agent,
    /// `[bots.<name>]`
    pub bots: BTreeMap<BotName, Arc<Bot>>,
    /// For problems that only show when it is used in production.
    source: Source,
    /// Where each bot's name stands in the source.
    places: BTreeMap<BotName, Range<usize>>,
    /// The files that values were taken from.
    pub files: BTreeSet<PathBuf>,
}

/// A deployment as far as it is right: a bot with a mistake takes only itself out of it.
#[derive(Debug)]
pub struct Salvage {
    /// Without the bots that have mistakes. It may have none left.
    pub config: Config,
    /// What is wrong with these.
    pub refused: BTreeMap<BotName, Problems>,
}

/// A deployment of Hearth: where it listens, which Campfire it serves, which agent answers, and its bots.
/// Relative paths start at this file's folder.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
#[schemars(title = "bots.toml", extend("required" = ["bots"]))]
struct RawConfig {
    /// The host process.
    host: RawHost,
    /// The Campfire whose bots these are.
    campfire: RawCampfire,
    /// Where conversations, the inbox and the journal are kept.
    store: RawStore,
    /// The command-line agent that answers what a plugin asks.
    agent: RawAgent,
    /// One table per bot: `[bots.<name>]`. A name is made of lower-case letters, digits and dashes, at most 32.
    #[schemars(extend("minProperties" = 1, "propertyNames" = { "pattern": NAME_PATTERN }))]
    bots: Located<BTreeMap<Located<String>, RawBot>>,
}

impl Default for Located<BTreeMap<Located<String>, RawBot>> {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

// === impl Config ===

impl Config {
    /// Reads the file at `path`, with this process's environment.
    ///
    /// # Errors
    /// Everything that is wrong with it. Files longer than 1 MiB are not read.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::parse(path, &text(path)?, &|name| std::env::var(name).ok())
    }

    /// Makes a deployment of `source`, the text of the file at `path`. `environment` looks variables up; files that
    /// the text names are read.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        path: &Path,
        source: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problems> {
        let (made, findings) = Self::make(path, source, environment)?;
        findings.conclude(made)
    }

    /// What can be made of `source`, and everything that is wrong with it.
    fn make(
        path: &Path,
        source: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Checked<Self>, Findings), Problems> {
        let absolute = std::path::absolute(path)
            .map_err(|source| Problems::of_file(path, Mistake::Unreadable { source }))?;
        let folder = absolute.parent().unwrap_or(&absolute);
        let (raw, findings, shown) = read::read::<RawConfig>(path, source, &shape::SCHEMA);
        let mut checks = Checks { findings, surroundings: Surroundings::new(folder, environment) };
        let host = checks.host(&raw.host);
        let campfire = checks.campfire(&raw.campfire);
        let store = checks.store(
            &raw.store,
            host.as_ref().map(|host| host.data_dir.as_path()).map_err(|reported| *reported),
        );
        let agent = checks.agent(&raw.agent);
        let shared = Shared {
            campfire_url: campfire.as_ref().ok().and_then(|campfire| campfire.url.as_ref()),
            plugins: host.as_ref().map(|host| host.plugins.as_path()).map_err(|reported| *reported),
        };
        let bots = checks.bots(&raw.bots, &shared);
        let place = |name: &Located<String>| (BotName::from(name.get().as_str()), name.span());
        let places = raw.bots.get().keys().map(place).collect();
        let files = checks.surroundings.files.take();
        let config = || {
            Ok(Self {
                path: path.to_owned(),
                host: host?,
                campfire: campfire?,
                store: store?,
                agent: agent?,
                bots,
                source: shown,
                places,
                files,
            })
        };
        let made = config();
        Ok((made, checks.findings))
    }

    /// Whether every bot has what it needs outside the playground: a bot key, a webhook secret and a Campfire.
    ///
    /// # Errors
    /// One problem for each bot that lacks any of them, at its table, with the lines to add.
    pub fn for_production(&self) -> Result<(), Problems> {
        let mut findings = Findings::new(self.source.clone());
        self.find_unready(&mut findings);
        findings.conclude(Ok(()))
    }

    fn find_unready(&self, findings: &mut Findings) {
        for (name, bot) in &self.bots {
            let needs = [
                ("`bot-key`", bot.bot_key.is_some()),
                ("`webhook-secret`", bot.webhook_secret.is_some()),
                ("`campfire-url`", bot.campfire_url.is_some()),
            ];
            let lacks: Vec<_> = needs.iter().filter(|(_, is_there)| !is_there).map(|(key, _)| *key).collect();
            if !lacks.is_empty() {
                let place = self.places.get(name).cloned().unwrap_or_default();
                findings.about_bot(name.as_str());
                findings.add(place, Mistake::PlaygroundOnly { bot: name.to_string(), lacks });
            }
        }
    }

    /// The keys that have other values in `new` and are only read at the start.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let (host, agent) = (&self.host, &self.agent);
        let changed = [
            ("[host] listen", host.listen != new.host.listen),
            ("[host] data-dir", host.data_dir != new.host.data_dir),
            ("[host] admin", host.admin != new.host.admin),
            ("[host] turns-in-flight", host.turns_in_flight != new.host.turns_in_flight),
            ("[host] queue-limit", host.queue_limit != new.host.queue_limit),
            ("[host] bot-hops", host.bot_hops != new.host.bot_hops),
            ("[host] max-body", host.max_body != new.host.max_body),
            ("[host] shutdown-grace", host.shutdown_grace != new.host.shutdown_grace),
            ("[host] inbox-retention", host.inbox_retention != new.host.inbox_retention),
            ("[host] journal-retention", host.journal_retention != new.host.journal_retention),
            ("[campfire] timeout", self.campfire.timeout != new.campfire.timeout),
            ("[store]", self.store != new.store),
            ("[agent] command", agent.command != new.agent.command),
            ("[agent] wrapper", agent.wrapper != new.agent.wrapper),
            ("[agent] nice", agent.nice != new.agent.nice),
            ("[agent] sandbox", agent.sandbox != new.agent.sandbox),
            ("[agent] environment", agent.environment != new.agent.environment),
            ("[agent] starts", agent.starts != new.agent.starts),
            ("[agent.deadlines]", agent.deadlines != new.agent.deadlines),
            ("[agent.warm]", agent.warm != new.agent.warm),
        ];
        changed.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
    }
}

// === impl Salvage ===

impl Salvage {
    /// Reads the file at `path`, with this process's environment.
    ///
    /// # Errors
    /// What is wrong with it, if anything of that is not in a bot's own table: a file that is no TOML, or has a mistake in
    /// `[host]`, says nothing reliable about its bots.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        Self::parse(path, &text(path)?, &|name| std::env::var(name).ok())
    }

    /// The same where no secret is used: for a variable that is not set something stands in that fits anywhere.
    ///
    /// # Errors
    /// As above.
    pub fn without_secrets(path: &Path) -> Result<Self, Problems> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::parse(path, &text(path)?, &|name| set(name).or_else(|| Some(secret::stand_in(name))))
    }

    /// The same for the text of the file.
    ///
    /// # Errors
    /// As above.
    pub fn parse(
        path: &Path,
        source: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problems> {
        let (made, findings) = Config::make(path, source, environment)?;
        let (mut config, refused) = findings.conclude_by_bot(made)?;
        config.bots.retain(|name, _| !refused.contains_key(name));
        Ok(Self { config, refused })
    }

    /// The same without the bots that only the playground could run.
    #[must_use]
    pub fn for_production(mut self) -> Self {
        let mut findings = Findings::new(self.config.source.clone());
        self.config.find_unready(&mut findings);
        // Each of these is a bot's own.
        if let Ok(((), unready)) = findings.conclude_by_bot(Ok(())) {
            self.config.bots.retain(|name, _| !unready.contains_key(name));
            self.refused.extend(unready);
        }
        self
    }
}

/// What the file at `path` says.
fn text(path: &Path) -> Result<String, Problems> {
    let bytes = read_limited(path, FILE_LIMIT)
        .map_err(|source| Problems::of_file(path, Mistake::Unreadable { source }))?;
    String::from_utf8(bytes).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = String::from_utf8_lossy(sound).matches('\n').count() + 1;
        Problems::of_file(path, Mistake::NotUtf8 { line })
    })
}
