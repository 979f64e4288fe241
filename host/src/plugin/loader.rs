//! From a file to a generation: read, told apart by its content, compiled, linked, described, and checked against its bot.
//!
//! - The same content is compiled once, however many bots use it, and forgotten with the last generation that has it.
//! - What earlier processes compiled is taken from where they kept it.
//! - An author who waits is served by Winch, which compiles many times faster than Cranelift and makes slower code. Only
//!   what was not kept is compiled so, and only by a loader [for development](Loader::for_development). What Winch can't
//!   compile, Cranelift does. [`Loader::optimised`] makes the same generation of Cranelift's code. Only that is kept.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};
use wasmtime::component::Component;

use super::{
    Code, ContentHash, DESCRIBING, Engine, FILE_LIMIT, Generation, LoadError, Plugin, bounded,
    call::{self, CallError},
    compiled::Compiled,
    health::Health,
    interface,
    schema::{Deadline, Schema, Threads},
    tools, v1,
};
use crate::config::Bot;

/// Bytes of a settings schema.
const SCHEMA_LIMIT: usize = 64 << 10;
/// Capabilities that a plugin may name; there are fewer.
const WANTS_LIMIT: usize = 16;
/// How many plugins compile at once while bots wait for them: it is the processor that they wait for.
const COMPILES: usize = 2;
/// How many compile behind what already serves, besides.
const COMPILES_BEHIND: usize = 1;

/// Loads plugins.
pub struct Loader {
    engine: Arc<Engine>,
    compiles: Arc<Semaphore>,
    compiles_behind: Arc<Semaphore>,
    loaded: Mutex<HashMap<(ContentHash, Haste), Arc<Known>>>,
    /// What was compiled by earlier processes, and for later ones.
    compiled: Option<Arc<Compiled>>,
    /// Told when a call of any generation fails.
    failed: Arc<Notify>,
}

/// A content's plugin, as long as a generation has it. Locked while it is compiled: whoever comes meanwhile waits for that.
type Known = tokio::sync::Mutex<Weak<Plugin>>;

/// Whether somebody waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Haste {
    /// Any code is better than none.
    Quick,
    /// It is to run fast.
    Thorough,
}

// === impl Loader ===

impl Loader {
    /// A loader with an engine of its own.
    ///
    /// # Errors
    /// If the engine can't start on this machine.
    pub fn new() -> Result<Self, LoadError> {
        Ok(Self::on(Engine::new()?))
    }

    /// The same for an author who waits for what he changed: Winch compiles first, if it can.
    ///
    /// # Errors
    /// If the engine can't start on this machine.
    pub fn for_development() -> Result<Self, LoadError> {
        Ok(Self::on(Engine::for_development()?))
    }

