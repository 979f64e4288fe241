//! What a plugin is to say and do in a case: a whole text, or what it has in it. What is not named may be anything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Keys;

/// What the plugin is to say and do. What is not named may be anything.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Expected {
    /// What it decides: `ignore`, `reply` or `ask`.
    pub decision: Option<String>,
    /// What the agent is asked.
    pub prompt: Option<Text>,
    /// Who the agent is to be.
    pub system_prompt: Option<Text>,
    /// Which model it is to be.
    pub model: Option<Text>,
    /// What it replies without the agent.
    pub reply: Option<Parts>,
    /// What it makes of the agent's answer.
    pub answer: Option<Parts>,
    /// How it fails, instead of deciding.
    pub error: Option<Text>,
    /// What it posts besides, and what it edits that into, in order.
    pub posts: Option<Parts>,
    /// What it keeps afterwards: all keys of the room, of the bot, or both.
    pub kv: Option<Keys>,
    /// The timers that it has set afterwards.
    pub timers: Option<Vec<SetTimer>>,
    /// A line that it logs.
    pub log: Option<Text>,
}

/// A timer that is set.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct SetTimer {
    /// What it is set under.
    pub name: Option<Text>,
    /// For when, like "2026-01-05T10:00:00Z".
    pub at: Option<String>,
    /// What is kept with it.
    pub payload: Option<Text>,
}

/// What a text is to be.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    rename_all = "kebab-case",
    expecting = "a text, or a table with `contains`, `lacks` or `matches`"
)]
pub enum Text {
    /// This one.
    Is(String),
    /// One that fits.
    Fits(Fits),
}

/// Which texts fit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Fits {
    /// It contains this, or all of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<Words>,
    /// It contains nothing of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Words>,
    /// A regular expression fits somewhere in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

/// One text or several.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a text or an array of texts")]
pub enum Words {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What is posted: one part or several.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a text, a table with `contains`, `lacks` or `matches`, or with `markdown`, `html`, `text`, `file`, `boost` or \
                 `sound`, or an array of these"
)]
pub enum Parts {
    /// Several.
    Several(Vec<Part>),
    /// One.
    One(Box<Part>),
}

/// A part.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "there are few, for a moment")]
pub enum Part {
    /// A text in any format.
    Any(String),
    /// One of a format, or one that fits.
    Of(PartOf),
}

/// A part of a format, or a text in any format that fits.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PartOf {
    /// Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markdown: Option<Text>,
    /// HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<Text>,
    /// A plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
    /// A reaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boost: Option<Text>,
    /// A sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<Text>,
    /// A file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// A text in any format that contains this, or all of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<Words>,
    /// A text in any format that contains nothing of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Words>,
    /// A text in any format in which a regular expression fits somewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

/// A file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<Text>,
    /// What is in it, if that is a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Text>,
}

impl Expected {
    pub(super) fn is_empty(&self) -> bool {
        let Self { decision, prompt, system_prompt, model, reply, answer, error, posts, kv, timers, log } =
            self;
        let texts = [prompt, system_prompt, model, error, log];
        let parts = [reply, answer, posts];
        decision.is_none()
            && texts.iter().all(|text| text.is_none())
            && parts.iter().all(|parts| parts.is_none())
            && kv.is_none()
            && timers.is_none()
    }
}
