//! What there is in a playground: users, rooms, messages. Nothing here waits, and nothing here is shared.
//!
//! Message ids only ever grow, over all rooms. What outsiders can add is bounded: messages a room, the text and the
//! uploads of all of them, boosts a message. The oldest goes first; an upload whose contents are gone keeps its message.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::{
    Attachment, Boost, BotAccount, Delivery, Error, Message, Person, Room,
    html::{mentions, plain_text},
    mention::Signer,
    random,
};
use crate::id::{MessageId, RoomId, Timestamp, UserId};

/// How many messages a room keeps.
pub(super) const MESSAGES_A_ROOM: usize = 500;
/// The largest upload and the largest body, in bytes.
pub(super) const LARGEST_POST: usize = 20 << 20;
pub(super) const TEXT_KEPT: usize = 64 << 20;
pub(super) const UPLOADS_KEPT: usize = 128 << 20;
const BOOSTS_A_MESSAGE: usize = 100;
const LONGEST_BOOST: usize = 16;
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
    pub(super) text_kept: usize,
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

/// What a new message says.
pub(super) enum Content {
    /// A body, stored as it is.
    Html(String),
    /// A file.
    File { name: String, media_type: String, bytes: Bytes },
}

/// Which of a room's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Newest,
    Before(MessageId),
    After(MessageId),
}

/// Part of a room's messages, oldest first.
pub(super) struct Excerpt {
    pub(super) messages: Vec<Arc<Message>>,
    /// How many the room has.
    pub(super) total: usize,
    /// Whether there are more in the direction that was asked for.
    pub(super) more: bool,
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

    // === Messages ===

    /// What `author` typed, as the editor would have stored it.
    pub(super) fn typed(&self, room: RoomId, text: &str) -> String {
        let members: Vec<(UserId, &str)> = self
            .rooms
            .get(&room)
            .into_iter()
            .flat_map(|hall| &hall.members)
            .filter_map(|user| Some((*user, self.name_of(*user)?)))
            .collect();
        self.signer.mark_up(text, &members)
    }

    pub(super) fn create(
        &mut self,
        author: UserId,
        room: RoomId,
        content: Content,
    ) -> Result<Arc<Message>, Error> {
        self.check_member(author, room)?;
        let id = MessageId(self.next_message);
        let (html, plain, attachment, bytes) = match content {
            Content::Html(html) => {
                check_size(html.len())?;
                let plain = self.plain(&html);
                (Some(html), plain, None, None)
            }
            Content::File { name, media_type, bytes } => {
                check_size(bytes.len())?;
                let attachment = Attachment { name: name.clone(), media_type, size: bytes.len() };
                (None, name, Some(attachment), Some(bytes))
            }
        };
        let message = Arc::new(Message {
            id,
            room,
            author,
            html,
            plain,
            attachment,
            boosts: Vec::new(),
            created_at: Timestamp::now(),
        });
        self.next_message += 1;
        if let Some(bytes) = bytes {
            self.keep_upload(id, bytes);
        }
        self.text_kept += text_size(&message);
        if let Some(hall) = self.rooms.get_mut(&room) {
            hall.messages.push_back(Arc::clone(&message));
        }
        self.evict(room);
        Ok(message)
    }

    /// Which bots hear of `message`: in a direct room all of them, elsewhere those it really mentions; never its author.
    pub(super) fn audience(&self, message: &Message) -> Vec<UserId> {
        let Some(hall) = self.rooms.get(&message.room) else { return Vec::new() };
        let mentioned: Vec<UserId> = match &message.html {
            Some(html) if hall.name.is_some() => {
                mentions(html, &self.signer).into_iter().filter_map(|mention| mention.user).collect()
            }
            _ => Vec::new(),
        };
        hall.members
            .iter()
            .copied()
            .filter(|user| *user != message.author && self.is_bot(*user))
            .filter(|user| hall.name.is_none() || mentioned.contains(user))
            .collect()
    }

    pub(super) fn messages(&self, room: RoomId) -> impl Iterator<Item = &Arc<Message>> {
        self.rooms.get(&room).into_iter().flat_map(|hall| &hall.messages)
    }

    pub(super) fn excerpt(&self, room: RoomId, span: Span, limit: usize) -> Excerpt {
        let Some(hall) = self.rooms.get(&room) else {
            return Excerpt { messages: Vec::new(), total: 0, more: false };
        };
        let all = &hall.messages;
        let (start, end, more) = match span {
            Span::Newest => {
                let start = all.len().saturating_sub(limit);
                (start, all.len(), start > 0)
            }
            Span::Before(id) => {
                let end = all.partition_point(|message| message.id < id);
                let start = end.saturating_sub(limit);
                (start, end, start > 0)
            }
            Span::After(id) => {
                let start = all.partition_point(|message| message.id <= id);
                let end = all.len().min(start + limit);
                (start, end, end < all.len())
            }
        };
        Excerpt { messages: all.range(start..end).cloned().collect(), total: all.len(), more }
    }

    pub(super) fn edit(
        &mut self,
        author: UserId,
        room: RoomId,
        id: MessageId,
        html: String,
    ) -> Result<Arc<Message>, Error> {
        check_size(html.len())?;
        let plain = self.plain(&html);
        let message = self.own(author, room, id)?;
        let before = text_size(message);
        let edited = Arc::make_mut(message);
        edited.plain = plain;
        edited.html = Some(html);
        edited.attachment = None;
        let edited = Arc::clone(message);
        self.text_kept = self.text_kept + text_size(&edited) - before;
        self.forget_upload(id);
        self.evict(room);
        Ok(edited)
    }

