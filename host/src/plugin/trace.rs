//! A turn as its plugin lived it: what it was called with, what it asked of the host, and what it said. Enough to show the
//! turn, and to run it again.
//!
//! - It holds what the guest saw and nothing else: no secret, for the host puts those in behind it.
//! - It is bounded ([`LIMIT`]). What does not fit is left out, which shows: it is `null`, and the trace says `cut`. What the
//!   plugin asked of the host goes first, so that what it was told and said is still there.
//! - Written to the journal and read by later versions: fields may be added, never changed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};

/// Bytes of a turn's trace, about.
pub const LIMIT: usize = 256 << 10;
/// What of that only calls of the guest may have, with what they are given and answer.
const RESERVED: usize = 64 << 10;
/// The call of a tool.
pub(super) const CALL_TOOL: &str = "call-tool";
/// What an item takes besides its texts.
const ITEM: usize = 96;

/// JSON, none if there was no room for it.
pub type Piece = Option<Box<RawValue>>;

/// A turn, as it went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Trace {
    /// What it was about ([`Cause`](super::Cause)).
    pub cause: Piece,
    /// What tells the bot's settings from others.
    pub settings: Option<String>,
    /// What the agent was asked with, if it was.
    pub asked: Option<Asked>,
    /// When that was, in milliseconds since the turn began.
    pub asked_at: Option<u64>,
    /// The calls of the plugin, in the order they began.
    pub calls: Vec<GuestCall>,
    /// What was seen of the agent meanwhile.
    pub agent: Vec<Moment>,
    /// Something is missing.
    pub cut: bool,
}

/// What the agent was asked with, besides the text that the plugin decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Asked {
    /// Who it was to be: the plugin's word, else the bot's.
    pub system_prompt: Option<String>,
    /// The model, in the same way.
    pub model: Option<String>,
    /// Whether it went on with a conversation.
    pub resumed: bool,
}

/// A call of the plugin.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GuestCall {
    /// `decide`, `format-reply`, `call-tool` or `show`.
    pub call: String,
    /// When it began, in milliseconds since the turn did.
    pub at: u64,
    /// How long it took, in microseconds.
    pub took: u64,
    /// What it was called with besides the cause: the outcome, the tool's name and input.
    pub input: Piece,
    /// `{"ok": …}` or `{"error": …}`; none, too, if it never ended.
    pub output: Piece,
    /// What it asked of the host.
    pub host: Vec<HostCall>,
    /// What it logged.
    pub log: Vec<Line>,
}

/// A call of the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HostCall {
    /// Interface and function: `kv.get`.
    pub function: String,
    /// By name.
    pub arguments: Piece,
    /// `{"ok": …}` or `{"error": …}`.
    pub answer: Piece,
    /// How long it took, in microseconds.
    pub took: u64,
}

/// A line that the guest logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub text: String,
}

/// Something that was seen of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moment {
    /// When, in milliseconds since the turn began.
    pub at: u64,
    /// `tool-began`, `tool-ended`, `tool-failed`, or `retry`.
    pub what: String,
    /// The tool's name, or why the provider refused.
    pub of: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told<T, E> {
    /// It was answered.
    Ok(T),
    /// It was not.
    Error(E),
}

/// Takes a turn down while it runs; cheap to clone.
#[derive(Clone)]
pub struct Tracer {
    taken: Arc<Mutex<Taken>>,
    /// The call of the plugin that this one is for.
    call: Option<usize>,
    began: Instant,
}

struct Taken {
    trace: Trace,
    /// Bytes.
    left: usize,
}

// === impl GuestCall ===

impl GuestCall {
    /// The tool that it was a call of, if it was one and there was room for that.
    pub fn tool(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Input {
            name: String,
        }
        let input = self.input.as_ref().filter(|_| self.call == CALL_TOOL)?;
        serde_json::from_str::<Input>(input.get()).ok().map(|input| input.name)
    }

