//! `bots.toml` as it is written: every key the file may have, its default, and what editors say about it.
//!
//! Values keep their place in the file, so that a later check can point at them. Defaults are texts of the same syntax,
//! which makes them part of the JSON Schema and sends them through the same checks. Nothing here derives `Debug`:
//! secrets pass through as they are written.

use std::{
    collections::BTreeMap,
    ops::{Range, RangeInclusive},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{
    BOT_NAME_PATTERN, Grant,
    units::{DAY, DURATION_PATTERN, HOUR, KIB, MIB, MINUTE, SECOND, SIZE_PATTERN},
};

pub(super) const TURNS_IN_FLIGHT: RangeInclusive<i64> = 1..=1024;
pub(super) const QUEUE_LIMIT: RangeInclusive<i64> = 1..=10_000;
pub(super) const BOT_HOPS: RangeInclusive<i64> = 0..=100;
pub(super) const MAX_BODY: RangeInclusive<u64> = KIB..=64 * MIB;
pub(super) const SHUTDOWN_GRACE: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
pub(super) const RETENTION: RangeInclusive<Duration> = DAY..=FOREVER;
pub(super) const STEP: RangeInclusive<Duration> = Duration::from_millis(1)..=DAY;
pub(super) const STARTS: RangeInclusive<i64> = 1..=256;
pub(super) const WARM_PROCESSES: RangeInclusive<i64> = 0..=256;
pub(super) const WARM_MEMORY: RangeInclusive<u64> = 16 * MIB..=1024 * 1024 * MIB;
pub(super) const WARM_IDLE: RangeInclusive<Duration> = SECOND..=DAY;
pub(super) const SPARES: RangeInclusive<i64> = 0..=16;
pub(super) const NICE: RangeInclusive<i64> = 0..=19;
pub(super) const ROOM: RangeInclusive<i64> = 1..=i64::MAX;
pub(super) const MAX_TURNS: RangeInclusive<i64> = 1..=1000;
pub(super) const PROGRESS_AFTER: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
pub(super) const ATTACH_OVER: RangeInclusive<u64> = 1..=256 * KIB;
pub(super) const SESSION_TTL: RangeInclusive<Duration> = SECOND..=FOREVER;
pub(super) const MEMORY: RangeInclusive<u64> = MIB..=256 * MIB;
pub(super) const TABLES: RangeInclusive<i64> = 1_000..=200_000;
pub(super) const COMPUTE: RangeInclusive<Duration> = Duration::from_millis(10)..=MINUTE;
pub(super) const CALL_TIME: RangeInclusive<Duration> = Duration::from_millis(10)..=MINUTE;
pub(super) const HOST_CALLS: RangeInclusive<i64> = 10..=1_000_000;
pub(super) const LOG_LINES: RangeInclusive<i64> = 0..=10_000;
pub(super) const CATCH_UP: RangeInclusive<Duration> = MINUTE..=DAY;
/// Far enough that nobody waits for it, near enough that adding it to a date cannot overflow.
const FOREVER: Duration = Duration::from_hours(3650 * 24);

// A value and where it stands in the file, in bytes. A default stands at 0..0. (Not a doc comment: those of types end
// up in the schema, and this type is nothing to the file's author.)
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(transparent)]
pub(super) struct Located<T>(#[schemars(with = "T")] Spanned<T>);

impl<T> Located<T> {
    pub(super) fn get(&self) -> &T {
        self.0.get_ref()
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self(Spanned::new(0..0, value))
    }
}

/// A duration: a whole number and ms, s, m, h or d.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct DurationText(#[schemars(regex(pattern = DURATION_PATTERN))] pub(super) String);

impl From<&str> for Located<DurationText> {
    fn from(text: &str) -> Self {
        DurationText(text.to_owned()).into()
    }
}

impl From<&str> for Located<String> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A size: a whole number and B, KB, MB, GB (powers of 1000), KiB, MiB or GiB (powers of 1024); or a number of bytes.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a size like \"64MiB\" or a number of bytes")]
pub(super) enum Size {
    Bytes(#[schemars(range(min = 0))] i64),
    Text(#[schemars(regex(pattern = SIZE_PATTERN))] String),
}

impl From<&str> for Located<Size> {
    fn from(text: &str) -> Self {
        Size::Text(text.to_owned()).into()
    }
}

/// A command, or a command and its first arguments.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a string or an array of strings")]
pub(super) enum Command {
    Alone(String),
    WithArguments(#[schemars(length(min = 1))] Vec<String>),
}

/// A deployment of Hearth: where it listens, which Campfire it serves, which agent answers, and its bots.
/// Relative paths start at this file's folder.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
#[schemars(title = "bots.toml", extend("required" = ["bots"]))]
pub(super) struct RawConfig {
    /// The host process.
    pub(super) host: RawHost,
    /// The Campfire whose bots these are.
    pub(super) campfire: RawCampfire,
    /// Where conversations, the inbox and the journal are kept.
    pub(super) store: RawStore,
    /// The command-line agent that answers what a plugin asks.
    pub(super) agent: RawAgent,
    /// One table per bot: `[bots.<name>]`. A name is made of lower-case letters, digits and dashes, at most 32.
    #[schemars(extend("minProperties" = 1, "propertyNames" = { "pattern": BOT_NAME_PATTERN }))]
    pub(super) bots: Located<BTreeMap<Located<String>, RawBot>>,
}

impl Default for Located<BTreeMap<Located<String>, RawBot>> {
    fn default() -> Self {
        BTreeMap::new().into()
    }
}

/// The host process.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawHost {
    /// Where webhooks arrive: an IP address and a port.
    pub(super) listen: Located<String>,
    /// How Campfire reaches this host; webhook URLs are printed with it. `http://<listen>` if absent. May contain
    /// `${VARIABLE}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_url: Option<Located<String>>,
    /// Where the host shows how it is: dashboard, metrics, health. An IP address and a port, or "off".
    pub(super) admin: Located<String>,
    /// What opens that; needed where other machines can reach it. In the file itself, `${VARIABLE}`, or `file:<path>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${HEARTH_ADMIN_TOKEN}", "file:secrets/admin-token"]))]
    pub(super) admin_token: Option<Located<String>>,
    /// The folder of the store and of the agents' files.
    pub(super) data_dir: Located<String>,
    /// The folder where a bot's `plugin` is looked up as `<name>.wasm`.
    pub(super) plugins: Located<String>,
    /// How many turns run at once, 1 to 1024.
    #[schemars(range(min = *TURNS_IN_FLIGHT.start(), max = *TURNS_IN_FLIGHT.end()))]
    pub(super) turns_in_flight: Located<i64>,
    /// How many unanswered messages one bot holds in one room, 1 to 10,000.
    #[schemars(range(min = *QUEUE_LIMIT.start(), max = *QUEUE_LIMIT.end()))]
    pub(super) queue_limit: Located<i64>,
    /// How many messages of bots may follow each other in a room before they are no longer answered, until a person
    /// writes there; 0 to 100.
    #[schemars(range(min = *BOT_HOPS.start(), max = *BOT_HOPS.end()))]
    pub(super) bot_hops: Located<i64>,
    /// The largest webhook body, 1KiB to 64MiB.
    pub(super) max_body: Located<Size>,
    /// How long running turns may take to end when the host stops, at most 1h.
    pub(super) shutdown_grace: Located<DurationText>,
    /// How long messages and answers are kept once they have ended, at least 24h: a repeated delivery is recognised for
    /// so long, and a failed one can be put back.
    pub(super) inbox_retention: Located<DurationText>,
    /// How long journal rows are kept, at least 24h.
    pub(super) journal_retention: Located<DurationText>,
}

impl Default for RawHost {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".into(),
            public_url: None,
            admin: "127.0.0.1:8789".into(),
            admin_token: None,
            data_dir: ".hearth".into(),
            plugins: "plugins/dist".into(),
            turns_in_flight: 32.into(),
            queue_limit: 32.into(),
            bot_hops: 8.into(),
            max_body: "1MiB".into(),
            shutdown_grace: "30s".into(),
            inbox_retention: "30d".into(),
            journal_retention: "30d".into(),
        }
    }
}

