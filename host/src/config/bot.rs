//! `[bots.<name>]`: each bot checked by itself, then all of them against each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    check::{Checked, Checks, every},
    cron::{Cron, RawCron},
    host::TURNS_IN_FLIGHT,
    http::{HttpHost, RawHttpHost},
    limits::{Limits, RawLimits},
    located::Located,
    mistake::Mistake,
    secret::{FILE_LIMIT, Seen, is_bot_key, is_unguessable},
    units::{self, DurationText, FOREVER, HOUR, KIB, SECOND, Size},
};
use crate::id::{BotName, RoomId};

/// The longest name, in bytes.
const NAME_LENGTH: usize = 32;
/// What the schema says of a name.
pub(super) const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,31}$";

pub(super) const ROOM: RangeInclusive<i64> = 1..=i64::MAX;
const SPARES: RangeInclusive<i64> = 0..=16;
const MAX_TURNS: RangeInclusive<i64> = 1..=1000;
const PROGRESS_AFTER: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
const ATTACH_OVER: RangeInclusive<u64> = 1..=256 * KIB;
const SESSION_TTL: RangeInclusive<Duration> = SECOND..=FOREVER;

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
    plugin: Option<Located<String>>,
    /// Campfire's key of this bot, `<id>-<token>`: as it is, `${VARIABLE}` or `file:<path>`. Not needed in the
    /// playground.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${ASSISTANT_BOT_KEY}", "file:secrets/assistant-bot-key"]))]
    bot_key: Option<Located<String>>,
    /// The last part of this bot's webhook URL, 16 or more letters, digits, `-` and `_`: as it is, `${VARIABLE}` or
    /// `file:<path>`. Not needed in the playground.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${ASSISTANT_WEBHOOK_SECRET}", "file:secrets/assistant-webhook-secret"]))]
    webhook_secret: Option<Located<String>>,
    /// Another Campfire than `[campfire] url`. May contain `${VARIABLE}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["https://campfire.example.com"]))]
    campfire_url: Option<Located<String>>,
    /// Ids of the rooms where the bot answers; everywhere if empty.
    #[schemars(inner(range(min = *ROOM.start())), extend("examples" = [[7]]))]
    rooms: Vec<Located<i64>>,
    /// The model the agent is asked for; the agent's own choice if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["sonnet"]))]
    model: Option<Located<String>>,
    /// What the agent is told about itself, at most 64KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["You answer in two sentences."]))]
    system_prompt: Option<Located<String>>,
    /// A text file to take the system prompt from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["prompts/assistant.md"]))]
    system_prompt_file: Option<Located<String>>,
    /// The agent's own tools that the bot may use. None if empty.
    #[schemars(extend("examples" = [["WebSearch"]]))]
    builtin_tools: Vec<Located<String>>,
    /// How many of this bot's turns run at once, 1 to 1024, of the `turns-in-flight` of [host]; as many as there are if
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *TURNS_IN_FLIGHT.start(), max = *TURNS_IN_FLIGHT.end()), extend("examples" = [4]))]
    turns_in_flight: Option<Located<i64>>,
    /// How many processes are started ahead for first messages of this bot's conversations, 0 to 16. They are some of those
    /// of `[agent.warm]`, and the first to go. Not with `builtin-tools`.
    #[schemars(range(min = *SPARES.start(), max = *SPARES.end()))]
    spares: Located<i64>,
    /// How many model turns one message may take, 1 to 1000.
    #[schemars(range(min = *MAX_TURNS.start(), max = *MAX_TURNS.end()))]
    max_turns: Located<i64>,
    /// What may be spent.
    budget_usd: RawBudget,
    /// A turn that takes longer shows in the room how far it is, in one message that its answer then replaces, where the
    /// Campfire can edit. 0s switches it off.
    progress_after: Located<DurationText>,
    /// A message that is nothing but one of these words, in capitals or not, stops what the bot is doing in that room.
    /// None if empty.
    #[schemars(extend("examples" = [["stop", "halt"]]))]
    stop_words: Vec<Located<String>>,
    /// A code block or a table in an answer that is longer becomes a file, 1B to 256KiB. Never if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size", extend("examples" = ["8KiB"]))]
    attach_over: Option<Located<Size>>,
    /// How long a conversation is remembered after its last message.
    session_ttl: Located<DurationText>,
    /// What the plugin may reach, of what it asks for. Nothing if empty; `http` is granted host by host.
    #[schemars(extend("examples" = [["kv", "clock"]]))]
    grants: Vec<Grant>,
    /// One table per server that the plugin may send requests to: `[bots.<name>.http."<host>"]`, or `"<host>:<port>"` for
    /// that port alone. None if empty.
    http: BTreeMap<Located<String>, RawHttpHost>,
    /// What one call of the plugin may use.
    limits: RawLimits,
    /// Times that come again, one table each: `[bots.<name>.cron.<timer>]`. At most 100.
    #[schemars(extend("maxProperties" = 100, "propertyNames" = { "minLength": 1, "maxLength": 128 }))]
    cron: BTreeMap<Located<String>, RawCron>,
    /// Handed to the plugin; which keys it knows is the plugin's affair.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    settings: Option<Located<toml::Table>>,
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
struct RawBudget {
    /// What one message may cost. No limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "examples" = [0.5]))]
    turn: Option<Located<f64>>,
    /// What all messages of a day may cost, from midnight to midnight UTC. No message begins once that is spent; one that
    /// runs may go past it. No limit if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "examples" = [10.0]))]
    day: Option<Located<f64>>,
}

