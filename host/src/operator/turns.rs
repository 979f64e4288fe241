//! The journal: turns, and what is known of each.

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError};
use crate::{
    id::TurnId,
    plugin::trace::Trace,
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
    Router::new().route("/turns", get(turns)).route("/turns/{turn}", get(turn))
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
    let trace = operator.store.trace(&id).await?.map(|trace| read(&trace)).transpose()?;
    Ok(Json(TurnTold { turn, tool_calls, trace }))
}

fn read(trace: &str) -> Result<Trace, StoreError> {
    serde_json::from_str(trace)
        .map_err(|error| StoreError::Unavailable(format!("a trace can't be read: {error}").into()))
}
