//! The messages it knows: `set <name> <milliseconds from now> <payload>`, `cancel <name>`, `list`. A timer and an event
//! are told in the room; a timer whose payload begins with `ask ` asks the agent the rest.

use hearth_plugin::{
    bindings::{
        self,
        events::exports::hearth::bot::event_handler,
        exports::hearth::bot::handler,
        hearth::bot::{
            clock, schedule,
            types::{BotError, Capability, Description, Occurrence, Timer, Want},
        },
        scheduled::exports::hearth::bot::timer_handler,
    },
    prelude::*,
};

struct Timely;

type Said<T> = core::result::Result<T, BotError>;

impl handler::Guest for Timely {
    fn describe() -> Description {
        let want = |capability| Want {
            capability,
            required: false,
            purpose: "to come back".into(),
            attributes: Vec::new(),
        };
        Description {
            name: "timely".into(),
            version: "1".into(),
            wants: vec![want(Capability::Schedule), want(Capability::Clock)],
            settings_schema: None,
            attributes: Vec::new(),
        }
    }

    fn on_message(event: Event) -> Said<Decision> {
        let words: Vec<&str> = event.message.text.splitn(4, ' ').collect();
        let answer = match words.as_slice() {
            ["set", name, milliseconds, payload] => {
                let due_at = clock::now() + milliseconds.parse::<u64>().unwrap();
                schedule::set(name, due_at, payload).map(|()| "set".to_owned())
            }
            ["cancel", name] => schedule::cancel(name).map(|was_there| format!("cancelled: {was_there}")),
            ["list"] => schedule::list().map(|pending| {
                let pending = pending.iter().map(|timer| format!("{}={}", timer.name, timer.payload));
                format!("pending: {}", pending.collect::<Vec<_>>().join(" "))
            }),
            _ => return Ok(ask(Prompt::new(event.message.text))),
        };
        Ok(reply(text(answer.unwrap_or_else(|error| format!("{:?}: {}", error.kind, error.message)))))
    }

    fn format_reply(_: Event, outcome: Outcome) -> Said<Vec<Part>> {
        Ok(format_plainly(outcome))
    }
}

impl timer_handler::Guest for Timely {
    fn on_timer(timer: Timer) -> Said<Decision> {
        if let Some(question) = timer.payload.strip_prefix("ask ") {
            return Ok(ask(Prompt::new(question)));
        }
        let late = timer.received_at >= timer.due_at;
        let told =
            format!("{} came: {} ({:?}, in its time: {late})", timer.name, timer.payload, timer.origin);
        Ok(reply([boost("⏰"), text(told)]))
    }

    fn format_timer_reply(timer: Timer, outcome: Outcome) -> Said<Vec<Part>> {
        Ok([text(format!("about {}:", timer.name))].into_iter().chain(format_plainly(outcome)).collect())
    }
}

impl event_handler::Guest for Timely {
    fn on_occurrence(occurrence: Occurrence) -> Said<Decision> {
        let who = occurrence.user.map_or("nobody".into(), |user| user.name);
        Ok(reply(text(format!("{} by {who}: {}", occurrence.kind, occurrence.payload))))
    }

    fn format_occurrence_reply(_: Occurrence, outcome: Outcome) -> Said<Vec<Part>> {
        Ok(format_plainly(outcome))
    }
}

bindings::export_bot!(Timely with_types_in bindings);
bindings::scheduled::export_scheduled!(Timely with_types_in bindings::scheduled);
bindings::events::export_events!(Timely with_types_in bindings::events);
