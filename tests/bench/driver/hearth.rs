//! A Hearth that is measured: `hearth run` as a process of its own, with a folder of its own.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Bench,
    load::{self, Door, Writer},
    process::{Process, free_port, said},
};

/// How long it may take to be ready: the first start compiles.
const READY: Duration = Duration::from_mins(2);
/// How often is asked whether it is.
const LOOK: Duration = Duration::from_micros(500);
/// What is behind a host's bots.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cli {
    Real,
    Stub,
}

/// Where a host keeps what it keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Beside the results.
    Real,
    /// In memory, where a flush costs nothing.
    Memory,
}

/// How a Hearth is set up.
pub(crate) struct Setup<'a> {
    pub(crate) cli: Cli,
    pub(crate) disk: Disk,
    /// Processes that stay for the next message.
    pub(crate) warm: usize,
    /// Name, plugin file, and lines of the bot's table.
    pub(crate) bots: Vec<(String, PathBuf, &'a str)>,
}

/// One that runs.
pub(crate) struct Hearth {
    pub(crate) process: Process,
    pub(crate) doors: Vec<Door>,
    admin: SocketAddr,
    folder: TempDir,
    binary: PathBuf,
    environment: Vec<(&'static str, String)>,
    /// From its start until it was ready.
    pub(crate) ready_after: Duration,
}

/// A bot that hands each message to the agent and has no tools, as the peer's.
pub(crate) fn asking(bench: &Bench) -> (String, PathBuf, &'static str) {
    let keys = "system-prompt = \"You help people in a chat.\"\nsettings = { tools = [] }";
    ("asking".into(), bench.arguments.guests.join("toolbox.wasm"), keys)
}

/// A bot that answers by itself.
pub(crate) fn echo() -> (String, PathBuf, &'static str) {
    ("echo".into(), hearth_tests::binary::repository().join("plugins/dist/echo.wasm"), "")
}

/// What the CLI gets of this run, whoever starts it.
pub(crate) fn environment(bench: &Bench) -> Vec<(&'static str, String)> {
    vec![("ANTHROPIC_BASE_URL", bench.api.url()), ("ANTHROPIC_API_KEY", "sk-dummy".into())]
}

/// A folder on that disk.
pub(crate) fn folder_on(bench: &Bench, disk: Disk) -> TempDir {
    let parent = match disk {
        Disk::Real => bench.arguments.out.clone(),
        Disk::Memory => PathBuf::from("/dev/shm"),
    };
    fs::create_dir_all(&parent).expect("the folder for the results is writable");
    TempDir::with_prefix_in("hearth-bench-", parent).expect("a folder")
}

impl Hearth {
    /// Starts it, and waits until it is ready.
    pub(crate) async fn start(bench: &Bench, setup: Setup<'_>) -> Self {
        Self::start_with(bench, setup, "").await
    }

    /// The same with further lines of its `[host]`, and tables that follow that.
    pub(crate) async fn start_with(bench: &Bench, setup: Setup<'_>, keys: &str) -> Self {
        let folder = folder_on(bench, setup.disk);
        let (listen, admin) = (free_port(), free_port());
        let cli = match setup.cli {
            Cli::Real => &bench.arguments.claude,
            Cli::Stub => &bench.arguments.stub,
        };
        let mut toml = format!(
            "[host]\nlisten = \"{listen}\"\nadmin = \"{admin}\"\nqueue-limit = 10000\n{keys}\n[campfire]\nurl = \"{}\"\n\
             [agent]\ncommand = ['{}']\n[agent.warm]\nprocesses = {}\nmemory = \"8GiB\"\n",
            bench.campfire.url(),
            cli.display(),
            setup.warm,
        );
        let mut doors = Vec::new();
        for (id, (name, plugin, keys)) in (2..).zip(&setup.bots) {
            let (bot_key, secret) = (format!("{id}-Xq7vLmTzRbWk"), format!("{id:032x}"));
            writeln!(
                toml,
                "[bots.{name}]\nplugin = '{}'\nbot-key = \"{bot_key}\"\nwebhook-secret = \"{secret}\"\n{keys}",
                plugin.display()
            )
            .expect("a String takes what is written");
            doors.push(Door { address: listen, path: format!("/hooks/{name}/{secret}"), bot_key });
        }
        fs::write(folder.path().join("bots.toml"), toml).expect("the folder is writable");
        let binary = bench.arguments.hearth.clone();
        let environment = environment(bench);
        let (process, ready_after) = run(&binary, &environment, folder.path(), admin).await;
        Self { process, doors, admin, folder, binary, environment, ready_after }
    }

    /// Ends it and starts it again.
    pub(crate) async fn restart(self) -> Self {
        let Self { process, doors, admin, folder, binary, environment, .. } = self;
        drop(process);
        let (process, ready_after) = run(&binary, &environment, folder.path(), admin).await;
        Self { process, doors, admin, folder, binary, environment, ready_after }
    }

    /// The process of an agent that waits, if there is one.
    pub(crate) fn agent(&self) -> Option<u32> {
        self.agents().into_iter().next()
    }

    /// The processes of the agents.
    pub(crate) fn agents(&self) -> Vec<u32> {
        let mut started = self.process.started();
        started.retain(|id| {
            let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains("--input-format=stream-json")
        });
        started
    }

    /// A counter of `/metrics`, all its labels together that hold these words.
    pub(crate) async fn counter(&self, name: &str, labels: &str) -> f64 {
        let text = load::get(self.admin, "/metrics").await.expect("metrics are served");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// One who writes to its first bot.
    pub(crate) fn writer(&self, bench: &Bench, room: u64) -> Writer {
        Writer::new(&bench.campfire, &self.doors[0], room)
    }
}

async fn run(
    binary: &Path,
    environment: &[(&'static str, String)],
    folder: &Path,
    admin: SocketAddr,
) -> (Process, Duration) {
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let began = Instant::now();
    let mut process = Process::start(binary, &["run"], &environment, folder);
    loop {
        let ready = load::get(admin, "/readyz").await;
        if ready.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return (process, began.elapsed());
        }
        assert!(process.is_running() && began.elapsed() < READY, "hearth is not ready:\n{}", said(folder));
        tokio::time::sleep(LOOK).await;
    }
}
