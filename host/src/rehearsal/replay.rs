//! A turn of the journal again: its plugin, or another build, in the world as it was told then.
//!
//! - What its host told it then, it is told again; see `recorded`.
//! - The agent is not asked: the plugin is told the outcome that the turn had, whatever the prompt is now. Tools are called
//!   with the inputs that they had.
//! - What it says and does is compared with what it said and did then. What it asks of the host and did not then is listed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    diff::{Difference, readable},
    reach, received_at,
    recorded::Recorded,
    value,
};
use crate::{
    id::{BotName, LaneKey, TurnId},
    plugin::{
        Cause, Generation, Outcome,
        trace::{HostCall, Trace, Tracer},
    },
    store::{JournalRow, StoreError},
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
    let world = Arc::new(Recorded::of(trace, index, lane, received_at(cause))?);
    let tracer = Tracer::of(&());
    let reach = reach(&world.kept, Arc::clone(&world) as _, cause, &tracer);
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
