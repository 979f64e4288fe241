//! What a host needs of its machine.

use std::{fs, path::PathBuf};

use tokio::time::{Duration, Instant, sleep};

use crate::{
    chaos::verdict::{Fault, processes_of},
    outside::Outside,
    world::PATIENCE,
};

/// How much more of each there may be later: what differs between two moments of the same quiet. Connections that are kept
/// for the next request; pages that the allocator keeps; threads for what blocks, of which the runtime keeps as many as were
/// ever busy at once, since files are looked at again and again. One of each a replaced file would be far more.
const SLACK: Usage = Usage { memory: 32 << 20, descriptors: 8, threads: 24, processes: 2 };
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);

/// What a host that has nothing to do needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    /// Resident bytes.
    memory: usize,
    descriptors: usize,
    threads: usize,
    /// The host's, and those that it started.
    processes: usize,
}

impl Usage {
    /// That of the host now.
    ///
    /// # Panics
    /// If it does not run.
    pub(super) fn of(outside: &Outside) -> Self {
        let process = PathBuf::from(format!("/proc/{}", outside.process().as_raw_nonzero()));
        let statm = fs::read_to_string(process.join("statm")).expect("the host runs");
        let pages: usize =
            statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("it is a number");
        let entries = |folder| fs::read_dir(process.join(folder)).expect("the host runs").count();
        Self {
            memory: pages * rustix::param::page_size(),
            descriptors: entries("fd"),
            threads: entries("task"),
            processes: processes_of(outside.folder()).len(),
        }
    }

    /// Waits until the host needs no more than this again, and answers what it needs.
    ///
    /// # Errors
    /// If it does for too long.
    pub(super) async fn is_kept(self, outside: &Outside) -> Result<Self, Fault> {
        let until = Instant::now() + PATIENCE;
        loop {
            let now = Self::of(outside);
            let is_kept = now.memory <= self.memory + SLACK.memory
                && now.descriptors <= self.descriptors + SLACK.descriptors
                && now.threads <= self.threads + SLACK.threads
                && now.processes <= self.processes + SLACK.processes;
            if is_kept {
                return Ok(now);
            }
            if Instant::now() > until {
                return Err(Fault(format!("the host needs more than it did: {self:#?}, then {now:#?}")));
            }
            // What ends by itself tells nobody here.
            sleep(LOOK).await;
        }
    }
}
