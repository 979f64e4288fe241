//! `hearth run` as a process of its own, so that it can be ended in every way.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    future::ready,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hearth::{
    config::Config,
    id::{BotName, RoomId, UserId},
    operator::Failure,
    playground::{Features, Message, Options, Playground},
    stage::{ANY, Page, Stage, webhook_url},
};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpSocket,
    process::{Child, Command},
    task::JoinHandle,
};

use crate::{
    binary,
    redis_server::PASSWORD,
    world::{PATIENCE, is_underway, once_free},
};

/// Lets writes beyond the limit of a file's size fail, as those on a full disk do, instead of ending the process.
pub const SURVIVE: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "survive"];
/// How often is looked at what a file says.
const LOOK: Duration = Duration::from_millis(20);

/// The `[agent]` of a host whose answers are the demo agent's.
pub(crate) const DEMO: &str = "command = \"demo-agent\"";

/// The `[store]` of a host on a Redis of the tests, which is at this address (with database and prefix, if need be); its
/// password is put into a file in the folder.
pub fn on_redis(address: impl Display, folder: &Path) -> String {
    let password = folder.join("password");
    std::fs::write(&password, PASSWORD).expect("the folder is writable");
    format!("[store]\nurl = \"redis://{address}\"\npassword = \"file:{}\"", password.display())
}

/// A Campfire, and a host outside this process that answers for the bots in it; one of them is the `assistant`.
pub struct Outside {
    /// The Campfire.
    pub playground: Playground,
    /// The assistant's direct room.
    pub room: RoomId,
    /// Where the host takes webhooks.
    pub listen: SocketAddr,
    /// Keeps that port while no host listens there.
    _port: TcpSocket,
    bots: BTreeMap<BotName, Account>,
    config: PathBuf,
    host: Option<Child>,
    /// How many plugins the host has loaded since its start.
    loaded: Arc<AtomicUsize>,
    /// Takes down its log until that ends.
    listener: Option<JoinHandle<()>>,
    /// Served for as long as a host of its bots is there.
    page: Arc<Page>,
    folder: TempDir,
}

/// A bot on this Campfire.
#[derive(Clone)]
struct Account {
    user: UserId,
    /// As it stands in bots.toml.
    key: String,
    /// The same of its webhook's secret.
    secret: String,
}

impl Outside {
    /// A Campfire with a host that is up, for the assistant. `host_keys` are lines of `[host]`.
    pub async fn new(host_keys: &str) -> Self {
        Self::started(host_keys, DEMO, "", Features::newest()).await
    }

    /// The same with a Campfire of an age, and with lines of the assistant's table.
    pub async fn of_age(features: Features, bot_keys: &str) -> Self {
        Self::started("", DEMO, bot_keys, features).await
    }

    /// The same with the lines of an `[agent]`.
    pub async fn with_agent(agent: &str) -> Self {
        Self::started("", agent, "", Features::newest()).await
    }

    /// The same with lines of the assistant's table.
    pub async fn with_bot(bot_keys: &str) -> Self {
        Self::started("", DEMO, bot_keys, Features::newest()).await
    }

    /// The same with both.
    pub async fn with_agent_and_bot(agent: &str, bot_keys: &str) -> Self {
        Self::started("", agent, bot_keys, Features::newest()).await
    }

    async fn started(host_keys: &str, agent: &str, bot_keys: &str, features: Features) -> Self {
        // A host that starts on a busy machine may keep a webhook waiting for longer than a real Campfire would.
        let options = Options { webhook_read_timeout: PATIENCE, features, ..Options::default() };
        let mut outside = Self::with(&["assistant"], host_keys, "", agent, options).await;
        let toml = std::fs::read_to_string(&outside.config).expect("it was written");
        std::fs::write(&outside.config, format!("{toml}{bot_keys}\n")).expect("the folder is writable");
        outside.start().await;
        outside
    }

    /// A Campfire with these bots, each of the plugin of that name, and a host that was not started yet. The keys are
    /// lines of `[host]` and of `[campfire]`.
    pub async fn set(bots: &[&str], host_keys: &str, campfire_keys: &str, options: Options) -> Self {
        Self::with(bots, host_keys, campfire_keys, DEMO, options).await
    }

