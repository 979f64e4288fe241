//! Hearth end to end: a real host against the playground, and the doubles that the tests need besides.

pub mod binary;
pub mod browser;
pub mod chaos;
pub mod claude_cli;
pub mod clock;
pub mod costs;
pub mod crooked;
pub mod log;
pub mod messages_api;
pub mod outside;
pub mod plugin_calls;
pub mod preload;
pub mod workbench;
pub mod world;
