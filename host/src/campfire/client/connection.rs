//! Connections to Campfires, and the one way a request goes out.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, redirect};
use tokio::time::Instant;
use url::Url;

use super::{Client, RequestError, Target};

/// How often a connection is tried.
pub(super) const TRIES: u32 = 4;

/// Which part of the timeout a try to connect may take: one in so many.
const CONNECT_SHARE: u32 = 5;

/// How long to wait before the second try, at most; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How long a connection is kept that nobody uses. Servers close theirs some time, and a post that meets that is in doubt.
const IDLE: Duration = Duration::from_secs(15);

/// Which proxy is used.
#[derive(Clone, Copy)]
pub(super) enum Proxy {
    Environment,
    None,
}

/// Which certificates are trusted.
#[derive(Clone, Copy)]
pub(super) enum Roots {
    System,
    None,
}

impl Client {
    /// Sends until a connection was made or the deadline has come.
    pub(super) async fn send(
        &self,
        target: &Target,
        method: Method,
        url: Url,
        deadline: Instant,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RequestError> {
        let client = if target.is_local() { &self.local } else { &self.remote };
        let changes = method != Method::GET;
        let mut tries = 1;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let request = fill(client.request(method.clone(), url.clone())).timeout(left);
            if changes && target.tenure.is_over() {
                return Err(RequestError::TooLate);
            }
            let answer = tokio::select! {
                biased;
                () = target.tenure.over(), if changes => return Err(RequestError::broken_off()),
                answer = request.send() => answer,
            };
            let cause = match answer {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if !cause.is_connect() {
                return Err(RequestError::broken(cause));
            }
            let wait = jittered(FIRST_WAIT * 2_u32.pow(tries - 1));
            // With less time left than a connection may take, the deadline could no longer be told from an answer
            // that does not come.
            let enough =
                wait + self.timeout / CONNECT_SHARE < deadline.saturating_duration_since(Instant::now());
            if tries == TRIES || !enough {
                return Err(RequestError::NotSent { tries, cause: cause.without_url() });
            }
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }
}

/// Connections to other hosts, and to this one.
pub(super) fn pools(timeout: Duration) -> reqwest::Result<(reqwest::Client, reqwest::Client)> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let build = |proxy| {
        pool(timeout, proxy, Roots::System).or_else(|_| {
            tracing::warn!(
                "no root certificates were found on this machine: a Campfire behind https can't be reached; \
                 install ca-certificates"
            );
            pool(timeout, proxy, Roots::None)
        })
    };
    Ok((build(Proxy::Environment)?, build(Proxy::None)?))
}

/// Connections that follow nothing and name their host's product.
pub(super) fn pool(timeout: Duration, proxy: Proxy, roots: Roots) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .redirect(redirect::Policy::none())
        .connect_timeout(timeout / CONNECT_SHARE)
        .pool_idle_timeout(IDLE)
        // Campfire gives browsers a page, and posts nothing: a plain product name is what it takes for a program.
        .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")));
    if let Proxy::None = proxy {
        builder = builder.no_proxy();
    }
    if let Roots::None = roots {
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// Between half of `wait` and all of it, so that rooms that failed together don't try again together.
pub(super) fn jittered(wait: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    wait / 2 + wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}
