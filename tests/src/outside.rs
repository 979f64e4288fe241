//! `hearth run` as a process of its own, so that it can be ended in every way.

use std::{
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
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

/// A Campfire, and a host outside this process that answers for the bots `echo` and `assistant` in it.
pub struct Outside {
    /// The Campfire.
    pub playground: Playground,
    /// The assistant's direct room.
    pub room: RoomId,
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
        let stage = Stage::set(config, "unused", ANY, Options::default()).await.expect("ports are free");
        let bot = &stage.config.bots[&BotName::from("assistant")];
        let secret = |secret: &Option<secrecy::SecretString>| {
            secret.as_ref().expect("on the stage, bots have secrets").expose_secret().to_owned()
        };
        let toml = format!(
            "[host]\nlisten = \"{}\"\nplugins = '{}'\n{host_keys}\n[campfire]\nurl = \"http://{}\"\n\
             [agent]\ncommand = \"demo-agent\"\n{bots}bot-key = \"{}\"\nwebhook-secret = \"{}\"\n",
            stage.webhooks.local_addr().expect("a listener has an address"),
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
        #[expect(clippy::disallowed_methods, reason = "the host is what is tested")]
        let mut host = Command::new(binary::path())
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("hearth starts");
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

    /// Sends the host a signal, and waits for its end.
    pub async fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut host = self.host.take().expect("the host runs");
        let id = host.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("it runs"), signal).expect("it can be signalled");
        let ended = tokio::time::timeout(PATIENCE, host.wait()).await;
        ended.expect("it ends").expect("its end can be seen")
    }

    /// Says something to the assistant, and waits until the host has acknowledged it.
    pub async fn say(&self, text: &str) {
        let said = self.playground.say(self.playground.you(), self.room, text).expect("it can be said");
        let delivery = self.playground.wait_for_delivery(|delivery| delivery.message == said, PATIENCE).await;
        assert_eq!(delivery.expect("it is delivered").status, Some(204));
    }

    /// The processes of the assistant's agents, as they are noted.
    pub fn agents(&self) -> Vec<i32> {
        let temporary = self.config.with_file_name(".hearth").join("agents/assistant/tmp");
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
