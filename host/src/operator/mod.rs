//! What an operator can do with a deployment, as an HTTP API in JSON: look at conversations and at events that failed,
//! forget, put back, pause, resume.
//!
//! - A running host serves it at the socket in its data folder ([`Socket`]), for its own user only. A command that finds
//!   no host there opens the store itself and calls the same routes. So there is one writer at a time, and one way to do
//!   each thing; what is asked takes effect at once.
//! - Times are milliseconds since 1970; lists have at most [`LISTED`](crate::store::LISTED) items, or `limit`.
//! - Causes of failures are shown as the journal has them; it holds no secrets.
//!
//! | | | answer |
//! |---|---|---|
//! | GET | `/sessions?bot=&limit=` | [`Conversation`]s |
//! | DELETE | `/sessions/<bot>?room=` | [`Forgotten`] |
//! | GET | `/events/failed?bot=&limit=` | [`Failure`]s |
//! | POST | `/events/<id>/retry?anyway=true` | [`PutBack`] |
//! | GET | `/turns?bot=&room=&outcome=&text=&posted=&before=&limit=` | [`JournalRow`](crate::store::JournalRow)s |
//! | GET | `/turns/<turn>` | [`TurnTold`] |
//! | POST | `/turns/<turn>/replay` | [`Replayed`](crate::rehearsal::replay::Replayed), on what is live now |
//! | GET | `/pauses` | [`Pause`]s |
//! | PUT, DELETE | `/pauses/<bot>?room=` | [`Changed`] |
//! | GET | `/status` | [`Now`] |
//! | GET | `/hosts` | [`Cluster`](crate::cluster::Cluster): the hosts that share the store |
//! | POST | `/reload` | [`Reloaded`](crate::reload::Reloaded) |
//! | DELETE | `/quarantine/<bot>` | [`Lifted`] |
//! | DELETE | `/running/<bot>/<room>` | [`Stopped`] |
//!
//! What goes wrong is a [`Refusal`]: 404 no such bot or turn · 409 the event can't be put back, the turn can't be run again, or
//! no host runs · 503 the store failed.

mod running;
mod socket;
mod turns;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use serde::{Deserialize, Serialize};

pub use self::{
    running::{BotNow, Lifted, Now, Running, Stopped},
    socket::{AskError, Socket, ask, socket_path},
    turns::TurnTold,
};
use crate::{
    id::{BotName, EventId, MessageId, RoomId, Timestamp, TurnId},
    rehearsal::replay::Unplayable,
    reload::Closing,
    store::{Conversation, End, FailedEvent, Forgotten, LISTED, Pause, Retry, Scope, Store, StoreError},
};

/// What the API works on. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    /// Where everything is.
    pub store: Arc<dyn Store>,
    /// None while no host runs.
    pub running: Option<Running>,
    /// The names of the bots there are.
    pub bots: Arc<dyn Fn() -> Vec<BotName> + Send + Sync>,
}

/// An event that failed, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// Names it for `retry`.
    pub event: EventId,
    /// Whose.
    pub bot: BotName,
    /// Where.
    pub room: RoomId,
    /// The message that caused it; none if it was something else.
    pub message: Option<MessageId>,
    /// What caused it: "message", or for example "timer".
    pub kind: String,
    /// When the message came.
    pub received_at: Timestamp,
    /// When it was given up.
    pub ended_at: Timestamp,
    /// [`End::Done`] if all that is wrong is that some of the answer may not be in the room.
    pub end: End,
    /// How often it was begun.
    pub attempts: u32,
    /// Parts of the answer that are in the room.
    pub posted: u32,
    /// Parts that may be.
    pub uncertain: u32,
    /// Parts that are not.
    pub failed: u32,
    /// The last turn, which the room may have been told.
    pub turn: Option<TurnId>,
    /// How that ended, in one word.
    pub outcome: Option<String>,
    /// Why.
    pub cause: Option<String>,
}

/// An event that waits again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBack {
    /// Which event.
    pub event: EventId,
    /// Whose.
    pub bot: BotName,
    /// Where.
    pub room: RoomId,
    /// How it goes on.
    pub retry: Retry,
}

/// What a change of the pauses came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Whether anything is other than before.
    pub changed: bool,
    /// What is paused of this bot now.
    pub pauses: Vec<Pause>,
}

/// Why something was not done, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What happened.
    pub error: String,
    /// What to do.
    pub help: Option<String>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
