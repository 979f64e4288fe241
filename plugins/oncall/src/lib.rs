//! Says who is on call and what is open, from a service that the team has anyway. Its commands need no agent; any other
//! question goes to the agent, which can look up the same.
//!
//! The service is asked with a secret that the plugin never sees: the operator names the host in bots.toml and what goes
//! into its headers.
//!
//! ```toml
//! [bots.oncall]
//! plugin = "oncall"
//! grants = ["campfire"]   # to show what it is doing, in a message that becomes the answer
//!
//! [bots.oncall.http."oncall.example.com"]
//! headers = { authorization = "Bearer ${ONCALL_TOKEN}" }
//!
//! [bots.oncall.settings]
//! url = "https://oncall.example.com/api"
//! teams = ["web", "database"]
//! zone = "Europe/Zurich"
//! ```

mod placeholder;
mod report;
mod service;
mod table;
mod tool;

use hearth_plugin::prelude::*;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use placeholder::Placeholder;
use report::Report;
use schemars::{Schema, SchemaGenerator, json_schema};
use tool::WhoIsOnCall;

const HELP: &str = "I know who is on call. Write to me:
• who – who is on call now
• next – who comes next, and when
• incidents – what is open
• status – who is on call, and what is open
Ask me anything else in your own words.";

/// What the operator can set for a bot.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// Where the service's API is; `/schedule` and `/incidents` are asked for below it. Its host needs a table in
    /// `[bots.<name>.http]`.
    #[schemars(regex(pattern = "^https?://"), example = "https://oncall.example.com/api")]
    url: String,
    /// Which teams are shown, in this order. Unless set, all that the service names.
    #[serde(default)]
    teams: Vec<String>,
    /// By the clock of which place times are shown: a name of the IANA time zone database. Unless set, "UTC".
    #[serde(default = "utc")]
    #[schemars(schema_with = "zones")]
    zone: String,
}

struct OnCall;

impl Bot for OnCall {
    type Settings = Settings;

    const WANTS: &'static [Want] = &[
        want::http("to ask the on-call service who is on call and what is open"),
        want::campfire("to show at once that it is looking, in the message that becomes the answer")
            .optional(),
    ];

    fn on_message(event: Event, settings: Settings) -> Result<Decision> {
        let reports: &[Report] = match command(&event.message.text).as_str() {
            "" | "help" => return Ok(reply(text(HELP))),
            "who" | "whos on call" | "who is on call" | "who is on call now" => &[Report::Now],
            "next" | "who is next" | "whos next" => &[Report::Next],
            "incidents" | "open incidents" => &[Report::Incidents],
            "status" => &[Report::Now, Report::Incidents],
            _ => return Ok(ask(event.message.text)),
        };
        report(&event, &settings, reports)
    }
}

impl Toolbox for OnCall {
    const TOOLS: &'static [AnyTool] = tools![WhoIsOnCall];
}

hearth_plugin::bot!(OnCall: tools);

/// Makes the reports, one request each. What is there already is shown meanwhile.
fn report(event: &Event, settings: &Settings, reports: &[Report]) -> Result<Decision> {
    let zone = settings.time_zone()?;
    let now = service::time(event.received_at)?;
    let placeholder = Placeholder::begin(event.message.id, "Asking the on-call service…");
    let mut written: Vec<String> = Vec::new();
    for report in reports {
        if !written.is_empty() {
            placeholder.show("There is more to come…", &written.join("\n\n"));
        }
        // Each for itself: that one can't be had is no reason to keep quiet about the other.
        written.push(report.write(settings, now, &zone).unwrap_or_else(|trouble| trouble.to_string()));
    }
    Ok(placeholder.end(markdown(written.join("\n\n"))))
}

/// The words of a message, as commands are compared.
fn command(text: &str) -> String {
    let spoken = text.to_lowercase().replace('-', " ").replace(['?', '!', '.', ',', '\'', '’'], "");
    spoken.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn utc() -> String {
    "UTC".to_owned()
}

/// All zones that there are, so that a wrong one is found when the plugin is loaded.
fn zones(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<_> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    json_schema!({ "type": "string", "enum": names })
}

// === impl Settings ===

impl Settings {
    fn time_zone(&self) -> Result<TimeZone> {
        Ok(TimeZoneDatabase::bundled().get(&self.zone)?)
    }
}

#[cfg(test)]
mod tests;
