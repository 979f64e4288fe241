//! `bots.toml` and plugin files that change are put in place while the host runs, bot by bot; until that succeeds, what ran
//! keeps running.
//!
//! - The next turn runs the new generation; a turn that runs keeps the one it began with, also if its bot is removed.
//! - Only content counts: a file that was touched, moved or written again with the same bytes changes nothing.
//! - A bot is its table and its plugin together: they are checked together, and put in place together.
//! - A bot's mistake concerns that bot. A file that is no TOML, or has a mistake elsewhere, changes nothing. What is only
//!   read at the start is said, and stays as it was.
//! - A bot that is gone from the file is removed once the file holds still for a second: it may be half written.
//! - A generation whose calls fail again and again makes way for the last good one, and its content is not loaded again
//!   until it changes or the operator lifts that. A restart knows nothing of it: nothing is disabled for good.
//! - What only Winch compiled is compiled again by Cranelift, behind everything else, and takes its own place: it is the
//!   same generation, under the same number. If another one runs by then, nothing comes of it.
//! - The file system tells of changes where it can. Where it can't (bind mounts, network file systems), looking at the
//!   files every [`LOOK`] finds them a little later.

mod behind;
mod deployment;
mod folders;
mod follow;
mod held;
mod status;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

pub(crate) use self::folders::Folders;
pub use self::status::{BotStatus, ConfigStatus, Outcome, Refused, Reloaded, Running, Status};
use self::{
    behind::{Behind, Optimised},
    deployment::Deployment,
    follow::{Refusal, Stamp, Step},
    held::{Held, Loaded},
    status::Board,
};
use crate::{
    config::{Config, Problems, Salvage},
    id::BotName,
    plugin::{Loader, Roster, Verdict},
};

/// How often the files are looked at without being told of a change.
const LOOK: Duration = Duration::from_secs(2);
/// How many orders wait; whoever gives another waits too.
const ORDERS: usize = 8;

/// Reads the deployment's `bots.toml`, and everything that it names.
pub type Source = Arc<dyn Fn() -> Result<Salvage, Problems> + Send + Sync>;

/// What keeps the roster as the files say.
pub struct Reload {
    loader: Arc<Loader>,
    roster: Arc<Roster>,
    deployment: Deployment,
    bots: BTreeMap<BotName, Held>,
    /// The last generation of bots that are gone, so that a number never means two.
    gone: HashMap<BotName, u64>,
    loads: JoinSet<Loaded>,
    /// Nobody waits for these. One a bot: what is superseded is given up.
    behind: JoinSet<Optimised>,
    orders: mpsc::Receiver<Order>,
    board: Board,
}

/// A way to ask for what runs, and for a reload. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    orders: mpsc::Sender<Order>,
    board: Board,
}

/// The host ends, and reloads nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host is closing")]
pub struct Closing;

enum Order {
    Reload(oneshot::Sender<Reloaded>),
    Lift(BotName, oneshot::Sender<Option<Vec<String>>>),
}

// === impl Reload ===

impl Reload {
    /// Keeps the bots of `config` in the roster. Until [`Reload::follow`] says where it comes from, only their plugins
    /// change.
    pub fn new(loader: Loader, roster: Arc<Roster>, config: &Config) -> (Self, Reloader) {
        let (give, orders) = mpsc::channel(ORDERS);
        let board = Board::default();
        let reload = Self {
            loader: Arc::new(loader),
            roster,
            deployment: Deployment::new(config.clone()),
            bots: config.bots.iter().map(|(name, bot)| (name.clone(), Held::new(bot, 0))).collect(),
            gone: HashMap::new(),
            loads: JoinSet::new(),
            behind: JoinSet::new(),
            orders,
            board: board.clone(),
        };
        reload.publish();
        (reload, Reloader { orders: give, board })
    }

    /// Has `bots.toml` followed too.
    pub fn follow(&mut self, source: Source) {
        self.deployment.source = Some(source);
    }

    /// Loads every bot's plugin, side by side, for the first time.
    pub async fn load_all(&mut self) {
        self.deployment.settle().await;
        // It may have changed since it was read.
        self.deployment.followed.again(Instant::now());
        self.load_now().await;
    }

