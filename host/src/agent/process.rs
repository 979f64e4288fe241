//! One agent process: it has a group of its own, and when it is over nothing of that group is left.
//!
//! The group is signalled, never the process alone: the CLI's own children are to go too. SIGTERM comes first, because only
//! on that does the CLI end what it started in *other* groups; SIGKILL follows. Once the process has ended, what remains of
//! its group is killed before anything else is read, so that a child it left behind cannot hold the pipes open. The group's
//! number cannot have gone to somebody else by then: while a member lives the kernel does not give it out again.
//!
//! A dropped process is ended in the background; with no runtime left to do that, its group is killed at once.

use std::{
    future::pending, io, os::unix::process::ExitStatusExt, process::ExitStatus, process::Stdio,
    time::Duration,
};

use bytes::BytesMut;
use rustix::process::{Pid, Signal, kill_process_group, setpriority_process};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
    runtime::Handle,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    AgentError,
    command::{Launch, Scratch},
    outcome::Exit,
    redact::{Secrets, Tail},
};

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// What a process can do that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// It wrote to stdout; the bytes are in `output`.
    Output,
    /// It has taken all there was to write, or wants no more of it.
    Taken,
    /// It has ended, and so have its pipes.
    Exited(Exit),
}

/// What becomes of a process that is no longer needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// It ends by itself once its stdin is closed; if it doesn't in time, as below.
    ByItself,
    /// SIGTERM, and SIGKILL if it doesn't end in time.
    Terminated,
}

/// A running process.
pub(super) struct Process {
    /// None once it is handed over to be ended.
    inner: Option<Inner>,
    /// Where endings in the background are known.
    endings: TaskTracker,
}

struct Inner {
    child: Child,
    group: Pid,
    /// None when closed, like the other two.
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    tail: Tail,
    /// What was just read of stderr.
    noise: BytesMut,
    exit: Option<Exit>,
    /// How long the pipes may stay open after the exit: somebody outside the group may hold them.
    pipes_until: Option<Instant>,
    /// `deadlines.exit`
    grace: Duration,
    /// Goes with the process.
    _scratch: Option<Scratch>,
}

