//! Write Hearth plugins in Rust: a plugin is a type that implements [`Bot`], handed to [`bot!`].
//!
//! ```
//! use hearth_plugin::prelude::*;
//!
//! struct Greeter;
//!
//! impl Bot for Greeter {
//!     type Settings = NoSettings;
//!
//!     fn on_message(event: Event, _settings: NoSettings) -> Result<Decision> {
//!         if event.message.text.contains("coffee") {
//!             return Ok(reply([boost("☕"), markdown("**Yes**, please.")]));
//!         }
//!         Ok(ignore())
//!     }
//! }
//!
//! hearth_plugin::bot!(Greeter);
//!
//! let decision = testing::Harness::<Greeter>::new().message("coffee?")?;
//! assert_eq!(decision, reply([boost("☕"), markdown("**Yes**, please.")]));
//! # Ok::<(), Error>(())
//! ```
//!
//! - Every call runs in a fresh instance: nothing is kept in memory from one call to the next.
//! - A plugin that wants an answer from the agent returns [`ask`]; [`Bot::format_reply`] then says what to post.
//! - What a plugin does besides goes through the host: [`kv`], [`http`], [`campfire`], [`schedule`], [`clock`] and [`log`].
//!   All but the log must be asked for in [`Bot::WANTS`], and be granted in bots.toml.
//! - What else it can be called for has a trait each, named in [`bot!`]: [`Toolbox`], [`Timers`], [`Presenter`],
//!   [`Occurrences`].
//! - A plugin also builds for the machine it is written on, where the host is [`testing::Harness`]: its tests are plain
//!   `cargo test`. Only a build for `wasm32` exports anything.
//! - An error costs that one call: the room gets a neutral sentence, the operator's log gets the message. A panic too;
//!   its message and place are logged as an error first.
//!
//! The crate of a plugin is a library with `crate-type = ["cdylib", "rlib"]`; `hearth build` compiles it.

#[doc(hidden)]
pub mod bindings;
mod bot;
pub mod campfire;
mod cause;
pub mod clock;
mod encoding;
mod error;
#[doc(hidden)]
pub mod exports;
mod host;
pub mod http;
pub mod kv;
pub mod log;
mod parts;
pub mod schedule;
mod schema;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod tool;
pub mod want;

pub(crate) use bindings::tools::exports::hearth::bot::toolbox::Tool as ToolInfo;
pub use bindings::{
    hearth::bot::types::{
        Answer, Attribute, Cause, Decision, Description, Event, Failure, FailureKind, File, Message,
        Occurrence, Outcome, Part, Prompt, Room, Sent, Timer, TimerOrigin, Timestamp, User,
    },
    progress::exports::hearth::bot::presenter::{Display, Progress, Step},
};
pub use bot::{Bot, Occurrences, Package, Presenter, Timers, Toolbox};
pub use error::{Error, Result};
pub use parts::{ask, boost, file, format_plainly, html, ignore, markdown, reply, sound, text};
// Their types are part of what authors write against: with these, the versions can't differ.
pub use schemars;
pub use serde_json;
pub use settings::{BotSettings, NoSettings, settings};
pub use tool::{AnyTool, Tool, ToolError, ToolErrorKind};
pub use want::{Capability, Want};

/// The examples of the author's guide are tested with this crate.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Guide;

/// All that a plugin usually needs: `use hearth_plugin::prelude::*;`.
pub mod prelude {
    pub use serde_json::json;

    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing;
    pub use crate::{
        Answer, AnyTool, Bot, BotSettings, Cause, Decision, Display, Error, Event, Failure, FailureKind,
        File, Message, NoSettings, Occurrence, Occurrences, Outcome, Part, Presenter, Progress, Prompt,
        Result, Room, Timer, TimerOrigin, Timers, Timestamp, Tool, ToolError, ToolErrorKind, Toolbox, User,
        Want, ask, boost, file, format_plainly, html, ignore, log, markdown, reply, sound, text, tools, want,
    };
}

/// Makes the crate a plugin that is this [`Bot`]. Once per crate.
///
/// After a colon come the worlds it is exported with besides: `tools` if it is a [`Toolbox`], `progress` if a
/// [`Presenter`], `scheduled` for [`Timers`], `events` for [`Occurrences`]. To leave out one that is implemented, or to
/// name one that is not, does not compile.
///
/// The plugin is described with the crate's own name and version. On `wasm32` the plugin's functions are exported; on
/// other targets nothing is, so that the crate can be tested and linked like any other.
///
/// ```compile_fail
/// # use hearth_plugin::prelude::*;
/// # struct Clock;
/// # impl Bot for Clock {
/// #     type Settings = NoSettings;
/// #     fn on_message(_: Event, _: NoSettings) -> Result<Decision> { Ok(ignore()) }
/// # }
/// impl Timers for Clock {
///     fn on_timer(timer: Timer, _: NoSettings) -> Result<Decision> {
///         Ok(reply(text(timer.name)))
///     }
/// }
///
/// hearth_plugin::bot!(Clock); // error: the bot implements `Timers`, so write `bot!(…: scheduled)`
/// ```
#[macro_export]
macro_rules! bot {
    ($bot:ident $(: $($world:ident),+ $(,)?)?) => {
        impl $crate::Package for $bot {
            const NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
            const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
            const WORLDS: $crate::exports::Worlds =
                $crate::exports::Worlds::none()$($(.$world::<$bot>())+)?;
        }

        const _: () = {
            use $crate::exports::NotImplemented as _;

            $crate::exports::is_a_bot::<$bot>();
            let implemented = $crate::exports::Implemented {
                toolbox: $crate::exports::Probe::<$bot>::TOOLBOX,
                presenter: $crate::exports::Probe::<$bot>::PRESENTER,
                timers: $crate::exports::Probe::<$bot>::TIMERS,
                occurrences: $crate::exports::Probe::<$bot>::OCCURRENCES,
            };
            <$bot as $crate::Package>::WORLDS.check(&implemented, <$bot as $crate::Bot>::WANTS);
        };

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::exports::Exported<$bot>;
            $crate::bindings::export_bot!(Exported with_types_in $crate::bindings);
            $($($crate::export_world!($world Exported);)+)?
        };
    };
}

/// Exports one of the worlds that a plugin may leave out.
#[doc(hidden)]
#[macro_export]
macro_rules! export_world {
    (tools $exported:ident) => {
        $crate::bindings::tools::export_tools!($exported with_types_in $crate::bindings::tools);
    };
    (progress $exported:ident) => {
        $crate::bindings::progress::export_progress!($exported with_types_in $crate::bindings::progress);
    };
    (scheduled $exported:ident) => {
        $crate::bindings::scheduled::export_scheduled!($exported with_types_in $crate::bindings::scheduled);
    };
    (events $exported:ident) => {
        $crate::bindings::events::export_events!($exported with_types_in $crate::bindings::events);
    };
}

#[cfg(test)]
mod tests {
    /// Blocks of Rust, each to its end.
    fn examples(text: &str) -> Vec<&str> {
        let begun = text.split("```rust\n").skip(1);
        begun.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
    }

    #[test]
    fn what_the_readme_shows_is_an_example_of_the_guide_and_so_compiles() {
        let guide = examples(include_str!("../../README.md"));
        let readme = examples(include_str!("../../../README.md"));
        assert!(!readme.is_empty());
        for example in readme {
            assert!(guide.contains(&example), "not in plugins/README.md:\n{example}");
        }
    }
}
