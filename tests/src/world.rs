//! A deployment on the stage: a real host in this process, the playground as its Campfire, everything in a folder of
//! its own that goes away with it.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use hearth::{
    config::{Config, Salvage, StoreLocation},
    id::{BotName, LaneKey, RoomId, UserId},
    lane::Lanes,
    playground::{Message, Options, Playground},
    plugin::Roster,
    reload::Reloader,
    serve::{Hearth, ServeError},
    stage::{ANY, Page, Stage, Wardrobe},
    store::{JournalRow, SqliteStore, Store},
};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::binary;

/// How long anything may take that ought to happen. Long, since machines are slow at times; no test waits for it.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The `[agent]` of a deployment that the demo agent answers.
pub fn demo_agent() -> String {
    format!("[agent]\ncommand = ['{}', \"demo-agent\"]\n", binary::path().display())
}

/// The agents that are noted in this bot's folder.
pub fn noted_agents(bot: &Path) -> Vec<Pid> {
    let folders = std::fs::read_dir(bot.join("tmp")).into_iter().flatten().flatten();
    let notes = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("hearth-agent")).ok());
    notes.filter_map(|note| Pid::from_raw(note.split(' ').next()?.parse().ok()?)).collect()
}

/// A deployment and its Campfire.
pub struct World {
    /// As the host runs it.
    pub config: Config,
    /// Its Campfire.
    pub playground: Playground,
    /// Where webhooks are taken; the same over restarts.
    pub address: SocketAddr,
    /// Where the host shows how it is, if the test's bots.toml has an `admin` with port 0.
    pub admin: Option<SocketAddr>,
    wardrobe: Arc<Wardrobe>,
    /// Whether plugins are compiled quickly first.
    for_authors: bool,
    /// What stands in bots.toml before what the test says.
    preface: String,
    host: Option<Host>,
    /// None while Campfire is away.
    page: Option<Page>,
    campfire: SocketAddr,
    _folder: TempDir,
}

struct Host {
    lanes: Lanes,
    roster: Arc<Roster>,
    reloader: Reloader,
    ended: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

/// Whether a message only stands for an answer that is to come.
pub fn is_underway(message: &Message) -> bool {
    ["Working on it…", "I keep trying…"].iter().any(|words| message.plain.contains(words))
}

impl World {
    /// A running deployment of these `[bots]`, answered by the demo agent.
    pub async fn new(bots: &str) -> Self {
        let agent = demo_agent();
        Self::with(&format!("{agent}\n{bots}"), Options::default()).await
    }

    /// The same as `hearth dev` runs it: plugins are compiled quickly first.
    pub async fn for_authors(bots: &str) -> Self {
        Self::set(&format!("{}\n{bots}", demo_agent()), Options::default(), true).await
    }

    /// A running deployment of this bots.toml. Plugins are looked up among the committed ones.
    pub async fn with(toml: &str, options: Options) -> Self {
        Self::set(toml, options, false).await
    }

    async fn set(toml: &str, options: Options, for_authors: bool) -> Self {
        // A host on a busy machine may keep a webhook waiting for longer than a real Campfire would.
        let options = Options { webhook_read_timeout: PATIENCE, ..options };
        let folder = TempDir::new().expect("a temporary folder");
        let plugins = binary::repository().join("plugins/dist");
        let host = format!(
            "[host]\nlisten = \"{ANY}\"\nplugins = '{}'\nshutdown-grace = \"10s\"\n",
            plugins.display()
        );
        // Keys of the test's own [host] join these.
        let (preface, toml) = match toml.split_once("[host]\n") {
            Some((before, after)) => (format!("{before}{host}"), after.to_owned()),
            None => (host, toml.to_owned()),
        };
        let path = folder.path().join("bots.toml");
        std::fs::write(&path, format!("{preface}\n{toml}")).expect("the folder is writable");
        let config = Config::load(&path).expect("the test's bots.toml is right");
        let stage = Stage::set(config, "data", ANY, options).await.expect("ports are free");
        let address = stage.webhooks.local_addr().expect("a listener has an address");
        let mut world = Self {
            config: stage.config,
            playground: stage.playground,
            address,
            admin: None,
            wardrobe: stage.wardrobe,
            for_authors,
            preface,
            host: None,
            campfire: stage.page.address,
            page: Some(stage.page),
            _folder: folder,
        };
        world.start_on(stage.webhooks).await;
        world
    }

