//! `[bots.<name>.http."<host>"]`: the servers that a bot's plugin may send requests to, each named by itself.
//!
//! A name is kept as URLs have it (lower case, other scripts as `xn--…`, addresses in their usual spelling), so that it can
//! be compared with a URL's as text. No two tables of a bot cover the same scheme, host and port.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use hyper::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::{Host, Url};

use super::{
    check::{Checked, Checks},
    located::Located,
    mistake::Mistake,
};
use crate::address;

/// A server that the plugin may send requests to.
#[derive(Debug, Clone)]
pub struct HttpHost {
    /// Its name or address, as a URL has it.
    pub host: String,
    /// The only port; without one it is 443, and 80 if `plain`.
    pub port: Option<u16>,
    /// `headers`: what goes with every request to it. The values are secrets, and fit for a header.
    pub headers: Vec<(HeaderName, SecretString)>,
    /// `private`: whether its address may be one that is not public.
    pub private: bool,
    /// `plain`: whether http:// will do.
    pub plain: bool,
}

/// A server that the plugin may send requests to, over https on port 443 unless its name says another.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawHttpHost {
    /// Headers with a secret that go to this server, and that no plugin can read: the value as it is, with `${VARIABLE}`
    /// in it, or `file:<path>`.
    #[schemars(extend("examples" = [{ "authorization": "Bearer ${STATUS_TOKEN}" }]))]
    headers: BTreeMap<Located<String>, Located<String>>,
    /// Whether its address may be a private one, or this machine's.
    private: bool,
    /// Whether http:// will do, without encryption; then on port 80 too.
    plain: bool,
}

/// Headers that say how a request is sent, or by whom. They are the host's: neither bots.toml nor a plugin sets them.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

// === impl HttpHost ===

impl HttpHost {
    /// Host and port of a table's name.
    ///
    /// # Errors
    /// What is wrong with it, to follow on "it".
    pub fn parse_name(name: &str) -> Result<(String, Option<u16>), &'static str> {
        if name.contains("://") {
            return Err("begins with a scheme");
        }
        if name.contains('*') {
            return Err("has a `*`, and each server must be named");
        }
        if name.contains(['/', '\\', '?', '#', '@', '%'])
            || name.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err("has more in it than a host and a port");
        }
        // A scheme's own port is dropped from its URLs, so a port that was written shows in one of the two at least.
        let [https, http] = ["https", "http"].map(|scheme| Url::parse(&format!("{scheme}://{name}/")));
        let (Ok(https), Ok(http)) = (https, http) else { return Err("is no host") };
        let host = https.host_str().unwrap_or_default();
        if host.is_empty() || host.ends_with('.') || name.ends_with(':') {
            return Err("is no host");
        }
        match https.port().or(http.port()) {
            Some(0) => Err("has port 0"),
            port => Ok((host.to_owned(), port)),
        }
    }

    /// Whether requests to this port go to it.
    pub fn covers(&self, is_https: bool, port: u16) -> bool {
        let is_its_port = match self.port {
            Some(own) => port == own,
            None => port == if is_https { 443 } else { 80 },
        };
        is_its_port && (is_https || self.plain)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let ports = [self.port, other.port, Some(443), Some(80)];
        let both = |(is_https, port)| self.covers(is_https, port) && other.covers(is_https, port);
        self.host == other.host
            && ports.into_iter().flatten().any(|port| both((true, port)) || both((false, port)))
    }
}

impl fmt::Display for HttpHost {
    /// The table's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// Whether the header of this name is the host's.
pub fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

// === Checks ===

impl Checks<'_> {
    pub(super) fn http(
        &mut self,
        bot: &Located<String>,
        raw: &BTreeMap<Located<String>, RawHttpHost>,
    ) -> Checked<Arc<[HttpHost]>> {
        let mut in_order: Vec<_> = raw.iter().collect();
        in_order.sort_by_key(|(name, _)| name.span().start);
        let mut hosts: Vec<(Checked<HttpHost>, &Located<String>)> = Vec::with_capacity(raw.len());
        for (name, raw) in in_order {
            let host = self.http_host(name, raw).and_then(|host| {
                let same = |(other, _): &&(Checked<HttpHost>, _)| {
                    other.as_ref().is_ok_and(|other| host.overlaps(other))
                };
                let Some((_, earlier)) = hosts.iter().find(same) else { return Ok(host) };
                let mistake = Mistake::SameHttpHost { bot: bot.get().clone(), host: host.to_string() };
                Err(self.findings.add_again(name.span(), Some(earlier.span()), mistake))
            });
            hosts.push((host, name));
        }
        hosts.into_iter().map(|(host, _)| host).collect()
    }

    fn http_host(&mut self, name: &Located<String>, raw: &RawHttpHost) -> Checked<HttpHost> {
        let parsed = HttpHost::parse_name(name.get())
            .map_err(|fault| self.findings.add(name.span(), Mistake::HttpHost { fault }));
        let parsed = parsed.and_then(|(host, port)| {
            if raw.private || !is_never_public(&host) {
                return Ok((host, port));
            }
            Err(self.findings.add(name.span(), Mistake::HttpHostPrivate { host }))
        });
        let mut seen = BTreeSet::new();
        let headers: Vec<_> =
            raw.headers.iter().map(|(name, value)| self.secret_header(name, value, &mut seen)).collect();
        let headers = headers.into_iter().collect::<Result<_, _>>();
        let (host, port) = parsed?;
        Ok(HttpHost { host, port, headers: headers?, private: raw.private, plain: raw.plain })
    }

    fn secret_header(
        &mut self,
        name: &Located<String>,
        value: &Located<String>,
        seen: &mut BTreeSet<String>,
    ) -> Checked<(HeaderName, SecretString)> {
        let mistake = match HeaderName::try_from(name.get()) {
            Err(_) => Mistake::HeaderName,
            Ok(name) if is_reserved(&name) => Mistake::HeaderReserved { name: name.to_string() },
            Ok(name) if !seen.insert(name.to_string()) => Mistake::HeaderTwice { name: name.to_string() },
            Ok(header) => {
                let otherwise = Mistake::HeaderValue { name: header.to_string() };
                return Ok((header, self.secret("headers", value, is_header_value, otherwise)?));
            }
        };
        Err(self.findings.add(name.span(), mistake))
    }
}

fn is_header_value(text: &str) -> bool {
    !text.trim().is_empty() && HeaderValue::try_from(text).is_ok()
}

/// Whether every address that the name can stand for is refused.
fn is_never_public(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Ok(Host::Ipv4(address)) => address::not_public(address.into()).is_some(),
        Ok(Host::Ipv6(address)) => address::not_public(address.into()).is_some(),
        Err(_) => false,
    }
}