/// The Campfire whose bots these are.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawCampfire {
    /// Its base URL. Not needed in the playground. May contain `${VARIABLE}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["https://campfire.example.com"]))]
    pub(super) url: Option<Located<String>>,
    /// How long one request to Campfire may take.
    pub(super) timeout: Located<DurationText>,
}

impl Default for RawCampfire {
    fn default() -> Self {
        Self { url: None, timeout: "20s".into() }
    }
}

/// Where conversations, the inbox and the journal are kept.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawStore {
    /// `sqlite:<path>`; a relative path starts at the data folder. Or a Redis 7 or Valkey:
    /// `redis://<user>@<host>:<port>/<database>?prefix=<prefix>`, or `rediss://…` over TLS.
    #[schemars(regex(pattern = "^(sqlite:.|rediss?://.|file:.|\\$\\{)"))]
    pub(super) url: Located<String>,
    /// The password of the Redis user. In the file itself, `${VARIABLE}`, or `file:<path>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${REDIS_PASSWORD}", "file:secrets/redis-password"]))]
    pub(super) password: Option<Located<String>>,
}

impl Default for RawStore {
    fn default() -> Self {
        Self { url: "sqlite:hearth.db".into(), password: None }
    }
}

/// The command-line agent that answers what a plugin asks.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawAgent {
    /// The command, or an array of the command and its first arguments. `demo-agent` is the built-in stand-in.
    pub(super) command: Located<Command>,
    /// Names of environment variables handed to the agent besides the ones every agent gets.
    #[schemars(inner(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$")), extend("examples" = [["HTTPS_PROXY"]]))]
    pub(super) environment: Vec<Located<String>>,
    /// Words that go before the command, such as a program that confines what follows it. The command's arguments, streams
    /// and environment must pass through.
    #[schemars(extend("examples" = [["bwrap", "--bind", "/", "/"]]))]
    pub(super) wrapper: Vec<Located<String>>,
    /// By how much agents give way to other programs, 0 to 19. Not at all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *NICE.start(), max = *NICE.end()), extend("examples" = [10]))]
    pub(super) nice: Option<Located<i64>>,
    /// Whether agents are confined to the files that they need. `landlock` takes Linux 6.2 or later.
    pub(super) sandbox: SandboxKind,
    /// Files and folders that a confined agent may read and run besides.
    #[schemars(extend("examples" = [["/srv/handbook"]]))]
    pub(super) sandbox_read: Vec<Located<String>>,
    /// Files and folders that a confined agent may read and change besides.
    pub(super) sandbox_write: Vec<Located<String>>,
    /// How many agent processes may be starting at once, 1 to 256. The number of cores if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *STARTS.start(), max = *STARTS.end()))]
    pub(super) starts: Option<Located<i64>>,
    /// Processes that stay after their turn, for the next message of their room.
    pub(super) warm: RawWarm,
    /// How long each step of an agent's turn may take.
    pub(super) deadlines: RawDeadlines,
}

