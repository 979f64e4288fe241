//! The operator's listener: health, metrics, and a dashboard to look at the host and to act.
//!
//! - Health may be asked by anybody who reaches the listener; everything else is for whom [`guard`] lets in.
//! - What the dashboard does, it does through the operator's API, as the commands do.
//! - The pages are part of this program, run no script but their own, and put nothing that people, bots or plugins wrote
//!   anywhere but in texts.
//! - Nothing here is needed for a bot to answer: it takes no lock of the lanes for longer than a copy takes.

mod guard;
mod health;
mod metrics;
mod overview;
mod page;
mod process;
mod session;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    guard::{Guard, Peer},
    health::StoreHealth,
};
use crate::{
    cluster::Seen, connections, id::Timestamp, lane::Lanes, plugin::Roster, reload::BotStatus, store::Store,
};

/// Connections at once. More wait in the socket's backlog.
const CONNECTIONS: usize = 128;
/// The largest body, in bytes: a login.
const LARGEST: usize = 4 << 10;
/// How long an answer may take, a body that comes slowly included.
const PATIENCE: Duration = Duration::from_secs(30);

/// The operator's listener, and what it shows.
pub struct Admin {
    /// Where it listens. The caller's, so that a test runs the real thing on port 0.
    pub listener: TcpListener,
    /// What opens it; none if only this machine may look.
    pub token: Option<SecretString>,
    /// The past, and what waits.
    pub store: Arc<dyn Store>,
    /// The bots.
    pub roster: Arc<Roster>,
    /// What runs of each of them.
    pub bots: Arc<dyn Fn() -> Vec<BotStatus> + Send + Sync>,
    /// What is being answered.
    pub lanes: Lanes,
    /// When the host began.
    pub started_at: Timestamp,
    /// How many hosts share the store.
    pub seen: Seen,
}

/// What there is to see.
struct View {
    store: Arc<dyn Store>,
    store_health: StoreHealth,
    roster: Arc<Roster>,
    bots: Arc<dyn Fn() -> Vec<BotStatus> + Send + Sync>,
    lanes: Lanes,
    started_at: Timestamp,
    seen: Seen,
}

// === impl Admin ===

impl Admin {
    /// Serves until `ended`, then lets open requests end. `operator` is the operator's API.
    pub async fn serve(self, operator: Router, ended: CancellationToken) {
        // Without a recorder there is still all the rest.
        let recorder = metrics::recorder();
        let listen = match self.listener.local_addr() {
            Ok(listen) => listen,
            Err(error) => {
                tracing::error!(%error, "the admin listener has no address, and is not served");
                return;
            }
        };
        let guard = Arc::new(Guard::new(self.token, listen));
        let view = View {
            store: self.store,
            store_health: StoreHealth::default(),
            roster: self.roster,
            bots: self.bots,
            lanes: self.lanes,
            started_at: self.started_at,
            seen: self.seen,
        };
        let router = router(guard, view, operator);
        let service =
            |peer: SocketAddr| TowerToHyperService::new(router.clone().layer(Extension(Peer(peer.ip()))));
        let served = connections::serve(self.listener, CONNECTIONS, service, ended.cancelled());
        let upkeep = async {
            loop {
                tokio::time::sleep(metrics::UPKEEP).await;
                if let Some(recorder) = recorder {
                    recorder.run_upkeep();
                }
            }
        };
        tokio::select! {
            () = served => {}
            () = upkeep => {}
        }
    }
}

fn router(guard: Arc<Guard>, view: View, operator: Router) -> Router {
    let view = Arc::new(view);
    let inside = Router::new()
        .nest("/api", overview::router())
        .route("/metrics", get(counted))
        .with_state(Arc::clone(&view))
        .nest("/api", operator)
        .route("/api/session", get(guard::session).with_state(Arc::clone(&guard)))
        .route("/logout", post(guard::logout).with_state(Arc::clone(&guard)))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&guard), guard::admit));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready).with_state(view))
        .route("/login", post(guard::login).with_state(guard))
        .merge(page::router())
        .merge(inside)
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::map_response(page::protected))
}

/// Ends what takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(PATIENCE, next.run(request)).await;
    answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

/// `GET /metrics`
async fn counted(State(view): State<Arc<View>>) -> Response {
    let text = metrics::exposition(&view.lanes, &view.roster, &view.seen);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
