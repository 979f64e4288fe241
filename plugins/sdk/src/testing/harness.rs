//! The conversation of a test with a bot.

use std::{marker::PhantomData, time::Duration};

use serde_json::Value;

use super::{
    Offered, Said, bounds, imports, samples,
    world::{Turn, World},
};
use crate::{
    Bot, Cause, Decision, Description, Display, Error, Event, FailureKind, Occurrence, Outcome, Package,
    Part, Progress, Prompt, Result, Timer, TimerOrigin, Timestamp, ToolError,
    bindings::hearth::bot::{campfire::PastMessage, schedule::Pending},
    exports,
};

/// Calls a bot, and stands for all that it can reach. See the [module](super).
///
/// Unless [`grants`](Self::grants) says otherwise, the operator grants all that the bot asks for.
///
/// # Panics
/// Where the test itself is wrong: a tool that the bot does not have, an answer where no one was asked, a request to a server
/// that the test has not told of.
pub struct Harness<B> {
    pub(super) world: World,
    asked: Option<(Cause, Prompt)>,
    /// What the last turn was about; none before the first.
    cause: Option<Cause>,
    bot: PhantomData<B>,
}

impl<B: Bot + Package> Harness<B> {
    /// A bot without settings, on a new Campfire, on 2026-01-01T00:00:00Z. It is granted what it asks for.
    pub fn new() -> Self {
        let mut world = World::default();
        world.granted.extend(B::WANTS.iter().map(|want| want.capability));
        Self { world, asked: None, cause: None, bot: PhantomData }
    }

    /// What the plugin says about itself.
    pub fn describe(&mut self) -> Description {
        self.call(None, exports::describe::<B>)
    }

    /// Ann says this to the bot in the room "All Talk", or whoever [`event`](super::event) has it; answers what the bot does
    /// about it.
    ///
    /// # Errors
    /// The bot's own, settings that it can't read, and a result that the host would refuse.
    pub fn message(&mut self, said: impl Into<Said>) -> Result<Decision> {
        let event = match said.into() {
            Said::Text(text) => self.event(&text),
            Said::Event(event) => *event,
        };
        self.world.rooms.add(
            event.room.id,
            PastMessage {
                id: event.message.id,
                author: event.user.clone(),
                mine: false,
                text: event.message.text.clone(),
                html: event.message.html.clone(),
                created_at: event.received_at,
                attributes: Vec::new(),
            },
        );
        self.decide(Cause::Message(event.clone()), || exports::on_message::<B>(event))
    }

    /// A time has come, as [`timer`](super::timer) has it; answers what the bot does about it.
    ///
    /// # Errors
    /// The bot's own, settings that it can't read, and a result that the host would refuse.
    pub fn timer(&mut self, timer: Timer) -> Result<Decision> {
        let decide = B::WORLDS.timers.expect("the bot is exported with `scheduled`").decide;
        self.decide(Cause::Timer(timer.clone()), || decide(timer))
    }

    /// Something else has happened, as [`occurrence`](super::occurrence) has it; answers what the bot does about it.
    ///
    /// # Errors
    /// The bot's own, settings that it can't read, and a result that the host would refuse.
    pub fn occurrence(&mut self, occurrence: Occurrence) -> Result<Decision> {
        let decide = B::WORLDS.occurrences.expect("the bot is exported with `events`").decide;
        self.decide(Cause::Occurrence(occurrence.clone()), || decide(occurrence))
    }

    /// Time goes on, and the timers that come meanwhile do; answers what the bot does about each.
    pub fn advance(&mut self, time: Duration) -> Vec<Result<Decision>> {
        let millis = Timestamp::try_from(time.as_millis()).expect("a test lasts no such time");
        let until = self.world.now + millis;
        let mut decisions = Vec::new();
        while let Some((room, Pending { name, due_at, payload, .. })) = self.world.timetable.take_due(until) {
            self.world.now = self.world.now.max(due_at);
            let mut timer = samples::timer(&name, &payload);
            timer.room.id = room;
            (timer.origin, timer.due_at, timer.received_at) = (TimerOrigin::Plugin, due_at, self.world.now);
            decisions.push(self.timer(timer));
        }
        self.world.now = until;
        decisions
    }

    /// What the agent is asked.
    pub fn prompt(&self) -> &Prompt {
        let (_, prompt) = self.asked.as_ref().expect("the bot has asked the agent");
        prompt
    }

