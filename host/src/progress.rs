//! What takes a while says so: a line in a terminal that moves, and goes when it is over.
//!
//! Nothing is shown where standard error is no terminal, and unless this process is a command that [`show`] was called for:
//! the lines of a host's log would tear it apart.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it moves.
const TICK: Duration = Duration::from_millis(100);

static SHOWN: AtomicBool = AtomicBool::new(false);

/// Something that goes on. It is over when this is dropped.
pub struct Progress(ProgressBar);

/// Has progress be shown from now on.
pub fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

impl Progress {
    /// Says what goes on.
    pub fn of(what: &str) -> Self {
        if !SHOWN.load(Ordering::Relaxed) {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:.dim}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Says something else.
    pub fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Whether anybody sees it.
    pub fn is_seen(&self) -> bool {
        !self.0.is_hidden()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
