//! An author's case, played: the world that it tells of, and the turn in it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

use super::{
    check::{Failure, Wanted},
    reach, value,
};
use crate::{
    config::cases::{AgentSays, Case, Exchange, Keys, Named, Past, Said},
    id::{BotName, LaneKey, RoomId, Timestamp},
    plugin::{
        Answer, Cause, Event, FailureKind, Generation, Message, NOT_TOLD, Occurrence, Outcome, Room, Timer,
        TimerOrigin, User, World,
        trace::{HostCall, Tracer},
    },
    store::{KvEntry, KvScope, Scratch},
};

/// A Monday morning.
const CLOCK: &str = "2026-01-05T09:00:00Z";
/// The number of what is said, unless the case names another; what was said before has lower ones.
const MESSAGE: u64 = 1_000;
/// Numbers of what the plugin posts begin here.
const POSTED: u64 = 2_000;
const USER: u64 = 1;
const ROOM: u64 = 1;
/// Of a message of before that has no time.
const MINUTE: i64 = 60_000;

/// What the plugin did in a case.
#[derive(Debug, Default)]
pub struct Ran {
    /// What it did otherwise than it was to; nothing if the case passes.
    pub failures: Vec<Failure>,
    /// Requests that no server of the case answers, and other questions of that kind.
    pub unanswered: Vec<String>,
}

/// Plays a case with a plugin that was loaded for it.
pub async fn play(generation: &Generation, case: &Case) -> Ran {
    match Scene::of(&generation.bot.name, case) {
        Ok(scene) => scene.play(generation, case).await,
        Err(problem) => Ran { failures: vec![Failure::said(problem)], ..Ran::default() },
    }
}

/// What a case tells of.
struct Scene {
    cause: Cause,
    lane: LaneKey,
    kept: Arc<Scratch>,
    told: Arc<Told>,
}

/// The world of a case.
struct Told {
    now: Timestamp,
    http: Vec<Exchange>,
    history: Vec<Value>,
    posted: AtomicU64,
}

// === impl Scene ===

impl Scene {
    fn of(bot: &BotName, case: &Case) -> Result<Self, String> {
        let now = time("clock", case.clock.as_deref().unwrap_or(CLOCK))?;
        let about = cause(bot, case, now);
        let room = match &about {
            Cause::Message(event) => event.room.id,
            Cause::Timer(timer) => timer.room.id,
            Cause::Occurrence(occurrence) => occurrence.room.id,
        };
        let lane = LaneKey { bot: bot.clone(), room: RoomId(room) };
        let told = Told {
            now,
            http: case.http.clone().unwrap_or_default(),
            history: history(bot, case, &about, now)?,
            posted: AtomicU64::new(POSTED),
        };
        let kept = Scratch::new().map_err(|error| error.to_string())?;
        for (scope, keys) in case.kv.iter().flat_map(|keys| tables(&lane, keys)) {
            for (version, (key, value)) in (1..).zip(keys) {
                let entry = KvEntry { key: key.clone(), value: stored(value).into_bytes(), version };
                kept.put(&scope, &entry).map_err(|error| error.to_string())?;
            }
        }
        Ok(Self { cause: about, lane, kept: Arc::new(kept), told: Arc::new(told) })
    }

