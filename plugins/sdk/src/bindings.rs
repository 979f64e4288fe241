//! What `wit-bindgen` makes of `plugins/wit/v1`: the types, the imports, and the macro that exports a plugin.

#![expect(
    clippy::same_length_and_capacity,
    reason = "how the generated code takes over what the host has written"
)]

wit_bindgen::generate!({
    path: "../wit/v1",
    world: "bot",
    additional_derives: [Clone, PartialEq],
    pub_export_macro: true,
    export_macro_name: "export_bot",
});

/// The worlds that a plugin may leave out. They share the first one's types and imports.
macro_rules! optional {
    ($world:ident, $name:literal, $export:literal) => {
        #[doc(hidden)]
        pub mod $world {
            wit_bindgen::generate!({
                path: "../wit/v1",
                world: $name,
                additional_derives: [Clone, PartialEq],
                pub_export_macro: true,
                export_macro_name: $export,
                with: {
                    "hearth:bot/types@1.0.0": crate::bindings::hearth::bot::types,
                    "hearth:bot/log@1.0.0": crate::bindings::hearth::bot::log,
                    "hearth:bot/settings@1.0.0": crate::bindings::hearth::bot::settings,
                    "hearth:bot/kv@1.0.0": crate::bindings::hearth::bot::kv,
                    "hearth:bot/http@1.0.0": crate::bindings::hearth::bot::http,
                    "hearth:bot/campfire@1.0.0": crate::bindings::hearth::bot::campfire,
                    "hearth:bot/schedule@1.0.0": crate::bindings::hearth::bot::schedule,
                    "hearth:bot/clock@1.0.0": crate::bindings::hearth::bot::clock,
                },
            });
        }
    };
}

optional!(tools, "tools", "export_tools");
optional!(progress, "progress", "export_progress");
optional!(scheduled, "scheduled", "export_scheduled");
optional!(events, "events", "export_events");
