//! What a running host does now, and its reload.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{delete, get, post},
};
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError};
use crate::{
    cluster::{Cluster, RunningLane},
    id::{BotName, HostId, LaneKey, RoomId},
    lane::Lanes,
    plugin::Roster,
    reload::{BotStatus, ConfigStatus, Reloaded, Reloader},
    store::{Pause, StoreError},
};

/// A host that runs. Cheap to clone.
#[derive(Clone)]
pub struct Running {
    /// Which it is.
    pub host: HostId,
    /// Its lanes, to be woken and counted.
    pub lanes: Lanes,
    /// What keeps its bots as the files say.
    pub reloader: Reloader,
    /// Its bots, with what runs of each.
    pub roster: Arc<Roster>,
}

/// What runs, and what waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Now {
    /// `bots.toml`, as it was last read; none if no host runs here.
    pub config: Option<ConfigStatus>,
    /// What runs here, by name.
    pub bots: Vec<BotNow>,
    /// Bots that are gone from `bots.toml`, with how many of their rooms have messages that wait for them.
    pub gone: BTreeMap<BotName, usize>,
    /// The lanes with a turn here, the one that began first first.
    pub running: Vec<RunningLane>,
    /// The hosts that share the store.
    pub cluster: Cluster,
}

/// One bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct BotNow {
    /// What runs of it.
    #[serde(flatten)]
    pub status: BotStatus,
    /// In how many rooms it has work.
    pub busy: usize,
    /// What is paused of it.
    pub pauses: Vec<Pause>,
}

/// What is not kept out any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lifted {
    /// The hashes of the contents.
    pub lifted: Vec<String>,
}

/// What became of a bot's work in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stopped {
    /// Whether there was any to stop.
    pub stopped: bool,
}

pub(super) fn router() -> Router<Operator> {
    Router::new()
        .route("/status", get(status))
        .route("/hosts", get(hosts))
        .route("/reload", post(reload))
        .route("/quarantine/{bot}", delete(lift))
        .route("/running/{bot}/{room}", delete(stop))
}

async fn status(State(operator): State<Operator>) -> Result<Json<Now>, OperatorError> {
    let cluster = operator.cluster().await?;
    let Running { lanes, reloader, .. } = match operator.running() {
        Ok(running) => running,
        Err(_) if !cluster.hosts.is_empty() => {
            let (bots, gone, running) = (Vec::new(), BTreeMap::new(), Vec::new());
            return Ok(Json(Now { config: None, bots, gone, running, cluster }));
        }
        Err(error) => return Err(error),
    };
    let (status, busy) = (reloader.status(), lanes.busy_by_bot());
    let pauses = operator.store.pauses().await?;
    let of_bot = |status: BotStatus| BotNow {
        busy: busy.get(&status.bot).copied().unwrap_or_default(),
        pauses: pauses.iter().filter(|pause| pause.scope.bot == status.bot).cloned().collect(),
        status,
    };
    let bots: Vec<_> = status.bots.into_iter().map(of_bot).collect();
    let mut gone = BTreeMap::new();
    for lane in operator.store.unfinished_lanes().await? {
        if bots.iter().all(|bot| bot.status.bot != lane.bot) {
            *gone.entry(lane.bot).or_default() += 1;
        }
    }
    Ok(Json(Now { config: Some(status.config), bots, gone, running: RunningLane::all(lanes), cluster }))
}

async fn hosts(State(operator): State<Operator>) -> Result<Json<Cluster>, OperatorError> {
    Ok(Json(operator.cluster().await?))
}

async fn reload(State(operator): State<Operator>) -> Result<Json<Reloaded>, OperatorError> {
    tracing::info!("the operator asked for a reload");
    Ok(Json(operator.running()?.reloader.reload().await?))
}

async fn lift(
    State(operator): State<Operator>,
    Path(bot): Path<BotName>,
) -> Result<Json<Lifted>, OperatorError> {
    let lifted = operator.running()?.reloader.lift(&bot).await?;
    let lifted = lifted.ok_or_else(|| {
        let known = (operator.bots)();
        OperatorError::UnknownBot { name: bot.clone(), known }
    })?;
    tracing::info!(%bot, ?lifted, "the operator lifted a quarantine");
    Ok(Json(Lifted { lifted }))
}

async fn stop(
    State(operator): State<Operator>,
    Path((bot, room)): Path<(BotName, RoomId)>,
) -> Result<Json<Stopped>, OperatorError> {
    let lane = LaneKey { bot, room };
    let stopped = operator.running()?.lanes.interrupt(&lane).await?;
    tracing::info!(%lane, stopped, "the operator stopped what a bot was doing");
    Ok(Json(Stopped { stopped }))
}

impl Operator {
    async fn cluster(&self) -> Result<Cluster, StoreError> {
        let here = self.running.as_ref().map(|running| running.host);
        Cluster::of(&*self.store, here).await
    }

    pub(super) fn running(&self) -> Result<&Running, OperatorError> {
        self.running.as_ref().ok_or(OperatorError::NoHost)
    }
}
