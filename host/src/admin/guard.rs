//! Who may look, and who may act.
//!
//! - With a token: whoever shows it as `Authorization: Bearer …` (Prometheus, scripts), or has logged in with it. A login
//!   is a cookie that no script can read and no other site can send.
//! - Without: whoever is on this machine and calls the host by one of the machine's own names. A web site can give its
//!   own name this machine's address, but it can't make the browser send another name.
//! - A person's action comes from our own page: the browser must not say otherwise, and it carries a token that only that
//!   page could read. With a bearer token neither is asked for: no browser adds it by itself.
//!
//! Tokens are compared in constant time. A machine that sends wrong ones waits; that, too, is bounded.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, COOKIE, HOST, ORIGIN, RETRY_AFTER, SET_COOKIE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::session::{Attempts, SESSION, Sessions, WINDOW, random};
use crate::{address, operator::Refusal};

/// What carries an action's token.
const ACTION_TOKEN: &str = "x-hearth-action";

/// Decides who may come in.
pub(super) struct Guard {
    token: Option<SecretString>,
    /// The cookie's name. Hosts on other ports of this machine have others: cookies know no ports.
    cookie: String,
    /// Whether the cookie is for encrypted connections only: wherever other machines come from.
    secure: bool,
    /// What actions carry where nobody logs in.
    action_token: String,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Who was let in.
#[derive(Clone)]
pub(super) enum Visitor {
    /// Something that shows the token itself.
    Program,
    /// A person with a browser, whose actions carry this.
    Person { action_token: String },
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denied {
    ElsewhereWithoutToken,
    Unknown,
    WrongToken,
    TooOften,
    NotOurPage,
}

// === impl Guard ===

impl Guard {
    pub(super) fn new(token: Option<SecretString>, listen: SocketAddr) -> Self {
        Self {
            token,
            cookie: format!("hearth-admin-{}", listen.port()),
            secure: !listen.ip().is_loopback(),
            action_token: random(),
            sessions: Mutex::default(),
            attempts: Mutex::default(),
        }
    }

    fn visitor(&self, peer: IpAddr, headers: &HeaderMap, now: Instant) -> Result<Visitor, Denied> {
        let Some(token) = &self.token else {
            if peer.to_canonical().is_loopback() && is_this_machine(text(headers, HOST.as_str())) {
                return Ok(Visitor::Person { action_token: self.action_token.clone() });
            }
            return Err(Denied::ElsewhereWithoutToken);
        };
        if let Some(shown) = text(headers, AUTHORIZATION.as_str()).strip_prefix("Bearer ") {
            return self.compare(token, shown.trim(), peer, now).map(|()| Visitor::Program);
        }
        let cookie = self.cookie(headers).ok_or(Denied::Unknown)?;
        let sessions = locked(&self.sessions);
        let action_token = sessions.action_token(cookie, now).ok_or(Denied::Unknown)?;
        Ok(Visitor::Person { action_token: action_token.to_owned() })
    }

    fn compare(&self, token: &SecretString, shown: &str, peer: IpAddr, now: Instant) -> Result<(), Denied> {
        let mut attempts = locked(&self.attempts);
        if attempts.are_too_many(peer, now) {
            return Err(Denied::TooOften);
        }
        if token.expose_secret().as_bytes().ct_eq(shown.as_bytes()).into() {
            return Ok(());
        }
        attempts.count(peer, now);
        tracing::warn!(%peer, "somebody showed a wrong token at the admin listener");
        Err(Denied::WrongToken)
    }

    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find_map(|(name, value)| (name == self.cookie).then_some(value))
    }

    fn set_cookie(&self, value: &str, seconds: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}", self.cookie)
    }
}

