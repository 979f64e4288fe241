//! How the CLI is called: its folders, arguments and environment for one message.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use rustix::process::Pid;
use serde_json::json;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{AgentError, Request, leftovers, mcp};
use crate::id::{BotName, RoomId, SessionId};

/// Tools that read files, and with them a reason to.
const FILE_TOOLS: [&str; 8] = ["Bash", "default", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Write"];
/// With none of those granted, nothing has a reason to read a file: a further layer against `@/path`.
const NO_FILES: &str = r#"{"permissions":{"deny":["Read(//**)"]}}"#;

/// All tools of the host's own server, see [`mcp`].
const HOST_TOOLS: &str = "mcp__host";

/// A process about to be started.
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) folder: PathBuf,
    pub(super) scratch: Option<Scratch>,
    /// By how much it gives way to other programs.
    pub(super) nice: Option<i32>,
}

/// A process's own folder, which goes when the process has gone: the CLI leaves something in it at every start.
pub(super) struct Scratch {
    folder: PathBuf,
    /// Where its removal is known.
    endings: TaskTracker,
}

/// The conversation that a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversation {
    /// It is there.
    GoesOn(SessionId),
    /// It gets this name.
    Begins(SessionId),
}

/// The program and the arguments that stand before all others.
pub(super) struct Command {
    /// `[agent] wrapper`: what is started in its place, with the program among its arguments.
    wrapper: Vec<OsString>,
    pub(super) program: PathBuf,
    pub(super) first_arguments: Vec<OsString>,
}

/// A bot's folders, all of them the host's own (mode 0700).
#[derive(Debug)]
pub(super) struct Folders {
    /// The CLI's own files, the transcripts of the sessions among them.
    pub(super) config: PathBuf,
    /// One a process, see [`Scratch`]. Besides the next one it has the system prompt (an argument would show in `ps` and is
    /// limited to 128 KiB), and the note which process it belongs to.
    pub(super) scratch: PathBuf,
    /// For the CLI's temporary files.
    pub(super) temporary: PathBuf,
    /// Where the agent works: a folder of the room's own where it has tools to leave something there, else one that
    /// stays empty.
    pub(super) work: PathBuf,
}

impl Command {
    /// What `[agent] command` means; a relative path is one from where the host was started.
    ///
    /// # Errors
    /// The command is empty, or the folder this process was started in is unknown.
    pub(super) fn new(wrapper: Vec<String>, command: Vec<String>) -> Result<Self, AgentError> {
        let mut words = command.into_iter();
        let program = words.next().ok_or(AgentError::NoCommand)?;
        let first_arguments = words.map(OsString::from).collect();
        let found =
            if program.contains('/') { std::path::absolute(&program) } else { Ok(PathBuf::from(&program)) };
        let program = found.map_err(|source| AgentError::Start { program, source })?;
        Ok(Self { wrapper: wrapper.into_iter().map(OsString::from).collect(), program, first_arguments })
    }

    /// Puts the wrapper around what is about to be started.
    pub(super) fn wrapped(&self, launch: Launch) -> Launch {
        let Some((program, words)) = self.wrapper.split_first() else { return launch };
        let mut arguments = words.to_vec();
        arguments.push(launch.program.into());
        arguments.extend(launch.arguments);
        Launch { program: program.into(), arguments, ..launch }
    }

    /// The arguments for messages like this one. The prompt is not among them: it goes in on stdin.
    pub(super) fn arguments(
        &self,
        request: &Request,
        conversation: Conversation,
        system_prompt: Option<&Path>,
    ) -> Vec<OsString> {
        let mut arguments = self.terms(request);
        arguments.push(match conversation {
            Conversation::GoesOn(session) => format!("--resume={session}").into(),
            Conversation::Begins(session) => format!("--session-id={session}").into(),
        });
        if let Some(file) = system_prompt {
            let mut argument = OsString::from("--system-prompt-file=");
            argument.push(file);
            arguments.push(argument);
        }
        arguments
    }

