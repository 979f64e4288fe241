//! The host as it was in one call of a turn: what it answered then, and what the plugin kept.
//!
//! - As long as the plugin asks what it asked then, it gets what it got then. From its first other question about what it
//!   keeps on, it gets what the turn tells of its keys.
//! - What nobody asked then can't be answered: a request fails as one to a server that is not there does; a message is taken
//!   and goes nowhere. Each such question is listed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{diff::readable, value};
use crate::{
    id::{LaneKey, RoomId, Timestamp},
    plugin::{
        World, bytes_of,
        trace::{HostCall, Trace},
    },
    store::{KvEntry, KvScope, Scratch, StoreError},
};

/// The host of one call, as it was then.
pub(super) struct Recorded {
    now: Timestamp,
    /// What the plugin keeps.
    pub(super) kept: Arc<Scratch>,
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
    /// That of the call at `index`. Where the plugin was never told the time, it is `received_at`.
    ///
    /// # Errors
    /// If there is no room for what it kept.
    pub(super) fn of(
        trace: &Trace,
        index: usize,
        lane: &LaneKey,
        received_at: Timestamp,
    ) -> Result<Self, StoreError> {
        let known = |call: &HostCall| Known {
            function: call.function.clone(),
            arguments: value(&call.arguments),
            answer: value(&call.answer),
            is_used: false,
        };
        let calls = trace.calls[index].host.iter().map(known).collect();
        Ok(Self {
            now: clock_before(trace, index).unwrap_or(received_at),
            kept: known_before(trace, index, lane)?,
            lane: lane.clone(),
            told: Mutex::new(Told { calls, step: Some(0), unknown: Vec::new() }),
        })
    }

    /// What it was asked and was not asked then.
    pub(super) fn unknown(&self) -> Vec<String> {
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

/// The last time that the plugin was told up to this call.
fn clock_before(trace: &Trace, index: usize) -> Option<Timestamp> {
    let calls = trace.calls[..=index].iter().flat_map(|call| &call.host);
    let mut told = calls
        .filter(|call| call.function == "clock.now")
        .filter_map(|call| value(&call.answer)["ok"].as_i64());
    told.next_back().map(Timestamp)
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
    use crate::{plugin::trace::GuestCall, store::Kept};

    fn host(function: &str, arguments: &Value, answer: &Value) -> HostCall {
        let piece = |value: &Value| Some(to_raw_value(value).unwrap());
        HostCall { function: function.into(), arguments: piece(arguments), answer: piece(answer), took: 1 }
    }

    /// The host of a turn's only call.
    fn recorded(host: &[HostCall]) -> Recorded {
        let (call, host) = ("decide".to_owned(), host.to_vec());
        let call = GuestCall { call, at: 0, took: 1, input: None, output: None, host, log: Vec::new() };
        let trace = Trace { calls: vec![call], ..Trace::default() };
        Recorded::of(&trace, 0, &LaneKey { bot: "a".into(), room: RoomId(1) }, Timestamp(5)).unwrap()
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
        let scope = KvScope { bot: "a".into(), room: Some(RoomId(1)) };
        let value_of = async |kept: &Scratch| kept.kv_get(&scope, "k").await.unwrap().unwrap().value;

        let world = recorded(&calls);
        assert_eq!(value_of(&world.kept).await, b"old");
        for known in &calls {
            let answer = world.answer(&known.function, &value(&known.arguments));
            assert_eq!(answer, Some(value(&known.answer)));
        }
        assert_eq!(world.answer("kv.get", &get("k")), None, "it is asked once more than then");
        assert_eq!(value_of(&world.kept).await, b"theirs");

        let world = recorded(&calls);
        assert!(world.answer("kv.get", &get("k")).is_some());
        assert_eq!(world.answer("kv.get", &get("other")), None);
        assert_eq!(world.answer("kv.set", &set), None, "what was asked after that tells nothing any more");
    }

    #[test]
    fn a_question_that_nobody_asked_then_is_listed() {
        let request = |url: &str| json!({ "request": { "method": "get", "url": url } });
        let known = host("http.send", &request("https://a.example/"), &json!({ "ok": { "status": 200 } }));
        let world = recorded(&[known]);
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
