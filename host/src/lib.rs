//! Hearth: a runtime for the bots of a Campfire.
//!
//! The floors, from the top; a module imports only from those below it:
//! `cli` → `stage` → `serve` → `admin` → `webhook` · `missed` · `alarm` · `upkeep` · `operator` · `playground` → `cluster` → `reload` · `toolchain` →
//! `lane` → `turn` → `rehearsal` · `telemetry` → `agent` · `plugin` · `campfire` → `store` · `egress` → `config` · `gate` → `id` · `address` · `causes` ·
//! `activation` · `connections` · `progress` · `tenure` · `window`.

pub mod activation;
pub mod address;
pub mod admin;
pub mod agent;
pub mod alarm;
pub mod campfire;
pub mod causes;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod connections;
pub mod egress;
pub mod gate;
pub mod id;
pub mod lane;
pub mod missed;
pub mod operator;
pub mod playground;
pub mod plugin;
pub mod progress;
pub mod rehearsal;
pub mod reload;
pub mod serve;
pub mod stage;
pub mod store;
pub mod telemetry;
pub mod tenure;
pub mod toolchain;
pub mod turn;
mod upkeep;
pub mod webhook;
mod window;