impl Default for RawAgent {
    fn default() -> Self {
        Self {
            command: Command::Alone("claude".to_owned()).into(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            nice: None,
            sandbox: SandboxKind::Off,
            sandbox_read: Vec::new(),
            sandbox_write: Vec::new(),
            starts: None,
            warm: RawWarm::default(),
            deadlines: RawDeadlines::default(),
        }
    }
}

/// What confines agents.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SandboxKind {
    /// Nothing does.
    Off,
    /// The kernel's Landlock.
    Landlock,
}

/// Processes that stay after their turn, for the next message of their room: it is answered without a start.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawWarm {
    /// How many, 0 to 256; with 0 every message starts a process of its own. The one that has waited longest goes first.
    #[schemars(range(min = *WARM_PROCESSES.start(), max = *WARM_PROCESSES.end()))]
    pub(super) processes: Located<i64>,
    /// How much memory they may take together, 16MiB to 1024GiB.
    pub(super) memory: Located<Size>,
    /// How long one waits for the next message, 1s to 24h.
    pub(super) idle: Located<DurationText>,
}

impl Default for RawWarm {
    fn default() -> Self {
        Self { processes: 8.into(), memory: "1GiB".into(), idle: "10m".into() }
    }
}

/// How long each step of an agent's turn may take; each at most 24h.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawDeadlines {
    /// Until the process has taken the prompt.
    pub(super) start: Located<DurationText>,
    /// From there until its first line.
    pub(super) first_event: Located<DurationText>,
    /// Between two lines.
    pub(super) silence: Located<DurationText>,
    /// The whole turn.
    pub(super) total: Located<DurationText>,
    /// From the result, or from being told to stop, until the process has ended.
    pub(super) exit: Located<DurationText>,
}

impl Default for RawDeadlines {
    fn default() -> Self {
        Self {
            start: "20s".into(),
            first_event: "60s".into(),
            silence: "5m".into(),
            total: "15m".into(),
            exit: "5s".into(),
        }
    }
}

