//! What a bot does in a room: it posts, reads, edits, removes and boosts, and knows of every failure whether it may have
//! been done all the same.
//!
//! Invariants:
//! - Where a request goes is built from the configured base, the room's id and the key; no redirect is followed and no
//!   address from a message or a header is ever called.
//! - Nothing is sent twice. Only a try whose connection could not be made is repeated, for then nothing was sent.
//! - Every call ends within the timeout that the client was made with.
//! - What is read has a bound.
//! - What changes anything is not sent once the target's [`Tenure`] is over, and no answer is waited for then.
//! - No error and no `Debug` holds the bot's key.
//!
//! What goes wrong is a [`RequestError`]. Campfire has no key that would make a repeated post harmless, so
//! [`RequestError::Uncertain`] must be settled by who knows more: the room's history, or nobody.
//!
//! Only posting works on every server. What an older one lacks is found out when it is first needed, and not asked for
//! again for a while: see [`Feature`].

mod bots;
mod connection;
mod error;
mod feature;
mod page;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, LOCATION},
    multipart,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::{Host, Url};

use self::{bots::Bots, error::refused, feature::Features};
pub use self::{
    error::RequestError,
    feature::Feature,
    page::{Page, PastMessage, Span},
};
use crate::{
    id::{MessageId, RoomId, UserId},
    tenure::Tenure,
};

/// A room of a Campfire, and the bot's right to take part there.
#[derive(Clone)]
pub struct Target {
    /// Where Campfire is; may have a path.
    pub base: Url,
    /// Which room.
    pub room: RoomId,
    /// Whose name is on the messages: `<id>-<token>`.
    pub bot_key: SecretString,
    /// For how long anything may be changed there.
    pub tenure: Tenure,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct ClientError(#[source] reqwest::Error);

/// Speaks to Campfires, over connections that are kept and shared. Cheap to clone; clones share what they learned.
#[derive(Debug, Clone)]
pub struct Client {
    /// For other hosts; goes through the proxy that the environment names.
    remote: reqwest::Client,
    /// For this host; never through a proxy.
    local: reqwest::Client,
    timeout: Duration,
    features: Arc<Features>,
    /// Who was seen to be one.
    bots: Arc<Bots>,
}

// === impl Target ===

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("base", &self.base.as_str())
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

/// The user that a bot key begins with; none if the key is not one.
pub fn bot_of(key: &SecretString) -> Option<UserId> {
    let (id, _) = key.expose_secret().split_once('-')?;
    id.trim().parse().ok().map(UserId)
}

impl Target {
    /// The bot's own user, which its key begins with; none if the key is not one.
    pub fn bot(&self) -> Option<UserId> {
        bot_of(&self.bot_key)
    }

    fn messages(&self) -> Result<Url, RequestError> {
        self.at(&["messages"])
    }

    fn message(&self, message: MessageId) -> Result<Url, RequestError> {
        self.at(&["messages", &message.to_string()])
    }

    fn boosts(&self, message: MessageId) -> Result<Url, RequestError> {
        self.at(&["messages", &message.to_string(), "boosts"])
    }

    fn at(&self, rest: &[&str]) -> Result<Url, RequestError> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| RequestError::BadBase)?
            .pop_if_empty()
            .extend(["rooms", &self.room.to_string(), self.bot_key.expose_secret()])
            .extend(rest);
        Ok(url)
    }

