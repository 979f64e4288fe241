//! Requests to servers that the operator has named in `[bots.<name>.http]`. Asked for with
//! [`want::http`](crate::want::http).
//!
//! Secrets are the host's: the operator says which one goes into which header of which server, and the plugin neither sets
//! nor sees it; [`has_secret`] tells whether there is one. Redirects are followed, up to 5.
//!
//! ```
//! use hearth_plugin::{http, prelude::*, testing::Harness};
//!
//! #[derive(serde::Deserialize)]
//! struct Status {
//!     summary: String,
//! }
//!
//! struct Pager;
//!
//! impl Bot for Pager {
//!     type Settings = NoSettings;
//!     const WANTS: &'static [Want] = &[want::http("to ask status.example.com how things are")];
//!
//!     fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
//!         let status: Status = http::get("https://status.example.com/api")
//!             .query("service", &event.message.text)
//!             .header("accept", "application/json")
//!             .json()?;
//!         Ok(reply(text(status.summary)))
//!     }
//! }
//!
//! hearth_plugin::bot!(Pager);
//!
//! let mut harness = Harness::<Pager>::new().on_get(
//!     "https://status.example.com/api?service=web%20shop",
//!     200,
//!     json!({ "summary": "All is well." }),
//! );
//! assert_eq!(harness.message("web shop")?, reply(text("All is well.")));
//! # Ok::<(), Error>(())
//! ```

use std::{fmt::Write as _, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

pub use crate::bindings::hearth::bot::http::{HttpErrorKind, Method, Response};
use crate::{
    Sent, ToolError,
    bindings::hearth::bot::http::{HttpError, Request as Record},
    host,
};

/// Bytes of a body that [`Error::Status`] shows.
const EXCERPT: usize = 200;

/// Why there is no answer, or none that helps.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no response.
    #[error("{message}")]
    Failed {
        /// The kind.
        kind: HttpErrorKind,
        /// Whether the server may have received the request (of redirected ones, any of them).
        sent: Sent,
        /// What happened and what to do.
        message: String,
    },
    /// The server did not answer with success (200 to 299).
    #[error("{url} answered {status}: {excerpt}")]
    Status {
        /// The status.
        status: u16,
        /// The URL that answered, without its query.
        url: String,
        /// How its body begins.
        excerpt: String,
    },
    /// The body is not of the type that was asked for.
    #[error("{url} answered something else than expected: {problem}")]
    Unfit {
        /// The URL that answered, without its query.
        url: String,
        /// What does not fit, and where.
        problem: String,
    },
}

/// A request in the making. Its limits are checked when it is sent: a URL of 8 KiB, 64 headers of 16 KiB together, a body of
/// 1 MiB.
#[derive(Debug, Clone)]
#[must_use = "nothing is requested until it is sent"]
pub struct Request {
    request: Record,
    /// What was wrong already while it was made.
    problem: Option<String>,
}

/// A request for what is at a URL.
pub fn get(url: impl Into<String>) -> Request {
    request(Method::Get, url)
}

/// A request that gives the server something to work on.
pub fn post(url: impl Into<String>) -> Request {
    request(Method::Post, url)
}

/// A request that puts something at a URL.
pub fn put(url: impl Into<String>) -> Request {
    request(Method::Put, url)
}

/// A request that changes what is at a URL.
pub fn patch(url: impl Into<String>) -> Request {
    request(Method::Patch, url)
}

/// A request that removes what is at a URL.
pub fn delete(url: impl Into<String>) -> Request {
    request(Method::Delete, url)
}

/// A request of any method, to an absolute URL: `https`, or `http` where the operator has allowed it.
pub fn request(method: Method, url: impl Into<String>) -> Request {
    Request {
        request: Record {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            attributes: Vec::new(),
        },
        problem: None,
    }
}

/// Whether the operator has put a secret into this header of this host. Names of hosts as in bots.toml (`example.com`,
/// `example.com:8443`), of headers in any case.
pub fn has_secret(host: &str, header: &str) -> bool {
    host::http::has_secret(host, header)
}

// === impl Request ===

impl Request {
    /// With this name and value in the URL's query, encoded as they must be.
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let fragment = self.request.url.find('#').map(|at| self.request.url.split_off(at));
        let url = &mut self.request.url;
        url.push(if url.contains('?') { '&' } else { '?' });
        encode_into(url, name);
        url.push('=');
        encode_into(url, value.as_ref());
        url.extend(fragment);
        self
    }

    /// With this header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = Some(body.into());
        self
    }

    /// With this as its body, as JSON, and the header that says so.
    pub fn body_json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.header("content-type", "application/json").body(bytes),
            Err(error) => {
                self.problem = Some(format!("the body can't be written as JSON: {error}"));
                self
            }
        }
    }

    /// With this time in all, 1 ms to 30 s, instead of 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends it and waits for the whole response, whatever its status.
    ///
    /// # Errors
    /// [`Error::Failed`] if there is none.
    pub fn send(self) -> Result<Response, Error> {
        match self.problem {
            Some(message) => Err(Error::Failed { kind: HttpErrorKind::Invalid, sent: Sent::No, message }),
            None => Ok(host::http::send(&self.request)?),
        }
    }

    /// Sends it and reads the response, which must be a success, as JSON.
    ///
    /// # Errors
    /// All of them.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.send()?.success()?.json()
    }

    /// Sends it and reads the response, which must be a success, as text. What is no UTF-8 is replaced.
    ///
    /// # Errors
    /// [`Error::Failed`] and [`Error::Status`].
    pub fn text(self) -> Result<String, Error> {
        Ok(self.send()?.success()?.text())
    }
}

/// Encodes what may not stand in a query as it is; more than must be, which does no harm.
fn encode_into(url: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            // Writing into a string can't fail.
            _ => drop(write!(url, "%{byte:02X}")),
        }
    }
}

// === impl Response ===

impl Response {
    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Itself, if it is a success.
    ///
    /// # Errors
    /// [`Error::Status`].
    pub fn success(self) -> Result<Self, Error> {
        if self.is_success() {
            return Ok(self);
        }
        let excerpt = String::from_utf8_lossy(&self.body[..self.body.len().min(EXCERPT)]).into_owned();
        Err(Error::Status { status: self.status, url: self.place(), excerpt })
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    /// The body as text. What is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`Error::Unfit`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Unfit { url: self.place(), problem: error.to_string() })
    }

    /// The URL without what may be private in it.
    fn place(&self) -> String {
        self.url.split(['?', '#']).next().unwrap_or_default().to_owned()
    }
}

// === impl Error ===

impl From<HttpError> for Error {
    fn from(HttpError { kind, sent, message, .. }: HttpError) -> Self {
        Self::Failed { kind, sent, message }
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        use HttpErrorKind as Kind;
        let message = error.to_string();
        match error {
            Error::Failed { kind: Kind::Denied, .. } => Self::denied(message),
            Error::Failed { kind: Kind::Invalid, .. } => Self::invalid_input(message),
            Error::Failed {
                kind: Kind::Unreachable | Kind::TimedOut | Kind::Broken | Kind::RateLimited,
                ..
            }
            | Error::Status { status: 429 | 500.., .. } => Self::unavailable(message),
            Error::Status { status: 404 | 410, .. } => Self::not_found(message),
            Error::Failed { kind: Kind::TooLarge | Kind::Redirected, .. }
            | Error::Status { .. }
            | Error::Unfit { .. } => Self::failed(message),
        }
    }
}
