//! The on-call service: two resources below the `url` of the settings, as JSON.
//!
//! - `GET <url>/schedule?from=<time>&until=<time>`: all shifts that overlap that time.
//!   `{"shifts":[{"team":"web","person":"Ann","from":"2026-01-01T08:00:00Z","until":"2026-01-02T08:00:00Z"}]}`
//! - `GET <url>/incidents`: those that are open.
//!   `{"incidents":[{"id":"INC-7","team":"web","title":"Checkout is slow","since":"2026-01-01T07:30:00Z"}]}`
//!
//! Times are RFC 3339, with `Z` or an offset. What else the service sends is passed over. To use another service, change
//! this file.
//!
//! What goes wrong is a [`Trouble`]: one sentence for the room, which says what to do about it. The cause is for the log.

use std::time::Duration;

use hearth_plugin::{
    Timestamp as Millis,
    http::{self, HttpErrorKind},
    log,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};

use crate::Settings;

/// How far ahead shifts are asked for.
pub(crate) const AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How long one request may take. Two of them fit well into a call's time.
const PATIENCE: Duration = Duration::from_secs(8);

/// Somebody's time on call.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Shift {
    pub(crate) team: String,
    pub(crate) person: String,
    #[serde(deserialize_with = "rfc3339")]
    pub(crate) from: Timestamp,
    /// The first moment that is no longer part of it.
    #[serde(deserialize_with = "rfc3339")]
    pub(crate) until: Timestamp,
}

/// Something that is wrong.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) team: String,
    pub(crate) title: String,
    #[serde(deserialize_with = "rfc3339")]
    pub(crate) since: Timestamp,
}

#[derive(Deserialize)]
struct Schedule {
    shifts: Vec<Shift>,
}

#[derive(Deserialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

/// Why the service gave no answer, as the room is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// bots.toml does not allow it.
    #[error("I may not ask the on-call service: its host is not allowed in bots.toml.")]
    NotAllowed,
    /// The settings lead nowhere.
    #[error("I don't find the on-call service where my settings say it is; `url` in bots.toml needs a look.")]
    NotThere,
    /// There is no way to it.
    #[error("I can't reach the on-call service. Please try again in a minute.")]
    Unreachable,
    /// It took too long.
    #[error("The on-call service takes too long to answer. Please try again in a minute.")]
    Slow,
    /// It was asked too often.
    #[error("The on-call service was asked too often. Please try again in a minute.")]
    TooOften,
    /// It does not know the secret.
    #[error("The on-call service does not accept my credentials; they need a look in bots.toml.")]
    Credentials,
    /// It has trouble of its own.
    #[error("The on-call service has trouble of its own (it says {0}). Please try again in a minute.")]
    Failing(u16),
    /// It says something else.
    #[error(
        "The on-call service gave an answer that I don't understand. The log says what is wrong with it."
    )]
    Unclear,
}

/// The shifts from now on, as far as they are asked for.
pub(crate) fn shifts(settings: &Settings, now: Timestamp) -> Result<Vec<Shift>, Trouble> {
    let until = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
    let request = at(settings, "schedule").query("from", seconds(now)).query("until", seconds(until));
    ask::<Schedule>(settings, request).map(|schedule| schedule.shifts)
}

/// The open incidents.
pub(crate) fn incidents(settings: &Settings) -> Result<Vec<Incident>, Trouble> {
    ask::<Incidents>(settings, at(settings, "incidents")).map(|open| open.incidents)
}

/// A time of the interface.
pub(crate) fn time(at: Millis) -> hearth_plugin::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(at.try_into()?)?)
}

fn at(settings: &Settings, resource: &str) -> http::Request {
    http::get(format!("{}/{resource}", settings.url.trim_end_matches('/')))
}

fn ask<T: DeserializeOwned>(settings: &Settings, request: http::Request) -> Result<T, Trouble> {
    request.header("accept", "application/json").timeout(PATIENCE).json().map_err(|error| {
        log::warn(&error);
        let trouble = Trouble::from(&error);
        let host = host(&settings.url);
        if trouble == Trouble::Credentials && !http::has_secret(host, "authorization") {
            log::warn(format_args!("bots.toml sets no `authorization` in the headers of \"{host}\""));
        }
        trouble
    })
}

/// The host of a URL, with its port if it names one.
fn host(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind_scheme.split(['/', '?', '#']).next().unwrap_or_default()
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format_args!("{text:?} is no time: {error}")))
}

// === impl Trouble ===

impl From<&http::Error> for Trouble {
    fn from(error: &http::Error) -> Self {
        match error {
            http::Error::Failed { kind, .. } => match kind {
                HttpErrorKind::Denied => Self::NotAllowed,
                HttpErrorKind::Invalid => Self::NotThere,
                HttpErrorKind::Unreachable => Self::Unreachable,
                HttpErrorKind::TimedOut => Self::Slow,
                HttpErrorKind::RateLimited => Self::TooOften,
                HttpErrorKind::TooLarge | HttpErrorKind::Redirected | HttpErrorKind::Broken => Self::Unclear,
            },
            http::Error::Status { status, .. } => match status {
                401 | 403 => Self::Credentials,
                404 | 410 => Self::NotThere,
                429 => Self::TooOften,
                500.. => Self::Failing(*status),
                _ => Self::Unclear,
            },
            http::Error::Unfit { .. } => Self::Unclear,
        }
    }
}