    /// Those of the arguments that lead neither to a session nor to a file: for messages on the same terms they are the same.
    pub(super) fn terms(&self, request: &Request) -> Vec<OsString> {
        let mut arguments = self.first_arguments.clone();
        let mut add = |argument: &str| arguments.push(argument.into());
        for flag in [
            "--print",
            "--input-format=stream-json",
            "--output-format=stream-json",
            "--verbose",
            // Settings, hooks, servers and skills of whoever runs the host are not this bot's.
            "--setting-sources=",
            "--strict-mcp-config",
            "--disable-slash-commands",
            // What was not granted is refused; nobody is there to be asked.
            "--permission-mode=dontAsk",
            // Else a session keeps the system prompt of its first turn for ever.
            "--system-prompt-snapshot=off",
        ] {
            add(flag);
        }
        if request.watch.is_some() {
            add("--include-partial-messages");
        }
        // A grant such as `Bash(git *)` narrows what a tool may do; the tool's name is what stands before it.
        let grants = &request.builtin_tools;
        let names: Vec<&str> = grants.iter().filter_map(|grant| grant.split('(').next()).collect();
        add(&format!("--tools={}", names.join(",")));
        if !names.iter().any(|name| FILE_TOOLS.contains(name)) {
            add(&format!("--settings={NO_FILES}"));
        }
        let mut allowed: Vec<&str> = grants.iter().map(String::as_str).collect();
        if request.tools.is_some() {
            add(&format!(
                "--mcp-config={}",
                json!({ "mcpServers": { mcp::NAME: { "type": "sdk", "name": mcp::NAME } } })
            ));
            allowed.push(HOST_TOOLS);
        }
        if !allowed.is_empty() {
            add(&format!("--allowedTools={}", allowed.join(",")));
        }
        add(&format!("--max-turns={}", request.max_turns));
        if let Some(model) = &request.model {
            add(&format!("--model={model}"));
        }
        if let Some(budget) = request.budget_usd {
            add(&format!("--max-budget-usd={budget}"));
        }
        arguments
    }
}

impl Folders {
    /// Where the folders of a bot are under the data folder. `room` is given where built-in tools are granted.
    ///
    /// # Errors
    /// The name would lead somewhere else.
    pub(super) fn of(data: &Path, bot: &BotName, room: Option<RoomId>) -> Result<Self, AgentError> {
        let mut parts = Path::new(bot.as_str()).components();
        let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
            return Err(AgentError::BotName(bot.clone()));
        };
        let bot = data.join("agents").join(name);
        let scratch = bot.join(leftovers::TEMPORARY).join(Uuid::new_v4().simple().to_string());
        Ok(Self {
            config: bot.join("config"),
            temporary: scratch.join(leftovers::TEMPORARY),
            scratch,
            work: room.map_or_else(|| bot.join("empty"), |room| bot.join("rooms").join(room.to_string())),
        })
    }

    /// Where the system prompt is.
    pub(super) fn system_prompt(&self) -> PathBuf {
        self.scratch.join("system-prompt.md")
    }

    /// Makes what is missing, and writes the system prompt. Blocks.
    ///
    /// # Errors
    /// A folder or file cannot be made.
    pub(super) fn prepare(&self, system_prompt: Option<&str>) -> Result<(), AgentError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| AgentError::Folder { path, source }
        };
        for folder in [&self.config, &self.scratch, &self.temporary, &self.work] {
            make_private(folder).map_err(failed(folder))?;
        }
        let Some(prompt) = system_prompt else { return Ok(()) };
        let file = self.system_prompt();
        write_private(&file, prompt).map_err(failed(&file))
    }
}

// === impl Scratch ===

impl Scratch {
    /// Notes which process it belongs to, for a host that comes after one that was killed.
    pub(super) fn note(&self, leader: Pid) {
        leftovers::note(&self.folder, leader);
    }

    /// Removes `folder` when it is dropped.
    pub(super) fn new(folder: PathBuf, endings: TaskTracker) -> Self {
        Self { folder, endings }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let folder = std::mem::take(&mut self.folder);
        match Handle::try_current() {
            Ok(runtime) => drop(self.endings.spawn_blocking_on(move || leftovers::remove(&folder), &runtime)),
            Err(_) => leftovers::remove(&folder),
        }
    }
}

