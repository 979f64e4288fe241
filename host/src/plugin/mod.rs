//! Plugins: a file becomes checked, linked code, and each call of it runs in a fresh, bounded instance.
//!
//! Invariants:
//! - A [`Plugin`] is complete: its version fits, it compiled, every import is there, and it has described itself.
//! - A [`Generation`] never changes. A turn holds one from its first call to its last.
//! - No call outlives its bot's `call-time`, nor uses more than its memory; a guest that traps, loops or allocates costs
//!   that one call.
//!
//! What goes wrong while loading is a [`LoadError`], for the operator; in a call, a [`CallError`], for the log. What the
//! room is told of either is the turn's business.

mod call;
mod engine;
mod interface;
mod roster;
mod v1;

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};

pub use self::{
    call::{CallError, TEXT_LIMIT},
    engine::{Engine, MEMORY_CEILING},
    roster::{Roster, Seat},
    v1::types::*,
};
use crate::config::{Bot, Limits};

/// The largest plugin file. Components of JavaScript and Python carry their interpreter, 12 to 18 MB.
const FILE_LIMIT: u64 = 128 << 20;
/// What `describe` may use; it is the same for every bot that will use the plugin.
const DESCRIBING: Limits = Limits { memory: 64 << 20, call_time: Duration::from_secs(5) };
/// How many plugins compile at once: it is the processor that they wait for.
const COMPILES: usize = 2;

/// Why a plugin can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// wasmtime can't run here.
    #[error("the WebAssembly engine can't start on this machine: {0}")]
    Engine(String),
    /// No such file.
    #[error("{} does not exist; build it with `hearth build`, or correct `plugin` in bots.toml", .0.display())]
    Missing(PathBuf),
    /// The file is there and can't be read.
    #[error("{} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is too large to be a plugin.
    #[error("{} has {bytes} bytes; a plugin may have {FILE_LIMIT}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Another kind of file.
    #[error("it is not WebAssembly; `plugin` must name a component or a core module with embedded WIT")]
    NotWasm,
    /// WebAssembly that does not parse, or a module that can't be made a component.
    #[error("it is not a complete component ({0}); build it again with `hearth build`")]
    Malformed(String),
    /// A component that is something else.
    #[error(
        "it does not export `hearth:bot/handler`, so it is not a Hearth plugin; build it against the world `hearth:bot/bot`"
    )]
    NotAPlugin,
    /// Built for an interface this host does not speak.
    #[error(
        "it was built for hearth:bot@{found}, and this Hearth speaks hearth:bot@{supported}; rebuild it with a hearth-plugin of that version"
    )]
    Version {
        /// What the component says.
        found: String,
        /// What we speak.
        supported: String,
    },
    /// The code itself is refused.
    #[error("it does not compile: {0}")]
    Compile(String),
    /// It wants something this host does not offer, or offers a function of another shape.
    #[error("it does not fit the interface: {0}; plugins may import only hearth:bot's own interfaces")]
    Link(String),
    /// Its first call failed.
    #[error("`describe` failed: {0}")]
    Describe(#[source] CallError),
    /// What it says about itself makes no sense.
    #[error("it describes itself wrongly: {0}")]
    Description(String),
    /// The bot's settings do not fit what the plugin takes.
    #[error("[bots.{bot}.settings] does not fit the plugin: {}", .problems.join("; "))]
    Settings {
        /// Whose settings.
        bot: String,
        /// Each with its place.
        problems: Vec<String>,
    },
}

/// SHA-256 of a plugin file, which is its identity: names and times do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; 32]);

/// Checked, linked code.
pub struct Plugin {
    /// The name it gives itself.
    pub name: String,
    /// The version it gives itself.
    pub version: String,
    /// What it was loaded from.
    pub hash: ContentHash,
    /// What it takes as settings; none if anything goes.
    settings: Option<jsonschema::Validator>,
    pre: v1::BotPre<v1::State>,
    engine: Arc<Engine>,
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
}

/// Loads plugins; the same content is compiled once, however many bots use it.
pub struct Loader {
    engine: Arc<Engine>,
    compiles: Semaphore,
    /// One cell a content: whoever comes while it is compiled waits for that.
    loaded: Mutex<HashMap<ContentHash, Arc<OnceCell<Arc<Plugin>>>>>,
}

