//! A host for a plugin's unit tests. Not there on `wasm32`.
//!
//! A [`Harness`] calls the bot as Hearth does and answers its imports from memory: keys and values, a room with its
//! messages, timers and a clock that the test moves, servers that answer what the test says. The interface's limits hold,
//! what is not asked for or not granted is denied, and a result that the host would refuse is an error. (Memory is not cleared between calls, as Hearth does it.)
//!
//! ```
//! use hearth_plugin::{log::Level, prelude::*, testing::Harness};
//!
//! struct Guide;
//!
//! impl Bot for Guide {
//!     type Settings = NoSettings;
//!
//!     fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
//!         log::info(format_args!("{} asks", event.user.name));
//!         Ok(ask(event.message.text))
//!     }
//! }
//!
//! hearth_plugin::bot!(Guide);
//!
//! let mut event = testing::event("Where to?");
//! event.user.name = "Bea".into();
//!
//! let mut harness = Harness::<Guide>::new();
//! harness.message(event)?;
//! assert_eq!(harness.prompt().text, "Where to?");
//! assert_eq!(harness.answers("**Left.**")?, [markdown("**Left.**")]);
//! assert_eq!(harness.lines(), [(Level::Info, "Bea asks".to_owned())]);
//! # Ok::<(), Error>(())
//! ```

mod bounds;
mod harness;
pub(crate) mod imports;
mod records;
mod room;
mod samples;
mod scene;
mod store;
mod timers;
mod web;
mod world;

pub use harness::Harness;
pub use records::{Action, Offered, Said};
pub use samples::{completed, event, failed, occurrence, progress, timer};
