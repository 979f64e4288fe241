//! Whether the host is alive, and whether it can do its work.
//!
//! Both may be asked by anybody who reaches the listener, so neither says more than it must: no names, no causes.
//!
//! A bot without a plugin is no reason to send no more webhooks: the others run, and their messages would be lost. It is
//! ready unless none runs; `hearth_plugin_generation` tells each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::timeout};

use super::View;
use crate::lane::Phase;

/// How long the store may take to say that it takes writes.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
/// For how long that holds: to ask is a write, and anybody may ask.
const FRESH: Duration = Duration::from_secs(1);

/// Whether the host can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Readiness {
    ready: bool,
    /// Why not; empty if it is.
    reasons: Vec<String>,
}

/// What the store said last.
#[derive(Default)]
pub(super) struct StoreHealth(Mutex<Option<(Instant, bool)>>);

/// `GET /healthz`
pub(super) async fn alive() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "alive": true }))
}

/// `GET /readyz`
pub(super) async fn ready(State(view): State<Arc<View>>) -> (StatusCode, Json<Readiness>) {
    let phase = match view.lanes.phase() {
        Phase::Opening => Some("the plugins are being loaded"),
        Phase::Open if view.roster.seats().iter().all(|seat| seat.generation.is_none()) => {
            Some("no bot's plugin can be loaded; see the log")
        }
        Phase::Open => None,
        Phase::Closing => Some("the host is about to end"),
    };
    let store = (!view.takes_writes().await).then_some("the store takes no messages; see the log");
    let reasons: Vec<_> = phase.into_iter().chain(store).map(str::to_owned).collect();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready: reasons.is_empty(), reasons }))
}

impl View {
    async fn takes_writes(&self) -> bool {
        // Whoever comes while it is asked waits for that answer.
        let mut last = self.store_health.0.lock().await;
        if let Some((at, well)) = *last
            && at.elapsed() < FRESH
        {
            return well;
        }
        let well = match timeout(STORE_PATIENCE, self.store.ping()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready");
                false
            }
            Err(_) => {
                tracing::warn!("not ready: the store took no write within {STORE_PATIENCE:?}");
                false
            }
        };
        *last = Some((Instant::now(), well));
        well
    }
}
