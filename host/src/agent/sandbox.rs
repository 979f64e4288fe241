//! `[agent] sandbox = "landlock"`: an agent reaches of the files what it needs, whatever it is talked into.
//!
//! The host starts itself in the agent's place, with the rules as its arguments. That process confines itself and becomes the
//! agent, so its number, its streams and its group are the agent's. What holds from then on, for all that the agent starts too:
//! - To read and to run: programs and libraries of the system, certificates and names of hosts, the agent's program,
//!   `sandbox-read`.
//! - To read and to write: the bot's transcripts, the working folder, the temporary folder, `sandbox-write`.
//! - Nothing else by any path; the folders of other bots, the store and `bots.toml` among it.
//! - No capability, even for root: with some of them the memory and the environment of the host could be read by way of
//!   `/proc`, where that is allowed, in spite of Landlock.
//! - No signal to another process and no abstract socket of one, from Linux 6.12 on.
//!
//! The network is not restricted. Of `/proc` nothing is there: the CLI does without, and a rule for some of it would be lost
//! whenever the kernel drops its caches (measured on Linux 6.18).

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
};

use super::{
    AgentError,
    command::{Folders, Launch},
    environment::Environment,
};
use crate::config;

/// The subcommand that confines itself and becomes another program.
pub const CONFINED: &str = "confined";

/// What programs need of the system. Certificates' private keys are not among it.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates",
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/passwd",
    "/etc/group",
    // What the operator of the machine allows the CLI.
    "/etc/claude-code",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];
/// What is written to by everybody.
const DEVICES: &[&str] = &["/dev/null"];
/// Variables that name files with certificates.
const CERTIFICATES: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"];

/// The rules that are the same for all agents of a host.
pub(super) struct Sandbox {
    /// This program.
    host: PathBuf,
    /// The agent's.
    program: PathBuf,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

/// Why an agent can't be confined.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel has no Landlock, or an old one.
    #[cfg(target_os = "linux")]
    #[error("this kernel can't confine a process: it takes Linux 6.2 or later with Landlock switched on")]
    Landlock(#[from] landlock::RulesetError),
    /// Rules were set and do not hold.
    #[cfg(target_os = "linux")]
    #[error("the kernel took the rules and does not enforce them")]
    NotEnforced,
    /// A capability can't be given up.
    #[cfg(target_os = "linux")]
    #[error("a capability can't be given up: {0}")]
    Capabilities(caps::errors::CapsError),
    /// Another system.
    #[cfg(not(target_os = "linux"))]
    #[error("only Linux can confine a process in this way")]
    OtherSystem,
    /// The program does not start.
    #[error(
        "`{program}` can't be started in its sandbox. Does it need a file that `sandbox-read` does not name?"
    )]
    Start {
        /// As it was called.
        program: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

// === impl Sandbox ===

impl Sandbox {
    /// The rules for agents that run this program with these variables.
    ///
    /// # Errors
    /// The program is not there, or nobody knows where this one is.
    pub(super) fn new(
        sandbox: config::Sandbox,
        program: &Path,
        environment: &Environment,
    ) -> Result<Self, AgentError> {
        let host = std::env::current_exe()
            .map_err(|source| AgentError::Start { program: "hearth".to_owned(), source })?;
        let found = located(program, environment.value("PATH").unwrap_or_default())
            .ok_or_else(|| AgentError::NotFound { program: program.display().to_string() })?;
        let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.extend(CERTIFICATES.iter().filter_map(|name| environment.value(name)).map(PathBuf::from));
        read.push(found.clone());
        read.extend(sandbox.read);
        let mut write: Vec<PathBuf> = DEVICES.iter().map(PathBuf::from).collect();
        write.extend(sandbox.write);
        Ok(Self { host, program: found, read, write })
    }

    /// Puts the sandbox around what is about to be started in these folders.
    pub(super) fn around(&self, launch: Launch, folders: &Folders) -> Launch {
        let Folders { config, scratch, temporary, work } = folders;
        let rule = |flag: &str, path: &Path| {
            let mut argument = OsString::from(flag);
            argument.push(path);
            argument
        };
        let mut arguments = vec![CONFINED.into()];
        arguments.extend(self.read.iter().chain([scratch]).map(|path| rule("--read=", path)));
        arguments
            .extend(self.write.iter().chain([config, temporary, work]).map(|path| rule("--write=", path)));
        arguments.push("--".into());
        arguments.push(self.program.clone().into());
        arguments.extend(launch.arguments);
        Launch { program: self.host.clone(), arguments, ..launch }
    }
}

/// Where a program is, as a shell would find it.
fn located(program: &Path, search: &OsStr) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.exists().then(|| program.to_owned());
    }
    std::env::split_paths(search).map(|folder| folder.join(program)).find(|file| file.is_file())
}

// === The process itself ===

