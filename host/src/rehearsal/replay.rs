//! A turn of the journal again: its plugin, or another build, in the world as it was told then.
//!
//! - As long as the plugin asks the host what it asked then, it gets what it got then. From its first other question about
//!   what it keeps on, it gets what the turn tells of its keys.
//! - What nobody asked then can't be answered: a request fails as one to a server that is not there does; a message is taken
//!   and goes nowhere. Each such question is listed.
//! - The agent is not asked: the plugin is told the outcome that the turn had, whatever the prompt is now. Tools are called
//!   with the inputs that they had.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    diff::{Difference, readable},
    reach, value,
};
use crate::{
    id::{BotName, LaneKey, RoomId, Timestamp, TurnId},
    plugin::{
        Cause, Generation, Outcome, World, bytes_of,
        trace::{GuestCall, HostCall, Trace, Tracer},
    },
    store::{JournalRow, KvEntry, KvScope, Scratch, StoreError},
};

/// What a plugin does to the world; the rest it only looks at.
const EFFECTS: [&str; 8] = [
    "campfire.boost",
    "campfire.edit",
    "campfire.post",
    "campfire.remove",
    "kv.delete",
    "kv.set",
    "schedule.cancel",
    "schedule.set",
];

/// A turn that was run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Replayed {
    /// Which.
    pub turn: TurnId,
    /// Whose.
    pub bot: BotName,
    /// The hash of the code that it ran on.
    pub then: String,
    /// That of the code that ran now.
    pub now: String,
    /// Each call of the plugin.
    pub calls: Vec<Again>,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// A call of the plugin that was made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Again {
    /// `decision`, `tool <name>`, or `reply`.
    pub call: String,
    /// What it says otherwise: the decision with its prompt, the tool's output, the reply.
    pub said: Option<Difference>,
    /// What it does otherwise to the world.
    pub did: Option<Difference>,
    /// It fails, and did not then.
    pub fails: bool,
    /// What it asks of the host and did not then.
    pub unknown: Vec<String>,
}

/// Why a turn can't be run again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unplayable {
    /// Nothing tells what its plugin was called with.
    #[error(
        "what turn {0} was about was not kept: it asked no plugin, was answered before traces were kept, or was too large"
    )]
    NoCause(TurnId),
    /// What plugins keep can't be rehearsed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs a turn again on this code.
///
/// # Errors
/// If not enough is known of it.
pub async fn replay(
    generation: &Generation,
    row: &JournalRow,
    trace: &Trace,
) -> Result<Replayed, Unplayable> {
    let cause = trace.cause.as_ref().and_then(|cause| serde_json::from_str::<Cause>(cause.get()).ok());
    let cause = cause.ok_or_else(|| Unplayable::NoCause(row.turn.clone()))?;
    let mut replayed = Replayed {
        turn: row.turn.clone(),
        bot: row.lane.bot.clone(),
        then: row.details["plugin"]["hash"].as_str().unwrap_or_default().to_owned(),
        now: generation.plugin.hash.to_string(),
        calls: Vec::new(),
        notes: Vec::new(),
    };
    if trace.cut {
        replayed
            .notes
            .push("the turn was too large to be kept whole; what is missing can't be compared".into());
    }
    if trace.settings.as_ref().is_some_and(|then| *then != generation.settings_hash()) {
        replayed.notes.push("the bot's settings are others than then".into());
    }
    for index in 0..trace.calls.len() {
        let Some((again, now)) = call_again(generation, &row.lane, trace, index, &cause).await? else {
            continue;
        };
        let is_first = replayed.calls.is_empty();
        replayed.calls.push(again);
        let (asks, asked) = (now["ok"].get("ask").is_some(), trace.asked.is_some());
        if is_first && asks != asked {
            replayed.notes.push(if asks {
                "the agent would be asked now, and nobody knows what it would answer".into()
            } else {
                "the agent would not be asked now, so there would be neither tools nor its answer".into()
            });
            break;
        }
    }
    Ok(replayed)
}