/// One bot.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
#[schemars(extend(
    "required" = ["plugin"],
    "not" = { "required": ["system-prompt", "system-prompt-file"] },
))]
pub(super) struct RawBot {
    /// A name looked up as `<name>.wasm` in `[host] plugins`, or a path: it has a `/` or ends in `.wasm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["assistant"]))]
    pub(super) plugin: Option<Located<String>>,
    /// Campfire's key of this bot, `<id>-<token>`: as it is, `${VARIABLE}` or `file:<path>`. Not needed in the
    /// playground.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${ASSISTANT_BOT_KEY}", "file:secrets/assistant-bot-key"]))]
    pub(super) bot_key: Option<Located<String>>,
    /// The last part of this bot's webhook URL, 16 or more letters, digits, `-` and `_`: as it is, `${VARIABLE}` or
    /// `file:<path>`. Not needed in the playground.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${ASSISTANT_WEBHOOK_SECRET}", "file:secrets/assistant-webhook-secret"]))]
    pub(super) webhook_secret: Option<Located<String>>,
    /// Another Campfire than `[campfire] url`. May contain `${VARIABLE}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["https://campfire.example.com"]))]
    pub(super) campfire_url: Option<Located<String>>,
    /// Ids of the rooms where the bot answers; everywhere if empty.
    #[schemars(inner(range(min = *ROOM.start())), extend("examples" = [[7]]))]
    pub(super) rooms: Vec<Located<i64>>,
    /// The model the agent is asked for; the agent's own choice if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["sonnet"]))]
    pub(super) model: Option<Located<String>>,
    /// What the agent is told about itself, at most 64KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["You answer in two sentences."]))]
    pub(super) system_prompt: Option<Located<String>>,
    /// A text file to take the system prompt from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["prompts/assistant.md"]))]
    pub(super) system_prompt_file: Option<Located<String>>,
    /// The agent's own tools that the bot may use. None if empty.
    #[schemars(extend("examples" = [["WebSearch"]]))]
    pub(super) builtin_tools: Vec<Located<String>>,
    /// How many of this bot's turns run at once, 1 to 1024, of the `turns-in-flight` of [host]; as many as there are if
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *TURNS_IN_FLIGHT.start(), max = *TURNS_IN_FLIGHT.end()), extend("examples" = [4]))]
    pub(super) turns_in_flight: Option<Located<i64>>,
    /// How many processes are started ahead for first messages of this bot's conversations, 0 to 16. They are some of those
    /// of `[agent.warm]`, and the first to go. Not with `builtin-tools`.
    #[schemars(range(min = *SPARES.start(), max = *SPARES.end()))]
    pub(super) spares: Located<i64>,
    /// How many model turns one message may take, 1 to 1000.
    #[schemars(range(min = *MAX_TURNS.start(), max = *MAX_TURNS.end()))]
    pub(super) max_turns: Located<i64>,
    /// What may be spent.
    pub(super) budget_usd: RawBudget,
    /// A turn that takes longer shows in the room how far it is, in one message that its answer then replaces, where the
    /// Campfire can edit. 0s switches it off.
    pub(super) progress_after: Located<DurationText>,
    /// A message that is nothing but one of these words, in capitals or not, stops what the bot is doing in that room.
    /// None if empty.
    #[schemars(extend("examples" = [["stop", "halt"]]))]
    pub(super) stop_words: Vec<Located<String>>,
    /// A code block or a table in an answer that is longer becomes a file, 1B to 256KiB. Never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size", extend("examples" = ["8KiB"]))]
    pub(super) attach_over: Option<Located<Size>>,
    /// How long a conversation is remembered after its last message.
    pub(super) session_ttl: Located<DurationText>,
    /// What the plugin may reach, of what it asks for. Nothing if empty; `http` is granted host by host.
    #[schemars(extend("examples" = [["kv", "clock"]]))]
    pub(super) grants: Vec<Grant>,
    /// One table per server that the plugin may send requests to: `[bots.<name>.http."<host>"]`, or `"<host>:<port>"` for
    /// that port alone. None if empty.
    pub(super) http: BTreeMap<Located<String>, RawHttpHost>,
    /// What one call of the plugin may use.
    pub(super) limits: RawLimits,
    /// Times that come again, one table each: `[bots.<name>.cron.<timer>]`. At most 100.
    #[schemars(extend("maxProperties" = 100, "propertyNames" = { "minLength": 1, "maxLength": 128 }))]
    pub(super) cron: BTreeMap<Located<String>, RawCron>,
    /// Handed to the plugin; which keys it knows is the plugin's affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub(super) settings: Option<Located<toml::Table>>,
}

