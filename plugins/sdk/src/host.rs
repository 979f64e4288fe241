//! The way to the host: its imports on `wasm32`, a recording in this thread elsewhere.

#[cfg(target_arch = "wasm32")]
pub(crate) use imported::{settings, write_log};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use recorded::{record, settings, write_log};

#[cfg(target_arch = "wasm32")]
mod imported {
    use crate::bindings::hearth::bot;

    pub(crate) fn write_log(level: bot::log::Level, message: &str) {
        bot::log::write(level, message);
    }

    pub(crate) fn settings() -> String {
        bot::settings::get()
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod recorded {
    use std::cell::RefCell;

    use crate::log::Level;

    /// As many lines as the host takes of one call.
    const MOST_LINES: usize = 100;

    /// What one call sees and leaves behind.
    #[derive(Default)]
    struct Recording {
        settings: String,
        lines: Vec<(Level, String)>,
    }

    thread_local! {
        /// `None` outside a call made by [`record`]: then there is no host, and lines go nowhere.
        static CURRENT: RefCell<Option<Recording>> = const { RefCell::new(None) };
    }

    /// Runs `call` with these settings; answers what it returned and the lines it logged.
    pub(crate) fn record<T>(settings: &str, call: impl FnOnce() -> T) -> (T, Vec<(Level, String)>) {
        let recording = Recording { settings: settings.to_owned(), lines: Vec::new() };
        CURRENT.with_borrow_mut(|current| *current = Some(recording));
        let returned = call();
        let recording = CURRENT.take().unwrap_or_default();
        (returned, recording.lines)
    }

    pub(crate) fn write_log(level: Level, message: &str) {
        CURRENT.with_borrow_mut(|current| {
            if let Some(recording) = current
                && recording.lines.len() < MOST_LINES
            {
                recording.lines.push((level, message.to_owned()));
            }
        });
    }

    pub(crate) fn settings() -> String {
        CURRENT.with_borrow(|current| match current {
            Some(recording) => recording.settings.clone(),
            None => "{}".to_owned(),
        })
    }
}
