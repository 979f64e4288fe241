//! What agents leave behind: processes that go on working, and temporary folders.
//!
//! Of an agent that has ended, what it started in groups of its own may go on. Each of those has the agent's temporary
//! folder in its environment; they are ended when that folder is removed (where the system shows environments, `/proc`).
//!
//! If a host was killed, its agents themselves may go on.
//!
//! A process that goes on would meet the next turn of its session, and the CLI would lose one of the two. So each one
//! notes in its temporary folder which process it is, and the next host ends it before it begins anything. A note names
//! the process and its host by their numbers and the times they were started, since numbers are given out again; where the
//! system doesn't tell these times (`/proc`), nothing is noted.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

/// The folder in a bot's folder where each of its processes has one of its own, and in that the one for its temporary files.
pub(super) const TEMPORARY: &str = "tmp";
/// The note in a temporary folder.
const NOTE: &str = "hearth-agent";
/// How often is looked for what an agent left running: what is being ended may start another one meanwhile.
const ROUNDS: usize = 3;
/// How often is looked whether a process has ended, since nobody tells us: it is not our child.
const LOOK: Duration = Duration::from_millis(20);

/// Writes down that the leader of this group is the process of this temporary folder.
pub(super) fn note(folder: &Path, leader: Pid) {
    static THIS: LazyLock<Option<Host>> = LazyLock::new(|| Host::of(rustix::process::getpid()));
    let (Some(started), Some(host)) = (started(leader), *THIS) else { return };
    let leader = leader.as_raw_nonzero();
    let note = format!("{leader} {started} {} {}", host.process.as_raw_nonzero(), host.started);
    if let Err(error) = fs::write(folder.join(NOTE), note) {
        tracing::warn!(folder = %folder.display(), %error, "an agent's process can't be noted; if this host is killed, it may live on");
    }
}

/// Ends the noted processes with their groups, and removes the temporary folders of all bots under `data`; only those of
/// one host if that is given. Waits at most twice the `grace`.
pub(super) async fn clear(data: &Path, grace: Duration, host: Option<Host>) {
    let noted = temporary_folders(data).into_iter().map(|folder| (Noted::read(&folder), folder));
    let is_meant = |noted: &Option<Noted>| match (host, noted) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(host), Some(noted)) => noted.host == host,
    };
    let (left, folders): (Vec<_>, Vec<_>) = noted.filter(|(noted, _)| is_meant(noted)).unzip();
    let mut left: Vec<Noted> = left.into_iter().flatten().collect();
    for signal in [Signal::TERM, Signal::KILL] {
        left.retain(Noted::is_alive);
        for noted in &left {
            tracing::warn!(
                process = noted.leader.as_raw_nonzero(),
                ?signal,
                "an agent of an earlier host is still there; it is ended"
            );
            // The only error left is that it has just gone.
            let _ = kill_process_group(noted.leader, signal);
        }
        let deadline = Instant::now() + grace;
        while left.iter().any(Noted::is_alive) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }
    for folder in &folders {
        remove(folder);
    }
}

/// Removes the temporary folder of an agent that has ended, and ends what it left running.
pub(super) fn remove(folder: &Path) {
    end_strays(folder);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "an agent's temporary folder can't be removed");
        }
        _ => {}
    }
}

fn end_strays(folder: &Path) {
    let mut known = BTreeSet::new();
    for _ in 0..ROUNDS {
        let strays = strays(folder);
        if strays.is_empty() {
            return;
        }
        for stray in strays {
            if known.insert(stray.as_raw_nonzero()) {
                tracing::info!(
                    process = stray.as_raw_nonzero(),
                    "a process that an agent left behind is ended"
                );
            }
            // The only error left is that it has just gone.
            let _ = kill_process(stray, Signal::KILL);
        }
    }
}

/// The processes whose temporary files are in this folder.
fn strays(folder: &Path) -> Vec<Pid> {
    let variable = [b"TMPDIR=", folder.join(TEMPORARY).as_os_str().as_bytes()].concat();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let process = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            // Of a process that is dead, or somebody else's, nothing is shown.
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment.split(|byte| *byte == 0).any(|shown| shown == variable).then_some(process)
        })
        .collect()
}

