//! Short ways to say what is to be done and what is to be posted.

use crate::{Answer, Decision, File, Outcome, Part, Prompt};

/// Does nothing about the message.
pub fn ignore() -> Decision {
    Decision::Ignore
}

/// Posts this without asking the agent: one part, or an array or vector of at most 32.
///
/// ```
/// use hearth_plugin::prelude::*;
///
/// let one = reply(text("Hello."));
/// let more = reply([markdown("It is **done**."), sound("tada")]);
/// ```
pub fn reply(parts: impl Into<Vec<Part>>) -> Decision {
    Decision::Reply(parts.into())
}

/// Asks the agent; [`Bot::format_reply`](crate::Bot::format_reply) is called with the outcome.
///
/// ```
/// use hearth_plugin::prelude::*;
///
/// let simple = ask("What is the capital of Peru?");
/// let shaped = ask(Prompt::new("And its mayor?").with_system_prompt("Answer in one word."));
/// ```
pub fn ask(prompt: impl Into<Prompt>) -> Decision {
    Decision::Ask(prompt.into())
}

/// Markdown: `CommonMark` with GitHub's tables, strikethrough and task lists.
pub fn markdown(source: impl Into<String>) -> Part {
    Part::Markdown(source.into())
}

/// HTML. What Campfire does not show is removed by the host, its text kept.
pub fn html(source: impl Into<String>) -> Part {
    Part::Html(source.into())
}

/// Plain text, shown as it is, line breaks kept. The safe choice for what people wrote.
pub fn text(content: impl Into<String>) -> Part {
    Part::Text(content.into())
}

/// A file of at most 8 MiB: its name with extension and without a path, its media type (`text/csv`), its bytes.
pub fn file(name: impl Into<String>, media_type: impl Into<String>, content: impl Into<Vec<u8>>) -> Part {
    Part::File(File {
        name: name.into(),
        media_type: media_type.into(),
        content: content.into(),
        attributes: Vec::new(),
    })
}

/// A short reaction (an emoji, at most 16 characters) on the message that is answered. Passed over on servers that have
/// no boosts.
pub fn boost(reaction: impl Into<String>) -> Part {
    Part::Boost(reaction.into())
}

/// One of Campfire's sounds, by its name, for example `tada`.
pub fn sound(name: impl Into<String>) -> Part {
    Part::Sound(name.into())
}

/// What [`Bot::format_reply`](crate::Bot::format_reply) does unless it is written otherwise: the answer as markdown
/// (nothing, if it is blank), or the host's sentence for the failure as text.
pub fn format_plainly(outcome: Outcome) -> Vec<Part> {
    match outcome {
        Outcome::Completed(Answer { text, .. }) if text.trim().is_empty() => Vec::new(),
        Outcome::Completed(answer) => vec![markdown(answer.text)],
        Outcome::Failed(failure) => vec![text(failure.sentence)],
    }
}

impl From<Part> for Vec<Part> {
    fn from(part: Part) -> Self {
        vec![part]
    }
}

impl Prompt {
    /// A message to the agent, with the system prompt and the model of the bot's table in bots.toml. At most 256 KiB, and
    /// not empty.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), system_prompt: None, model: None, attributes: Vec::new() }
    }

    /// With this system prompt instead of the one in bots.toml. At most 64 KiB.
    #[must_use]
    pub fn with_system_prompt(mut self, system_prompt: impl Into<String>) -> Self {
        self.system_prompt = Some(system_prompt.into());
        self
    }

    /// With this model instead of the one in bots.toml.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
