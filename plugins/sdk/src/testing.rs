//! A host for a plugin's unit tests. Not there on `wasm32`.
//!
//! ```
//! use hearth_plugin::{log::Level, prelude::*};
//! # struct Parrot;
//! # impl Bot for Parrot {
//! #     type Settings = NoSettings;
//! #     fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
//! #         log::info(format_args!("{} spoke", event.user.name));
//! #         Ok(reply(text(event.message.text)))
//! #     }
//! # }
//! # hearth_plugin::bot!(Parrot);
//!
//! let mut event = testing::event("hello");
//! event.user.name = "Bea".into();
//!
//! let mut host = testing::Host::<Parrot>::new();
//! assert_eq!(host.on_message(event)?, reply(text("hello")));
//! assert_eq!(host.logged(), [(Level::Info, "Bea spoke".to_owned())]);
//! # Ok::<(), Error>(())
//! ```

use std::marker::PhantomData;

use crate::{
    Answer, Bot, Decision, Description, Event, Failure, FailureKind, Message, Outcome, Package, Part, Result,
    Room, User, exports, host, log::Level,
};

/// Calls a bot as Hearth does: settings are read for every call, lines are kept. Memory is not cleared between calls, as
/// Hearth does it.
pub struct Host<B> {
    settings: String,
    lines: Vec<(Level, String)>,
    bot: PhantomData<B>,
}

impl<B: Bot + Package> Host<B> {
    /// A host for a bot whose table in bots.toml has no settings.
    pub fn new() -> Self {
        Self::with_settings("{}")
    }

    /// A host for a bot with these settings, as JSON. They are not held against the schema.
    pub fn with_settings(json: impl Into<String>) -> Self {
        Self { settings: json.into(), lines: Vec::new(), bot: PhantomData }
    }

    /// What the plugin says about itself.
    pub fn describe(&mut self) -> Description {
        self.call(exports::describe::<B>)
    }

    /// What the plugin does about a message.
    ///
    /// # Errors
    /// The plugin's own, and settings that it can't read.
    pub fn on_message(&mut self, event: Event) -> Result<Decision> {
        self.call(|| exports::on_message::<B>(event))
    }

    /// What the plugin posts after the agent has ended.
    ///
    /// # Errors
    /// The plugin's own, and settings that it can't read.
    pub fn format_reply(&mut self, event: Event, outcome: Outcome) -> Result<Vec<Part>> {
        self.call(|| exports::format_reply::<B>(event, outcome))
    }

    /// The lines of all calls so far; of each call the first 100.
    pub fn logged(&self) -> &[(Level, String)] {
        &self.lines
    }

    fn call<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let (returned, lines) = host::record(&self.settings, call);
        self.lines.extend(lines);
        returned
    }
}

impl<B: Bot + Package> Default for Host<B> {
    fn default() -> Self {
        Self::new()
    }
}

/// Ann writes this to the bot `bot` in the room "All Talk". Change what a test is about.
pub fn event(text: &str) -> Event {
    Event {
        bot: "bot".to_owned(),
        user: User { id: 1, name: "Ann".to_owned(), attributes: Vec::new() },
        room: Room { id: 7, name: Some("All Talk".to_owned()), attributes: Vec::new() },
        message: Message {
            id: 42,
            text: text.to_owned(),
            html: Some(format!("<div>{}</div>", text.replace('&', "&amp;").replace('<', "&lt;"))),
            attributes: Vec::new(),
        },
        received_at: 1_767_225_600_000,
        attributes: Vec::new(),
    }
}

/// The agent answered this, in one turn and for nothing.
pub fn completed(text: &str) -> Outcome {
    Outcome::Completed(Answer {
        text: text.to_owned(),
        turns: 1,
        cost_usd: Some(0.0),
        memory_lost: false,
        attributes: Vec::new(),
    })
}

/// The agent gave no answer, and the host has this sentence for it.
pub fn failed(kind: FailureKind, sentence: &str) -> Outcome {
    Outcome::Failed(Failure { kind, sentence: sentence.to_owned(), attributes: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BotSettings, Error, log, reply, text};

    #[derive(serde::Deserialize)]
    struct Lines {
        lines: usize,
    }

    impl BotSettings for Lines {}

    struct Chatty;

    impl Bot for Chatty {
        type Settings = Lines;

        fn on_message(_event: Event, settings: Lines) -> Result<Decision> {
            for line in 0..settings.lines {
                log::debug(line);
            }
            Ok(reply(text("Done.")))
        }
    }

    crate::bot!(Chatty);

    #[test]
    fn of_each_call_the_first_hundred_lines_are_kept() {
        let mut host = Host::<Chatty>::with_settings(r#"{"lines": 101}"#);
        host.on_message(event("go")).unwrap();
        assert_eq!(host.logged().last(), Some(&(Level::Debug, "99".to_owned())));
        host.on_message(event("go")).unwrap();
        assert_eq!(host.logged().len(), 200);
    }

    #[test]
    fn settings_that_do_not_fit_are_an_error_that_names_the_place() {
        let error: Error = Host::<Chatty>::new().on_message(event("go")).unwrap_err();
        assert!(error.message().contains("missing field `lines`"), "{error:?}");
        assert!(error.message().contains("bots.toml"), "{error:?}");
    }

    #[test]
    fn unless_written_otherwise_an_answer_is_markdown_and_a_failure_the_hosts_sentence() {
        let mut host = Host::<Chatty>::with_settings(r#"{"lines": 0}"#);
        let mut format = |outcome| host.format_reply(event("go"), outcome).unwrap();
        assert_eq!(format(completed("*Hi*")), [crate::markdown("*Hi*")]);
        assert_eq!(format(completed(" \n")), []);
        assert_eq!(format(failed(FailureKind::Budget, "No money left.")), [text("No money left.")]);
    }

    #[test]
    fn a_bot_is_described_with_its_crates_name_and_version() {
        let described = Host::<Chatty>::new().describe();
        assert_eq!(
            (described.name.as_str(), described.version.as_str()),
            ("hearth-plugin", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(described.settings_schema, None);
    }
}
