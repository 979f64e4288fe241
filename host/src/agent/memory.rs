//! How much memory an agent takes: the proportional set size of its process group, as the kernel counts it.

use std::{fs, str::FromStr, time::Duration};

use rustix::process::Pid;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::Instant,
};

/// For how long a figure is taken as known: to measure costs more than a turn does otherwise.
const AGE: Duration = Duration::from_secs(10);

/// What one group takes. A measurement that nobody waits for any more goes on, for whoever asks next: a busy process is
/// never waited for as long as one takes.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// None where the system does not tell.
    last: Option<(Option<u64>, Instant)>,
    running: Option<JoinHandle<Option<u64>>>,
}

impl Gauge {
    /// What was last measured, in bytes.
    pub(super) fn known(&self) -> Option<u64> {
        self.last?.0
    }

    /// Whether it need not be measured now.
    pub(super) fn is_recent(&self) -> bool {
        self.running.is_none() && self.last.is_some_and(|(_, at)| at.elapsed() < AGE)
    }

    /// Measures it, or waits for the measurement that is under way. Nothing is lost if the future is dropped.
    pub(super) async fn measure(&mut self, group: Pid) -> Option<u64> {
        let running = self.running.get_or_insert_with(|| spawn_blocking(move || of_group(group)));
        let measured = running.await.ok().flatten();
        (self.last, self.running) = (Some((measured, Instant::now())), None);
        measured
    }
}

/// In bytes; none where the system does not tell (`/proc/<pid>/smaps_rollup`). Blocks for some milliseconds.
fn of_group(group: Pid) -> Option<u64> {
    let group = group.as_raw_nonzero().get();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let members = processes.filter_map(|entry| {
        let id = i32::from_str(entry.file_name().to_str()?).ok()?;
        // `man 5 proc`: behind the name in parentheses stand the state, the parent and the group.
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let its_group = stat.rsplit_once(')')?.1.split_whitespace().nth(2)?;
        (its_group.parse() == Ok(group)).then_some(id)
    });
    // One that has just gone takes nothing; the leader itself must be there, or nothing can be said.
    let (mut sum, mut is_known) = (0, false);
    for member in members {
        if let Some(size) = of_process(member) {
            sum += size;
            is_known |= member == group;
        }
    }
    is_known.then_some(sum)
}

fn of_process(process: i32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_group_takes_what_its_processes_take_together() {
        let start = |group: i32| {
            #[expect(clippy::disallowed_methods, reason = "something that takes memory")]
            let mut command = std::process::Command::new("sleep");
            command.arg("600").process_group(group).spawn().unwrap()
        };
        let mut leader = start(0);
        let id = leader.id().cast_signed();
        let group = Pid::from_raw(id).unwrap();
        let alone = of_group(group).unwrap();
        let mut second = start(id);
        let both = of_group(group).unwrap();
        assert!(alone > 0 && both > alone, "{alone} and {both}");
        for child in [&mut leader, &mut second] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(of_group(group), None);
    }

    #[tokio::test]
    async fn a_measurement_that_was_given_up_is_there_for_the_next_who_asks() {
        let (end, ended) = std::sync::mpsc::sync_channel(1);
        let running = spawn_blocking(move || ended.recv().ok());
        let mut gauge = Gauge { last: None, running: Some(running) };
        let this = rustix::process::getpgrp();
        assert!(gauge.measure(this).now_or_never().is_none(), "it takes some time");
        assert!(!gauge.is_recent() && gauge.known().is_none());
        end.send(7).unwrap();
        assert_eq!(gauge.measure(this).await, Some(7));
        assert!(gauge.is_recent() && gauge.known() == Some(7));
    }
}
