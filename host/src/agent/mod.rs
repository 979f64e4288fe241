//! Agent processes.

pub mod demo;
