//! This process's log, kept so that a test can look at it.

use std::{
    io,
    sync::{LazyLock, Mutex, PoisonError},
};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Kept;

/// Keeps this process's log from now on, that of all its tests together.
pub fn keep() {
    static KEPT: LazyLock<()> =
        LazyLock::new(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Kept).init());
    LazyLock::force(&KEPT);
}

/// The lines so far that hold these words.
pub fn lines_with(words: &str) -> Vec<String> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let log = String::from_utf8_lossy(&log);
    log.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
