//! `hearth run` as a process of its own, so that it can be ended in every way.

use std::{
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
};

use hearth::{
    config::Config,
    id::{BotName, RoomId},
    playground::{Options, Playground},
    stage::{ANY, Page, Stage},
};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{binary, world::PATIENCE};

/// A Campfire, and a host outside this process that answers for the bot `assistant` in it.
pub struct Outside {
    /// The Campfire.
    pub playground: Playground,
    /// The assistant's direct room.
    pub room: RoomId,
    /// Where the host takes webhooks.
    pub listen: SocketAddr,
    config: PathBuf,
    host: Option<Child>,
    _page: Page,
    _folder: TempDir,
}

impl Outside {
    /// A Campfire with a host that is up. `host_keys` are lines of `[host]`.
    pub async fn new(host_keys: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("bots.toml");
        let bots = "[bots.assistant]\nplugin = \"assistant\"\n";
        let toml = format!("[host]\nlisten = \"{ANY}\"\n{bots}");
        let config = Config::parse(&path, &toml, &|_| None).expect("the configuration is right");
        // A host that starts on a busy machine may keep a webhook waiting for longer than a real Campfire would.
        let options = Options { webhook_read_timeout: PATIENCE, ..Options::default() };
        let stage = Stage::set(config, "unused", ANY, options).await.expect("ports are free");
        let bot = &stage.config.bots[&BotName::from("assistant")];
        let secret = |secret: &Option<secrecy::SecretString>| {
            secret.as_ref().expect("on the stage, bots have secrets").expose_secret().to_owned()
        };
        let listen = stage.webhooks.local_addr().expect("a listener has an address");
        let toml = format!(
            "[host]\nlisten = \"{listen}\"\nplugins = '{}'\n{host_keys}\n[campfire]\nurl = \"http://{}\"\n\
             [agent]\ncommand = \"demo-agent\"\n{bots}bot-key = \"{}\"\nwebhook-secret = \"{}\"\n",
            binary::repository().join("plugins/dist").display(),
            stage.page.address,
            secret(&bot.bot_key),
            secret(&bot.webhook_secret),
        );
        std::fs::write(&path, toml).expect("the folder is writable");
        let room = stage.rooms[&BotName::from("assistant")];
        // The host outside takes its place.
        drop(stage.webhooks);
        let mut outside = Self {
            playground: stage.playground,
            room,
            listen,
            config: path,
            host: None,
            _page: stage.page,
            _folder: folder,
        };
        outside.start().await;
        outside
    }

    /// Starts the host, and waits until it says that it is up.
    pub async fn start(&mut self) {
        self.start_by(&[], Stdio::null()).await;
    }

    /// Starts the host through another program, which gets this input and runs what follows its arguments.
    pub async fn start_by(&mut self, launcher: &[&str], input: Stdio) {
        let mut command = self.command(launcher, &["run"]);
        let mut host = command.stdin(input).stdout(Stdio::null()).spawn().expect("hearth starts");
        let mut log = BufReader::new(host.stderr.take().expect("its log is a pipe")).lines();
        let up = async {
            while let Some(line) = log.next_line().await.expect("its log is text") {
                if line.contains("hearth is up") {
                    return true;
                }
            }
            false
        };
        assert!(
            tokio::time::timeout(PATIENCE, up).await.expect("it is up in time"),
            "hearth ended at its start"
        );
        // A log that nobody reads would hold the host up.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.host = Some(host);
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

    /// The processes of the assistant's agents, as they are noted.
    pub fn agents(&self) -> Vec<i32> {
        let temporary = self.folder().join(".hearth/agents/assistant/tmp");
        let folders = std::fs::read_dir(temporary).into_iter().flatten().flatten();
        let notes =
            folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("hearth-agent")).ok());
        notes.filter_map(|note| note.split(' ').next()?.parse().ok()).collect()
    }

    /// Says something to the assistant, and waits until the agent is asked.
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

    /// Waits for an answer with these words.
    pub async fn hear(&self, words: &str) {
        let you = self.playground.you();
        let heard = self
            .playground
            .wait_for(self.room, |message| message.author != you && message.plain.contains(words), PATIENCE)
            .await;
        assert!(heard.is_some(), "nobody said {words:?}");
    }

    /// What was answered so far.
    pub fn answers(&self) -> Vec<String> {
        let you = self.playground.you();
        let messages = self.playground.messages(self.room).into_iter();
        messages.filter(|message| message.author != you).map(|message| message.plain).collect()
    }
}

/// Whether a process was ended by this signal.
pub fn was_killed_by(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}
