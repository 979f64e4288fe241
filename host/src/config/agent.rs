//! `[agent]`: the command-line agent, what confines it, and how long each step of it may take.

use std::{
    num::NonZero,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    check::{Checked, Checks, STEP, every},
    located::Located,
    mistake::Mistake,
    secret::is_variable_name,
    units::{DAY, DurationText, MIB, SECOND, Size},
};

/// The agent that is part of this program.
const DEMO_AGENT: &str = "demo-agent";

const STARTS: RangeInclusive<i64> = 1..=256;
const WARM_PROCESSES: RangeInclusive<i64> = 0..=256;
const WARM_MEMORY: RangeInclusive<u64> = 16 * MIB..=1024 * 1024 * MIB;
const WARM_IDLE: RangeInclusive<Duration> = SECOND..=DAY;
const NICE: RangeInclusive<i64> = 0..=19;

/// `[agent]`
#[derive(Debug, Clone)]
pub struct Agent {
    /// `command`: the CLI and its first arguments; a string is a command without arguments. `demo-agent` stands for the
    /// built-in stand-in. Default `claude`.
    pub command: Vec<String>,
    /// Whether the built-in stand-in is what runs.
    pub is_demo: bool,
    /// `environment`: names of variables handed on besides the ones every agent gets.
    pub environment: Vec<String>,
    /// `wrapper`: words that go before the command. None by default.
    pub wrapper: Vec<String>,
    /// `nice`: by how much agents give way to other programs, 0 to 19.
    pub nice: Option<i32>,
    /// `sandbox`: what agents reach of the file system. None if that is not restricted, as by default.
    pub sandbox: Option<Sandbox>,
    /// `starts`: how many processes may be starting at once. Default: the number of cores; 1 to 256.
    pub starts: usize,
    /// `[agent.warm]`
    pub warm: Warm,
    /// `[agent.deadlines]`
    pub deadlines: Deadlines,
}

/// `[agent] sandbox = "landlock"`: what agents reach besides what they need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// `sandbox-read`: to read and to run. Absolute.
    pub read: Vec<PathBuf>,
    /// `sandbox-write`: to read and to change. Absolute.
    pub write: Vec<PathBuf>,
}

/// `[agent.warm]`: processes that stay after their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warm {
    /// `processes`: how many may wait. Default 8, 0 to 256; none stays with 0.
    pub processes: usize,
    /// `memory`: how many bytes those that wait may take together. Default 1 GiB, 16 MiB to 1024 GiB.
    pub memory: usize,
    /// `idle`: how long one waits for the next message. Default 10 min, 1 s to 24 h.
    pub idle: Duration,
}

/// `[agent.deadlines]`: how long each step of an agent's turn may take, 1 ms to 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// `start`: until the process has taken the prompt. Default 20 s.
    pub start: Duration,
    /// `first-event`: from there until its first line. Default 60 s.
    pub first_event: Duration,
    /// `silence`: between two lines. Default 5 min.
    pub silence: Duration,
    /// `total`: all of it. Default 15 min.
    pub total: Duration,
    /// `exit`: from the result, or from SIGTERM, until it has ended. Default 5 s.
    pub exit: Duration,
}

