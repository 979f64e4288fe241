//! The command line: arguments in, one of the commands, an exit code out.
//!
//! Exit codes: 0 done · 1 it failed, and standard error says why and what to do · 2 the arguments are wrong.
//! Results go to standard output, everything else to standard error.

mod build;
mod chat;
mod check;
mod desk;
mod logging;
mod new;
mod operate;
mod replay;
mod run;
mod running;
mod store;
mod table;
mod terminal;
mod test;
mod workshop;

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use miette::{IntoDiagnostic, Report};

use crate::{
    activation,
    agent::{demo, guard, sandbox},
    config::{self, Config},
    progress,
};

/// A runtime for Campfire bots.
///
/// Without a command, `hearth dev` runs: an embedded Campfire with the bots of the configuration.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about)]
struct Arguments {
    /// The configuration.
    #[arg(long, global = true, default_value = "bots.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bots against the real Campfire.
    Run,
    /// Run the bots in the playground, an embedded Campfire, and print its address. The default.
    Dev,
    /// Look at the configuration, the secrets, the plugins and the agent, and say what `run` would lack.
    Check {
        /// Print the webhook URLs whole, to paste them into Campfire. They contain the bots' secrets.
        #[arg(long)]
        show_secrets: bool,
    },
    /// Talk to a bot in the terminal, in a Campfire of its own.
    Chat {
        /// The bot's name in the configuration.
        bot: String,
        /// Print each message of the bot as a JSON object on a line of its own.
        #[arg(long)]
        json: bool,
    },
    #[command(flatten)]
    Operate(operate::Operate),
    /// Move what the store has to another one.
    #[command(subcommand)]
    Store(store::Store),
    /// Run turns of the journal again, on the plugin that served them or on another build, and say what is other than then.
    ///
    /// The plugin is told what it was told then. Nothing is posted or stored, and no agent is asked. The exit code is 0 if
    /// all is the same, 1 if anything differs or could not be run.
    Replay(replay::Replay),
    /// Begin a bot: a folder with a project that builds, tests and runs as it is.
    New(new::New),
    /// Build plugins.
    Build(build::Build),
    /// Hold a plugin against its author's cases (cases.toml), in a world that these tell of. Builds it first if need be.
    ///
    /// The exit code is 0 if all cases pass, 1 if one fails.
    Test(test::Test),
    /// Ends the agents of a host that was killed. The host starts it.
    #[command(name = guard::GUARD, hide = true)]
    Guard {
        data: PathBuf,
        host: i32,
        /// `[agent.deadlines] exit`, in milliseconds.
        grace: u64,
    },
    /// Confines itself to these paths and becomes the command. The host starts it.
    #[command(name = sandbox::CONFINED, hide = true)]
    Confined {
        #[arg(long)]
        read: Vec<PathBuf>,
        #[arg(long)]
        write: Vec<PathBuf>,
        #[arg(last = true)]
        command: Vec<OsString>,
    },
    /// Print the JSON schema of the configuration, for editors.
    Schema,
    /// The deterministic stand-in for the Claude CLI. Takes the CLI's own arguments.
    #[command(disable_help_flag = true, disable_version_flag = true)]
    DemoAgent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match execute(Arguments::parse()) {
        Ok(code) => code,
        Err(report) => {
            terminal::complain(&report);
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: Arguments) -> Result<ExitCode, Report> {
    let path = &arguments.config;
    if !matches!(arguments.command, None | Some(Command::Run | Command::Dev)) {
        progress::show();
    }
    match arguments.command.unwrap_or(Command::Dev) {
        Command::Run => {
            // While there is no other thread: it takes the variables out of the environment.
            let listener = activation::listener()?;
            on_runtime(run::run(Config::load(path)?, listener))
        }
        Command::Dev => on_runtime(run::dev(Config::load(path)?)),
        Command::Check { show_secrets } => on_runtime(check::check(Config::load(path)?, show_secrets)),
        Command::Chat { bot, json } => on_runtime(chat::chat(Config::load(path)?, bot, json)),
        Command::Operate(operate) => on_runtime(operate.run(path)),
        Command::Store(store) => on_runtime(store.run(path)),
        Command::Replay(replay) => on_runtime(replay.run(path)),
        Command::New(new) => new.run(),
        Command::Build(build) => on_runtime(build.run()),
        Command::Test(test) => on_runtime(test.run(path)),
        Command::Guard { data, host, grace } => on_runtime(run::guard(data, host, grace)),
        Command::Confined { read, write, command } => {
            Err(sandbox::become_confined(&read, &write, &command)).into_diagnostic()
        }
        Command::Schema => {
            terminal::print(&serde_json::to_string_pretty(&config::schema()).into_diagnostic()?);
            Ok(ExitCode::SUCCESS)
        }
        Command::DemoAgent { arguments } => {
            let (input, output) = (io::BufReader::new(io::stdin()), io::stdout().lock());
            let surroundings = demo::Environment::of_this_process();
            Ok(demo::run(&arguments, &surroundings, input, output, io::stderr()).into())
        }
    }
}

fn on_runtime(command: impl Future<Output = Result<ExitCode, Report>>) -> Result<ExitCode, Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    let ended = runtime.block_on(command);
    // A thread that reads a terminal can't be ended; it must not hold the process.
    runtime.shutdown_background();
    ended
}
