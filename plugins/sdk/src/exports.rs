//! From the interface's calls to a [`Bot`]'s functions: reads the settings, turns errors into the interface's.

use crate::{Bot, BotSettings, Decision, Description, Event, Outcome, Package, Part, Result, host};

/// Counts as a use of the bot where nothing is exported, so that its code is checked and not taken for dead.
pub const fn is_a_bot<B: Bot + Package>() {}

pub(crate) fn describe<B: Bot + Package>() -> Description {
    Description {
        name: B::NAME.to_owned(),
        version: B::VERSION.to_owned(),
        settings_schema: B::Settings::SCHEMA.map(str::to_owned),
        attributes: Vec::new(),
    }
}

pub(crate) fn on_message<B: Bot>(event: Event) -> Result<Decision> {
    B::on_message(event, read_settings()?)
}

pub(crate) fn format_reply<B: Bot>(event: Event, outcome: Outcome) -> Result<Vec<Part>> {
    B::format_reply(event, outcome, read_settings()?)
}

fn read_settings<S: BotSettings>() -> Result<S> {
    serde_json::from_str(&host::settings())
        .map_err(|error| format!("the bot's [settings] in bots.toml do not fit the plugin: {error}").into())
}

#[cfg(target_arch = "wasm32")]
pub use wasm::Exported;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use std::marker::PhantomData;

    use crate::{
        Bot, Decision, Description, Event, Outcome, Package, Part,
        bindings::{exports::hearth::bot::handler::Guest, hearth::bot::types::BotError},
        log,
    };

    /// A bot as the component exports it.
    pub struct Exported<B>(PhantomData<B>);

    impl<B: Bot + Package + 'static> Guest for Exported<B> {
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

    /// A guest has no standard error: without this, all that is left of a panic is "unreachable executed".
    fn log_panics() {
        std::panic::set_hook(Box::new(|panic| log::error(panic)));
    }
}
