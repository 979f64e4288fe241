//! What there is in a playground: users, rooms, messages. Nothing here waits, and nothing here is shared.
//!
//! Users and rooms are only ever added. What others than the host can add is bounded (`messages`, and the page's requests).

pub(super) mod messages;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use url::Url;

pub(super) use self::messages::{Content, LARGEST_POST, Span};
use super::{BotAccount, Delivery, Error, Message, Person, Room, mention::Signer, random};
use crate::id::{MessageId, RoomId, UserId};

const DELIVERIES_KEPT: usize = 1000;

/// The person who is there from the start.
pub(super) const YOU: UserId = UserId(1);
/// The room where everybody is.
pub(super) const ALL_TALK: RoomId = RoomId(1);

pub(super) struct World {
    users: BTreeMap<UserId, User>,
    rooms: BTreeMap<RoomId, Hall>,
    uploads: VecDeque<(MessageId, Bytes)>,
    deliveries: VecDeque<Arc<Delivery>>,
    next_message: u64,
    next_boost: u64,
    /// Bytes of all bodies, as HTML and as text.
    pub(super) text_kept: usize,
    /// Bytes of all uploads.
    pub(super) uploads_kept: usize,
    signer: Arc<Signer>,
}

struct User {
    name: String,
    bot: Option<BotSide>,
}

struct BotSide {
    key: SecretString,
    webhook: Option<Url>,
}

/// A room with its messages, oldest first.
struct Hall {
    name: Option<String>,
    members: Vec<UserId>,
    messages: VecDeque<Arc<Message>>,
}

/// Where a webhook goes and what it needs to say about its receiver.
pub(super) struct Recipient {
    pub(super) url: Url,
    pub(super) key: SecretString,
    pub(super) name: String,
}

impl World {
    pub(super) fn new(first_message: MessageId) -> Self {
        let you = User { name: "You".to_owned(), bot: None };
        let all_talk =
            Hall { name: Some("All Talk".to_owned()), members: vec![YOU], messages: VecDeque::new() };
        Self {
            users: BTreeMap::from([(YOU, you)]),
            rooms: BTreeMap::from([(ALL_TALK, all_talk)]),
            uploads: VecDeque::new(),
            deliveries: VecDeque::new(),
            next_message: first_message.0,
            next_boost: 1,
            text_kept: 0,
            uploads_kept: 0,
            signer: Arc::new(Signer::new()),
        }
    }

    // === Users and rooms ===

    pub(super) fn add_person(&mut self, name: &str) -> UserId {
        self.add_user(name, None)
    }

    pub(super) fn add_bot(&mut self, name: &str, webhook: Option<Url>) -> BotAccount {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let token: String =
            random::<12>().iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % 62])).collect();
        let key = SecretString::from(format!("{}-{token}", self.next_user()));
        let user = self.add_user(name, Some(BotSide { key: key.clone(), webhook }));
        let direct_room = self.insert_room(None, vec![YOU, user]);
        BotAccount { user, key, direct_room }
    }

    pub(super) fn set_webhook(&mut self, bot: UserId, url: Url) -> Result<(), Error> {
        let side =
            self.users.get_mut(&bot).and_then(|user| user.bot.as_mut()).ok_or(Error::UnknownUser(bot))?;
        side.webhook = Some(url);
        Ok(())
    }

    /// A room of `members` with a name, or a direct one without.
    pub(super) fn add_room(&mut self, name: Option<&str>, members: &[UserId]) -> Result<RoomId, Error> {
        if let Some(stranger) = members.iter().find(|member| !self.users.contains_key(member)) {
            return Err(Error::UnknownUser(*stranger));
        }
        let mut members = members.to_vec();
        members.sort_unstable();
        members.dedup();
        Ok(self.insert_room(name.map(str::to_owned), members))
    }

    /// The direct room of exactly these two; made if there is none.
    pub(super) fn direct_room(&mut self, a: UserId, b: UserId) -> Result<RoomId, Error> {
        let known = self.rooms.iter().find(|(_, hall)| {
            hall.name.is_none()
                && hall.members.len() == 2
                && [a, b].iter().all(|user| hall.members.contains(user))
        });
        match known {
            Some((room, _)) => Ok(*room),
            None => self.add_room(None, &[a, b]),
        }
    }

    pub(super) fn people(&self) -> Vec<Person> {
        self.users
            .iter()
            .map(|(id, user)| Person { id: *id, name: user.name.clone(), is_bot: user.bot.is_some() })
            .collect()
    }

    pub(super) fn rooms(&self) -> Vec<Room> {
        self.rooms
            .iter()
            .map(|(id, hall)| Room { id: *id, name: hall.name.clone(), members: hall.members.clone() })
            .collect()
    }

    pub(super) fn name_of(&self, user: UserId) -> Option<&str> {
        self.users.get(&user).map(|user| user.name.as_str())
    }

    pub(super) fn is_bot(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|user| user.bot.is_some())
    }

    pub(super) fn room_name(&self, room: RoomId) -> Option<&str> {
        self.rooms.get(&room)?.name.as_deref()
    }

    pub(super) fn is_member(&self, user: UserId, room: RoomId) -> bool {
        self.rooms.get(&room).is_some_and(|hall| hall.members.contains(&user))
    }

    /// The bot whose key this is. Every key is compared in full, so that the time taken says nothing.
    pub(super) fn bot_with_key(&self, key: &str) -> Option<UserId> {
        let mut found = None;
        for (id, user) in &self.users {
            if let Some(side) = &user.bot
                && bool::from(side.key.expose_secret().as_bytes().ct_eq(key.as_bytes()))
            {
                found = Some(*id);
            }
        }
        found
    }

    pub(super) fn recipient(&self, bot: UserId) -> Option<Recipient> {
        let user = self.users.get(&bot)?;
        let side = user.bot.as_ref()?;
        Some(Recipient { url: side.webhook.clone()?, key: side.key.clone(), name: user.name.clone() })
    }

    pub(super) fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer)
    }

    pub(super) fn record(&mut self, delivery: Arc<Delivery>) {
        if self.deliveries.len() == DELIVERIES_KEPT {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }

    pub(super) fn deliveries(&self) -> &VecDeque<Arc<Delivery>> {
        &self.deliveries
    }

    // === Within ===

    fn next_user(&self) -> UserId {
        UserId(self.users.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    fn add_user(&mut self, name: &str, bot: Option<BotSide>) -> UserId {
        let id = self.next_user();
        self.users.insert(id, User { name: name.to_owned(), bot });
        if let Some(hall) = self.rooms.get_mut(&ALL_TALK) {
            hall.members.push(id);
        }
        id
    }

    fn insert_room(&mut self, name: Option<String>, members: Vec<UserId>) -> RoomId {
        let id = RoomId(self.rooms.keys().next_back().map_or(1, |last| last.0 + 1));
        self.rooms.insert(id, Hall { name, members, messages: VecDeque::new() });
        id
    }

    pub(super) fn check_member(&self, user: UserId, room: RoomId) -> Result<(), Error> {
        let hall = self.rooms.get(&room).ok_or(Error::UnknownRoom(room))?;
        if hall.members.contains(&user) { Ok(()) } else { Err(Error::NotAMember { user, room }) }
    }
}
