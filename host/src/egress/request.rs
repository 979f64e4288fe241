//! A plugin's request, checked before anything is looked up, and what of it goes to each server on its way.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
        CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, USER_AGENT,
    },
};
use secrecy::ExposeSecret;
use url::{Position, Url};

use super::{
    DEFAULT_TIMEOUT, Fault, HEADERS_LIMIT, REQUEST_BODY_LIMIT, TIMEOUTS, URL_LIMIT,
    redirect::{Redirect, fault_of},
};
use crate::{
    config::{HttpHost, is_reserved},
    id::BotName,
};

const DEFAULT_USER_AGENT: &str = concat!("hearth-plugin/", env!("CARGO_PKG_VERSION"));

/// What a plugin asks for.
pub struct Request {
    /// The method.
    pub method: Method,
    /// An absolute URL; at most 8 KiB.
    pub url: String,
    /// Names and values; at most 64, of 16 KiB together.
    pub headers: Vec<(String, String)>,
    /// The body; at most 1 MiB.
    pub body: Option<Vec<u8>>,
    /// How long it may take in all: 1 ms to 30 s; none for 10 s.
    pub timeout: Option<Duration>,
}

/// A request that can be sent, at one point of its way.
pub(super) struct Step {
    pub(super) method: Method,
    pub(super) url: Url,
    headers: HeaderMap,
    body: Option<Bytes>,
}

// === impl Request ===

impl Request {
    /// The first step, and how long all of them may take.
    pub(super) fn check(self) -> Result<(Step, Duration), Fault> {
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if !TIMEOUTS.contains(&timeout) {
            return Err(Fault::Timeout(timeout));
        }
        if self.url.len() > URL_LIMIT {
            return Err(Fault::UrlLength(self.url.len()));
        }
        let mut url = Url::parse(&self.url).map_err(|_| Fault::Url("is not an absolute one"))?;
        url.set_fragment(None);
        if let Some(why) = fault_of(&url) {
            return Err(Fault::Url(why));
        }
        if url.as_str().len() > URL_LIMIT {
            return Err(Fault::UrlLength(url.as_str().len()));
        }
        if let Some(length) = self.body.as_ref().map(Vec::len).filter(|length| *length > REQUEST_BODY_LIMIT) {
            return Err(Fault::Body(length));
        }
        let step = Step {
            method: self.method,
            url,
            headers: headers(&self.headers)?,
            body: self.body.map(Bytes::from),
        };
        Ok((step, timeout))
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, Fault> {
    let bytes = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > HEADERS_LIMIT.0 || bytes > HEADERS_LIMIT.1 {
        return Err(Fault::Headers { count: given.len(), bytes });
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 8);
    for (place, (name, value)) in (1..).zip(given) {
        let name = HeaderName::try_from(name).map_err(|_| Fault::HeaderName(place))?;
        if is_reserved(&name) {
            return Err(Fault::HeaderReserved(name.to_string()));
        }
        let value = HeaderValue::try_from(value).map_err(|_| Fault::HeaderValue(name.to_string()))?;
        headers.append(name, value);
    }
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(DEFAULT_USER_AGENT));
    Ok(headers)
}

// === impl Step ===

impl Step {
    /// Refuses a header that is the operator's.
    pub(super) fn check_headers(&self, host: &HttpHost) -> Result<(), Fault> {
        match host.headers.iter().find(|(name, _)| self.headers.contains_key(name)) {
            Some((name, _)) => Err(Fault::HeaderSecret(name.to_string())),
            None => Ok(()),
        }
    }

    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// What goes to `host`, its secrets included.
    pub(super) fn to(&self, host: &HttpHost) -> Result<hyper::Request<Full<Bytes>>, Fault> {
        let unfit = || Fault::Url("has characters in it that no request can carry");
        let mut request = hyper::Request::new(Full::new(self.body.clone().unwrap_or_default()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() =
            self.url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| unfit())?;
        let mut headers = self.headers.clone();
        for (name, value) in &host.headers {
            // The configuration has checked that it can be one.
            let mut value = HeaderValue::try_from(value.expose_secret())
                .map_err(|_| Fault::HeaderValue(name.to_string()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let authority = &self.url[Position::BeforeHost..Position::AfterPort];
        headers.insert(HOST, HeaderValue::try_from(authority).map_err(|_| unfit())?);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if self.body.as_ref().is_none_or(Bytes::is_empty)
            && matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
        {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
        }
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Goes where a server points to. What a plugin proves itself with stays with the server it was meant for.
    pub(super) fn follow(&mut self, next: Redirect) {
        if next.method != self.method {
            for name in [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE] {
                self.headers.remove(name);
            }
        }
        if !next.same_origin {
            self.headers.remove(AUTHORIZATION);
            self.headers.remove(COOKIE);
        }
        self.body = self.body.take().filter(|_| next.keeps_body);
        self.method = next.method;
        self.url = next.url;
    }
}

/// The table that allows the URL.
pub(super) fn allowed<'a>(bot: &BotName, hosts: &'a [HttpHost], url: &Url) -> Result<&'a HttpHost, Fault> {
    let name = url.host_str().unwrap_or_default();
    let is_https = url.scheme() == "https";
    let port = url.port_or_known_default().unwrap_or_default();
    let named = || hosts.iter().filter(|host| host.host == name);
    if let Some(host) = named().find(|host| host.covers(is_https, port)) {
        return Ok(host);
    }
    if let Some(host) = named().find(|host| !is_https && host.port == url.port()) {
        return Err(Fault::Plain { bot: bot.to_string(), name: host.to_string() });
    }
    let name = url[Position::BeforeHost..Position::AfterPort].to_owned();
    Err(Fault::NotListed { bot: bot.to_string(), name, is_https })
}