    /// Follows the files. Runs until it is dropped.
    pub async fn watch(mut self) {
        let changed = Arc::new(Notify::new());
        let mut folders = Folders::new(&changed);
        loop {
            let look = self.look(&mut folders).await;
            tokio::select! {
                () = changed.notified() => {}
                () = sleep_until(look) => {}
                Some(loaded) = self.loads.join_next() => {
                    self.loaded(loaded);
                }
                Some(optimised) = self.behind.join_next() => self.optimised(optimised),
                () = self.loader.call_failed() => self.judge(),
                Some(order) = self.orders.recv() => self.obey(order).await,
            }
        }
    }

    /// Looks at every file, does what is due, and answers when to look again.
    async fn look(&mut self, folders: &mut Folders) -> Instant {
        let mut look = Instant::now() + LOOK;
        match self.deployment.look(folders).await {
            Step::Wait => {}
            Step::Load => {
                let read = self.read_config(false).await;
                self.deployment.followed.tried(read);
            }
            Step::Complain(_) => {
                // It held still for long enough to be meant so.
                if let Err(refusal) = self.read_config(true).await {
                    self.deployment.complain(&refusal);
                }
            }
        }
        look = look.min(self.deployment.due().unwrap_or(look));
        let mut due = Vec::new();
        for (name, held) in self.bots.iter_mut().filter(|(_, held)| !held.loading) {
            folders.follow_file(&held.wanted.plugin).await;
            let stamp = Stamp::of(&held.wanted.plugin).await;
            match held.file.see(stamp, Instant::now()) {
                Step::Wait => {}
                Step::Load => due.push(name.clone()),
                Step::Complain(refusal) => held.complain(&self.roster, refusal),
            }
            look = look.min(held.file.due().unwrap_or(look));
        }
        for name in due {
            self.load(&name);
        }
        self.judge();
        look
    }

    /// Begins to load what a bot ought to run.
    fn load(&mut self, name: &BotName) {
        if let Some(held) = self.bots.get_mut(name) {
            self.loads.spawn(held.load(&self.loader));
        }
    }

    /// Takes what was loaded, and puts it in place if it is another one than runs. Answers whose it is.
    fn loaded(&mut self, loaded: Result<Loaded, JoinError>) -> Option<(BotName, Outcome)> {
        // It can only be an error if the task was ended, which is not done while the bots are wanted.
        let loaded = loaded.ok()?;
        let name = loaded.bot.name.clone();
        let outcome = self.bots.get_mut(&name)?.take(loaded, &self.roster)?;
        self.optimise(&name);
        self.publish();
        Some((name, outcome))
    }

    /// Begins to compile well what runs of a bot, if it was compiled quickly and that was not begun yet.
    fn optimise(&mut self, name: &BotName) {
        let running = self.roster.bot(name.as_str()).and_then(|seat| seat.generation);
        let (Some(held), Some(running)) = (self.bots.get_mut(name), running) else { return };
        if Behind::is_due(&running, held.behind.as_ref()) {
            held.behind = Some(Behind::begin(&running, &self.loader, &mut self.behind));
        }
    }

    /// Takes what was compiled well, if what it was made of still runs.
    fn optimised(&mut self, optimised: Result<Optimised, JoinError>) {
        // It is an error if it was given up.
        if let Ok(optimised) = optimised {
            optimised.put(&self.roster);
            self.publish();
        }
    }

    /// Loads every bot's plugin, and waits for that.
    async fn load_now(&mut self) -> BTreeMap<BotName, Outcome> {
        let mut outcomes = BTreeMap::new();
        let names: Vec<_> = self.bots.keys().cloned().collect();
        for name in names {
            self.load(&name);
        }
        while let Some(loaded) = self.loads.join_next().await {
            outcomes.extend(self.loaded(loaded));
        }
        for held in self.bots.values_mut() {
            held.complain_now(&self.roster);
        }
        self.publish();
        outcomes
    }

