//! What a call of a plugin costs: a fresh instance, a message in and a decision out.
//!
//! `cargo bench -p hearth-tests`. A component imports what it uses: the echo plugin next to nothing. The hostile test guest
//! can ask for everything the interface has, so it has every import linked; it is in `HEARTH_TEST_GUESTS`, and left out if
//! that is not set. Each call is timed by itself, since the goal is one for the median: 60 µs.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::path::{Path, PathBuf};

use hearth_tests::{binary, plugin_calls::Called};

/// Calls that are timed.
const CALLS: usize = 20_000;

#[tokio::main]
async fn main() {
    let echo = binary::repository().join("plugins/dist/echo.wasm");
    measure("echo", &echo, "What is the largest lake of Africa?").await;
    if let Some(guests) = std::env::var_os("HEARTH_TEST_GUESTS") {
        measure("every import linked", &PathBuf::from(guests).join("hostile.wasm"), "well").await;
    }
}

async fn measure(what: &str, plugin: &Path, text: &str) {
    let mut times = Called::load(plugin).await.times(text, CALLS).await;
    times.sort_unstable_by(f64::total_cmp);
    let microseconds = |part: usize| 1e3 * times[CALLS * part / 100];
    println!(
        "on-message, fresh instance, {what}: p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs of {CALLS} calls",
        microseconds(50),
        microseconds(90),
        microseconds(99)
    );
}