    async fn play(&self, generation: &Generation, case: &Case) -> Ran {
        let tracer = Tracer::of(&());
        let reach = reach(&self.kept, Arc::clone(&self.told) as _, &self.cause, &tracer);
        let expect = &case.expect;
        let mut wanted = Wanted::default();
        // What comes of each call is in the trace.
        let _ = generation.decide(&reach, &self.cause).await;
        let decided = tracer.trace().calls.last().map(|call| value(&call.output)).unwrap_or_default();
        wanted.decision(expect, &decided);
        let asks = decided["ok"].get("ask").is_some();
        if !asks && (case.agent.is_some() || case.tools.is_some()) {
            wanted.failed("the agent is not asked, so it neither calls tools nor answers");
        }
        for tool in case.tools.iter().flatten().filter(|_| asks) {
            let input = match json(&toml::Value::Table(tool.input.clone())) {
                Value::Object(input) => input,
                _ => serde_json::Map::new(),
            };
            let answer = generation.call_tool(&reach, &self.cause, &tool.call, input).await;
            wanted
                .tool(tool, answer.map_err(|trouble| format!("{}: {}", trouble.kind(), trouble.sentence())));
        }
        if let Some(agent) = case.agent.as_ref().filter(|_| asks) {
            match outcome(agent) {
                Ok(outcome) => {
                    let _ = generation.format_reply(&reach, &self.cause, &outcome).await;
                    let said =
                        tracer.trace().calls.last().map(|call| value(&call.output)).unwrap_or_default();
                    wanted.answer(expect.answer.as_ref(), &said);
                }
                Err(problem) => wanted.failed(&problem),
            }
        } else if expect.answer.is_some() && asks {
            wanted.failed("`expect.answer` needs to know what the agent says: agent = \"…\"");
        }
        let trace = tracer.trace();
        let host: Vec<_> = trace.calls.iter().flat_map(|call| &call.host).collect();
        wanted.posts(expect.posts.as_ref(), &host);
        wanted.log(expect.log.as_ref(), trace.calls.iter().flat_map(|call| &call.log));
        self.check_kept(&mut wanted, case).await;
        Ran { failures: wanted.failures, unanswered: unanswered(&host) }
    }

    /// What is kept afterwards.
    async fn check_kept(&self, wanted: &mut Wanted, case: &Case) {
        use crate::store::Kept as _;
        for (scope, keys) in case.expect.kv.iter().flat_map(|keys| tables(&self.lane, keys)) {
            let expected: BTreeMap<_, _> =
                keys.iter().map(|(key, value)| (key.clone(), parsed(&stored(value)))).collect();
            let entries = match self.kept.kv_list(&scope, "", None, u32::MAX).await {
                Ok(entries) => entries,
                Err(error) => return wanted.failed(&error.to_string()),
            };
            let found: BTreeMap<_, _> = entries
                .into_iter()
                .map(|entry| (entry.key, parsed(&String::from_utf8_lossy(&entry.value))))
                .collect();
            wanted.same(
                if scope.room.is_some() { "kv.room" } else { "kv.bot" },
                &json!(expected),
                &json!(found),
            );
        }
        if let Some(timers) = &case.expect.timers {
            match self.kept.timers(&self.lane).await {
                Ok(found) => wanted.timers(timers, &found),
                Err(error) => wanted.failed(&error.to_string()),
            }
        }
    }
}

// === What happens ===

fn cause(bot: &BotName, case: &Case, now: Timestamp) -> Cause {
    let bot = bot.to_string();
    let received_at = u64::try_from(now.0).unwrap_or_default();
    let (user, room) = (user(case.user.as_ref()), room(case.room.as_ref()));
    if let Some(timer) = &case.timer {
        return Cause::Timer(Timer {
            bot,
            room: Room { name: None, ..room },
            name: timer.name.clone(),
            payload: timer.payload.clone(),
            origin: if timer.operator { TimerOrigin::Operator } else { TimerOrigin::Plugin },
            due_at: received_at,
            received_at,
            attributes: Vec::new(),
        });
    }
    if let Some(occurrence) = &case.occurrence {
        return Cause::Occurrence(Occurrence {
            bot,
            kind: occurrence.kind.clone(),
            room,
            user: Some(user),
            message: None,
            payload: occurrence.payload.clone(),
            received_at,
            attributes: Vec::new(),
        });
    }
    let (text, html, id) = match case.message.clone() {
        None => ("hi".to_owned(), None, None),
        Some(Said::Text(text)) => (text, None, None),
        Some(Said::Whole { text, html, id }) => (text, html, id),
    };
    let message = Message { id: id.unwrap_or(MESSAGE), text, html, attributes: Vec::new() };
    Cause::Message(Event { bot, user, room, message, received_at, attributes: Vec::new() })
}

