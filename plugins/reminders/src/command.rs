//! What people write to the bot.

use crate::{MOST_IN_A_ROOM, reminder::Which, when::When};

/// What somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// To know what can be written.
    Help,
    /// To know what there is.
    List,
    /// To take a reminder back.
    Cancel(Which),
    /// To be reminded.
    Remind(Request),
}

/// A reminder that somebody wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Whether all in the room are to be reminded.
    pub(crate) everyone: bool,
    /// When.
    pub(crate) when: When,
    /// What of, as it was written.
    pub(crate) what: String,
}

/// Why something is not done: what the room is told.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is no command.
    #[error("I only know about reminders. Try: remind me in 20 minutes to stretch – or `help` for more.")]
    Unknown,
    /// Neither me nor us.
    #[error("Whom? I can remind `me` or `us`: remind us at 15:30 that the demo begins")]
    Whom,
    /// No time was found.
    #[error(
        "When? Write for example: remind me in 2h 30m to stretch – or: remind me tomorrow at 9 to stretch"
    )]
    When,
    /// Nothing to be reminded of.
    #[error("What of? Write for example: remind me in 20 minutes to stretch")]
    What,
    /// Neither number nor words.
    #[error("Which one? Write for example: cancel 2 – or: cancel stretch. `list` shows all of them.")]
    Which,
    /// The time is no longer to come.
    #[error("{0} has passed. Write for example: remind me in 20 minutes to stretch")]
    Passed(String),
    /// The time is too far away.
    #[error(
        "That is too far away: I can remind you of what comes within a year. For example: remind me in 8 weeks to renew the certificate"
    )]
    Far,
    /// What is to be kept is too much.
    #[error(
        "That is too long for me to keep. Write me a few words, for example: remind me in 20 minutes to read the long message above"
    )]
    Long,
    /// The room has all the reminders that it may have.
    #[error(
        "This room has {MOST_IN_A_ROOM} reminders already, and that is all I can keep. `list` shows them; take one back with, for example: cancel 2"
    )]
    FullRoom,
    /// The bot has all the reminders that it may have.
    #[error(
        "I have as many reminders to keep, over all rooms, as I can. Try again when some have come, or take one back with, for example: cancel 2"
    )]
    Full,
}

/// A text and its words.
struct Words<'a> {
    text: &'a str,
    /// Where each begins.
    starts: Vec<usize>,
    /// In lower case, without the punctuation behind them.
    plain: Vec<String>,
}

// === impl Command ===

impl Command {
    /// Reads a message.
    ///
    /// # Errors
    /// What is missing in it.
    pub(crate) fn read(text: &str) -> Result<Self, Refusal> {
        let words = Words::of(text);
        let plain = words.plain();
        let plain = plain.strip_prefix(&["please"]).unwrap_or(&plain);
        let skipped = words.len() - plain.len();
        match plain {
            [] | ["help", ..] => Ok(Self::Help),
            ["list"] | ["list", "reminders"] => Ok(Self::List),
            ["cancel"] => Err(Refusal::Which),
            ["cancel", ..] => Ok(Self::Cancel(which(words.from(skipped + 1)))),
            ["remind", "me" | "us", ..] => {
                let everyone = plain[1] == "us";
                let (when, what) = Words::of(words.from(skipped + 2)).request()?;
                Ok(Self::Remind(Request { everyone, when, what }))
            }
            ["remind", ..] => Err(Refusal::Whom),
            _ => Err(Refusal::Unknown),
        }
    }
}

fn which(said: &str) -> Which {
    match said.trim_start_matches('#').parse() {
        Ok(number) => Which::Number(number),
        Err(_) => Which::Saying(said.to_owned()),
    }
}

