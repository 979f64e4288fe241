//! What an author implements.

use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Decision, Event, Outcome, Part, Result, format_plainly};

/// A bot: what to do about a message, and what to post once the agent has answered.
pub trait Bot {
    /// What the operator can set in the bot's `[bots.<name>.settings]`; [`NoSettings`] if there is nothing to set.
    type Settings: BotSettings;

    /// What to do about a message. Called for every message that is meant for the bot.
    ///
    /// # Errors
    /// Whatever kept the bot from deciding. It costs this one message: the room gets a neutral sentence, the log the
    /// error's message.
    fn on_message(event: Event, settings: Self::Settings) -> Result<Decision>;

    /// What to post after the agent, asked with [`ask`](crate::ask), has ended: at most 32 parts, none for silence.
    /// `event` is the message that the agent was asked about.
    ///
    /// Unless it is written otherwise: the answer as markdown, or the host's sentence for the failure.
    ///
    /// # Errors
    /// As for [`on_message`](Self::on_message).
    fn format_reply(event: Event, outcome: Outcome, settings: Self::Settings) -> Result<Vec<Part>> {
        let _ = (event, settings);
        Ok(format_plainly(outcome))
    }
}

/// A bot's settings: any type that serde can read from the operator's table.
///
/// ```
/// use hearth_plugin::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// struct Greeting {
///     greeting: String,
/// }
///
/// impl BotSettings for Greeting {
///     const SCHEMA: Option<&'static str> = Some(
///         r#"{
///             "type": "object",
///             "properties": { "greeting": { "type": "string", "description": "How to greet." } },
///             "required": ["greeting"],
///             "additionalProperties": false
///         }"#,
///     );
/// }
/// ```
pub trait BotSettings: DeserializeOwned {
    /// A JSON Schema (2020-12) that says the same as the type. With one, the host refuses settings that do not fit when
    /// the plugin is loaded, and names the place; without one, they fail at the first message.
    const SCHEMA: Option<&'static str> = None;
}

/// The settings of a bot that has none. A table that sets something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSettings;

impl BotSettings for NoSettings {
    const SCHEMA: Option<&'static str> = Some(r#"{"type":"object","additionalProperties":false}"#);
}

impl<'de> serde::Deserialize<'de> for NoSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EmptyTable)
    }
}

struct EmptyTable;

impl<'de> Visitor<'de> for EmptyTable {
    type Value = NoSettings;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no settings: this bot takes none")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<NoSettings, A::Error> {
        match table.next_entry::<String, IgnoredAny>()? {
            None => Ok(NoSettings),
            Some((name, _)) => Err(serde::de::Error::unknown_field(&name, &[])),
        }
    }
}

/// The name and version that a bot is described with. [`bot!`](crate::bot) implements it with those of the bot's crate.
pub trait Package {
    /// The plugin's name.
    const NAME: &'static str;
    /// The plugin's own version.
    const VERSION: &'static str;
}