/// The command-line agent that answers what a plugin asks.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawAgent {
    /// The command, or an array of the command and its first arguments. `demo-agent` is the built-in stand-in.
    command: Located<Command>,
    /// Names of environment variables handed to the agent besides the ones every agent gets.
    #[schemars(inner(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$")), extend("examples" = [["HTTPS_PROXY"]]))]
    environment: Vec<Located<String>>,
    /// Words that go before the command, such as a program that confines what follows it. The command's arguments, streams
    /// and environment must pass through.
    #[schemars(extend("examples" = [["bwrap", "--bind", "/", "/"]]))]
    wrapper: Vec<Located<String>>,
    /// By how much agents give way to other programs, 0 to 19. Not at all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *NICE.start(), max = *NICE.end()), extend("examples" = [10]))]
    nice: Option<Located<i64>>,
    /// Whether agents are confined to the files that they need. `landlock` takes Linux 6.2 or later.
    sandbox: SandboxKind,
    /// Files and folders that a confined agent may read and run besides.
    #[schemars(extend("examples" = [["/srv/handbook"]]))]
    sandbox_read: Vec<Located<String>>,
    /// Files and folders that a confined agent may read and change besides.
    sandbox_write: Vec<Located<String>>,
    /// How many agent processes may be starting at once, 1 to 256. The number of cores if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = *STARTS.start(), max = *STARTS.end()))]
    starts: Option<Located<i64>>,
    /// Processes that stay after their turn, for the next message of their room.
    warm: RawWarm,
    /// How long each step of an agent's turn may take.
    deadlines: RawDeadlines,
}

impl Default for RawAgent {
    fn default() -> Self {
        Self {
            command: Command::Alone("claude".to_owned()).into(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            nice: None,
            sandbox: SandboxKind::Off,
            sandbox_read: Vec::new(),
            sandbox_write: Vec::new(),
            starts: None,
            warm: RawWarm::default(),
            deadlines: RawDeadlines::default(),
        }
    }
}

/// What confines agents.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SandboxKind {
    /// Nothing does.
    Off,
    /// The kernel's Landlock.
    Landlock,
}

/// Processes that stay after their turn, for the next message of their room: it is answered without a start.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawWarm {
    /// How many, 0 to 256; with 0 every message starts a process of its own. The one that has waited longest goes first.
    #[schemars(range(min = *WARM_PROCESSES.start(), max = *WARM_PROCESSES.end()))]
    processes: Located<i64>,
    /// How much memory they may take together, 16MiB to 1024GiB.
    memory: Located<Size>,
    /// How long one waits for the next message, 1s to 24h.
    idle: Located<DurationText>,
}

impl Default for RawWarm {
    fn default() -> Self {
        Self { processes: 8.into(), memory: "1GiB".into(), idle: "10m".into() }
    }
}

/// How long each step of an agent's turn may take; each at most 24h.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawDeadlines {
    /// Until the process has taken the prompt.
    start: Located<DurationText>,
    /// From there until its first line.
    first_event: Located<DurationText>,
    /// Between two lines.
    silence: Located<DurationText>,
    /// The whole turn.
    total: Located<DurationText>,
    /// From the result, or from being told to stop, until the process has ended.
    exit: Located<DurationText>,
}

impl Default for RawDeadlines {
    fn default() -> Self {
        Self {
            start: "20s".into(),
            first_event: "60s".into(),
            silence: "5m".into(),
            total: "15m".into(),
            exit: "5s".into(),
        }
    }
}

