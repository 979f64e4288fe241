//! One message's turn: a try by one process, and a second one where the first has to be made anew.
//!
//! Two things are worth a second try, since the first did nothing: the CLI does not know the session (then without it), or
//! the session has answered this very message before and the CLI keeps the answer to itself (then under another id). The
//! latter is rare: a message that an earlier host has given to an agent is looked for in the transcript first.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    AgentError, Clock, Outcome, Report, Request, Runner, Timings, Usage,
    command::{Folders, Launch, Scratch},
    exchange::{Account, Clocks, Question, exchange, later},
    mcp,
    outcome::{End, Verdict},
    process::Leave,
    redact::beginning_of,
    transcript::{self, Trace},
};
use crate::{causes::with_causes, id::SessionId};

/// How much of the words about what happened is kept, in bytes, besides the end of stderr.
const CAUSE_LIMIT: usize = 2 << 10;

pub(super) struct Turn<'a> {
    runner: &'a Runner,
    request: &'a Request,
    stop: &'a CancellationToken,
    began: Instant,
    /// When it must be over.
    total: Instant,
    /// How long it has waited for a start.
    gate: Duration,
}

/// What one try came to.
struct Attempt {
    verdict: Verdict,
    session: Option<SessionId>,
    usage: Usage,
    first_event: Option<Duration>,
    cause: Option<String>,
}

/// Why a try did not get as far as a process.
enum Hindrance {
    Ended(End),
    Failed(AgentError),
}

impl<'a> Turn<'a> {
    /// A turn that begins now.
    pub(super) fn new(runner: &'a Runner, request: &'a Request, stop: &'a CancellationToken) -> Self {
        let began = Instant::now();
        Self {
            runner,
            request,
            stop,
            began,
            total: later(began, runner.deadlines.total),
            gate: Duration::ZERO,
        }
    }

    /// Runs it.
    pub(super) async fn run(mut self) -> Report {
        let Request { session: asked, message, again, .. } = *self.request;
        let mut session = asked;
        if again {
            match self.look_back().await {
                (session, Trace::Answered(text)) => return self.recovered(session, text),
                (known, Trace::Unanswered) => session = Some(known),
                (_, Trace::NoTranscript) => {}
            }
        }
        let first = self.attempt(session, message).await;
        let (memory_lost, session, message) = match &first.verdict {
            Verdict::Final(outcome) => {
                let outcome = outcome.clone();
                return self.report(outcome, first, false);
            }
            Verdict::StaleSession => (true, None, message),
            Verdict::AlreadyAnswered => (false, session, Uuid::new_v4()),
        };
        let mut second = self.attempt(session, message).await;
        second.cause = [first.cause, second.cause].into_iter().flatten().reduce(|first, second| {
            format!("first try: {}\nsecond try: {second}", beginning_of(first, CAUSE_LIMIT))
        });
        let outcome = match &second.verdict {
            Verdict::Final(outcome) => outcome.clone(),
            // A third try would see the same.
            Verdict::StaleSession | Verdict::AlreadyAnswered => Outcome::Crashed,
        };
        self.report(outcome, second, memory_lost)
    }

    fn report(&self, outcome: Outcome, attempt: Attempt, memory_lost: bool) -> Report {
        let Attempt { session, usage, first_event, cause, .. } = attempt;
        let timings = Timings { gate: self.gate, first_event, total: self.began.elapsed() };
        Report { outcome, session, memory_lost, recovered: false, usage, timings, cause }
    }

    /// What an earlier agent came to with this message: the conversation it was in, and what the transcript says.
    async fn look_back(&self) -> (SessionId, Trace) {
        let Request { bot, session, message, new_session, .. } = self.request;
        let (sessions, message) =
            (session.iter().chain([new_session]).copied().collect::<Vec<_>>(), *message);
        let folders = Folders::of(&self.runner.data, bot, None);
        let looked = tokio::task::spawn_blocking(move || {
            let config = folders.ok()?.config;
            let mut traces =
                sessions.into_iter().map(|session| (session, transcript::look(&config, session, message)));
            traces.find(|(_, trace)| *trace != Trace::NoTranscript)
        });
        looked.await.ok().flatten().unwrap_or((*new_session, Trace::NoTranscript))
    }

    fn recovered(&self, session: SessionId, text: String) -> Report {
        tracing::info!(%session, "an earlier agent has answered this; the answer is taken from the transcript");
        Report {
            outcome: Outcome::Completed { text },
            session: Some(session),
            memory_lost: self.request.session.is_some_and(|asked| asked != session),
            recovered: true,
            usage: Usage::default(),
            timings: Timings { total: self.began.elapsed(), ..Timings::default() },
            cause: None,
        }
    }

    async fn attempt(&mut self, session: Option<SessionId>, message: Uuid) -> Attempt {
        match self.try_once(session, message).await {
            Ok(attempt) => attempt,
            Err(hindrance) => {
                let (outcome, cause) = hindrance.into_outcome();
                Attempt {
                    verdict: Verdict::Final(outcome),
                    session,
                    usage: Usage::default(),
                    first_event: None,
                    cause: Some(cause),
                }
            }
        }
    }