    /// Starts the host again, at the address it had.
    pub async fn start(&mut self) {
        let listener = once_free(|| TcpListener::bind(self.address)).await;
        self.start_on(listener).await;
    }

    async fn start_on(&mut self, listener: TcpListener) {
        let config = self.config.clone();
        let hearth = if self.for_authors {
            Hearth::start_for_development(config).await
        } else {
            Hearth::start(config).await
        };
        let hearth = hearth.expect("the host starts");
        let (path, wardrobe) = (self.config.path.clone(), Arc::clone(&self.wardrobe));
        let mut hearth = hearth.following(Arc::new(move || {
            let mut salvage = Salvage::load(&path)?;
            wardrobe.dress(&mut salvage.config);
            Ok(salvage)
        }));
        hearth = hearth.seen_from(self.playground.clone());
        if let Some(admin) = self.config.host.admin.as_ref().filter(|admin| admin.listen.port() == 0) {
            let listener = TcpListener::bind(admin.listen).await.expect("a port is free");
            self.admin = listener.local_addr().ok();
            hearth = hearth.observed_on(listener);
        }
        let (lanes, roster) = (hearth.lanes().clone(), Arc::clone(hearth.roster()));
        let reloader = hearth.reloader().clone();
        let ended = CancellationToken::new();
        let task =
            tokio::spawn(hearth.serve(listener, ended.clone().cancelled_owned(), std::future::pending()));
        self.host = Some(Host { lanes, roster, reloader, ended, task });
    }

    /// Ends the host as SIGTERM would.
    pub async fn stop(&mut self) {
        let host = self.host.take().expect("the host runs");
        host.ended.cancel();
        host.task.await.expect("the host ends well").expect("its agent fits");
    }

    /// Campfire goes away: nothing can be posted. What people say still reaches the host.
    pub fn campfire_leaves(&mut self) {
        self.page = None;
    }

    /// Campfire is back.
    pub async fn campfire_returns(&mut self) {
        let listener = once_free(|| TcpListener::bind(self.campfire)).await;
        self.page = Some(Page::open(listener, &self.playground).expect("it is served"));
    }

    /// What others than you said in a room.
    pub fn answers(&self, room: RoomId) -> Vec<String> {
        let you = self.playground.you();
        let messages = self.playground.messages(room).into_iter();
        messages.filter(|message| message.author != you).map(|message| message.plain).collect()
    }

    /// Says something and waits until the host has acknowledged it.
    pub async fn say(&self, room: RoomId, text: &str) {
        self.say_as(self.playground.you(), room, text).await;
    }

    /// The same as somebody else.
    pub async fn say_as(&self, author: UserId, room: RoomId, text: &str) {
        let said = self.playground.say(author, room, text).expect("it can be said");
        let delivery = self.playground.wait_for_delivery(|delivery| delivery.message == said, PATIENCE).await;
        assert_eq!(delivery.expect("it is delivered").status, Some(204));
    }

    /// Says something and waits until its turn has begun; its agent may not run yet. Where there are boosts.
    pub async fn begin(&self, room: RoomId, text: &str) {
        let said = self.playground.say(self.playground.you(), room, text).expect("it can be said");
        let seen = self.playground.wait_for(
            room,
            |message| message.id == said && !message.boosts.is_empty(),
            PATIENCE,
        );
        assert!(seen.await.is_some(), "nobody saw {text:?}");
    }

    /// The host's lanes.
    pub fn lanes(&self) -> &Lanes {
        &self.host.as_ref().expect("the host runs").lanes
    }

    /// Saves bots.toml with this in it, below what the world itself has there, as careful editors do.
    pub fn save(&self, toml: &str) {
        let beside = self.config.path.with_extension("new");
        std::fs::write(&beside, format!("{}\n{toml}", self.preface)).expect("the folder is writable");
        std::fs::rename(beside, &self.config.path).expect("the folder is writable");
    }

    /// The host's reload.
    pub fn reloader(&self) -> &Reloader {
        &self.host.as_ref().expect("the host runs").reloader
    }

