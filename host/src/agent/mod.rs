//! Runs one message's turn on the `claude` CLI, and says in one word what came of it.
//!
//! Between turns the only state of a conversation is its session: an id, and the transcript behind it in the bot's folder. Where
//! hosts share a store it is the store that has the current one, and `travel` moves it.
//! Two turns of one session must not run at once (the CLI would lose one of them without a word); the lane sees to that.
//!
//! What holds:
//! - The prompt goes in on stdin and nowhere else. Text from a room is never a command or the name of a file: see `command`
//!   (arguments), `protocol` (`client_composed`) and `environment` for the layers.
//! - The process sees a short list of variables and folders of its own. What it says about itself is for the log, bounded and
//!   with its secrets masked; the prose of an error is never an answer.
//! - Every wait has a deadline with a name, [`Clock`]. While the CLI waits for a tool of the host's, only `total` runs.
//! - When a turn is over its process waits for the room's next message (`pool`), if nothing about it was odd; else it is
//!   being ended in the background, and a dropped turn is no exception. Others may be started ahead for conversations that
//!   are yet to begin (`spares`). [`Runner::drained`] ends them all.
//!
//! What an exchange comes to, the exit code saying little:
//!
//! | the CLI … | outcome |
//! |---|---|
//! | says `result`, `success`, and nothing marks an error | `Completed` |
//! | … `success` with an error: 429 | `RateLimited` |
//! | … 5xx, 408, the API can't be reached | `Overloaded` |
//! | … 401, 402, 403, not logged in | `Auth` |
//! | … any other 4xx | `InvalidRequest` |
//! | … `error_max_turns`, `error_max_budget_usd` | `TurnLimit`, `Budget`; the session goes on |
//! | … `error_during_execution`, aborted | `Interrupted` |
//! | … "No conversation found" | one fresh try, with `memory_lost` |
//! | says that it knows this message's id already, and no more | one more try under another id |
//! | answered this message to a host that was killed | `Completed`, from the transcript, and nothing is run |
//! | ends with no result, by SIGTERM or SIGINT | `Interrupted` |
//! | ends with no result, in any other way | `Crashed` |
//! | does not get on | `TimedOut` |
//! | says several results | the first counts: one message was sent |

mod command;
pub mod demo;
mod environment;
mod exchange;
pub mod framer;
pub mod guard;
mod leftovers;
mod live;
mod mcp;
mod memory;
mod outcome;
mod pool;
mod process;
mod progress;
mod protocol;
mod redact;
pub mod sandbox;
mod spares;
mod starter;
#[cfg(test)]
mod tests;
mod tools;
mod transcript;
mod travel;
mod turn;
mod version;

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{OnceCell, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{
    command::Command,
    environment::Environment,
    pool::Pool,
    sandbox::{Sandbox, SandboxError},
    starter::Starter,
    turn::Turn,
};
pub use self::{
    pool::{Processes, WaitingProcess},
    progress::{Progress, Retry, STEPS, Step},
    spares::Spare,
    tools::{ToolFailure, ToolSpec, Tools},
    travel::{Laying, LayingError, Leaving, Transcripts},
    version::CliVersion,
};
use crate::{
    config,
    gate::Gate,
    id::{BotName, RoomId, SessionId},
};

/// Runs turns. One for the whole host; share it in an `Arc`.
pub struct Runner {
    starter: Arc<Starter>,
    /// Processes that wait for a message.
    pool: Pool,
    /// The CLI's version once it was found to fit.
    fitting: OnceCell<CliVersion>,
}

/// One message for a bot's agent.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose agent: it has folders and sessions of its own.
    pub bot: BotName,
    /// Where the message was said.
    pub room: RoomId,
    /// The conversation to go on with; none begins one.
    pub session: Option<SessionId>,
    /// The message's own id. A session answers the same id once only, across processes too.
    pub message: Uuid,
    /// What a conversation that begins is called. The same for the same message, so that it is known even if nobody lived
    /// to write it down.
    pub new_session: SessionId,
    /// The message was given to an agent before, and what came of it is not known. An answer that is in the transcript is
    /// taken from there.
    pub again: bool,
    /// What the agent is asked.
    pub prompt: String,
    /// Who it is to be. The CLI's own system prompt without one.
    pub system_prompt: Option<String>,
    /// The model; the CLI's default without one.
    pub model: Option<String>,
    /// How many times the model may be called for this message.
    pub max_turns: u32,
    /// What this message may cost, in US dollars.
    pub budget_usd: Option<f64>,
    /// The CLI's own tools it may use, as `Read` or, narrowed, `Bash(git *)`. What else it tries is refused.
    pub builtin_tools: Vec<String>,
    /// The host's tools, which it may use besides; none if there are none to offer.
    pub tools: Option<Arc<dyn Tools>>,
    /// Where to tell how far it is, if anybody wants to know.
    pub watch: Option<watch::Sender<Progress>>,
    /// How many processes are to wait for first messages of this bot's conversations.
    pub spares: usize,
    /// The conversation that an earlier attempt began with the message in a process of [`Runner::spare`], as it was noted.
    pub begun_as: Option<SessionId>,
    /// Breaks the turn off: the outcome is [`Outcome::Interrupted`] within about a second, unless it is over before, and
    /// the process and the session go on.
    pub interrupt: CancellationToken,
}

