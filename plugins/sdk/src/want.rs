//! What a plugin asks the operator for, in [`Bot::WANTS`](crate::Bot::WANTS).
//!
//! A capability that is not asked for is denied, whatever bots.toml grants. `log` and `settings` need no asking.
//!
//! ```
//! use hearth_plugin::prelude::*;
//!
//! const WANTS: &[Want] = &[
//!     want::kv("to remember notes"),
//!     want::campfire("to search what was said in the room").optional(),
//! ];
//! ```

use crate::bindings::hearth::bot::types;
pub use crate::bindings::hearth::bot::types::Capability;

/// A capability that a plugin asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Want {
    /// Which one.
    pub capability: Capability,
    /// True if the plugin is of no use without it: a bot that does not grant it is then refused when it is loaded.
    pub required: bool,
    /// What for, in a few words, for the operator who decides. At most 200 bytes are shown.
    pub purpose: &'static str,
}

/// Keys and values that last: [`kv`](crate::kv).
pub const fn kv(purpose: &'static str) -> Want {
    Want::new(Capability::Kv, purpose)
}

/// Requests to servers that the operator names in `[bots.<name>.http]`: [`http`](crate::http).
pub const fn http(purpose: &'static str) -> Want {
    Want::new(Capability::Http, purpose)
}

/// The room beyond the answer: [`campfire`](crate::campfire).
pub const fn campfire(purpose: &'static str) -> Want {
    Want::new(Capability::Campfire, purpose)
}

/// Timers: [`schedule`](crate::schedule).
pub const fn schedule(purpose: &'static str) -> Want {
    Want::new(Capability::Schedule, purpose)
}

/// The time as it goes on during a call: [`clock`](crate::clock).
pub const fn clock(purpose: &'static str) -> Want {
    Want::new(Capability::Clock, purpose)
}

// === impl Want ===

impl Want {
    const fn new(capability: Capability, purpose: &'static str) -> Self {
        assert!(purpose.len() <= 200, "a purpose has at most 200 bytes");
        Self { capability, required: true, purpose }
    }

    /// The plugin gets by without it: calls are then answered with an error of the kind `Denied`.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

impl From<&Want> for types::Want {
    fn from(want: &Want) -> Self {
        Self {
            capability: want.capability,
            required: want.required,
            purpose: want.purpose.to_owned(),
            attributes: Vec::new(),
        }
    }
}