    /// The host's bots.
    pub fn roster(&self) -> &Roster {
        &self.host.as_ref().expect("the host runs").roster
    }

    /// Waits until the bot is gone from the host.
    pub async fn gone(&self, bot: &str) {
        let mut changes = self.roster().changes();
        let gone = changes.wait_for(|_| self.roster().bot(bot).is_none());
        tokio::time::timeout(PATIENCE, gone).await.expect("the bot goes").expect("the roster is there");
    }

    /// Waits until the bot runs this generation of its plugin.
    pub async fn generation(&self, bot: &str, number: u64) {
        let runs = self.roster().wait_for(bot, |seat| {
            seat.generation.as_ref().is_some_and(|generation| generation.number == number)
        });
        let runs = tokio::time::timeout(PATIENCE, runs).await;
        runs.unwrap_or_else(|_| panic!("{bot} does not come to generation {number}"));
    }

    /// The direct room of the bot and you.
    pub fn room(&self, bot: &str) -> RoomId {
        self.wardrobe.rooms()[&BotName::from(bot)]
    }

    /// The bot as one who writes: Campfire's keys begin with it.
    pub fn user(&self, bot: &str) -> UserId {
        let key =
            self.config.bots[&BotName::from(bot)].bot_key.as_ref().expect("on the stage, bots have keys");
        let id = key.expose_secret().split('-').next().and_then(|id| id.parse().ok());
        UserId(id.expect("a key begins with an id"))
    }

    /// The path at which the bot takes webhooks.
    pub fn hook(&self, bot: &str) -> String {
        let secret = self.config.bots[&BotName::from(bot)]
            .webhook_secret
            .as_ref()
            .expect("on the stage, bots have secrets");
        format!("/hooks/{bot}/{}", secret.expose_secret())
    }

    /// Says something and waits for the next answer that somebody else posts in that room.
    pub async fn ask(&self, room: RoomId, text: &str) -> Message {
        self.ask_as(self.playground.you(), room, text).await
    }

    /// The same as somebody else.
    pub async fn ask_as(&self, author: UserId, room: RoomId, text: &str) -> Message {
        let said = self.playground.say(author, room, text).expect("it can be said");
        let answer = self.playground.wait_for(
            room,
            |message| message.id > said && message.author != author && !is_underway(message),
            PATIENCE,
        );
        answer.await.unwrap_or_else(|| panic!("no answer to {text:?} within {PATIENCE:?}"))
    }

    /// Waits until nothing is left to do.
    pub async fn drained(&self) {
        tokio::time::timeout(PATIENCE, self.lanes().drained()).await.expect("the lanes drain");
    }

    /// The journal, newest first. Ends the host: its store is its own while it runs.
    pub async fn journal(mut self, bot: &str) -> Vec<JournalRow> {
        self.stop().await;
        let store = self.store().await;
        store.journal(Some(&BotName::from(bot)), 1000).await.expect("the journal can be read")
    }

    /// The store of a host that does not run.
    pub async fn store(&self) -> SqliteStore {
        assert!(self.host.is_none(), "the host runs, and its store is its own");
        let StoreLocation::Sqlite(path) = &self.config.store else { panic!("a stage's store is a file") };
        SqliteStore::open_within(path, PATIENCE).await.expect("the store opens")
    }

    /// The lane of the bot in its direct room.
    pub fn lane(&self, bot: &str) -> LaneKey {
        LaneKey { bot: BotName::from(bot), room: self.room(bot) }
    }

    /// Kills the bot's agents, as the system does when memory runs out.
    pub fn kill_agents(&self, bot: &str) {
        for agent in noted_agents(&self.agents().as_ref().join(bot)) {
            // It may have gone by itself.
            let _ = kill_process_group(agent, Signal::KILL);
        }
    }

    /// Where agents keep their things.
    pub fn agents(&self) -> impl AsRef<Path> {
        self.config.host.data_dir.join("agents")
    }
}

/// A socket at an address that was closed. A process that was started meanwhile has it open for as long as it is not yet the
/// program it is to be.
pub(crate) async fn once_free<T, Binding>(bind: impl Fn() -> Binding) -> T
where
    Binding: Future<Output = io::Result<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match bind().await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            bound => return bound.expect("the address is free again"),
        }
    }
}
