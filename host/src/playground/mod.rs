//! An embedded Campfire: it speaks the bot protocol as the real server does, and has one page to talk to the bots.
//!
//! - Messages that people write, and those that bots post, go out as webhooks; those made from a webhook's answer never do.
//! - A body is stored as it was posted and sanitised when it is shown.
//! - Everything is in memory and bounded; a reader that falls behind is told to read again ([`Change::Missed`]).
//!
//! What goes wrong with a webhook is recorded ([`Playground::deliveries`]) and, where Campfire says so, seen in the room.
//! [`Playground::inject`] makes the next posts fail as a real server may.

mod backstage;
mod bot_api;
mod html;
mod mention;
mod model;
mod page;
mod webhooks;
mod world;
mod writing;

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::{
    backstage::Backstage,
    webhooks::Mailer,
    world::{ALL_TALK, World, YOU},
};
pub use self::{
    backstage::{Build, BuildState},
    html::{Emphasis, Piece},
    model::{Attachment, Boost, BotAccount, Delivery, Effect, Error, Fault, Message, Person, Room},
};
use crate::id::{MessageId, RoomId, Timestamp, UserId};

/// How many changes a reader may fall behind before it has to read again.
const CHANGES_KEPT: usize = 1024;
/// How many kinds of fault may be waiting.
const FAULTS_KEPT: usize = 64;

/// How a playground behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The id of the first message. Default: the current Unix time in milliseconds, so that ids never repeat over restarts.
    pub first_message_id: MessageId,
    /// Which endpoints besides posting there are at first. Default: [`Features::newest`].
    pub features: Features,
    /// How long a bot may take to accept the connection of a webhook. Campfire: 7 s.
    pub webhook_connect_timeout: Duration,
    /// How long a bot may be silent while it answers a webhook. Campfire: 7 s.
    pub webhook_read_timeout: Duration,
    /// How many webhooks are on their way at once. Default 4, at least 1.
    pub webhook_workers: usize,
    /// How many webhooks wait for a worker; one more is dropped, and recorded as such. Default 256, at least 1.
    pub webhook_queue: usize,
    /// Names under which the page may be reached besides those of this machine itself (`localhost`, loopback
    /// addresses). Any other `Host` is refused, so that no web site can reach the page through a name of its own.
    pub page_hosts: Vec<String>,
}

/// What a Campfire can do for bots besides taking their posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// Reading a room's messages.
    pub history: bool,
    /// Editing and deleting one's own messages.
    pub editing: bool,
    /// Boosts.
    pub boosts: bool,
}

/// An embedded Campfire. Clones are the same one.
#[derive(Clone)]
pub struct Playground {
    inner: Arc<Inner>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Change {
    /// A message was written.
    MessageCreated(Arc<Message>),
    /// A message was edited, or its boosts changed.
    MessageUpdated(Arc<Message>),
    /// A message was deleted.
    MessageDeleted {
        /// Where it was.
        room: RoomId,
        /// Which it was.
        message: MessageId,
    },
    /// A webhook came to its end.
    WebhookDelivered(Arc<Delivery>),
    /// People, rooms, the notice, or what this Campfire can do changed.
    SurroundingsChanged,
    /// The code behind the bots changed, or how its build fares.
    BackstageChanged,
    /// This reader fell behind by so many changes: read again what matters.
    Missed(u64),
}

/// Reads what happens, from the moment it was made.
pub struct Changes(broadcast::Receiver<Change>);

struct Inner {
    options: Options,
    world: Mutex<World>,
    /// Sent to while the world is locked, so that changes are told in the order in which they happened.
    changes: broadcast::Sender<Change>,
    mailer: Mailer,
    notice: Mutex<String>,
    features: watch::Sender<Features>,
    backstage: Mutex<Backstage>,
    faults: Mutex<VecDeque<(Fault, u32)>>,
    faults_taken: watch::Sender<u32>,
    closed: CancellationToken,
}

impl Features {
    /// All there is on the main branch.
    pub fn newest() -> Self {
        Self { history: true, editing: true, boosts: true }
    }

