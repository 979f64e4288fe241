//! A message that says what the bot is doing and becomes the answer: one message, however much happens meanwhile.
//!
//! On a server that can't edit there is none, and the answer is posted as any other: a placeholder would stay in the room
//! for ever. The same if the operator does not grant `campfire`.

use hearth_plugin::{campfire, prelude::*};

/// What every placeholder begins with, and no answer does.
const MARK: &str = "⏳";
/// How many messages behind the question are looked through for a placeholder that was left there.
const LOOKED_THROUGH: u32 = 40;

/// A message that is not the answer yet.
pub(crate) struct Placeholder {
    /// None where there can't be one.
    message: Option<u64>,
}

impl Placeholder {
    /// Says at once what the bot is doing about a message.
    pub(crate) fn begin(about: u64, doing: &str) -> Self {
        let message = Self::left_behind(about).and_then(|left| match left {
            Some(message) => Ok(Some(message)),
            None => campfire::post(&text(format!("{MARK} {doing}"))),
        });
        let message = message.unwrap_or_else(|error| {
            log::debug(format_args!("there is no placeholder: {error}"));
            None
        });
        Self { message }
    }

    /// The placeholder of a turn about the same message that was cut off, if there is one.
    ///
    /// Servers that have no history can't edit either: they came with the same release of Campfire. So this also tells
    /// whether a placeholder makes sense.
    fn left_behind(about: u64) -> Result<Option<u64>, campfire::Error> {
        let since = campfire::after(about, LOOKED_THROUGH)?;
        Ok(since
            .iter()
            .find(|message| message.mine && message.text.starts_with(MARK))
            .map(|message| message.id))
    }

    /// Says what the bot is doing now, above what there is already, as markdown.
    pub(crate) fn show(&self, doing: &str, so_far: &str) {
        let Some(message) = self.message else { return };
        if let Err(error) = campfire::edit(message, &markdown(format!("{MARK} {doing}\n\n{so_far}"))) {
            log::debug(format_args!("the placeholder stays as it is: {error}"));
        }
    }

    /// Becomes the answer.
    pub(crate) fn end(self, answer: Part) -> Decision {
        let Some(message) = self.message else { return reply(answer) };
        let Err(error) = campfire::edit(message, &answer) else { return reply([]) };
        log::warn(format_args!("the answer is posted anew, since the placeholder can't be edited: {error}"));
        if let Err(error) = campfire::remove(message) {
            log::warn(format_args!("the placeholder stays in the room: {error}"));
        }
        reply(answer)
    }
}
