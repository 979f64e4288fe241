//! What the operator set for the bot, as a type of the plugin's own.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Result, host, schema};

/// A bot's settings: what its `[bots.<name>.settings]` in bots.toml holds.
///
/// Deriving serde's `Deserialize` and schemars' `JsonSchema` is all it takes. The host holds the operator's table against
/// the schema when the plugin is loaded, and names the place that does not fit; doc comments tell the operator what a
/// setting is for.
///
/// ```
/// use hearth_plugin::{prelude::*, testing::Harness};
/// use schemars::JsonSchema;
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(rename_all = "kebab-case", deny_unknown_fields)]
/// struct Settings {
///     /// How to greet.
///     first_words: String,
/// }
///
/// struct Greeter;
///
/// impl Bot for Greeter {
///     type Settings = Settings;
///
///     fn on_message(_event: Event, settings: Settings) -> Result<Decision> {
///         Ok(reply(text(settings.first_words)))
///     }
/// }
///
/// hearth_plugin::bot!(Greeter);
///
/// let mut harness = Harness::<Greeter>::new().settings(json!({ "first-words": "Ahoy." }));
/// assert_eq!(harness.message("hello")?, reply(text("Ahoy.")));
/// # Ok::<(), Error>(())
/// ```
///
/// A schema can be written by hand instead, for a type without `JsonSchema`:
///
/// ```
/// use std::borrow::Cow;
///
/// use hearth_plugin::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// struct Greeting {
///     greeting: String,
/// }
///
/// impl BotSettings for Greeting {
///     fn schema() -> Option<Cow<'static, str>> {
///         Some(r#"{ "type": "object", "required": ["greeting"] }"#.into())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a bot's settings",
    note = "derive `serde::Deserialize` and `schemars::JsonSchema` for it, or use `NoSettings`"
)]
pub trait BotSettings: DeserializeOwned {
    /// A JSON Schema (2020-12) that says the same as the type. Without one, settings that do not fit fail at the first
    /// message instead of when the plugin is loaded.
    fn schema() -> Option<Cow<'static, str>>;
}

impl<T: DeserializeOwned + JsonSchema> BotSettings for T {
    fn schema() -> Option<Cow<'static, str>> {
        Some(schema::of::<T>().to_string().into())
    }
}

/// Reads the bot's settings, where they are not handed over: in a [`Tool`](crate::Tool), for example.
///
/// # Errors
/// They do not fit the type.
pub fn settings<S: BotSettings>() -> Result<S> {
    serde_json::from_str(&host::settings::get())
        .map_err(|error| format!("the bot's [settings] in bots.toml do not fit the plugin: {error}").into())
}

/// The settings of a bot that has none. A table that sets something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSettings;

impl BotSettings for NoSettings {
    fn schema() -> Option<Cow<'static, str>> {
        Some(r#"{"type":"object","additionalProperties":false}"#.into())
    }
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