    /// Whether it ended with an error.
    pub fn has_failed(&self) -> bool {
        let output = self.output.as_ref().and_then(|output| serde_json::from_str(output.get()).ok());
        matches!(output, Some(Told::Error::<IgnoredAny, IgnoredAny>(_)))
    }
}

// === impl Told ===

impl<T, E> Told<T, E> {
    /// The same as a result.
    pub fn result(self) -> Result<T, E> {
        match self {
            Self::Ok(answer) => Ok(answer),
            Self::Error(error) => Err(error),
        }
    }
}

impl<T, E> From<Result<T, E>> for Told<T, E> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(answer) => Self::Ok(answer),
            Err(error) => Self::Error(error),
        }
    }
}

// === impl Tracer ===

impl Tracer {
    /// Of a turn about this that begins now.
    pub fn of(cause: &impl Serialize) -> Self {
        let tracer = Self {
            taken: Arc::new(Mutex::new(Taken { trace: Trace::default(), left: LIMIT })),
            call: None,
            began: Instant::now(),
        };
        tracer.with(|taken| taken.trace.cause = taken.kept(cause, 0));
        tracer
    }

    /// The settings of the bot, as [`Generation::settings_hash`](super::Generation::settings_hash) has them.
    pub fn settings(&self, hash: String) {
        self.with(|taken| taken.trace.settings = Some(hash));
    }

    /// What the agent is asked with.
    pub fn asked(&self, asked: Asked) {
        let at = self.milliseconds();
        self.with(|taken| {
            taken.trace.asked_at = Some(at);
            let bytes = asked.system_prompt.as_ref().map_or(0, String::len) + ITEM;
            taken.trace.asked = taken.takes(bytes, 0).then_some(asked);
        });
    }

    /// Something is seen of the agent.
    pub fn moment(&self, what: &str, of: &str) {
        let at = self.milliseconds();
        self.with(|taken| {
            if taken.takes(of.len() + ITEM, RESERVED) {
                taken.trace.agent.push(Moment { at, what: what.to_owned(), of: of.to_owned() });
            }
        });
    }

    /// The trace so far, as JSON.
    pub fn written(&self) -> String {
        // Strings and numbers; serialising them can't fail.
        self.with(|taken| serde_json::to_string(&taken.trace).unwrap_or_default())
    }

    /// The trace so far.
    pub fn trace(&self) -> Trace {
        self.with(|taken| taken.trace.clone())
    }

    /// Of a call of the plugin that begins now.
    pub(super) fn calling(&self, call: &str, input: &impl Serialize) -> Self {
        let (at, began) = (self.milliseconds(), Instant::now());
        let index = self.with(|taken| {
            taken.takes(ITEM, 0).then(|| {
                let call = GuestCall {
                    call: call.to_owned(),
                    at,
                    took: 0,
                    input: taken.kept(input, 0),
                    output: None,
                    host: Vec::new(),
                    log: Vec::new(),
                };
                taken.trace.calls.push(call);
                taken.trace.calls.len() - 1
            })
        });
        Self { taken: Arc::clone(&self.taken), call: index, began }
    }

    /// The call has ended.
    pub(super) fn called(&self, output: &impl Serialize) {
        let took = self.microseconds();
        self.in_call(|taken, index| {
            let output = taken.kept(output, 0);
            let call = &mut taken.trace.calls[index];
            (call.took, call.output) = (took, output);
        });
    }

    /// The guest called the host at `since`, and got an answer.
    pub(super) fn host(
        &self,
        function: &str,
        arguments: &impl Serialize,
        answer: &impl Serialize,
        since: Instant,
    ) {
        let took = micros(since);
        self.in_call(|taken, index| {
            if taken.takes(ITEM, RESERVED) {
                let (arguments, answer) = (taken.kept(arguments, RESERVED), taken.kept(answer, RESERVED));
                let function = function.to_owned();
                taken.trace.calls[index].host.push(HostCall { function, arguments, answer, took });
            }
        });
    }