    /// The agent, while it works or at any other time, calls a tool; answers what it gets back: a string, where the model
    /// reads plain text.
    ///
    /// # Errors
    /// The tool's own.
    #[expect(clippy::needless_pass_by_value, reason = "tests write `json!({ … })` there")]
    pub fn tool(&mut self, name: &str, input: Value) -> Result<Value, ToolError> {
        let call = B::WORLDS.toolbox.expect("the bot is exported with `tools`").call;
        let offered = self.tools().iter().any(|tool| tool.name == name);
        assert!(offered, "the bot offers no tool `{name}`");
        let cause = self.cause();
        self.call(Some(turn(&cause)), || call(&cause, name, &input.to_string()))
    }

    /// The tools that the model is offered.
    pub fn tools(&mut self) -> Vec<Offered> {
        let list = B::WORLDS.toolbox.expect("the bot is exported with `tools`").list;
        let tools = self.call(None, list).into_iter().map(|tool| Offered {
            name: tool.name,
            description: tool.description,
            input_schema: serde_json::from_str(&tool.input_schema).expect("a schema is JSON"),
            read_only: tool.read_only,
        });
        tools.collect()
    }

    /// The agent has come so far; answers what the bot has the room see.
    pub fn progress(&mut self, progress: Progress) -> Display {
        let show = B::WORLDS.presenter.expect("the bot is exported with `progress`");
        let cause = self.cause();
        self.call(Some(turn(&cause)), || show(cause, progress))
    }

    /// The agent answers what it was asked last; answers what the bot posts then.
    ///
    /// # Errors
    /// The bot's own, settings that it can't read, and a result that the host would refuse.
    pub fn answers(&mut self, text: &str) -> Result<Vec<Part>> {
        self.ends(samples::completed(text))
    }

    /// The agent gives no answer, and the host has this sentence for it; answers what the bot posts then.
    ///
    /// # Errors
    /// The bot's own, settings that it can't read, and a result that the host would refuse.
    pub fn fails(&mut self, kind: FailureKind, sentence: &str) -> Result<Vec<Part>> {
        self.ends(samples::failed(kind, sentence))
    }

    /// The agent ends so; answers what the bot posts then.
    ///
    /// # Errors
    /// The bot's own, settings that it can't read, and a result that the host would refuse.
    pub fn ends(&mut self, outcome: Outcome) -> Result<Vec<Part>> {
        let (cause, _) = self.asked.take().expect("the bot has asked the agent");
        let about = turn(&cause);
        let parts = self.call(Some(about), || match cause {
            Cause::Message(event) => exports::format_reply::<B>(event, outcome),
            Cause::Timer(timer) => {
                let timers = B::WORLDS.timers.expect("the bot is exported with `scheduled`");
                (timers.format)(timer, outcome)
            }
            Cause::Occurrence(occurrence) => {
                let occurrences = B::WORLDS.occurrences.expect("the bot is exported with `events`");
                (occurrences.format)(occurrence, outcome)
            }
        })?;
        bounds::check_parts(&parts).map_err(refused)?;
        self.post(about.room, &parts);
        Ok(parts)
    }

    fn decide(&mut self, cause: Cause, decide: impl FnOnce() -> Result<Decision>) -> Result<Decision> {
        let about = turn(&cause);
        self.cause = Some(cause.clone());
        let decision = self.call(Some(about), decide)?;
        bounds::check_decision(&decision).map_err(refused)?;
        match &decision {
            Decision::Ask(prompt) => self.asked = Some((cause, prompt.clone())),
            Decision::Reply(parts) => self.post(about.room, parts),
            Decision::Ignore => {}
        }
        Ok(decision)
    }

    /// What a tool is called about: the last turn, or before the first, something that Ann has just said.
    fn cause(&mut self) -> Cause {
        self.cause.clone().unwrap_or_else(|| Cause::Message(self.event("")))
    }

    fn event(&mut self, text: &str) -> Event {
        let mut event = samples::event(text);
        event.message.id = self.world.rooms.next_id();
        event.received_at = self.world.now;
        event
    }

    /// What the bot answers is in the room from then on.
    fn post(&mut self, room: u64, parts: &[Part]) {
        for part in parts {
            self.world.rooms.add_own(room, part, self.world.now);
        }
    }

    fn call<T>(&mut self, about: Option<Turn>, call: impl FnOnce() -> T) -> T {
        self.world.begin(about);
        imports::within(&mut self.world, call)
    }
}

impl<B: Bot + Package> Default for Harness<B> {
    fn default() -> Self {
        Self::new()
    }
}

fn refused(problem: bounds::Refused) -> Error {
    format!("the host refuses this: {problem}").into()
}

fn turn(cause: &Cause) -> Turn {
    Turn {
        room: cause.room().id,
        message: cause.message().map(|message| message.id),
        received_at: cause.received_at(),
    }
}
