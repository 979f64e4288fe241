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
