//! One message's turn: a try by one process, and a second one where the first has to be made anew.
//!
//! A process that waits for this room's next message is asked first, or one that was started ahead if this is a
//! conversation's first. If it fails before it says anything, nobody knows how far the message came; it goes to a new process
//! under the same id, which the CLI answers once in a conversation.
//!
//! Two things are worth a second try, since the first did nothing: the CLI does not know the session (then without it), or
//! the session has answered this very message before and the CLI keeps the answer to itself (then under another id). The
//! latter is rare: a message that an earlier host has given to an agent is looked for in the transcript first.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    AgentError, Clock, Outcome, Report, Request, Runner, Spare, Start, Timings, Usage,
    command::{Conversation, Folders},
    exchange::{Account, Clocks, Starting, exchange, later},
    live::{Live, Terms},
    outcome::{End, Verdict},
    pool::{Kept, Place},
    process::Leave,
    redact::beginning_of,
    transcript::{self, Trace},
};
use crate::{causes::with_causes, config::Deadlines, gate, id::SessionId};

/// How long a process that was there before may take to begin: it has nothing to do first.
const READY_PATIENCE: Duration = Duration::from_secs(5);

/// How much of the words about what happened is kept, in bytes, besides the end of stderr.
const CAUSE_LIMIT: usize = 2 << 10;

pub(super) struct Turn<'a> {
    runner: &'a Runner,
    request: &'a Request,
    /// Until it is used.
    spare: Option<Spare>,
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
    start: Start,
    cause: Option<String>,
}

/// Why a try did not get as far as a process.
enum Hindrance {
    Ended(End),
    Failed(AgentError),
}

