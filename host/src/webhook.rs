//! Campfire in: every accepted webhook is in the inbox before it is acknowledged, and **every** answer is bare.
//!
//! Campfire posts whatever it is answered into the room: a text as a message, anything else with a Content-Type as a
//! file, whatever the status. So no answer of this listener has a body or a Content-Type. The type of the response,
//! [`Bare`], has no room for a body, and [`bare`] is the only place that makes one.
//!
//! - 204: taken, or nothing to do (a duplicate, an event that is no message where the plugin takes no others, a room the
//!   bot does not serve, bots that answer each other without end).
//! - 400 not JSON · 404 unknown bot or wrong secret · 405 not POST · 408 the body came too slowly · 413 too large ·
//!   415 not JSON by its own word · 500 a bug · 503 the store did not take it in time.
//!
//! Campfire tries once and waits seven seconds; nothing here takes as long. Of a message that the store did not take, its
//! room is named to whoever reads rooms (`missed`).

use std::{convert::Infallible, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header,
    service::service_fn,
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

use crate::{
    campfire::{self, Webhook},
    config::Bot,
    connections,
    id::{EventId, LaneKey, MessageId, RoomId, Timestamp, UserId},
    lane::{Hops, Lanes},
    plugin::{Roster, Seat},
    store::{Acceptance, KnownRoom, NewEvent, Source, StoreError},
    turn::Occasion,
};

/// An answer that can't say anything.
type Bare = Response<Empty<Bytes>>;

/// How long a client may take to send its request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(4);
/// How long the store may take: with the body, short of Campfire's seven seconds. A disk that is busy with something else stops
/// for a second.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// Connections at once. More wait in the socket's backlog.
const CONNECTIONS: usize = 1024;

/// The bot of a webhook that is no bot's, where these are counted. No bot is called so.
const NOBODY: &str = "-";

/// Takes webhooks in.
pub struct Door {
    /// Whose webhooks are known.
    pub roster: Arc<Roster>,
    /// Where what came is put.
    pub inbox: Arc<dyn Inbox>,
    /// Tells messages of bots from those of people.
    pub hops: Hops,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// Told of rooms in which a message was not taken, as they are to be read. What finds no place there is not made up
    /// for before the next start.
    pub missed: mpsc::Sender<KnownRoom>,
}

/// Keeps what came, durably, before it answers.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Takes an event.
    ///
    /// # Errors
    /// If it could not be kept; then it was not taken.
    async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError>;
}

#[async_trait]
impl Inbox for Lanes {
    async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError> {
        self.accept(event).await
    }
}

/// Serves the door until `shutdown`, then lets open requests end.
pub async fn serve(door: Arc<Door>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let service = |_| {
        let door = Arc::clone(&door);
        service_fn(move |request| {
            let door = Arc::clone(&door);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        })
    };
    connections::serve(listener, CONNECTIONS, service, shutdown).await;
}

/// The one maker of answers.
fn bare(status: StatusCode) -> Bare {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    response
}

// === impl Door ===

impl Door {
    /// Answers one request; a bug in here too ends in a bare answer.
    async fn answer(&self, request: Request<Incoming>) -> Bare {
        let seat = self.addressee(request.uri().path());
        let bot = seat.as_ref().map_or(NOBODY, |seat| seat.bot.name.as_str()).to_owned();
        let answer = AssertUnwindSafe(self.take(seat, request)).catch_unwind().await;
        let status = answer.unwrap_or_else(|_| {
            tracing::error!("a webhook caused a panic; the message is lost");
            StatusCode::INTERNAL_SERVER_ERROR
        });
        metrics::counter!("hearth_webhooks_total", "bot" => bot, "status" => status.as_str().to_owned())
            .increment(1);
        bare(status)
    }