    /// The guest logged a line.
    pub(super) fn line(&self, level: &str, text: &str) {
        self.in_call(|taken, index| {
            if taken.takes(text.len() + ITEM / 2, RESERVED) {
                let line = Line { level: level.to_owned(), text: text.to_owned() };
                taken.trace.calls[index].log.push(line);
            }
        });
    }

    fn in_call(&self, take: impl FnOnce(&mut Taken, usize)) {
        if let Some(index) = self.call {
            self.with(|taken| take(taken, index));
        }
    }

    fn with<T>(&self, take: impl FnOnce(&mut Taken) -> T) -> T {
        take(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn microseconds(&self) -> u64 {
        micros(self.began)
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

// === impl Taken ===

impl Taken {
    /// Draws on what is left but for `reserved`, if so much is.
    fn takes(&mut self, bytes: usize, reserved: usize) -> bool {
        let fits = bytes + reserved <= self.left;
        if fits {
            self.left -= bytes;
        } else {
            self.trace.cut = true;
        }
        fits
    }

    fn kept(&mut self, value: &impl Serialize, reserved: usize) -> Piece {
        // Strings, numbers and bytes; serialising them can't fail.
        let piece = to_raw_value(value).ok()?;
        self.takes(piece.get().len(), reserved).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value(piece: &Piece) -> Value {
        piece.as_ref().map_or(Value::Null, |piece| serde_json::from_str(piece.get()).unwrap())
    }

    #[test]
    fn a_turn_is_written_and_read_as_it_went() {
        let tracer = Tracer::of(&json!({ "message": "hi" }));
        let decide = tracer.calling("decide", &());
        decide.line("info", "hello");
        decide.host("kv.get", &json!({ "key": "k" }), &Told::<_, ()>::Ok(7), Instant::now());
        // Calls may overlap.
        let show = tracer.calling("show", &1);
        decide.called(&Told::<_, ()>::Ok("ignore"));
        show.called(&Told::<(), _>::Error("no"));
        tracer.moment("tool-began", "add");
        let read: Trace = serde_json::from_str(&tracer.written()).unwrap();
        assert_eq!(value(&read.cause), json!({ "message": "hi" }));
        let [decide, show] = read.calls.as_slice() else { panic!("{read:?}") };
        assert_eq!((decide.call.as_str(), value(&decide.output)), ("decide", json!({ "ok": "ignore" })));
        assert_eq!(value(&decide.host[0].arguments), json!({ "key": "k" }));
        assert_eq!(value(&decide.host[0].answer), json!({ "ok": 7 }));
        assert_eq!(decide.log, [Line { level: "info".into(), text: "hello".into() }]);
        assert_eq!(value(&show.output), json!({ "error": "no" }));
        assert_eq!((read.agent.len(), read.cut), (1, false));
    }

    #[test]
    fn what_a_plugin_asks_never_takes_the_room_of_what_it_says() {
        let tracer = Tracer::of(&"cause");
        let decide = tracer.calling("decide", &());
        for _ in 0..10_000 {
            decide.line("info", &"x".repeat(100));
            decide.host("kv.get", &"k".repeat(512), &"v".repeat(60_000), Instant::now());
        }
        decide.called(&"y".repeat(RESERVED / 2));
        let trace = tracer.trace();
        assert!(trace.cut);
        assert_eq!(value(&trace.calls[0].output), json!("y".repeat(RESERVED / 2)));
        assert!(trace.calls[0].host.iter().any(|call| call.answer.is_none()), "what does not fit is seen");
        let written = tracer.written().len();
        assert!((LIMIT / 2..LIMIT + LIMIT / 4).contains(&written), "{written}");
    }

    #[test]
    fn an_answer_that_is_too_large_is_left_out_and_the_next_one_is_kept() {
        let tracer = Tracer::of(&"cause");
        tracer.calling("decide", &()).called(&"x".repeat(LIMIT));
        tracer.calling("format-reply", &()).called(&"short");
        let trace = tracer.trace();
        assert!(trace.cut && trace.calls[0].output.is_none());
        assert_eq!(value(&trace.calls[1].output), json!("short"));
    }
}