/// What every bot's table leans on.
pub(super) struct Shared<'a> {
    /// `[campfire] url`
    pub(super) campfire_url: Option<&'a Url>,
    /// `[host] plugins`
    pub(super) plugins: Checked<&'a Path>,
}

// === the checks ===

impl Checks<'_> {
    /// Every bot that could be made; the findings have what is wrong with these and the others.
    pub(super) fn bots(
        &mut self,
        raw: &Located<BTreeMap<Located<String>, RawBot>>,
        shared: &Shared<'_>,
    ) -> BTreeMap<BotName, Arc<Bot>> {
        if raw.get().is_empty() {
            self.findings.lacks(raw.span(), &["bots"], Mistake::NoBots);
        }
        // In the order of the file, so that of two equal secrets the second is the one to change.
        let mut in_order: Vec<_> = raw.get().iter().collect();
        in_order.sort_by_key(|(name, _)| name.span().start);
        let (mut bot_keys, mut webhook_secrets) = (Seen::default(), Seen::default());
        let mut bots = BTreeMap::new();
        for (name, raw) in in_order {
            self.findings.about_bot(name.get());
            if let Ok(bot) = self.bot(name, raw, shared, &mut bot_keys, &mut webhook_secrets) {
                bots.insert(bot.name.clone(), Arc::new(bot));
            }
        }
        self.findings.about(&[]);
        bots
    }

    fn bot(
        &mut self,
        name: &Located<String>,
        raw: &RawBot,
        shared: &Shared<'_>,
        bot_keys: &mut Seen,
        webhook_secrets: &mut Seen,
    ) -> Checked<Bot> {
        let bot_name = self.bot_name(name);
        let plugin = self.plugin(name, raw.plugin.as_ref(), shared.plugins);
        let bot_key =
            self.own_secret("bot-key", name, raw.bot_key.as_ref(), is_bot_key, Mistake::BotKey, bot_keys);
        let webhook_secret = self.own_secret(
            "webhook-secret",
            name,
            raw.webhook_secret.as_ref(),
            is_unguessable,
            Mistake::Guessable { key: "webhook-secret" },
            webhook_secrets,
        );
        let campfire_url =
            raw.campfire_url.as_ref().map(|url| self.base_url("campfire-url", url)).transpose();
        let rooms = every(raw.rooms.iter().map(|room| self.number("rooms", room, ROOM).map(RoomId)));
        let model = raw.model.as_ref().map(|model| self.filled("model", model)).transpose();
        let system_prompt = self.system_prompt(name, raw);
        let builtin_tools = every(raw.builtin_tools.iter().map(|tool| self.filled("builtin-tools", tool)));
        let turns_in_flight = raw
            .turns_in_flight
            .as_ref()
            .map(|turns| self.number("turns-in-flight", turns, TURNS_IN_FLIGHT))
            .transpose();
        let spares = self.spares(name, raw);
        let max_turns = self.number("max-turns", &raw.max_turns, MAX_TURNS);
        let budget_usd_turn =
            raw.budget_usd.turn.as_ref().map(|budget| self.budget("budget-usd.turn", budget)).transpose();
        let budget_usd_day =
            raw.budget_usd.day.as_ref().map(|budget| self.budget("budget-usd.day", budget)).transpose();
        let progress_after = self.duration("progress-after", &raw.progress_after, PROGRESS_AFTER);
        let stop_words = raw.stop_words.iter().map(|word| self.filled("stop-words", word));
        let stop_words = every(stop_words.map(|word| word.map(|word| word.trim().to_lowercase())));
        let attach_over =
            raw.attach_over.as_ref().map(|size| self.size("attach-over", size, ATTACH_OVER)).transpose();
        let session_ttl = self.duration("session-ttl", &raw.session_ttl, SESSION_TTL);
        let limits = self.limits(&raw.limits);
        let http = self.http(name, &raw.http);
        let cron = self.crons(name.get(), &raw.cron, &raw.rooms);
        let settings = self.settings(raw.settings.as_ref());
        Ok(Bot {
            name: bot_name?,
            plugin: plugin?,
            bot_key: bot_key?,
            webhook_secret: webhook_secret?,
            campfire_url: campfire_url?.or_else(|| shared.campfire_url.cloned()),
            rooms: rooms?,
            model: model?,
            system_prompt: system_prompt?,
            builtin_tools: builtin_tools?,
            turns_in_flight: turns_in_flight?,
            spares: spares?,
            max_turns: max_turns?,
            budget_usd_turn: budget_usd_turn?,
            budget_usd_day: budget_usd_day?,
            progress_after: Some(progress_after?).filter(|after| !after.is_zero()),
            stop_words: stop_words?,
            attach_over: attach_over?,
            session_ttl: session_ttl?,
            grants: raw.grants.iter().copied().collect(),
            http: http?,
            limits: limits?,
            cron: cron?,
            settings: settings?,
        })
    }

    fn bot_name(&mut self, name: &Located<String>) -> Checked<BotName> {
        let text = name.get();
        let fits = text.len() <= NAME_LENGTH
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits {
            return Err(self.findings.add(name.span(), Mistake::BotName { name: text.clone() }));
        }
        Ok(BotName::from(text.as_str()))
    }

    fn plugin(
        &mut self,
        bot: &Located<String>,
        raw: Option<&Located<String>>,
        plugins: Checked<&Path>,
    ) -> Checked<PathBuf> {
        let Some(raw) = raw else {
            let mistake = Mistake::Missing { bot: bot.get().clone(), key: "plugin" };
            return Err(self.findings.lacks(bot.span(), &["bots", bot.get(), "plugin"], mistake));
        };
        let plugin = self.filled("plugin", raw)?;
        if plugin.contains('/') || Path::new(&plugin).extension().is_some_and(|extension| extension == "wasm")
        {
            return Ok(self.surroundings.folder.join(plugin));
        }
        Ok(plugins?.join(plugin + ".wasm"))
    }

    fn system_prompt(&mut self, bot: &Located<String>, raw: &RawBot) -> Checked<Option<String>> {
        match (&raw.system_prompt, &raw.system_prompt_file) {
            (None, None) => Ok(None),
            (Some(prompt), Some(file)) => {
                let mistake = Mistake::BothPrompts { bot: bot.get().clone() };
                Err(self.findings.add_again(file.span(), Some(prompt.span()), mistake))
            }
            (Some(prompt), None) if prompt.get().len() as u64 > FILE_LIMIT => {
                let limit = units::size_text(FILE_LIMIT);
                Err(self.findings.add(prompt.span(), Mistake::Long { key: "system-prompt", limit }))
            }
            (Some(prompt), None) => self.filled("system-prompt", prompt).map(Some),
            (None, Some(file)) => {
                let path = self.filled("system-prompt-file", file)?;
                let text = self.surroundings.file("system-prompt-file", &path);
                self.all(file.span(), text.map_err(|mistake| vec![mistake])).map(Some)
            }
        }
    }

    /// With tools of the CLI's own, each room has a folder that its processes are started in.
    fn spares(&mut self, bot: &Located<String>, raw: &RawBot) -> Checked<usize> {
        let spares = self.number("spares", &raw.spares, SPARES)?;
        if spares > 0 && !raw.builtin_tools.is_empty() {
            let mistake = Mistake::SparesWithTools { bot: bot.get().clone() };
            return Err(self.findings.add(raw.spares.span(), mistake));
        }
        Ok(spares)
    }

    fn budget(&mut self, key: &'static str, raw: &Located<f64>) -> Checked<f64> {
        let dollars = *raw.get();
        if !dollars.is_finite() || dollars <= 0.0 {
            return Err(self.findings.add(raw.span(), Mistake::Budget { key }));
        }
        Ok(dollars)
    }
}
