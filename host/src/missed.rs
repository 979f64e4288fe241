//! What never arrived: Campfire tells of a message once, and whoever is not there at that moment, or can't take it, is
//! not told again. So rooms that are known are read, at the start all of them, and later those in which a message was
//! not taken, and what is found there that was for a bot is taken in as if it had arrived.
//!
//! Invariants:
//! - A message is taken in once, whether it arrives, is found, or both, in any order: the store sees to that.
//! - A room is read from the message on up to which it was read before; that is set only once all that was found is kept.
//! - What is read is bounded: [`AGE`] and [`MESSAGES`] in each room, [`ROOMS`] rooms at once, [`ROUND`] at a time.
//!
//! A room is known once a message has arrived from there. So the very first message of a room is not made up for, unless
//! the store refused it; nor is anything on a Campfire that is too old to have its rooms read.
//!
//! What goes wrong: nothing is read while the store takes no writes. A Campfire that can't be reached is tried again after
//! growing pauses, [`TRIES`] times, and then at the next start. A Campfire that was set up anew has smaller ids; its rooms
//! are read from their newest message on.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use secrecy::ExposeSecret;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    campfire::{Client, Incoming, PastMessage, Place, RequestError, Span, Target, addressed},
    causes::with_causes,
    config::Bot,
    id::{EventId, MessageId, Timestamp},
    lane::{Hops, Lanes},
    plugin::Roster,
    store::{Acceptance, KnownRoom, NewEvent, Source, Store, StoreError},
    tenure::Tenure,
    turn::{self, Occasion},
};

/// How old a message may be. An answer to an older one is of no use to anybody.
const AGE: Duration = Duration::from_hours(24);
/// How many messages of a room are read, the newest.
const MESSAGES: usize = 200;
/// How many rooms are read at once: Campfire has others to serve.
const ROOMS: usize = 4;
/// How many rooms wait to be read.
const WAITING: usize = 1_000;
/// How long is read before it is seen what else there is to read.
const ROUND: Duration = Duration::from_mins(2);
/// The first and the longest pause before what could not be read is tried again. A store that fails is tried after the
/// first.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));
/// How often a room is tried again.
const TRIES: u32 = 12;

/// Reads rooms.
pub struct Missed {
    /// What is known of rooms.
    pub store: Arc<dyn Store>,
    /// Whose rooms they are.
    pub roster: Arc<Roster>,
    /// Where what is found goes.
    pub lanes: Lanes,
    /// Tells messages of bots from those of people.
    pub hops: Hops,
    /// The way to Campfire.
    pub client: Client,
    /// The largest message that is taken, in bytes, as for those that arrive.
    pub max_body: usize,
    /// Cancelled once all rooms have been read for the first time, or have been tried.
    pub caught_up: CancellationToken,
}

/// Why a room could not be read now.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Campfire(#[from] RequestError),
}

// === impl Missed ===

impl Missed {
    /// Reads all rooms, and from then on each that `refused` names, for as long as it may name any.
    pub async fn run(&self, mut refused: mpsc::Receiver<KnownRoom>) {
        let mut waiting = self.store.known_rooms().await.unwrap_or_else(|error| {
            tracing::error!(%error, "what was missed before the start can't be looked for");
            Vec::new()
        });
        let mut tries = 0;
        loop {
            let writes = self.store.ping().await.is_ok();
            if writes {
                self.round(&mut waiting).await;
            }
            self.caught_up.cancel();
            if tries == TRIES && !waiting.is_empty() {
                tracing::warn!(
                    rooms = waiting.len(),
                    "rooms could not be read; what was missed there is looked for at the next start"
                );
                waiting.clear();
            }
            if waiting.is_empty() {
                // Each loss has all its tries.
                tries = 0;
                let Some(room) = refused.recv().await else { return };
                note(&mut waiting, room);
            } else if writes {
                tries += 1;
            }
            let until = Instant::now() + (PAUSES.0 * 2_u32.pow(tries)).min(PAUSES.1);
            while let Ok(room) = timeout_at(until, refused.recv()).await {
                let Some(room) = room else { return };
                note(&mut waiting, room);
            }
        }
    }

    /// Reads these rooms, and leaves those that are to be tried again.
    async fn round(&self, waiting: &mut Vec<KnownRoom>) {
        let until = Instant::now() + ROUND;
        let reads = waiting.iter().map(|room| async { (room.lane.clone(), self.read(room).await) });
        let reads: Vec<_> = reads.collect();
        let mut reads = futures_util::stream::iter(reads).buffer_unordered(ROOMS);
        let mut done = Vec::new();
        while let Ok(Some((lane, read))) = timeout_at(until, reads.next()).await {
            match read {
                Ok(()) => done.push(lane),
                Err(error) => {
                    tracing::warn!(%lane, cause = with_causes(&error), "what was missed can't be looked for now");
                }
            }
        }
        drop(reads);
        waiting.retain(|room| !done.contains(&room.lane));
    }

