//! The things of a playground, as its users see them.

use secrecy::SecretString;

use crate::id::{MessageId, RoomId, Timestamp, UserId};

/// A bot and what it needs to take part.
#[derive(Debug, Clone)]
pub struct BotAccount {
    /// The bot's user.
    pub user: UserId,
    /// `<id>-<12 letters and digits>`.
    pub key: SecretString,
    /// Its room with the person who is there from the start.
    pub direct_room: RoomId,
}

/// Somebody in the playground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: UserId,
    /// Their name, as given: any text.
    pub name: String,
    /// Whether it is a bot.
    pub is_bot: bool,
}

/// A place to talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name; a direct room has none.
    pub name: Option<String>,
    /// Who is in it.
    pub members: Vec<UserId>,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id; later messages have larger ones, whatever their room.
    pub id: MessageId,
    /// Where it is.
    pub room: RoomId,
    /// Who wrote it.
    pub author: UserId,
    /// The body as it was posted, unsanitised; none for an upload.
    pub html: Option<String>,
    /// The body as text, mentions as `@Name`; for an upload the file's name.
    pub plain: String,
    /// The file, if it is an upload.
    pub attachment: Option<Attachment>,
    /// Its boosts, oldest first.
    pub boosts: Vec<Boost>,
    /// When it was written.
    pub created_at: Timestamp,
}

/// An uploaded file, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name.
    pub name: String,
    /// Its media type, without parameters.
    pub media_type: String,
    /// Its size in bytes.
    pub size: usize,
}

/// A short reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boost {
    /// Its id.
    pub id: u64,
    /// Who gave it.
    pub author: UserId,
    /// An emoji, or up to 16 characters.
    pub content: String,
}

/// What became of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message it told of.
    pub message: MessageId,
    /// The room of the message.
    pub room: RoomId,
    /// The bot it went to.
    pub bot: UserId,
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// The answer's `Content-Type`, if it had one.
    pub content_type: Option<String>,
    /// What that led to.
    pub effect: Effect,
}

/// What a webhook led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing in the room.
    Nothing,
    /// The answer became this message.
    Posted(MessageId),
    /// The answer became this upload.
    Uploaded(MessageId),
    /// The bot took too long; this message says so.
    TimedOut(MessageId),
    /// There was no answer, for this reason.
    Unreachable(String),
    /// Campfire's delivery job would have crashed, for this reason.
    JobFailed(String),
    /// Too many webhooks were waiting; it was never sent.
    Dropped,
}

/// How a post by a bot goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed without an answer; nothing is stored.
    Refuse,
    /// No answer, for a minute; nothing is stored.
    HangBeforeStoring,
    /// This status; nothing is stored.
    ErrorBeforeStoring(u16),
    /// No answer, for a minute; the message is there.
    HangAfterStoring,
    /// This status; the message is there.
    ErrorAfterStoring(u16),
    /// The answer to a bad key: 302 to the sign-in page; nothing is stored.
    Redirect,
}

/// Why the playground refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user.
    #[error("the playground has no user {0}, or it is not a bot")]
    UnknownUser(UserId),
    /// No such room.
    #[error("the playground has no room {0}")]
    UnknownRoom(RoomId),
    /// No such message in that room.
    #[error("the room has no message {0}; it keeps its newest only")]
    UnknownMessage(MessageId),
    /// No such boost by that user in that room.
    #[error("the room has no boost {0} of this user")]
    UnknownBoost(u64),
    /// Only members take part in a room.
    #[error("user {user} is not in room {room}")]
    NotAMember {
        /// Who tried.
        user: UserId,
        /// Where.
        room: RoomId,
    },
    /// Only authors change their messages.
    #[error("user {user} did not write message {message}")]
    NotTheAuthor {
        /// Who tried.
        user: UserId,
        /// Which message.
        message: MessageId,
    },
    /// There are as many of these as there may be.
    #[error("the playground has {limit} {what} already, and takes no more")]
    Full {
        /// "people" or "rooms".
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Nothing was said.
    #[error("there is nothing in it")]
    Blank,
    /// Too much was said: bytes of a message, characters of a boost.
    #[error("{size} is more than the {limit} allowed")]
    TooLong {
        /// What it was.
        size: usize,
        /// What it may be.
        limit: usize,
    },
}
