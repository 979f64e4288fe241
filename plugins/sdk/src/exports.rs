//! From the interface's calls to a bot's functions: reads the settings, turns errors into the interface's.

use serde_json::Value;

use crate::{
    AnyTool, Bot, BotSettings, Capability, Cause, Decision, Description, Display, Event, Occurrence,
    Occurrences, Outcome, Package, Part, Presenter, Progress, Result, Timer, Timers, ToolError, ToolInfo,
    Toolbox, Want, log, settings,
};

/// The worlds besides the first that a bot is exported with, each as the functions behind it.
#[derive(Debug)]
pub struct Worlds {
    /// The world `tools`.
    pub toolbox: Option<ToolboxFunctions>,
    /// The world `progress`.
    pub presenter: Option<Show>,
    /// The world `scheduled`.
    pub timers: Option<Functions<Timer>>,
    /// The world `events`.
    pub occurrences: Option<Functions<Occurrence>>,
}

/// What is shown meanwhile.
pub type Show = fn(Cause, Progress) -> Display;

/// The tools, and how one is called: what the turn is about, its name, its input.
#[derive(Debug)]
pub struct ToolboxFunctions {
    /// What is offered.
    pub list: fn() -> Vec<ToolInfo>,
    /// One call.
    pub call: fn(&Cause, &str, &str) -> Result<Value, ToolError>,
}

/// What is done about `T`, and what is posted when the agent was asked about it.
#[derive(Debug)]
pub struct Functions<T> {
    /// As `on-message`.
    pub decide: fn(T) -> Result<Decision>,
    /// As `format-reply`.
    pub format: fn(T, Outcome) -> Result<Vec<Part>>,
}

/// [`bot!`](crate::bot) calls them by the worlds' names.
impl Worlds {
    /// The first world alone.
    pub const fn none() -> Self {
        Self { toolbox: None, presenter: None, timers: None, occurrences: None }
    }

    /// The world `tools`.
    #[must_use]
    pub const fn tools<B: Toolbox>(self) -> Self {
        let functions = ToolboxFunctions { list: list_tools::<B>, call: call_tool::<B> };
        Self { toolbox: Some(functions), ..self }
    }

    /// The world `progress`.
    #[must_use]
    pub const fn progress<B: Presenter>(self) -> Self {
        Self { presenter: Some(show::<B>), ..self }
    }

    /// The world `scheduled`.
    #[must_use]
    pub const fn scheduled<B: Timers>(self) -> Self {
        Self { timers: Some(Functions { decide: on_timer::<B>, format: format_timer_reply::<B> }), ..self }
    }

    /// The world `events`.
    #[must_use]
    pub const fn events<B: Occurrences>(self) -> Self {
        let functions = Functions { decide: on_occurrence::<B>, format: format_occurrence_reply::<B> };
        Self { occurrences: Some(functions), ..self }
    }

    /// Refuses, when the plugin is compiled, what would never be called: a world that `bot!` does not name.
    pub const fn check(&self, implemented: &Implemented, wants: &[Want]) {
        assert!(
            self.toolbox.is_some() || !implemented.toolbox,
            "the bot implements `Toolbox`, so write `bot!(…: tools)`"
        );
        assert!(
            self.presenter.is_some() || !implemented.presenter,
            "the bot implements `Presenter`, so write `bot!(…: progress)`"
        );
        assert!(
            self.timers.is_some() || !implemented.timers,
            "the bot implements `Timers`, so write `bot!(…: scheduled)`"
        );
        assert!(
            self.occurrences.is_some() || !implemented.occurrences,
            "the bot implements `Occurrences`, so write `bot!(…: events)`"
        );
        assert!(
            self.timers.is_some() || !asks_for_schedule(wants),
            "the bot wants `schedule`, so it must implement `Timers`, and be exported with `bot!(…: scheduled)`"
        );
    }
}

const fn asks_for_schedule(wants: &[Want]) -> bool {
    let mut at = 0;
    while at < wants.len() {
        if matches!(wants[at].capability, Capability::Schedule) {
            return true;
        }
        at += 1;
    }
    false
}

/// Which of the optional traits a bot implements.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "one for each trait")]
pub struct Implemented {
    /// [`Toolbox`].
    pub toolbox: bool,
    /// [`Presenter`].
    pub presenter: bool,
    /// [`Timers`].
    pub timers: bool,
    /// [`Occurrences`].
    pub occurrences: bool,
}

/// Tells whether a trait is implemented: of two constants with one name, the type's own goes before the trait's, if its bound
/// holds.
pub struct Probe<B>(std::marker::PhantomData<B>);

/// What [`Probe`] answers for a trait that is not implemented.
pub trait NotImplemented {
    /// [`Toolbox`].
    const TOOLBOX: bool = false;
    /// [`Presenter`].
    const PRESENTER: bool = false;
    /// [`Timers`].
    const TIMERS: bool = false;
    /// [`Occurrences`].
    const OCCURRENCES: bool = false;
}

impl<B> NotImplemented for Probe<B> {}

impl<B: Toolbox> Probe<B> {
    /// [`Toolbox`].
    pub const TOOLBOX: bool = true;
}

impl<B: Presenter> Probe<B> {
    /// [`Presenter`].
    pub const PRESENTER: bool = true;
}

impl<B: Timers> Probe<B> {
    /// [`Timers`].
    pub const TIMERS: bool = true;
}

impl<B: Occurrences> Probe<B> {
    /// [`Occurrences`].
    pub const OCCURRENCES: bool = true;
}

