//! Plugins: a file becomes checked, linked code, and each call of it runs in a fresh, bounded instance.
//!
//! Invariants:
//! - A [`Plugin`] is complete: its version fits, it compiled, every import is there, and it has described itself.
//! - A [`Generation`] never changes. A turn holds one from its first call to its last.
//! - No call outlives its bot's `call-time`, nor uses more than its other limits; a guest that traps, loops or allocates
//!   costs that one call.
//!
//! What goes wrong while loading is a [`LoadError`], for the operator; in a call, a [`CallError`], for the log. What the
//! room is told of either is the turn's business.

mod bound;
mod call;
mod compiled;
mod engine;
mod error;
mod health;
mod interface;
mod loader;
mod part;
mod rate;
mod reach;
mod roster;
mod schema;
mod ticker;
mod tools;
pub mod trace;
mod v1;

use std::{
    borrow::Cow,
    fmt,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

pub(crate) use self::reach::NOT_TOLD;
pub use self::{
    bound::Limit,
    call::CallError,
    engine::Engine,
    error::LoadError,
    health::Verdict,
    loader::Loader,
    part::TEXT_LIMIT,
    reach::{Reach, Services, World},
    roster::{Roster, Seat},
    schema::SchemaError,
    tools::{OfferedTool, ToolTrouble},
    v1::types::*,
};
use self::{
    engine::{MEMORY_CEILING, Share, TABLE_CEILING},
    health::Health,
    schema::{Deadline, Schema, Threads},
};
use crate::config::{Bot, Grant, Limits};

/// The largest plugin file. Components of JavaScript and Python carry their interpreter, 12 to 18 MB.
const FILE_LIMIT: u64 = 128 << 20;
/// What `describe` may use. It is called once for all bots that use the plugin, so none of their limits holds, and a
/// plugin that needs much may have it.
const DESCRIBING: Limits = Limits {
    memory: MEMORY_CEILING,
    tables: TABLE_CEILING,
    compute: Duration::from_secs(5),
    call_time: Duration::from_secs(10),
    host_calls: 1_000,
    log_lines: 100,
};

/// SHA-256 of a plugin file, which is its identity: names and times do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; 32]);

/// What makes machine code of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compiler {
    /// Takes its time; its code is fast.
    Cranelift,
    /// Done at once; its code is slow. For an author who waits.
    Winch,
}

/// Checked, linked code.
pub struct Plugin {
    /// The name it gives itself.
    pub name: String,
    /// The version it gives itself.
    pub version: String,
    /// What it was loaded from.
    pub hash: ContentHash,
    /// What it takes as settings; none if anything goes.
    settings: Option<Schema>,
    /// What it asks for.
    pub wants: Vec<Want>,
    wanted: Arc<[Capability]>,
    code: Code,
    /// Its file's bytes if Winch compiled it: Cranelift is to follow.
    unoptimised: Option<Bytes>,
    engine: Arc<Engine>,
}

/// Linked code, by the version of the interface it was built for. A further version is a further variant; its module
/// translates between its own types and the host's.
enum Code {
    V1(v1::Guest),
}

/// One bot's code and configuration, as they were when they were put in place together.
pub struct Generation {
    /// Counts up per bot, from 1.
    pub number: u64,
    /// The configuration.
    pub bot: Arc<Bot>,
    /// The code.
    pub plugin: Arc<Plugin>,
    /// `[settings]` as the guest reads it.
    settings: Arc<str>,
    /// What the plugin asked for and the bot grants.
    granted: Arc<[Capability]>,
    /// The bot's part of the instances that there can be at once.
    share: Arc<Share>,
    /// What the model is offered.
    tools: Arc<Vec<OfferedTool>>,
    /// How its calls went, whichever compiler served.
    health: Arc<Mutex<Health>>,
    /// The loader's.
    failed: Arc<Notify>,
}

// === impl ContentHash ===

impl ContentHash {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// All of it, in lower-case hexadecimal digits.
    fn read(digits: &str) -> Option<Self> {
        let mut hash = [0; 32];
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        (digits.len() == 64).then_some(Self(hash))
    }

    /// That of a plugin file; none if there is no such file, or it can't be one.
    pub async fn of_file(path: &Path) -> Option<Self> {
        loader::read(path).await.ok().map(|bytes| Self::of(&bytes))
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cranelift => "cranelift",
            Self::Winch => "winch",
        })
    }
}

impl fmt::Display for ContentHash {
    /// The first eight bytes, which is what people compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl Generation ===

impl Generation {
    /// The same once more, to be tried: how its calls go says nothing of this one, and nobody is told when they fail.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            number: self.number,
            bot: Arc::clone(&self.bot),
            plugin: Arc::clone(&self.plugin),
            settings: Arc::clone(&self.settings),
            granted: Arc::clone(&self.granted),
            share: Arc::clone(&self.share),
            tools: Arc::clone(&self.tools),
            health: Arc::new(Mutex::new(Health::new(Instant::now()))),
            failed: Arc::default(),
        }
    }
}

// === impl Generation ===

impl Generation {
    /// Tells settings apart.
    pub fn settings_hash(&self) -> String {
        ContentHash::of(self.settings.as_bytes()).to_string()
    }
}

/// The bytes in the JSON of a trace; none if they were too many to be kept.
pub(crate) fn bytes_of(value: &serde_json::Value) -> Option<Vec<u8>> {
    v1::bytes_of(value)
}

