//! Times by the clock of a place.

use std::borrow::Cow;

use hearth_plugin::{Result, Timestamp};
use jiff::{
    Zoned,
    tz::{TimeZone, TimeZoneDatabase},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A time zone, as the operator names it. Its rules are part of the plugin, which has no files to read them from.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

/// The time there, in the interface's terms.
pub(crate) fn timestamp(time: &Zoned) -> Result<Timestamp> {
    Ok(time.timestamp().as_millisecond().try_into()?)
}

/// A time as people read it: "Mon 23 Nov at 09:00 CET", with the year unless it is this one.
pub(crate) fn shown(time: &Zoned, now: &Zoned) -> String {
    let format = if now.year() == time.year() { "%a %-d %b at %H:%M %Z" } else { "%a %-d %b %Y at %H:%M %Z" };
    time.strftime(format).to_string()
}

// === impl Zone ===

impl Zone {
    /// What the clock shows there.
    pub(crate) fn time(&self, at: Timestamp) -> Result<Zoned> {
        Ok(jiff::Timestamp::from_millisecond(at.try_into()?)?.to_zoned(self.0.clone()))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZoneDatabase::bundled().get(&name).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    /// All names, so that a wrong one is found when the plugin is loaded.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let database = TimeZoneDatabase::bundled();
        let names: Vec<_> = database.available().map(|name| name.to_string()).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}
