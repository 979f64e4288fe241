//! A plugin that takes timers and events, and sets timers as messages tell it.

#[cfg(target_arch = "wasm32")]
mod guest;
