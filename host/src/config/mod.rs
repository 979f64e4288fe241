//! `bots.toml`, read and checked: what the rest of the host sees is complete, consistent and has every secret resolved.
//!
//! - A [`Config`] exists only if the whole file is right; otherwise there are [`Problems`], all of them from one run.
//! - Paths are absolute. Defaults are filled in.
//! - No secret is shown: `Debug` hides it, and reports show the file with its secrets covered.
//!
//! The way of the text: `read` parses it and takes out what does not fit the types in `raw` (`shape` finds unknown keys by
//! the JSON Schema of these types), `check` and `bot` turn what is left into the types below, `secret` fetches what is not
//! in the file itself, and every step tells `problem` about each `mistake`, which has a `remedy`. A file that is no TOML in
//! one line is still checked in the others, but nothing is called missing then.

mod bot;
pub mod cases;
mod check;
mod cron;
mod http;
mod mask;
mod mistake;
mod place;
mod problem;
mod raw;
mod read;
mod remedy;
mod same;
mod secret;
mod shape;
mod store;
#[cfg(test)]
mod tests;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use self::{
    bot::Shared,
    check::{Checked, Checks},
    problem::{Findings, Source},
    secret::{Surroundings, read_limited},
};
pub use self::{
    cron::{Schedule, TIMER_NAME_BYTES, TIMER_PAYLOAD_BYTES},
    http::{HttpHost, is_reserved},
    mistake::Mistake,
    place::Place,
    problem::{Problem, Problems},
    shape::schema,
    store::{NamedStore, RedisLocation, StoreLocation},
};
use crate::id::{BotName, RoomId};

/// The longest file that is read, in bytes. Long prompts have files of their own.
const FILE_LIMIT: u64 = 1 << 20;
const BOT_NAME_LENGTH: usize = 32;
const BOT_NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,31}$";

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

/// `[host]`
#[derive(Debug, Clone)]
pub struct Host {
    /// `listen`: where webhooks arrive. Default 127.0.0.1:8787.
    pub listen: SocketAddr,
    /// `public-url`: how Campfire reaches this host, for printing webhook URLs. Default `http://<listen>`.
    pub public_url: Url,
    /// `admin` and `admin-token`: where the host shows how it is. None if that is off.
    pub admin: Option<Admin>,
    /// `data-dir`: the store and the agents' folders. Default `.hearth`. Absolute.
    pub data_dir: PathBuf,
    /// `plugins`: where `<name>.wasm` is looked up. Default `plugins/dist`. Absolute.
    pub plugins: PathBuf,
    /// `turns-in-flight`: how many turns run at once. Default 32, 1 to 1024.
    pub turns_in_flight: usize,
    /// `queue-limit`: how many unanswered messages a lane holds. Default 32, 1 to 10,000.
    pub queue_limit: u32,
    /// `bot-hops`: how many messages of bots may follow each other in a room. Default 8, 0 to 100.
    pub bot_hops: u32,
    /// `max-body`: the largest webhook body. Default 1 MiB, 1 KiB to 64 MiB.
    pub max_body: usize,
    /// `shutdown-grace`: how long running turns may take to end. Default 30 s, at most 1 h.
    pub shutdown_grace: Duration,
    /// `inbox-retention`: how long events that have ended are kept, with their answers. Default 30 days, at least 24 h
    /// (a repeated delivery is recognised for so long).
    pub inbox_retention: Duration,
    /// `journal-retention`: how long journal rows are kept. Default 30 days, at least 24 h.
    pub journal_retention: Duration,
}

/// `[host] admin`
#[derive(Debug, Clone)]
pub struct Admin {
    /// `admin`: where it listens. Default 127.0.0.1:8789.
    pub listen: SocketAddr,
    /// `admin-token`: at least 16 characters of `[A-Za-z0-9_-]`. None only if no other machine can reach it.
    pub token: Option<SecretString>,
}

/// `[campfire]`
#[derive(Debug, Clone)]
pub struct Campfire {
    /// `url`: the base URL. None in a deployment that only knows the playground; bots may name their own.
    pub url: Option<Url>,
    /// `timeout`: how long one request may take. Default 20 s, 1 ms to 24 h.
    pub timeout: Duration,
}

/// `[agent]`
#[derive(Debug, Clone)]
pub struct Agent {
    /// `command`: the CLI and its first arguments; a string is a command without arguments. `demo-agent` stands for the
    /// built-in stand-in. Default `claude`.
    pub command: Vec<String>,
    /// Whether the built-in stand-in is what runs.
    pub is_demo: bool,
    /// `environment`: names of variables handed on besides the ones every agent gets.
    pub environment: Vec<String>,
    /// `wrapper`: words that go before the command. None by default.
    pub wrapper: Vec<String>,
    /// `nice`: by how much agents give way to other programs, 0 to 19.
    pub nice: Option<i32>,
    /// `sandbox`: what agents reach of the file system. None if that is not restricted, as by default.
    pub sandbox: Option<Sandbox>,
    /// `starts`: how many processes may be starting at once. Default: the number of cores; 1 to 256.
    pub starts: usize,
    /// `[agent.warm]`
    pub warm: Warm,
    /// `[agent.deadlines]`
    pub deadlines: Deadlines,
}

/// `[agent] sandbox = "landlock"`: what agents reach besides what they need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// `sandbox-read`: to read and to run. Absolute.
    pub read: Vec<PathBuf>,
    /// `sandbox-write`: to read and to change. Absolute.
    pub write: Vec<PathBuf>,
}

