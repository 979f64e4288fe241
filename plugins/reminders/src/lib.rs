//! Reminds people in the room: "remind me in 20 minutes to stretch". No agent is asked.
//!
//! Reminders are timers of the host, so they outlast restarts and need no other memory. The operator can have something said
//! again and again: what a `[bots.<name>.cron.<timer>]` of bots.toml has as its `payload` is posted when its time comes.

mod command;
mod reminder;
mod when;
mod zone;

use command::{Command, Request};
use hearth_plugin::prelude::*;
use reminder::{MOST_IN_A_ROOM, Reminder, Which};
use zone::Zone;

const HELP: &str = "I remind you of things. Write to me, for example:
• remind me in 20 minutes to stretch
• remind us in 2h 30m that the release is due
• remind me at 15:30 to call Bea
• remind me tomorrow at 9 about the report
• remind us on Friday at noon to water the plants
• list – what I will remind this room of
• cancel 2, or: cancel stretch";

/// Later than this, a reminder says when it was meant to come.
const LATE: u64 = 5 * 60 * 1000;
/// Characters of a reminder that a list shows.
const SHOWN_IN_LIST: usize = 80;

/// What the operator can set for a bot.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// By the clock of which place times are meant and shown: a name of the IANA time zone database, like
    /// "Europe/Zurich". Unless set, "UTC".
    zone: Zone,
}

struct Reminders;

impl Bot for Reminders {
    type Settings = Settings;

    // No clock: "in 20 minutes" counts from when it was written, which is what the time is without that grant.
    const WANTS: &'static [Want] = &[want::schedule("to come back when a reminder is due")];

    fn on_message(event: Event, settings: Settings) -> Result<Decision> {
        let said = match Command::read(&event.message.text) {
            Ok(Command::Help) => HELP.to_owned(),
            Ok(Command::List) => list(&event, &settings.zone)?,
            Ok(Command::Cancel(which)) => cancel(&which)?,
            Ok(Command::Remind(request)) => remind(&event, request, &settings.zone)?,
            Err(refusal) => refusal.to_string(),
        };
        Ok(reply(text(said)))
    }
}

impl Timers for Reminders {
    fn on_timer(timer: Timer, settings: Settings) -> Result<Decision> {
        match timer.origin {
            TimerOrigin::Plugin => Ok(reply(text(due(&timer, &settings.zone)?))),
            TimerOrigin::Operator if timer.payload.trim().is_empty() => Err(format!(
                "there is nothing to say: set `payload` in [bots.{}.cron.{}] of bots.toml",
                timer.bot, timer.name
            ))?,
            TimerOrigin::Operator => Ok(reply(text(timer.payload))),
        }
    }
}

hearth_plugin::bot!(Reminders: scheduled);

fn remind(event: &Event, request: Request, zone: &Zone) -> Result<String> {
    let now = zone.time(event.received_at)?;
    let due_at = match request.when.resolve(&now) {
        Ok(due_at) => due_at,
        Err(refusal) => return Ok(refusal.to_string()),
    };
    let reminder = Reminder::new(&event.user.name, request.everyone, request.what);
    let what = reminder.text.clone();
    match reminder.set(event.message.id, zone::timestamp(&due_at)?) {
        Ok(number) => Ok(format!(
            "Reminder {number}, for {}: “{what}”\nTo take it back, write: cancel {number}",
            zone::shown(&due_at, &now),
        )),
        Err(reminder::Error::Refused(refusal)) => Ok(refusal.to_string()),
        Err(other) => Err(other.into()),
    }
}

fn list(event: &Event, zone: &Zone) -> Result<String> {
    let pending = reminder::pending()?;
    if pending.is_empty() {
        return Ok("There are no reminders in this room.".to_owned());
    }
    let now = zone.time(event.received_at)?;
    let lines = pending.iter().map(|(timer, reminder)| {
        let when = zone::shown(&zone.time(timer.due_at)?, &now);
        Ok(format!("{} · {when}, {}", reminder.number, line(reminder)))
    });
    Ok(lines.collect::<Result<Vec<_>>>()?.join("\n"))
}

fn cancel(which: &Which) -> Result<String> {
    let mut found: Vec<_> =
        reminder::pending()?.into_iter().filter(|(_, reminder)| which.is(reminder)).collect();
    let Some((timer, reminder)) = found.pop() else {
        return Ok(format!("There is no reminder {which} in this room. `list` shows all of them."));
    };
    if !found.is_empty() {
        found.push((timer, reminder));
        let lines: Vec<_> =
            found.iter().map(|(_, other)| format!("{} · {}", other.number, line(other))).collect();
        return Ok(format!("Which one? Write `cancel` and its number.\n{}", lines.join("\n")));
    }
    hearth_plugin::schedule::cancel(&timer.name)?;
    Ok(format!("Reminder {} is cancelled: “{}”", reminder.number, reminder.text))
}

/// What is said when its time has come.
fn due(timer: &Timer, zone: &Zone) -> Result<String> {
    let reminder = Reminder::read(&timer.payload)?;
    let Reminder { name, text, .. } = &reminder;
    let said = if reminder.everyone {
        format!("⏰ Everyone, {name} wanted us to be reminded: “{text}”")
    } else {
        format!("⏰ {name}, you wanted to be reminded: “{text}”")
    };
    if timer.received_at.saturating_sub(timer.due_at) <= LATE {
        return Ok(said);
    }
    let meant = zone::shown(&zone.time(timer.due_at)?, &zone.time(timer.received_at)?);
    Ok(format!("{said}\nThis comes late: it was for {meant}."))
}

/// A reminder on one line.
fn line(reminder: &Reminder) -> String {
    let text = reminder::one_line(&reminder.text, SHOWN_IN_LIST);
    format!("{}: {text}", if reminder.everyone { "all" } else { &reminder.name })
}

#[cfg(test)]
mod tests;