impl Process {
    /// Starts it. Its three streams are pipes and its environment is the launch's alone.
    ///
    /// # Errors
    /// The program is not there, may not be run, or the system has no room for it.
    pub(super) fn start(
        launch: Launch,
        secrets: &Secrets,
        grace: Duration,
        endings: &TaskTracker,
    ) -> Result<Self, AgentError> {
        #[expect(clippy::disallowed_methods, reason = "this is the place where agents are started")]
        let mut command = tokio::process::Command::new(&launch.program);
        let started = command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&launch.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|source| AgentError::starting(&launch.program, source))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = group.ok_or_else(|| {
            AgentError::starting(&launch.program, io::Error::other("the new process has no number"))
        })?;
        if let Some(nice) = launch.nice {
            // It can only have ended already.
            let _ = setpriority_process(Some(group), nice);
        }
        if let Some(scratch) = &launch.scratch {
            scratch.note(group);
        }
        let inner = Inner {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            child,
            group,
            tail: Tail::new(secrets),
            noise: BytesMut::new(),
            exit: None,
            pipes_until: None,
            grace,
            _scratch: launch.scratch,
        };
        Ok(Self { inner: Some(inner), endings: endings.clone() })
    }

    /// Waits for the next thing to happen: writes what is in `input`, appends what comes to `output`. Nothing is lost if
    /// the future is dropped.
    pub(super) async fn next(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Happening {
        match &mut self.inner {
            Some(inner) => inner.next(input, output).await,
            None => pending().await,
        }
    }

    /// Its process group; none once it is handed over to be ended.
    pub(super) fn group(&self) -> Option<Pid> {
        self.inner.as_ref().map(|inner| inner.group)
    }

    /// Ends it and waits for that: at most three times the grace.
    pub(super) async fn end(&mut self, leave: Leave) -> Option<Exit> {
        self.inner.as_mut()?.end(leave).await
    }

    /// The end of its stderr so far, redacted.
    pub(super) fn stderr(&mut self, secrets: &Secrets) -> String {
        self.inner.as_mut().map(|inner| inner.tail.redacted(secrets)).unwrap_or_default()
    }

    /// Ends it in the background. The end of its stderr so far, redacted.
    pub(super) fn dismiss(mut self, leave: Leave, secrets: &Secrets) -> String {
        let stderr = self.stderr(secrets);
        self.end_in_background(leave);
        stderr
    }

    fn end_in_background(&mut self, leave: Leave) {
        let Some(mut inner) = self.inner.take().filter(|inner| inner.exit.is_none()) else { return };
        // Without a runtime, dropping it here is what kills it.
        if let Ok(runtime) = Handle::try_current() {
            self.endings.spawn_on(async move { inner.end(leave).await }, &runtime);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_in_background(Leave::Terminated);
    }
}

impl Inner {
    async fn next(&mut self, input: &mut BytesMut, output: &mut BytesMut) -> Happening {
        loop {
            if let Some(exit) = self.exit
                && self.stdout.is_none()
                && self.stderr.is_none()
            {
                return Happening::Exited(exit);
            }
            tokio::select! {
                read = read(&mut self.stdout, output) => match read {
                    Ok(1..) => return Happening::Output,
                    Ok(0) | Err(_) => self.stdout = None,
                },
                read = read(&mut self.stderr, &mut self.noise) => match read {
                    Ok(1..) => {
                        self.tail.push(&self.noise);
                        self.noise.clear();
                    }
                    Ok(0) | Err(_) => self.stderr = None,
                },
                written = write(&mut self.stdin, input), if !input.is_empty() => {
                    if written.is_err() {
                        self.stdin = None;
                        input.clear();
                    }
                    if input.is_empty() {
                        return Happening::Taken;
                    }
                }
                status = self.child.wait(), if self.exit.is_none() => self.note_exit(&status),
                () = wait_until(self.pipes_until) => {
                    self.stdout = None;
                    self.stderr = None;
                }
            }
        }
    }

    fn note_exit(&mut self, status: &io::Result<ExitStatus>) {
        self.signal(Signal::KILL);
        self.pipes_until = Some(Instant::now() + self.grace);
        self.stdin = None;
        // The wait can only fail for a child that is no longer ours.
        self.exit = Some(match status {
            Ok(status) => status.code().map_or(Exit::Signal(status.signal().unwrap_or(0)), Exit::Code),
            Err(_) => Exit::Code(-1),
        });
    }

    async fn end(&mut self, leave: Leave) -> Option<Exit> {
        self.stdin = None;
        let steps: &[Option<Signal>] = match leave {
            Leave::ByItself => &[None, Some(Signal::TERM), Some(Signal::KILL)],
            Leave::Terminated => &[Some(Signal::TERM), Some(Signal::KILL)],
        };
        for signal in steps {
            // Once the leader has been waited for, its group's number may be somebody else's.
            if let Some(signal) = signal.filter(|_| self.exit.is_none()) {
                self.signal(signal);
            }
            if let Ok(exit) = timeout(self.grace, self.exited()).await {
                return Some(exit);
            }
        }
        tracing::warn!(
            group = self.group.as_raw_nonzero(),
            "an agent outlives SIGKILL; it is left to the system"
        );
        None
    }

    async fn exited(&mut self) -> Exit {
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        loop {
            if let Happening::Exited(exit) = self.next(&mut input, &mut output).await {
                return exit;
            }
            output.clear();
        }
    }

    fn signal(&self, signal: Signal) {
        // The only error left is that nobody is there any more.
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.signal(Signal::KILL);
        }
    }
}

async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, into: &mut BytesMut) -> io::Result<usize> {
    match pipe {
        Some(pipe) => {
            into.reserve(CHUNK);
            pipe.read_buf(into).await
        }
        None => pending().await,
    }
}

async fn write(pipe: &mut Option<ChildStdin>, from: &mut BytesMut) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.write_buf(from).await,
        None => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Waits for a time, or for ever.
pub(super) async fn wait_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
