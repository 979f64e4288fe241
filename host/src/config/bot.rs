//! `[bots.<name>]`: each bot checked by itself, then all of them against each other.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    BOT_NAME_LENGTH, Bot, Limits,
    check::{Checked, Checks, Reported},
    mistake::Mistake,
    raw::{self, Located, RawBot},
    secret::{FILE_LIMIT, is_bot_key, is_unguessable},
    units,
};
use crate::id::{BotName, RoomId};

/// What every bot's table leans on.
pub(super) struct Shared<'a> {
    /// `[campfire] url`
    pub(super) campfire_url: Option<&'a Url>,
    /// `[host] plugins`
    pub(super) plugins: Checked<&'a Path>,
}

/// Secrets seen so far: whose, and where.
#[derive(Default)]
struct Seen(BTreeMap<String, (String, Range<usize>)>);

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
        let bot_key = raw
            .bot_key
            .as_ref()
            .map(|text| {
                let key = self.secret("bot-key", text, is_bot_key, Mistake::BotKey)?;
                self.unique("bot-key", name, text.span(), &key, bot_keys).map(|()| key)
            })
            .transpose();
        let webhook_secret = raw
            .webhook_secret
            .as_ref()
            .map(|text| {
                let secret = self.secret(
                    "webhook-secret",
                    text,
                    is_unguessable,
                    Mistake::Guessable { key: "webhook-secret" },
                )?;
                self.unique("webhook-secret", name, text.span(), &secret, webhook_secrets).map(|()| secret)
            })
            .transpose();
        let campfire_url =
            raw.campfire_url.as_ref().map(|url| self.base_url("campfire-url", url)).transpose();
        let rooms: Vec<_> =
            raw.rooms.iter().map(|room| self.number("rooms", room, raw::ROOM).map(RoomId)).collect();
        let model = raw.model.as_ref().map(|model| self.filled("model", model)).transpose();
        let system_prompt = self.system_prompt(name, raw);
        let builtin_tools: Vec<_> =
            raw.builtin_tools.iter().map(|tool| self.filled("builtin-tools", tool)).collect();
        let turns_in_flight = raw
            .turns_in_flight
            .as_ref()
            .map(|turns| self.number("turns-in-flight", turns, raw::TURNS_IN_FLIGHT))
            .transpose();
        let spares = self.spares(name, raw);
        let max_turns = self.number("max-turns", &raw.max_turns, raw::MAX_TURNS);
        let budget_usd_turn =
            raw.budget_usd.turn.as_ref().map(|budget| self.budget("budget-usd.turn", budget)).transpose();
        let budget_usd_day =
            raw.budget_usd.day.as_ref().map(|budget| self.budget("budget-usd.day", budget)).transpose();
        let progress_after = self.duration("progress-after", &raw.progress_after, raw::PROGRESS_AFTER);
        let stop_words: Vec<_> = raw.stop_words.iter().map(|word| self.filled("stop-words", word)).collect();
        let attach_over =
            raw.attach_over.as_ref().map(|size| self.size("attach-over", size, raw::ATTACH_OVER)).transpose();
        let session_ttl = self.duration("session-ttl", &raw.session_ttl, raw::SESSION_TTL);
        let memory = self.size("memory", &raw.limits.memory, raw::MEMORY);
        let tables = self.number("tables", &raw.limits.tables, raw::TABLES);
        let compute = self.duration("compute", &raw.limits.compute, raw::COMPUTE);
        let call_time = self.duration("call-time", &raw.limits.call_time, raw::CALL_TIME);
        let host_calls = self.number("host-calls", &raw.limits.host_calls, raw::HOST_CALLS);
        let log_lines = self.number("log-lines", &raw.limits.log_lines, raw::LOG_LINES);
        let http = self.http(name, &raw.http);
        let cron = self.crons(name.get(), &raw.cron, &raw.rooms);
        let settings = self.settings(raw.settings.as_ref());
        Ok(Bot {
            name: bot_name?,
            plugin: plugin?,
            bot_key: bot_key?,
            webhook_secret: webhook_secret?,
            campfire_url: campfire_url?.or_else(|| shared.campfire_url.cloned()),
            rooms: rooms.into_iter().collect::<Result<_, _>>()?,
            model: model?,
            system_prompt: system_prompt?,
            builtin_tools: builtin_tools.into_iter().collect::<Result<_, _>>()?,
            turns_in_flight: turns_in_flight?,
            spares: spares?,
            max_turns: max_turns?,
            budget_usd_turn: budget_usd_turn?,
            budget_usd_day: budget_usd_day?,
            progress_after: Some(progress_after?).filter(|after| !after.is_zero()),
            stop_words: stop_words
                .into_iter()
                .map(|word| word.map(|word| word.trim().to_lowercase()))
                .collect::<Result<_, _>>()?,
            attach_over: attach_over?,
            session_ttl: session_ttl?,
            grants: raw.grants.iter().copied().collect(),
            http: http?,
            limits: Limits {
                memory: memory?,
                tables: tables?,
                compute: compute?,
                call_time: call_time?,
                host_calls: host_calls?,
                log_lines: log_lines?,
            },
            cron: cron?,
            settings: settings?,
        })
    }

    fn bot_name(&mut self, name: &Located<String>) -> Checked<BotName> {
        let text = name.get();
        let fits = text.len() <= BOT_NAME_LENGTH
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits {
            self.findings.add(name.span(), Mistake::BotName { name: text.clone() });
        }
        fits.then(|| BotName::from(text.as_str())).ok_or(Reported)
    }

    fn plugin(
        &mut self,
        bot: &Located<String>,
        raw: Option<&Located<String>>,
        plugins: Checked<&Path>,
    ) -> Checked<PathBuf> {
        let Some(raw) = raw else {
            let mistake = Mistake::Missing { bot: bot.get().clone(), key: "plugin" };
            self.findings.lacks(bot.span(), &["bots", bot.get(), "plugin"], mistake);
            return Err(Reported);
        };
        let plugin = self.filled("plugin", raw)?;
        if plugin.contains('/') || Path::new(&plugin).extension().is_some_and(|extension| extension == "wasm")
        {
            return Ok(self.surroundings.folder.join(plugin));
        }
        Ok(plugins?.join(plugin + ".wasm"))
    }

    /// A text, its source read, that must be of a form.
    pub(super) fn secret(
        &mut self,
        key: &'static str,
        raw: &Located<String>,
        fits: fn(&str) -> bool,
        otherwise: Mistake,
    ) -> Checked<SecretString> {
        let secret = self.surroundings.secret(key, raw.get());
        let secret = self.all(raw.span(), secret)?;
        if !fits(secret.expose_secret()) {
            self.findings.add(raw.span(), otherwise);
            return Err(Reported);
        }
        Ok(secret)
    }

    fn unique(
        &mut self,
        key: &'static str,
        bot: &Located<String>,
        span: Range<usize>,
        secret: &SecretString,
        Seen(seen): &mut Seen,
    ) -> Checked<()> {
        if let Some((other, earlier)) = seen.get(secret.expose_secret()) {
            let mistake = Mistake::Shared { key, bot: bot.get().clone(), other: other.clone() };
            self.findings.add_again(span, Some(earlier.clone()), mistake);
            return Err(Reported);
        }
        seen.insert(secret.expose_secret().to_owned(), (bot.get().clone(), span));
        Ok(())
    }

    fn system_prompt(&mut self, bot: &Located<String>, raw: &RawBot) -> Checked<Option<String>> {
        match (&raw.system_prompt, &raw.system_prompt_file) {
            (None, None) => Ok(None),
            (Some(prompt), Some(file)) => {
                let mistake = Mistake::BothPrompts { bot: bot.get().clone() };
                self.findings.add_again(file.span(), Some(prompt.span()), mistake);
                Err(Reported)
            }
            (Some(prompt), None) if prompt.get().len() as u64 > FILE_LIMIT => {
                let limit = units::size_text(FILE_LIMIT);
                self.findings.add(prompt.span(), Mistake::Long { key: "system-prompt", limit });
                Err(Reported)
            }
            (Some(prompt), None) => self.filled("system-prompt", prompt).map(Some),
            (None, Some(file)) => self.prompt_file("system-prompt-file", file).map(Some),
        }
    }

    /// With tools of the CLI's own, each room has a folder that its processes are started in.
    fn spares(&mut self, bot: &Located<String>, raw: &RawBot) -> Checked<usize> {
        let spares = self.number("spares", &raw.spares, raw::SPARES)?;
        if spares > 0 && !raw.builtin_tools.is_empty() {
            self.findings.add(raw.spares.span(), Mistake::SparesWithTools { bot: bot.get().clone() });
            return Err(Reported);
        }
        Ok(spares)
    }

    fn prompt_file(&mut self, key: &'static str, file: &Located<String>) -> Checked<String> {
        let path = self.filled(key, file)?;
        self.surroundings.file(key, &path).map_err(|mistake| {
            self.findings.add(file.span(), mistake);
            Reported
        })
    }

    fn budget(&mut self, key: &'static str, raw: &Located<f64>) -> Checked<f64> {
        let dollars = *raw.get();
        let fits = dollars.is_finite() && dollars > 0.0;
        if !fits {
            self.findings.add(raw.span(), Mistake::Budget { key });
        }
        fits.then_some(dollars).ok_or(Reported)
    }

    fn settings(&mut self, raw: Option<&Located<toml::Table>>) -> Checked<serde_json::Value> {
        let Some(raw) = raw else { return Ok(serde_json::Value::Object(serde_json::Map::new())) };
        let mut infinite = Vec::new();
        let settings = json_table(raw.get(), "settings", &mut infinite);
        for key in &infinite {
            self.findings.add(raw.span(), Mistake::NotFinite { key: key.clone() });
        }
        infinite.is_empty().then_some(settings).ok_or(Reported)
    }
}

fn json_table(table: &toml::Table, path: &str, infinite: &mut Vec<String>) -> serde_json::Value {
    let entries =
        table.iter().map(|(key, value)| (key.clone(), json(value, &format!("{path}.{key}"), infinite)));
    serde_json::Value::Object(entries.collect())
}

/// The same in JSON. Dates become texts; numbers that JSON does not have are noted.
fn json(value: &toml::Value, path: &str, infinite: &mut Vec<String>) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(array) => {
            let items = array.iter().enumerate();
            items.map(|(index, item)| json(item, &format!("{path}[{index}]"), infinite)).collect()
        }
        toml::Value::Table(table) => json_table(table, path, infinite),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number).map_or_else(
            || {
                infinite.push(path.to_owned());
                serde_json::Value::Null
            },
            serde_json::Value::Number,
        ),
    }
}