/// Confines this process to these paths, and becomes the program. Comes back only if that fails. To be called before there is
/// another thread.
///
/// # Errors
/// The kernel can't do it, or the program does not start.
pub fn become_confined(read: &[PathBuf], write: &[PathBuf], command: &[OsString]) -> SandboxError {
    let Some((program, arguments)) = command.split_first() else {
        let source = io::ErrorKind::InvalidInput.into();
        return SandboxError::Start { program: String::new(), source };
    };
    if let Err(error) = confine(read, write) {
        return error;
    }
    #[expect(clippy::disallowed_methods, reason = "this process becomes the agent that the host has started")]
    let source = std::process::Command::new(program).args(arguments).exec();
    SandboxError::Start { program: program.display().to_string(), source }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;

    use caps::{CapSet, Capability};
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
        RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
    };

    use super::SandboxError;

    /// The oldest that leaves no way to change a file outside.
    const NEEDED: ABI = ABI::V3;
    /// What more is taken where it is there.
    const WANTED: ABI = ABI::V6;

    /// Whether this kernel can confine a process.
    pub(in crate::agent) fn available() -> Result<(), SandboxError> {
        Ok(ruleset().map(drop)?)
    }

    pub(super) fn confine(read: &[PathBuf], write: &[PathBuf]) -> Result<(), SandboxError> {
        give_up_capabilities().map_err(SandboxError::Capabilities)?;
        // A path that is not there needs no rule.
        let enforced = ruleset()?
            .add_rules(path_beneath_rules(read, AccessFs::from_read(WANTED)))?
            .add_rules(path_beneath_rules(write, AccessFs::from_all(WANTED)))?
            .restrict_self()?;
        if enforced.ruleset == RulesetStatus::NotEnforced { Err(SandboxError::NotEnforced) } else { Ok(()) }
    }

    fn ruleset() -> Result<RulesetCreated, landlock::RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(NEEDED))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()
    }

    /// Gives up every capability, those that root would get back by starting a program too.
    fn give_up_capabilities() -> Result<(), caps::errors::CapsError> {
        // Whoever may not change the bounding set is no root, and gets nothing back.
        if rustix::process::geteuid().is_root()
            || caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)?
        {
            caps::clear(None, CapSet::Bounding)?;
        }
        for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
            caps::clear(None, set)?;
        }
        Ok(())
    }
}
#[cfg(target_os = "linux")]
pub(super) use linux::available;
#[cfg(target_os = "linux")]
use linux::confine;

/// Whether this system can confine a process.
#[cfg(not(target_os = "linux"))]
pub(super) fn available() -> Result<(), SandboxError> {
    Err(SandboxError::OtherSystem)
}

#[cfg(not(target_os = "linux"))]
fn confine(_: &[PathBuf], _: &[PathBuf]) -> Result<(), SandboxError> {
    Err(SandboxError::OtherSystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| (name.into(), value.into())), &[])
    }

    fn arguments(sandbox: config::Sandbox, variables: &[(&str, &str)], program: &str) -> Vec<String> {
        let sandbox = Sandbox::new(sandbox, Path::new(program), &environment(variables)).unwrap();
        let folders = Folders::of(Path::new("/data"), &"assistant".into(), None).unwrap();
        let launch = Launch {
            program: program.into(),
            arguments: vec!["--print".into()],
            environment: Vec::new(),
            folder: folders.work.clone(),
            scratch: None,
            nice: None,
        };
        let launch = sandbox.around(launch, &folders);
        assert_eq!(launch.program, std::env::current_exe().unwrap());
        launch.arguments.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn an_agent_is_left_its_own_folders_and_what_was_named_and_no_other_of_the_data_folder() {
        let named = config::Sandbox { read: vec!["/srv/docs".into()], write: vec!["/srv/out".into()] };
        let arguments = arguments(named, &[("SSL_CERT_FILE", "/our/ca.pem")], "/bin/sh");
        let of = |flag: &str| {
            let paths = arguments.iter().filter_map(|argument| argument.strip_prefix(flag));
            paths.map(str::to_owned).collect::<Vec<_>>()
        };
        let (read, write) = (of("--read="), of("--write="));
        for path in ["/usr", "/bin/sh", "/srv/docs", "/our/ca.pem"] {
            assert!(read.contains(&path.to_owned()), "{path} in {read:?}");
        }
        let own = "/data/agents/assistant/";
        assert!(
            write.iter().all(|path| path.starts_with(own) || ["/dev/null", "/srv/out"].contains(&&**path))
        );
        assert_eq!(write.len(), 5, "{write:?}");
        assert!(read.iter().filter(|path| path.starts_with("/data")).all(|path| path.starts_with(own)));
        let end = arguments.iter().position(|argument| argument == "--").unwrap();
        assert_eq!(arguments[end + 1..], ["/bin/sh", "--print"]);
    }

    #[test]
    fn a_program_is_found_as_a_shell_would_and_one_that_is_not_there_is_named() {
        let found = |program: &str| located(Path::new(program), OsStr::new("/nowhere:/bin"));
        assert_eq!(found("sh"), Some("/bin/sh".into()));
        assert_eq!(found("/bin/sh"), Some("/bin/sh".into()));
        assert_eq!(found("no-such-program"), None);
        let none = Sandbox::new(config::Sandbox::default(), Path::new("no-such-claude"), &environment(&[]));
        assert!(matches!(none, Err(AgentError::NotFound { program }) if program == "no-such-claude"));
    }
}
