//! The journal: turns, and what is known of each.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError};
use crate::{
    id::TurnId,
    plugin::trace::Trace,
    rehearsal::replay::{Replayed, replay},
    store::{JournalRow, StoreError, ToolCallRow, TurnQuery},
};

/// A turn, with everything that is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TurnTold {
    /// Its row in the journal.
    pub turn: JournalRow,
    /// The tools that the model called.
    pub tool_calls: Vec<ToolCallRow>,
    /// How the plugin lived it; none of a turn that asked no plugin, or only posted what an earlier one had to say.
    pub trace: Option<Trace>,
}

pub(super) fn router() -> Router<Operator> {
    Router::new()
        .route("/turns", get(turns))
        .route("/turns/{turn}", get(turn))
        .route("/turns/{turn}/replay", post(again))
}

async fn turns(
    State(operator): State<Operator>,
    Query(query): Query<TurnQuery>,
) -> Result<Json<Vec<JournalRow>>, OperatorError> {
    Ok(Json(operator.store.turns(&query).await?))
}

async fn turn(
    State(operator): State<Operator>,
    Path(id): Path<TurnId>,
) -> Result<Json<TurnTold>, OperatorError> {
    let turn = operator.store.turn(&id).await?.ok_or(OperatorError::NoTurn)?;
    let tool_calls = operator.store.tool_calls(&id).await?;
    let trace = operator.trace(&id).await?;
    Ok(Json(TurnTold { turn, tool_calls, trace }))
}

/// Runs a turn again on the generation that is live now.
async fn again(
    State(operator): State<Operator>,
    Path(id): Path<TurnId>,
) -> Result<Json<Replayed>, OperatorError> {
    let row = operator.store.turn(&id).await?.ok_or(OperatorError::NoTurn)?;
    let trace = operator.trace(&id).await?.unwrap_or_default();
    let live = operator.running()?.roster.bot(row.lane.bot.as_str()).and_then(|seat| seat.generation);
    let live = live.ok_or_else(|| OperatorError::NothingLive(row.lane.bot.clone()))?;
    Ok(Json(replay(&live.apart(), &row, &trace).await?))
}

impl Operator {
    async fn trace(&self, turn: &TurnId) -> Result<Option<Trace>, StoreError> {
        self.store.trace(turn).await?.map(|trace| read(&trace)).transpose()
    }
}

fn read(trace: &str) -> Result<Trace, StoreError> {
    serde_json::from_str(trace)
        .map_err(|error| StoreError::Unavailable(format!("a trace can't be read: {error}").into()))
}
