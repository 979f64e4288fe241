//! A load balancer in front of the hosts: in turn, and past those that don't take what they are given, as far as any
//! product may be set up to do that.
//!
//! A webhook goes to the next host if the first one can't be reached or says 503 (`retry-on conn-failure 503` of `HAProxy`,
//! `proxy_next_upstream error http_503 non_idempotent` of nginx). A host that has it and does not answer may have taken
//! it: then nobody else gets it, and Campfire is told 504.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::Response,
};
use reqwest::Client;
use tokio::{net::TcpListener, task::AbortHandle, time::Instant};

/// How long a host may take to answer; longer than it takes to find out that its Redis does not.
const ANSWER: Duration = Duration::from_secs(8);
/// How long a host is left alone that can't be reached or did not answer, as long as there are others.
const REST: Duration = Duration::from_secs(2);

/// It serves until this is dropped.
pub(super) struct Balancer {
    /// Where Campfire finds the hosts.
    pub(super) address: SocketAddr,
    task: AbortHandle,
}

struct Pool {
    hosts: Vec<Upstream>,
    next: AtomicUsize,
    client: Client,
}

struct Upstream {
    address: SocketAddr,
    rests_until: Mutex<Instant>,
}

impl Balancer {
    /// One in front of these hosts.
    ///
    /// # Panics
    /// If no port is free.
    pub(super) async fn before(hosts: impl IntoIterator<Item = SocketAddr>) -> Self {
        // Another test of this process may have chosen a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(ANSWER).build();
        let upstream = |address| Upstream { address, rests_until: Mutex::new(Instant::now()) };
        let pool = Arc::new(Pool {
            hosts: hosts.into_iter().map(upstream).collect(),
            next: AtomicUsize::new(0),
            client: client.expect("a client can be made"),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let routes = Router::new().fallback(pass_on).with_state(pool);
        let task = tokio::spawn(axum::serve(listener, routes).into_future());
        Self { address, task: task.abort_handle() }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(
    State(pool): State<Arc<Pool>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut untaken = StatusCode::BAD_GATEWAY;
    for host in pool.in_turn() {
        let mut request = pool.client.request(method.clone(), format!("http://{}{uri}", host.address));
        if let Some(kind) = headers.get(CONTENT_TYPE) {
            request = request.header(CONTENT_TYPE, kind);
        }
        match request.body(body.clone()).send().await {
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => untaken = answer.status(),
            Ok(answer) => {
                let (status, kind) = (answer.status(), answer.headers().get(CONTENT_TYPE).cloned());
                let body = answer.bytes().await.unwrap_or_default();
                return response(status, kind, body);
            }
            Err(error) => {
                host.rests();
                if !error.is_connect() {
                    return response(StatusCode::GATEWAY_TIMEOUT, None, Bytes::new());
                }
            }
        }
    }
    response(untaken, None, Bytes::new())
}

/// What has no `Content-Type` does nothing in the room.
fn response(status: StatusCode, kind: Option<HeaderValue>, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().extend(kind.map(|kind| (CONTENT_TYPE, kind)));
    response
}

// === impl Pool ===

impl Pool {
    /// All hosts, another one first each time; those that rest are last.
    fn in_turn(&self) -> Vec<&Upstream> {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        hosts.rotate_left(self.next.fetch_add(1, Ordering::Relaxed) % self.hosts.len());
        hosts.sort_by_key(|host| host.is_resting());
        hosts
    }
}

impl Upstream {
    fn rests(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + REST;
    }

    fn is_resting(&self) -> bool {
        Instant::now() < *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
