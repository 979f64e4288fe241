//! What the dashboard shows, besides what the operator's API knows: bots and lanes as they are now, and the past.
//!
//! | | answer |
//! |---|---|
//! | `GET /api/overview` | [`Overview`] |
//! | `GET /api/turns?bot=&room=&outcome=&text=&before=&limit=` | [`JournalRow`]s |
//! | `GET /api/turns/<turn>` | [`Told`], or 404 |
//! | `GET /api/hours?since=` | [`Hour`]s |
//! | `GET /api/spending?since=` | [`Spending`] |
//!
//! Times are milliseconds since 1970. A store that fails is 503 with a [`Refusal`].

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::View;
use crate::{
    config::Bot,
    id::{BotName, LaneKey, Timestamp, TurnId},
    lane::Phase,
    operator::Refusal,
    reload::BotStatus,
    store::{Hour, JournalRow, Pause, Queue, Spending, StoreError, ToolCallRow, TurnQuery},
};

/// The host at a glance.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Overview {
    version: &'static str,
    started_at: Timestamp,
    now: Timestamp,
    phase: &'static str,
    bots: Vec<BotState>,
    lanes: Vec<LaneState>,
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

/// A turn, with everything that is known of it.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Told {
    turn: JournalRow,
    tool_calls: Vec<ToolCallRow>,
}

pub(super) fn router() -> Router<Arc<View>> {
    Router::new()
        .route("/overview", get(overview))
        .route("/turns", get(turns))
        .route("/turns/{turn}", get(turn))
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
        phase: match view.lanes.phase() {
            Phase::Opening => "opening",
            Phase::Open => "open",
            Phase::Closing => "closing",
        },
        bots,
        lanes,
        pauses,
    }))
}

async fn turns(
    State(view): State<Arc<View>>,
    Query(query): Query<TurnQuery>,
) -> Result<Json<Vec<JournalRow>>, Trouble> {
    Ok(Json(view.store.turns(&query).await?))
}

async fn turn(State(view): State<Arc<View>>, Path(id): Path<TurnId>) -> Result<Json<Told>, Trouble> {
    let turn = view.store.turn(&id).await?.ok_or(Trouble::NoTurn)?;
    Ok(Json(Told { turn, tool_calls: view.store.tool_calls(&id).await? }))
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

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("there is no such turn, or no more")]
    NoTurn,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, help) = match self {
            Self::NoTurn => {
                (StatusCode::NOT_FOUND, Some("`journal-retention` in [host] says how long they are kept"))
            }
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        (status, Json(Refusal { error: self.to_string(), help: help.map(str::to_owned) })).into_response()
    }
}