    pub(super) fn delete(&mut self, author: UserId, room: RoomId, id: MessageId) -> Result<(), Error> {
        self.own(author, room, id)?;
        let Some(hall) = self.rooms.get_mut(&room) else { return Err(Error::UnknownRoom(room)) };
        if let Ok(index) = hall.messages.binary_search_by_key(&id, |message| message.id)
            && let Some(message) = hall.messages.remove(index)
        {
            self.text_kept -= text_size(&message);
        }
        self.forget_upload(id);
        Ok(())
    }

    pub(super) fn boost(
        &mut self,
        author: UserId,
        room: RoomId,
        id: MessageId,
        content: &str,
    ) -> Result<(Boost, Arc<Message>), Error> {
        self.check_member(author, room)?;
        let content = content.trim();
        if content.is_empty() {
            return Err(Error::Blank);
        }
        let size = content.chars().count();
        if size > LONGEST_BOOST {
            return Err(Error::TooLong { size, limit: LONGEST_BOOST });
        }
        let boost = Boost { id: self.next_boost, author, content: content.to_owned() };
        let message = self.find(room, id)?;
        let boosted = Arc::make_mut(message);
        if boosted.boosts.len() == BOOSTS_A_MESSAGE {
            boosted.boosts.remove(0);
        }
        boosted.boosts.push(boost.clone());
        let boosted = Arc::clone(message);
        self.next_boost += 1;
        Ok((boost, boosted))
    }

    pub(super) fn remove_boost(
        &mut self,
        author: UserId,
        room: RoomId,
        id: u64,
    ) -> Result<Arc<Message>, Error> {
        let hall = self.rooms.get_mut(&room).ok_or(Error::UnknownRoom(room))?;
        let theirs = |boost: &Boost| boost.id == id && boost.author == author;
        let message = hall
            .messages
            .iter_mut()
            .find(|message| message.boosts.iter().any(theirs))
            .ok_or(Error::UnknownBoost(id))?;
        Arc::make_mut(message).boosts.retain(|boost| !theirs(boost));
        Ok(Arc::clone(message))
    }

    pub(super) fn upload(&self, id: MessageId) -> Option<(Attachment, Bytes)> {
        let (_, bytes) = self.uploads.iter().find(|(message, _)| *message == id)?;
        let message = self.rooms.values().find_map(|hall| {
            let index = hall.messages.binary_search_by_key(&id, |message| message.id).ok()?;
            hall.messages.get(index)
        })?;
        Some((message.attachment.clone()?, bytes.clone()))
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

    fn check_member(&self, user: UserId, room: RoomId) -> Result<(), Error> {
        let hall = self.rooms.get(&room).ok_or(Error::UnknownRoom(room))?;
        if hall.members.contains(&user) { Ok(()) } else { Err(Error::NotAMember { user, room }) }
    }

    fn plain(&self, html: &str) -> String {
        plain_text(html, &self.signer, |user| self.name_of(user).map(str::to_owned))
    }

    fn find(&mut self, room: RoomId, id: MessageId) -> Result<&mut Arc<Message>, Error> {
        let hall = self.rooms.get_mut(&room).ok_or(Error::UnknownRoom(room))?;
        let index = hall
            .messages
            .binary_search_by_key(&id, |message| message.id)
            .map_err(|_| Error::UnknownMessage(id))?;
        Ok(&mut hall.messages[index])
    }

    fn own(&mut self, author: UserId, room: RoomId, id: MessageId) -> Result<&mut Arc<Message>, Error> {
        self.check_member(author, room)?;
        let message = self.find(room, id)?;
        if message.author == author {
            Ok(message)
        } else {
            Err(Error::NotTheAuthor { user: author, message: id })
        }
    }

    fn keep_upload(&mut self, id: MessageId, bytes: Bytes) {
        self.uploads_kept += bytes.len();
        self.uploads.push_back((id, bytes));
        while self.uploads_kept > UPLOADS_KEPT
            && let Some((_, oldest)) = self.uploads.pop_front()
        {
            self.uploads_kept -= oldest.len();
        }
    }

    fn forget_upload(&mut self, id: MessageId) {
        self.uploads.retain(|(message, bytes)| {
            let keep = *message != id;
            if !keep {
                self.uploads_kept -= bytes.len();
            }
            keep
        });
    }

    /// Back within the bounds: first the room's own oldest, then the oldest anywhere.
    fn evict(&mut self, room: RoomId) {
        while self.rooms.get(&room).is_some_and(|hall| hall.messages.len() > MESSAGES_A_ROOM) {
            self.drop_oldest(room);
        }
        while self.text_kept > TEXT_KEPT {
            let oldest = self
                .rooms
                .iter()
                .filter_map(|(id, hall)| Some((hall.messages.front()?.id, *id)))
                .min_by_key(|(message, _)| *message);
            let Some((_, room)) = oldest else { return };
            self.drop_oldest(room);
        }
    }

    fn drop_oldest(&mut self, room: RoomId) {
        if let Some(message) = self.rooms.get_mut(&room).and_then(|hall| hall.messages.pop_front()) {
            self.text_kept -= text_size(&message);
            self.forget_upload(message.id);
        }
    }
}

fn text_size(message: &Message) -> usize {
    message.plain.len() + message.html.as_deref().map_or(0, str::len)
}

fn check_size(size: usize) -> Result<(), Error> {
    if size > LARGEST_POST { Err(Error::TooLong { size, limit: LARGEST_POST }) } else { Ok(()) }
}