/// `text` cut to at most `limit` bytes, on a character's boundary, with an ellipsis where something is missing.
pub fn bounded(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return text.into();
    }
    let kept = text.floor_char_boundary(limit.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..kept]).into()
}

// === impl Plugin ===

impl Plugin {
    /// What compiled it.
    pub fn compiler(&self) -> Compiler {
        if self.unoptimised.is_some() { Compiler::Winch } else { Compiler::Cranelift }
    }

    /// What it asked for and the bot grants.
    fn check_grants(&self, bot: &Bot) -> Result<Arc<[Capability]>, LoadError> {
        let grants = |want: &&Want| match grant(want.capability) {
            Some(grant) => bot.grants.contains(&grant),
            None => !bot.http.is_empty(),
        };
        let (granted, denied): (Vec<_>, Vec<_>) = self.wants.iter().partition(grants);
        let lacking: Vec<_> = denied.into_iter().filter(|want| want.required).collect();
        if lacking.is_empty() {
            return Ok(granted.into_iter().map(|want| want.capability).collect());
        }
        let line = |want: &&Want| format!("`{}` ({})", word(want.capability), bounded(&want.purpose, 200));
        Err(LoadError::NotGranted {
            bot: bot.name.to_string(),
            wants: lacking.iter().map(line).collect(),
            remedies: remedies(bot, lacking.iter().map(|want| want.capability)),
        })
    }

    fn check_cron(&self, bot: &Bot) -> Result<(), LoadError> {
        match bot.cron.first() {
            Some(cron) if !self.has_timers() => {
                Err(LoadError::NoTimers { bot: bot.name.to_string(), timer: cron.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Which of the optional worlds it is for.
    pub fn worlds(&self) -> impl Iterator<Item = &'static str> {
        let Code::V1(guest) = &self.code;
        let worlds = [
            ("tools", guest.has_tools()),
            ("progress", guest.has_progress()),
            ("scheduled", guest.has_timers()),
            ("events", guest.has_events()),
        ];
        worlds.into_iter().filter_map(|(world, is_there)| is_there.then_some(world))
    }

    /// Whether it can be called for a timer.
    pub fn has_timers(&self) -> bool {
        let Code::V1(guest) = &self.code;
        guest.has_timers()
    }

    /// Whether it takes what is neither message nor timer.
    pub fn has_events(&self) -> bool {
        let Code::V1(guest) = &self.code;
        guest.has_events()
    }

    async fn check_settings(&self, bot: &Bot, threads: &Threads) -> Result<(), LoadError> {
        let Some(schema) = &self.settings else { return Ok(()) };
        let deadline = Deadline::after(DESCRIBING.call_time);
        let checked = schema.problems(Arc::new(bot.settings.clone()), threads, deadline).await;
        let problems = checked.unwrap_or_else(|error| vec![error.to_string()]);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(LoadError::Settings { bot: bot.name.to_string(), problems })
        }
    }
}

/// The word in `grants` for it; none for what is granted in another way.
fn grant(capability: Capability) -> Option<Grant> {
    Some(match capability {
        Capability::Kv => Grant::Kv,
        Capability::Campfire => Grant::Campfire,
        Capability::Schedule => Grant::Schedule,
        Capability::Clock => Grant::Clock,
        Capability::Http => return None,
    })
}

/// What to write in bots.toml so that the bot grants these too.
fn remedies(bot: &Bot, lacking: impl Iterator<Item = Capability>) -> Vec<String> {
    let (mut grants, mut hosts) = (bot.grants.clone(), None);
    for capability in lacking {
        if let Some(grant) = grant(capability) {
            grants.insert(grant);
        } else {
            let table = format!("[bots.{}.http.\"<host>\"]", bot.name);
            hosts = Some(format!("add `{table}` for each server it may reach"));
        }
    }
    let words =
        (grants != bot.grants).then(|| format!("write `grants = {}` there", serde_json::json!(grants)));
    words.into_iter().chain(hosts).collect()
}

fn word(capability: Capability) -> &'static str {
    match capability {
        Capability::Kv => "kv",
        Capability::Http => "http",
        Capability::Campfire => "campfire",
        Capability::Schedule => "schedule",
        Capability::Clock => "clock",
    }
}

// === impl Code ===

impl Code {
    /// What it was compiled for.
    fn engine(&self) -> &wasmtime::Engine {
        let Self::V1(guest) = self;
        guest.engine()
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(grants: &str, lacking: &[Capability]) -> Vec<String> {
        let source = format!("[bots.oncall]\nplugin = 'oncall'\ngrants = [{grants}]");
        let config = crate::config::Config::parse(Path::new("bots.toml"), &source, &|_| None).unwrap();
        remedies(&config.bots[&"oncall".into()], lacking.iter().copied())
    }

    #[test]
    fn a_missing_grant_is_told_with_the_line_to_write() {
        use Capability::{Clock, Http, Kv};
        assert_eq!(told("'clock'", &[Kv]), ["write `grants = [\"kv\",\"clock\"]` there"]);
        let table = "add `[bots.oncall.http.\"<host>\"]` for each server it may reach";
        assert_eq!(told("'kv'", &[Http]), [table]);
        assert_eq!(told("", &[Http, Clock, Clock]), ["write `grants = [\"clock\"]` there", table]);
    }
}
