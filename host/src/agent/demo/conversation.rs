//! A conversation with a host: turns one after another, each as its keyword wants it.

use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use uuid::Uuid;

use super::{
    End,
    inbox::Incoming,
    keyword::{self, Keyword, Refusal},
    process,
    protocol::{Ended, Lines, Turn},
    transcript::{Transcript, Usage},
    words,
};

/// How long `demo:linger` stays after its input has ended.
const LINGER: Duration = Duration::from_mins(1);
/// Messages that may arrive while a turn runs.
const HELD: usize = 256;
/// Messages of one conversation.
pub(super) const CONVERSATION: usize = 10_000;
/// Lines of `demo:flood`.
pub(super) const FLOOD: usize = 50_000;
/// Lines of `demo:requests`.
pub(super) const REQUESTS: usize = 10_000;
/// Text of `demo:long-line`, in bytes.
pub(super) const LONG_LINE: usize = 50 * 1024 * 1024;
/// What `demo:stderr` writes, in bytes.
pub(super) const COMPLAINTS: usize = 1024 * 1024;
/// Paragraphs of `demo:stream`.
const STREAMED: usize = 3;
/// A turn limit and a budget to report when none was reached.
const REPORTED_TURNS: u32 = 16;
const REPORTED_BUDGET: f64 = 0.5;

/// One process and its conversation.
pub(super) struct Conversation<Out, Complaints> {
    pub(super) inbox: Receiver<Incoming>,
    /// Messages that came while a turn ran: they make one turn together, the next.
    pub(super) held: Vec<(String, Option<String>)>,
    pub(super) stdout: Out,
    pub(super) stderr: Complaints,
    pub(super) lines: Lines,
    pub(super) transcript: Transcript,
    pub(super) partial_messages: bool,
    pub(super) allowed_tools: Vec<String>,
    /// Of the next message to a server in the host.
    pub(super) next_id: u64,
    /// Kept with a conversation that begins.
    pub(super) system_prompt: String,
    pub(super) longest_wait: Duration,
    pub(super) lingers: bool,
    pub(super) last_failed: bool,
}

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
enum Waited {
    Out,
    Interrupted,
}

impl<Out: Write, Complaints: Write> Conversation<Out, Complaints> {
    /// Answers until the input ends; the exit code is the last turn's.
    pub(super) fn serve(&mut self) -> Result<u8, End> {
        loop {
            self.stdout.flush()?;
            let Ok(line) = self.inbox.recv() else { break };
            match line {
                Incoming::User(text, key) => self.held.push((text, key)),
                other => {
                    self.aside(other)?;
                }
            }
            while !self.held.is_empty() {
                self.take_held()?;
            }
        }
        if self.lingers {
            park(LINGER.min(self.longest_wait));
        }
        Ok(u8::from(self.last_failed))
    }

    /// Answers what is no message; true if it was an interrupt.
    pub(super) fn aside(&mut self, line: Incoming) -> Result<bool, End> {
        match line {
            Incoming::Control(request_id, subtype) if subtype == "initialize" => {
                self.initialize(&request_id)?;
                Ok(false)
            }
            Incoming::Control(request_id, subtype) => {
                let answer = self.lines.control(&request_id, &subtype);
                self.say(&answer)?;
                self.stdout.flush()?;
                Ok(subtype == "interrupt")
            }
            Incoming::Malformed(length) => Err(End::Failed(format!(
                "Error parsing streaming input line (type=unknown, {length} chars): SyntaxError"
            ))),
            Incoming::User(..) | Incoming::Response(..) | Incoming::Other => Ok(false),
        }
    }

    fn take_held(&mut self) -> Result<(), End> {
        let (mut texts, mut keys) = (Vec::new(), Vec::new());
        for (text, key) in std::mem::take(&mut self.held) {
            match key {
                Some(key) if self.transcript.memory.knows(&key) => {
                    let completed = self.lines.lifecycle(&key, "completed");
                    self.say(&completed)?;
                    continue;
                }
                Some(key) => keys.push(key),
                None => {}
            }
            texts.push(text);
        }
        if texts.is_empty() {
            return Ok(());
        }
        let text = texts.join("\n");
        if keyword::find(&text) == Some(Keyword::HangStart) {
            return self.hang();
        }
        for (key, state) in keys.iter().flat_map(|key| [(key, "queued"), (key, "started")]) {
            let line = self.lines.lifecycle(key, state);
            self.say(&line)?;
        }
        let taken = keys.clone();
        let state = self.turn(&text, keys)?;
        for key in &taken {
            let line = self.lines.lifecycle(key, state);
            self.say(&line)?;
        }
        self.stdout.flush()?;
        Ok(())
    }

