//! The peer that is measured beside Hearth: `tests/bench/peer`, as a process of its own.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    Bench,
    hearth::{Cli, Disk, environment, folder_on},
    load::{Door, Writer},
    process::{Process, free_port, said},
};

/// How long it may take until it listens.
const READY: Duration = Duration::from_mins(1);
/// What Hearth sets for its agents, and what a fair peer sets too.
const QUIET: [&str; 5] = [
    "DISABLE_TELEMETRY",
    "DISABLE_ERROR_REPORTING",
    "DISABLE_AUTOUPDATER",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY",
];

/// One that runs.
pub(crate) struct Peer {
    pub(crate) process: Process,
    pub(crate) door: Door,
    _folder: TempDir,
}

impl Peer {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(bench: &Bench, cli: Cli) -> Self {
        let folder = folder_on(bench, Disk::Real);
        let address = free_port();
        let cli = match cli {
            Cli::Real => &bench.arguments.claude,
            Cli::Stub => &bench.arguments.stub,
        };
        let text = |path: &std::path::Path| path.to_str().expect("its path is text").to_owned();
        let (home, port) = (text(folder.path()), address.port().to_string());
        let (campfire, cli) = (bench.campfire.url(), text(cli));
        let api = environment(bench);
        let mut variables = vec![
            ("PEER_CAMPFIRE", campfire.as_str()),
            ("PEER_CLAUDE", cli.as_str()),
            ("PEER_FOLDER", home.as_str()),
            ("PEER_PORT", port.as_str()),
            ("HOME", home.as_str()),
            ("CLAUDE_CONFIG_DIR", home.as_str()),
            ("TMPDIR", home.as_str()),
        ];
        variables.extend(api.iter().map(|(name, value)| (*name, value.as_str())));
        variables.extend(QUIET.map(|name| (name, "1")));
        let app = hearth_tests::binary::repository().join("tests/bench/peer/app.py");
        let mut process = Process::start(&bench.arguments.python, &[&text(&app)], &variables, folder.path());
        let began = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(
                process.is_running() && began.elapsed() < READY,
                "the peer does not listen:\n{}",
                said(folder.path())
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let door = Door { address, path: "/webhook".into(), bot_key: "2-Xq7vLmTzRbWk".into() };
        Self { process, door, _folder: folder }
    }

    /// One who writes to it.
    pub(crate) fn writer(&self, bench: &Bench, room: u64) -> Writer {
        Writer::new(&bench.campfire, &self.door, room)
    }
}