/// Counts as a use of the bot where nothing is exported, so that its code is checked and not taken for dead.
pub const fn is_a_bot<B: Bot + Package>() {}

pub(crate) fn describe<B: Bot + Package>() -> Description {
    Description {
        name: B::NAME.to_owned(),
        version: B::VERSION.to_owned(),
        wants: B::WANTS.iter().map(Into::into).collect(),
        settings_schema: B::Settings::schema().map(Into::into),
        attributes: Vec::new(),
    }
}

pub(crate) fn on_message<B: Bot>(event: Event) -> Result<Decision> {
    B::on_message(event, settings()?)
}

pub(crate) fn format_reply<B: Bot>(event: Event, outcome: Outcome) -> Result<Vec<Part>> {
    B::format_reply(event, outcome, settings()?)
}

pub(crate) fn list_tools<B: Toolbox>() -> Vec<ToolInfo> {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(error) => panic!("{}", error.message()),
    };
    B::TOOLS.iter().filter(|tool| B::offers(tool.name(), &settings)).map(AnyTool::describe).collect()
}

pub(crate) fn call_tool<B: Toolbox>(cause: &Cause, name: &str, input: &str) -> Result<Value, ToolError> {
    let settings = settings()?;
    let tool = B::TOOLS.iter().find(|tool| tool.name() == name && B::offers(name, &settings));
    let tool = tool.ok_or_else(|| ToolError::not_found(format!("There is no tool `{name}`.")))?;
    tool.call(input, cause)
}

pub(crate) fn show<B: Presenter>(cause: Cause, progress: Progress) -> Display {
    settings().and_then(|settings| B::show(cause, progress, settings)).unwrap_or_else(|error| {
        log::error(error.message());
        Display::Standard
    })
}

pub(crate) fn on_timer<B: Timers>(timer: Timer) -> Result<Decision> {
    B::on_timer(timer, settings()?)
}

pub(crate) fn format_timer_reply<B: Timers>(timer: Timer, outcome: Outcome) -> Result<Vec<Part>> {
    B::format_timer_reply(timer, outcome, settings()?)
}

pub(crate) fn on_occurrence<B: Occurrences>(occurrence: Occurrence) -> Result<Decision> {
    B::on_occurrence(occurrence, settings()?)
}

pub(crate) fn format_occurrence_reply<B: Occurrences>(
    occurrence: Occurrence,
    outcome: Outcome,
) -> Result<Vec<Part>> {
    B::format_occurrence_reply(occurrence, outcome, settings()?)
}

#[cfg(target_arch = "wasm32")]
pub use wasm::Exported;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use std::marker::PhantomData;

    use crate::{
        Bot, Cause, Decision, Description, Display, Event, Occurrence, Occurrences, Outcome, Package, Part,
        Presenter, Progress, Timer, Timers, ToolError, ToolInfo, Toolbox,
        bindings::{
            events::exports::hearth::bot::event_handler, exports::hearth::bot::handler,
            hearth::bot::types::BotError, progress::exports::hearth::bot::presenter,
            scheduled::exports::hearth::bot::timer_handler, tools::exports::hearth::bot::toolbox,
        },
        encoding, log,
    };

    /// A bot as the component exports it.
    pub struct Exported<B>(PhantomData<B>);

    impl<B: Bot + Package + 'static> handler::Guest for Exported<B> {
        fn describe() -> Description {
            log_panics();
            super::describe::<B>()
        }

        fn on_message(event: Event) -> Result<Decision, BotError> {
            log_panics();
            Ok(super::on_message::<B>(event)?)
        }

        fn format_reply(event: Event, outcome: Outcome) -> Result<Vec<Part>, BotError> {
            log_panics();
            Ok(super::format_reply::<B>(event, outcome)?)
        }
    }

    impl<B: Toolbox + 'static> toolbox::Guest for Exported<B> {
        fn list_tools() -> Vec<ToolInfo> {
            log_panics();
            super::list_tools::<B>()
        }

        fn call_tool(cause: Cause, name: String, input: String) -> Result<toolbox::ToolOutput, ToolError> {
            log_panics();
            let content = encoding::text_of(super::call_tool::<B>(&cause, &name, &input)?);
            Ok(toolbox::ToolOutput { content, attributes: Vec::new() })
        }
    }

    impl<B: Presenter + 'static> presenter::Guest for Exported<B> {
        fn show(cause: Cause, progress: Progress) -> Display {
            log_panics();
            super::show::<B>(cause, progress)
        }
    }

    impl<B: Timers + 'static> timer_handler::Guest for Exported<B> {
        fn on_timer(timer: Timer) -> Result<Decision, BotError> {
            log_panics();
            Ok(super::on_timer::<B>(timer)?)
        }

        fn format_timer_reply(timer: Timer, outcome: Outcome) -> Result<Vec<Part>, BotError> {
            log_panics();
            Ok(super::format_timer_reply::<B>(timer, outcome)?)
        }
    }

    impl<B: Occurrences + 'static> event_handler::Guest for Exported<B> {
        fn on_occurrence(occurrence: Occurrence) -> Result<Decision, BotError> {
            log_panics();
            Ok(super::on_occurrence::<B>(occurrence)?)
        }

        fn format_occurrence_reply(occurrence: Occurrence, outcome: Outcome) -> Result<Vec<Part>, BotError> {
            log_panics();
            Ok(super::format_occurrence_reply::<B>(occurrence, outcome)?)
        }
    }

    /// A guest has no standard error: without this, all that is left of a panic is "unreachable executed".
    fn log_panics() {
        std::panic::set_hook(Box::new(|panic| log::error(panic)));
    }
}
