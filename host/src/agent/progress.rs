//! How far a turn is, for whoever watches it: read from the CLI's lines besides what the turn itself depends on.
//!
//! There is one state, and the last one counts: who looks rarely misses steps of the way and never where it led. It has a
//! bound, and a line that is not understood changes nothing.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::watch;

/// Bytes of the text; what comes after is not shown before the answer is there.
const TEXT_LIMIT: usize = 256 << 10;
/// How many steps are kept, the last ones.
pub const STEPS: usize = 32;
/// Bytes of a step's input.
const INPUT_LIMIT: usize = 4 << 10;
/// Bytes of a tool's name, and of other words of the CLI's.
const WORD_LIMIT: usize = 64;

/// How far a turn is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What the model is saying, in Markdown, as far as it has come. Begins anew with each of its messages.
    pub text: String,
    /// The tools it has begun to use, oldest first; at most the last 32.
    pub steps: Vec<Step>,
    /// The provider has refused, and the CLI tries again.
    pub retry: Option<Retry>,
}

/// A tool that the model uses or has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name, without a prefix for its origin.
    pub tool: String,
    /// Its input as JSON, cut to 4 KiB.
    pub input: String,
    /// It has ended.
    pub ended: bool,
    /// It has ended in an error.
    pub failed: bool,
    /// Tells calls apart.
    id: String,
}

/// The provider's refusal of a request that is to be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The how-manieth time, from 1.
    pub attempt: u32,
    /// Why, in the CLI's word: `rate_limit`, `overloaded`, …
    pub kind: String,
}

/// Notes what a line of the CLI says about how far the turn is.
pub(super) fn note(watch: &watch::Sender<Progress>, line: &[u8]) {
    let signs = signs(line);
    if !signs.is_empty() {
        watch.send_if_modified(|progress| {
            let mut changed = false;
            for sign in signs {
                changed |= progress.take(sign);
            }
            changed
        });
    }
}

/// What a line can say about it.
#[derive(Debug)]
enum Sign {
    /// The model says something, or has said it.
    Message {
        is_new: bool,
    },
    Text(String),
    Began(Step),
    Ended {
        id: String,
        failed: bool,
    },
    Retry(Retry),
}

// === impl Progress ===

impl Progress {
    /// Whether it made a difference.
    fn take(&mut self, sign: Sign) -> bool {
        match sign {
            Sign::Message { is_new } => {
                let changed = self.retry.take().is_some() || (is_new && !self.text.is_empty());
                if is_new {
                    self.text.clear();
                }
                changed
            }
            Sign::Text(text) => {
                let room = TEXT_LIMIT.saturating_sub(self.text.len());
                let text = beginning(&text, room);
                self.text.push_str(text);
                !text.is_empty()
            }
            Sign::Began(step) => {
                if self.steps.len() >= STEPS {
                    self.steps.remove(0);
                }
                self.steps.push(step);
                true
            }
            Sign::Ended { id, failed } => {
                let step = self.steps.iter_mut().find(|step| step.id == id && !step.ended);
                step.map(|step| (step.ended, step.failed) = (true, failed)).is_some()
            }
            Sign::Retry(retry) => {
                self.retry = Some(retry);
                true
            }
        }
    }
}

// === Reading ===

/// A line, as far as it matters here. Each field is read by itself: an odd one must not cost the others.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subtype: Option<&'a RawValue>,
    /// There in what a tool's own agent says, which is no part of the answer.
    #[serde(borrow, default)]
    parent_tool_use_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    attempt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StreamEvent<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_use_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    is_error: Option<&'a RawValue>,
}

