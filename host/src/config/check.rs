//! From what the file says to what the host works with: bounds, units, paths and addresses are checked here.
//!
//! Every check reports to the findings and yields nothing when it fails; a table is put together from what its checks
//! yield only after all of them ran.

use std::{
    net::SocketAddr,
    num::NonZero,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::{
    Agent, Campfire, Deadlines, Host, StoreLocation,
    mistake::Mistake,
    problem::Findings,
    raw::{
        self, Command, DurationText, Located, RawAgent, RawCampfire, RawDeadlines, RawHost, RawStore, Size,
    },
    secret::{Surroundings, is_variable_name},
    units,
};

/// The agent that is part of this program.
const DEMO_AGENT: &str = "demo-agent";

/// Checks values one by one.
pub(super) struct Checks<'a> {
    pub(super) findings: Findings,
    pub(super) surroundings: Surroundings<'a>,
}

impl Checks<'_> {
    pub(super) fn host(&mut self, raw: &RawHost) -> Option<Host> {
        let listen = self.address(&raw.listen);
        let public_url = match &raw.public_url {
            Some(url) => self.base_url("public-url", url),
            None => listen.and_then(|listen| Url::parse(&format!("http://{listen}")).ok()),
        };
        let data_dir = self.path("data-dir", &raw.data_dir);
        let plugins = self.path("plugins", &raw.plugins);
        let turns_in_flight = self.number("turns-in-flight", &raw.turns_in_flight, raw::TURNS_IN_FLIGHT);
        let queue_limit = self.number("queue-limit", &raw.queue_limit, raw::QUEUE_LIMIT);
        let max_body = self.size("max-body", &raw.max_body, raw::MAX_BODY);
        let shutdown_grace = self.duration("shutdown-grace", &raw.shutdown_grace, raw::SHUTDOWN_GRACE);
        let journal_retention =
            self.duration("journal-retention", &raw.journal_retention, raw::JOURNAL_RETENTION);
        Some(Host {
            listen: listen?,
            public_url: public_url?,
            data_dir: data_dir?,
            plugins: plugins?,
            turns_in_flight: turns_in_flight?,
            queue_limit: queue_limit?,
            max_body: max_body?,
            shutdown_grace: shutdown_grace?,
            journal_retention: journal_retention?,
        })
    }

    pub(super) fn campfire(&mut self, raw: &RawCampfire) -> Option<Campfire> {
        let url = raw.url.as_ref().map(|url| self.base_url("url", url));
        let timeout = self.duration("timeout", &raw.timeout, raw::STEP);
        Some(Campfire { url: transpose(url)?, timeout: timeout? })
    }

    pub(super) fn store(&mut self, raw: &RawStore, data_dir: Option<&Path>) -> Option<StoreLocation> {
        let path = raw.url.get().strip_prefix("sqlite:");
        // SQLite's own `:memory:` and query syntax would be taken for a file's name here.
        let Some(path) =
            path.filter(|path| !path.is_empty() && !path.starts_with("//") && !path.contains([':', '?']))
        else {
            self.findings.add(raw.url.span(), Mistake::Store);
            return None;
        };
        Some(StoreLocation::Sqlite(data_dir?.join(path)))
    }

    pub(super) fn agent(&mut self, raw: &RawAgent) -> Option<Agent> {
        let command = self.command(&raw.command);
        let mut environment = Vec::with_capacity(raw.environment.len());
        for name in &raw.environment {
            if is_variable_name(name.get()) {
                environment.push(name.get().clone());
            } else {
                self.findings.add(name.span(), Mistake::VariableName { given: name.get().clone() });
            }
        }
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let starts = raw.starts.as_ref().map(|starts| self.number("starts", starts, raw::STARTS));
        let deadlines = self.deadlines(&raw.deadlines);
        let command = command?;
        Some(Agent {
            is_demo: command.get(1).is_some_and(|argument| argument == DEMO_AGENT),
            command,
            environment,
            starts: transpose(starts)?.unwrap_or_else(cores),
            deadlines: deadlines?,
        })
    }

    fn deadlines(&mut self, raw: &RawDeadlines) -> Option<Deadlines> {
        let start = self.duration("start", &raw.start, raw::STEP);
        let first_event = self.duration("first-event", &raw.first_event, raw::STEP);
        let silence = self.duration("silence", &raw.silence, raw::STEP);
        let total = self.duration("total", &raw.total, raw::STEP);
        let exit = self.duration("exit", &raw.exit, raw::STEP);
        Some(Deadlines {
            start: start?,
            first_event: first_event?,
            silence: silence?,
            total: total?,
            exit: exit?,
        })
    }

    fn command(&mut self, raw: &Located<Command>) -> Option<Vec<String>> {
        let (program, arguments) = match raw.get() {
            Command::Alone(program) => (program.as_str(), [].as_slice()),
            Command::WithArguments(words) => {
                words.split_first().map_or(("", [].as_slice()), |(program, rest)| (program, rest))
            }
        };
        if program.trim().is_empty() {
            self.findings.add(raw.span(), Mistake::Empty { key: "command" });
            return None;
        }
        if matches!(raw.get(), Command::Alone(_)) && program.contains(" -") {
            self.findings.add(raw.span(), Mistake::CommandWithArguments);
            return None;
        }
        let mut command = if program == DEMO_AGENT {
            vec![self.own_path(raw.span())?, DEMO_AGENT.to_owned()]
        } else if program.contains('/') {
            vec![self.surroundings.folder.join(program).to_string_lossy().into_owned()]
        } else {
            vec![program.to_owned()]
        };
        command.extend_from_slice(arguments);
        Some(command)
    }

    fn own_path(&mut self, span: Range<usize>) -> Option<String> {
        match std::env::current_exe() {
            Ok(path) => Some(path.to_string_lossy().into_owned()),
            Err(source) => {
                self.findings.add(span, Mistake::OwnPath { source });
                None
            }
        }
    }

    fn address(&mut self, raw: &Located<String>) -> Option<SocketAddr> {
        let address = raw.get().parse().ok();
        if address.is_none() {
            self.findings.add(raw.span(), Mistake::Address { given: raw.get().clone() });
        }
        address
    }

    /// A URL that paths can be appended to.
    pub(super) fn base_url(&mut self, key: &'static str, raw: &Located<String>) -> Option<Url> {
        let expanded = self.surroundings.expand(key, raw.get());
        let text = self.all(raw.span(), expanded)?;
        let fault = match Url::parse(&text) {
            Err(source) => {
                self.findings.add(raw.span(), Mistake::Url { key, source });
                return None;
            }
            Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with http:// or https://",
            // Campfire sends no credentials along, and a URL is printed in places where a secret must not be.
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must not have a user name or a password"
            }
            Ok(url) if url.query().is_some() => "must not have a query",
            Ok(url) if url.fragment().is_some() => "must not have a fragment",
            Ok(url) => return Some(url),
        };
        self.findings.add(raw.span(), Mistake::BaseUrl { key, fault });
        None
    }

    /// A path, absolute.
    pub(super) fn path(&mut self, key: &'static str, raw: &Located<String>) -> Option<PathBuf> {
        self.filled(key, raw).map(|path| self.surroundings.folder.join(path))
    }

    /// A text that says something.
    pub(super) fn filled(&mut self, key: &'static str, raw: &Located<String>) -> Option<String> {
        if raw.get().trim().is_empty() {
            self.findings.add(raw.span(), Mistake::Empty { key });
            return None;
        }
        Some(raw.get().clone())
    }

    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &'static str,
        raw: &Located<i64>,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let given = *raw.get();
        let bounds = |range: &RangeInclusive<i64>| match (range.start(), range.end()) {
            (least, &i64::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        self.bounded(key, raw.span(), &given, &given.to_string(), &range, bounds)?;
        T::try_from(given).ok()
    }

    pub(super) fn size(
        &mut self,
        key: &'static str,
        raw: &Located<Size>,
        range: RangeInclusive<u64>,
    ) -> Option<usize> {
        let (bytes, given) = match raw.get() {
            Size::Bytes(bytes) => (u64::try_from(*bytes).ok(), bytes.to_string()),
            Size::Text(text) => (units::size(text), text.clone()),
        };
        let Some(bytes) = bytes else {
            self.findings.add(raw.span(), Mistake::Size { key, given });
            return None;
        };
        let bounds = |range: &RangeInclusive<u64>| {
            format!("{} to {}", units::size_text(*range.start()), units::size_text(*range.end()))
        };
        self.bounded(key, raw.span(), &bytes, &given, &range, bounds)?;
        usize::try_from(bytes).ok()
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        raw: &Located<DurationText>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let DurationText(text) = raw.get();
        let Some(duration) = units::duration(text) else {
            self.findings.add(raw.span(), Mistake::Duration { key, given: text.clone() });
            return None;
        };
        let bounds = |range: &RangeInclusive<Duration>| {
            format!("{} to {}", units::duration_text(*range.start()), units::duration_text(*range.end()))
        };
        self.bounded(key, raw.span(), &duration, text, &range, bounds)?;
        Some(duration)
    }

    fn bounded<T: PartialOrd>(
        &mut self,
        key: &'static str,
        span: Range<usize>,
        value: &T,
        given: &str,
        range: &RangeInclusive<T>,
        bounds: impl Fn(&RangeInclusive<T>) -> String,
    ) -> Option<()> {
        if range.contains(value) {
            return Some(());
        }
        let mistake = Mistake::OutOfRange { key, given: given.to_owned(), bounds: bounds(range) };
        self.findings.add(span, mistake);
        None
    }

    /// What was made, or nothing once each mistake is reported.
    pub(super) fn all<T>(&mut self, span: Range<usize>, made: Result<T, Vec<Mistake>>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(mistakes) => {
                mistakes.into_iter().for_each(|mistake| self.findings.add(span.clone(), mistake));
                None
            }
        }
    }
}

/// An absent value is fine, a failed one is not.
pub(super) fn transpose<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    match checked {
        Some(None) => None,
        Some(Some(value)) => Some(Some(value)),
        None => Some(None),
    }
}
