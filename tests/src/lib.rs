//! Hearth end to end, and the doubles it is tested against.

pub mod claude_cli;
pub mod messages_api;
