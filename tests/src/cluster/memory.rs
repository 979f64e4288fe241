//! Whether conversations remember what was said, whichever hosts they were on.
//!
//! The demo agent says of each message which one of its conversation it is, and what was said first. So a turn that was
//! run without what others had been told, or with what was told up to an earlier turn only, is seen in its answer.

use std::{collections::BTreeMap, fmt, time::Duration};

use hearth::{id::UserId, playground::Playground};

use crate::{
    chaos::verdict::{Fault, fault},
    stream::{Place, Record, number},
    world::PATIENCE,
};

/// What the answers of a run say.
pub(super) struct Recollection {
    /// Answers that remembered all that was said before.
    remembered: usize,
    /// The longest conversation, in messages.
    longest: u64,
    /// From an acknowledgement to the answer: in the middle, and at most.
    answered_after: (Duration, Duration),
}

impl fmt::Display for Recollection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { remembered, longest, answered_after: (middle, most) } = self;
        write!(
            f,
            "{remembered} answers remembered all that was said before, in the longest conversation {longest} messages; \
             answered {middle:.1?} after the acknowledgement in the middle, {most:.1?} at most"
        )
    }
}

impl Recollection {
    /// Holds the answers of the bot against each other.
    ///
    /// # Errors
    /// If one does not remember something.
    pub(super) fn judge(record: &Record, bot: UserId) -> Result<Self, Fault> {
        let mut faults = String::new();
        let (mut remembered, mut longest) = (0, 0);
        // Of each room: how many messages the conversation had, and the number that was said first.
        let mut rooms: BTreeMap<_, (u64, Option<u64>)> = BTreeMap::new();
        let answers = record.answers().into_iter();
        for answer in answers.filter(|answer| answer.bot == bot && answer.number.is_some()) {
            let Some(count) = count(&answer.text) else {
                fault(&mut faults, format_args!("nothing is counted in {answer:?}"));
                continue;
            };
            let said = said_first(&answer.text).or(answer.number);
            let (before, first) = rooms.entry(answer.room).or_insert((0, said));
            if count <= *before {
                fault(&mut faults, format_args!("after {before} messages: {answer:?}"));
            } else if said != *first {
                fault(&mut faults, format_args!("{first:?} was first: {answer:?}"));
            } else {
                remembered += 1;
            }
            longest = longest.max(count);
            *before = count;
        }
        if faults.is_empty() {
            Ok(Self { remembered, longest, answered_after: answered_after(record) })
        } else {
            Err(Fault(faults))
        }
    }
}

/// Asks in a room what was said there; `asked` says how often that was asked before.
///
/// # Errors
/// If the answer lacks something.
pub(super) async fn remembers(
    playground: &Playground,
    record: &Record,
    place: &Place,
    asked: usize,
) -> Result<(), Fault> {
    let answers: Vec<_> = record.answers().into_iter().filter(|answer| answer.room == place.room).collect();
    let Some(last) = answers.iter().rev().find_map(|answer| answer.number) else { return Ok(()) };
    let question = place.say(playground, "what did I say?");
    let heard = playground.wait_for(
        place.room,
        // What nobody acknowledged may be found just now, and is answered first.
        |message| message.id > question && message.author == place.bot && lists(&message.plain),
        PATIENCE,
    );
    let Some(heard) = heard.await else {
        return Err(Fault(format!("nobody answered in {} what was said there", place.room)));
    };
    let told = count(&heard.plain).unwrap_or_default();
    let most = answers.iter().filter_map(|answer| count(&answer.text)).max().unwrap_or_default();
    let is_known = heard.plain.contains(&format!("n={last} "));
    if told > most && is_known && heard.plain.matches("what did I say?").count() >= asked {
        Ok(())
    } else {
        Err(Fault(format!("{most} messages were answered, the last of them {last}: {}", heard.plain)))
    }
}

/// Whether it is an answer that lists what was said.
fn lists(text: &str) -> bool {
    text.contains("Before this one you said:") || text.contains("Nothing before this:")
}

/// The number in "This is message 7 of our conversation".
fn count(text: &str) -> Option<u64> {
    let (_, after) = text.split_once("his is message ")?;
    after.split_once(' ')?.0.parse().ok()
}

/// The number that "you first said".
fn said_first(text: &str) -> Option<u64> {
    number(text.split_once("you first said ")?.1)
}

fn answered_after(record: &Record) -> (Duration, Duration) {
    let sent: BTreeMap<_, _> = record.sent().into_iter().map(|sent| (sent.number, sent)).collect();
    let mut times: Vec<_> = record
        .answers()
        .iter()
        .filter_map(|answer| Some(answer.at.saturating_duration_since(sent.get(&answer.number?)?.at)))
        .collect();
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    (middle, times.last().copied().unwrap_or_default())
}
