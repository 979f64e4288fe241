//! Version 1 of the plugin interface: the bindings, a guest's calls, and the host's side of its imports.
//!
//! This is an edge: the rest of the host speaks of [`types`], and never of a version.

#[cfg(test)]
mod bench;
mod campfire;
mod clock;
mod guest;
mod http;
mod kv;
mod log;
mod schedule;
mod settings;
mod shape;
mod state;
mod wasi;

#[allow(
    missing_docs,
    clippy::pedantic,
    unreachable_pub,
    unused_qualifications,
    reason = "generated from the WIT, where the docs are"
)]
mod bindings {
    pub mod bot {
        wasmtime::component::bindgen!({
            path: "../plugins/wit/v1",
            world: "bot",
            imports: { default: async | trappable },
            exports: { default: async },
            additional_derives: [PartialEq],
        });
    }

    /// The worlds that a plugin may leave out. They share the first one's types and imports.
    macro_rules! optional {
        ($world:ident, $name:literal) => {
            pub mod $world {
                wasmtime::component::bindgen!({
                    path: "../plugins/wit/v1",
                    world: $name,
                    exports: { default: async },
                    additional_derives: [PartialEq],
                    with: {
                        "hearth:bot/types": super::bot::hearth::bot::types,
                        "hearth:bot/log": super::bot::hearth::bot::log,
                        "hearth:bot/settings": super::bot::hearth::bot::settings,
                        "hearth:bot/kv": super::bot::hearth::bot::kv,
                        "hearth:bot/http": super::bot::hearth::bot::http,
                        "hearth:bot/campfire": super::bot::hearth::bot::campfire,
                        "hearth:bot/schedule": super::bot::hearth::bot::schedule,
                        "hearth:bot/clock": super::bot::hearth::bot::clock,
                    },
                });
            }
        };
    }

    optional!(tools, "tools");
    optional!(progress, "progress");
    optional!(scheduled, "scheduled");
    optional!(events, "events");
}

pub(super) use self::{
    guest::Guest,
    state::{Calling, State},
};

/// The bytes in the JSON of a trace.
pub(super) fn bytes_of(value: &serde_json::Value) -> Option<Vec<u8>> {
    serde_json::from_value::<shape::Bytes<'static>>(value.clone()).ok().map(|bytes| bytes.0.into_owned())
}

/// The interface's types, which are the host's own words for the same things.
pub(super) mod types {
    pub use super::bindings::{
        bot::hearth::bot::types::{
            Answer, BotError, Capability, Cause, Decision, Description, Event, Failure, FailureKind, File,
            Message, Occurrence, Outcome, Part, Prompt, Room, Sent, Timer, TimerOrigin, User, Want,
        },
        progress::exports::hearth::bot::presenter::{Display, Progress, Step},
        tools::exports::hearth::bot::toolbox::{Tool, ToolError, ToolErrorKind, ToolOutput},
    };
}
