//! Why a request came to nothing, and what Campfire's refusals mean.

use reqwest::{Response, header::LOCATION};

use super::{Feature, Target};
use crate::id::{MessageId, RoomId};

/// Why a request failed. But for [`Uncertain`](Self::Uncertain), nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection could be made; surely nothing was received.
    #[error(
        "Campfire could not be reached in {tries} tries; check that it runs and that campfire.url is right"
    )]
    NotSent {
        /// How many tries were made.
        tries: u32,
        /// What the last one met.
        #[source]
        cause: reqwest::Error,
    },
    /// It was sent, and no clear answer came: it may have been done or not.
    #[error("Campfire did not answer clearly ({answer}); what was asked may have been done or not")]
    Uncertain {
        /// What came instead, in a few words.
        answer: Box<str>,
        /// The HTTP status, if an answer came: then the server is done with it.
        status: Option<u16>,
        /// What the connection met, if it was that.
        #[source]
        cause: Option<reqwest::Error>,
    },
    /// The key is wrong, was reset, or belongs to a deactivated bot.
    #[error(
        "Campfire does not know the bot's key; copy it from the bot's page in Campfire to `bot-key` in bots.toml"
    )]
    BadKey,
    /// Another address answers for this one.
    #[error("the server sends us on to {to}; if that is your Campfire, put it in campfire.url in bots.toml")]
    Redirected {
        /// Scheme and host; the rest holds the key.
        to: Box<str>,
    },
    /// The room is gone, or the bot is not in it.
    #[error("Campfire knows no room {room} with this bot in it; add the bot to the room")]
    RoomUnknown {
        /// Which room.
        room: RoomId,
    },
    /// The message is gone or never was in this room, or the bot is no longer in the room.
    #[error("Campfire knows no message {message} in room {room}, or the bot is no longer in that room")]
    MessageUnknown {
        /// Which message.
        message: MessageId,
        /// In which room.
        room: RoomId,
    },
    /// Somebody else wrote it.
    #[error("message {message} is not the bot's own, so it may not change it")]
    NotOwn {
        /// Which message.
        message: MessageId,
    },
    /// Campfire takes no empty message.
    #[error("Campfire refused the message as blank")]
    Blank,
    /// Campfire has banned this host's address.
    #[error("Campfire has banned this host's address; lift the ban in Campfire")]
    Banned,
    /// Something answered, but not as Campfire does.
    #[error("what answers at campfire.url is not Campfire's bot API (status {status}); check the URL")]
    NotCampfire {
        /// The HTTP status.
        status: u16,
    },
    /// This Campfire is too old.
    #[error("this Campfire is too old for {0}; update it to have that")]
    Unsupported(Feature),
    /// A page of messages is larger than what is read.
    #[error("these messages have more than {limit} bytes together, so they are not read")]
    TooLarge {
        /// What is read, in bytes.
        limit: usize,
    },
    /// This host may no longer act for the room's lane; nothing was sent.
    #[error("the room is another host's to answer by now, so nothing was sent")]
    TooLate,
    /// Any other refusal; nothing was done.
    #[error("Campfire refused the request (status {status})")]
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// The base can't carry a path.
    #[error("campfire.url must be an http or https address")]
    BadBase,
}

impl RequestError {
    /// What a request came to that was under way when the tenure was over.
    pub(super) fn broken_off() -> Self {
        let answer = "none while the room was this host's to answer".into();
        Self::Uncertain { answer, status: None, cause: None }
    }

    /// What a connection that was made came to.
    pub(super) fn broken(cause: reqwest::Error) -> Self {
        let answer = if cause.is_timeout() { "none in time" } else { "the connection broke" };
        Self::Uncertain { answer: answer.into(), status: None, cause: Some(cause.without_url()) }
    }
}

/// What an answer means that is not the one hoped for.
pub(super) fn refused(response: &Response, target: &Target) -> RequestError {
    let status = response.status();
    match status.as_u16() {
        404 => RequestError::RoomUnknown { room: target.room },
        422 => RequestError::Blank,
        429 => RequestError::Banned,
        code if status.is_success() => RequestError::NotCampfire { status: code },
        code if status.is_redirection() => redirected(response, code),
        // Campfire answers 500 to a broken image, after it has posted it.
        code if status.is_server_error() => RequestError::Uncertain {
            answer: format!("status {code}").into(),
            status: Some(code),
            cause: None,
        },
        code => RequestError::Rejected { status: code },
    }
}

/// Campfire sends who has no right to its sign-in page; a server before it may send everyone to HTTPS.
fn redirected(response: &Response, status: u16) -> RequestError {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let to = location.and_then(|location| response.url().join(location).ok());
    match to {
        Some(to) if to.path().ends_with("/session/new") => RequestError::BadKey,
        Some(to) if to.origin() != response.url().origin() => {
            RequestError::Redirected { to: to.origin().ascii_serialization().into() }
        }
        None if status == 302 => RequestError::BadKey,
        _ => RequestError::Rejected { status },
    }
}
