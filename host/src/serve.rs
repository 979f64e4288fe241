//! A running host: everything below wired together, from a checked configuration and an open socket to the last turn.
//!
//! The caller owns the socket of the webhooks and decides when it ends, so a test runs the real thing on port 0. At the
//! start, what was accepted and not finished runs again. At the end no new turn begins, and running turns get their
//! grace. Webhooks are taken until that is over: Campfire says everything once, and the next host finds it in the inbox.

use std::{
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    address,
    admin::Admin,
    agent::{AgentError, Runner},
    alarm::{self, Alarm},
    campfire::{Client, ClientError},
    cluster::{Announcer, Seen},
    config::{Config, StoreLocation},
    id::{Host, HostId, Timestamp},
    lane::{Hops, Lanes},
    missed::Missed,
    operator::{self, Operator, Running, Socket},
    playground::Playground,
    plugin::{LoadError, Loader, Roster, Seat},
    reload::{Reload, Reloader, Source},
    store::{RedisStore, SqliteStore, Store, StoreError},
    telemetry::{Telemetry, TelemetryError},
    turn::Turns,
    upkeep,
    webhook::{self, Door},
};

/// The folder of compiled plugins, in the data folder.
pub(crate) const COMPILED: &str = "compiled";
/// How long another process may have the store at the start: a host that is about to end, or an operator's command.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How long the first turns wait for what was missed before the start, which is older than what comes from now on.
const MISSED_PATIENCE: Duration = Duration::from_secs(5);
/// How many rooms may be named at once in which a message was not taken.
const MISSED: usize = 256;

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
    /// Traces can't be sent as the environment says.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// A host that is ready to take webhooks.
pub struct Hearth {
    config: Config,
    host: Host,
    started_at: Timestamp,
    /// How many hosts share the store.
    seen: Seen,
    store: Arc<dyn Store>,
    roster: Arc<Roster>,
    lanes: Lanes,
    hops: Hops,
    reload: Reload,
    reloader: Reloader,
    client: Client,
    /// Told when a plugin sets a timer.
    timer_set: Arc<Notify>,
    /// None if nobody wants traces.
    telemetry: Option<Arc<Telemetry>>,
    /// None if it could not be had: bots matter more than the operator's commands.
    operator: Option<Socket>,
    /// None if nobody wants to look.
    admin: Option<TcpListener>,
    /// Whose page shows what is behind the bots.
    playground: Option<Playground>,
}