/// `[agent.warm]`: processes that stay after their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warm {
    /// `processes`: how many may wait. Default 8, 0 to 256; none stays with 0.
    pub processes: usize,
    /// `memory`: how many bytes those that wait may take together. Default 1 GiB, 16 MiB to 1024 GiB.
    pub memory: usize,
    /// `idle`: how long one waits for the next message. Default 10 min, 1 s to 24 h.
    pub idle: Duration,
}

/// `[agent.deadlines]`: how long each step of an agent's turn may take, 1 ms to 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// `start`: until the process has taken the prompt. Default 20 s.
    pub start: Duration,
    /// `first-event`: from there until its first line. Default 60 s.
    pub first_event: Duration,
    /// `silence`: between two lines. Default 5 min.
    pub silence: Duration,
    /// `total`: all of it. Default 15 min.
    pub total: Duration,
    /// `exit`: from the result, or from SIGTERM, until it has ended. Default 5 s.
    pub exit: Duration,
}

/// `[bots.<name>]`
#[derive(Debug, Clone)]
pub struct Bot {
    /// The table's name: lower-case letters, digits and dashes, at most 32.
    pub name: BotName,
    /// `plugin`: a name looked up in `[host] plugins`, or a path (it has a `/` or ends in `.wasm`). Absolute here.
    pub plugin: PathBuf,
    /// `bot-key`: Campfire's `<id>-<token>`. Needed outside the playground.
    pub bot_key: Option<SecretString>,
    /// `webhook-secret`: the last segment of the webhook URL, at least 16 characters of `[A-Za-z0-9_-]`.
    /// Needed outside the playground.
    pub webhook_secret: Option<SecretString>,
    /// `campfire-url`: another Campfire than `[campfire] url`. Filled from there if absent.
    pub campfire_url: Option<Url>,
    /// `rooms`: where it answers; everywhere if empty.
    pub rooms: Vec<RoomId>,
    /// `model`
    pub model: Option<String>,
    /// `system-prompt`, or the content of `system-prompt-file`. At most 64 KiB.
    pub system_prompt: Option<String>,
    /// `builtin-tools`: the CLI's own tools it may use. None by default.
    pub builtin_tools: Vec<String>,
    /// `turns-in-flight`: how many of its turns run at once. As many as the host runs by default; 1 to 1024.
    pub turns_in_flight: Option<usize>,
    /// `spares`: how many processes are started ahead for first messages. Default 0, at most 16; none with `builtin-tools`.
    pub spares: usize,
    /// `max-turns`: model turns per message. Default 16, 1 to 1000.
    pub max_turns: u32,
    /// `budget-usd.turn`: what one message may cost.
    pub budget_usd_turn: Option<f64>,
    /// `budget-usd.day`: what may be spent from midnight to midnight UTC. Looked at before a message is asked.
    pub budget_usd_day: Option<f64>,
    /// `progress-after`: how long a turn takes before the room sees how far it is. Default 4 s, at most 1 h; none for 0 s.
    pub progress_after: Option<Duration>,
    /// `stop-words`: what stops a turn, in lower case. Default "stop".
    pub stop_words: Vec<String>,
    /// `attach-over`: how long a code block or a table may be in a message, in bytes. Default: any length; 1 B to 256 KiB.
    pub attach_over: Option<usize>,
    /// `session-ttl`: how long a conversation is remembered after its last message. Default 24 h, at least 1 s.
    pub session_ttl: Duration,
    /// `grants`: what the plugin may reach. Nothing by default.
    pub grants: BTreeSet<Grant>,
    /// `[bots.<name>.http]`: the servers that the plugin may send requests to. None by default.
    pub http: Arc<[HttpHost]>,
    /// `[bots.<name>.limits]`
    pub limits: Limits,
    /// `[bots.<name>.cron.<timer>]`, by name. At most 100.
    pub cron: Vec<Cron>,
    /// `[bots.<name>.settings]`, for the plugin.
    pub settings: serde_json::Value,
}

/// `[bots.<name>.cron.<timer>]`: a time that comes again.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    /// The table's name, 1 to [`TIMER_NAME_BYTES`].
    pub name: String,
    /// `at` and `zone`: when. The zone is UTC by default.
    pub schedule: Schedule,
    /// `room`: where.
    pub room: RoomId,
    /// `payload`: what the plugin gets with it. At most [`TIMER_PAYLOAD_BYTES`].
    pub payload: String,
    /// `catch-up`: how late it may come. Of the times that were missed only the latest counts. Default 1 h, 1 min to 24 h.
    pub catch_up: Duration,
}

/// What a bot can grant its plugin in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// Keys and values that last.
    Kv,
    /// The room beyond the answer: its history, further posts, edits, boosts.
    Campfire,
    /// Timers.
    Schedule,
    /// The time.
    Clock,
}

/// `[bots.<name>.limits]`: what one call of the plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `memory`: linear memory in bytes; also what one value that it hands to the host may take there. Default 64 MiB,
    /// 1 to 256 MiB.
    pub memory: usize,
    /// `tables`: elements of all its tables. Default 100,000 (interpreters have tens of thousands), 1,000 to 200,000.
    pub tables: usize,
    /// `compute`: how long its own code runs; waiting for the host is not in it. Default 2 s, 10 ms to 60 s.
    pub compute: Duration,
    /// `call-time`: wall clock of one call, waiting for the host included. Default 30 s, 10 ms to 60 s.
    pub call_time: Duration,
    /// `host-calls`: how often it may call the host. Default 1,000, 10 to 1,000,000.
    pub host_calls: u32,
    /// `log-lines`: how many lines it may log. Default 100, 0 to 10,000.
    pub log_lines: u32,
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
        let (raw, findings, shown) = read::read::<raw::RawConfig>(path, source, &shape::SCHEMA);
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
        let place = |name: &raw::Located<String>| (BotName::from(name.get().as_str()), name.span());
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
