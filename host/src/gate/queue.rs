//! Who is let in next: the bots take turns, and each bot's own come in the order in which they came.

use std::collections::{HashMap, VecDeque};

use crate::id::BotName;

/// Somebody's number.
pub(super) type Ticket = u64;

pub(super) struct Queue {
    places: usize,
    /// How many places each bot has; none of them is 0.
    taken: HashMap<BotName, usize>,
    /// The bots of which somebody waits. The first is next, and goes to the end then.
    lines: VecDeque<Line>,
    next: Ticket,
}

/// Those of one bot who wait; never empty.
struct Line {
    bot: BotName,
    /// How many places it may have.
    share: usize,
    tickets: VecDeque<Ticket>,
}

impl Queue {
    pub(super) fn new(places: usize) -> Self {
        Self { places, taken: HashMap::new(), lines: VecDeque::new(), next: 0 }
    }

    /// Somebody comes. The bot's share is what the last one says.
    pub(super) fn join(&mut self, bot: &BotName, share: Option<usize>) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        let share = share.unwrap_or(usize::MAX).max(1);
        if let Some(line) = self.lines.iter_mut().find(|line| line.bot == *bot) {
            line.share = share;
            line.tickets.push_back(ticket);
        } else {
            self.lines.push_back(Line { bot: bot.clone(), share, tickets: [ticket].into() });
        }
        ticket
    }

    /// Lets the next one in, if there is a place and anybody who may have it.
    pub(super) fn admit(&mut self) -> Option<Ticket> {
        if self.is_full() {
            return None;
        }
        let may = |line: &Line| self.taken.get(&line.bot).is_none_or(|taken| *taken < line.share);
        let mut line = self.lines.iter().position(may).and_then(|next| self.lines.remove(next))?;
        let ticket = line.tickets.pop_front()?;
        *self.taken.entry(line.bot.clone()).or_default() += 1;
        if !line.tickets.is_empty() {
            self.lines.push_back(line);
        }
        Some(ticket)
    }

    /// Whether every place is taken.
    pub(super) fn is_full(&self) -> bool {
        self.taken.values().sum::<usize>() >= self.places
    }

    /// Somebody of this bot gives a place back.
    pub(super) fn leave(&mut self, bot: &BotName) {
        if let Some(taken) = self.taken.get_mut(bot) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(bot);
            }
        }
    }

    /// Somebody who waits does so no longer.
    pub(super) fn give_up(&mut self, bot: &BotName, ticket: Ticket) {
        if let Some(line) = self.lines.iter_mut().find(|line| line.bot == *bot) {
            line.tickets.retain(|waiting| *waiting != ticket);
        }
        self.lines.retain(|line| !line.tickets.is_empty());
    }

    /// Whether nobody waits and nobody has a place.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.taken.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bot(number: usize) -> BotName {
        BotName::from(format!("bot-{number}").as_str())
    }

    #[test]
    fn a_bot_that_comes_late_is_second() {
        let mut queue = Queue::new(1);
        let crowd: Vec<_> = (0..5).map(|_| queue.join(&bot(0), None)).collect();
        assert_eq!(queue.admit(), Some(crowd[0]));
        let late = queue.join(&bot(1), None);
        queue.leave(&bot(0));
        assert_eq!(queue.admit(), Some(crowd[1]));
        queue.leave(&bot(0));
        assert_eq!(queue.admit(), Some(late));
    }

    #[test]
    fn a_share_leaves_the_other_places_free() {
        let mut queue = Queue::new(3);
        for _ in 0..3 {
            queue.join(&bot(0), Some(2));
        }
        assert!(queue.admit().is_some() && queue.admit().is_some());
        assert_eq!(queue.admit(), None);
        let other = queue.join(&bot(1), None);
        assert_eq!(queue.admit(), Some(other));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Join(usize),
        /// One of those inside leaves.
        Leave(usize),
        /// One of those waiting gives up.
        GiveUp(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4usize).prop_map(Step::Join),
            3 => any::<usize>().prop_map(Step::Leave),
            1 => any::<usize>().prop_map(Step::GiveUp),
        ]
    }

    proptest! {
        #[test]
        fn no_place_too_many_none_unused_and_nobody_passed_over(
            places in 1..6usize,
            shares in prop::collection::vec(prop::option::of(1..4usize), 4),
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let mut queue = Queue::new(places);
            let mut inside: Vec<(usize, Ticket)> = Vec::new();
            let mut waiting: Vec<(usize, Ticket)> = Vec::new();
            // How often each other bot was let in while this one waited and could have been.
            let mut passed = vec![vec![0; 4]; 4];
            for step in steps {
                match step {
                    Step::Join(number) => waiting.push((number, queue.join(&bot(number), shares[number]))),
                    Step::Leave(index) if !inside.is_empty() => {
                        let (number, _) = inside.remove(index % inside.len());
                        queue.leave(&bot(number));
                    }
                    Step::GiveUp(index) if !waiting.is_empty() => {
                        let (number, ticket) = waiting.remove(index % waiting.len());
                        queue.give_up(&bot(number), ticket);
                    }
                    _ => {}
                }
                let has_room = |inside: &[(usize, Ticket)], number: usize| {
                    let taken = inside.iter().filter(|(other, _)| *other == number).count();
                    shares[number].is_none_or(|share| taken < share)
                };
                for (number, passed) in passed.iter_mut().enumerate() {
                    if !waiting.iter().any(|(other, _)| *other == number) {
                        passed.fill(0);
                    }
                }
                while let Some(ticket) = queue.admit() {
                    let index = waiting.iter().position(|(_, waiting)| *waiting == ticket);
                    prop_assert!(index.is_some(), "nobody waits with that number");
                    let (number, _) = waiting[index.unwrap()];
                    let first = waiting.iter().find(|(other, _)| *other == number).unwrap().1;
                    prop_assert_eq!(first, ticket, "within a bot, in order");
                    for (other, passed) in passed.iter_mut().enumerate() {
                        let waits = waiting.iter().any(|(bot, _)| *bot == other);
                        if other != number && waits && has_room(&inside, other) {
                            passed[number] += 1;
                            prop_assert!(passed[number] <= 1, "{} passed {} twice", number, other);
                        }
                    }
                    passed[number].fill(0);
                    waiting.remove(index.unwrap());
                    inside.push((number, ticket));
                    prop_assert!(inside.len() <= places);
                    let taken = inside.iter().filter(|(other, _)| *other == number).count();
                    prop_assert!(shares[number].is_none_or(|share| taken <= share));
                }
                let could = waiting.iter().any(|(number, _)| has_room(&inside, *number));
                prop_assert!(inside.len() == places || !could, "a place is unused");
            }
        }
    }
}
