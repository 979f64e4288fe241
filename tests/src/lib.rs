//! Hearth end to end: a real host against the playground, and the doubles that the tests need besides.

pub mod binary;
pub mod browser;
mod chance;
pub mod chaos;
pub mod claude_cli;
pub mod clock;
pub mod cluster;
pub mod costs;
pub mod crooked;
pub mod log;
pub mod messages_api;
pub mod outside;
pub mod plugin_calls;
pub mod preload;
pub mod proxy;
pub mod redis_server;
pub mod soak;
mod stream;
pub mod workbench;
pub mod world;
