//! What an author implements: [`Bot`], and a trait for each world that a plugin may leave out.

use crate::{
    AnyTool, BotSettings, Cause, Decision, Display, Event, Occurrence, Outcome, Part, Progress, Result,
    Timer, Want, exports::Worlds, format_plainly,
};

/// A bot: what to do about a message, and what to post once the agent has answered.
pub trait Bot {
    /// What the operator can set in the bot's `[bots.<name>.settings]`; [`NoSettings`](crate::NoSettings) if there is
    /// nothing to set.
    type Settings: BotSettings;

    /// What the plugin asks the operator for, and what for.
    ///
    /// What is not named here is denied, so a plugin that uses [`kv`](crate::kv) names it.
    const WANTS: &'static [Want] = &[];

    /// What to do about a message. Called for every message that is meant for the bot.
    ///
    /// # Errors
    /// Whatever kept the bot from deciding. It costs this one message: the room gets a neutral sentence, the log the
    /// error's message.
    fn on_message(event: Event, settings: Self::Settings) -> Result<Decision>;

    /// What to post after the agent, asked with [`ask`](crate::ask), has ended: at most 32 parts, none for silence.
    /// `event` is the message that the agent was asked about.
    ///
    /// Unless it is written otherwise: the answer as markdown, or the host's sentence for the failure.
    ///
    /// # Errors
    /// As for [`on_message`](Self::on_message).
    fn format_reply(event: Event, outcome: Outcome, settings: Self::Settings) -> Result<Vec<Part>> {
        let _ = (event, settings);
        Ok(format_plainly(outcome))
    }
}

/// A bot with tools that the model can call while it answers: `bot!(MyBot: tools)`.
///
/// ```
/// use hearth_plugin::{prelude::*, testing::Harness};
///
/// /// Rolls dice and answers the sum.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Roll {
///     /// How many sides each die has.
///     sides: Vec<u32>,
/// }
///
/// impl Tool for Roll {
///     const NAME: &'static str = "roll";
///     const READ_ONLY: bool = true;
///     type Output = u32;
///
///     fn call(self, _cause: &Cause) -> Result<u32, ToolError> {
///         if self.sides.contains(&0) {
///             return Err(ToolError::invalid_input("A die needs at least one side."));
///         }
///         Ok(self.sides.iter().map(|sides| sides.div_ceil(2)).sum())
///     }
/// }
///
/// struct Dice;
///
/// impl Bot for Dice {
///     type Settings = NoSettings;
///
///     fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
///         Ok(ask(event.message.text))
///     }
/// }
///
/// impl Toolbox for Dice {
///     const TOOLS: &'static [AnyTool] = tools![Roll];
/// }
///
/// hearth_plugin::bot!(Dice: tools);
///
/// let mut harness = Harness::<Dice>::new();
/// assert_eq!(harness.tool("roll", json!({ "sides": [6, 20] })), Ok(json!(13)));
/// let error = harness.tool("roll", json!({ "sides": [0] })).unwrap_err();
/// assert_eq!(error.kind, ToolErrorKind::InvalidInput);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is exported with `tools`, but does not implement `Toolbox`"
)]
pub trait Toolbox: Bot {
    /// The tools, at most 64: `tools![OneTool, AnotherTool]`.
    const TOOLS: &'static [AnyTool];

    /// Whether this one of them is offered with these settings. All are, unless it is written otherwise.
    fn offers(tool: &str, settings: &Self::Settings) -> bool {
        let _ = (tool, settings);
        true
    }
}

/// A bot that shapes what the room sees while the agent works: `bot!(MyBot: progress)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is exported with `progress`, but does not implement `Presenter`"
)]
pub trait Presenter: Bot {
    /// What to show now, in the one message that is edited in place until the answer replaces it. Called at most once a
    /// second, on servers that can edit.
    ///
    /// # Errors
    /// Whatever kept the bot from it: the error is logged, and the host shows what it shows by itself.
    fn show(cause: Cause, progress: Progress, settings: Self::Settings) -> Result<Display>;
}

/// A bot that is called when a time has come: `bot!(MyBot: scheduled)`. The times are set with
/// [`schedule`](crate::schedule), or by the operator in bots.toml.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is exported with `scheduled`, but does not implement `Timers`"
)]
pub trait Timers: Bot {
    /// What to do about it. It comes in its turn: after what was said in the timer's room before.
    ///
    /// # Errors
    /// As for [`Bot::on_message`].
    fn on_timer(timer: Timer, settings: Self::Settings) -> Result<Decision>;

    /// What to post after the agent, asked about the timer, has ended: as [`Bot::format_reply`].
    ///
    /// # Errors
    /// As for [`Bot::on_message`].
    fn format_timer_reply(timer: Timer, outcome: Outcome, settings: Self::Settings) -> Result<Vec<Part>> {
        let _ = (timer, settings);
        Ok(format_plainly(outcome))
    }
}

/// A bot that answers what is no message, on servers that tell of it: `bot!(MyBot: events)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is exported with `events`, but does not implement `Occurrences`"
)]
pub trait Occurrences: Bot {
    /// What to do about it. Kinds that the bot does not know are to be [ignored](crate::ignore).
    ///
    /// # Errors
    /// As for [`Bot::on_message`].
    fn on_occurrence(occurrence: Occurrence, settings: Self::Settings) -> Result<Decision>;

    /// What to post after the agent, asked about the occurrence, has ended: as [`Bot::format_reply`].
    ///
    /// # Errors
    /// As for [`Bot::on_message`].
    fn format_occurrence_reply(
        occurrence: Occurrence,
        outcome: Outcome,
        settings: Self::Settings,
    ) -> Result<Vec<Part>> {
        let _ = (occurrence, settings);
        Ok(format_plainly(outcome))
    }
}

/// What [`bot!`](crate::bot) says of a bot: its crate's name and version, and the worlds it is exported with.
pub trait Package {
    /// The plugin's name.
    const NAME: &'static str;
    /// The plugin's own version.
    const VERSION: &'static str;
    /// The worlds besides the first.
    #[doc(hidden)]
    const WORLDS: Worlds;
}
