//! `[campfire]`: the server whose bots these are.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{
    check::{Checked, Checks, STEP},
    located::Located,
    units::DurationText,
};

/// `[campfire]`
#[derive(Debug, Clone)]
pub struct Campfire {
    /// `url`: the base URL. None in a deployment that only knows the playground; bots may name their own.
    pub url: Option<Url>,
    /// `timeout`: how long one request may take. Default 20 s, 1 ms to 24 h.
    pub timeout: Duration,
}

/// The Campfire whose bots these are.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawCampfire {
    /// Its base URL. Not needed in the playground. May contain `${VARIABLE}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["https://campfire.example.com"]))]
    url: Option<Located<String>>,
    /// How long one request to Campfire may take.
    timeout: Located<DurationText>,
}

impl Default for RawCampfire {
    fn default() -> Self {
        Self { url: None, timeout: "20s".into() }
    }
}

// === the checks ===

impl Checks<'_> {
    pub(super) fn campfire(&mut self, raw: &RawCampfire) -> Checked<Campfire> {
        let url = raw.url.as_ref().map(|url| self.base_url("url", url)).transpose();
        let timeout = self.duration("timeout", &raw.timeout, STEP);
        Ok(Campfire { url: url?, timeout: timeout? })
    }
}
