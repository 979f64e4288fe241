//! From what the file says to what the host works with: bounds, units, paths and addresses are checked here.
//!
//! A check that fails tells the findings; a table is put together from what its checks yield only after all of them ran.

use std::{
    net::SocketAddr,
    num::NonZero,
    ops::{Range, RangeInclusive},
    path::PathBuf,
    time::Duration,
};

use url::Url;

use super::{
    Admin, Agent, Campfire, Deadlines, Host, Sandbox, Warm,
    mistake::Mistake,
    problem::Findings,
    raw::{
        self, Command, DurationText, Located, RawAgent, RawCampfire, RawDeadlines, RawHost, RawWarm,
        SandboxKind, Size,
    },
    secret::{Surroundings, is_unguessable, is_variable_name},
    units,
};

/// The agent that is part of this program.
const DEMO_AGENT: &str = "demo-agent";
/// What `admin` is where there is to be none.
const OFF: &str = "off";

/// What a check yields.
pub(super) type Checked<T> = Result<T, Reported>;

/// Something was wrong, and the findings have it.
#[derive(Clone, Copy)]
pub(super) struct Reported;

/// Checks values one by one.
pub(super) struct Checks<'a> {
    pub(super) findings: Findings,
    pub(super) surroundings: Surroundings<'a>,
}

