//! What can be asked for, and how it is written.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    Settings,
    service::{self, AHEAD, Shift, Trouble},
    table::table,
};

/// One thing to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// Who is on call now.
    Now,
    /// Who comes next.
    Next,
    /// What is open.
    Incidents,
}

/// A team and its shifts.
pub(crate) struct Team<'a> {
    pub(crate) name: &'a str,
    /// The earliest first.
    pub(crate) shifts: Vec<&'a Shift>,
}

/// The shifts by team: of these teams, or of all if none are named.
pub(crate) fn by_team<'a>(shifts: &'a [Shift], teams: &'a [String]) -> Vec<Team<'a>> {
    let mut names: Vec<&str> = teams.iter().map(String::as_str).collect();
    if names.is_empty() {
        for shift in shifts {
            if !names.contains(&shift.team.as_str()) {
                names.push(&shift.team);
            }
        }
    }
    let team = |name| {
        let mut shifts: Vec<_> = shifts.iter().filter(|shift| shift.team == name).collect();
        shifts.sort_by_key(|shift| shift.from);
        Team { name, shifts }
    };
    names.into_iter().map(team).collect()
}

// === impl Report ===

impl Report {
    /// The report as markdown, from what the service says now.
    ///
    /// # Errors
    /// The service gave no answer.
    pub(crate) fn write(
        self,
        settings: &Settings,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<String, Trouble> {
        Ok(match self {
            Self::Now => on_call(&service::shifts(settings, now)?, settings, now, zone),
            Self::Next => next(&service::shifts(settings, now)?, settings, now, zone),
            Self::Incidents => incidents(settings, zone)?,
        })
    }
}

fn on_call(shifts: &[Shift], settings: &Settings, now: Timestamp, zone: &TimeZone) -> String {
    let mut rows = Vec::new();
    for team in by_team(shifts, &settings.teams) {
        let mut current = team.on_call(now).peekable();
        if current.peek().is_none() {
            rows.push([team.name.to_owned(), "nobody".to_owned(), String::new()]);
        }
        rows.extend(
            current.map(|shift| [team.name.to_owned(), shift.person.clone(), shown(shift.until, zone)]),
        );
    }
    written("On call now", ["Team", "On call", "Until"], &rows, settings, "The schedule is empty.")
}

fn next(shifts: &[Shift], settings: &Settings, now: Timestamp, zone: &TimeZone) -> String {
    let row = |team: Team| {
        let Some(shift) = team.shifts.iter().find(|shift| shift.from > now) else {
            let days = AHEAD.as_hours() / 24;
            return [
                team.name.to_owned(),
                format!("nobody in the next {days} days"),
                String::new(),
                String::new(),
            ];
        };
        [team.name.to_owned(), shift.person.clone(), shown(shift.from, zone), shown(shift.until, zone)]
    };
    let rows: Vec<_> = by_team(shifts, &settings.teams).into_iter().map(row).collect();
    written("Next on call", ["Team", "Next", "From", "Until"], &rows, settings, "The schedule is empty.")
}

fn incidents(settings: &Settings, zone: &TimeZone) -> Result<String, Trouble> {
    let mut open = service::incidents(settings)?;
    open.retain(|incident| settings.teams.is_empty() || settings.teams.contains(&incident.team));
    open.sort_by_key(|incident| incident.since);
    let rows = open.into_iter().map(|incident| {
        let since = shown(incident.since, zone);
        [incident.id, incident.team, since, incident.title]
    });
    let rows: Vec<_> = rows.collect();
    let heads = ["Incident", "Team", "Since", "What"];
    Ok(written("Open incidents", heads, &rows, settings, "There are no open incidents."))
}

fn written<const N: usize>(
    title: &str,
    heads: [&str; N],
    rows: &[[String; N]],
    settings: &Settings,
    if_empty: &str,
) -> String {
    if rows.is_empty() {
        return if_empty.to_owned();
    }
    format!("**{title}** (times: {})\n\n{}", settings.zone, table(heads, rows))
}

fn shown(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%a %-d %b %H:%M").to_string()
}

// === impl Team ===

impl<'a> Team<'a> {
    /// The shifts that are going on.
    pub(crate) fn on_call(&self, now: Timestamp) -> impl Iterator<Item = &'a Shift> {
        self.shifts.iter().copied().filter(move |shift| shift.from <= now && now < shift.until)
    }
}