    /// Release v1.4.9: bots can post, and nothing else.
    pub fn oldest() -> Self {
        Self { history: false, editing: false, boosts: false }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_message_id: MessageId(u64::try_from(Timestamp::now().0).unwrap_or(1)),
            features: Features::newest(),
            webhook_connect_timeout: Duration::from_secs(7),
            webhook_read_timeout: Duration::from_secs(7),
            webhook_workers: 4,
            webhook_queue: 256,
            page_hosts: Vec::new(),
        }
    }
}

// === impl Playground ===

impl Playground {
    /// A playground with a person "You" and a room "All Talk". To be called within a tokio runtime: it starts the tasks
    /// that deliver webhooks, and they end with the last clone or with [`Playground::close`].
    pub fn new(options: Options) -> Self {
        let (mailer, post_office) = Mailer::new(&options);
        let inner = Arc::new(Inner {
            world: Mutex::new(World::new(options.first_message_id)),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            mailer,
            notice: Mutex::default(),
            features: watch::Sender::new(options.features),
            backstage: Mutex::default(),
            faults: Mutex::default(),
            faults_taken: watch::Sender::new(0),
            closed: CancellationToken::new(),
            options,
        });
        post_office.open(&inner);
        Self { inner }
    }

    /// The bot API, the page, and what the page needs.
    pub fn router(&self) -> Router {
        page::router(self).merge(bot_api::router()).with_state(self.clone())
    }

    /// Ends the page's event streams and stops delivering webhooks, so that a server that waits for its connections ends.
    pub fn close(&self) {
        self.inner.closed.cancel();
    }

    /// The person who is there from the start.
    pub fn you(&self) -> UserId {
        YOU
    }

    /// The room where everybody is.
    pub fn shared_room(&self) -> RoomId {
        ALL_TALK
    }

    /// Adds a bot, with a direct room for it and you, and with a seat in the shared room.
    pub fn add_bot(&self, name: &str, webhook_url: Option<Url>) -> BotAccount {
        let account = self.world().add_bot(name, webhook_url);
        self.tell(Change::SurroundingsChanged);
        account
    }

    /// Where a bot's webhooks go from now on.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] if there is no such bot.
    pub fn set_webhook(&self, bot: UserId, url: Url) -> Result<(), Error> {
        self.world().set_webhook(bot, url)
    }

    /// Adds a person, with a seat in the shared room.
    pub fn add_person(&self, name: &str) -> UserId {
        let person = self.world().add_person(name);
        self.tell(Change::SurroundingsChanged);
        person
    }

    /// Adds a room with a name.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] if a member does not exist.
    pub fn add_room(&self, name: &str, members: &[UserId]) -> Result<RoomId, Error> {
        let room = self.world().add_room(Some(name), members)?;
        self.tell(Change::SurroundingsChanged);
        Ok(room)
    }

    /// The direct room of these two; made if there is none.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] if one of them does not exist.
    pub fn direct_room(&self, a: UserId, b: UserId) -> Result<RoomId, Error> {
        let room = self.world().direct_room(a, b)?;
        self.tell(Change::SurroundingsChanged);
        Ok(room)
    }

    /// Adds a direct room of several: every bot in it hears everything.
    ///
    /// # Errors
    /// [`Error::UnknownUser`] if a member does not exist.
    pub fn add_direct_group(&self, members: &[UserId]) -> Result<RoomId, Error> {
        let room = self.world().add_room(None, members)?;
        self.tell(Change::SurroundingsChanged);
        Ok(room)
    }

    /// The messages of a room, oldest first; none if there is no such room. A room keeps its newest 500.
    pub fn messages(&self, room: RoomId) -> Vec<Message> {
        self.world().messages(room).map(|message| Message::clone(message)).collect()
    }

    /// What a message says, in pieces, each with how it is set off; nothing of an upload.
    pub fn pieces(&self, message: &Message) -> Vec<Piece> {
        message.html.as_deref().map(|html| self.world().pieces(html)).unwrap_or_default()
    }

    /// What happens from now on.
    pub fn changes(&self) -> Changes {
        Changes(self.inner.changes.subscribe())
    }

