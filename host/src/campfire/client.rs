//! Posts into rooms, and says of every failure whether the room may have got it all the same.
//!
//! Invariants:
//! - Where a request goes is built from the configured base, the room's id and the key; no redirect is followed and no
//!   address from a message is ever called.
//! - Nothing is sent twice. Only a try whose connection could not be made is repeated, for then nothing was sent.
//! - Every call ends within the timeout that the client was made with.
//! - No error and no `Debug` holds the bot's key.
//!
//! What goes wrong is a [`PostError`]. Campfire has no key that would make a repeated post harmless, so
//! [`PostError::Uncertain`] must be settled by who knows more: the room's history, or nobody.

use std::{fmt, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
    multipart, redirect,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::{Host, Url};

use crate::id::{MessageId, RoomId};

/// How often a connection is tried.
const TRIES: u32 = 4;

/// Which part of the timeout a try to connect may take: one in so many.
const CONNECT_SHARE: u32 = 5;

/// How long to wait before the second try, at most; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// A room of a Campfire, and the bot's right to write there.
#[derive(Clone)]
pub struct Target {
    /// Where Campfire is; may have a path.
    pub base: Url,
    /// Which room.
    pub room: RoomId,
    /// Whose name is on the messages: `<id>-<token>`.
    pub bot_key: SecretString,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct ClientError(#[source] reqwest::Error);

/// Why a post failed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
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
    /// It was sent, and no clear answer came: it may be in the room or not.
    #[error("Campfire did not answer clearly ({answer}); the message may be in the room or not")]
    Uncertain {
        /// What came instead, in a few words.
        answer: Box<str>,
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
    /// This Campfire is too old for boosts, or the message is gone.
    #[error("this Campfire has no boosts, or the message is gone")]
    Unsupported,
    /// Any other refusal; nothing was posted.
    #[error("Campfire refused the request (status {status})")]
    Rejected {
        /// The HTTP status.
        status: u16,
    },
    /// The base can't carry a path.
    #[error("campfire.url must be an http or https address")]
    BadBase,
}

/// Posts, over connections that are kept and shared. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    /// For other hosts; goes through the proxy that the environment names.
    remote: reqwest::Client,
    /// For this host; never through a proxy.
    local: reqwest::Client,
    timeout: Duration,
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

impl Target {
    fn messages(&self) -> Result<Url, PostError> {
        self.at(&["messages"])
    }

    fn boosts(&self, message: MessageId) -> Result<Url, PostError> {
        self.at(&["messages", &message.to_string(), "boosts"])
    }

    fn at(&self, rest: &[&str]) -> Result<Url, PostError> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| PostError::BadBase)?
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
        // An error means that one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |proxy| {
            connections(timeout, proxy, Roots::System).or_else(|_| {
                tracing::warn!(
                    "no root certificates were found on this machine: a Campfire behind https can't be reached; \
                     install ca-certificates"
                );
                connections(timeout, proxy, Roots::None)
            })
        };
        let (remote, local) = (build(Proxy::Environment), build(Proxy::None));
        Ok(Self { remote: remote.map_err(ClientError)?, local: local.map_err(ClientError)?, timeout })
    }

    /// Posts a message; its id, if the server told. The HTML should come from [`messages`](super::messages).
    pub async fn post_html(&self, target: &Target, html: &str) -> Result<Option<MessageId>, PostError> {
        let body = Bytes::copy_from_slice(html.as_bytes());
        let response = self
            .send(target, target.messages()?, |request| {
                request.header(CONTENT_TYPE, "text/html; charset=utf-8").body(body.clone())
            })
            .await?;
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
    ) -> Result<Option<MessageId>, PostError> {
        let name: String =
            name.rsplit(['/', '\\']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
        let name = if name.is_empty() { "file".to_owned() } else { name };
        let response = self
            .send(target, target.messages()?, |request| {
                let length = bytes.len() as u64;
                let part =
                    || multipart::Part::stream_with_length(bytes.clone(), length).file_name(name.clone());
                let part = part().mime_str(media_type).unwrap_or_else(|_| part());
                request.multipart(multipart::Form::new().percent_encode_noop().part("attachment", part))
            })
            .await?;
        posted(&response, target)
    }

    /// Puts a short reaction on a message.
    pub async fn boost(&self, target: &Target, message: MessageId, text: &str) -> Result<(), PostError> {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let response = self
            .send(target, target.boosts(message)?, |request| {
                request.header(CONTENT_TYPE, "text/plain; charset=utf-8").body(body.clone())
            })
            .await?;
        match response.status() {
            StatusCode::CREATED => Ok(()),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Err(PostError::Unsupported),
            _ => Err(refused(&response, target)),
        }
    }

    /// Sends until a connection was made, within the timeout.
    async fn send(
        &self,
        target: &Target,
        url: Url,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, PostError> {
        let client = if target.is_local() { &self.local } else { &self.remote };
        let deadline = Instant::now() + self.timeout;
        let mut tries = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let request = fill(client.request(Method::POST, url.clone())).timeout(left);
            let cause = match request.send().await {
                Ok(response) => return Ok(response),
                Err(error) => error.without_url(),
            };
            if !cause.is_connect() {
                let answer = if cause.is_timeout() { "none in time" } else { "the connection broke" };
                return Err(PostError::Uncertain { answer: answer.into(), cause: Some(cause) });
            }
            let wait = jittered(FIRST_WAIT * 2_u32.pow(tries - 1));
            // With less time left than a connection may take, the deadline could no longer be told from an answer
            // that does not come.
            let enough =
                wait + self.timeout / CONNECT_SHARE < deadline.saturating_duration_since(Instant::now());
            if tries == TRIES || !enough {
                return Err(PostError::NotSent { tries, cause });
            }
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }
}

/// Which proxy is used.
#[derive(Clone, Copy)]
enum Proxy {
    Environment,
    None,
}

/// Which certificates are trusted.
#[derive(Clone, Copy)]
enum Roots {
    System,
    None,
}

/// A pool of connections that follows nothing and names itself.
fn connections(timeout: Duration, proxy: Proxy, roots: Roots) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .redirect(redirect::Policy::none())
        .connect_timeout(timeout / CONNECT_SHARE)
        // Campfire gives browsers a page, and posts nothing: a plain product name is what it takes for a program.
        .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")));
    if let Proxy::None = proxy {
        builder = builder.no_proxy();
    }
    if let Roots::None = roots {
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

// === what an answer means ===

fn posted(response: &Response, target: &Target) -> Result<Option<MessageId>, PostError> {
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

fn refused(response: &Response, target: &Target) -> PostError {
    let status = response.status();
    match status.as_u16() {
        404 => PostError::RoomUnknown { room: target.room },
        422 => PostError::Blank,
        429 => PostError::Banned,
        code if status.is_success() => PostError::NotCampfire { status: code },
        code if status.is_redirection() => redirected(response, code),
        // Campfire answers 500 to a broken image, after it has posted it.
        code if status.is_server_error() => {
            PostError::Uncertain { answer: format!("status {code}").into(), cause: None }
        }
        code => PostError::Rejected { status: code },
    }
}

/// Campfire sends who has no right to its sign-in page; a server before it may send everyone to HTTPS.
fn redirected(response: &Response, status: u16) -> PostError {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let to = location.and_then(|location| response.url().join(location).ok());
    match to {
        Some(to) if to.path().ends_with("/session/new") => PostError::BadKey,
        Some(to) if to.origin() != response.url().origin() => {
            PostError::Redirected { to: to.origin().ascii_serialization().into() }
        }
        None if status == 302 => PostError::BadKey,
        _ => PostError::Rejected { status },
    }
}

/// Between half of `wait` and all of it, so that rooms that failed together don't try again together.
fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    wait / 2 + wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests;
