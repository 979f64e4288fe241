//! `bots.toml`, read and checked: what the rest of the host sees is complete, consistent and has every secret resolved.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;

use crate::id::{BotName, RoomId};

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
}

/// `[host]`
#[derive(Debug, Clone)]
pub struct Host {
    /// `listen`: where webhooks arrive. Default 127.0.0.1:8787.
    pub listen: SocketAddr,
    /// `public-url`: how Campfire reaches this host, for printing webhook URLs. Default `http://<listen>`.
    pub public_url: Url,
    /// `data-dir`: the store and the agents' folders. Default `.hearth`. Absolute.
    pub data_dir: PathBuf,
    /// `plugins`: where `<name>.wasm` is looked up. Default `plugins/dist`. Absolute.
    pub plugins: PathBuf,
    /// `turns-in-flight`: how many turns run at once. Default 32, 1 to 1024.
    pub turns_in_flight: usize,
    /// `queue-limit`: how many unanswered messages a lane holds. Default 32, 1 to 10,000.
    pub queue_limit: u32,
    /// `max-body`: the largest webhook body. Default 1 MiB, 1 KiB to 64 MiB.
    pub max_body: usize,
    /// `shutdown-grace`: how long running turns may take to end. Default 30 s.
    pub shutdown_grace: Duration,
    /// `journal-retention`: how long ended events and journal rows are kept. Default 30 days, at least 24 h
    /// (a repeated delivery is recognised for so long).
    pub journal_retention: Duration,
}

/// `[campfire]`
#[derive(Debug, Clone)]
pub struct Campfire {
    /// `url`: the base URL. None in a deployment that only knows the playground; bots may name their own.
    pub url: Option<Url>,
    /// `timeout`: how long one request may take. Default 20 s.
    pub timeout: Duration,
}

/// `[store]`, from `url`. Default `sqlite:hearth.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// `sqlite:<path>`, relative to the data folder. The path is absolute here.
    Sqlite(PathBuf),
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
    /// `starts`: how many processes may be starting at once. Default: the number of cores.
    pub starts: usize,
    /// `[agent.deadlines]`
    pub deadlines: Deadlines,
}

/// `[agent.deadlines]`: how long each step of an agent's turn may take.
#[derive(Debug, Clone, Copy)]
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
    /// `max-turns`: model turns per message. Default 16.
    pub max_turns: u32,
    /// `budget-usd.turn`: what one message may cost.
    pub budget_usd_turn: Option<f64>,
    /// `session-ttl`: how long a conversation is remembered after its last message. Default 24 h.
    pub session_ttl: Duration,
    /// `[bots.<name>.limits]`
    pub limits: Limits,
    /// `[bots.<name>.settings]`, for the plugin.
    pub settings: serde_json::Value,
}

/// `[bots.<name>.limits]`: what one call of the plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `memory`: linear memory in bytes. Default 64 MiB, at most 256 MiB.
    pub memory: usize,
    /// `call-time`: wall clock of one call. Default 2 s, 10 ms to 60 s.
    pub call_time: Duration,
}
