//! The log: for people in a terminal, JSON otherwise; always on standard error. `RUST_LOG` chooses what is in it.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts the log with everything from `default` on ("info", "warn"). Of rmcp only warnings: it tells of every message.
pub(super) fn start(default: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{default},rmcp=warn")));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second start in one process is a test's; the first log stays.
    let _ = if io::stderr().is_terminal() {
        log.with_target(false).compact().try_init()
    } else {
        log.json().flatten_event(true).with_current_span(false).try_init()
    };
}