    /// Says what became of the messages, in the protocol's word.
    fn turn(&mut self, text: &str, keys: Vec<String>) -> Result<&'static str, End> {
        let began = Instant::now();
        let keyword = keyword::find(text);
        if self.transcript.memory.system_prompt.is_none() {
            self.transcript.system_prompt(&self.system_prompt)?;
        }
        self.transcript.user(text, &keys)?;
        let init = self.lines.init();
        self.say(&init)?;
        self.stdout.flush()?;

        let (usage, total) = (Usage::default(), self.transcript.memory.usage);
        let mut turn = Turn { began, keys, model_calls: 1, usage, total };
        if self.transcript.memory.messages > CONVERSATION {
            return self.refuse(&turn, &keyword::TOO_LONG);
        }
        match keyword {
            Some(Keyword::Hang) => return self.hang(),
            Some(Keyword::Stubborn) => {
                process::ignore_sigterm()?;
                return self.hang();
            }
            Some(Keyword::Close) => {
                self.stdout.flush()?;
                process::close_stdout(self.longest_wait)?;
                return self.hang();
            }
            Some(Keyword::Orphan) => {
                process::leave_one_behind(self.longest_wait)?;
                return Err(End::Exit(1));
            }
            Some(Keyword::Signal(number)) => {
                self.stdout.flush()?;
                process::end_by(number);
                // Whoever started it may have it ignored.
                return Err(End::Exit(1));
            }
            Some(Keyword::Die) => {
                let line =
                    self.lines.assistant(&turn, &message_id(), &format!("{} I am about to", words::LABEL));
                self.say(&line)?;
                return Err(End::Exit(1));
            }
            Some(Keyword::AbortLine) => {
                let line = self.lines.assistant(&turn, &message_id(), words::LABEL).to_string();
                self.stdout.write_all(&line.as_bytes()[..line.len() / 2])?;
                return Err(End::Exit(0));
            }
            Some(Keyword::Refusal(refusal)) => return self.refuse(&turn, refusal),
            Some(Keyword::TurnLimit) => return self.end(&turn, &Ended::TurnLimit(REPORTED_TURNS)),
            Some(Keyword::Budget) => return self.end(&turn, &Ended::Budget(REPORTED_BUDGET)),
            Some(Keyword::Slow(pause)) if self.wait(pause)? == Waited::Interrupted => {
                return self.interrupted(&turn);
            }
            Some(Keyword::Retry(pause)) => {
                let line = self.lines.retry();
                self.say(&line)?;
                if self.wait(pause)? == Waited::Interrupted {
                    return self.interrupted(&turn);
                }
            }
            Some(Keyword::Flood) => self.flood()?,
            Some(Keyword::Junk) => self.junk()?,
            Some(Keyword::Requests) => {
                let line = Lines::permission_request();
                for _ in 0..REQUESTS {
                    self.say(&line)?;
                }
            }
            Some(Keyword::LongLine) => {
                let line = self.lines.assistant(&turn, &message_id(), &"long ".repeat(LONG_LINE / 5));
                self.say(&line)?;
            }
            Some(Keyword::Stderr) => {
                let complaint = "demo agent: nothing is wrong, this is only noise\n";
                self.stderr.write_all(complaint.repeat(COMPLAINTS / complaint.len() + 1).as_bytes())?;
            }
            _ => {}
        }
        let answer = match keyword {
            Some(Keyword::Big(count)) => words::paragraphs(count),
            Some(Keyword::Stream(_)) => words::paragraphs(STREAMED),
            Some(Keyword::Tool) => {
                turn.model_calls = 2;
                match self.call_tools(&turn, text)? {
                    Some(answer) => answer,
                    None => return self.interrupted(&turn),
                }
            }
            _ => words::answer(text, &self.transcript.memory, &self.system_prompt),
        };
        self.answer(&mut turn, text, &answer, keyword)
    }

    fn answer(
        &mut self,
        turn: &mut Turn,
        text: &str,
        answer: &str,
        keyword: Option<Keyword>,
    ) -> Result<&'static str, End> {
        turn.usage = Usage { input: tokens(text) + tokens(&self.system_prompt), output: tokens(answer) };
        turn.total.input += turn.usage.input;
        turn.total.output += turn.usage.output;

        let message_id = message_id();
        let line = self.lines.assistant(turn, &message_id, answer);
        let opening =
            if self.partial_messages { self.lines.opening(&message_id, answer) } else { Vec::new() };
        let pause = match keyword {
            Some(Keyword::Stream(time)) => time / u32::try_from(opening.len().max(1)).unwrap_or(u32::MAX),
            _ => Duration::ZERO,
        };
        for event in opening {
            self.say(&event)?;
            if !pause.is_zero() && self.wait(pause)? == Waited::Interrupted {
                return self.interrupted(turn);
            }
        }
        self.say(&line)?;
        if self.partial_messages {
            for event in self.lines.closing(&message_id, turn.usage.output) {
                self.say(&event)?;
            }
        }
        self.transcript.assistant(answer, turn.usage)?;

        let session = self.lines.session;
        match keyword {
            Some(Keyword::Lie) => self.lines.session = Uuid::new_v4(),
            Some(Keyword::TwoResults) => {
                self.end(turn, &Ended::Answered(answer))?;
            }
            Some(Keyword::Linger) => self.lingers = true,
            _ => {}
        }
        let state = self.end(turn, &Ended::Answered(answer))?;
        self.lines.session = session;
        Ok(state)
    }

    fn refuse(&mut self, turn: &Turn, refusal: &Refusal) -> Result<&'static str, End> {
        let line = self.lines.refusal(turn, refusal);
        self.say(&line)?;
        self.end(turn, &Ended::Refused(refusal))
    }

    fn interrupted(&mut self, turn: &Turn) -> Result<&'static str, End> {
        let interruption = self.lines.interruption();
        self.say(&interruption)?;
        self.end(turn, &Ended::Interrupted)
    }

    fn end(&mut self, turn: &Turn, ended: &Ended) -> Result<&'static str, End> {
        self.last_failed = !matches!(ended, Ended::Answered(_));
        if self.last_failed {
            self.transcript.failed()?;
        }
        let line = self.lines.result(turn, ended);
        self.say(&line)?;
        Ok(match ended {
            Ended::Answered(_) | Ended::TurnLimit(_) => "completed",
            Ended::Refused(_) | Ended::Budget(_) | Ended::Interrupted => "cancelled",
        })
    }

    fn flood(&mut self) -> Result<(), End> {
        for number in 0..FLOOD {
            writeln!(self.stdout, "noise {number} of {FLOOD}, which is no JSON")?;
        }
        Ok(())
    }

    fn junk(&mut self) -> Result<(), End> {
        let lines: [&[u8]; 9] = [
            b"",
            b"Warning: something a library printed",
            b"{\"type\":\"assistant\",",
            b"[1,2,3]",
            b"null",
            b"{}",
            b"{\"type\":\"from_the_future\",\"session_id\":7}",
            b"{\"type\":\"system\",\"subtype\":\"from_the_future\"}",
            b"\xff\xfe\x00 not text at all",
        ];
        for line in lines {
            self.stdout.write_all(line)?;
            self.stdout.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Does nothing and hears nothing.
    fn hang<Never>(&mut self) -> Result<Never, End> {
        self.stdout.flush()?;
        park(self.longest_wait);
        Err(End::Exit(1))
    }

    /// Waits as a turn does: an interrupt is heard, messages are held for the next turn, and the end of the input is no
    /// reason to hurry.
    fn wait(&mut self, pause: Duration) -> Result<Waited, End> {
        self.stdout.flush()?;
        let until = Instant::now() + pause.min(self.longest_wait);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(left) {
                Ok(Incoming::User(text, key)) => self.hold(text, key)?,
                Ok(other) => {
                    if self.aside(other)? {
                        return Ok(Waited::Interrupted);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(Waited::Out),
                Err(RecvTimeoutError::Disconnected) => {
                    park(until.saturating_duration_since(Instant::now()));
                    return Ok(Waited::Out);
                }
            }
        }
    }

    /// Keeps a message that came in between for the next turn.
    pub(super) fn hold(&mut self, text: String, key: Option<String>) -> Result<(), End> {
        if self.held.len() >= HELD {
            return Err(End::Failed(format!("Error: more than {HELD} messages while a turn ran")));
        }
        self.held.push((text, key));
        Ok(())
    }

    pub(super) fn say(&mut self, line: &Value) -> Result<(), End> {
        serde_json::to_writer(&mut self.stdout, line).map_err(io::Error::from)?;
        self.stdout.write_all(b"\n")?;
        Ok(())
    }
}

/// Waits for time to pass, and for nothing else.
fn park(duration: Duration) {
    let until = Instant::now() + duration;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // May wake early, for no reason.
        thread::park_timeout(left);
    }
}

fn message_id() -> String {
    format!("msg_{}", Uuid::new_v4().simple())
}

/// An estimate, at four bytes a token.
fn tokens(text: &str) -> u64 {
    u64::try_from(text.len().div_ceil(4)).unwrap_or(u64::MAX)
}
