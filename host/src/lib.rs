//! Hearth: a runtime for the bots of a Campfire.
//!
//! The floors, from the top; a module imports only from those below it:
//! `cli` → `stage` → `serve` → `webhook` · `playground` · `reload` · `toolchain` → `lane` → `turn` → `agent` · `plugin` · `campfire` →
//! `store` → `config` → `id` · `causes`.

pub mod agent;
pub mod campfire;
pub mod causes;
pub mod cli;
pub mod config;
pub mod id;
pub mod lane;
pub mod playground;
pub mod plugin;
pub mod reload;
pub mod serve;
pub mod stage;
pub mod store;
pub mod toolchain;
pub mod turn;
pub mod webhook;
