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
//! let decision = testing::Host::<Greeter>::new().on_message(testing::event("coffee?"))?;
//! assert_eq!(decision, reply([boost("☕"), markdown("**Yes**, please.")]));
//! # Ok::<(), Error>(())
//! ```
//!
//! - Every call runs in a fresh instance: nothing is kept in memory from one call to the next.
//! - A plugin that wants an answer from the agent returns [`ask`]; [`Bot::format_reply`] then says what to post.
//! - A plugin also builds for the machine it is written on, where the host is [`testing::Host`]: its tests are plain
//!   `cargo test`. Only a build for `wasm32` exports anything.
//! - An error costs that one call: the room gets a neutral sentence, the operator's log gets the message. A panic too;
//!   its message and place are logged as an error first.
//!
//! The crate of a plugin is a library with `crate-type = ["cdylib", "rlib"]`; `hearth build` compiles it.

#[doc(hidden)]
pub mod bindings;
mod bot;
mod error;
#[doc(hidden)]
pub mod exports;
mod host;
pub mod log;
mod parts;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use bindings::hearth::bot::types::{
    Answer, Attribute, Decision, Description, Event, Failure, FailureKind, File, Message, Outcome, Part,
    Prompt, Room, Timestamp, User,
};
pub use bot::{Bot, BotSettings, NoSettings, Package};
pub use error::{Error, Result};
pub use parts::{ask, boost, file, format_plainly, html, ignore, markdown, reply, sound, text};

/// All that a plugin usually needs: `use hearth_plugin::prelude::*;`.
pub mod prelude {
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing;
    pub use crate::{
        Answer, Bot, BotSettings, Decision, Error, Event, Failure, FailureKind, File, Message, NoSettings,
        Outcome, Part, Prompt, Result, Room, User, ask, boost, file, format_plainly, html, ignore, log,
        markdown, reply, sound, text,
    };
}

/// Makes the crate a plugin that is this [`Bot`]. Once per crate.
///
/// The plugin is described with the crate's own name and version. On `wasm32` the plugin's functions are exported; on
/// other targets nothing is, so that the crate can be tested and linked like any other.
#[macro_export]
macro_rules! bot {
    ($bot:ident) => {
        impl $crate::Package for $bot {
            const NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
            const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
        }

        const _: () = $crate::exports::is_a_bot::<$bot>();

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Exported = $crate::exports::Exported<$bot>;
    $crate::bindings::export_bot!(Exported with_types_in $crate::bindings);
        };
    };
}