/// A command, or a command and its first arguments.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a string or an array of strings")]
enum Command {
    Alone(String),
    WithArguments(#[schemars(length(min = 1))] Vec<String>),
}

// === the checks ===

impl Checks<'_> {
    pub(super) fn agent(&mut self, raw: &RawAgent) -> Checked<Agent> {
        let command = self.command(&raw.command);
        let mut environment = Vec::with_capacity(raw.environment.len());
        for name in &raw.environment {
            if is_variable_name(name.get()) {
                environment.push(name.get().clone());
            } else {
                // A value behind a name is often the secret itself.
                let given = match name.get().split_once('=') {
                    Some((name, _)) => format!("{name}=…"),
                    None => name.get().clone(),
                };
                self.findings.add(name.span(), Mistake::VariableName { given });
            }
        }
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let starts = raw.starts.as_ref().map(|starts| self.number("starts", starts, STARTS)).transpose();
        let wrapper = every(raw.wrapper.iter().map(|word| self.filled("wrapper", word)));
        let wrapper = wrapper.map(|mut words| {
            if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
                *program = self.surroundings.folder.join(&*program).to_string_lossy().into_owned();
            }
            words
        });
        let nice = raw.nice.as_ref().map(|nice| self.number("nice", nice, NICE)).transpose();
        let sandbox = self.sandbox(raw);
        let warm = self.warm(&raw.warm);
        let deadlines = self.deadlines(&raw.deadlines);
        let command = command?;
        Ok(Agent {
            is_demo: command.get(1).is_some_and(|argument| argument == DEMO_AGENT),
            command,
            environment,
            wrapper: wrapper?,
            nice: nice?,
            sandbox: sandbox?,
            starts: starts?.unwrap_or_else(cores),
            warm: warm?,
            deadlines: deadlines?,
        })
    }

    fn sandbox(&mut self, raw: &RawAgent) -> Checked<Option<Sandbox>> {
        let paths = |checks: &mut Self, key, raw: &[Located<String>]| {
            every(raw.iter().map(|path| checks.path(key, path)))
        };
        let read = paths(self, "sandbox-read", &raw.sandbox_read);
        let write = paths(self, "sandbox-write", &raw.sandbox_write);
        let sandbox = Sandbox { read: read?, write: write? };
        match (raw.sandbox, raw.sandbox_read.iter().chain(&raw.sandbox_write).next()) {
            (SandboxKind::Landlock, _) => Ok(Some(sandbox)),
            (SandboxKind::Off, None) => Ok(None),
            // Whoever names these believes that nothing else is within reach.
            (SandboxKind::Off, Some(path)) => Err(self.findings.add(path.span(), Mistake::NoSandbox)),
        }
    }

    fn warm(&mut self, raw: &RawWarm) -> Checked<Warm> {
        let processes = self.number("processes", &raw.processes, WARM_PROCESSES);
        let memory = self.size("memory", &raw.memory, WARM_MEMORY);
        let idle = self.duration("idle", &raw.idle, WARM_IDLE);
        Ok(Warm { processes: processes?, memory: memory?, idle: idle? })
    }

    fn deadlines(&mut self, raw: &RawDeadlines) -> Checked<Deadlines> {
        let start = self.duration("start", &raw.start, STEP);
        let first_event = self.duration("first-event", &raw.first_event, STEP);
        let silence = self.duration("silence", &raw.silence, STEP);
        let total = self.duration("total", &raw.total, STEP);
        let exit = self.duration("exit", &raw.exit, STEP);
        Ok(Deadlines {
            start: start?,
            first_event: first_event?,
            silence: silence?,
            total: total?,
            exit: exit?,
        })
    }

    fn command(&mut self, raw: &Located<Command>) -> Checked<Vec<String>> {
        let (program, arguments) = match raw.get() {
            Command::Alone(program) => (program.as_str(), [].as_slice()),
            Command::WithArguments(words) => {
                words.split_first().map_or(("", [].as_slice()), |(program, rest)| (program, rest))
            }
        };
        if program.trim().is_empty() {
            return Err(self.findings.add(raw.span(), Mistake::Empty { key: "command" }));
        }
        if matches!(raw.get(), Command::Alone(_)) && program.contains(" -") {
            return Err(self.findings.add(raw.span(), Mistake::CommandWithArguments));
        }
        let mut command = if program == DEMO_AGENT {
            vec![self.own_path(raw.span())?, DEMO_AGENT.to_owned()]
        } else if program.contains('/') {
            vec![self.surroundings.folder.join(program).to_string_lossy().into_owned()]
        } else {
            vec![program.to_owned()]
        };
        command.extend_from_slice(arguments);
        Ok(command)
    }

    fn own_path(&mut self, span: Range<usize>) -> Checked<String> {
        match std::env::current_exe() {
            Ok(path) => Ok(path.to_string_lossy().into_owned()),
            Err(source) => Err(self.findings.add(span, Mistake::OwnPath { source })),
        }
    }
}
