//! A Redis of a test's own: on a free port, with a password, in a folder that is the test's.
//!
//! It ends with its owner, also when that is a test process that was killed: a shell beside it reads from a pipe whose other
//! end nobody else has. (The host's own tests include this file too.)

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What its clients must know.
pub const PASSWORD: &str = "correct-horse-battery";

/// Runs the server beside itself, and ends it when the input is over.
const SUPERVISE: &str = "\"$@\" & server=$!; exec >/dev/null 2>&1; read -r _; kill -9 $server; wait $server";
/// How often another port is tried that somebody else was faster to take.
const TRIES: usize = 5;

/// A Redis that may be away for a while.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    folder: PathBuf,
    /// How often it flushes its append-only file, in Redis' words.
    flush: &'static str,
    running: Option<Child>,
}

impl RedisServer {
    /// Starts one that keeps its data in this folder, and flushes them once a second.
    ///
    /// # Panics
    /// If there is none: tests/run installs it.
    pub fn start(folder: &Path) -> Self {
        Self::start_flushing(folder, "everysec")
    }

    /// The same with another `appendfsync`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_flushing(folder: &Path, flush: &'static str) -> Self {
        for _ in 0..TRIES {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let port = free.expect("a port is free").port();
            let mut server = Self { port, folder: folder.to_owned(), flush, running: None };
            if server.comes_back() {
                return server;
            }
        }
        panic!("no Redis starts in {}", folder.display());
    }

    /// Its port on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a lost machine would.
    pub fn goes_away(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The end of its input.
            drop(running.stdin.take());
            running.wait().expect("it ends");
        }
    }

    /// Starts it again on the same port, with the data that it kept; answers whether it takes connections.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn comes_back(&mut self) -> bool {
        let server = std::env::var_os("HEARTH_TEST_REDIS")
            .expect("HEARTH_TEST_REDIS is not set: this test runs from tests/run, which installs Redis");
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        let mut command = Command::new("sh");
        command.args(["-c", SUPERVISE, "supervise"]).arg(server);
        command.arg("--port").arg(self.port.to_string()).arg("--dir").arg(&self.folder);
        command.args(["--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", self.flush]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = command.spawn().expect("a shell starts");
        let log = BufReader::new(running.stdout.take().expect("its output is a pipe"));
        self.running = Some(running);
        let is_up =
            log.lines().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        if !is_up {
            self.goes_away();
        }
        is_up
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.goes_away();
    }
}