/// What a turn came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// In one word, and the answer if there is one.
    pub outcome: Outcome,
    /// The session to go on with next time: what the CLI named, else the one that was asked for. None: there is none any
    /// more.
    pub session: Option<SessionId>,
    /// The session that was asked for is gone; the answer was given without its memory.
    pub memory_lost: bool,
    /// The answer was found in the transcript; nothing was run.
    pub recovered: bool,
    /// What the turn used.
    pub usage: Usage,
    /// How long it took.
    pub timings: Timings,
    /// Which process did it.
    pub start: Start,
    /// What happened, for the log and never for the room: at most about 10 KiB, secrets masked. None if all went well.
    pub cause: Option<String>,
}

/// What a turn cost in starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A process was started for it, or none was needed.
    Cold,
    /// A process did it that had answered before in this conversation.
    Warm,
    /// A process did it that had been started ahead.
    Spare,
}

/// The ways a turn can end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Completed {
        /// The answer, in Markdown; may be empty.
        text: String,
    },
    /// The model was called `max_turns` times and had not finished.
    TurnLimit,
    /// The message's budget is used up.
    Budget,
    /// It was stopped: by the host, or by a signal from elsewhere.
    Interrupted,
    /// The provider has had too many requests of ours.
    RateLimited,
    /// The provider can't serve now, or can't be reached. Trying later may help.
    Overloaded,
    /// The provider does not accept our credentials, or there are none.
    Auth,
    /// The provider does not accept the request: a conversation that is too long, an unknown model.
    InvalidRequest,
    /// The agent could not be started, or ended without a result.
    Crashed,
    /// The agent did not get on in time.
    TimedOut(Clock),
}

/// The deadlines of a turn (`[agent.deadlines]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Until the process has taken the prompt.
    Start,
    /// From there until its first line.
    FirstEvent,
    /// Between two lines.
    Silence,
    /// All of it, waiting for a free start included.
    Total,
}

/// What one turn used; zero where the CLI did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// US dollars. None if unknown: there was no result, or an old CLI gave the whole session's sum only.
    pub cost_usd: Option<f64>,
    /// Calls of the model, as the CLI counts them.
    pub turns: u32,
    /// Tokens sent, besides those of the cache.
    pub input_tokens: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Tokens written to it.
    pub cache_creation_tokens: u64,
}

/// How long a turn took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting until a process could be started.
    pub gate: Duration,
    /// From the start of the process, or from the message if it was there before, to its first line; none came without.
    pub first_event: Option<Duration>,
    /// All of it.
    pub total: Duration,
}

/// How to get a CLI that fits. Without a version, npm picks one that is too old where Node is.
const INSTALL: &str = "npm install -g @anthropic-ai/claude-code@2.1.330";