    async fn try_once(&mut self, session: Option<SessionId>, message: Uuid) -> Result<Attempt, Hindrance> {
        self.within(self.runner.version()).await??;
        let launch = self.launch(session).await?;
        let permit = self.wait_for_start().await?;
        let clocks = Clocks::start(self.runner.deadlines, self.total);
        let mut process = self.runner.start(launch)?;
        let tools = self.request.tools.as_ref();
        let mut server = tools.map(|tools| mcp::Server::start(&tools.list()));
        let serving = server.as_mut().zip(tools).map(|(server, tools)| server.serve(Arc::clone(tools)));
        let Request { prompt, watch, .. } = self.request;
        let question = Question { prompt, message, watch: watch.as_ref() };
        let account = exchange(&mut process, question, serving, clocks, permit, self.stop).await;
        let leave = if account.end == End::Settled {
            Leave::ByItself
        } else {
            // The next turn of this session must not meet this process.
            process.end(Leave::Terminated).await;
            Leave::Terminated
        };
        let stderr = process.dismiss(leave, &self.runner.environment.secrets);
        Ok(self.judge(&account, session, &stderr))
    }

    fn judge(&self, account: &Account, session: Option<SessionId>, stderr: &str) -> Attempt {
        let Account { facts, end, first_event, .. } = account;
        let verdict = facts.judge(*end);
        let all_well = matches!(verdict, Verdict::Final(Outcome::Completed { .. })) && !account.is_odd();
        Attempt {
            cause: (!all_well).then(|| {
                let what = self.runner.environment.secrets.redact(&account.describe());
                let what = beginning_of(what, CAUSE_LIMIT);
                if stderr.is_empty() { what } else { format!("{what}; its stderr: {stderr}") }
            }),
            session: facts.session().or(session),
            usage: facts.usage(session.is_some()),
            first_event: *first_event,
            verdict,
        }
    }

    /// Makes the folders and the file of the system prompt, off the runtime's threads.
    async fn launch(&self, session: Option<SessionId>) -> Result<Launch, Hindrance> {
        let Request { bot, room, builtin_tools, system_prompt, .. } = self.request;
        let own_room = (!builtin_tools.is_empty()).then_some(*room);
        let folders = Folders::of(&self.runner.data, bot, own_room)?;
        let environment = self.runner.environment.for_folders(&folders);
        let folder = folders.work.clone();
        let scratch = Scratch::new(folders.temporary.clone(), self.runner.endings.clone());
        let (room, system_prompt) = (*room, system_prompt.clone());
        // The scratch goes along: were it dropped while the folder is being made, the folder would stay.
        let prepared =
            tokio::task::spawn_blocking(move || (folders.prepare(room, system_prompt.as_deref()), scratch));
        let (prompt_file, scratch): (Option<PathBuf>, _) = match self.within(prepared).await? {
            Ok((prepared, scratch)) => (prepared?, scratch),
            Err(source) => {
                let path = self.runner.data.clone();
                return Err(AgentError::Folder { path, source: source.into() }.into());
            }
        };
        let command = &self.runner.command;
        Ok(Launch {
            program: command.program.clone(),
            arguments: command.arguments(self.request, session, prompt_file.as_deref()),
            environment,
            folder,
            scratch: Some(scratch),
        })
    }

    async fn wait_for_start(&mut self) -> Result<OwnedSemaphorePermit, Hindrance> {
        let came = Instant::now();
        let permit = self.within(Arc::clone(&self.runner.starts).acquire_owned()).await;
        self.gate += came.elapsed();
        // The semaphore is never closed.
        permit?.map_err(|_| Hindrance::Ended(End::Stopped))
    }

    /// Waits for what happens before there is a process; that too is part of the total, and can be stopped.
    async fn within<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Hindrance> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Hindrance::Ended(End::Stopped)),
            done = timeout_at(self.total, waiting) => {
                done.map_err(|_| Hindrance::Ended(End::TimedOut(Clock::Total)))
            }
        }
    }
}

impl Hindrance {
    fn into_outcome(self) -> (Outcome, String) {
        match self {
            Self::Ended(End::TimedOut(clock)) => (
                Outcome::TimedOut(clock),
                format!("the agent's {clock} deadline passed before it was started"),
            ),
            Self::Ended(_) => {
                (Outcome::Interrupted, "the turn was stopped before the agent was started".into())
            }
            Self::Failed(error) => (Outcome::Crashed, with_causes(&error)),
        }
    }
}

impl From<AgentError> for Hindrance {
    fn from(error: AgentError) -> Self {
        Self::Failed(error)
    }
}

// === impl Account ===

impl Account {
    /// Something was there that should not have been, whatever the turn came to.
    fn is_odd(&self) -> bool {
        self.overlong > 0 || self.facts.junk() > 0 || self.tools_trouble.is_some()
    }

    fn describe(&self) -> String {
        let mut words = self.facts.describe(self.end);
        let more = [
            (self.facts.junk() > 0)
                .then(|| format!("lines that are not the protocol: {}", self.facts.junk())),
            (self.overlong > 0).then(|| format!("overlong lines: {}", self.overlong)),
            self.is_cut.then(|| "its output stopped in the middle of a line".to_owned()),
            self.tools_trouble
                .as_ref()
                .map(|status| format!("it had none of the bot's tools: their server is `{status}`")),
        ];
        for more in more.into_iter().flatten() {
            words.push_str("; ");
            words.push_str(&more);
        }
        words
    }
}