fn temporary_folders(data: &Path) -> Vec<PathBuf> {
    let below =
        |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    below(data.join("agents")).flat_map(|bot| below(bot.join(TEMPORARY))).collect()
}

/// A process that starts agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host {
    process: Pid,
    started: u64,
}

impl Host {
    /// That of this number, if it runs and the system tells since when.
    pub(super) fn of(process: Pid) -> Option<Self> {
        Some(Self { process, started: started(process)? })
    }
}

/// A process of an earlier host.
struct Noted {
    leader: Pid,
    started: u64,
    host: Host,
}

impl Noted {
    fn read(folder: &Path) -> Option<Self> {
        let note = fs::read_to_string(folder.join(NOTE)).ok()?;
        let mut words = note.split(' ');
        let mut process = || {
            let process = Pid::from_raw(words.next()?.parse().ok()?)?;
            Some(Host { process, started: words.next()?.parse().ok()? })
        };
        let Host { process: leader, started } = process()?;
        Some(Self { leader, started, host: process()? })
    }

    fn is_alive(&self) -> bool {
        started(self.leader) == Some(self.started)
    }
}

/// When a living process was started, in clock ticks since boot. `man 5 proc`: field 22 of its `stat`, and field 3 is a Z
/// if it is dead and only not yet waited for.
fn started(process: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // Field 2 is the program's name in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt, process::Child};

    use super::*;
    use crate::agent::guard;

    /// A process that leads a group, and its temporary folder with a note.
    fn leftover(data: &Path, script: &str) -> (Child, PathBuf) {
        let folder = data.join("agents/bot/tmp/one");
        fs::create_dir_all(&folder).unwrap();
        #[expect(clippy::disallowed_methods, reason = "an agent of an earlier host")]
        let child =
            std::process::Command::new("/bin/sh").args(["-c", script]).process_group(0).spawn().unwrap();
        let leader = Pid::from_raw(child.id().cast_signed()).unwrap();
        note(&folder, leader);
        (child, folder)
    }

    #[tokio::test]
    async fn a_process_of_an_earlier_host_is_ended_and_its_folder_removed() {
        let data = tempfile::tempdir().unwrap();
        let (mut child, folder) = leftover(data.path(), "sleep 600; true");
        clear(data.path(), Duration::from_secs(10), None).await;
        assert!(!child.wait().unwrap().success());
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn one_that_ignores_the_first_signal_gets_the_second() {
        let data = tempfile::tempdir().unwrap();
        let (mut child, folder) = leftover(data.path(), "trap '' TERM; while :; do sleep 600; done");
        clear(data.path(), Duration::from_millis(200), None).await;
        assert!(!child.wait().unwrap().success());
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn a_process_that_only_has_the_same_number_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let (mut child, folder) = leftover(data.path(), "sleep 600; true");
        fs::write(folder.join(NOTE), format!("{} 1 1 1", child.id())).unwrap();
        clear(data.path(), Duration::from_secs(10), None).await;
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        // With what it runs.
        kill_process_group(Pid::from_child(&child), Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!folder.exists());
    }

    #[tokio::test]
    async fn a_guard_ends_what_its_host_noted_and_nothing_else_once_the_pipe_closes() {
        let data = tempfile::tempdir().unwrap();
        let (mut child, folder) = leftover(data.path(), "sleep 600; true");
        let pipe = || tokio::io::empty();
        let grace = Duration::from_secs(10);
        // A guard of another process that runs.
        let parent = rustix::process::getppid().unwrap();
        guard::stand(data.path(), parent, grace, pipe()).await;
        assert!(child.try_wait().unwrap().is_none() && folder.exists());
        guard::stand(data.path(), rustix::process::getpid(), grace, pipe()).await;
        assert!(!child.wait().unwrap().success());
        assert!(!folder.exists());
    }
}
