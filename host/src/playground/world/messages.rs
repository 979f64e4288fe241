//! The messages of a world.
//!
//! Ids only ever grow, over all rooms. Messages a room, the text and the uploads of all of them, and boosts a message are
//! bounded. The oldest goes first; an upload whose contents are gone keeps its message.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    super::{
        Attachment, Boost, Error, Message,
        html::{Piece, mentions, pieces, plain_text},
    },
    World,
};
use crate::id::{MessageId, RoomId, Timestamp, UserId};

/// How many messages a room keeps.
pub(in crate::playground) const MESSAGES_A_ROOM: usize = 500;
/// The largest upload and the largest body, in bytes.
pub(in crate::playground) const LARGEST_POST: usize = 20 << 20;
pub(in crate::playground) const TEXT_KEPT: usize = 64 << 20;
pub(in crate::playground) const UPLOADS_KEPT: usize = 128 << 20;
const BOOSTS_A_MESSAGE: usize = 100;
const LONGEST_BOOST: usize = 16;

/// What a new message says.
pub(in crate::playground) enum Content {
    /// A body, stored as it is.
    Html(String),
    /// A file.
    File { name: String, media_type: String, bytes: Bytes },
}

/// Which of a room's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::playground) enum Span {
    Newest,
    Before(MessageId),
    After(MessageId),
}

/// Part of a room's messages, oldest first.
pub(in crate::playground) struct Excerpt {
    pub(in crate::playground) messages: Vec<Arc<Message>>,
    /// How many the room has.
    pub(in crate::playground) total: usize,
    /// Whether there are more in the direction that was asked for.
    pub(in crate::playground) more: bool,
}

impl World {
    /// What `author` typed, as the editor would have stored it.
    pub(in crate::playground) fn typed(&self, room: RoomId, text: &str) -> String {
        let members: Vec<(UserId, &str)> = self
            .rooms
            .get(&room)
            .into_iter()
            .flat_map(|hall| &hall.members)
            .filter_map(|user| Some((*user, self.name_of(*user)?)))
            .collect();
        self.signer.mark_up(text, &members)
    }

    pub(in crate::playground) fn create(
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
    pub(in crate::playground) fn audience(&self, message: &Message) -> Vec<UserId> {
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

    pub(in crate::playground) fn messages(&self, room: RoomId) -> impl Iterator<Item = &Arc<Message>> {
        self.rooms.get(&room).into_iter().flat_map(|hall| &hall.messages)
    }

    pub(in crate::playground) fn excerpt(&self, room: RoomId, span: Span, limit: usize) -> Excerpt {
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

    pub(in crate::playground) fn edit(
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

    pub(in crate::playground) fn delete(
        &mut self,
        author: UserId,
        room: RoomId,
        id: MessageId,
    ) -> Result<(), Error> {
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

    pub(in crate::playground) fn boost(
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

    pub(in crate::playground) fn remove_boost(
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

    pub(in crate::playground) fn upload(&self, id: MessageId) -> Option<(Attachment, Bytes)> {
        let (_, bytes) = self.uploads.iter().find(|(message, _)| *message == id)?;
        let message = self.rooms.values().find_map(|hall| {
            let index = hall.messages.binary_search_by_key(&id, |message| message.id).ok()?;
            hall.messages.get(index)
        })?;
        Some((message.attachment.clone()?, bytes.clone()))
    }

    pub(in crate::playground) fn pieces(&self, html: &str) -> Vec<Piece> {
        pieces(html, &self.signer, |user| self.name_of(user).map(str::to_owned))
    }

    // === Within ===

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
