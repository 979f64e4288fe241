//! How a process comes about, for a message or ahead of one.

use std::path::PathBuf;

use bytes::BytesMut;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{
    AgentError, CliVersion, Request,
    command::{Command, Conversation, Folders, Launch, Scratch},
    environment::Environment,
    outcome::Exit,
    process::{Happening, Leave, Process},
    redact::beginning_of,
    sandbox::Sandbox,
};
use crate::{config::Deadlines, gate::Gate};

/// How much of what `--version` prints is read, in bytes, and shown if it is no version.
const VERSION_LIMIT: usize = 4 << 10;

/// What all processes of a host are started with.
pub(super) struct Starter {
    pub(super) command: Command,
    /// `[agent] nice`
    pub(super) nice: Option<i32>,
    /// `[agent] sandbox`
    pub(super) sandbox: Option<Sandbox>,
    pub(super) environment: Environment,
    pub(super) deadlines: Deadlines,
    pub(super) data: PathBuf,
    /// Start-up is nearly all CPU: more at once than there are cores makes all of them slower.
    pub(super) starts: Gate,
    /// Ends of processes that no turn waits for.
    pub(super) endings: TaskTracker,
}

/// A start that only lacks its folders.
pub(super) struct Plan {
    folders: Folders,
    system_prompt: Option<String>,
    launch: Launch,
}

impl Starter {
    /// The start of a process for this conversation, on the terms of this message.
    ///
    /// # Errors
    /// The bot's name would lead out of the data folder.
    pub(super) fn plan(&self, request: &Request, conversation: Conversation) -> Result<Plan, AgentError> {
        let Request { bot, room, builtin_tools, system_prompt, .. } = request;
        let own_room = (!builtin_tools.is_empty()).then_some(*room);
        let folders = Folders::of(&self.data, bot, own_room)?;
        let file = system_prompt.as_ref().map(|_| folders.system_prompt());
        let launch = Launch {
            program: self.command.program.clone(),
            arguments: self.command.arguments(request, conversation, file.as_deref()),
            environment: self.environment.for_folders(&folders),
            folder: folders.work.clone(),
            scratch: Some(Scratch::new(folders.scratch.clone(), self.endings.clone())),
            nice: self.nice,
        };
        let launch = self.confined(launch, &folders);
        Ok(Plan { folders, system_prompt: system_prompt.clone(), launch })
    }

    /// What is started to that end: with the sandbox around it, and the wrapper around that.
    pub(super) fn confined(&self, launch: Launch, folders: &Folders) -> Launch {
        let launch = match &self.sandbox {
            Some(sandbox) => sandbox.around(launch, folders),
            None => launch,
        };
        self.command.wrapped(launch)
    }

    /// Starts a process.
    ///
    /// # Errors
    /// The program is not there, may not be run, or the system has no room for it.
    pub(super) fn start(&self, launch: Launch) -> Result<Process, AgentError> {
        Process::start(launch, &self.environment.secrets, self.deadlines.exit, &self.endings)
    }

    /// Has the agent say its version.
    ///
    /// # Errors
    /// It can't be started, or doesn't answer with a version within `deadlines.start`.
    pub(super) async fn ask_version(&self) -> Result<CliVersion, AgentError> {
        let Starter { command, environment, data, deadlines, nice, .. } = self;
        let mut arguments = command.first_arguments.clone();
        arguments.push("--version".into());
        // It touches no file, so any folders do.
        let folders = Folders::of(data, &"version".into(), None)?;
        let launch = Launch {
            program: command.program.clone(),
            arguments,
            environment: environment.for_folders(&folders),
            folder: "/".into(),
            scratch: None,
            nice: *nice,
        };
        let mut process = self.start(self.confined(launch, &folders))?;
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        let answered = timeout(deadlines.start, async {
            loop {
                match process.next(&mut input, &mut output).await {
                    Happening::Exited(exit) => break Some(exit),
                    _ if output.len() > VERSION_LIMIT => break None,
                    _ => {}
                }
            }
        });
        let answered = answered.await;
        let stderr = process.dismiss(Leave::Terminated, &environment.secrets);
        let answer = match answered {
            Err(_) => "it did not end in time".to_owned(),
            Ok(None) => "it does not stop talking".to_owned(),
            Ok(Some(Exit::Code(0))) => match String::from_utf8_lossy(&output).parse() {
                Ok(version) => return Ok(version),
                Err(error) => format!("{error}: {:?}", self.secretless(&output)),
            },
            Ok(Some(exit)) => format!("{exit}, {:?}, {stderr:?}", self.secretless(&output)),
        };
        Err(AgentError::NoVersion {
            program: command.program.display().to_string(),
            answer: beginning_of(answer, VERSION_LIMIT),
        })
    }

    fn secretless(&self, text: &[u8]) -> String {
        self.environment.secrets.redact(&String::from_utf8_lossy(text))
    }
}

impl Plan {
    /// Makes the folders and the file of the system prompt, off the runtime's threads.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub(super) async fn prepared(self) -> Result<Launch, AgentError> {
        let Self { folders, system_prompt, launch } = self;
        let config = folders.config.clone();
        // The launch goes along with its scratch: were that dropped while the folder is being made, the folder would stay.
        let prepared = tokio::task::spawn_blocking(move || {
            folders.prepare(system_prompt.as_deref())?;
            Ok(launch)
        });
        let failed =
            |source: tokio::task::JoinError| AgentError::Folder { path: config, source: source.into() };
        prepared.await.map_err(failed)?
    }
}