// === impl ContentHash ===

impl ContentHash {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// That of a plugin file; none if there is no such file, or it can't be one.
    pub async fn of_file(path: &Path) -> Option<Self> {
        read(path).await.ok().map(|bytes| Self::of(&bytes))
    }
}

impl fmt::Display for ContentHash {
    /// The first eight bytes, which is what people compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

// === impl Loader ===

impl Loader {
    /// A loader with an engine of its own.
    ///
    /// # Errors
    /// If the engine can't start on this machine.
    pub fn new() -> Result<Self, LoadError> {
        Ok(Self {
            engine: Arc::new(Engine::new()?),
            compiles: Semaphore::new(COMPILES),
            loaded: Mutex::new(HashMap::new()),
        })
    }

    /// Loads the bot's plugin and checks the bot's settings against it: generation `number` of this bot.
    pub async fn load(&self, bot: &Arc<Bot>, number: u64) -> Result<Generation, LoadError> {
        let bytes = read(&bot.plugin).await?;
        let hash = ContentHash::of(&bytes);
        let cell = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.retain(|_, cell| is_used(cell));
            Arc::clone(loaded.entry(hash).or_default())
        };
        let plugin = cell.get_or_try_init(async || Ok(Arc::new(self.compile(bytes, hash).await?))).await?;
        plugin.check_settings(bot)?;
        let settings = bot.settings.to_string().into();
        Ok(Generation { number, bot: Arc::clone(bot), plugin: Arc::clone(plugin), settings })
    }

    async fn compile(&self, bytes: Vec<u8>, hash: ContentHash) -> Result<Plugin, LoadError> {
        let _turn = self.compiles.acquire().await;
        let engine = self.engine.wasmtime().clone();
        let compiled = tokio::task::spawn_blocking(move || {
            let component = interface::component(&bytes)?;
            let component = wasmtime::component::Component::new(&engine, component)
                .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
            let mut linker = wasmtime::component::Linker::new(&engine);
            v1::add_to_linker(&mut linker)
                .and_then(|()| linker.instantiate_pre(&component))
                .and_then(v1::BotPre::new)
                .map_err(|error| LoadError::Link(format!("{error:#}")))
        });
        let pre = match compiled.await {
            Ok(pre) => pre?,
            Err(panic) => return Err(LoadError::Compile(panic.to_string())),
        };
        let description =
            call::describe(&self.engine, &pre, &DESCRIBING).await.map_err(LoadError::Describe)?;
        let settings = description.settings_schema.as_deref().map(settings_schema).transpose()?;
        if description.name.trim().is_empty() {
            return Err(LoadError::Description("its name is empty".to_owned()));
        }
        Ok(Plugin {
            name: bounded(&description.name, 64).into_owned(),
            version: bounded(&description.version, 64).into_owned(),
            hash,
            settings,
            pre,
            engine: Arc::clone(&self.engine),
        })
    }
}

/// Whether a generation has what is in the cell, or somebody is about to fill it.
fn is_used(cell: &Arc<OnceCell<Arc<Plugin>>>) -> bool {
    Arc::strong_count(cell) > 1 || cell.get().is_some_and(|plugin| Arc::strong_count(plugin) > 1)
}

async fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Unreadable { path: path.to_owned(), cause },
    };
    let bytes = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if bytes > FILE_LIMIT {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes });
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

fn settings_schema(schema: &str) -> Result<jsonschema::Validator, LoadError> {
    let wrong =
        |cause: String| LoadError::Description(format!("its settings schema is no JSON Schema: {cause}"));
    let schema = serde_json::from_str(schema).map_err(|error| wrong(error.to_string()))?;
    jsonschema::draft202012::new(&schema).map_err(|error| wrong(error.to_string()))
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
    fn check_settings(&self, bot: &Bot) -> Result<(), LoadError> {
        let Some(schema) = &self.settings else { return Ok(()) };
        let problems: Vec<String> = schema
            .iter_errors(&bot.settings)
            .take(20)
            .map(|error| match error.instance_path().to_string() {
                place if place.is_empty() => error.to_string(),
                place => format!("{error} at {place}"),
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(LoadError::Settings { bot: bot.name.to_string(), problems })
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.hash)
    }
}