impl Default for RawBot {
    fn default() -> Self {
        Self {
            plugin: None,
            bot_key: None,
            webhook_secret: None,
            campfire_url: None,
            rooms: Vec::new(),
            model: None,
            system_prompt: None,
            system_prompt_file: None,
            builtin_tools: Vec::new(),
            turns_in_flight: None,
            spares: 0.into(),
            max_turns: 16.into(),
            budget_usd: RawBudget::default(),
            progress_after: "4s".into(),
            stop_words: vec!["stop".into()],
            attach_over: None,
            session_ttl: "24h".into(),
            grants: Vec::new(),
            http: BTreeMap::new(),
            limits: RawLimits::default(),
            cron: BTreeMap::new(),
            settings: None,
        }
    }
}

/// What a bot may spend, in US dollars.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawBudget {
    /// What one message may cost. No limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "examples" = [0.5]))]
    pub(super) turn: Option<Located<f64>>,
    /// What all messages of a day may cost, from midnight to midnight UTC. No message begins once that is spent; one that
    /// runs may go past it. No limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "examples" = [10.0]))]
    pub(super) day: Option<Located<f64>>,
}

/// A server that the plugin may send requests to, over https on port 443 unless its name says another.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawHttpHost {
    /// Headers with a secret that go to this server, and that no plugin can read: the value as it is, with `${VARIABLE}`
    /// in it, or `file:<path>`.
    #[schemars(extend("examples" = [{ "authorization": "Bearer ${STATUS_TOKEN}" }]))]
    pub(super) headers: BTreeMap<Located<String>, Located<String>>,
    /// Whether its address may be a private one, or this machine's.
    pub(super) private: bool,
    /// Whether http:// will do, without encryption; then on port 80 too.
    pub(super) plain: bool,
}

/// What one call of the plugin may use.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawLimits {
    /// Memory, 1MiB to 256MiB; what it hands to the host in one piece counts as much again.
    pub(super) memory: Located<Size>,
    /// Elements of all its tables, which hold the functions it calls by pointer, 1,000 to 200,000.
    #[schemars(range(min = *TABLES.start(), max = *TABLES.end()))]
    pub(super) tables: Located<i64>,
    /// Time in which its own code runs, 10ms to 60s. Waiting for the host is not in it.
    pub(super) compute: Located<DurationText>,
    /// Time by the clock, 10ms to 60s. Waiting for the host is in it: for a slow server, say.
    pub(super) call_time: Located<DurationText>,
    /// How often it may call the host, 10 to 1,000,000.
    #[schemars(range(min = *HOST_CALLS.start(), max = *HOST_CALLS.end()))]
    pub(super) host_calls: Located<i64>,
    /// How many lines it may log, 0 to 10,000. Further ones are counted and dropped.
    #[schemars(range(min = *LOG_LINES.start(), max = *LOG_LINES.end()))]
    pub(super) log_lines: Located<i64>,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            memory: "64MiB".into(),
            tables: 100_000.into(),
            compute: "2s".into(),
            call_time: "30s".into(),
            host_calls: 1_000.into(),
            log_lines: 100.into(),
        }
    }
}

/// A time that comes again, for which the plugin is called.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
#[schemars(extend("required" = ["at", "room"]))]
pub(super) struct RawCron {
    /// When: minute, hour, day of the month, month and day of the week, as cron takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["0 9 * * 1-5"]))]
    pub(super) at: Option<Located<String>>,
    /// By the clock of which place: a name of the IANA time zone database.
    #[schemars(extend("examples" = ["Europe/Zurich"]))]
    pub(super) zone: Located<String>,
    /// The id of the room where the answer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *ROOM.start()), extend("examples" = [7]))]
    pub(super) room: Option<Located<i64>>,
    /// What the plugin gets with it, at most 4KiB.
    pub(super) payload: Located<String>,
    /// How late it may come, 1m to 24h: when the host was not running, the latest time that was missed is made up for if
    /// it is not longer ago.
    pub(super) catch_up: Located<DurationText>,
}

impl Default for RawCron {
    fn default() -> Self {
        Self { at: None, zone: "UTC".into(), room: None, payload: "".into(), catch_up: "1h".into() }
    }
}
