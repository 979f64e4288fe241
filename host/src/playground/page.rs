//! The page: one self-contained document, the JSON it reads and posts, and a stream of what changes.
//!
//! Nothing of what people or bots wrote reaches the browser as markup except message bodies, sanitised here. The document
//! runs its own script only (a nonce for each answer). Every request must name this machine in `Host`, and posts must be
//! JSON, which no other site can send without being asked first.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
        uri::Authority,
    },
    middleware::{self, Next},
    response::{
        Html, IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{
    Change, Changes, Delivery, Effect, Message, Playground, html, lock,
    world::{Span, World, YOU},
};
use crate::id::{MessageId, RoomId, Timestamp, UserId};

const PAGE: &str = include_str!("page.html");
/// How many pages may be open at once.
const STREAMS: usize = 64;
/// How much of a room the page shows.
const SHOWN: usize = 200;
/// The longest text that can be typed, with room for how JSON writes it.
const LONGEST_TEXT: usize = 1 << 20;

pub(super) fn router(playground: &Playground) -> Router<Playground> {
    let streams = Arc::new(Semaphore::new(STREAMS));
    Router::new()
        .route("/", get(page))
        .route("/api/state", get(state))
        .route("/api/rooms/{room}/messages", get(messages).post(say))
        .route("/events", get(async move |State(playground): State<Playground>| events(playground, streams)))
        .route("/attachments/{message}", get(attachment))
        .layer(DefaultBodyLimit::max(LONGEST_TEXT))
        .route_layer(middleware::from_fn_with_state(playground.clone(), check_host))
}

/// A web site can give its own name this machine's address, but it can't make the browser send another name.
async fn check_host(State(playground): State<Playground>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_allowed(host, &playground.inner.options.page_hosts) {
        next.run(request).await
    } else {
        (
            StatusCode::FORBIDDEN,
            "The playground is not reachable under this name; open it as http://localhost.\n",
        )
            .into_response()
    }
}

fn is_allowed(host: &str, others: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() => true,
        Err(_) if name == "localhost" || name.ends_with(".localhost") => true,
        _ => others.iter().any(|other| other.eq_ignore_ascii_case(&name)),
    }
}

/// `GET /`
async fn page() -> Response {
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, Html(PAGE.replace("NONCE", &nonce))).into_response()
}

#[derive(Serialize)]
struct ShownState {
    notice: String,
    you: UserId,
    people: Vec<ShownPerson>,
    rooms: Vec<ShownRoom>,
}

#[derive(Serialize)]
struct ShownPerson {
    id: UserId,
    name: String,
    bot: bool,
}

#[derive(Serialize)]
struct ShownRoom {
    id: RoomId,
    /// Of a direct room: the others in it.
    name: String,
    direct: bool,
    members: Vec<UserId>,
}

#[derive(Serialize)]
struct ShownMessage {
    id: MessageId,
    room: RoomId,
    author: UserId,
    name: String,
    /// Sanitised; what the page may insert as markup.
    html: Option<String>,
    sound: Option<String>,
    attachment: Option<ShownAttachment>,
    boosts: Vec<ShownBoost>,
    created_at: Timestamp,
}

#[derive(Serialize)]
struct ShownAttachment {
    name: String,
    size: usize,
    url: String,
}

#[derive(Serialize)]
struct ShownBoost {
    name: String,
    content: String,
}

#[derive(Serialize)]
struct ShownTrouble {
    room: RoomId,
    text: String,
}

/// `GET /api/state`: the person's rooms, and who is there.
async fn state(State(playground): State<Playground>) -> Response {
    let notice = lock(&playground.inner.notice).clone();
    let world = playground.world();
    let people = world.people().into_iter().map(|person| ShownPerson {
        id: person.id,
        name: person.name,
        bot: person.is_bot,
    });
    let rooms = world.rooms().into_iter().filter(|room| room.members.contains(&YOU)).map(|room| ShownRoom {
        id: room.id,
        direct: room.name.is_none(),
        name: room.name.unwrap_or_else(|| {
            let others = room.members.iter().filter(|member| **member != YOU);
            others.filter_map(|member| world.name_of(*member)).collect::<Vec<_>>().join(", ")
        }),
        members: room.members,
    });
    uncached(Json(ShownState { notice, you: YOU, people: people.collect(), rooms: rooms.collect() }))
}

/// `GET /api/rooms/:id/messages`: the newest, oldest first.
async fn messages(State(playground): State<Playground>, Path(room): Path<u64>) -> Response {
    let room = RoomId(room);
    let newest = {
        let world = playground.world();
        if !world.is_member(YOU, room) {
            return StatusCode::NOT_FOUND.into_response();
        }
        world.excerpt(room, Span::Newest, SHOWN).messages
    };
    let shown: Vec<ShownMessage> = newest.iter().map(|message| shown(&playground, message)).collect();
    uncached(Json(shown))
}