impl Hearth {
    /// Opens the store, and lines up what was accepted and not finished.
    ///
    /// # Errors
    /// If the store or the plugin engine can't be used.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        Self::start_with(config, Loader::new).await
    }

    /// The same for authors, who wait for each plugin: Winch compiles it first, and Cranelift after that.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn start_for_development(config: Config) -> Result<Self, ServeError> {
        Self::start_with(config, Loader::for_development).await
    }

    async fn start_with(
        config: Config,
        loader: impl FnOnce() -> Result<Loader, LoadError>,
    ) -> Result<Self, ServeError> {
        let this = Host { id: HostId::random(), name: address::own_name() };
        let started_at = Timestamp::now();
        own_folder(&config.host.data_dir)?;
        let store = open(&config.store).await?;
        let operator = operator_socket(&config.host.data_dir);
        let agents = Arc::new(Runner::new(config.agent.clone(), config.host.data_dir.clone())?);
        let loader = loader().map_err(ServeError::Engine)?;
        let loader = loader.keeping(&config.host.data_dir.join(COMPILED));
        let roster = Arc::new(Roster::default());
        for bot in config.bots.values() {
            roster.seat(Seat { bot: Arc::clone(bot), generation: None });
        }
        let (reload, reloader) = Reload::new(loader, Arc::clone(&roster), &config);

        let timer_set = Arc::new(Notify::new());
        let client = Client::new(config.campfire.timeout)?;
        let telemetry = Telemetry::from_environment(client.connections())?.map(Arc::new);
        let host = &config.host;
        let hops = Hops { roster: Arc::clone(&roster), client: client.clone(), budget: host.bot_hops };
        let turns = Turns::new(
            Arc::clone(&store),
            Arc::clone(&roster),
            agents,
            client.clone(),
            Arc::clone(&timer_set),
        )
        .told_of(store.shared().map(|_| this.clone()))
        .traced_by(telemetry.clone());
        let lanes = Lanes::new(this.id, Arc::clone(&store), turns, host.queue_limit, host.turns_in_flight);
        let left = store.abandoned_lanes(Timestamp::now()).await?;
        if !left.is_empty() {
            tracing::info!(lanes = left.len(), "messages from before the start are waiting");
        }
        for lane in left {
            lanes.wake(lane);
        }
        Ok(Self {
            config,
            host: this,
            started_at,
            seen: Seen::default(),
            store,
            roster,
            lanes,
            hops,
            reload,
            reloader,
            client,
            timer_set,
            telemetry,
            operator,
            admin: None,
            playground: None,
        })
    }

    /// Has `bots.toml` followed while the host runs: `source` reads it as this host's configuration was read.
    #[must_use]
    pub fn following(mut self, source: Source) -> Self {
        self.reload.follow(source);
        self
    }

    /// What reloads on demand.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Shows how the host is on `listener`, as `[host] admin` has it.
    #[must_use]
    pub fn observed_on(mut self, listener: TcpListener) -> Self {
        self.admin = Some(listener);
        self
    }

    /// Shows on the page of its playground what is behind the bots there: what runs, what was refused, their turns.
    #[must_use]
    pub fn seen_from(mut self, playground: Playground) -> Self {
        self.playground = Some(playground);
        self
    }

    /// The bots, to see what runs.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// The lanes, to see how busy they are.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Takes webhooks on `listener` until `shutdown` and the end of the turns that run then: they get the configured
    /// grace, or less if `hurry` comes. Messages are taken from the start; turns begin when the agent is found and the
    /// plugins are loaded, which may take longer than Campfire waits. A plugin that can't be loaded is no reason not to
    /// run: the other bots do, and that one says in its rooms that something is wrong with its code.
    ///
    /// # Errors
    /// If the agent does not fit. What was accepted waits for a host whose agent does.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let announcer = self.announcer();
        let admin = self.admin();
        let host = &self.config.host;
        let (refused, rooms) = mpsc::channel(MISSED);
        let door = Arc::new(Door {
            roster: Arc::clone(&self.roster),
            inbox: Arc::new(self.lanes.clone()),
            hops: self.hops.clone(),
            max_body: host.max_body,
            missed: refused,
        });
        let missed = Missed {
            store: Arc::clone(&self.store),
            roster: Arc::clone(&self.roster),
            lanes: self.lanes.clone(),
            hops: self.hops.clone(),
            client: self.client.clone(),
            max_body: host.max_body,
            caught_up: CancellationToken::new(),
        };
        let ended = CancellationToken::new();
        let (events, journal) = (host.inbox_retention, host.journal_retention);
        let (store, roster) = (Arc::clone(&self.store), Arc::clone(&self.roster));
        let sweeper = tokio::spawn(upkeep::sweep(store, roster, events, journal, ended.clone()));
        let announcer = tokio::spawn(announcer.run(ended.clone()));
        let api = operator::router(self.operator());
        let admin = admin.map(|admin| tokio::spawn(admin.serve(api.clone(), ended.clone())));
        let page = self.playground.map(|playground| {
            let backstage =
                playground.show_backstage(api.clone(), self.reloader.clone(), self.client.clone());
            tokio::spawn(ended.clone().run_until_cancelled_owned(backstage))
        });
        let operator = self.operator.map(|socket| tokio::spawn(socket.serve(api, ended.clone())));
        let plugins = Box::pin(async {
            let mut reload = self.reload;
            let mut missed_read = pin!(missed.run(rooms));
            let caught_up = timeout(MISSED_PATIENCE, missed.caught_up.cancelled());
            let loaded = async {
                let _ = tokio::join!(reload.load_all(), caught_up);
                Ok(())
            };
            let ready = async { tokio::try_join!(self.lanes.agents_ready(), loaded) };
            tokio::select! {
                ready = ready => match ready {
                    Ok((version, ())) => tracing::info!(%version, "the agent is there"),
                    Err(error) => return error,
                },
                // Ends with the door, which outlives this.
                () = &mut missed_read => {}
            }
            self.lanes.open();
            let alarm = Alarm {
                store: Arc::clone(&self.store),
                roster: Arc::clone(&self.roster),
                lanes: Arc::new(self.lanes.clone()),
                timer_set: Arc::clone(&self.timer_set),
                clock: Timestamp::now,
                takes: alarm::takes_timers,
            };
            let returned = upkeep::wake_returned(&self.roster, &*self.store, &self.lanes);
            tokio::join!(reload.watch(), alarm.run(), missed_read, returned);
            std::future::pending().await
        });
        let turns_over = CancellationToken::new();
        let turns = async {
            let served = tokio::select! {
                () = shutdown => Ok(()),
                // Else it ends with the turns: there is nothing left to load for.
                error = plugins => Err(error),
            };
            tracing::info!("closing: no more turns begin, running ones may end");
            self.lanes.close(host.shutdown_grace, hurry).await;
            turns_over.cancel();
            served
        };
        let in_touch = turns_over.run_until_cancelled(self.lanes.stay_in_touch());
        let (served, (), _) =
            tokio::join!(turns, webhook::serve(door, listener, turns_over.cancelled()), in_touch);
        ended.cancel();
        let _ = tokio::join!(sweeper, announcer);
        for door in [operator, admin].into_iter().flatten() {
            // It can only have ended or panicked; the store is closed in either case.
            let _ = door.await;
        }
        if let Some(page) = page {
            let _ = page.await;
        }
        if let Some(telemetry) = self.telemetry {
            telemetry.close().await;
        }
        self.store.close().await;
        Ok(served?)
    }

    fn announcer(&self) -> Announcer {
        Announcer {
            store: Arc::clone(&self.store),
            host: self.host.clone(),
            started_at: self.started_at,
            admin: self.admin.as_ref().and_then(|listener| listener.local_addr().ok()),
            lanes: self.lanes.clone(),
            reloader: self.reloader.clone(),
            seen: self.seen.clone(),
        }
    }

    fn admin(&mut self) -> Option<Admin> {
        let listener = self.admin.take()?;
        let token = self.config.host.admin.as_ref().and_then(|admin| admin.token.clone());
        let reloader = self.reloader.clone();
        let admin = Admin {
            listener,
            token,
            store: Arc::clone(&self.store),
            roster: Arc::clone(&self.roster),
            bots: Arc::new(move || reloader.status().bots),
            lanes: self.lanes.clone(),
            started_at: self.started_at,
            seen: self.seen.clone(),
        };
        Some(admin)
    }

    fn operator(&self) -> Operator {
        let roster = Arc::clone(&self.roster);
        let names = move || {
            let mut names: Vec<_> = roster.seats().into_iter().map(|seat| seat.bot.name.clone()).collect();
            names.sort();
            names
        };
        let running = Running {
            host: self.host.id,
            lanes: self.lanes.clone(),
            reloader: self.reloader.clone(),
            roster: Arc::clone(&self.roster),
        };
        Operator { store: Arc::clone(&self.store), running: Some(running), bots: Arc::new(names) }
    }
}

fn operator_socket(data_dir: &Path) -> Option<Socket> {
    Socket::bind(data_dir)
        .inspect_err(|error| {
            tracing::warn!(
                socket = %operator::socket_path(data_dir).display(),
                %error,
                "the operator's commands can't reach this host; a shorter `data-dir` in [host] may help"
            );
        })
        .ok()
}

/// Opens the store. What the setup of a Redis may lose is logged.
async fn open(location: &StoreLocation) -> Result<Arc<dyn Store>, StoreError> {
    match location {
        StoreLocation::Sqlite(path) => Ok(Arc::new(SqliteStore::open_within(path, STORE_PATIENCE).await?)),
        StoreLocation::Redis(location) => {
            let store = RedisStore::open(location).await?;
            for concern in store.concerns().await? {
                tracing::warn!(store = %location, "{concern}");
            }
            Ok(Arc::new(store))
        }
    }
}

/// Makes the folder, readable by its owner only: transcripts and messages are in it.
fn own_folder(path: &Path) -> Result<(), ServeError> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    let failed = |cause| ServeError::DataDir { path: path.to_owned(), cause };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}
