//! The bots' side: posting, and where the server is new enough, reading, editing and boosting.
//!
//! A bad key is answered as Campfire does it, by a redirect to the sign-in page; a room that is unknown or that the bot is
//! not in is 404, and so is every endpoint that an older server does not have. Answers have bodies only where Campfire's do.

use std::time::Duration;

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, Path, Query, Request, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CONTENT_TYPE, HOST, LINK, LOCATION},
    },
    response::{IntoResponse, Response},
    routing::{delete, patch, post},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Error, Fault, Features, Message, Playground,
    webhooks::media_type_of,
    world::{Content, LARGEST_POST, Span, World},
};
use crate::id::{MessageId, RoomId, UserId};

const PAGE: usize = 40;
const HANG: Duration = Duration::from_mins(1);
/// What multipart wraps around the largest upload.
const ENVELOPE: usize = 64 << 10;

/// Why nothing was done.
enum Refusal {
    /// The key is no bot's: a browser would be asked to sign in.
    SignIn,
    Status(StatusCode),
}

type Answer = Result<Response, Refusal>;

pub(super) fn router() -> Router<Playground> {
    Router::new()
        .route("/rooms/{room}/{key}/messages", post(create).get(list))
        .route("/rooms/{room}/{key}/messages/{message}", patch(edit).delete(remove))
        .route("/rooms/{room}/{key}/messages/{message}/boosts", post(boost))
        .route("/rooms/{room}/{key}/boosts/{boost}", delete(remove_boost))
        .method_not_allowed_fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(LARGEST_POST + ENVELOPE))
}

/// `POST /rooms/:room_id/:bot_key/messages`
async fn create(
    State(playground): State<Playground>,
    Path((room, key)): Path<(String, String)>,
    request: Request,
) -> Answer {
    let fault = playground.next_fault();
    match fault {
        Some(Fault::Refuse) => return Ok(no_answer()),
        Some(Fault::Redirect) => return Ok(to_sign_in()),
        Some(Fault::HangBeforeStoring) => return Ok(hang().await),
        Some(Fault::ErrorBeforeStoring(status)) => return Ok(error(status)),
        Some(Fault::HangAfterStoring | Fault::ErrorAfterStoring(_)) | None => {}
    }
    let (bot, room) = admit(&playground, &room, &key)?;
    let origin = origin(request.headers());
    let content = content(request).await?;
    let message = playground.write(bot, room, content)?.id;
    match fault {
        Some(Fault::HangAfterStoring) => Ok(hang().await),
        Some(Fault::ErrorAfterStoring(status)) => Ok(error(status)),
        _ => Ok((StatusCode::CREATED, [(LOCATION, format!("{origin}/messages/{message}"))]).into_response()),
    }
}

#[derive(Deserialize)]
struct Window {
    before: Option<u64>,
    after: Option<u64>,
}

/// `GET /rooms/:room_id/:bot_key/messages`
async fn list(
    State(playground): State<Playground>,
    Path((room, key)): Path<(String, String)>,
    Query(window): Query<Window>,
    headers: HeaderMap,
) -> Answer {
    require(&playground, |features| features.history)?;
    let (_, room) = admit(&playground, &room, &key)?;
    let span = match (window.before, window.after) {
        (Some(id), _) => Span::Before(MessageId(id)),
        (None, Some(id)) => Span::After(MessageId(id)),
        (None, None) => Span::Newest,
    };
    let origin = origin(&headers);
    let world = playground.world();
    let excerpt = world.excerpt(room, span, PAGE);
    let next = match span {
        _ if !excerpt.more => None,
        Span::After(_) => excerpt.messages.last().map(|last| format!("after={}", last.id)),
        Span::Newest | Span::Before(_) => {
            excerpt.messages.first().map(|first| format!("before={}", first.id))
        }
    };
    let items: Vec<Value> =
        excerpt.messages.iter().map(|message| described(&world, message, &origin)).collect();
    let total = (HeaderName::from_static("x-total-count"), excerpt.total.to_string());
    let link =
        next.map(|query| [(LINK, format!("<{origin}/rooms/{room}/{key}/messages?{query}>; rel=\"next\""))]);
    Ok(([total], link, Json(items)).into_response())
}

