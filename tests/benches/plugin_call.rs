//! What a call of a plugin costs: a fresh instance, every import linked, a message in and a decision out.
//!
//! `cargo bench -p hearth-tests`. It calls the echo plugin, of `HEARTH_TEST_GUESTS` if that is set, else of
//! `plugins/dist`. Each call is timed by itself, since the goal is one for the median: 60 µs.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{
    hint::black_box,
    path::PathBuf,
    time::{Duration, Instant},
};

use hearth_tests::{binary, workbench::Workbench};

/// Calls before the first one that is timed.
const WARM_UP: usize = 2_000;
/// Calls that are timed.
const CALLS: usize = 20_000;

fn echo() -> PathBuf {
    let folder = std::env::var_os("HEARTH_TEST_GUESTS");
    folder.map_or_else(|| binary::repository().join("plugins/dist"), PathBuf::from).join("echo.wasm")
}

#[tokio::main]
async fn main() {
    let bench = Workbench::file(&echo(), "").await.expect("the echo plugin loads");
    let cause = bench.message("What is the largest lake of Africa?");
    let mut times = Vec::with_capacity(WARM_UP + CALLS);
    for _ in 0..WARM_UP + CALLS {
        let began = Instant::now();
        black_box(bench.generation.decide(&bench.reach, &cause).await.expect("echo answers"));
        times.push(began.elapsed());
    }
    let mut times = times.split_off(WARM_UP);
    times.sort_unstable();
    let microseconds = |part: usize| 1e6 * Duration::as_secs_f64(&times[CALLS * part / 100]);
    println!(
        "on-message, fresh instance: p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs of {CALLS} calls",
        microseconds(50),
        microseconds(90),
        microseconds(99)
    );
}
