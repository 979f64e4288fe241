//! A running host: everything below wired together, from a checked configuration and an open socket to the last turn.
//!
//! The caller owns the sockets and decides when it ends, so a test runs the real thing on port 0. At the start, what
//! was accepted and not finished runs again. At the end no new webhook is taken, running turns get their grace, and
//! what has not ended then stays in the inbox.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{AgentError, Runner},
    campfire::{Client, ClientError},
    causes::with_causes,
    config::{Config, StoreLocation},
    id::{HostId, Timestamp},
    lane::Lanes,
    plugin::{LoadError, Loader, Roster, Seat},
    reload,
    store::{SqliteStore, Store, StoreError},
    turn::Turns,
    webhook::{self, Door},
};

/// How often old rows are removed.
const SWEEPS: Duration = Duration::from_hours(1);

/// Why a host could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder can't be made or protected.
    #[error("the data folder {} can't be used; set `data-dir` in [host] to one that can", path.display())]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No plugin can run at all.
    #[error(transparent)]
    Engine(LoadError),
    /// The agent's command does not fit.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// No HTTP client can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A host that is ready to take webhooks.
pub struct Hearth {
    config: Config,
    store: Arc<dyn Store>,
    roster: Arc<Roster>,
    lanes: Lanes,
    loader: Loader,
}

impl Hearth {
    /// Opens the store, finds the agent, and lines up what was accepted and not finished.
    ///
    /// # Errors
    /// If the store, the agent or the plugin engine can't be used.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        own_folder(&config.host.data_dir)?;
        let StoreLocation::Sqlite(path) = &config.store;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path)?);
        let agents = Runner::new(config.agent.clone(), config.host.data_dir.clone())?;
        agents.clear_leftovers().await;
        tracing::info!(version = %agents.version().await?, "the agent is there");
        let loader = Loader::new().map_err(ServeError::Engine)?;
        let roster = Arc::new(Roster::default());
        for bot in config.bots.values() {
            roster.seat(Seat { bot: Arc::clone(bot), generation: None });
        }

        let host = &config.host;
        let turns = Turns::new(
            Arc::clone(&store),
            Arc::clone(&roster),
            agents,
            Client::new(config.campfire.timeout)?,
        );
        let lanes =
            Lanes::new(HostId::random(), Arc::clone(&store), turns, host.queue_limit, host.turns_in_flight);
        let left = store.unfinished_lanes().await?;
        if !left.is_empty() {
            tracing::info!(lanes = left.len(), "messages from before the start are waiting");
        }
        for lane in left {
            lanes.wake(lane);
        }
        Ok(Self { config, store, roster, lanes, loader })
    }

    /// The bots, to see what runs.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The lanes, to see how busy they are.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Takes webhooks on `listener` until `shutdown`, then ends: running turns get the configured grace, or less if
    /// `hurry` comes. Messages are taken from the start; turns begin when the plugins are loaded, which may take longer
    /// than Campfire waits. A plugin that can't be loaded is no reason not to run: the other bots do, and that one says
    /// in its rooms that something is wrong with its code.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) {
        let host = &self.config.host;
        let door = Arc::new(Door {
            roster: Arc::clone(&self.roster),
            inbox: Arc::new(self.lanes.clone()),
            max_body: host.max_body,
        });
        let ended = CancellationToken::new();
        let sweeper = tokio::spawn(sweep(Arc::clone(&self.store), host.journal_retention, ended.clone()));
        let plugins = async {
            load_all(&self.loader, &self.config, &self.roster).await;
            self.lanes.open();
            reload::watch(&self.loader, &self.roster).await;
        };
        tokio::select! {
            () = webhook::serve(door, listener, shutdown) => {}
            // Ends with the door: there is nothing left to load for.
            () = plugins => {}
        }
        tracing::info!("closing: no more webhooks are taken, running turns may end");
        self.lanes.close(host.shutdown_grace, hurry).await;
        ended.cancel();
        let _ = sweeper.await;
        self.store.close().await;
    }
}

/// Loads every bot's plugin, side by side.
async fn load_all(loader: &Loader, config: &Config, roster: &Roster) {
    let loads = config.bots.values().map(|bot| async {
        match loader.load(bot, 1).await {
            Ok(generation) => {
                tracing::info!(bot = %bot.name, plugin = ?generation.plugin, "loaded");
                roster.seat(Seat { bot: Arc::clone(bot), generation: Some(Arc::new(generation)) });
            }
            Err(error) => tracing::error!(
                bot = %bot.name,
                plugin = %bot.plugin.display(),
                error = with_causes(&error),
                "the plugin can't be loaded; the other bots run without this one"
            ),
        }
    });
    futures_util::future::join_all(loads).await;
}

async fn sweep(store: Arc<dyn Store>, retention: Duration, ended: CancellationToken) {
    loop {
        let now = Timestamp::now();
        match store.sweep(now.before(retention), now).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::debug!(rows, "old rows were removed");
                continue;
            }
            Err(error) => tracing::warn!(%error, "old rows could not be removed"),
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEPS) => {}
            () = ended.cancelled() => return,
        }
    }
}

/// Makes the folder, readable by its owner only: transcripts and messages are in it.
fn own_folder(path: &std::path::Path) -> Result<(), ServeError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    let failed = |cause| ServeError::DataDir { path: path.to_owned(), cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}