/// Lets a request through, or says why not.
pub(super) async fn admit(
    State(guard): State<Arc<Guard>>,
    Extension(Peer(peer)): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let visitor = match guard.visitor(peer, headers, Instant::now()) {
        Ok(visitor) => visitor,
        Err(denied) => return denied.into_response(),
    };
    if !request.method().is_safe()
        && let Visitor::Person { action_token } = &visitor
    {
        let right: bool = action_token.as_bytes().ct_eq(text(headers, ACTION_TOKEN).as_bytes()).into();
        if !right || !is_our_page(headers) {
            return Denied::NotOurPage.into_response();
        }
    }
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// What a login consists of.
#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

/// `POST /login`. JSON, which no other site can send without being asked first.
pub(super) async fn login(
    State(guard): State<Arc<Guard>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Response {
    if !is_our_page(&headers) {
        return Denied::NotOurPage.into_response();
    }
    let now = Instant::now();
    if let Some(token) = &guard.token
        && let Err(denied) = guard.compare(token, &login.token, peer, now)
    {
        return denied.into_response();
    }
    if guard.token.is_none() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let cookie = locked(&guard.sessions).begin(now);
    tracing::info!(%peer, "somebody logged in at the admin listener");
    (StatusCode::NO_CONTENT, [(SET_COOKIE, guard.set_cookie(&cookie, SESSION.as_secs()))]).into_response()
}

/// `POST /logout`
pub(super) async fn logout(State(guard): State<Arc<Guard>>, headers: HeaderMap) -> Response {
    if let Some(cookie) = guard.cookie(&headers) {
        locked(&guard.sessions).end(cookie);
    }
    (StatusCode::NO_CONTENT, [(SET_COOKIE, guard.set_cookie("", 0))]).into_response()
}

/// `GET /api/session`: what the page's actions carry.
pub(super) async fn session(
    State(guard): State<Arc<Guard>>,
    Extension(visitor): Extension<Visitor>,
) -> Json<serde_json::Value> {
    let action_token = match visitor {
        Visitor::Person { action_token } => Some(action_token),
        Visitor::Program => None,
    };
    Json(json!({ "action-token": action_token, "login": guard.token.is_some() }))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is changed in single steps, so a panic elsewhere leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether `Host` is a name that only this machine gives itself.
fn is_this_machine(host: &str) -> bool {
    address::name_of(host).is_some_and(|name| address::is_this_machine(&name))
}

/// Whether a browser says that the request comes from our own page, or is none that says anything.
fn is_our_page(headers: &HeaderMap) -> bool {
    // Browsers say it wherever the connection can be trusted. Elsewhere they name the origin, with what it calls us.
    let (site, origin) = (text(headers, "sec-fetch-site"), text(headers, ORIGIN.as_str()));
    if !site.is_empty() {
        return site == "same-origin";
    }
    origin.is_empty()
        || origin.split_once("://").is_some_and(|(_, origin)| origin == text(headers, HOST.as_str()))
}

// === impl IntoResponse for Denied ===

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, error, help) = match self {
            Self::ElsewhereWithoutToken => (
                StatusCode::FORBIDDEN,
                "without an `admin-token`, this is for this machine only, by its own name",
                "open it as http://localhost, or set `admin-token` in [host]",
            ),
            Self::Unknown => (
                StatusCode::UNAUTHORIZED,
                "this needs the `admin-token` of bots.toml",
                "log in at /, or send `Authorization: Bearer <token>`",
            ),
            Self::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "this is not the token",
                "it is `admin-token` in [host] of bots.toml",
            ),
            Self::TooOften => (
                StatusCode::TOO_MANY_REQUESTS,
                "there were too many wrong tokens",
                "wait a minute, then try again",
            ),
            Self::NotOurPage => (
                StatusCode::FORBIDDEN,
                "this does not come from the dashboard as it is now",
                "load the page again",
            ),
        };
        let refusal = Json(Refusal { error: error.to_owned(), help: Some(help.to_owned()) });
        if self == Self::TooOften {
            return (status, [(RETRY_AFTER, WINDOW.as_secs().to_string())], refusal).into_response();
        }
        (status, refusal).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in [
            "localhost",
            "localhost:8789",
            "hearth.localhost:1",
            "127.0.0.1",
            "127.9.9.9:80",
            "[::1]:8789",
            "LOCALHOST",
        ] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in [
            "",
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "[2001:db8::1]:1",
            "notlocalhost",
            "a b",
            "evil.com:8789",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }

    #[test]
    fn other_pages_are_told_from_ours() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        for (pairs, ours) in [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://renamed.by.proxy")], true),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("origin", "http://hearth:8789"), ("host", "hearth:8789")], true),
            (vec![("origin", "http://hearth:8788"), ("host", "hearth:8789")], false),
            (vec![("origin", "null"), ("host", "hearth:8789")], false),
        ] {
            assert_eq!(is_our_page(&headers(&pairs)), ours, "{pairs:?}");
        }
    }
}
