//! What a call of a plugin costs: a fresh instance, a message in and a decision out.

use std::{hint::black_box, path::Path, time::Instant};

use hearth::plugin::Cause;

use crate::workbench::Workbench;

/// A plugin that is called again and again.
pub struct Called {
    bench: Workbench,
}

impl Called {
    /// Loads and compiles it.
    ///
    /// # Panics
    /// If it can't be loaded.
    pub async fn load(file: &Path) -> Self {
        let bench = Workbench::file(file, "").await;
        Self { bench: bench.unwrap_or_else(|error| panic!("{}: {error}", file.display())) }
    }

    /// A message for it.
    pub fn message(&self, text: &str) -> Cause {
        self.bench.message(text)
    }

    /// Hands it a message.
    ///
    /// # Panics
    /// If it fails.
    pub async fn call(&self, message: &Cause) {
        let decision = self.bench.generation.decide(&self.bench.reach, message).await;
        black_box(decision.expect("the plugin answers"));
    }

    /// How long each of that many calls took, in milliseconds, after a tenth as many that are not timed.
    pub async fn times(&self, text: &str, calls: usize) -> Vec<f64> {
        let message = self.message(text);
        for _ in 0..calls / 10 {
            self.call(&message).await;
        }
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let began = Instant::now();
            self.call(&message).await;
            times.push(1e3 * began.elapsed().as_secs_f64());
        }
        times
    }
}
