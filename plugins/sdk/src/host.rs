//! The way to the host: its imports on `wasm32`, those of a test harness elsewhere. Both have the same functions.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::hearth::bot::{campfire, clock, http, kv, log, schedule, settings};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::imports::{campfire, clock, http, kv, log, schedule, settings};
