//! What the dashboard shows, besides what the operator's API knows: bots and lanes as they are now, and the past.
//!
//! | | answer |
//! |---|---|
//! | `GET /api/overview` | [`Overview`] |
//! | `GET /api/hours?since=` | [`Hour`]s |
//! | `GET /api/spending?since=` | [`Spending`] |
//!
//! Times are milliseconds since 1970. A store that fails is 503 with a [`Refusal`].

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::View;
use crate::{
    agent::Processes,
    config::Bot,
    id::{BotName, LaneKey, Timestamp},
    lane::Phase,
    operator::Refusal,
    reload::BotStatus,
    store::{Hour, Pause, Queue, Spending, StoreError},
};

/// The host at a glance.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Overview {
    version: &'static str,
    started_at: Timestamp,
    now: Timestamp,
    phase: Phase,
    bots: Vec<BotState>,
    lanes: Vec<LaneState>,
    agents: Processes,
    pauses: Vec<Pause>,
}

/// A bot as it is now.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct BotState {
    name: BotName,
    model: Option<String>,
    /// What runs; none while nothing can.
    generation: Option<GenerationState>,
    /// Why the newest content of its plugin file does not run.
    trouble: Option<String>,
    /// Contents that failed again and again, and are not loaded.
    quarantined: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct GenerationState {
    number: u64,
    loaded_at: Timestamp,
    plugin: String,
    version: String,
    hash: String,
}

/// A lane that has work.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct LaneState {
    #[serde(flatten)]
    queue: Queue,
    /// Since when its turn runs; none if it waits.
    running_since: Option<Timestamp>,
}

pub(super) fn router() -> Router<Arc<View>> {
    Router::new()
        .route("/overview", get(overview))
        .route("/hours", get(hours))
        .route("/spending", get(spending))
}

async fn overview(State(view): State<Arc<View>>) -> Result<Json<Overview>, Trouble> {
    let (queues, pauses) = (view.store.queues().await?, view.store.pauses().await?);
    let known = (view.bots)();
    let status = |name: &BotName| known.iter().find(|status| status.bot == *name);
    let seats = view.roster.seats();
    let mut bots: Vec<_> = seats.iter().map(|seat| BotState::of(&seat.bot, status(&seat.bot.name))).collect();
    bots.sort_by(|one, other| one.name.cmp(&other.name));
    let running = view.lanes.running();
    let since = |lane: &LaneKey| running.get(lane).copied();
    let lanes =
        queues.into_iter().map(|queue| LaneState { running_since: since(&queue.lane), queue }).collect();
    Ok(Json(Overview {
        version: env!("CARGO_PKG_VERSION"),
        started_at: view.started_at,
        now: Timestamp::now(),
        phase: view.lanes.phase(),
        bots,
        lanes,
        agents: view.lanes.agents(),
        pauses,
    }))
}

#[derive(Deserialize)]
struct Since {
    since: Timestamp,
}

async fn hours(
    State(view): State<Arc<View>>,
    Query(Since { since }): Query<Since>,
) -> Result<Json<Vec<Hour>>, Trouble> {
    Ok(Json(view.store.hours(since).await?))
}

async fn spending(
    State(view): State<Arc<View>>,
    Query(Since { since }): Query<Since>,
) -> Result<Json<Vec<Spending>>, Trouble> {
    Ok(Json(view.store.spending(since).await?))
}

// === impl BotState ===

impl BotState {
    fn of(bot: &Bot, status: Option<&BotStatus>) -> Self {
        let refused = status.and_then(|status| status.refused.as_ref());
        let running = status.and_then(|status| status.running.as_ref());
        Self {
            name: bot.name.clone(),
            model: bot.model.clone(),
            trouble: refused.map(|refused| refused.cause.clone()),
            quarantined: status.map(|status| status.quarantined.clone()).unwrap_or_default(),
            generation: running.map(|running| GenerationState {
                number: running.generation,
                loaded_at: running.since,
                plugin: running.plugin.clone(),
                version: running.version.clone(),
                hash: running.hash.clone(),
            }),
        }
    }
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Trouble(#[from] StoreError);

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Refusal { error: self.to_string(), help: None }))
            .into_response()
    }
}