    fn on(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            compiles: Arc::new(Semaphore::new(COMPILES)),
            compiles_behind: Arc::new(Semaphore::new(COMPILES_BEHIND)),
            loaded: Mutex::default(),
            compiled: None,
            failed: Arc::default(),
        }
    }

    /// Keeps what it compiles in `folder`, for this user only, so that no later process compiles it again. A folder that
    /// can't be used is said in the log.
    #[must_use]
    pub fn keeping(self, folder: &Path) -> Self {
        let compiled = Compiled::in_folder(folder, self.engine.wasmtime()).map(Arc::new);
        Self { compiled, ..self }
    }

    /// Waits until a call of one of its generations failed that was not waited for yet.
    pub async fn call_failed(&self) {
        self.failed.notified().await;
    }

    /// Loads the bot's plugin and checks the bot's settings against it: generation `number` of this bot.
    ///
    /// # Errors
    /// If it can't be that.
    pub async fn load(&self, bot: &Arc<Bot>, number: u64) -> Result<Generation, LoadError> {
        let bytes = Bytes::from(read(&bot.plugin).await?);
        let hash = ContentHash::of(&bytes);
        let haste = if self.engine.is_quick() && self.known(hash, Haste::Thorough).is_none() {
            Haste::Quick
        } else {
            Haste::Thorough
        };
        let threads = &self.engine.share(&bot.name).threads;
        let plugin = self.plugin(bytes, hash, haste, &self.compiles, threads).await?;
        self.generation(bot, number, plugin, Arc::new(Mutex::new(Health::new(Instant::now())))).await
    }

    /// Loads what the bot's plugin was when its hash was this, as far as it is shown; none if that is neither the plugin's
    /// file now nor among what was compiled for this Hearth.
    ///
    /// # Errors
    /// If it does not fit the bot any more.
    pub async fn load_again(&self, bot: &Arc<Bot>, hash: &str) -> Result<Option<Generation>, LoadError> {
        if ContentHash::of_file(&bot.plugin).await.is_some_and(|now| now.to_string() == hash) {
            return self.load(bot, 1).await.map(Some);
        }
        let Some(content) = self.compiled.as_ref().and_then(|kept| kept.find(hash)) else { return Ok(None) };
        let threads = &self.engine.share(&bot.name).threads;
        // There is no file to compile, so it is gone if it went from there meanwhile.
        let plugin = self.plugin(Bytes::new(), content, Haste::Thorough, &self.compiles, threads).await;
        let plugin = match plugin {
            Err(LoadError::NotWasm) => return Ok(None),
            plugin => plugin?,
        };
        self.generation(bot, 1, plugin, Arc::new(Mutex::new(Health::new(Instant::now())))).await.map(Some)
    }

    /// The same generation, with Cranelift's code in the place of Winch's; none if it has that. What is known of how its
    /// calls go they have together. It is compiled behind all that bots wait for.
    ///
    /// # Errors
    /// If that can't be had, which says nothing against the one that there is.
    pub async fn optimised(&self, quick: &Generation) -> Result<Option<Generation>, LoadError> {
        let Some(bytes) = quick.plugin.unoptimised.clone() else { return Ok(None) };
        let (hash, threads) = (quick.plugin.hash, &quick.share.threads);
        let plugin = self.plugin(bytes, hash, Haste::Thorough, &self.compiles_behind, threads).await?;
        self.generation(&quick.bot, quick.number, plugin, Arc::clone(&quick.health)).await.map(Some)
    }

    /// The plugin of that content, if any generation has it.
    fn known(&self, hash: ContentHash, haste: Haste) -> Option<Arc<Plugin>> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        // What is locked is being compiled.
        loaded.get(&(hash, haste))?.try_lock().ok()?.upgrade()
    }

    /// The plugin of that content, compiled now if no generation has it.
    async fn plugin(
        &self,
        bytes: Bytes,
        hash: ContentHash,
        haste: Haste,
        turns: &Arc<Semaphore>,
        threads: &Threads,
    ) -> Result<Arc<Plugin>, LoadError> {
        let known = {
            let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.retain(|_, known| is_used(known));
            Arc::clone(loaded.entry((hash, haste)).or_default())
        };
        let mut known = known.lock().await;
        if let Some(plugin) = known.upgrade() {
            return Ok(plugin);
        }
        let plugin = Arc::new(self.compile(bytes, hash, haste, turns, threads).await?);
        *known = Arc::downgrade(&plugin);
        Ok(plugin)
    }

    async fn generation(
        &self,
        bot: &Arc<Bot>,
        number: u64,
        plugin: Arc<Plugin>,
        health: Arc<Mutex<Health>>,
    ) -> Result<Generation, LoadError> {
        let share = self.engine.share(&bot.name);
        plugin.check_settings(bot, &share.threads).await?;
        plugin.check_cron(bot)?;
        let granted = plugin.check_grants(bot)?;
        let mut generation = Generation {
            number,
            bot: Arc::clone(bot),
            plugin,
            settings: bot.settings.to_string().into(),
            granted,
            share,
            tools: Arc::default(),
            health,
            failed: Arc::clone(&self.failed),
        };
        generation.tools = Arc::new(tools::offered(&generation).await?);
        Ok(generation)
    }

    /// It waits for one of the `turns`; `threads` are those of the bot that it is compiled for.
    async fn compile(
        &self,
        bytes: Bytes,
        hash: ContentHash,
        haste: Haste,
        turns: &Arc<Semaphore>,
        threads: &Threads,
    ) -> Result<Plugin, LoadError> {
        // It goes with the work, which goes on when nobody waits for it any more. The semaphore is never closed.
        let turn = Arc::clone(turns).acquire_owned().await.ok();
        let (engine, kept) = (Arc::clone(&self.engine), self.compiled.clone());
        let compiled = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let (component, unoptimised) = component(&engine, kept.as_deref(), &bytes, hash, haste)?;
            let linked = v1::Guest::link(&component).map(Code::V1);
            let code = linked.map_err(|error| LoadError::Link(format!("{error:#}")))?;
            Ok((code, unoptimised.then_some(bytes)))
        });
        let (code, unoptimised) = match compiled.await {
            Ok(code) => code?,
            Err(panic) => return Err(LoadError::Compile(panic.to_string())),
        };
        let description =
            call::describe(&self.engine, &code, &DESCRIBING).await.map_err(|error| match error {
                // The bot's settings have nothing to do with it, so none is named.
                CallError::Limit { limit, .. } => LoadError::Describe(format!("the plugin {limit}")),
                error => LoadError::Describe(error.to_string()),
            })?;
        let settings = match &description.settings_schema {
            Some(schema) => Some(settings_schema(schema, threads).await?),
            None => None,
        };
        if description.name.trim().is_empty() {
            return Err(LoadError::Description("its name is empty".to_owned()));
        }
        if description.wants.len() > WANTS_LIMIT {
            let wants = description.wants.len();
            return Err(LoadError::Description(format!(
                "it asks for {wants} capabilities; it may name {WANTS_LIMIT}"
            )));
        }
        Ok(Plugin {
            name: bounded(&description.name, 64).into_owned(),
            version: bounded(&description.version, 64).into_owned(),
            hash,
            settings,
            wanted: description.wants.iter().map(|want| want.capability).collect(),
            wants: description.wants,
            code,
            unoptimised,
            engine: Arc::clone(&self.engine),
        })
    }
}

