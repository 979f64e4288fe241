//! What some words do to the process itself, and not only to what it says. Never for tests within one process.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

/// From now on SIGTERM does nothing, as long as the process lives.
pub(super) fn ignore_sigterm() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _in_runtime = runtime.enter();
    // What takes the signal stays when this goes.
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map(drop)
}

/// Whoever reads stdout sees its end; the process stays for that time, as one that does nothing. Does not come back.
pub(super) fn close_stdout(stays: Duration) -> io::Result<()> {
    Err(sleep(stays).stdout(Stdio::null()).exec())
}

/// Starts a process that belongs to no group of ours, holds our outputs open, and ends after that time.
pub(super) fn leave_one_behind(lives: Duration) -> io::Result<()> {
    sleep(lives).process_group(0).spawn().map(drop)
}

fn sleep(time: Duration) -> Command {
    #[expect(clippy::disallowed_methods, reason = "something that does nothing")]
    let mut command = Command::new("sleep");
    command.arg(time.as_secs().to_string()).stdin(Stdio::null());
    command
}

/// Does not come back, unless the signal is none or is ignored.
pub(super) fn end_by(signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        // It is our own process.
        let _ = kill_process(getpid(), signal);
    }
}