fn signs(line: &[u8]) -> Vec<Sign> {
    let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Vec::new() };
    if line.parent_tool_use_id.is_some() {
        return Vec::new();
    }
    match word(line.kind).as_str() {
        "system" if word(line.subtype) == "api_retry" => {
            let attempt = value(line.attempt).unwrap_or(1);
            vec![Sign::Retry(Retry { attempt, kind: word(line.error) })]
        }
        "stream_event" => streamed(line.event).into_iter().collect(),
        "assistant" => {
            let began = blocks(line.message)
                .into_iter()
                .filter_map(|block| (word(block.kind) == "tool_use").then(|| Sign::Began(block.begun())));
            std::iter::once(Sign::Message { is_new: false }).chain(began).collect()
        }
        "user" => {
            let ended = blocks(line.message).into_iter().filter(|block| word(block.kind) == "tool_result");
            ended
                .map(|block| Sign::Ended {
                    id: word(block.tool_use_id),
                    failed: value(block.is_error).unwrap_or(false),
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

fn streamed(event: Option<&RawValue>) -> Option<Sign> {
    let event: StreamEvent<'_> = serde_json::from_str(event?.get()).ok()?;
    match event.kind.as_str() {
        "message_start" => Some(Sign::Message { is_new: true }),
        "content_block_delta" => {
            let delta: Delta = value(event.delta)?;
            (delta.kind == "text_delta").then_some(Sign::Text(delta.text))
        }
        _ => None,
    }
}

fn blocks(message: Option<&RawValue>) -> Vec<Block<'_>> {
    let message = message.and_then(|message| serde_json::from_str::<Message<'_>>(message.get()).ok());
    let content = message.and_then(|message| message.content);
    content.and_then(|content| serde_json::from_str(content.get()).ok()).unwrap_or_default()
}

fn value<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// A word of the CLI's; empty if there is none.
fn word(raw: Option<&RawValue>) -> String {
    let word: String = value(raw).unwrap_or_default();
    beginning(&word, WORD_LIMIT).to_owned()
}

fn beginning(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

impl Block<'_> {
    fn begun(&self) -> Step {
        let name: String = value(self.name).unwrap_or_default();
        let origin = name.strip_prefix("mcp__").and_then(|rest| rest.split_once("__"));
        let tool = origin.map_or(name.as_str(), |(_, tool)| tool);
        Step {
            tool: beginning(tool, WORD_LIMIT).to_owned(),
            input: beginning(self.input.map_or("{}", RawValue::get), INPUT_LIMIT).to_owned(),
            ended: false,
            failed: false,
            id: word(self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state that a recorded case leads through.
    fn way(case: &str) -> Vec<Progress> {
        let path = format!("{}/../tests/fixtures/claude/{case}.stdout.jsonl", env!("CARGO_MANIFEST_DIR"));
        let (watch, mut seen) = watch::channel(Progress::default());
        let mut way = Vec::new();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            note(&watch, line.as_bytes());
            if seen.has_changed().unwrap() {
                way.push(seen.borrow_and_update().clone());
            }
        }
        way
    }

    #[test]
    fn the_text_grows_to_the_answer() {
        let way = way("03_partial");
        assert_eq!(way[0].text, "The quick brown fox jumps over the lazy ");
        assert!(way.windows(2).all(|two| two[1].text.starts_with(&two[0].text)));
        assert!(way.last().unwrap().text.ends_with("brown fox jumps over"), "{way:?}");
        assert_eq!(way.len(), 8);
    }

    #[test]
    fn a_tool_begins_and_ends_under_its_short_name() {
        let way = way("66_sdk_mcp_server");
        let steps: Vec<_> = way.iter().map(|progress| &progress.steps[0]).collect();
        assert_eq!((steps[0].tool.as_str(), steps[0].input.as_str()), ("post", r#"{"text":"in-process"}"#));
        assert!(!steps[0].ended && steps[1].ended && !steps[1].failed);
        assert_eq!(way.len(), 2);
    }

    #[test]
    fn a_tool_that_fails_is_told_as_failed() {
        let way = way("10i_mcp_tool_error");
        assert!(way.last().unwrap().steps.iter().any(|step| step.ended && step.failed), "{way:?}");
    }

    #[test]
    fn retries_show_until_the_model_speaks() {
        let way = way("24_flaky529_2");
        let retries: Vec<_> = way.iter().map(|progress| progress.retry.clone()).collect();
        let retry = |attempt| Some(Retry { attempt, kind: "overloaded".into() });
        assert_eq!(retries, [retry(1), retry(2), None]);
        let kind = self::way("21b_http429_retries1")[0].retry.clone().unwrap().kind;
        assert_eq!(kind, "rate_limit");
    }

    #[test]
    fn what_is_odd_changes_nothing() {
        for line in [
            "",
            "[]",
            r#"{"type":7}"#,
            r#"{"type":"stream_event","event":7}"#,
            r#"{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":7}}}"#,
            r#"{"type":"user","message":{"content":"text"}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Read"}]},"parent_tool_use_id":"toolu_1"}"#,
        ] {
            assert!(signs(line.as_bytes()).is_empty(), "{line}");
        }
        let odd = br#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":7,"input":"x"},{"type":["?"]}]}}"#;
        assert_eq!(signs(odd).len(), 2);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut progress = Progress::default();
        for _ in 0..5 {
            progress.take(Sign::Text("ä".repeat(TEXT_LIMIT / 4)));
        }
        assert!(progress.text.len() <= TEXT_LIMIT && progress.text.len() > TEXT_LIMIT - 2);
        for number in 0..100 {
            let step = Step {
                tool: number.to_string(),
                input: String::new(),
                ended: false,
                failed: false,
                id: String::new(),
            };
            progress.take(Sign::Began(step));
        }
        assert_eq!((progress.steps.len(), progress.steps[31].tool.as_str()), (STEPS, "99"));
    }
}
