//! One message's exchange with one process: prompt in, lines out, every wait under a named deadline.

use std::time::Duration;

use bytes::BytesMut;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Clock,
    framer::{Framer, LINE_LIMIT},
    outcome::{End, Facts},
    process::{Happening, Process},
    protocol,
};
use crate::config::Deadlines;

/// How many control requests of the CLI are answered in one turn.
const CONTROL_REQUEST_LIMIT: u32 = 1_000;

/// Longer deadlines are as good as this one: 30 years.
const LONGEST: Duration = Duration::from_hours(30 * 365 * 24);

/// What an exchange saw.
pub(super) struct Account {
    pub(super) facts: Facts,
    pub(super) end: End,
    /// From the start of the process to its first line.
    pub(super) first_event: Option<Duration>,
    /// Lines longer than [`LINE_LIMIT`].
    pub(super) overlong: u64,
    /// The output stopped in the middle of a line.
    pub(super) is_cut: bool,
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

    /// The clock that runs out first, and when.
    fn next(&self) -> (Clock, Instant) {
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

/// Sends the message and listens until there is a result, the process has ended, or a limit is reached. `permit` is given
/// back at the first line: starting up is over then. The process is still there afterwards, unless it ended.
pub(super) async fn exchange(
    process: &mut Process,
    prompt: &str,
    message: Uuid,
    mut clocks: Clocks,
    permit: OwnedSemaphorePermit,
    stop: &CancellationToken,
) -> Account {
    let mut input = protocol::user_message(prompt, message);
    let mut listening =
        Listening { facts: Facts::about(message), framer: Framer::new(LINE_LIMIT), control_requests: 0 };
    let mut output = BytesMut::new();
    let mut permit = Some(permit);
    let mut first_event = None;
    let end = loop {
        let (clock, at) = clocks.next();
        tokio::select! {
            biased;
            () = stop.cancelled() => break End::Stopped,
            () = sleep_until(at) => break End::TimedOut(clock),
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
                        permit.take();
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
    let Listening { facts, framer, .. } = listening;
    Account { facts, end, first_event, overlong: framer.overlong(), is_cut: framer.is_mid_line() }
}

struct Listening {
    facts: Facts,
    framer: Framer,
    control_requests: u32,
}

impl Listening {
    /// Takes in a piece of output. Gives back what is to be answered.
    fn hear(&mut self, mut chunk: &[u8]) -> BytesMut {
        let mut answers = BytesMut::new();
        while let Some(line) = self.framer.next_line(&mut chunk) {
            let Ok(line) = protocol::read(line) else {
                self.facts.note_junk();
                continue;
            };
            let Some((request_id, subtype)) = self.facts.note(line) else { continue };
            self.control_requests += 1;
            if self.control_requests > CONTROL_REQUEST_LIMIT {
                break;
            }
            answers.unsplit(protocol::refusal(&request_id, &subtype));
        }
        answers
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
        assert_eq!(clocks.next(), (Clock::Start, after(1)));
        clocks.taken = Some(after(1));
        assert_eq!(clocks.next(), (Clock::FirstEvent, after(3)));
        clocks.last_line = Some(after(10));
        assert_eq!(clocks.next(), (Clock::Silence, after(13)));
    }

    #[test]
    fn a_steady_talker_runs_out_of_total_time() {
        let mut clocks = clocks();
        clocks.last_line = Some(clocks.started + Duration::from_secs(99));
        assert_eq!(clocks.next(), (Clock::Total, clocks.started + Duration::from_secs(100)));
    }

    #[test]
    fn a_line_before_the_prompt_is_taken_counts_as_a_sign_of_life() {
        let mut clocks = clocks();
        clocks.last_line = Some(clocks.started);
        assert_eq!(clocks.next().0, Clock::Silence);
    }

    #[test]
    fn a_deadline_of_any_length_is_no_overflow() {
        let mut clocks = clocks();
        clocks.deadlines.start = Duration::MAX;
        assert_eq!(clocks.next().0, Clock::Total);
    }
}
