//! Numbered messages from many rooms, and what is heard in answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hearth::{
    id::{MessageId, RoomId, UserId},
    playground::{Change, Message, Playground},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use crate::{chance::Chance, outside::Outside, world::PATIENCE};

/// How is spoken.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// What follows a number, one of these.
    pub(super) words: &'static [&'static str],
    /// How long a speaker thinks before it says more, in milliseconds.
    pub(super) thought: Range<u64>,
    /// How many of what it said may be unanswered when it says more.
    pub(super) unanswered: usize,
}

/// A room with one bot that is spoken to.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Which room.
    pub(super) room: RoomId,
    /// Which bot.
    pub(super) bot: UserId,
    speaker: UserId,
    /// What makes a message one for the bot.
    address: String,
}

/// A number that was said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Which.
    pub(super) number: u64,
    /// Where.
    pub(super) room: RoomId,
    /// To whom.
    pub(super) bot: UserId,
    /// The message it is in.
    pub(super) message: MessageId,
    /// Whether the host acknowledged it.
    pub(super) acknowledged: bool,
    /// When that was known.
    pub(super) at: Instant,
}

/// Something that a bot said.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Where.
    pub(super) room: RoomId,
    /// Who.
    pub(super) bot: UserId,
    /// The number it is about; none of a sentence about a trouble.
    pub(super) number: Option<u64>,
    /// What it said.
    pub(super) text: String,
    /// When it first said something there.
    pub(super) at: Instant,
}

/// Everything that was said and heard.
pub(super) struct Record {
    playground: Playground,
    next: AtomicU64,
    sent: Mutex<Vec<Sent>>,
    /// By message, which is the order in which they came.
    answers: Mutex<BTreeMap<MessageId, Answer>>,
    heard: watch::Sender<usize>,
}

/// Direct rooms and rooms with a name, of people that have nothing else to do: of each kind one for each of these bots.
///
/// # Panics
/// If one of them is no bot.
pub(super) fn places(outside: &Outside, bots: &[&str]) -> Vec<Place> {
    let mut places = Vec::new();
    for (index, name) in bots.iter().enumerate() {
        let (playground, bot) = (&outside.playground, outside.user(name));
        let speaker = playground.add_person(&format!("Speaker {index}"));
        let direct = playground.direct_room(speaker, bot).expect("both are there");
        let named = playground.add_room(&format!("Room {index}"), &[speaker, bot]).expect("both are there");
        places.push(Place { room: direct, bot, speaker, address: String::new() });
        places.push(Place { room: named, bot, speaker, address: format!("@{name} ") });
    }
    places
}

/// Says numbers in a place until then. The speaker waits for each to be delivered before it says the next.
///
/// # Panics
/// If a delivery has no end.
pub(super) async fn speak(
    record: Arc<Record>,
    place: Place,
    manner: Manner,
    mut chance: Chance,
    until: Instant,
) {
    while Instant::now() < until {
        let number = record.next.fetch_add(1, Ordering::Relaxed);
        let words = chance.one(manner.words).unwrap_or_default();
        let message = place.say(&record.playground, &format!("n={number} {words}"));
        let delivered =
            record.playground.wait_for_delivery(|delivery| delivery.message == message, PATIENCE * 2);
        let status = delivered.await.unwrap_or_else(|| panic!("the delivery of {number} has no end")).status;
        let acknowledged = status == Some(204);
        let sent =
            Sent { number, room: place.room, bot: place.bot, message, acknowledged, at: Instant::now() };
        lock(&record.sent).push(sent);
        tokio::time::sleep(chance.time(manner.thought.clone())).await;
        record.fewer_unanswered(place.room, manner.unanswered, until).await;
    }
}

/// The first number in a text.
pub(super) fn number(text: &str) -> Option<u64> {
    let (_, after) = text.split_once("n=")?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    after[..digits].parse().ok()
}

// === impl Place ===

impl Place {
    /// Says something to the bot.
    ///
    /// # Panics
    /// If the room is gone.
    pub(super) fn say(&self, playground: &Playground, text: &str) -> MessageId {
        let text = format!("{}{text}", self.address);
        playground.say(self.speaker, self.room, &text).expect("it can be said")
    }
}

// === impl Record ===

impl Record {
    /// An empty record, and a task that hears what these bots say until it is aborted.
    pub(super) fn new(playground: &Playground, bots: Vec<UserId>) -> (Arc<Self>, JoinHandle<()>) {
        let record = Arc::new(Self {
            playground: playground.clone(),
            next: AtomicU64::new(1),
            sent: Mutex::default(),
            answers: Mutex::default(),
            heard: watch::Sender::new(0),
        });
        let listener = Arc::clone(&record);
        let mut changes = playground.changes();
        let task = tokio::spawn(async move {
            while let Some(change) = changes.next().await {
                match change {
                    // An answer may take the place of a message that stood for it.
                    Change::MessageCreated(message) | Change::MessageUpdated(message)
                        if bots.contains(&message.author) =>
                    {
                        listener.hear(&message);
                    }
                    Change::Missed(_) => listener.hear_again(&bots),
                    _ => {}
                }
            }
        });
        (record, task)
    }

    /// All that was said, in the order of its delivery.
    pub(super) fn sent(&self) -> Vec<Sent> {
        lock(&self.sent).clone()
    }

    /// All that was answered, in the order of the rooms.
    pub(super) fn answers(&self) -> Vec<Answer> {
        lock(&self.answers).values().cloned().collect()
    }

    /// Waits until something is answered that was not yet at this count of [`answers`](Self::answers).
    pub(super) async fn more(&self, than: usize) {
        // The sender is here, so waiting ends with more only.
        let _ = self.heard.subscribe().wait_for(|heard| *heard > than).await;
    }

    /// Waits until no more than so many of what was said in a room are unanswered, until then.
    async fn fewer_unanswered(&self, room: RoomId, most: usize, until: Instant) {
        let said = lock(&self.sent).iter().filter(|sent| sent.room == room).count();
        let mut heard = self.heard.subscribe();
        let few = heard.wait_for(|_| said <= self.answered(room).saturating_add(most));
        // If there are not by then, nothing more is said.
        let _ = tokio::time::timeout_at(until, few).await;
    }

    fn answered(&self, room: RoomId) -> usize {
        lock(&self.answers).values().filter(|answer| answer.room == room).count()
    }

    /// Reads what is in the rooms, of which each keeps its newest 500.
    fn hear_again(&self, bots: &[UserId]) {
        let rooms: BTreeSet<_> = self.sent().iter().map(|sent| sent.room).collect();
        let messages = rooms.into_iter().flat_map(|room| self.playground.messages(room));
        messages.filter(|message| bots.contains(&message.author)).for_each(|message| self.hear(&message));
    }

    fn hear(&self, message: &Message) {
        let (number, text) = (number(&message.plain), message.plain.clone());
        let mut answer = Answer { room: message.room, bot: message.author, number, text, at: Instant::now() };
        let heard = {
            let mut answers = lock(&self.answers);
            if let Some(earlier) = answers.get(&message.id) {
                answer.at = earlier.at;
            }
            answers.insert(message.id, answer);
            answers.len()
        };
        self.heard.send_replace(heard);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
