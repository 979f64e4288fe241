//! `who_is_on_call`: the same for the agent, when people ask in their own words.

use hearth_plugin::prelude::*;
use serde::Serialize;

use crate::{
    Settings,
    report::by_team,
    service::{self, Trouble},
};

/// Tells who is on call now, for each team, and until when. Use it whenever someone asks who is on call or responsible right
/// now, or whom to call. A team without anyone on call is listed with an empty list.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhoIsOnCall {
    /// Only this team, by its exact name; all teams if left out.
    team: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Team {
    team: String,
    on_call: Vec<Person>,
}

#[derive(Serialize)]
struct Person {
    person: String,
    until: String,
}

impl Tool for WhoIsOnCall {
    const NAME: &'static str = "who_is_on_call";
    const READ_ONLY: bool = true;
    type Output = Vec<Team>;

    fn call(self, cause: &Cause) -> Result<Vec<Team>, ToolError> {
        let settings: Settings = hearth_plugin::settings()?;
        let zone = settings.time_zone()?;
        let now = service::time(cause.received_at())?;
        let shifts = service::shifts(&settings, now)?;
        let mut teams = by_team(&shifts, &settings.teams);
        if let Some(name) = self.team {
            let all: Vec<_> = teams.iter().map(|team| team.name).collect();
            if !all.contains(&name.as_str()) {
                let all = all.join(", ");
                return Err(ToolError::not_found(format!("There is no such team. The teams are: {all}.")));
            }
            teams.retain(|team| team.name == name);
        }
        let told = teams.iter().map(|team| Team {
            team: team.name.to_owned(),
            on_call: team
                .on_call(now)
                .map(|shift| Person {
                    person: shift.person.clone(),
                    until: shift.until.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
                })
                .collect(),
        });
        Ok(told.collect())
    }
}

impl From<Trouble> for ToolError {
    fn from(trouble: Trouble) -> Self {
        let sentence = trouble.to_string();
        match trouble {
            Trouble::NotAllowed | Trouble::Credentials => Self::denied(sentence),
            Trouble::Unreachable | Trouble::Slow | Trouble::TooOften | Trouble::Failing(_) => {
                Self::unavailable(sentence)
            }
            Trouble::NotThere | Trouble::Unclear => Self::failed(sentence),
        }
    }
}