impl Checks<'_> {
    pub(super) fn host(&mut self, raw: &RawHost) -> Checked<Host> {
        let listen = self.address("listen", &raw.listen);
        let public_url = match &raw.public_url {
            Some(url) => self.base_url("public-url", url),
            None => listen.and_then(|listen| Url::parse(&format!("http://{listen}")).map_err(|_| Reported)),
        };
        let admin = self.admin(raw);
        let data_dir = self.path("data-dir", &raw.data_dir);
        let plugins = self.path("plugins", &raw.plugins);
        let turns_in_flight = self.number("turns-in-flight", &raw.turns_in_flight, raw::TURNS_IN_FLIGHT);
        let queue_limit = self.number("queue-limit", &raw.queue_limit, raw::QUEUE_LIMIT);
        let bot_hops = self.number("bot-hops", &raw.bot_hops, raw::BOT_HOPS);
        let max_body = self.size("max-body", &raw.max_body, raw::MAX_BODY);
        let shutdown_grace = self.duration("shutdown-grace", &raw.shutdown_grace, raw::SHUTDOWN_GRACE);
        let inbox_retention = self.duration("inbox-retention", &raw.inbox_retention, raw::RETENTION);
        let journal_retention = self.duration("journal-retention", &raw.journal_retention, raw::RETENTION);
        Ok(Host {
            listen: listen?,
            public_url: public_url?,
            admin: admin?,
            data_dir: data_dir?,
            plugins: plugins?,
            turns_in_flight: turns_in_flight?,
            queue_limit: queue_limit?,
            bot_hops: bot_hops?,
            max_body: max_body?,
            shutdown_grace: shutdown_grace?,
            inbox_retention: inbox_retention?,
            journal_retention: journal_retention?,
        })
    }

    fn admin(&mut self, raw: &RawHost) -> Checked<Option<Admin>> {
        let token = raw.admin_token.as_ref().map(|text| {
            let wrong = Mistake::Guessable { key: "admin-token" };
            self.secret("admin-token", text, is_unguessable, wrong)
        });
        let token = token.transpose();
        if raw.admin.get() == OFF {
            return token.map(|_| None);
        }
        let listen = self.address("admin", &raw.admin)?;
        let admin = Admin { listen, token: token? };
        if admin.token.is_none() && !listen.ip().is_loopback() {
            self.findings.add(raw.admin.span(), Mistake::AdminWithoutToken);
            return Err(Reported);
        }
        Ok(Some(admin))
    }

    pub(super) fn campfire(&mut self, raw: &RawCampfire) -> Checked<Campfire> {
        let url = raw.url.as_ref().map(|url| self.base_url("url", url)).transpose();
        let timeout = self.duration("timeout", &raw.timeout, raw::STEP);
        Ok(Campfire { url: url?, timeout: timeout? })
    }

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
        let starts = raw.starts.as_ref().map(|starts| self.number("starts", starts, raw::STARTS)).transpose();
        let wrapper: Vec<_> = raw.wrapper.iter().map(|word| self.filled("wrapper", word)).collect();
        let wrapper = wrapper.into_iter().collect::<Checked<Vec<_>>>().map(|mut words| {
            if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
                *program = self.surroundings.folder.join(&*program).to_string_lossy().into_owned();
            }
            words
        });
        let nice = raw.nice.as_ref().map(|nice| self.number("nice", nice, raw::NICE)).transpose();
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
            let paths: Vec<_> = raw.iter().map(|path| checks.path(key, path)).collect();
            paths.into_iter().collect::<Checked<Vec<_>>>()
        };
        let read = paths(self, "sandbox-read", &raw.sandbox_read);
        let write = paths(self, "sandbox-write", &raw.sandbox_write);
        let sandbox = Sandbox { read: read?, write: write? };
        match (raw.sandbox, raw.sandbox_read.iter().chain(&raw.sandbox_write).next()) {
            (SandboxKind::Landlock, _) => Ok(Some(sandbox)),
            (SandboxKind::Off, None) => Ok(None),
            // Whoever names these believes that nothing else is within reach.
            (SandboxKind::Off, Some(path)) => {
                self.findings.add(path.span(), Mistake::NoSandbox);
                Err(Reported)
            }
        }
    }

    fn warm(&mut self, raw: &RawWarm) -> Checked<Warm> {
        let processes = self.number("processes", &raw.processes, raw::WARM_PROCESSES);
        let memory = self.size("memory", &raw.memory, raw::WARM_MEMORY);
        let idle = self.duration("idle", &raw.idle, raw::WARM_IDLE);
        Ok(Warm { processes: processes?, memory: memory?, idle: idle? })
    }

    fn deadlines(&mut self, raw: &RawDeadlines) -> Checked<Deadlines> {
        let start = self.duration("start", &raw.start, raw::STEP);
        let first_event = self.duration("first-event", &raw.first_event, raw::STEP);
        let silence = self.duration("silence", &raw.silence, raw::STEP);
        let total = self.duration("total", &raw.total, raw::STEP);
        let exit = self.duration("exit", &raw.exit, raw::STEP);
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
            self.findings.add(raw.span(), Mistake::Empty { key: "command" });
            return Err(Reported);
        }
        if matches!(raw.get(), Command::Alone(_)) && program.contains(" -") {
            self.findings.add(raw.span(), Mistake::CommandWithArguments);
            return Err(Reported);
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
            Err(source) => {
                self.findings.add(span, Mistake::OwnPath { source });
                Err(Reported)
            }
        }
    }

    fn address(&mut self, key: &'static str, raw: &Located<String>) -> Checked<SocketAddr> {
        raw.get().parse().map_err(|_| {
            self.findings.add(raw.span(), Mistake::Address { key, given: raw.get().clone() });
            Reported
        })
    }

    /// A URL that paths can be appended to.
    pub(super) fn base_url(&mut self, key: &'static str, raw: &Located<String>) -> Checked<Url> {
        let expanded = self.surroundings.expand(key, raw.get());
        let text = self.all(raw.span(), expanded)?;
        let fault = match Url::parse(&text) {
            Err(source) => {
                self.findings.add(raw.span(), Mistake::Url { key, source });
                return Err(Reported);
            }
            Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with http:// or https://",
            // Campfire sends no credentials along, and a URL is printed in places where a secret must not be.
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must not have a user name or a password"
            }
            Ok(url) if url.query().is_some() => "must not have a query",
            Ok(url) if url.fragment().is_some() => "must not have a fragment",
            Ok(url) => return Ok(url),
        };
        self.findings.add(raw.span(), Mistake::BaseUrl { key, fault });
        Err(Reported)
    }

    /// A path, absolute.
    pub(super) fn path(&mut self, key: &'static str, raw: &Located<String>) -> Checked<PathBuf> {
        self.filled(key, raw).map(|path| self.surroundings.folder.join(path))
    }

    /// A text that says something.
    pub(super) fn filled(&mut self, key: &'static str, raw: &Located<String>) -> Checked<String> {
        if raw.get().trim().is_empty() {
            self.findings.add(raw.span(), Mistake::Empty { key });
            return Err(Reported);
        }
        Ok(raw.get().clone())
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        raw: &Located<i64>,
        range: RangeInclusive<i64>,
    ) -> Checked<T> {
        let given = *raw.get();
        let bounds = |range: &RangeInclusive<i64>| match (range.start(), range.end()) {
            (least, &i64::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        self.bounded(key, raw.span(), &given, &given.to_string(), &range, bounds)?;
        T::try_from(given).map_err(|_| Reported)
    }

    pub(super) fn size(
        &mut self,
        key: &'static str,
        raw: &Located<Size>,
        range: RangeInclusive<u64>,
    ) -> Checked<usize> {
        let (bytes, given) = match raw.get() {
            Size::Bytes(bytes) => (u64::try_from(*bytes).ok(), bytes.to_string()),
            Size::Text(text) => (units::size(text), text.clone()),
        };
        let Some(bytes) = bytes else {
            self.findings.add(raw.span(), Mistake::Size { key, given });
            return Err(Reported);
        };
        let bounds = |range: &RangeInclusive<u64>| {
            format!("{} to {}", units::size_text(*range.start()), units::size_text(*range.end()))
        };
        self.bounded(key, raw.span(), &bytes, &given, &range, bounds)?;
        usize::try_from(bytes).map_err(|_| Reported)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        raw: &Located<DurationText>,
        range: RangeInclusive<Duration>,
    ) -> Checked<Duration> {
        let DurationText(text) = raw.get();
        let Some(duration) = units::duration(text) else {
            self.findings.add(raw.span(), Mistake::Duration { key, given: text.clone() });
            return Err(Reported);
        };
        let bounds = |range: &RangeInclusive<Duration>| {
            format!("{} to {}", units::duration_text(*range.start()), units::duration_text(*range.end()))
        };
        self.bounded(key, raw.span(), &duration, text, &range, bounds)?;
        Ok(duration)
    }

    fn bounded<T: PartialOrd>(
        &mut self,
        key: &'static str,
        span: Range<usize>,
        value: &T,
        given: &str,
        range: &RangeInclusive<T>,
        bounds: impl Fn(&RangeInclusive<T>) -> String,
    ) -> Checked<()> {
        if range.contains(value) {
            return Ok(());
        }
        let mistake = Mistake::OutOfRange { key, given: given.to_owned(), bounds: bounds(range) };
        self.findings.add(span, mistake);
        Err(Reported)
    }

    /// What was made, or nothing once each mistake is reported.
    pub(super) fn all<T>(&mut self, span: Range<usize>, made: Result<T, Vec<Mistake>>) -> Checked<T> {
        made.map_err(|mistakes| {
            for mistake in mistakes {
                self.findings.add(span.clone(), mistake);
            }
            Reported
        })
    }
}