/// Makes a call again; none if it is one that only shows something.
async fn call_again(
    generation: &Generation,
    lane: &LaneKey,
    trace: &Trace,
    index: usize,
    cause: &Cause,
) -> Result<Option<(Again, Value)>, StoreError> {
    let then = &trace.calls[index];
    let kept = known_before(trace, index, lane)?;
    let now = clock_before(trace, index).unwrap_or_else(|| received_at(cause));
    let world = Arc::new(Recorded::of(then, now, Arc::clone(&kept), lane.clone()));
    let tracer = Tracer::of(&());
    let reach = reach(&kept, Arc::clone(&world) as _, cause, &tracer);
    let input = value(&then.input);
    let (call, refused) = match then.call.as_str() {
        "decide" => {
            // What it comes to is in the trace.
            let _ = generation.decide(&reach, cause).await;
            ("decision".to_owned(), None)
        }
        "call-tool" => {
            let name = input["name"].as_str().unwrap_or_default();
            let arguments: Map<_, _> = input["input"].as_object().cloned().unwrap_or_default();
            let answer = generation.call_tool(&reach, cause, name, arguments).await;
            (format!("tool {name}"), answer.err().map(|trouble| json!({ "error": trouble.told() })))
        }
        "format-reply" => {
            let Ok(outcome) = serde_json::from_value::<Outcome>(input) else { return Ok(None) };
            let _ = generation.format_reply(&reach, cause, &outcome).await;
            ("reply".to_owned(), None)
        }
        _ => return Ok(None),
    };
    let again = tracer.trace().calls.pop();
    // A tool that is not there, or an input that does not fit, does not reach the guest.
    let said = again.as_ref().map(|again| value(&again.output)).filter(|said| !said.is_null());
    let said = said.or(refused).unwrap_or_default();
    let said_then = value(&then.output);
    let differs = if said_then.is_null() {
        None
    } else {
        Difference::of(("then", &readable(&said_then)), ("now", &readable(&said)))
    };
    let did = again.map_or_else(String::new, |again| effects(&again.host));
    let again = Again {
        call,
        fails: said.get("error").is_some() && said_then.get("error").is_none(),
        said: differs,
        did: Difference::of(("then", &effects(&then.host)), ("now", &did)),
        unknown: world.unknown(),
    };
    Ok(Some((again, said)))
}

/// What calls of the host do, for people.
fn effects(calls: &[HostCall]) -> String {
    let effects = calls.iter().filter_map(|call| {
        let arguments = value(&call.arguments);
        let is_effect = match call.function.as_str() {
            "http.send" => !matches!(arguments["request"]["method"].as_str(), Some("get" | "head")),
            function => EFFECTS.contains(&function),
        };
        is_effect.then(|| json!({ &*call.function: arguments }))
    });
    effects.map(|effect| readable(&effect)).collect()
}

fn received_at(cause: &Cause) -> Timestamp {
    let received_at = match cause {
        Cause::Message(event) => event.received_at,
        Cause::Timer(timer) => timer.received_at,
        Cause::Occurrence(occurrence) => occurrence.received_at,
    };
    Timestamp(received_at.cast_signed())
}

/// The last time that the plugin was told up to this call.
fn clock_before(trace: &Trace, index: usize) -> Option<Timestamp> {
    let calls = trace.calls[..=index].iter().flat_map(|call| &call.host);
    let mut told = calls
        .filter(|call| call.function == "clock.now")
        .filter_map(|call| value(&call.answer)["ok"].as_i64());
    told.next_back().map(Timestamp)
}

impl Again {
    /// Whether it says and does what it did then.
    pub fn is_same(&self) -> bool {
        self.said.is_none() && self.did.is_none()
    }
}

impl Replayed {
    /// Whether every call says and does what it did then.
    pub fn is_same(&self) -> bool {
        self.calls.iter().all(Again::is_same)
    }

    /// In a few words: `same`, or what differs.
    pub fn verdict(&self) -> String {
        let mut words = Vec::new();
        for call in &self.calls {
            if call.fails {
                words.push(format!("{} fails", call.call));
            } else if call.said.is_some() {
                words.push(format!("{} differs", call.call));
            }
            if call.did.is_some() {
                words.push(format!("{} does other things", call.call));
            }
        }
        if words.is_empty() { "same".to_owned() } else { words.join(", ") }
    }
}

// === What was told then ===

/// The answers of one call's host.
struct Recorded {
    now: Timestamp,
    kept: Arc<Scratch>,
    lane: LaneKey,
    told: Mutex<Told>,
}

struct Told {
    calls: Vec<Known>,
    /// Where the plugin is among its questions about what it keeps; none once it asked another one.
    step: Option<usize>,
    unknown: Vec<String>,
}

/// A call of the host whose answer is known.
struct Known {
    function: String,
    arguments: Value,
    answer: Value,
    is_used: bool,
}

