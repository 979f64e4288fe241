//! Processes of this run: started in a folder of their own, looked at through `/proc`, and ended by their id.

use std::{
    collections::HashMap,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Ticks a second in `/proc/<pid>/stat`; Linux has had this one for ever.
const TICKS: f64 = 100.0;

/// How long a process may take to end when it is asked to.
const ENDING: Duration = Duration::from_secs(20);

/// A process, ended when this is dropped.
pub(crate) struct Process {
    child: Child,
}

/// What a process uses, those it started left out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// CPU so far, in seconds.
    pub(crate) cpu: f64,
    /// Memory, its proportional share, in bytes.
    pub(crate) memory: f64,
}

struct Stat {
    parent: u32,
    /// In seconds.
    cpu: f64,
}

impl Process {
    /// Starts it with this environment alone. What it says goes to a file (see `said`) in a folder of its own: a host that
    /// follows its configuration's folder is not to be woken by its own log.
    pub(crate) fn start(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        folder: &Path,
    ) -> Self {
        let log = log_in(folder);
        let log = log
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| File::options().create(true).append(true).open(&log));
        let log = log.expect("the folder is writable");
        #[expect(clippy::disallowed_methods, reason = "these are what is measured")]
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log);
        Self { child: command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it uses.
    pub(crate) fn usage(&self) -> Usage {
        Usage { cpu: stat(self.id()).map_or(0.0, |stat| stat.cpu), memory: memory(self.id()) }
    }

    /// What it has started and what that has, as far as it runs.
    pub(crate) fn started(&self) -> Vec<u32> {
        descendants(&all(), self.id())
    }

    /// The memory of what it has started and of itself, in bytes.
    pub(crate) fn memory_with_started(&self) -> f64 {
        self.started().into_iter().map(memory).sum::<f64>() + memory(self.id())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let started = self.started();
        self.signal(Signal::TERM);
        let since = Instant::now();
        while self.is_running() && since.elapsed() < ENDING {
            #[expect(clippy::disallowed_methods, reason = "this thread has nothing else to do")]
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A host in Python leaves its agents behind.
        for id in started {
            if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// What the processes of a folder have said.
pub(crate) fn said(folder: &Path) -> String {
    fs::read_to_string(log_in(folder)).unwrap_or_default()
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("said").join("log")
}

/// A port that was free just now.
pub(crate) fn free_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a listener has an address")
}

fn all() -> HashMap<u32, Stat> {
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| Some((id, stat(id)?))).collect()
}

fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, cpu: (ticks(11)? + ticks(12)?) / TICKS })
}

fn descendants(all: &HashMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, stat)| stat.parent == parent).map(|(id, _)| *id));
        next += 1;
    }
    found.split_off(1)
}

fn memory(id: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = pss.and_then(|value| value.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or_default() * 1024.0
}