impl<'a> Turn<'a> {
    /// A turn that begins now.
    pub(super) fn new(
        runner: &'a Runner,
        request: &'a Request,
        spare: Option<Spare>,
        stop: &'a CancellationToken,
    ) -> Self {
        let began = Instant::now();
        Self {
            runner,
            request,
            spare,
            stop,
            began,
            total: later(began, runner.starter.deadlines.total),
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
        let Attempt { session, usage, first_event, start, cause, .. } = attempt;
        let timings = Timings { gate: self.gate, first_event, total: self.began.elapsed() };
        Report { outcome, session, memory_lost, recovered: false, usage, timings, start, cause }
    }

    /// What an earlier agent came to with this message: the conversation it was in, and what the transcript says.
    async fn look_back(&self) -> (SessionId, Trace) {
        let Request { bot, session, message, new_session, begun_as, .. } = self.request;
        let sessions: Vec<_> = session.iter().chain([new_session]).chain(begun_as).copied().collect();
        let message = *message;
        let folders = Folders::of(&self.runner.starter.data, bot, None);
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
            start: Start::Cold,
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
                    start: Start::Cold,
                    cause: Some(cause),
                }
            }
        }
    }

    async fn try_once(&mut self, session: Option<SessionId>, message: Uuid) -> Result<Attempt, Hindrance> {
        self.within(self.runner.version()).await??;
        let starter = Arc::clone(&self.runner.starter);
        let terms = Arc::new(Terms::of(&starter.command, self.request));
        let _in_use = self.runner.pool.in_use();
        let past_start = CancellationToken::new();
        self.runner.restock(self.request, &terms, &past_start);
        let mut over = Some(past_start.drop_guard());
        let (start, waiting) = self.waiting(session, &terms).await?;
        self.count(start);
        if let Some(mut live) = waiting {
            let deadlines = starter.deadlines;
            let patience = Deadlines {
                start: deadlines.start.min(READY_PATIENCE),
                first_event: deadlines.first_event.min(READY_PATIENCE),
                ..deadlines
            };
            let clocks = Clocks::start(patience, self.total);
            let starting = Some(Starting { _place: None, _over: over.take() });
            let account = exchange(&mut live, self.request, message, clocks, starting, self.stop).await;
            if !account.is_void() {
                return Ok(self.conclude(live, account, session, message, terms, start).await);
            }
            tracing::info!(why = account.describe(), "a waiting agent failed; another one takes the message");
            // The next one of this session must not meet it.
            live.process.end(Leave::Terminated).await;
        }
        let conversation =
            session.map_or(Conversation::Begins(self.request.new_session), Conversation::GoesOn);
        let launch = self.within(starter.plan(self.request, conversation)?.prepared()).await??;
        let starting = Some(Starting { _place: Some(self.wait_for_start().await?), _over: over });
        let clocks = Clocks::start(starter.deadlines, self.total);
        let mut live = Live::new(starter.start(launch)?, &terms);
        let account = exchange(&mut live, self.request, message, clocks, starting, self.stop).await;
        Ok(self.conclude(live, account, session, message, terms, Start::Cold).await)
    }

    /// A process that needs no start for this message, if there is one.
    async fn waiting(
        &mut self,
        session: Option<SessionId>,
        terms: &Terms,
    ) -> Result<(Start, Option<Live>), Hindrance> {
        // One of this room that does not fit is ended by this.
        let kept = self.within(self.runner.pool.take(&self.place(), session, terms)).await?;
        Ok(match (kept, self.spare.take().filter(|_| session.is_none())) {
            (Some(live), _) => (Start::Warm, Some(live)),
            (None, Some(spare)) => (Start::Spare, Some(spare.live)),
            (None, None) => (Start::Cold, None),
        })
    }

    fn place(&self) -> Place {
        (self.request.bot.clone(), self.request.room)
    }

    /// Says what an exchange came to, and decides what becomes of the process.
    async fn conclude(
        &self,
        mut live: Live,
        account: Account,
        session: Option<SessionId>,
        message: Uuid,
        terms: Arc<Terms>,
        start: Start,
    ) -> Attempt {
        let (pool, secrets) = (&self.runner.pool, &self.runner.starter.environment.secrets);
        if let Some(stays) = self.may_stay(&account, session) {
            let attempt = self.judge(&account, session, start, &live.process.stderr(secrets));
            live.is_warm = true;
            let (place, is_over) = (self.place(), account.facts.is_over());
            pool.keep(Kept { live, place, session: stays, terms, message, is_over });
            return attempt;
        }
        let leave = if account.end == End::Settled {
            Leave::ByItself
        } else {
            // The next turn of this session must not meet this process.
            live.process.end(Leave::Terminated).await;
            Leave::Terminated
        };
        let stderr = live.process.dismiss(leave, secrets);
        self.judge(&account, session, start, &stderr)
    }

    /// The session of a process that may wait for the next message: nothing about this turn was odd. A budget is the
    /// process's, not the message's, so one that has any of it used up can't be asked again.
    fn may_stay(&self, account: &Account, asked: Option<SessionId>) -> Option<SessionId> {
        let is_well = matches!(
            account.facts.judge(account.end),
            Verdict::Final(Outcome::Completed { .. } | Outcome::TurnLimit | Outcome::Interrupted)
        );
        let may = self.runner.pool.is_on()
            && is_well
            && account.is_clean
            && !account.is_odd()
            && self.request.budget_usd.is_none();
        let session = account.facts.session().filter(|session| asked.is_none_or(|asked| asked == *session));
        session.filter(|_| may)
    }

    fn count(&self, start: Start) {
        let bot = self.request.bot.to_string();
        metrics::counter!("hearth_agent_tries_total", "bot" => bot, "process" => start.word()).increment(1);
    }

    fn judge(&self, account: &Account, session: Option<SessionId>, start: Start, stderr: &str) -> Attempt {
        let Account { facts, end, first_event, .. } = account;
        let verdict = facts.judge(*end);
        let all_well = matches!(verdict, Verdict::Final(Outcome::Completed { .. })) && !account.is_odd();
        Attempt {
            cause: (!all_well).then(|| {
                let what = self.runner.starter.environment.secrets.redact(&account.describe());
                let what = beginning_of(what, CAUSE_LIMIT);
                if stderr.is_empty() { what } else { format!("{what}; its stderr: {stderr}") }
            }),
            session: facts.session().or(session),
            usage: facts.usage(session.is_some() || start.is_warm()),
            first_event: *first_event,
            start,
            verdict,
        }
    }

    async fn wait_for_start(&mut self) -> Result<gate::Place, Hindrance> {
        let came = Instant::now();
        let permit = self.within(self.runner.starter.starts.enter(&self.request.bot, None)).await;
        self.gate += came.elapsed();
        permit
    }

    /// Waits for what happens before there is a process; that too is part of the total, and can be stopped.
    async fn within<T>(&self, waiting: impl Future<Output = T>) -> Result<T, Hindrance> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Hindrance::Ended(End::Stopped)),
            () = self.request.interrupt.cancelled() => Err(Hindrance::Ended(End::Stopped)),
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
    /// It said nothing at all, or nothing about this message: as if it had not been asked.
    fn is_void(&self) -> bool {
        match self.end {
            End::Exited(_) | End::TimedOut(Clock::Start | Clock::FirstEvent) => self.first_event.is_none(),
            End::OutOfTurn => true,
            _ => false,
        }
    }

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