// === impl Words ===

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        let words = text.split_whitespace();
        let starts = words.clone().map(|word| word.as_ptr() as usize - text.as_ptr() as usize).collect();
        let plain =
            words.map(|word| word.trim_end_matches([',', '.', ':', ';', '!', '?']).to_lowercase()).collect();
        Self { text, starts, plain }
    }

    fn len(&self) -> usize {
        self.starts.len()
    }

    fn plain(&self) -> Vec<&str> {
        self.plain.iter().map(String::as_str).collect()
    }

    /// The text from this word on; empty behind the last.
    fn from(&self, word: usize) -> &'a str {
        self.between(word, self.len())
    }

    /// The text from one word to before another.
    fn between(&self, from: usize, to: usize) -> &'a str {
        let start = |word: usize| self.starts.get(word).copied().unwrap_or(self.text.len());
        self.text[start(from)..start(to)].trim()
    }

    /// Reads what follows "remind me": the time and then what of, or the other way round.
    fn request(&self) -> Result<(When, String), Refusal> {
        let plain = self.plain();
        let (front, begin) = match When::read(&plain) {
            Some((when, taken)) => (Some(when), taken),
            None => (None, 0),
        };
        let begin = begin + usize::from(matches!(plain.get(begin), Some(&("to" | "that" | "about" | "of"))));
        // The earliest word from which all the rest is a time. The first word is what it is about, even if it is a time.
        let back = (begin + 1..self.len()).find_map(|word| Some((When::read_whole(&plain[word..])?, word)));
        let (when, end) = match (front, back) {
            (Some(front), Some((back, word))) => match front.at_time_of(&back) {
                Some(when) => (when, word),
                None => (front, self.len()),
            },
            (Some(front), None) => (front, self.len()),
            (None, Some((back, word))) => (back, word),
            (None, None) => return Err(Refusal::When),
        };
        match self.between(begin, end) {
            "" => Err(Refusal::What),
            what => Ok((when, what.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(text: &str) -> (bool, Option<When>, String) {
        match Command::read(text) {
            Ok(Command::Remind(Request { everyone, when, what })) => (everyone, Some(when), what),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn when(text: &str) -> Option<When> {
        When::read_whole(&text.split(' ').collect::<Vec<_>>())
    }

    #[test]
    fn the_time_may_come_first_or_last() {
        for (text, time, what) in [
            ("remind me in 20 minutes to stretch", "in 20 minutes", "stretch"),
            ("Remind me to stretch in 20 minutes.", "in 20 minutes", "stretch"),
            ("please remind me at 15:30: call Bea", "at 15:30", "call Bea"),
            ("remind me about the report tomorrow at 9", "tomorrow at 9", "the report"),
            ("remind me tomorrow to call Bea at 3pm!", "tomorrow at 3pm", "call Bea"),
            ("remind me in 20 minutes to join the call at 15:30", "in 20 minutes", "join the call at 15:30"),
            ("remind me on Monday that the demo is on Friday", "on monday", "the demo is on Friday"),
            ("remind me in 5 minutes 3 people wait", "in 5 minutes", "3 people wait"),
            ("remind me to look in at 15:30", "at 15:30", "look in"),
            ("remind me tomorrow to\n- eat\n- sleep", "tomorrow", "- eat\n- sleep"),
        ] {
            assert_eq!(request(text), (false, when(time), what.to_owned()), "{text}");
        }
        assert_eq!(request("REMIND US at noon to eat"), (true, when("at noon"), "eat".to_owned()));
    }

    #[test]
    fn a_number_is_a_number_and_anything_else_what_it_says() {
        for (text, expected) in [
            ("cancel 2", Which::Number(2)),
            ("Cancel #12", Which::Number(12)),
            ("cancel the 2 eggs", Which::Saying("the 2 eggs".to_owned())),
            ("cancel -1", Which::Saying("-1".to_owned())),
        ] {
            assert_eq!(Command::read(text), Ok(Command::Cancel(expected)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_what_of_is_part_of_it(text in "(remind (me|us) )?(in 5m|at 9|\\PC| |\n){0,20}") {
            if let Ok(Command::Remind(request)) = Command::read(&text) {
                prop_assert!(!request.what.is_empty());
                prop_assert!(text.contains(&request.what));
            }
        }
    }
}
