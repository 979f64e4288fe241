//! Why a plugin's request brought no response, in words for its author and for the operator.
//!
//! No word is the server's, but what rustls says of its certificate, shortened; and none is a secret.

use std::{error::Error, fmt, io, time::Duration};

use hyper::Method;

use super::{
    AT_ONCE, BODY_LIMIT, HEADERS_LIMIT, PER_MINUTE, REDIRECTS, REQUEST_BODY_LIMIT, TIMEOUTS, URL_LIMIT,
};
use crate::address::Scope;

/// Why there is no response.
#[derive(Debug)]
pub struct EgressError {
    /// What happened.
    pub fault: Fault,
    /// Whether a server may have received the request, or, of redirected ones, any of them.
    pub maybe_sent: bool,
    /// Whether it happened on the way that a server pointed to.
    pub redirected: bool,
}

/// The kinds that a plugin can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The operator does not allow it.
    Denied,
    /// The request is not one.
    Invalid,
    /// There is no way to the server.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// The answer is too large.
    TooLarge,
    /// The redirects lead nowhere.
    Redirected,
    /// The connection broke, or what came is no HTTP.
    Broken,
    /// Too many requests.
    RateLimited,
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No table names the server.
    #[error(
        "`{name}` is not among the servers that this bot may reach; to allow it, add the table [bots.{bot}.http.\"{name}\"]{} to bots.toml",
        if *.is_https { "" } else { " with `plain = true`" }
    )]
    NotListed {
        /// Whose tables.
        bot: String,
        /// The table's name, as it would be.
        name: String,
        /// Whether https:// was asked for.
        is_https: bool,
    },
    /// The server's table wants encryption.
    #[error(
        "http:// is not allowed for `{name}`; ask for https://, or add `plain = true` to [bots.{bot}.http.\"{name}\"] in bots.toml"
    )]
    Plain {
        /// Whose table.
        bot: String,
        /// The table's name.
        name: String,
    },
    /// The server's name leads to where plugins may not go.
    #[error(
        "`{name}` has {}; if the plugin may reach it, add `private = true` to [bots.{bot}.http.\"{name}\"] in bots.toml",
        .scope.words()
    )]
    NotPublic {
        /// Whose table.
        bot: String,
        /// The table's name.
        name: String,
        /// Where it leads.
        scope: Scope,
    },
    /// No URL, or none that can be asked for.
    #[error("the URL {0}")]
    Url(&'static str),
    /// A URL that is too long.
    #[error("the URL has {0} bytes; it may have {URL_LIMIT}")]
    UrlLength(usize),
    /// Too many headers, or too large ones.
    #[error(
        "the headers are {count} of {bytes} bytes; they may be {} of {}",
        HEADERS_LIMIT.0, HEADERS_LIMIT.1
    )]
    Headers {
        /// How many.
        count: usize,
        /// Names and values.
        bytes: usize,
    },
    /// A name that no header has, by its place from 1.
    #[error("the name of header {0} is not one: letters, digits and dashes are")]
    HeaderName(usize),
    /// A value that no header can have.
    #[error("the header `{0}` has a line break or another control character in its value")]
    HeaderValue(String),
    /// A header that only the host sets.
    #[error("the header `{0}` is the host's business; leave it out")]
    HeaderReserved(String),
    /// A header in which the operator has put a secret.
    #[error("the header `{0}` is set by the operator for this server; leave it out, the host adds it")]
    HeaderSecret(String),
    /// A body that is too large.
    #[error("the body has {0} bytes; it may have {REQUEST_BODY_LIMIT}")]
    Body(usize),
    /// A timeout that is none.
    #[error("the timeout is {0:?}; it may be {least:?} to {most:?}", least = TIMEOUTS.start(), most = TIMEOUTS.end())]
    Timeout(Duration),
    /// The name is not known.
    #[error("`{host}` can't be found; see that the name is right, and that this machine can look names up")]
    Lookup {
        /// The name.
        host: String,
        /// What the lookup said.
        #[source]
        cause: Option<io::Error>,
    },
    /// Nobody listens there, or no way leads there.
    #[error("`{host}` can't be reached ({})", .cause.kind())]
    Connect {
        /// The name.
        host: String,
        /// What the last address said.
        #[source]
        cause: io::Error,
    },
    /// No encrypted connection could be made.
    #[error("there is no safe connection to `{host}`: {}", shortened(.cause))]
    Tls {
        /// The name.
        host: String,
        /// What rustls said.
        #[source]
        cause: io::Error,
    },
    /// No certificate can be judged.
    #[error("no server's certificate can be checked on this machine; install ca-certificates")]
    Roots(#[source] rustls::Error),
    /// Connecting took too long.
    #[error("`{host}` could not be connected to within {limit:?}")]
    SlowConnection {
        /// The name.
        host: String,
        /// How long it may take.
        limit: Duration,
    },
    /// All of it took too long.
    #[error("it took longer than {0:?}; a request may set a `timeout` of at most {most:?}", most = TIMEOUTS.end())]
    Slow(Duration),
    /// A body that is too large, as it came or decompressed.
    #[error("the answer's body is larger than {BODY_LIMIT} bytes; ask for less of it")]
    LargeBody,
    /// Too many headers, or too large ones.
    #[error("the answer's headers are larger than this host takes")]
    LargeHeaders,
    /// One redirect after the other.
    #[error("it was redirected more than {REDIRECTS} times; ask for the last URL")]
    Circle,
    /// A redirect to something that is no address for a request.
    #[error("the server redirects ({status}) to something that {why}")]
    Nowhere {
        /// The server's status.
        status: u16,
        /// "is no URL"
        why: &'static str,
    },
    /// A redirect of a request whose body may not be sent again.
    #[error(
        "the server redirects ({status}) a {method} with a body, which only 307 and 308 can; ask for the new URL"
    )]
    BodyRedirected {
        /// The server's status.
        status: u16,
        /// The request's.
        method: Method,
    },
    /// The connection ended too early, or what came is no HTTP.
    #[error("{what}")]
    Broken {
        /// "the connection broke before the answer was complete"
        what: &'static str,
        /// What hyper said.
        #[source]
        cause: Option<hyper::Error>,
    },
    /// Too many requests are running.
    #[error("the bot has {AT_ONCE} requests running, which is as many as it may; wait for one to end")]
    AtOnce,
    /// Too many requests were begun.
    #[error("the bot has made {PER_MINUTE} requests in the last minute, which is as many as it may; the next one can be made in {wait} s", wait = .0.as_secs() + 1)]
    PerMinute(Duration),
}