    fn is_local(&self) -> bool {
        match self.base.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

// === impl Client ===

impl Client {
    /// A client each of whose calls ends within `timeout`, retries and all; a try to connect takes at most a fifth.
    pub fn new(timeout: Duration) -> Result<Self, ClientError> {
        let (remote, local) = connection::pools(timeout).map_err(ClientError)?;
        Ok(Self { remote, local, timeout, features: Arc::default(), bots: Arc::default() })
    }

    /// Its connections to other hosts, for requests to whom else the operator names.
    pub fn connections(&self) -> reqwest::Client {
        self.remote.clone()
    }

    /// Posts a message; its id, if the server told. The HTML should come from [`messages`](super::messages).
    pub async fn post_html(&self, target: &Target, html: &str) -> Result<Option<MessageId>, RequestError> {
        let body = Bytes::copy_from_slice(html.as_bytes());
        let response =
            self.send(target, Method::POST, target.messages()?, self.deadline(), as_html(body)).await?;
        posted(&response, target)
    }

    /// Posts a file. A name loses its path and its control characters; a media type that is none becomes
    /// `application/octet-stream`.
    pub async fn post_file(
        &self,
        target: &Target,
        name: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Option<MessageId>, RequestError> {
        let name: String =
            name.rsplit(['/', '\\']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        let name = if name.is_empty() { "file".to_owned() } else { name };
        let fill = |request: RequestBuilder| {
            let length = bytes.len() as u64;
            let part = || multipart::Part::stream_with_length(bytes.clone(), length).file_name(name.clone());
            let part = part().mime_str(media_type).unwrap_or_else(|_| part());
            request.multipart(multipart::Form::new().percent_encode_noop().part("attachment", part))
        };
        let response = self.send(target, Method::POST, target.messages()?, self.deadline(), fill).await?;
        posted(&response, target)
    }

    /// Reads a page of the room's messages. Needs [`Feature::History`].
    pub async fn page(&self, target: &Target, span: Span) -> Result<Page, RequestError> {
        let at = |target: &Target| {
            let mut url = target.messages()?;
            match span {
                Span::Newest => {}
                Span::Before(id) => url.set_query(Some(&format!("before={id}"))),
                Span::After(id) => url.set_query(Some(&format!("after={id}"))),
            }
            Ok(url)
        };
        let gone = match span {
            Span::Newest => RequestError::RoomUnknown { room: target.room },
            Span::Before(message) | Span::After(message) => {
                RequestError::MessageUnknown { message, room: target.room }
            }
        };
        let fill = |request: RequestBuilder| request.header(ACCEPT, "application/json");
        let response = self.ask(target, Feature::History, Method::GET, at, gone, fill).await?;
        match response.status() {
            StatusCode::OK => {
                let (page, bots) = page::read(response, span).await?;
                self.bots.learn(&target.base, bots);
                Ok(page)
            }
            _ => Err(refused(&response, target)),
        }
    }

    /// Whether a page of messages has told that this user is a bot.
    pub fn knows_bot(&self, base: &Url, user: UserId) -> bool {
        self.bots.has(base, user)
    }

    /// Puts other HTML in the place of a message's. The message must be the bot's own. Needs [`Feature::Editing`].
    pub async fn edit(&self, target: &Target, message: MessageId, html: &str) -> Result<(), RequestError> {
        let body = Bytes::copy_from_slice(html.as_bytes());
        self.change(target, message, Method::PATCH, as_html(body)).await
    }

    /// Removes a message. It must be the bot's own. Needs [`Feature::Editing`].
    pub async fn remove(&self, target: &Target, message: MessageId) -> Result<(), RequestError> {
        self.change(target, message, Method::DELETE, |request| request).await
    }

    /// Puts a short reaction on a message. Needs [`Feature::Boosts`].
    pub async fn boost(&self, target: &Target, message: MessageId, text: &str) -> Result<(), RequestError> {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let fill = |request: RequestBuilder| {
            request.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(body.clone())
        };
        let gone = RequestError::MessageUnknown { message, room: target.room };
        let at = |target: &Target| target.boosts(message);
        let response = self.ask(target, Feature::Boosts, Method::POST, at, gone, fill).await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(refused(&response, target)),
        }
    }

    async fn change(
        &self,
        target: &Target,
        message: MessageId,
        method: Method,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(), RequestError> {
        let gone = RequestError::MessageUnknown { message, room: target.room };
        let at = |target: &Target| target.message(message);
        let response = self.ask(target, Feature::Editing, method, at, gone, fill).await?;
        let is_page = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT if !is_page => Ok(()),
            StatusCode::FORBIDDEN => Err(RequestError::NotOwn { message }),
            _ => Err(refused(&response, target)),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

fn as_html(body: Bytes) -> impl Fn(RequestBuilder) -> RequestBuilder {
    move |request| request.header(CONTENT_TYPE, "text/html; charset=utf-8").body(body.clone())
}

fn posted(response: &Response, target: &Target) -> Result<Option<MessageId>, RequestError> {
    if response.status() == StatusCode::CREATED {
        Ok(id_in(response))
    } else {
        Err(refused(response, target))
    }
}

/// The last segment of `Location`, whatever the server calls itself there.
fn id_in(response: &Response) -> Option<MessageId> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let path = location.split(['?', '#']).next()?;
    path.trim_end_matches('/').rsplit('/').next()?.parse().ok().map(MessageId)
}

#[cfg(test)]
mod tests;