    /// Reads `bots.toml`, and begins to put in place what is right in it. Bots that are gone from it go if it is `sure`
    /// that the file is whole.
    async fn read_config(&mut self, sure: bool) -> Result<(), Refusal> {
        let Some(plan) = self.deployment.read(&self.bots).await? else { return Ok(()) };
        for (old, new) in &plan.renamed {
            tracing::info!(
                from = %old, to = %new,
                "a bot has another name; what it remembers stays with the old one, and its webhook URL in Campfire has to change"
            );
        }
        for bot in &plan.changed {
            if let Some(held) = self.bots.get_mut(&bot.name) {
                held.want(bot);
            }
        }
        for bot in &plan.added {
            let number = self.gone.remove(&bot.name).unwrap_or_default();
            self.bots.insert(bot.name.clone(), Held::new(bot, number));
        }
        if !sure && !plan.removed.is_empty() {
            let cause = format!("{} bots are gone from it", plan.removed.len());
            return Err(Refusal { content: None, cause });
        }
        for name in &plan.removed {
            self.remove(name);
        }
        match plan.refusal {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    fn remove(&mut self, name: &BotName) {
        self.roster.remove(name);
        if let Some(held) = self.bots.remove(name) {
            self.gone.insert(name.clone(), held.number);
            tracing::info!(bot = %name, "the bot is gone from bots.toml: it takes no more messages; running turns end, and what waits is kept until it is back");
        }
    }

    /// Takes generations back whose calls fail again and again.
    fn judge(&mut self) {
        let mut taken_back = Vec::new();
        for (name, held) in &mut self.bots {
            let seat = self.roster.bot(name.as_str());
            let Some(running) = seat.and_then(|seat| seat.generation) else { continue };
            match running.verdict() {
                Verdict::Broken => {
                    held.roll_back(&running, &self.roster);
                    taken_back.push(name.clone());
                }
                Verdict::Proven => held.before = None,
                Verdict::Unknown | Verdict::Sound | Verdict::Doubtful => {}
            }
        }
        for name in taken_back {
            self.optimise(&name);
        }
        self.publish();
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Reload(answer) => {
                let reloaded = self.reload().await;
                // Whoever asked may have gone; it is done all the same.
                let _ = answer.send(reloaded);
            }
            Order::Lift(name, answer) => {
                let lifted = self.bots.get_mut(&name).map(Held::lift);
                self.publish();
                let _ = answer.send(lifted);
            }
        }
    }

    /// Reads everything again, now.
    async fn reload(&mut self) -> Reloaded {
        while let Some(loaded) = self.loads.join_next().await {
            self.loaded(loaded);
        }
        let before: Vec<_> = self.bots.keys().cloned().collect();
        self.deployment.settle().await;
        let read = self.read_config(true).await;
        let config = read.as_ref().err().map(|refusal| refusal.cause.clone());
        self.deployment.followed.tried(read);
        if let Some(refusal) = self.deployment.followed.give_up(Instant::now()) {
            self.deployment.complain(&refusal);
        }
        let mut bots = self.load_now().await;
        let removed = before.into_iter().filter(|name| !self.bots.contains_key(name));
        bots.extend(removed.map(|name| (name, Outcome::Removed)));
        self.publish();
        Reloaded { config, restart: self.deployment.restart.clone(), bots }
    }

    /// Says what runs where it can be read.
    fn publish(&self) {
        let bot = |(name, held): (&BotName, &Held)| held.status(name, &self.roster);
        self.board
            .put(Status { config: self.deployment.status(), bots: self.bots.iter().map(bot).collect() });
    }
}

// === impl Reloader ===

impl Reloader {
    /// What runs.
    pub fn status(&self) -> Status {
        self.board.get()
    }

    /// What runs, whenever that changes.
    pub fn changes(&self) -> watch::Receiver<Status> {
        self.board.changes()
    }

    /// Reads `bots.toml` and every plugin again, and waits for what comes of that.
    ///
    /// # Errors
    /// If the host ends first.
    pub async fn reload(&self) -> Result<Reloaded, Closing> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Reload(answer)).await.map_err(|_| Closing)?;
        answered.await.map_err(|_| Closing)
    }

    /// Has a bot's quarantined contents loaded again: answers which ones; none if there is no such bot.
    ///
    /// # Errors
    /// If the host ends first.
    pub async fn lift(&self, bot: &BotName) -> Result<Option<Vec<String>>, Closing> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Lift(bot.clone(), answer)).await.map_err(|_| Closing)?;
        answered.await.map_err(|_| Closing)
    }
}