// === impl EgressError ===

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.redirected {
            f.write_str("after a redirect: ")?;
        }
        self.fault.fmt(f)
    }
}

impl Error for EgressError {
    /// The fault is what is displayed, so its cause is the next one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

// === impl Fault ===

impl Fault {
    /// Which kind it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::NotListed { .. } | Self::Plain { .. } | Self::NotPublic { .. } => FaultKind::Denied,
            Self::Url(_)
            | Self::UrlLength(_)
            | Self::Headers { .. }
            | Self::HeaderName(_)
            | Self::HeaderValue(_)
            | Self::HeaderReserved(_)
            | Self::HeaderSecret(_)
            | Self::Body(_)
            | Self::Timeout(_) => FaultKind::Invalid,
            Self::Lookup { .. } | Self::Connect { .. } | Self::Tls { .. } | Self::Roots(_) => {
                FaultKind::Unreachable
            }
            Self::SlowConnection { .. } | Self::Slow(_) => FaultKind::TimedOut,
            Self::LargeBody | Self::LargeHeaders => FaultKind::TooLarge,
            Self::Circle | Self::Nowhere { .. } | Self::BodyRedirected { .. } => FaultKind::Redirected,
            Self::Broken { .. } => FaultKind::Broken,
            Self::AtOnce | Self::PerMinute(_) => FaultKind::RateLimited,
        }
    }
}

fn shortened(cause: &io::Error) -> String {
    cause.to_string().chars().take(200).collect()
}