enum OperatorError {
    #[error("no bot is called `{name}`")]
    UnknownBot { name: BotName, known: Vec<BotName> },
    #[error("there is no such turn, or no more")]
    NoTurn,
    #[error("no host runs")]
    NoHost,
    #[error("nothing runs of `{0}` now")]
    NothingLive(BotName),
    #[error(transparent)]
    Unplayable(#[from] Unplayable),
    #[error(transparent)]
    Closing(#[from] Closing),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The API's routes.
pub fn router(operator: Operator) -> Router {
    Router::new()
        .route("/sessions", get(sessions))
        .route("/sessions/{bot}", delete(forget))
        .route("/events/failed", get(failed))
        .route("/events/{id}/retry", post(retry))
        .route("/pauses", get(pauses))
        .route("/pauses/{bot}", put(pause).delete(resume))
        .merge(running::router())
        .merge(turns::router())
        .with_state(operator)
}

#[derive(Deserialize)]
struct Which {
    bot: Option<BotName>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct Where {
    room: Option<RoomId>,
}

#[derive(Deserialize)]
struct How {
    #[serde(default)]
    anyway: bool,
}

async fn sessions(
    State(operator): State<Operator>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Conversation>>, OperatorError> {
    let limit = which.limit.unwrap_or(LISTED);
    Ok(Json(operator.store.conversations(which.bot.as_ref(), Timestamp::now(), limit).await?))
}

async fn forget(
    State(operator): State<Operator>,
    Path(bot): Path<BotName>,
    Query(Where { room }): Query<Where>,
) -> Result<Json<Forgotten>, OperatorError> {
    let forgotten = operator.store.forget(&Scope { bot: bot.clone(), room }).await?;
    let (now, after_turn) = (forgotten.now, forgotten.after_turn);
    tracing::info!(%bot, ?room, now, after_turn, "the operator had conversations forgotten");
    Ok(Json(forgotten))
}

async fn failed(
    State(operator): State<Operator>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Failure>>, OperatorError> {
    let failed = operator.store.failed_events(which.bot.as_ref(), which.limit.unwrap_or(LISTED)).await?;
    Ok(Json(failed.into_iter().map(Failure::from).collect()))
}

async fn retry(
    State(operator): State<Operator>,
    Path(event): Path<EventId>,
    Query(How { anyway }): Query<How>,
) -> Result<Json<PutBack>, OperatorError> {
    let retried = operator.store.retry(event, anyway).await?;
    tracing::info!(%event, lane = %retried.lane, how = ?retried.retry, anyway, "the operator put an event back");
    if let Some(Running { lanes, .. }) = &operator.running {
        lanes.wake(retried.lane.clone());
    }
    Ok(Json(PutBack { event, bot: retried.lane.bot, room: retried.lane.room, retry: retried.retry }))
}

async fn pauses(State(operator): State<Operator>) -> Result<Json<Vec<Pause>>, OperatorError> {
    Ok(Json(operator.store.pauses().await?))
}

async fn pause(
    State(operator): State<Operator>,
    Path(bot): Path<BotName>,
    Query(Where { room }): Query<Where>,
) -> Result<Json<Changed>, OperatorError> {
    let known = (operator.bots)();
    if !known.contains(&bot) {
        return Err(OperatorError::UnknownBot { name: bot, known });
    }
    let scope = Scope { bot, room };
    let changed = operator.store.pause(&scope, Timestamp::now()).await?;
    if changed {
        tracing::info!(bot = %scope.bot, ?room, "the operator paused a bot");
    }
    operator.changed(scope, changed).await
}

async fn resume(
    State(operator): State<Operator>,
    Path(bot): Path<BotName>,
    Query(Where { room }): Query<Where>,
) -> Result<Json<Changed>, OperatorError> {
    let scope = Scope { bot, room };
    let changed = operator.store.resume(&scope).await?;
    if changed {
        tracing::info!(bot = %scope.bot, ?room, "the operator resumed a bot");
    }
    if let Some(Running { lanes, .. }) = &operator.running {
        // Also if nothing changed: someone else may have resumed it, and been cut off here.
        let waiting = operator.store.unfinished_lanes().await?.into_iter();
        waiting.filter(|lane| lane.bot == scope.bot).for_each(|lane| lanes.wake(lane));
    }
    operator.changed(scope, changed).await
}

// === impl Operator ===

impl Operator {
    async fn changed(&self, scope: Scope, changed: bool) -> Result<Json<Changed>, OperatorError> {
        let mut pauses = self.store.pauses().await?;
        pauses.retain(|pause| pause.scope.bot == scope.bot);
        Ok(Json(Changed { changed, pauses }))
    }
}

// === impl Failure ===

impl From<FailedEvent> for Failure {
    fn from(failed: FailedEvent) -> Self {
        Self {
            event: failed.event,
            bot: failed.lane.bot,
            room: failed.lane.room,
            message: failed.message,
            kind: failed.kind,
            received_at: failed.received_at,
            ended_at: failed.ended_at,
            end: failed.end,
            attempts: failed.attempts,
            posted: failed.posted,
            uncertain: failed.uncertain,
            failed: failed.failed,
            cause: failed.row.as_ref().and_then(|row| cause(&row.details)),
            turn: failed.row.as_ref().map(|row| row.turn.clone()),
            outcome: failed.row.map(|row| row.outcome),
        }
    }
}

/// The last thing that went wrong, as a turn notes it in its journal row.
fn cause(details: &serde_json::Value) -> Option<String> {
    let causes = [&details["post-cause"], &details["cause"], &details["agent"]["cause"]];
    causes.into_iter().find_map(|cause| cause.as_str()).map(str::to_owned)
}

// === impl IntoResponse for OperatorError ===

impl IntoResponse for OperatorError {
    fn into_response(self) -> Response {
        let (status, help) = match &self {
            Self::UnknownBot { known, .. } => {
                let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                (StatusCode::NOT_FOUND, Some(format!("the bots are: {known}")))
            }
            Self::NoTurn => (
                StatusCode::NOT_FOUND,
                Some("`journal-retention` in [host] says how long they are kept".to_owned()),
            ),
            Self::Closing(Closing) | Self::NothingLive(_) | Self::Unplayable(Unplayable::NoCause(_)) => {
                (StatusCode::CONFLICT, None)
            }
            Self::NoHost => (
                StatusCode::CONFLICT,
                Some("start it with `hearth run`; it reads everything anew".to_owned()),
            ),
            Self::Store(StoreError::OutOfStep { .. }) => (
                StatusCode::CONFLICT,
                Some(
                    "`hearth events failed` lists what can be put back; `--anyway` also posts what may be in the room already"
                        .to_owned(),
                ),
            ),
            Self::Store(_) | Self::Unplayable(Unplayable::Store(_)) => (StatusCode::SERVICE_UNAVAILABLE, None),
        };
        (status, Json(Refusal { error: self.to_string(), help })).into_response()
    }
}

#[cfg(test)]
mod tests;