    async fn take<B>(&self, seat: Option<Seat>, request: Request<B>) -> StatusCode
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(seat) = seat else { return StatusCode::NOT_FOUND };
        if request.method() != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED;
        }
        if !says_json(&request) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        if request.body().size_hint().lower() > self.max_body as u64 {
            tracing::warn!(bot = %seat.bot.name, limit = self.max_body, "a webhook was too large; raise `max-body` in [host] if it should be taken");
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        let body = Limited::new(request.into_body(), self.max_body).collect();
        match timeout(BODY_PATIENCE, body).await {
            Err(_) => StatusCode::REQUEST_TIMEOUT,
            Ok(Err(error)) if error.is::<LengthLimitError>() => StatusCode::PAYLOAD_TOO_LARGE,
            Ok(Err(_)) => StatusCode::BAD_REQUEST,
            Ok(Ok(body)) => self.accept(&seat, &body.to_bytes()).await,
        }
    }

    /// The bot that `/hooks/<bot>/<secret>` names, if the secret is right. An unknown bot and a wrong secret take as
    /// long and look the same.
    fn addressee(&self, path: &str) -> Option<Seat> {
        let (name, secret) = path.strip_prefix("/hooks/")?.split_once('/')?;
        let seat = self.roster.bot(name);
        let nobody = SecretString::from("no bot has this secret, since it is not of the alphabet");
        let expected = seat.as_ref().and_then(|seat| seat.bot.webhook_secret.as_ref()).unwrap_or(&nobody);
        let right: bool = expected.expose_secret().as_bytes().ct_eq(secret.as_bytes()).into();
        seat.filter(|_| right)
    }

    async fn accept(&self, seat: &Seat, body: &[u8]) -> StatusCode {
        let bot = &*seat.bot;
        let webhook = match campfire::parse(body) {
            Ok(webhook) => webhook,
            Err(error) => {
                tracing::warn!(bot = %bot.name, %error, "a webhook could not be read");
                return StatusCode::BAD_REQUEST;
            }
        };
        let Some(taken) = Taken::of(webhook, seat) else { return StatusCode::NO_CONTENT };
        let room = taken.room;
        if !bot.rooms.is_empty() && !bot.rooms.contains(&room) {
            tracing::info!(bot = %bot.name, %room, "what came from a room that the bot's `rooms` does not name was passed over");
            return StatusCode::NO_CONTENT;
        }
        let Ok(payload) = serde_json::to_string(&taken.occasion) else {
            return StatusCode::INTERNAL_SERVER_ERROR;
        };
        let event = NewEvent {
            id: EventId::new(),
            lane: LaneKey { bot: bot.name.clone(), room },
            message: taken.message,
            kind: taken.kind,
            content_hash: taken.content_hash,
            payload,
            received_at: Timestamp::now(),
            source: taken.source,
            hop: taken.author.and_then(|author| self.hops.of(bot, author)),
        };
        let lane = event.lane.clone();
        let room = missed(&event);
        match timeout(STORE_PATIENCE, self.inbox.accept(event)).await {
            Ok(Ok(_)) => return StatusCode::NO_CONTENT,
            Ok(Err(error)) => tracing::error!(%lane, %error, "a message could not be taken in"),
            Err(_) => tracing::error!(%lane, "a message was not taken in within {STORE_PATIENCE:?}"),
        }
        if let Some(room) = room {
            // A full queue holds the same rooms, most likely.
            let _ = self.missed.try_send(room);
        }
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// The room of a message as it is to be read if the message is not taken.
fn missed(event: &NewEvent) -> Option<KnownRoom> {
    let (Source::Message { room_name }, Some(message)) = (&event.source, event.message) else { return None };
    Some(KnownRoom {
        lane: event.lane.clone(),
        name: room_name.clone(),
        read_to: MessageId(message.0.saturating_sub(1)),
        heard_at: event.received_at,
    })
}

/// What a webhook brought for a bot, and what tells it from others.
struct Taken {
    occasion: Occasion,
    room: RoomId,
    message: Option<MessageId>,
    /// Who wrote it, if it is a message.
    author: Option<UserId>,
    kind: String,
    content_hash: [u8; 32],
    source: Source,
}

impl Taken {
    /// Nothing if it is nothing to this bot. While its plugin is not loaded, nobody knows what it takes; then all is kept,
    /// and the turn finds out.
    fn of(webhook: Webhook, seat: &Seat) -> Option<Self> {
        let key = seat.bot.bot_key.as_ref().map_or("", ExposeSecret::expose_secret);
        match webhook {
            Webhook::Message(mut incoming) => {
                let content_hash = incoming.content_hash();
                incoming.redact(key);
                Some(Self {
                    room: incoming.room.id,
                    message: Some(incoming.message.id),
                    author: Some(incoming.user.id),
                    kind: incoming.kind.clone(),
                    content_hash,
                    source: Source::Message { room_name: incoming.room.name.clone() },
                    occasion: Occasion::Message(*incoming),
                })
            }
            Webhook::Occurrence(mut happened)
                if seat.generation.as_ref().is_none_or(|generation| generation.plugin.has_events()) =>
            {
                let content_hash = happened.content_hash();
                happened.redact(key);
                Some(Self {
                    room: happened.room.id,
                    message: happened.message.as_ref().map(|message| message.id),
                    author: None,
                    kind: happened.kind.clone(),
                    content_hash,
                    source: Source::Other,
                    occasion: Occasion::Occurrence(*happened),
                })
            }
            Webhook::Occurrence(happened) => {
                passed_over(&seat.bot, &happened.kind);
                None
            }
            Webhook::Other { kind } => {
                passed_over(&seat.bot, &kind);
                None
            }
        }
    }
}

fn passed_over(bot: &Bot, kind: &str) {
    tracing::debug!(bot = %bot.name, kind, "a webhook of another kind was passed over");
}

/// Whether the request calls itself JSON, or nothing.
fn says_json<B>(request: &Request<B>) -> bool {
    let Some(kind) = request.headers().get(header::CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}

#[cfg(test)]
mod tests;
