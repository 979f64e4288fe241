//! What people and bots do in rooms: write, upload, edit, delete, boost.
//!
//! Webhooks go out for what is written and uploaded, and for nothing else: Campfire tells of no edit, deletion or boost.
//! Each change is told while the world is locked, so that all are told in the order in which they happened.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Attachment, Boost, Change, Delivery, Effect, Error, Message, Playground, webhooks, world::Content,
};
use crate::id::{MessageId, RoomId, UserId};

impl Playground {
    /// Writes `text` as somebody at the web page would: it stays text, but for `@Name` of a member, which becomes a real
    /// mention. Webhooks go out.
    ///
    /// # Errors
    /// [`Error::UnknownRoom`], [`Error::NotAMember`], [`Error::Blank`], and [`Error::TooLong`] above 20 MiB.
    pub fn say(&self, author: UserId, room: RoomId, text: &str) -> Result<MessageId, Error> {
        let html = self.typed(room, text)?;
        Ok(self.write(author, room, Content::Html(html))?.id)
    }

    /// Uploads a file as somebody at the web page would. Webhooks go out.
    ///
    /// # Errors
    /// [`Error::UnknownRoom`], [`Error::NotAMember`], and [`Error::TooLong`] above 20 MiB.
    pub fn upload(
        &self,
        author: UserId,
        room: RoomId,
        file_name: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<MessageId, Error> {
        let file = Content::File {
            name: file_name.to_owned(),
            media_type: webhooks::media_type_of(file_name).to_owned(),
            bytes: bytes.into(),
        };
        Ok(self.write(author, room, file)?.id)
    }

    /// A file and its contents, unless it had to make room for newer ones (128 MiB are kept).
    pub fn uploaded(&self, message: MessageId) -> Option<(Attachment, Bytes)> {
        self.world().upload(message)
    }

    /// Puts `text`, read as [`Playground::say`] reads it, in the place of a message.
    ///
    /// # Errors
    /// [`Error::UnknownRoom`], [`Error::UnknownMessage`], [`Error::NotTheAuthor`], and those of [`Playground::say`].
    pub fn rewrite(&self, author: UserId, room: RoomId, message: MessageId, text: &str) -> Result<(), Error> {
        let html = self.typed(room, text)?;
        self.edit(author, room, message, html).map(drop)
    }

    /// Deletes one's own message.
    ///
    /// # Errors
    /// [`Error::UnknownRoom`], [`Error::NotAMember`], [`Error::UnknownMessage`] and [`Error::NotTheAuthor`].
    pub fn delete(&self, author: UserId, room: RoomId, message: MessageId) -> Result<(), Error> {
        let mut world = self.world();
        world.delete(author, room, message)?;
        self.tell(Change::MessageDeleted { room, message });
        Ok(())
    }

    /// Boosts a message.
    ///
    /// # Errors
    /// [`Error::UnknownRoom`], [`Error::NotAMember`], [`Error::UnknownMessage`], [`Error::Blank`], and [`Error::TooLong`]
    /// above 16 characters.
    pub fn boost(
        &self,
        author: UserId,
        room: RoomId,
        message: MessageId,
        content: &str,
    ) -> Result<Boost, Error> {
        let mut world = self.world();
        let (boost, boosted) = world.boost(author, room, message, content)?;
        self.tell(Change::MessageUpdated(boosted));
        Ok(boost)
    }

    /// Takes one's own boost back.
    ///
    /// # Errors
    /// [`Error::UnknownRoom`] and [`Error::UnknownBoost`].
    pub fn remove_boost(&self, author: UserId, room: RoomId, boost: u64) -> Result<(), Error> {
        let mut world = self.world();
        let message = world.remove_boost(author, room, boost)?;
        self.tell(Change::MessageUpdated(message));
        Ok(())
    }

    // === Within ===

    /// What somebody typed, as the editor would have stored it.
    fn typed(&self, room: RoomId, text: &str) -> Result<String, Error> {
        if text.trim().is_empty() { Err(Error::Blank) } else { Ok(self.world().typed(room, text)) }
    }

    pub(super) fn edit(
        &self,
        author: UserId,
        room: RoomId,
        message: MessageId,
        html: String,
    ) -> Result<Arc<Message>, Error> {
        let mut world = self.world();
        let edited = world.edit(author, room, message, html)?;
        self.tell(Change::MessageUpdated(Arc::clone(&edited)));
        Ok(edited)
    }

    /// A message that tells the bots.
    pub(super) fn write(
        &self,
        author: UserId,
        room: RoomId,
        content: Content,
    ) -> Result<Arc<Message>, Error> {
        let mut world = self.world();
        let message = world.create(author, room, content)?;
        self.tell(Change::MessageCreated(Arc::clone(&message)));
        for bot in world.audience(&message) {
            if world.recipient(bot).is_some() && !self.inner.mailer.send(&message, bot) {
                let dropped = Delivery {
                    message: message.id,
                    room,
                    bot,
                    status: None,
                    content_type: None,
                    effect: Effect::Dropped,
                };
                self.record(&mut world, dropped);
            }
        }
        Ok(message)
    }

    /// A message made from the answer to a webhook: it tells nobody.
    pub(super) fn write_answer(
        &self,
        bot: UserId,
        room: RoomId,
        content: Content,
    ) -> Result<MessageId, Error> {
        let mut world = self.world();
        let message = world.create(bot, room, content)?;
        let id = message.id;
        self.tell(Change::MessageCreated(message));
        Ok(id)
    }
}