    /// The oldest message of the room that fits, as soon as there is one; none if there isn't within `deadline`.
    pub async fn wait_for(
        &self,
        room: RoomId,
        mut fits: impl FnMut(&Message) -> bool,
        deadline: Duration,
    ) -> Option<Message> {
        self.wait(deadline, |world| {
            world.messages(room).find(|message| fits(message)).map(|message| Message::clone(message))
        })
        .await
    }

    /// The oldest delivery that fits, as soon as there is one; none if there isn't within `deadline`.
    pub async fn wait_for_delivery(
        &self,
        mut fits: impl FnMut(&Delivery) -> bool,
        deadline: Duration,
    ) -> Option<Delivery> {
        self.wait(deadline, |world| {
            world
                .deliveries()
                .iter()
                .find(|delivery| fits(delivery))
                .map(|delivery| Delivery::clone(delivery))
        })
        .await
    }

    /// What became of the webhooks, oldest first; the newest 1000.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world().deliveries().iter().map(|delivery| Delivery::clone(delivery)).collect()
    }

    /// A line that the page shows at its top; empty for none.
    pub fn set_notice(&self, notice: &str) {
        notice.clone_into(&mut lock(&self.inner.notice));
        self.tell(Change::SurroundingsChanged);
    }

    /// What this Campfire can do, now and as it changes.
    pub fn features(&self) -> watch::Receiver<Features> {
        self.inner.features.subscribe()
    }

    /// Makes this Campfire an older or a newer one.
    pub fn set_features(&self, features: Features) {
        self.inner.features.send_replace(features);
        self.tell(Change::SurroundingsChanged);
    }

    /// Makes the next `times` posts of bots go wrong, after those injected before. At most 64 injections wait; the oldest
    /// make room.
    pub fn inject(&self, fault: Fault, times: u32) {
        let mut faults = lock(&self.inner.faults);
        if faults.len() == FAULTS_KEPT {
            faults.pop_front();
        }
        if times > 0 {
            faults.push_back((fault, times));
        }
        drop(faults);
        self.tell(Change::SurroundingsChanged);
    }

    /// Takes back the faults that no post has met yet.
    pub fn take_faults_back(&self) {
        lock(&self.inner.faults).clear();
        self.tell(Change::SurroundingsChanged);
    }

    /// How many posts are to go wrong.
    pub fn faults_waiting(&self) -> u32 {
        lock(&self.inner.faults).iter().fold(0, |sum, (_, times)| sum.saturating_add(*times))
    }

    /// How many posts have met a fault, from now on.
    pub fn faults_taken(&self) -> watch::Receiver<u32> {
        self.inner.faults_taken.subscribe()
    }

    // === Within ===

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.inner.world)
    }

    fn tell(&self, change: Change) {
        // An error only says that nobody listens.
        let _ = self.inner.changes.send(change);
    }

    fn record(&self, world: &mut World, delivery: Delivery) {
        let delivery = Arc::new(delivery);
        world.record(Arc::clone(&delivery));
        self.tell(Change::WebhookDelivered(delivery));
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut faults = lock(&self.inner.faults);
        let (fault, times) = faults.front_mut()?;
        let fault = *fault;
        *times -= 1;
        if *times == 0 {
            faults.pop_front();
        }
        drop(faults);
        self.inner.faults_taken.send_modify(|taken| *taken += 1);
        self.tell(Change::SurroundingsChanged);
        Some(fault)
    }

    async fn wait<T>(&self, deadline: Duration, mut found: impl FnMut(&World) -> Option<T>) -> Option<T> {
        let mut changes = self.changes();
        let search = async {
            loop {
                if let Some(found) = found(&self.world()) {
                    return Some(found);
                }
                changes.next().await?;
            }
        };
        tokio::time::timeout(deadline, search).await.ok().flatten()
    }
}

impl fmt::Debug for Playground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playground").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

// === impl Changes ===

impl Changes {
    /// The next change; none once the playground is gone.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Change::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Changes").finish()
    }
}

/// What is behind these locks is changed in single steps, so a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

#[cfg(test)]
mod tests;