/// The component of a file, and whether Cranelift is to compile it still.
fn component(
    engine: &Engine,
    kept: Option<&Compiled>,
    bytes: &[u8],
    hash: ContentHash,
    haste: Haste,
) -> Result<(Component, bool), LoadError> {
    if let Some(component) = kept.and_then(|kept| kept.get(engine.wasmtime(), &hash)) {
        return Ok((component, false));
    }
    let bytes = interface::component(bytes)?;
    if haste == Haste::Quick
        && let Some(component) = engine.compile_quickly(&bytes)
    {
        return Ok((component, true));
    }
    let component =
        Component::new(engine.wasmtime(), bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    if let Some(kept) = kept {
        kept.put(&hash, &component);
    }
    Ok((component, false))
}

/// Whether a generation has what is known there, or somebody is about to find out.
fn is_used(known: &Arc<Known>) -> bool {
    Arc::strong_count(known) > 1 || known.try_lock().is_ok_and(|plugin| plugin.strong_count() > 0)
}

/// A plugin file's bytes.
pub(super) async fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
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

async fn settings_schema(schema: &str, threads: &Threads) -> Result<Schema, LoadError> {
    let wrong =
        |cause: String| LoadError::Description(format!("the schema of its settings can't be used: {cause}"));
    if schema.len() > SCHEMA_LIMIT {
        return Err(wrong(format!("it has {} bytes; one may have {SCHEMA_LIMIT}", schema.len())));
    }
    let schema = serde_json::from_str(schema).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
    let deadline = Deadline::after(DESCRIBING.call_time);
    Schema::compile(schema, threads, deadline).await.map_err(|error| wrong(error.to_string()))
}