/// Makes a folder for the owner's eyes, if it is not one already. Blocks.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    const PRIVATE: u32 = 0o700;
    match fs::metadata(folder) {
        Ok(found) if found.permissions().mode() & 0o777 == PRIVATE => Ok(()),
        Ok(_) => fs::set_permissions(folder, fs::Permissions::from_mode(PRIVATE)),
        Err(_) => fs::DirBuilder::new().recursive(true).mode(PRIVATE).create(folder),
    }
}

/// Writes a file for the owner's eyes.
fn write_private(file: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::*;

    fn request() -> Request {
        Request {
            bot: "assistant".into(),
            room: RoomId(7),
            session: None,
            message: Uuid::nil(),
            new_session: SessionId(Uuid::nil()),
            again: false,
            prompt: "the prompt".into(),
            system_prompt: None,
            model: None,
            max_turns: 16,
            budget_usd: None,
            builtin_tools: Vec::new(),
            tools: None,
            watch: None,
            interrupt: CancellationToken::new(),
            spares: 0,
            begun_as: None,
        }
    }

    fn arguments(request: &Request, session: Option<SessionId>) -> Vec<String> {
        let command = Command::new(Vec::new(), vec!["claude".into()]).unwrap();
        let file = request.system_prompt.as_ref().map(|_| Path::new("/data/system-prompt.md"));
        let conversation = session.map_or(Conversation::Begins(request.new_session), Conversation::GoesOn);
        let arguments = command.arguments(request, conversation, file);
        arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn a_bot_without_tools_gets_none_and_may_read_nothing() {
        let arguments = arguments(&request(), None);
        assert!(arguments.contains(&"--tools=".to_owned()));
        assert!(arguments.contains(&format!("--settings={NO_FILES}")));
        assert!(!arguments.iter().any(|argument| argument.starts_with("--allowedTools")));
        assert!(!arguments.iter().any(|argument| argument.starts_with("--resume")));
    }

    #[test]
    fn a_tool_that_reads_no_files_does_not_open_them() {
        for (tool, is_closed) in [("WebSearch", true), ("Read", false), ("Bash(git *)", false)] {
            let granted = Request { builtin_tools: vec![tool.into()], ..request() };
            let arguments = arguments(&granted, None);
            assert_eq!(arguments.contains(&format!("--settings={NO_FILES}")), is_closed, "{tool}");
            assert!(arguments.contains(&format!("--allowedTools={tool}")));
        }
    }

    #[test]
    fn whatever_the_values_no_argument_but_a_flag_comes_about() {
        let session = SessionId(Uuid::max());
        let odd = Request {
            system_prompt: Some("--evil".into()),
            model: Some("--dangerously-skip-permissions".into()),
            builtin_tools: vec!["Read".into(), "Bash(git *)".into(), "--evil".into()],
            budget_usd: Some(0.05),
            ..request()
        };
        let arguments = arguments(&odd, Some(session));
        for argument in [
            "--model=--dangerously-skip-permissions",
            "--tools=Read,Bash,--evil",
            "--allowedTools=Read,Bash(git *),--evil",
            "--max-budget-usd=0.05",
            "--resume=ffffffff-ffff-ffff-ffff-ffffffffffff",
            "--system-prompt-file=/data/system-prompt.md",
        ] {
            assert!(arguments.contains(&argument.to_owned()), "{argument} in {arguments:?}");
        }
        assert!(!arguments.iter().any(|argument| argument.contains("the prompt")));
    }

    #[test]
    fn a_bot_name_that_leads_elsewhere_is_refused() {
        for name in ["", ".", "..", "a/b", "/etc", "../x"] {
            assert!(Folders::of(Path::new("/data"), &name.into(), None).is_err(), "{name}");
        }
    }

    #[test]
    fn folders_and_prompts_are_the_owners_alone() {
        let data = tempfile::tempdir().unwrap();
        let folders = Folders::of(data.path(), &"assistant".into(), Some(RoomId(7))).unwrap();
        fs::create_dir_all(&folders.config).unwrap();
        fs::set_permissions(&folders.config, fs::Permissions::from_mode(0o755)).unwrap();

        folders.prepare(Some("be kind")).unwrap();

        let file = folders.system_prompt();
        assert_eq!(fs::read_to_string(&file).unwrap(), "be kind");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        for folder in [&folders.config, &folders.scratch, &folders.temporary, &folders.work] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        assert!(folders.work.ends_with("assistant/rooms/7"));
    }
}