impl Recorded {
    fn of(call: &GuestCall, now: Timestamp, kept: Arc<Scratch>, lane: LaneKey) -> Self {
        let known = |call: &HostCall| Known {
            function: call.function.clone(),
            arguments: value(&call.arguments),
            answer: value(&call.answer),
            is_used: false,
        };
        let told = Told { calls: call.host.iter().map(known).collect(), step: Some(0), unknown: Vec::new() };
        Self { now, kept, lane, told: Mutex::new(told) }
    }

    fn unknown(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).unknown.clone()
    }
}

impl World for Recorded {
    fn answer(&self, function: &str, arguments: &Value) -> Option<Value> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if function.starts_with("kv.") {
            let answer = told.in_step(function, arguments);
            if let Some(answer) = &answer
                && let Err(error) = take_over(&self.kept, &self.lane, function, arguments, answer)
            {
                tracing::warn!(%error, "what a plugin keeps can't be rehearsed");
            }
            return answer;
        }
        if let Some(answer) = told.known(function, arguments) {
            return Some(answer);
        }
        let answer = match function {
            "clock.now" | "http.has-secret" => return None,
            "campfire.history" | "http.send" => None,
            "schedule.cancel" => Some(json!({ "ok": false })),
            "schedule.list" => Some(json!({ "ok": [] })),
            _ => Some(json!({ "ok": null })),
        };
        let question = readable(&json!({ function: arguments }));
        told.unknown.push(question.trim_end().to_owned());
        answer
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

impl Told {
    /// The answer to the next question about what is kept, if that is the one that was asked then.
    fn in_step(&mut self, function: &str, arguments: &Value) -> Option<Value> {
        let step = self.step.take()?;
        let mut kept = self.calls.iter().enumerate().skip(step);
        let (place, next) = kept.find(|(_, known)| known.function.starts_with("kv."))?;
        let is_same = next.function == function && next.arguments == *arguments && !next.answer.is_null();
        if !is_same {
            return None;
        }
        self.step = Some(place + 1);
        Some(next.answer.clone())
    }

