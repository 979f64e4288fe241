//! One message's exchange with one process: prompt in, lines out, every wait under a named deadline.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::{
    Clock, Request,
    framer::Framer,
    live::{Live, next_answer},
    mcp::Serving,
    outcome::{End, Facts},
    process::{Happening, wait_until},
    progress::{self, Progress},
    protocol::{self, ControlRequest, Wants},
};
use crate::{config::Deadlines, gate};

/// How many control requests of the CLI are answered in one turn.
const CONTROL_REQUEST_LIMIT: u32 = 1_000;

/// As long as this many bytes are still to be written, no further answer of a tool is taken.
const INPUT_LIMIT: usize = 1 << 20;

/// How long a turn that is interrupted may take to end by itself. The CLI takes 10 to 100 ms.
const INTERRUPTION: Duration = Duration::from_secs(1);

/// Longer deadlines are as good as this one: 30 years.
const LONGEST: Duration = Duration::from_hours(30 * 365 * 24);

/// What an exchange saw.
pub(super) struct Account {
    pub(super) facts: Facts,
    pub(super) end: End,
    /// From the start of the process, or from the message if it was there before, to its first line.
    pub(super) first_event: Option<Duration>,
    /// All that was asked is answered, and nothing is left half said on either side.
    pub(super) is_clean: bool,
    /// Lines longer than [`LINE_LIMIT`].
    pub(super) overlong: u64,
    /// The output stopped in the middle of a line.
    pub(super) is_cut: bool,
    /// The host's tools were offered, and this is how they stood with the CLI instead of `connected`.
    pub(super) tools_trouble: Option<String>,
}

/// What there is of a start as long as it lasts: until the first line.
pub(super) struct Starting {
    /// A place among the starts, where there is one.
    pub(super) _place: Option<gate::Place>,
    /// Tells those who wait until it is over.
    pub(super) _over: Option<DropGuard>,
}

/// When what must have happened.
pub(super) struct Clocks {
    pub(super) deadlines: Deadlines,
    /// When the whole turn must be over.
    pub(super) total: Instant,
    pub(super) started: Instant,
    pub(super) taken: Option<Instant>,
    pub(super) last_line: Option<Instant>,
}

impl Clocks {
    /// The clocks of a process started now.
    pub(super) fn start(deadlines: Deadlines, total: Instant) -> Self {
        Self { deadlines, total, started: Instant::now(), taken: None, last_line: None }
    }

    /// The clock that runs out first, and when. While the CLI waits for the host, it may be silent.
    fn next(&self, waits_for_us: bool) -> (Clock, Instant) {
        if waits_for_us {
            return (Clock::Total, self.total);
        }
        let (clock, at) = match (self.taken, self.last_line) {
            (_, Some(last)) => (Clock::Silence, later(last, self.deadlines.silence)),
            (Some(taken), None) => (Clock::FirstEvent, later(taken, self.deadlines.first_event)),
            (None, None) => (Clock::Start, later(self.started, self.deadlines.start)),
        };
        if self.total <= at { (Clock::Total, self.total) } else { (clock, at) }
    }
}

/// `instant` moved on by `span`, which may be of any length.
pub(super) fn later(instant: Instant, span: Duration) -> Instant {
    instant + span.min(LONGEST)
}

/// Sends the message, listens and serves tools until there is a result, the process has ended, or a limit is reached.
/// `starting` goes at the first line. The process is still there afterwards, unless it
/// ended. An interrupted one gets [`INTERRUPTION`] to say how far it came.
pub(super) async fn exchange(
    live: &mut Live,
    request: &Request,
    message: Uuid,
    mut clocks: Clocks,
    mut starting: Option<Starting>,
    stop: &CancellationToken,
) -> Account {
    let Live { process, server, framer, unsent, is_warm, .. } = live;
    let watch = request.watch.as_ref();
    let mut listening = Listening {
        facts: Facts::about(message),
        framer,
        control_requests: 0,
        serving: server
            .as_mut()
            .zip(request.tools.as_ref())
            .map(|(server, tools)| server.serve(Arc::clone(tools))),
        watch,
    };
    if let Some(watch) = watch {
        // What a first try came to is not how far this one is.
        watch.send_replace(Progress::default());
    }
    // The CLI does not begin with the message before it has asked for the tools.
    let mut input = std::mem::take(unsent);
    input.unsplit(listening.serving.as_mut().map(Serving::greeting).unwrap_or_default());
    input.unsplit(protocol::user_message(&request.prompt, message));
    let mut output = BytesMut::new();
    let mut first_event = None;
    let mut interrupted_until = None;
    let end = loop {
        let (clock, at) = clocks.next(listening.is_busy());
        tokio::select! {
            biased;
            () = stop.cancelled() => break End::Stopped,
            () = wait_until(interrupted_until) => break End::Stopped,
            () = sleep_until(at) => break End::TimedOut(clock),
            () = request.interrupt.cancelled(), if interrupted_until.is_none() => {
                interrupted_until = Some(Instant::now() + INTERRUPTION);
                input.unsplit(protocol::interrupt());
            }
            answer = next_answer(&mut listening.serving), if input.len() < INPUT_LIMIT => {
                // From here on it is the CLI's silence again.
                clocks.last_line = Some(Instant::now());
                input.unsplit(answer);
            }
            happening = process.next(&mut input, &mut output) => match happening {
                Happening::Taken => {
                    clocks.taken.get_or_insert_with(Instant::now);
                }
                Happening::Exited(exit) => break End::Exited(exit),
                Happening::Output => {
                    let lines_before = listening.framer.ended();
                    let answers = listening.hear(&output);
                    output.clear();
                    input.unsplit(answers);
                    if listening.framer.ended() > lines_before {
                        let now = Instant::now();
                        clocks.last_line = Some(now);
                        first_event.get_or_insert(now - clocks.started);
                        starting.take();
                    }
                    if *is_warm && listening.facts.is_out_of_turn() {
                        break End::OutOfTurn;
                    }
                    if listening.facts.is_settled() {
                        break End::Settled;
                    }
                    if listening.control_requests > CONTROL_REQUEST_LIMIT {
                        break End::Flooded;
                    }
                }
            },
        }
    };
    let Listening { facts, framer, serving, .. } = listening;
    let is_quiet = serving.as_ref().is_none_or(Serving::is_quiet);
    let tools_trouble = serving.and_then(|_| facts.tools_trouble().map(str::to_owned));
    let (overlong, is_cut) = (framer.overlong(), framer.is_mid_line());
    let is_clean = end == End::Settled && input.is_empty() && overlong == 0 && is_quiet && facts.is_clean();
    Account { facts, end, first_event, is_clean, overlong, is_cut, tools_trouble }
}

