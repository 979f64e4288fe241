//! The machine, and whether it was quiet enough for the figures to mean anything.

use std::{fs, hint::black_box, time::Instant};

use crate::figure::{milliseconds, quantile};

/// What the calibration does: about 10 ms of arithmetic.
const STEPS: u64 = 8_000_000;
/// How often in a row.
const REPEATS: usize = 5;
/// With a wider spread, nothing close can be told apart.
const QUIET: f64 = 0.15;

/// The same work again and again, over the whole run: what differs is the machine.
#[derive(Default)]
pub(crate) struct Noise {
    times: Vec<f64>,
}

impl Noise {
    pub(crate) fn sample(&mut self) {
        for _ in 0..REPEATS {
            let began = Instant::now();
            let mut state = black_box(1_u64);
            for _ in 0..STEPS {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            }
            black_box(state);
            self.times.push(milliseconds(began.elapsed()));
        }
    }

    /// The slowest tenth over the middle, as a share of it.
    pub(crate) fn spread(&self) -> f64 {
        if self.times.is_empty() {
            return 0.0;
        }
        quantile(&self.times, 0.9) / quantile(&self.times, 0.5) - 1.0
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.spread() <= QUIET
    }

    /// In a sentence.
    pub(crate) fn verdict(&self) -> String {
        let spread = 100.0 * self.spread();
        let (times, limit) = (self.times.len(), 100.0 * QUIET);
        if self.is_quiet() {
            format!(
                "The machine was quiet: of {times} equal loops over the run, nine of ten took no more than {spread:.0} % above the median (limit {limit:.0} %)."
            )
        } else {
            format!(
                "THE MACHINE WAS TOO NOISY to tell small differences: of {times} equal loops over the run, one of ten took more than {spread:.0} % above the median (limit {limit:.0} %)."
            )
        }
    }
}

/// What it is, in a line.
pub(crate) fn description() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown CPU", |(_, model)| model.trim()).to_owned();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = read("/proc/meminfo");
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB"));
    let gib = kib.and_then(|kib| kib.trim().parse::<f64>().ok()).unwrap_or_default() / 1024.0 / 1024.0;
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {model}, {gib:.0} GB, Linux {}", kernel.trim())
}

/// Today, as 2026-11-26.
pub(crate) fn date() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