    /// The next answer to that very question, or the last if it was asked less often then.
    fn known(&mut self, function: &str, arguments: &Value) -> Option<Value> {
        let fits = |known: &&mut Known| {
            known.function == function && known.arguments == *arguments && !known.answer.is_null()
        };
        if let Some(next) = self.calls.iter_mut().filter(fits).find(|known| !known.is_used) {
            next.is_used = true;
            return Some(next.answer.clone());
        }
        self.calls.iter_mut().rev().find(fits).map(|known| known.answer.clone())
    }
}

// === What the plugin kept ===

/// What is known of the keys as they were before this call: what was seen and done before it, and of the others what was
/// seen first.
fn known_before(trace: &Trace, index: usize, lane: &LaneKey) -> Result<Arc<Scratch>, StoreError> {
    let kept = Arc::new(Scratch::new()?);
    let mut seen = HashSet::new();
    for (place, call) in trace.calls.iter().enumerate() {
        for host in call.host.iter().filter(|host| host.function.starts_with("kv.")) {
            let (arguments, answer) = (value(&host.arguments), value(&host.answer));
            if place < index {
                take_over(&kept, lane, &host.function, &arguments, &answer)?;
            } else if matches!(host.function.as_str(), "kv.get" | "kv.list") {
                for entry in entries(&answer).filter(|entry| !seen.contains(&key(&arguments, &entry.key))) {
                    kept.put(&scope(lane, &arguments), &entry)?;
                }
            }
            seen.extend(entries(&answer).map(|entry| key(&arguments, &entry.key)));
            seen.extend(arguments["key"].as_str().map(|name| key(&arguments, name)));
        }
    }
    Ok(kept)
}

/// Has the keys as they were after this question.
fn take_over(
    kept: &Scratch,
    lane: &LaneKey,
    function: &str,
    arguments: &Value,
    answer: &Value,
) -> Result<(), StoreError> {
    let scope = scope(lane, arguments);
    let name = arguments["key"].as_str().unwrap_or_default();
    match function {
        "kv.set" => {
            if let (Some(version), Some(value)) = (answer["ok"].as_u64(), bytes_of(&arguments["value"])) {
                kept.put(&scope, &KvEntry { key: name.to_owned(), value, version })?;
            }
        }
        "kv.delete" if answer["ok"] == true => kept.take(&scope, name)?,
        "kv.get" if answer["ok"].is_null() && answer.get("ok").is_some() => kept.take(&scope, name)?,
        _ => {
            for entry in entries(answer) {
                kept.put(&scope, &entry)?;
            }
        }
    }
    Ok(())
}

/// The entries in the answer to a `get` or a `list`.
fn entries(answer: &Value) -> impl Iterator<Item = KvEntry> {
    let page = answer["ok"]["entries"].as_array().into_iter().flatten();
    let one = answer["ok"].get("version").map(|_| &answer["ok"]);
    page.chain(one).filter_map(|entry| {
        let (key, version) = (entry["key"].as_str()?.to_owned(), entry["version"].as_u64()?);
        Some(KvEntry { key, version, value: bytes_of(&entry["value"])? })
    })
}

fn scope(lane: &LaneKey, arguments: &Value) -> KvScope {
    let room: Option<RoomId> = (arguments["scope"] == "room").then_some(lane.room);
    KvScope { bot: lane.bot.clone(), room }
}

fn key(arguments: &Value, name: &str) -> (bool, String) {
    (arguments["scope"] == "room", name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;
    use crate::store::Kept;

    fn host(function: &str, arguments: &Value, answer: &Value) -> HostCall {
        let piece = |value: &Value| Some(to_raw_value(value).unwrap());
        HostCall { function: function.into(), arguments: piece(arguments), answer: piece(answer), took: 1 }
    }

    fn call(host: Vec<HostCall>) -> GuestCall {
        let call = "decide".to_owned();
        GuestCall { call, at: 0, took: 1, input: None, output: None, host, log: Vec::new() }
    }

    fn lane() -> LaneKey {
        LaneKey { bot: "a".into(), room: RoomId(1) }
    }

    fn recorded(call: &GuestCall, kept: &Arc<Scratch>) -> Recorded {
        Recorded::of(call, Timestamp(5), Arc::clone(kept), lane())
    }

    fn get(name: &str) -> Value {
        json!({ "scope": "room", "key": name })
    }

    fn entry(name: &str, value: &str, version: u64) -> Value {
        json!({ "ok": { "key": name, "value": value, "version": version } })
    }

    #[tokio::test]
    async fn who_asks_as_then_is_told_as_then_and_who_does_not_what_is_known() {
        let set = json!({ "scope": "room", "key": "k", "value": "new", "expect": "anything" });
        let conflict = json!({ "error": { "kind": "conflict", "message": "m" } });
        let calls = [
            host("kv.get", &get("k"), &entry("k", "old", 7)),
            host("kv.set", &set, &json!({ "ok": 8 })),
            host("kv.set", &set, &conflict),
            host("kv.get", &get("k"), &entry("k", "theirs", 9)),
        ];
        let trace = Trace { calls: vec![call(calls.to_vec())], ..Trace::default() };
        let scope = KvScope { bot: "a".into(), room: Some(RoomId(1)) };
        let value_of = async |kept: &Scratch| kept.kv_get(&scope, "k").await.unwrap().unwrap().value;

        let kept = known_before(&trace, 0, &lane()).unwrap();
        assert_eq!(value_of(&kept).await, b"old");
        let world = recorded(&trace.calls[0], &kept);
        for known in &calls {
            let answer = world.answer(&known.function, &value(&known.arguments));
            assert_eq!(answer, Some(value(&known.answer)));
        }
        assert_eq!(world.answer("kv.get", &get("k")), None, "it is asked once more than then");
        assert_eq!(value_of(&kept).await, b"theirs");

        let kept = known_before(&trace, 0, &lane()).unwrap();
        let world = recorded(&trace.calls[0], &kept);
        assert!(world.answer("kv.get", &get("k")).is_some());
        assert_eq!(world.answer("kv.get", &get("other")), None);
        assert_eq!(world.answer("kv.set", &set), None, "what was asked after that tells nothing any more");
    }

    #[test]
    fn a_question_that_nobody_asked_then_is_listed() {
        let kept = Arc::new(Scratch::new().unwrap());
        let request = |url: &str| json!({ "request": { "method": "get", "url": url } });
        let known = host("http.send", &request("https://a.example/"), &json!({ "ok": { "status": 200 } }));
        let call = call(vec![known]);
        let world = recorded(&call, &kept);
        assert!(world.answer("http.send", &request("https://a.example/")).is_some());
        assert!(world.answer("http.send", &request("https://a.example/")).is_some(), "as often as it likes");
        assert_eq!(world.answer("http.send", &request("https://b.example/")), None);
        let boost = json!({ "message": 1, "text": "!" });
        assert_eq!(world.answer("campfire.boost", &boost), Some(json!({ "ok": null })));
        assert_eq!(world.answer("clock.now", &json!({})), None);
        let unknown = world.unknown();
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        assert!(unknown[0].contains("b.example") && unknown[1].starts_with("campfire.boost:"), "{unknown:?}");
    }
}
