//! What is kept of a reminder, as the payload of a timer.

use std::fmt;

use hearth_plugin::{Timestamp, log, schedule, schedule::Pending};
use serde::{Deserialize, Serialize};

use crate::command::Refusal;

/// The interface's bound.
pub(crate) const MOST_IN_A_ROOM: usize = 100;
/// The interface's bound, in bytes.
const LARGEST_PAYLOAD: usize = 4 << 10;
/// Characters of a person's name that are kept.
const LONGEST_NAME: usize = 100;

/// A reminder. Kept as JSON and read again by later versions of this plugin: to change a field, add a version to [`Kept`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reminder {
    /// What people call it by.
    pub(crate) number: u32,
    /// Who wanted it.
    pub(crate) name: String,
    /// Whether it is for all in the room.
    pub(crate) everyone: bool,
    /// What of.
    pub(crate) text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Kept {
    #[serde(rename = "1")]
    One(Reminder),
}

/// Which reminder somebody means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one of this number.
    Number(u32),
    /// The one with these words in its text, in any case.
    Saying(String),
}

/// Why a reminder was not set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// For a reason that the room is told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The host can't.
    #[error(transparent)]
    Host(#[from] schedule::Error),
    /// The payload can't be written.
    #[error("the reminder can't be written: {0}")]
    Unwritable(#[from] serde_json::Error),
}

/// The reminders of this room with their timers, the next one first.
pub(crate) fn pending() -> Result<Vec<(Pending, Reminder)>, schedule::Error> {
    let read = |timer: Pending| match Reminder::read(&timer.payload) {
        Ok(reminder) => Some((timer, reminder)),
        Err(error) => {
            log::warn(format_args!("the timer `{}` is passed over: {error}", timer.name));
            None
        }
    };
    Ok(schedule::list()?.into_iter().filter_map(read).collect())
}

/// A text on one line, cut to so many characters.
pub(crate) fn one_line(text: &str, longest: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

// === impl Reminder ===

impl Reminder {
    /// A reminder that has no number yet.
    pub(crate) fn new(name: &str, everyone: bool, text: String) -> Self {
        Self { number: 0, name: one_line(name, LONGEST_NAME), everyone, text }
    }

    /// Reads a timer's payload, of this version or an earlier one.
    pub(crate) fn read(payload: &str) -> Result<Self, serde_json::Error> {
        let Kept::One(reminder) = serde_json::from_str(payload)?;
        Ok(reminder)
    }

    /// Sets it and answers its number, one more than the highest in the room.
    ///
    /// The timer is named after the message that asks for it: a turn that was cut off and is begun again sets it once.
    pub(crate) fn set(mut self, message: u64, due_at: Timestamp) -> Result<u32, Error> {
        let name = format!("message-{message}");
        let others: Vec<_> = pending()?.into_iter().filter(|(timer, _)| timer.name != name).collect();
        self.number =
            others.iter().map(|(_, other)| other.number).max().map_or(1, |highest| highest.saturating_add(1));
        let number = self.number;
        let payload = serde_json::to_string(&Kept::One(self))?;
        if payload.len() > LARGEST_PAYLOAD {
            return Err(Refusal::Long.into());
        }
        match schedule::at(&name, due_at, &payload) {
            Ok(()) => Ok(number),
            Err(schedule::Error::Quota(_)) if others.len() >= MOST_IN_A_ROOM => Err(Refusal::FullRoom.into()),
            Err(schedule::Error::Quota(cause)) => {
                log::warn(cause);
                Err(Refusal::Full.into())
            }
            Err(other) => Err(other.into()),
        }
    }
}

// === impl Which ===

impl Which {
    pub(crate) fn is(&self, reminder: &Reminder) -> bool {
        match self {
            Self::Number(number) => reminder.number == *number,
            Self::Saying(words) => reminder.text.to_lowercase().contains(&words.to_lowercase()),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Saying(words) => write!(f, "that says “{}”", one_line(words, LONGEST_NAME)),
        }
    }
}