/// `PATCH /rooms/:room_id/:bot_key/messages/:id`
async fn edit(
    State(playground): State<Playground>,
    Path((room, key, message)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    require(&playground, |features| features.editing)?;
    let (bot, room) = admit(&playground, &room, &key)?;
    let html = utf8(&body)?;
    let edited = playground.edit(bot, room, MessageId(number(&message)?), html)?;
    Ok(Json(described(&playground.world(), &edited, &origin(&headers))).into_response())
}

/// `DELETE /rooms/:room_id/:bot_key/messages/:id`
async fn remove(
    State(playground): State<Playground>,
    Path((room, key, message)): Path<(String, String, String)>,
) -> Answer {
    require(&playground, |features| features.editing)?;
    let (bot, room) = admit(&playground, &room, &key)?;
    playground.delete(bot, room, MessageId(number(&message)?))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /rooms/:room_id/:bot_key/messages/:id/boosts`
async fn boost(
    State(playground): State<Playground>,
    Path((room, key, message)): Path<(String, String, String)>,
    body: Bytes,
) -> Answer {
    require(&playground, |features| features.boosts)?;
    let (bot, room) = admit(&playground, &room, &key)?;
    let content = utf8(&body)?;
    let boost = playground.boost(bot, room, MessageId(number(&message)?), &content)?;
    let described = json!({
        "id": boost.id,
        "content": boost.content,
        "booster": person(&playground.world(), boost.author, ""),
    });
    Ok((StatusCode::CREATED, Json(described)).into_response())
}

/// `DELETE /rooms/:room_id/:bot_key/boosts/:id`
async fn remove_boost(
    State(playground): State<Playground>,
    Path((room, key, boost)): Path<(String, String, String)>,
) -> Answer {
    require(&playground, |features| features.boosts)?;
    let (bot, room) = admit(&playground, &room, &key)?;
    playground.remove_boost(bot, room, number(&boost)?)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What an older server does not have is not there, whoever asks.
fn require(playground: &Playground, has: impl Fn(Features) -> bool) -> Result<(), Refusal> {
    if has(*playground.inner.features.borrow()) { Ok(()) } else { Err(StatusCode::NOT_FOUND.into()) }
}

/// The bot, if the key is one, and the room, if the bot is in it: in this order, as Campfire checks them.
fn admit(playground: &Playground, room: &str, key: &str) -> Result<(UserId, RoomId), Refusal> {
    let world = playground.world();
    let bot = world.bot_with_key(key).ok_or(Refusal::SignIn)?;
    let room = RoomId(number(room)?);
    if world.is_member(bot, room) { Ok((bot, room)) } else { Err(StatusCode::NOT_FOUND.into()) }
}

async fn content(request: Request) -> Result<Content, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let is_form = media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if media_type.eq_ignore_ascii_case("multipart/form-data") {
        return uploaded(request).await;
    }
    let body =
        Bytes::from_request(request, &()).await.map_err(|rejection| Refusal::from(rejection.status()))?;
    if is_form && has_stray_percent(&body) {
        return Err(StatusCode::BAD_REQUEST.into());
    }
    let html = utf8(&body)?;
    if html.trim().is_empty() { Err(Error::Blank.into()) } else { Ok(Content::Html(html)) }
}

/// The field `attachment`; whatever else the form has is ignored.
async fn uploaded(request: Request) -> Result<Content, Refusal> {
    let mut form =
        Multipart::from_request(request, &()).await.map_err(|_| Refusal::from(StatusCode::BAD_REQUEST))?;
    while let Some(field) = form.next_field().await.map_err(|error| Refusal::from(error.status()))? {
        if field.name() != Some("attachment") {
            continue;
        }
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        let media_type = field.content_type().unwrap_or_else(|| media_type_of(&name)).to_ascii_lowercase();
        let bytes = field.bytes().await.map_err(|error| Refusal::from(error.status()))?;
        return Ok(Content::File { name, media_type, bytes });
    }
    Err(Error::Blank.into())
}

fn number(segment: &str) -> Result<u64, Refusal> {
    segment.parse().map_err(|_| StatusCode::NOT_FOUND.into())
}

fn utf8(body: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(body.to_vec()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into())
}

fn has_stray_percent(form: &[u8]) -> bool {
    let is_escape =
        |at: usize| form.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    form.iter().enumerate().any(|(at, byte)| *byte == b'%' && !is_escape(at))
}

fn origin(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}

fn to_sign_in() -> Response {
    (StatusCode::FOUND, [(LOCATION, "/session/new")]).into_response()
}

/// A body that fails before its first byte: the server closes the connection without having written anything.
fn no_answer() -> Response {
    let broken =
        futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("injected fault")) });
    Response::new(Body::from_stream(broken))
}

fn error(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

async fn hang() -> Response {
    tokio::time::sleep(HANG).await;
    StatusCode::GATEWAY_TIMEOUT.into_response()
}

fn described(world: &World, message: &Message, origin: &str) -> Value {
    json!({
        "id": message.id,
        "created_at": message.created_at.iso_8601(),
        "body": { "plain_text": message.plain, "html": message.html },
        "creator": person(world, message.author, origin),
        "room": { "id": message.room },
        "url": format!("{origin}/rooms/{}/@{}", message.room, message.id),
    })
}

fn person(world: &World, user: UserId, origin: &str) -> Value {
    json!({
        "id": user,
        "name": world.name_of(user),
        "role": if world.is_bot(user) { "bot" } else { "member" },
        "avatar_url": format!("{origin}/users/{user}/avatar"),
    })
}

// === impl Refusal ===

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn => to_sign_in(),
            Self::Status(status) => status.into_response(),
        }
    }
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self::Status(status)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::from(error.status())
    }
}

impl Error {
    /// How Campfire answers this.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownUser(_)
            | Self::UnknownRoom(_)
            | Self::UnknownMessage(_)
            | Self::UnknownBoost(_)
            | Self::NotAMember { .. } => StatusCode::NOT_FOUND,
            Self::NotTheAuthor { .. } => StatusCode::FORBIDDEN,
            Self::Full { .. } => StatusCode::CONFLICT,
            Self::Blank => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_sign_is_stray_unless_two_digits_follow() {
        for stray in ["100%", "5% off", "%zz", "%1"] {
            assert!(has_stray_percent(stray.as_bytes()), "{stray}");
        }
        for fine in ["", "plain", "%20", "a%2Fb%2f"] {
            assert!(!has_stray_percent(fine.as_bytes()), "{fine}");
        }
    }
}