fn user(named: Option<&Named>) -> User {
    let (name, id) = parts(named, "Ann", USER);
    User { id, name: name.unwrap_or_else(|| "Ann".to_owned()), attributes: Vec::new() }
}

fn room(named: Option<&Named>) -> Room {
    let (name, id) = parts(named, "All Talk", ROOM);
    Room { id, name, attributes: Vec::new() }
}

fn parts(named: Option<&Named>, name: &str, number: u64) -> (Option<String>, u64) {
    match named {
        None => (Some(name.to_owned()), number),
        Some(Named::Name(name)) => (Some(name.clone()), number),
        Some(Named::Whole { name, id }) => (name.clone(), id.unwrap_or(number)),
    }
}

fn outcome(agent: &AgentSays) -> Result<Outcome, String> {
    let answer = |text: &str, memory_lost| {
        let text = text.to_owned();
        Outcome::Completed(Answer { text, turns: 1, cost_usd: None, memory_lost, attributes: Vec::new() })
    };
    match agent {
        AgentSays::Text(text) => Ok(answer(text, false)),
        AgentSays::Whole { text, memory_lost, failed: None, .. } => Ok(answer(text, *memory_lost)),
        AgentSays::Whole { failed: Some(kind), sentence, .. } => {
            let kind: FailureKind = serde_json::from_value(json!(kind))
                .map_err(|_| format!("`agent.failed` is no kind of failure: `{kind}`"))?;
            let sentence = sentence.clone().unwrap_or_else(|| "I could not finish that.".to_owned());
            Ok(Outcome::Failed(crate::plugin::Failure { kind, sentence, attributes: Vec::new() }))
        }
    }
}

/// A time of a case.
fn time(key: &str, text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| format!("`{key}` is no time like \"{CLOCK}\": \"{text}\""))?;
    Ok(Timestamp(time.as_millisecond()))
}

/// A value as the plugin finds it.
fn stored(value: &toml::Value) -> String {
    value.as_str().map_or_else(|| json(value).to_string(), str::to_owned)
}