#[derive(Deserialize)]
struct Typed {
    text: String,
}

/// `POST /api/rooms/:id/messages`: what the person typed.
async fn say(
    State(playground): State<Playground>,
    Path(room): Path<u64>,
    headers: HeaderMap,
    Json(typed): Json<Typed>,
) -> Response {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| !["same-origin", "none"].contains(&site)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match playground.say(YOU, RoomId(room), &typed.text) {
        Ok(id) => (StatusCode::CREATED, Json(serde_json::json!({ "id": id }))).into_response(),
        Err(error) => (error.status(), error.to_string()).into_response(),
    }
}

/// `GET /attachments/:message`: to be saved, never to be shown by the browser under this origin.
async fn attachment(State(playground): State<Playground>, Path(message): Path<u64>) -> Response {
    let Some((file, bytes)) = playground.uploaded(MessageId(message)) else {
        return (StatusCode::GONE, "This file had to make room for newer ones.\n").into_response();
    };
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", percent_encoded(&file.name))),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    (headers, bytes).into_response()
}

fn percent_encoded(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

fn uncached(answer: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-store")], answer).into_response()
}

/// `GET /events`
fn events(playground: Playground, streams: Arc<Semaphore>) -> Response {
    let Ok(seat) = streams.try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open.\n").into_response();
    };
    uncached(Sse::new(told(playground, seat)).keep_alive(KeepAlive::default()))
}

/// What the page needs to know of each change. The seat is given back when the stream ends.
fn told(
    playground: Playground,
    seat: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let changes = playground.changes();
    stream::unfold((playground, changes, seat), async |(playground, mut changes, seat)| {
        let event = next_event(&playground, &mut changes).await?;
        Some((Ok(event), (playground, changes, seat)))
    })
}

async fn next_event(playground: &Playground, changes: &mut Changes) -> Option<Event> {
    let closed = playground.inner.closed.clone();
    loop {
        let change = closed.run_until_cancelled(changes.next()).await??;
        let event = match change {
            Change::MessageCreated(message) | Change::MessageUpdated(message)
                if !playground.world().is_member(YOU, message.room) =>
            {
                continue;
            }
            Change::MessageCreated(message) => {
                Event::default().event("message").json_data(shown(playground, &message))
            }
            Change::MessageUpdated(message) => {
                Event::default().event("changed").json_data(shown(playground, &message))
            }
            Change::MessageDeleted { room, message } => {
                let deleted = serde_json::json!({ "room": room, "id": message });
                Event::default().event("deleted").json_data(deleted)
            }
            Change::WebhookDelivered(delivery) => match trouble(&playground.world(), &delivery) {
                Some(trouble) => Event::default().event("trouble").json_data(trouble),
                None => continue,
            },
            Change::SurroundingsChanged | Change::Missed(_) => {
                Ok(Event::default().event("reread").data("{}"))
            }
        };
        // Numbers and text always become JSON.
        return event.ok();
    }
}

/// A webhook that failed is seen by nobody in a real room; here the person is told why no answer comes.
fn trouble(world: &World, delivery: &Delivery) -> Option<ShownTrouble> {
    let bot = world.name_of(delivery.bot).unwrap_or_default();
    let text = match &delivery.effect {
        Effect::Nothing | Effect::Posted(_) | Effect::Uploaded(_) | Effect::TimedOut(_) => return None,
        Effect::Unreachable(reason) => format!("{bot} could not be reached: {reason}"),
        Effect::JobFailed(reason) => format!("{bot} gave an answer that Campfire fails on: {reason}"),
        Effect::Dropped => format!("{bot} was not told: too many messages are waiting"),
    };
    world.is_member(YOU, delivery.room).then_some(ShownTrouble { room: delivery.room, text })
}

/// Sanitising takes its time for a large body, so the world is not locked meanwhile.
fn shown(playground: &Playground, message: &Message) -> ShownMessage {
    let signer = playground.world().signer();
    let name_of = |user| playground.world().name_of(user).unwrap_or_default().to_owned();
    let html = message.html.as_deref().map(|body| html::shown(body, &signer, |user| Some(name_of(user))));
    let attachment = message.attachment.as_ref().map(|file| ShownAttachment {
        name: file.name.clone(),
        size: file.size,
        url: format!("/attachments/{}", message.id),
    });
    let boosts = message.boosts.iter();
    ShownMessage {
        id: message.id,
        room: message.room,
        author: message.author,
        name: name_of(message.author),
        sound: sound(&message.plain).filter(|_| html.is_some()).map(str::to_owned),
        html,
        attachment,
        boosts: boosts
            .map(|boost| ShownBoost { name: name_of(boost.author), content: boost.content.clone() })
            .collect(),
        created_at: message.created_at,
    }
}

/// The name in `/play NAME`, if that is all there is.
fn sound(plain: &str) -> Option<&str> {
    plain
        .strip_prefix("/play ")
        .filter(|name| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}