    /// Reads one room, and takes in what never arrived.
    async fn read(&self, room: &KnownRoom) -> Result<(), Unread> {
        let Some(seat) = self.roster.bot(room.lane.bot.as_str()) else { return Ok(()) };
        let bot = &*seat.bot;
        if !bot.rooms.is_empty() && !bot.rooms.contains(&room.lane.room) {
            return Ok(());
        }
        let Some(target) = turn::target(bot, room.lane.room, Tenure::endless()) else { return Ok(()) };
        let room = self.store.know_room(room.clone()).await?;
        let oldest = Timestamp::now().before(AGE);
        let unread = match self.unread(&target, room.read_to, oldest).await {
            Ok(unread) => unread,
            // The client has said so, once for each Campfire.
            Err(RequestError::Unsupported(_)) => return Ok(()),
            Err(RequestError::RoomUnknown { .. }) => {
                tracing::info!(lane = %room.lane, "the room is gone, or the bot is not in it any more");
                return Ok(self.store.forget_room(&room.lane).await?);
            }
            Err(
                error @ (RequestError::NotSent { .. }
                | RequestError::Uncertain { .. }
                | RequestError::MessageUnknown { .. }),
            ) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(lane = %room.lane, cause = with_causes(&error), "what was missed can't be looked for");
                return Ok(());
            }
        };
        let Some((newest, messages)) = unread else { return Ok(()) };
        let found = self.take(bot, &target, &room, messages).await?;
        if found > 0 {
            tracing::info!(lane = %room.lane, found, "messages that never arrived were found and taken in");
            metrics::counter!("hearth_messages_found_total", "bot" => bot.name.to_string()).increment(found);
        }
        Ok(self.store.read_to(&room.lane, newest).await?)
    }

    /// The room's newest message and those that are to be looked at, oldest first. Nothing if nobody wrote since.
    ///
    /// It is paged backwards: Campfire knows no place after a message that was deleted.
    async fn unread(
        &self,
        target: &Target,
        read_to: MessageId,
        oldest: Timestamp,
    ) -> Result<Option<(MessageId, Vec<PastMessage>)>, RequestError> {
        let mut page = self.client.page(target, Span::Newest).await?;
        let Some(newest) = page.messages.last().map(|message| message.id) else { return Ok(None) };
        if newest == read_to {
            return Ok(None);
        }
        let mut unread = Vec::new();
        'pages: loop {
            let first = page.messages.first().map(|message| message.id);
            for message in page.messages.into_iter().rev() {
                if message.id <= read_to || message.created_at < oldest || unread.len() == MESSAGES {
                    break 'pages;
                }
                unread.push(message);
            }
            let Some(first) = first.filter(|_| page.more) else { break };
            page = self.client.page(target, Span::Before(first)).await?;
        }
        unread.reverse();
        Ok(Some((newest, unread)))
    }

    /// Takes in what was for the bot and never arrived; answers how many that were.
    async fn take(
        &self,
        bot: &Bot,
        target: &Target,
        room: &KnownRoom,
        messages: Vec<PastMessage>,
    ) -> Result<u64, StoreError> {
        let Some(user) = target.bot() else { return Ok(0) };
        let own_name = messages.iter().find(|message| message.author.id == user);
        let own_name = own_name.map(|message| message.author.name.as_str());
        let place = Place { id: room.lane.room, name: room.name.clone() };
        let mut for_bot: Vec<Incoming> =
            messages.iter().filter_map(|message| addressed(message, &place, user, own_name)).collect();
        let ids = for_bot.iter().map(|incoming| incoming.message.id).collect();
        let unheard = self.store.unheard(&bot.name, ids).await?;
        for_bot.retain(|incoming| unheard.contains(&incoming.message.id));
        let mut found = 0;
        for incoming in for_bot {
            let Some(event) = self.event(bot, room, incoming) else { continue };
            if self.lanes.accept(event).await? == Acceptance::Fresh {
                found += 1;
            }
        }
        Ok(found)
    }

    /// The same as the door makes of a message that arrives; none if it is too large.
    fn event(&self, bot: &Bot, room: &KnownRoom, mut incoming: Incoming) -> Option<NewEvent> {
        let content_hash = incoming.content_hash();
        incoming.redact(bot.bot_key.as_ref().map_or("", ExposeSecret::expose_secret));
        let (message, kind) = (incoming.message.id, incoming.kind.clone());
        let hop = self.hops.of(bot, incoming.user.id);
        let payload = serde_json::to_string(&Occasion::Message(incoming)).ok()?;
        if payload.len() > self.max_body {
            tracing::warn!(lane = %room.lane, %message, limit = self.max_body, "a message that never arrived is too large; raise `max-body` in [host] if it should be taken");
            return None;
        }
        Some(NewEvent {
            id: EventId::new(),
            lane: room.lane.clone(),
            message: Some(message),
            kind,
            content_hash,
            payload,
            received_at: Timestamp::now(),
            source: Source::History,
            hop,
        })
    }
}

/// Has a room read, if it does not wait already. Those that find no place are read at the next start.
fn note(waiting: &mut Vec<KnownRoom>, room: KnownRoom) {
    if waiting.len() < WAITING && waiting.iter().all(|known| known.lane != room.lane) {
        waiting.push(room);
    }
}