    pub(crate) async fn with(
        bots: &[&str],
        host_keys: &str,
        campfire_keys: &str,
        agent: &str,
        options: Options,
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("bots.toml");
        let mut toml = format!("[host]\nlisten = \"{ANY}\"\n");
        for bot in bots {
            writeln!(toml, "[bots.{bot}]\nplugin = \"{bot}\"").expect("a String takes what is written");
        }
        let config = Config::parse(&path, &toml, &|_| None).expect("the configuration is right");
        let stage = Stage::set(config, "unused", ANY, options).await.expect("ports are free");
        let listen = stage.webhooks.local_addr().expect("a listener has an address");
        let mut toml = format!(
            "[host]\nlisten = \"{listen}\"\nadmin = \"off\"\nplugins = '{}'\n{host_keys}\n\
             [campfire]\nurl = \"http://{}\"\n{campfire_keys}\n[agent]\n{agent}\n",
            binary::repository().join("plugins/dist").display(),
            stage.page.address,
        );
        let mut users = BTreeMap::new();
        for (name, bot) in &stage.config.bots {
            let on_the_stage = "on the stage, bots have secrets";
            let key = bot.bot_key.as_ref().expect(on_the_stage).expose_secret();
            let secret = bot.webhook_secret.as_ref().expect(on_the_stage).expose_secret();
            writeln!(
                toml,
                "[bots.{name}]\nplugin = \"{name}\"\nbot-key = \"{key}\"\nwebhook-secret = \"{secret}\""
            )
            .expect("a String takes what is written");
            let id = key.split('-').next().and_then(|id| id.parse().ok());
            let user = UserId(id.expect("a key begins with an id"));
            users.insert(name.clone(), Account { user, key: key.to_owned(), secret: secret.to_owned() });
        }
        std::fs::write(&path, toml).expect("the folder is writable");
        let room = stage.rooms[&BotName::from("assistant")];
        // The host outside takes its place.
        drop(stage.webhooks);
        Self {
            playground: stage.playground,
            room,
            listen,
            _port: once_free(|| ready(kept(listen))).await,
            bots: users,
            config: path,
            host: None,
            loaded: Arc::default(),
            listener: None,
            page: Arc::new(stage.page),
            folder,
        }
    }

