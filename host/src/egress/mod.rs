//! Requests that plugins make: one gate, which lets through what the operator allows and nothing else.
//!
//! Invariants:
//! - A request goes to a server that a table of its bot names, on the first step and on every redirect.
//! - A name is looked up once a step. All its addresses must be allowed, and one of these very addresses is connected to:
//!   what the name means a moment later changes nothing. No proxy stands between.
//! - A server gets the secrets of its own table, and no others. What comes back is searched for all that were sent, and
//!   they are masked. No error has one.
//! - A connection serves one request. So none that one bot opened is another's, and it is known whether anything was sent.
//! - A call ends within its timeout, however slowly a server speaks, and holds at most the sizes below.
//!
//! What goes wrong is a [`Fault`]; the [`EgressError`] around it says whether a server may have acted on the request.

mod connect;
mod error;
mod exchange;
mod rates;
mod redact;
mod redirect;
mod request;
#[cfg(test)]
mod tests;

use std::{ops::RangeInclusive, time::Duration};

use hyper::header::{HeaderName, HeaderValue, LOCATION};
use tokio::time::{Instant, timeout_at};

use self::{
    connect::{Connector, SystemResolver},
    exchange::{Answer, exchange},
    rates::Rates,
    redact::Secrets,
    redirect::redirect,
    request::{Step, allowed},
};
pub use self::{
    error::{EgressError, Fault, FaultKind},
    request::Request,
};
use crate::{config::HttpHost, id::BotName};

/// Bytes of a URL.
pub const URL_LIMIT: usize = 8 << 10;
/// What a request's headers may be: how many, and bytes of names and values.
pub const HEADERS_LIMIT: (usize, usize) = (64, 16 << 10);
/// Bytes of a request's body.
pub const REQUEST_BODY_LIMIT: usize = 1 << 20;
/// Bytes of an answer's body, decompressed.
pub const BODY_LIMIT: usize = 4 << 20;
/// How many redirects are followed.
pub const REDIRECTS: usize = 5;
/// How long a request may take in all.
pub const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30);
/// How long it takes at most if it does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take until a server can be spoken to, lookup and encryption included.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many requests of a bot run at once.
pub const AT_ONCE: usize = 4;
/// How many requests of a bot begin in a minute. Redirects are part of the request that they answer.
pub const PER_MINUTE: usize = 60;
/// Bytes of a server's name that is looked for; no name of the internet is that long.
const NAME_LIMIT: usize = 1 << 10;

/// What was answered, whatever its status.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Vec<u8>,
    /// The URL that answered.
    pub url: String,
}

/// The one way out.
pub struct Gate {
    connector: Connector,
    rates: Rates,
}

/// How far a request has come.
#[derive(Default)]
struct Journey<'a> {
    maybe_sent: bool,
    redirects: usize,
    /// The servers that it was sent to.
    visited: Vec<&'a HttpHost>,
}

// === impl Gate ===

impl Default for Gate {
    fn default() -> Self {
        Self { connector: Connector::new(SystemResolver::default()), rates: Rates::default() }
    }
}

impl Gate {
    /// Sends a request of `bot`, which may reach `hosts`, and waits for the whole answer.
    pub async fn send(
        &self,
        bot: &BotName,
        hosts: &[HttpHost],
        request: Request,
    ) -> Result<Response, EgressError> {
        let mut journey = Journey::default();
        self.answer(bot, hosts, request, &mut journey).await.map_err(|fault| EgressError {
            fault,
            maybe_sent: journey.maybe_sent,
            redirected: journey.redirects > 0,
        })
    }

    async fn answer<'a>(
        &self,
        bot: &BotName,
        hosts: &'a [HttpHost],
        request: Request,
        journey: &mut Journey<'a>,
    ) -> Result<Response, Fault> {
        let began = Instant::now();
        let (mut step, timeout) = request.check()?;
        step.check_headers(allowed(bot, hosts, &step.url)?)?;
        let _permit = self.rates.enter(bot, began)?;
        let answered = timeout_at(began + timeout, async {
            let mut answer = self.travel(bot, hosts, &mut step, journey).await?;
            let body = answer.body().await?;
            Ok((answer, body))
        });
        let (answer, body) = answered.await.map_err(|_| Fault::Slow(timeout))??;
        let secrets = Secrets::of(&journey.visited);
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), secrets.redact_text(value.as_bytes()))
        };
        Ok(Response {
            status: answer.status.as_u16(),
            headers: answer.headers.iter().map(header).collect(),
            body: secrets.redact(body),
            url: secrets.redact_text(step.url.as_str().as_bytes()),
        })
    }

    /// Goes from server to server until one answers.
    async fn travel<'a>(
        &self,
        bot: &BotName,
        hosts: &'a [HttpHost],
        step: &mut Step,
        journey: &mut Journey<'a>,
    ) -> Result<Answer, Fault> {
        loop {
            let host = allowed(bot, hosts, &step.url)?;
            let request = step.to(host)?;
            let stream = self.connector.connect(bot, &step.url, host).await?;
            journey.maybe_sent = true;
            journey.visited.push(host);
            let answer = exchange(stream, request).await?;
            let location = answer.headers.get(LOCATION).map(HeaderValue::as_bytes);
            let next = redirect(&step.url, &step.method, step.has_body(), answer.status, location)?;
            let Some(next) = next else { return Ok(answer) };
            if journey.redirects == REDIRECTS {
                return Err(Fault::Circle);
            }
            journey.redirects += 1;
            step.follow(next);
        }
    }
}

/// Whether the operator has put a secret into this header of this server, which is named as in bots.toml.
pub fn has_secret(hosts: &[HttpHost], host: &str, header: &str) -> bool {
    if host.len() > NAME_LIMIT {
        return false;
    }
    let Ok((name, port)) = HttpHost::parse_name(host) else { return false };
    let named = hosts.iter().find(|host| host.host == name && host.port == port);
    named.is_some_and(|host| host.headers.iter().any(|(name, _)| name.as_str().eq_ignore_ascii_case(header)))
}