struct Listening<'a> {
    facts: Facts,
    framer: &'a mut Framer,
    control_requests: u32,
    /// None if there are no tools.
    serving: Option<Serving<'a>>,
    watch: Option<&'a watch::Sender<Progress>>,
}

impl Listening<'_> {
    /// Takes in a piece of output. Gives back what is to be answered.
    fn hear(&mut self, mut chunk: &[u8]) -> BytesMut {
        let mut answers = BytesMut::new();
        while let Some(line) = self.framer.next_line(&mut chunk) {
            if let Some(watch) = self.watch {
                progress::note(watch, line);
            }
            let Ok(line) = protocol::read(line) else {
                self.facts.note_junk();
                continue;
            };
            let Some(request) = self.facts.note(line) else { continue };
            self.control_requests += 1;
            if self.control_requests > CONTROL_REQUEST_LIMIT {
                break;
            }
            if let Some(answer) = self.answer(request) {
                answers.unsplit(answer);
            }
        }
        answers
    }

    /// The answer to a control request; none if it comes later.
    fn answer(&mut self, ControlRequest { id, wants }: ControlRequest) -> Option<BytesMut> {
        match (wants, &mut self.serving) {
            (Wants::Mcp { server, message }, Some(serving)) => serving.take(id, &server, message.as_deref()),
            (Wants::Mcp { .. }, None) => Some(protocol::refusal(&id, "this host has no MCP server")),
            (Wants::Other(subtype), _) => {
                Some(protocol::refusal(&id, &format!("this host does not serve {subtype} requests")))
            }
        }
    }

    /// Whether the CLI waits for a tool.
    fn is_busy(&self) -> bool {
        self.serving.as_ref().is_some_and(Serving::is_busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks() -> Clocks {
        let second = Duration::from_secs;
        let deadlines = Deadlines {
            start: second(1),
            first_event: second(2),
            silence: second(3),
            total: second(100),
            exit: second(5),
        };
        let started = Instant::now();
        Clocks { deadlines, total: started + deadlines.total, started, taken: None, last_line: None }
    }

    #[test]
    fn each_step_has_its_clock() {
        let mut clocks = clocks();
        let begin = clocks.started;
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(clocks.next(false), (Clock::Start, after(1)));
        clocks.taken = Some(after(1));
        assert_eq!(clocks.next(false), (Clock::FirstEvent, after(3)));
        clocks.last_line = Some(after(10));
        assert_eq!(clocks.next(false), (Clock::Silence, after(13)));
    }

    #[test]
    fn a_steady_talker_runs_out_of_total_time() {
        let mut clocks = clocks();
        clocks.last_line = Some(clocks.started + Duration::from_secs(99));
        assert_eq!(clocks.next(false), (Clock::Total, clocks.started + Duration::from_secs(100)));
    }

    #[test]
    fn a_line_before_the_prompt_is_taken_counts_as_a_sign_of_life() {
        let mut clocks = clocks();
        clocks.last_line = Some(clocks.started);
        assert_eq!(clocks.next(false).0, Clock::Silence);
    }

    #[test]
    fn while_the_cli_waits_for_a_tool_only_the_total_runs() {
        let mut clocks = clocks();
        clocks.last_line = Some(clocks.started);
        assert_eq!(clocks.next(true), (Clock::Total, clocks.started + Duration::from_secs(100)));
    }

    #[test]
    fn a_deadline_of_any_length_is_no_overflow() {
        let mut clocks = clocks();
        clocks.deadlines.start = Duration::MAX;
        assert_eq!(clocks.next(false).0, Clock::Total);
    }
}