/// A value that was stored, told by what it is rather than by how it is written.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn json(value: &toml::Value) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The keys that are told, by scope.
fn tables<'a>(lane: &LaneKey, keys: &'a Keys) -> impl Iterator<Item = (KvScope, &'a toml::Table)> + use<'a> {
    let scope = |room| KvScope { bot: lane.bot.clone(), room };
    let room = keys.room.as_ref().map(|keys| (scope(Some(lane.room)), keys));
    let bot = keys.bot.as_ref().map(|keys| (scope(None), keys));
    room.into_iter().chain(bot)
}

// === What was said before ===

/// The room's messages, oldest first, the one that the turn is about included.
fn history(bot: &BotName, case: &Case, about: &Cause, now: Timestamp) -> Result<Vec<Value>, String> {
    let past = case.history.as_deref().unwrap_or_default();
    let mut people: Vec<String> = Vec::new();
    let trigger = match about {
        Cause::Message(event) => Some(event),
        Cause::Timer(_) | Cause::Occurrence(_) => None,
    };
    let last = trigger.map_or(MESSAGE, |event| event.message.id);
    let mut messages = Vec::new();
    for (place, one) in past.iter().enumerate() {
        let (name, id, text, html, at, mine) = match one {
            Past::Line(line) => {
                let (name, text) = line.split_once(": ").unwrap_or(("Ann", line));
                (name.to_owned(), None, text.to_owned(), None, None, name == bot.as_str())
            }
            Past::Whole { user, text, html, at, mine } => {
                let (name, id) = match user {
                    None if *mine => (bot.to_string(), None),
                    None => ("Ann".to_owned(), None),
                    Some(Named::Name(name)) => (name.clone(), None),
                    Some(Named::Whole { name, id }) => (name.clone().unwrap_or_default(), *id),
                };
                (name, id, text.clone(), html.clone(), at.as_deref(), *mine)
            }
        };
        let left = u64::try_from(past.len() - place).unwrap_or(1);
        let created_at = match at {
            Some(at) => time("history.at", at)?.0,
            None => now.0 - MINUTE * i64::try_from(left).unwrap_or(1),
        };
        let person = people.iter().position(|known| *known == name).unwrap_or_else(|| {
            people.push(name.clone());
            people.len() - 1
        });
        let is_speaker = trigger.is_some_and(|event| event.user.name == name);
        let person = u64::try_from(person).unwrap_or_default() + 100;
        let id = id.or(trigger.filter(|_| is_speaker).map(|event| event.user.id)).unwrap_or(person);
        messages.push(json!({
            "id": last.saturating_sub(left), "author": { "id": id, "name": name }, "mine": mine, "text": text,
            "html": html, "created-at": created_at,
        }));
    }
    messages.extend(trigger.map(|event| {
        json!({
            "id": last, "author": { "id": event.user.id, "name": event.user.name }, "mine": false,
            "text": event.message.text, "html": event.message.html, "created-at": now.0,
        })
    }));
    Ok(messages)
}

// === impl Told ===

impl World for Told {
    fn answer(&self, function: &str, arguments: &Value) -> Option<Value> {
        match function {
            "http.send" => self.request(&arguments["request"]),
            "campfire.history" => Some(self.read(&arguments["query"])),
            "campfire.post" => Some(json!({ "ok": self.posted.fetch_add(1, Ordering::Relaxed) })),
            "campfire.edit" | "campfire.remove" | "campfire.boost" => Some(json!({ "ok": null })),
            _ => None,
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

impl Told {
    fn request(&self, request: &Value) -> Option<Value> {
        let (method, url) = (request["method"].as_str()?, request["url"].as_str()?);
        let exchange = self.http.iter().find(|exchange| {
            exchange.method.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(method))
                && exchange.url.as_ref().is_none_or(|only| match only.strip_suffix('*') {
                    Some(beginning) => url.starts_with(beginning),
                    None => url == only,
                })
        })?;
        if let Some(kind) = &exchange.fail {
            let message = format!("{kind}, as the case has it");
            return Some(json!({ "error": { "kind": kind, "sent": "no", "message": message } }));
        }
        let body = match (&exchange.body, &exchange.json) {
            (Some(body), _) => body.clone(),
            (None, Some(body)) => json(body).to_string(),
            (None, None) => String::new(),
        };
        let mut headers: Vec<_> =
            exchange.headers.iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        let json_type = "application/json".to_owned();
        if exchange.json.is_some() && headers.iter().all(|(name, _)| name != "content-type") {
            headers.push(("content-type".to_owned(), &json_type));
        }
        let status = exchange.status.unwrap_or(200);
        Some(json!({ "ok": { "status": status, "headers": headers, "body": body, "url": url } }))
    }

    fn read(&self, query: &Value) -> Value {
        let id = |message: &Value| message["id"].as_u64().unwrap_or_default();
        let limit =
            query["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let fits = |message: &&Value| {
            query["before"].as_u64().is_none_or(|before| id(message) < before)
                && query["after"].as_u64().is_none_or(|after| id(message) > after)
        };
        let found: Vec<_> = self.history.iter().filter(fits).collect();
        let shown = if query["after"].is_u64() {
            &found[..limit.min(found.len())]
        } else {
            &found[found.len().saturating_sub(limit)..]
        };
        json!({ "ok": shown })
    }
}

/// What was asked of servers that the case does not tell of.
fn unanswered(host: &[&HostCall]) -> Vec<String> {
    let requests = host.iter().filter(|call| call.function == "http.send");
    let unanswered = requests.filter_map(|call| {
        let is_not_told = value(&call.answer)["error"]["message"] == NOT_TOLD;
        let request = value(&call.arguments)["request"].clone();
        let method = request["method"].as_str().unwrap_or_default().to_uppercase();
        is_not_told.then(|| format!("{method} {}", request["url"].as_str().unwrap_or_default()))
    });
    unanswered.collect()
}