/// Why an agent cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// `[agent] command` is empty.
    #[error("`[agent] command` in bots.toml is empty. Set it to \"claude\" or \"demo-agent\"")]
    NoCommand,
    /// The program is not there.
    #[error(
        "`{program}` not found{}. Install it ({INSTALL}) or set `[agent] command` in bots.toml",
        if program.contains('/') { "" } else { " on PATH" }
    )]
    NotFound {
        /// As it was called.
        program: String,
    },
    /// The program cannot be started.
    #[error("`{program}` can't be started. Is it executable, and is `[agent] command` in bots.toml right?")]
    Start {
        /// As it was called.
        program: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A bot's folder or file cannot be made.
    #[error("{} can't be made. Is `[host] data-dir` in bots.toml writable?", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is to be confined, and this system can't do that.
    #[error(
        "the agent can't have its sandbox. Remove `[agent] sandbox` from bots.toml if it may run without"
    )]
    Sandbox(#[from] SandboxError),
    /// The name would lead out of the data folder.
    #[error("a bot can't be named {:?}: its folder has that name", .0.as_str())]
    BotName(BotName),
    /// `--version` said something else than a version, or nothing in time.
    #[error("`{program} --version` did not answer with a version of the CLI: {answer}")]
    NoVersion {
        /// As it was called.
        program: String,
        /// What happened instead.
        answer: String,
    },
    /// The CLI is too old to be safe.
    #[error(
        "`{program}` is version {found}; Hearth needs {} or later, as older ones can be made to read files by a chat message. \
         Update it: {INSTALL}",
        CliVersion::SUPPORTED
    )]
    TooOld {
        /// As it was called.
        program: String,
        /// What it says it is.
        found: CliVersion,
    },
}

// === impl Runner ===

impl Runner {
    /// A runner of the configured agent, whose files go under `data`. Nothing is started or written yet.
    ///
    /// # Errors
    /// The command is empty, or the folder this process was started in is unknown. With a sandbox: its program is not there.
    pub fn new(agent: config::Agent, data: PathBuf) -> Result<Self, AgentError> {
        let config::Agent { command, environment, wrapper, nice, sandbox, starts, warm, deadlines, .. } =
            agent;
        let endings = TaskTracker::new();
        let pool = Pool::new(warm, endings.clone());
        let command = Command::new(wrapper, command)?;
        let environment = Environment::new(std::env::vars_os(), &environment);
        let sandbox =
            sandbox.map(|sandbox| Sandbox::new(sandbox, &command.program, &environment)).transpose()?;
        let starter = Starter {
            command,
            nice,
            sandbox,
            environment,
            deadlines,
            data,
            starts: Gate::new(starts),
            endings,
        };
        Ok(Self { starter: Arc::new(starter), pool, fitting: OnceCell::new() })
    }

    /// Ends the agents of an earlier host that was killed, and removes what they left. To be called before the first turn,
    /// by the one host that owns the data folder. Takes at most two `deadlines.exit`.
    pub async fn clear_leftovers(&self) {
        leftovers::clear(&self.starter.data, self.starter.deadlines.exit, None).await;
    }

    /// Runs one message's turn, with the `spare` that was taken for it if there is one. `stop` ends it early, and the process
    /// with it. Dropping the future does the same.
    pub async fn run(&self, request: Request, spare: Option<Spare>, stop: CancellationToken) -> Report {
        Turn::new(self, &request, spare, &stop).run().await
    }

    /// The agent's version. It is asked once; the answer is kept if it fits.
    ///
    /// # Errors
    /// It is to be confined and can't be. It can't be started, doesn't answer with a version within `deadlines.start`, or
    /// is too old to be safe.
    pub async fn version(&self) -> Result<CliVersion, AgentError> {
        let fitting = async || {
            if self.starter.sandbox.is_some() {
                sandbox::available()?;
            }
            let found = self.starter.ask_version().await?;
            let program = self.starter.command.program.display().to_string();
            if found.is_supported() { Ok(found) } else { Err(AgentError::TooOld { program, found }) }
        };
        self.fitting.get_or_try_init(fitting).await.copied()
    }

    /// The processes that there are now.
    pub fn processes(&self) -> Processes {
        self.pool.processes()
    }

    /// Ends the processes that wait, and waits until those of ended and dropped turns are gone too: a few `deadlines.exit`
    /// at most.
    pub async fn drained(&self) {
        self.pool.close();
        let endings = &self.starter.endings;
        endings.close();
        endings.wait().await;
        endings.reopen();
        self.pool.reopen();
    }
}

// === impl Start ===

impl Start {
    /// Whether the process knew the conversation.
    pub fn is_warm(self) -> bool {
        self == Self::Warm
    }

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Spare => "spare",
        }
    }
}

// === impl Clock ===

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::FirstEvent => "first-event",
            Self::Silence => "silence",
            Self::Total => "total",
        })
    }
}

// === impl AgentError ===

impl AgentError {
    fn starting(program: &std::path::Path, source: io::Error) -> Self {
        let program = program.display().to_string();
        if source.kind() == io::ErrorKind::NotFound {
            Self::NotFound { program }
        } else {
            Self::Start { program, source }
        }
    }
}
