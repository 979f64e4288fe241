//! A process that ends the agents of a host that was killed, within a moment and not only at the next start.
//!
//! The host holds one end of a pipe, the guard the other: whatever ends the host closes it. The guard then ends the agents
//! that this host noted (see `leftovers`), each with its group, first gently; a host that was started since has notes of
//! its own. After an orderly end there is nothing left to do. The guard costs a start nothing, which a signal at the
//! parent's death would: that has to be asked for by the child itself, and reaches no process that the child started.

use std::{io, path::Path, process::Stdio, time::Duration};

use rustix::process::Pid;
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStdin},
};

use super::leftovers::{self, Host};

/// The subcommand that is a guard.
pub const GUARD: &str = "guard";

/// A running guard of this process.
pub struct Guard {
    /// Closed when this goes, or with the whole process.
    _pipe: Option<ChildStdin>,
    _process: Child,
}

impl Guard {
    /// Starts this program as the guard of this process, whose agents' files are under `data`.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn start(data: &Path, grace: Duration) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "it guards the agents, and is no agent")]
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        let mut process = command
            .arg(GUARD)
            .arg(data)
            .arg(std::process::id().to_string())
            .arg(grace.as_millis().to_string())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // What is meant for the terminal's programs is not meant for this one.
            .process_group(0)
            .spawn()?;
        Ok(Self { _pipe: process.stdin.take(), _process: process })
    }
}

/// What a guard does: waits for the end of `host`, and ends its agents.
pub async fn stand(data: &Path, host: Pid, grace: Duration, mut pipe: impl tokio::io::AsyncRead + Unpin) {
    // Before it can have ended, or its number means nothing.
    let host = Host::of(host);
    let mut nothing = [0; 1];
    // Nothing is ever written to it.
    let _ = pipe.read(&mut nothing).await;
    if let Some(host) = host {
        leftovers::clear(data, grace, Some(host)).await;
    }
}
