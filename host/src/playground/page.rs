//! The page: a small Campfire in the browser. Its files are compiled in; it reads and posts JSON, and follows a stream of
//! what changes.
//!
//! - Nothing of what people or bots wrote reaches the browser as markup except message bodies, sanitised here; the browser
//!   takes markup from one place of the page's script only, and runs no script but the page's files.
//! - Every request must name this machine in `Host`: a web site can give its own name this machine's address, but it can't
//!   make the browser send another name. What changes anything must carry a header that no other site can send without
//!   being asked first, and the browser must not say that it comes from another site.
//! - Whoever has the page speaks as any of the people, one at a time: `?as=<id>`.
//!
//! | | | |
//! |---|---|---|
//! | GET | `/api/state` | people, rooms, the notice, what this Campfire can do |
//! | GET | `/events` | what happens, as server-sent events (`events`) |
//! | GET, POST | `/api/rooms/<room>/messages` | the newest; what was typed |
//! | PATCH, DELETE | `/api/rooms/<room>/messages/<message>` | one's own |
//! | POST | `/api/rooms/<room>/messages/<message>/boosts` | |
//! | DELETE | `/api/rooms/<room>/boosts/<boost>` | one's own |
//! | POST | `/api/rooms/<room>/files?name=` | the file as the body |
//! | POST | `/api/people`, `/api/rooms` | |
//! | PUT | `/api/features` | |
//! | POST, DELETE | `/api/faults` | |
//! | any | `/host/…` | the operator's API of the host that runs the bots |

mod deeds;
mod events;
mod files;
mod shown;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Query, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
        request::Parts,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, delete, get, patch, post, put},
};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde::Deserialize;
use tokio::sync::Semaphore;

use self::shown::{ShownMessage, ShownState};
use super::{
    Error, Playground,
    world::{LARGEST_POST, Span, YOU},
};
use crate::{
    address,
    id::{RoomId, UserId},
};

/// Only what comes from here, no script or style within the page, and markup from the one place that has its name.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types sanitised";
/// What the page's own requests carry.
const OWN: &str = "x-hearth-page";
/// How many pages may be open at once.
const STREAMS: usize = 64;
/// How much of a room the page shows.
const SHOWN: usize = 200;
/// The longest text that can be typed, with room for how JSON writes it.
const LONGEST_TEXT: usize = 1 << 20;

/// Path, type and content.
const FILES: [(&str, &str, &str); 13] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/icon.svg", "image/svg+xml", include_str!("../admin/page/icon.svg")),
    ("/playground.css", "text/css; charset=utf-8", include_str!("page/playground.css")),
    ("/turn.css", "text/css; charset=utf-8", include_str!("page/turn.css")),
    ("/playground.js", SCRIPT, include_str!("page/playground.js")),
    ("/server.js", SCRIPT, include_str!("page/server.js")),
    ("/elements.js", SCRIPT, include_str!("../admin/page/elements.js")),
    ("/icons.js", SCRIPT, include_str!("page/icons.js")),
    ("/rooms.js", SCRIPT, include_str!("page/rooms.js")),
    ("/messages.js", SCRIPT, include_str!("page/messages.js")),
    ("/composer.js", SCRIPT, include_str!("page/composer.js")),
    ("/workshop.js", SCRIPT, include_str!("page/workshop.js")),
    ("/turn.js", SCRIPT, include_str!("page/turn.js")),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn router(playground: &Playground) -> Router<Playground> {
    let streams = Arc::new(Semaphore::new(STREAMS));
    let follow = async move |State(playground): State<Playground>, Speaker(speaker): Speaker| {
        events::follow(playground, speaker, streams)
    };
    let uploads = Router::new()
        .route("/api/rooms/{room}/files", post(files::upload))
        .layer(DefaultBodyLimit::max(LARGEST_POST));
    FILES
        .into_iter()
        .fold(Router::new(), |router, (path, kind, content)| {
            router.route(path, get(async move || ([(CONTENT_TYPE, kind)], content)))
        })
        .route("/api/state", get(state))
        .route("/api/people", post(deeds::add_person))
        .route("/api/rooms", post(deeds::add_room))
        .route("/api/rooms/{room}/messages", get(messages).post(deeds::say))
        .route("/api/rooms/{room}/messages/{message}", patch(deeds::rewrite).delete(deeds::remove))
        .route("/api/rooms/{room}/messages/{message}/boosts", post(deeds::boost))
        .route("/api/rooms/{room}/boosts/{boost}", delete(deeds::remove_boost))
        .route("/api/features", put(deeds::set_features))
        .route("/api/faults", post(deeds::inject).delete(deeds::take_faults_back))
        .route("/events", get(follow))
        .route("/host/{*path}", any(host))
        .layer(DefaultBodyLimit::max(LONGEST_TEXT))
        .merge(uploads)
        .route("/attachments/{message}", get(files::download))
        .route_layer(middleware::from_fn_with_state(playground.clone(), admit))
        .layer(middleware::map_response(protected))
}

