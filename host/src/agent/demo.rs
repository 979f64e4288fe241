//! `hearth demo-agent`: a deterministic stand-in for the `claude` CLI that speaks its stream-json protocol, free and
//! offline.
//!
//! It takes the CLI's arguments, reads user messages from stdin, answers each with the lines the CLI would write, and
//! keeps transcripts that `--resume` finds, and calls the host's tools when it is told to. Every answer is labelled
//! "(demo agent)". Certain words make it fail in the ways agents fail (`help` lists them), so that the sample deployment can
//! show them and tests can meet them.
//!
//! Nothing here stays for ever: every wait is at most [`Environment::longest_wait`], every flood has an end, a line of
//! input is at most 64 MiB and a conversation 10,000 messages (what follows is refused as too long, as the API does).
//!
//! Faults of its own (an argument that the CLI would refuse, input that is no JSON, a transcript that can't be written)
//! are said on stderr and end it with code 1.

use std::{
    io::{self, BufRead, BufWriter, Write},
    path::PathBuf,
    time::Duration,
};

use uuid::Uuid;

mod arguments;
mod conversation;
mod inbox;
mod keyword;
mod process;
mod protocol;
mod tools;
mod transcript;
mod words;

use arguments::Arguments;
use conversation::Conversation;
use protocol::Lines;
use transcript::{Transcript, TranscriptError};

/// How long anything waits, unless the environment says less.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// What the agent knows of its surroundings.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where transcripts are kept (`CLAUDE_CONFIG_DIR`). Without it a conversation ends with the process.
    pub config_dir: Option<PathBuf>,
    /// The working folder; a transcript's place is named after it.
    pub working_dir: PathBuf,
    /// The longest that anything here waits, at most 10 minutes. What would wait longer goes on then, or ends.
    pub longest_wait: Duration,
}

impl Environment {
    /// That of this process.
    pub fn of_this_process() -> Self {
        Self {
            config_dir: std::env::var_os("CLAUDE_CONFIG_DIR")
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from),
            working_dir: std::env::current_dir().unwrap_or_default(),
            longest_wait: LONGEST_WAIT,
        }
    }
}

/// Runs until the input ends, and says with which code to exit: 0, or 1 if the last turn failed or the agent can't go
/// on.
///
/// `arguments` are those behind the program's name. `stdin` is read by a thread of its own, which ends when its input
/// does: exit the process with the code, rather than wait for it.
pub fn run(
    arguments: &[String],
    environment: &Environment,
    stdin: impl BufRead + Send + 'static,
    stdout: impl Write,
    mut stderr: impl Write,
) -> u8 {
    let mut stdout = BufWriter::new(stdout);
    let end = match Arguments::parse(arguments) {
        Ok(arguments) if arguments.version => {
            let version = env!("CARGO_PKG_VERSION");
            writeln!(stdout, "{version} (Hearth demo agent)").map_or_else(End::from, |()| End::Exit(0))
        }
        Ok(arguments) => match converse(arguments, environment, stdin, &mut stdout, &mut stderr) {
            Ok(code) => End::Exit(code),
            Err(end) => end,
        },
        Err(refused) => End::Failed(refused.to_string()),
    };
    let flushed = stdout.flush();
    match end {
        End::Exit(code) if flushed.is_ok() => code,
        End::Exit(_) => 1,
        End::Failed(why) => {
            // Where stderr is closed too there is nobody left to tell.
            let _ = writeln!(stderr, "{why}");
            1
        }
    }
}

/// Why the process ends before its input does.
#[derive(Debug)]
enum End {
    Exit(u8),
    Failed(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Failed(format!("Error: the demo agent cannot write its output: {error}"))
    }
}

impl From<TranscriptError> for End {
    fn from(error: TranscriptError) -> Self {
        Self::Failed(format!("Error: {error}"))
    }
}

fn converse(
    arguments: Arguments,
    environment: &Environment,
    stdin: impl BufRead + Send + 'static,
    mut stdout: impl Write,
    stderr: impl Write,
) -> Result<u8, End> {
    let config_dir = environment.config_dir.as_deref();
    let mut lines = Lines {
        session: arguments.session_id.unwrap_or_else(Uuid::new_v4),
        working_dir: environment.working_dir.clone(),
        config_dir: environment.config_dir.clone(),
        permission_mode: arguments.permission_mode.clone().unwrap_or_else(|| "default".to_owned()),
        mcp_servers: arguments.mcp_servers.clone(),
        results: 0,
    };
    let transcript = match arguments.resumed() {
        None => {
            if Transcript::find(config_dir, lines.session)?.is_some() {
                return Err(End::Failed(format!("Error: Session ID {} is already in use.", lines.session)));
            }
            Transcript::new(config_dir, &environment.working_dir, lines.session)
        }
        Some(Ok(session)) => {
            lines.session = session;
            let Some(transcript) = Transcript::find(config_dir, session)? else {
                let why = format!("No conversation found with session ID: {session}");
                return not_resumed(&mut lines, &mut stdout, why);
            };
            transcript
        }
        Some(Err(why)) => return not_resumed(&mut lines, &mut stdout, why),
    };
    let given_prompt = arguments.system_prompt.unwrap_or_default();
    let mut conversation = Conversation {
        inbox: if arguments.stream_input {
            inbox::lines(stdin)?
        } else {
            inbox::text(stdin, arguments.prompt)?
        },
        // The first turn's stays, unless the host asked for the present one.
        system_prompt: match &transcript.memory.system_prompt {
            Some(first) if !arguments.fresh_system_prompt => first.clone(),
            _ => given_prompt,
        },
        partial_messages: arguments.partial_messages,
        allowed_tools: arguments.allowed_tools,
        next_id: 0,
        longest_wait: environment.longest_wait.min(LONGEST_WAIT),
        stdout,
        stderr,
        lines,
        transcript,
        held: Vec::new(),
        lingers: false,
        last_failed: false,
    };
    conversation.serve()
}

fn not_resumed(lines: &mut Lines, stdout: &mut impl Write, why: String) -> Result<u8, End> {
    writeln!(stdout, "{}", lines.not_resumed(&why))?;
    Err(End::Failed(why))
}

#[cfg(test)]
mod tests;
