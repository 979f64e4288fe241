//! Which processes wait, for what, and which of them go: plain data, and the tasks that hold them at its ends.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    agent::live::{Live, Terms},
    config::Warm,
    id::{BotName, RoomId, SessionId, Timestamp},
    store::Mark,
};

/// The agents' processes at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Processes {
    /// How many are at work on a turn, or about to be started for one.
    pub busy: usize,
    /// Those that wait, the one that waits longest first.
    pub waiting: Vec<WaitingProcess>,
}

/// A process that waits for a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WaitingProcess {
    /// Whose.
    pub bot: BotName,
    /// The room whose next message it waits for; none of a spare, which waits for a first message anywhere.
    pub room: Option<RoomId>,
    /// Its share of the memory, in bytes; none until it was measured.
    pub memory: Option<u64>,
    /// Since when it waits.
    pub since: Timestamp,
}

/// How somebody asks a task for its process.
pub(in crate::agent) type Asked = oneshot::Receiver<oneshot::Sender<Live>>;

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) processes: HashMap<Key, Entry>,
    /// Counts up with each entry: the lowest number was used the longest time ago.
    next: u64,
    /// How many processes are in use.
    pub(super) in_use: usize,
    /// What any of them took, in bytes, the largest.
    pub(super) largest: u64,
    /// The terms of each bot's last message.
    pub(super) last_terms: HashMap<BotName, Arc<Terms>>,
    /// Nothing may wait any more.
    pub(super) is_closed: bool,
}

/// Whose process it is. A room's turns follow each other, so there is at most one.
pub(in crate::agent) type Place = (BotName, RoomId);

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A first message: of one of this bot's conversations, which then has this name.
    Spare(BotName, SessionId),
    /// The next message of this room.
    Room(Place),
}

/// A process that waits, in the hands of a task of its own. Dropping this tells the task to end it.
pub(super) struct Entry {
    pub(super) number: u64,
    since: Timestamp,
    pub(super) session: SessionId,
    pub(super) terms: Arc<Terms>,
    /// Up to where it knows the conversation, as the store that hosts share has it.
    pub(super) mark: Option<Mark>,
    /// In bytes, once it is measured.
    pub(super) memory: u64,
    /// It can be given away.
    pub(super) is_up: bool,
    /// Asks the task for the process.
    hand: oneshot::Sender<oneshot::Sender<Live>>,
    /// The task is over, and so is its process unless it was given away.
    pub(super) over: CancellationToken,
}

// === impl Waiting ===

impl Waiting {
    /// Has a task's process wait for this. The number of the entry, how the task is asked, and what tells that it is over.
    pub(super) fn enter(
        &mut self,
        key: Key,
        session: SessionId,
        terms: Arc<Terms>,
        is_up: bool,
    ) -> (u64, Asked, DropGuard) {
        let (hand, asked) = oneshot::channel();
        let over = CancellationToken::new();
        self.next += 1;
        let number = self.next;
        let entry = Entry {
            number,
            since: Timestamp::now(),
            session,
            terms,
            mark: None,
            memory: 0,
            is_up,
            hand,
            over: over.clone(),
        };
        self.processes.insert(key, entry);
        (number, asked, over.drop_guard())
    }

    pub(super) fn entry(&mut self, key: &Key, number: u64) -> Option<&mut Entry> {
        self.processes.get_mut(key).filter(|entry| entry.number == number)
    }

    pub(super) fn remove_spare(&mut self, bot: &BotName, terms: &Terms) -> Option<Entry> {
        let fits =
            |(key, entry): &(&Key, &Entry)| key.is_spare_of(bot) && entry.is_up && *entry.terms == *terms;
        let key = self.processes.iter().find(fits)?.0.clone();
        self.processes.remove(&key)
    }

    /// What there is.
    pub(super) fn processes(&self) -> Processes {
        let mut entries: Vec<_> = self.processes.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.number);
        let waiting = entries.into_iter().map(|(key, entry)| {
            let (bot, room) = match key {
                Key::Spare(bot, _) => (bot, None),
                Key::Room((bot, room)) => (bot, Some(*room)),
            };
            let memory = Some(entry.memory).filter(|memory| *memory > 0);
            WaitingProcess { bot: bot.clone(), room, memory, since: entry.since }
        });
        Processes { busy: self.in_use, waiting: waiting.collect() }
    }

    fn memory(&self) -> u64 {
        self.processes.values().map(|entry| entry.memory).sum()
    }

    /// Whether one more could stay when all that are in use have come to wait too, as far as is known.
    pub(super) fn has_room(&self, limits: &Warm) -> bool {
        let more = self.in_use + 1;
        let memory = self.largest.saturating_mul(u64::try_from(more).unwrap_or(u64::MAX));
        self.processes.len() + more <= limits.processes
            && self.memory().saturating_add(memory) <= most(limits)
    }

    /// Lets go of spares and of the least recently used until the rest keeps the limits.
    pub(super) fn shrink(&mut self, limits: &Warm) {
        while self.processes.len() > limits.processes || self.memory() > most(limits) {
            let first = self.processes.iter().min_by_key(|(key, entry)| {
                let is_spare = matches!(key, Key::Spare(..));
                (!is_spare, entry.number)
            });
            let Some(key) = first.map(|(key, _)| key.clone()) else { return };
            self.processes.remove(&key);
        }
    }
}

fn most(limits: &Warm) -> u64 {
    u64::try_from(limits.memory).unwrap_or(u64::MAX)
}

impl Key {
    pub(super) fn is_spare_of(&self, bot: &BotName) -> bool {
        matches!(self, Self::Spare(its, _) if its == bot)
    }
}

impl Entry {
    /// Its process, if it is still there. If not, the task ends.
    pub(super) async fn given(self) -> Option<Live> {
        let (give, given) = oneshot::channel();
        self.hand.send(give).ok()?;
        given.await.ok()
    }
}