/// Lets through what comes from the page, or from whoever reads it on this machine.
async fn admit(State(playground): State<Playground>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_allowed(host, &playground.inner.options.page_hosts) {
        let words = "The playground is not reachable under this name; open it as http://localhost.\n";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    if !request.method().is_safe() && !is_own(headers) {
        return (StatusCode::FORBIDDEN, "This does not come from the page.\n").into_response();
    }
    next.run(request).await
}

fn is_allowed(host: &str, others: &[String]) -> bool {
    let is_known = |name: String| {
        address::is_this_machine(&name) || others.iter().any(|other| other.eq_ignore_ascii_case(&name))
    };
    address::name_of(host).is_some_and(is_known)
}

fn is_own(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    headers.contains_key(OWN) && site.is_none_or(|site| site == "same-origin")
}

/// Adds what every answer has. An uploaded file has a stricter policy of its own.
async fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whom the page speaks as: one of the people, and never a bot.
struct Speaker(UserId);

#[derive(Deserialize)]
struct As {
    #[serde(rename = "as")]
    speaker: Option<u64>,
}

impl FromRequestParts<Playground> for Speaker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, playground: &Playground) -> Result<Self, Response> {
        let asked = Query::<As>::try_from_uri(&parts.uri).map_err(IntoResponse::into_response)?.0;
        let speaker = asked.speaker.map_or(YOU, UserId);
        let world = playground.world();
        if world.name_of(speaker).is_none() || world.is_bot(speaker) {
            return Err(Error::UnknownUser(speaker).into_response());
        }
        Ok(Self(speaker))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

/// `GET /api/state`
async fn state(State(playground): State<Playground>, Speaker(speaker): Speaker) -> Json<ShownState> {
    Json(ShownState::of(&playground, speaker))
}

/// `GET /api/rooms/<room>/messages`: the newest, oldest first.
async fn messages(
    State(playground): State<Playground>,
    Speaker(speaker): Speaker,
    Path(room): Path<u64>,
) -> Result<Json<Vec<ShownMessage>>, Error> {
    let room = RoomId(room);
    let newest = {
        let world = playground.world();
        world.check_member(speaker, room)?;
        world.excerpt(room, Span::Newest, SHOWN).messages
    };
    Ok(Json(newest.iter().map(|message| ShownMessage::of(&playground, message, speaker)).collect()))
}

/// `/host/…`
async fn host(State(playground): State<Playground>, mut request: Request) -> Response {
    let Some(host) = playground.host() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "No host runs the bots now.\n").into_response();
    };
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let Ok(inner) = path.trim_start_matches("/host").parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = inner;
    // What it was matched with here is not what it is matched with there.
    request.extensions_mut().clear();
    match TowerToHyperService::new(host).call(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_light_and_runs_nothing_that_it_contains() {
        let bytes: usize = FILES.iter().map(|(.., content)| content.len()).sum();
        assert!(bytes < 150_000, "{bytes}");
        let (_, _, page) = FILES[0];
        for forbidden in ["<style", "style=", "<script>", "//cdn", "http:", "https:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let handlers: Vec<_> =
            page.split_whitespace().filter(|word| word.starts_with("on") && word.contains('=')).collect();
        assert_eq!(handlers, [""; 0]);
        let markup: Vec<_> = FILES
            .iter()
            .flat_map(|(path, _, content)| content.matches("innerHTML").map(move |_| *path))
            .collect();
        assert_eq!(markup, ["/messages.js"], "one place makes markup of what the server has sanitised");
        for (path, _, content) in FILES {
            for forbidden in ["outerHTML", "insertAdjacent", "document.write", "eval("] {
                assert!(!content.contains(forbidden), "{forbidden} in {path}");
            }
        }
    }
}