    /// Another host of the same deployment, in a folder of its own, that was not started yet. It takes webhooks at an address
    /// of its own, to which none goes. `change` is made to its bots.toml.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn beside(&self, change: impl FnOnce(String) -> String) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = kept(ANY).expect("a port is free");
        let listen = port.local_addr().expect("a socket that is bound has an address");
        let toml = std::fs::read_to_string(&self.config).expect("it was written");
        let toml = change(toml.replace(&self.listen.to_string(), &listen.to_string()));
        let config = folder.path().join("bots.toml");
        std::fs::write(&config, toml).expect("the folder is writable");
        Self {
            playground: self.playground.clone(),
            room: self.room,
            listen,
            _port: port,
            bots: self.bots.clone(),
            config,
            host: None,
            loaded: Arc::default(),
            listener: None,
            page: Arc::clone(&self.page),
            folder,
        }
    }

    /// Has the webhooks of all bots sent to this address, by whatever stands there.
    ///
    /// # Panics
    /// If the address can't be part of a URL.
    pub fn send_webhooks_to(&self, address: SocketAddr) {
        let host = format!("http://{address}").parse().expect("an address can be part of a URL");
        for (name, account) in &self.bots {
            let url = webhook_url(&host, name, &account.secret);
            self.playground.set_webhook(account.user, url).expect("it is a bot");
        }
    }

    /// What nobody may find in a log: the bots' keys and the secrets of their webhooks.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.bots.values().flat_map(|account| [account.key.as_str(), account.secret.as_str()])
    }

    /// Starts the host, and waits until it says that it is up.
    pub async fn start(&mut self) {
        self.start_by(&[], Stdio::null()).await;
    }

    /// Starts the host through another program, which gets this input and runs what follows its arguments.
    pub async fn start_by(&mut self, launcher: &[&str], input: Stdio) {
        assert!(self.comes_up(launcher, input).await, "hearth ended at its start");
    }

    /// The same for a host that may find something missing; answers whether it is up. If not, it has ended.
    pub(crate) async fn comes_up(&mut self, launcher: &[&str], input: Stdio) -> bool {
        let mut command = self.command(launcher, &["run"]);
        let mut host = command.stdin(input).stdout(Stdio::null()).spawn().expect("hearth starts");
        let mut log = BufReader::new(host.stderr.take().expect("its log is a pipe")).lines();
        let file = std::fs::File::options().create(true).append(true).open(self.log());
        let mut file = file.expect("the folder is writable");
        let up = async {
            while let Some(line) = log.next_line().await.expect("its log is text") {
                writeln!(file, "{line}").expect("the folder is writable");
                if line.contains("hearth is up") {
                    return true;
                }
            }
            false
        };
        if !tokio::time::timeout(PATIENCE, up).await.expect("it is up in time") {
            host.wait().await.expect("its end can be seen");
            return false;
        }
        self.loaded = Arc::default();
        let loaded = Arc::clone(&self.loaded);
        // A log that nobody reads would hold the host up.
        let listener = tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                if line.contains(r#""message":"loaded;"#) {
                    loaded.fetch_add(1, Ordering::Relaxed);
                }
                // The folder may be gone already.
                let _ = writeln!(file, "{line}");
            }
        });
        (self.host, self.listener) = (Some(host), Some(listener));
        true
    }

    /// Runs another command with the host's configuration, to its end, through a program as `start_by` does.
    pub async fn run_by(&self, launcher: &[&str], arguments: &[&str], input: Stdio) -> Output {
        let command = self.command(launcher, arguments).stdin(input).output();
        let ended = tokio::time::timeout(PATIENCE, command).await;
        ended.expect("the command ends").expect("the command runs")
    }

    /// Runs another command with the host's configuration, and answers what it printed. Fails if it fails.
    pub async fn hearth(&self, arguments: &[&str]) -> String {
        let output = self.run_by(&[], arguments, Stdio::null()).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The same for a command that fails: answers why.
    pub async fn hearth_fails(&self, arguments: &[&str]) -> String {
        let output = self.run_by(&[], arguments, Stdio::null()).await;
        assert_eq!(
            output.status.code(),
            Some(1),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        // Reports are broken into lines.
        let said = String::from_utf8_lossy(&output.stderr).replace('│', " ");
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn command(&self, launcher: &[&str], arguments: &[&str]) -> Command {
        let hearth = binary::path().to_str().expect("its path is text");
        let mut words = launcher.iter().chain([&hearth]).chain(arguments);
        #[expect(clippy::disallowed_methods, reason = "the host is what is tested")]
        let mut command = Command::new(words.next().expect("there is at least hearth"));
        command
            .args(words)
            .arg("--config")
            .arg(&self.config)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The folder of the configuration and of everything the host keeps.
    pub fn folder(&self) -> &Path {
        self.config.parent().expect("a file is in a folder")
    }

    /// What all hosts logged so far.
    pub fn log(&self) -> PathBuf {
        self.folder().join("host.log")
    }

    /// Waits until a line of the log has these words.
    pub async fn logs(&self, words: &str) {
        let logged = || std::fs::read_to_string(self.log()).is_ok_and(|log| log.contains(words));
        assert!(comes_about(logged).await, "nothing logs {words:?}");
    }

    /// Waits until all that a host logged that has ended is in the [`log`](Self::log).
    pub async fn log_ended(&mut self) {
        if let Some(listener) = self.listener.take() {
            let ended = tokio::time::timeout(PATIENCE, listener).await;
            ended.expect("the log ends with the host").expect("it is taken down");
        }
    }

    /// Leaves the folder where it is, to be looked into.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// Saves bots.toml with this in it, as careful editors do.
    pub fn save(&self, toml: &str) {
        let beside = self.config.with_extension("new");
        std::fs::write(&beside, toml).expect("the folder is writable");
        std::fs::rename(beside, &self.config).expect("the folder is writable");
    }

    /// Waits until the host has loaded the plugins of all bots; answers whether it does.
    pub(crate) async fn loads(&self) -> bool {
        comes_about(|| self.has_loaded()).await
    }

    /// Whether the host has loaded the plugins of all bots since its start.
    pub fn has_loaded(&self) -> bool {
        self.loaded.load(Ordering::Relaxed) >= self.bots.len()
    }

    /// A bot as one who writes in rooms.
    pub fn user(&self, bot: &str) -> UserId {
        self.bots[&BotName::from(bot)].user
    }

    /// What was not answered as it should be. It may be asked for again: a store that was away may refuse once more.
    pub async fn failures(&self) -> Vec<Failure> {
        let listed = async {
            loop {
                let arguments = ["events", "failed", "--json", "--limit", "1000"];
                let output = self.run_by(&[], &arguments, Stdio::null()).await;
                if output.status.success() {
                    return output.stdout;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let listed = tokio::time::timeout(PATIENCE, listed).await.expect("what failed can be listed");
        serde_json::from_slice(&listed).expect("it is JSON")
    }

    /// The host's process.
    pub fn process(&self) -> Pid {
        let id = self.host.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw).expect("the host runs")
    }

    /// Sends the host a signal, and waits for its end.
    pub async fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(self.process(), signal).expect("it can be signalled");
        self.ended().await
    }

    /// Waits for the end of a host that was told to end.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut host = self.host.take().expect("the host runs");
        let ended = tokio::time::timeout(PATIENCE, host.wait()).await;
        ended.expect("it ends").expect("its end can be seen")
    }

    /// Says something to the assistant, and waits until the host has acknowledged it.
    pub async fn say(&self, text: &str) {
        assert_eq!(self.status_of(text).await, Some(204));
    }

    /// Says something to the assistant, and waits for what the host answers to that; none if it answers nothing.
    pub async fn status_of(&self, text: &str) -> Option<u16> {
        let said = self.playground.say(self.playground.you(), self.room, text).expect("it can be said");
        let delivery = self.playground.wait_for_delivery(|delivery| delivery.message == said, PATIENCE).await;
        delivery.expect("its delivery ends").status
    }

    /// The temporary folders of all bots' agents.
    pub fn temporary(&self) -> Vec<PathBuf> {
        let below = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let bots = below(self.folder().join(".hearth/agents"));
        bots.flat_map(|bot| below(bot.path().join("tmp"))).map(|folder| folder.path()).collect()
    }

    /// The processes of agents, as they are noted.
    pub fn agents(&self) -> Vec<i32> {
        let notes = self.temporary().into_iter();
        let notes = notes.filter_map(|folder| std::fs::read_to_string(folder.join("hearth-agent")).ok());
        notes.filter_map(|note| note.split(' ').next()?.parse().ok()).collect()
    }

    /// Makes the host's disk full, or not full any more. It must have been started by [`SURVIVE`]. What runs already can
    /// go on writing.
    pub fn fill_disk(&self, full: bool) {
        let limit = Rlimit { current: full.then_some(0), maximum: None };
        prlimit(Some(self.process()), Resource::Fsize, limit).expect("it can be limited");
    }

    /// Waits until the assistant's agents have written down so many answers.
    pub async fn agents_answered(&self, count: usize) {
        let answered = || self.transcripts().matches(r#""stop_reason":"end_turn""#).count() >= count;
        assert!(comes_about(answered).await, "the agent did not answer");
    }

    /// What stands in the transcripts of the assistant's agents.
    fn transcripts(&self) -> String {
        self.transcript_files().filter_map(|file| std::fs::read_to_string(file).ok()).collect()
    }

    /// What stands in the transcript of this session of the assistant's; none if there is no such session.
    pub fn transcript(&self, session: &str) -> Option<String> {
        let mut files = self.transcript_files();
        let file = files.find(|file| file.file_stem().is_some_and(|name| name == session))?;
        std::fs::read_to_string(file).ok()
    }

    fn transcript_files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let below = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let projects = below(self.folder().join(".hearth/agents/assistant/config/projects"));
        projects.flat_map(move |project| below(project.path())).map(|file| file.path())
    }

    /// Waits until an agent of the assistant runs.
    pub async fn agent_runs(&self) {
        assert!(comes_about(|| !self.agents().is_empty()).await, "no agent runs");
    }

    /// Says something to the assistant, and waits until its turn has begun; its agent may not run yet.
    pub async fn ask(&self, text: &str) {
        self.say(text).await;
        let you = self.playground.you();
        let seen = self.playground.wait_for(
            self.room,
            |message| message.author == you && message.plain == text && !message.boosts.is_empty(),
            PATIENCE,
        );
        assert!(seen.await.is_some(), "nobody saw {text:?}");
    }

    /// Waits until there are so many answers.
    pub async fn answered(&self, count: usize) {
        let mut changes = self.playground.changes();
        let answered = async {
            while self.answers().len() < count {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("there is an answer");
    }

    /// Waits for an answer with these words.
    pub async fn hear(&self, words: &str) {
        let you = self.playground.you();
        let says = |message: &Message| {
            message.author != you && !is_underway(message) && message.plain.contains(words)
        };
        let heard = self.playground.wait_for(self.room, says, PATIENCE).await;
        assert!(heard.is_some(), "nobody said {words:?}");
    }

    /// What was answered so far, without what only stands for an answer: on a slow machine any turn may be announced.
    pub fn answers(&self) -> Vec<String> {
        let you = self.playground.you();
        let messages = self.playground.messages(self.room).into_iter();
        let answers = messages.filter(|message| message.author != you && !is_underway(message));
        answers.map(|message| message.plain).collect()
    }
}

/// Looks until this is so; answers whether it came to be in time. For what tells nobody, as a file that is written.
async fn comes_about(is_so: impl Fn() -> bool) -> bool {
    let looking = async {
        let mut looks = tokio::time::interval(LOOK);
        while !is_so() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.is_ok()
}

/// A socket that keeps a port and does not listen: nobody else is given it, and whoever names it can listen there.
///
/// # Errors
/// If somebody listens there, or no port is free.
pub fn kept(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Whether a process was ended by this signal.
pub fn was_killed_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}
