//! What a host sees to beside the turns, for as long as it runs: rows that are old enough go, and what waits for a bot that is
//! back in bots.toml goes on.
//!
//! A store that fails is asked again after a pause; nothing here ends a host.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    id::Timestamp,
    lane::Lanes,
    plugin::Roster,
    store::{Horizon, Store, Swept},
};

/// How often old rows are removed, and how soon it is tried again if that failed: on a full disk it helps.
const SWEEPS: Duration = Duration::from_hours(1);
const SWEEP_PAUSE: Duration = Duration::from_mins(1);
/// How soon a store is asked again for what waits for bots that are back.
const WAKE_PAUSE: Duration = Duration::from_secs(5);

/// Removes what is older than it is kept, until `ended`: `events` that have ended, the `journal`, and messages for bots that
/// are gone.
pub(crate) async fn sweep(
    store: Arc<dyn Store>,
    roster: Arc<Roster>,
    events: Duration,
    journal: Duration,
    ended: CancellationToken,
) {
    loop {
        let now = Timestamp::now();
        let mut pause = SWEEPS;
        let bots: Vec<_> = roster.seats().into_iter().map(|seat| seat.bot.name.clone()).collect();
        match store.give_up(&bots, now.before(events), now).await {
            Ok(0) => {}
            Ok(given_up) => tracing::warn!(
                given_up,
                "messages for bots that are gone from bots.toml were kept for `inbox-retention`, and are given up"
            ),
            Err(error) => tracing::warn!(%error, "messages for bots that are gone could not be given up"),
        }
        let keep = Horizon { events: now.before(events), journal: now.before(journal) };
        match store.sweep(keep, now).await {
            Ok(Swept { rows: 0, bytes: 0 }) => {}
            Ok(Swept { rows, bytes }) => {
                tracing::debug!(rows, bytes, "old rows were removed");
                if !ended.is_cancelled() {
                    continue;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "old rows could not be removed");
                pause = SWEEP_PAUSE;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ended.cancelled() => return,
        }
    }
}

/// Wakes what waits for bots that are back in bots.toml.
pub(crate) async fn wake_returned(roster: &Roster, store: &dyn Store, lanes: &Lanes) {
    let mut changes = roster.changes();
    // The sender lives in the roster.
    while changes.changed().await.is_ok() {
        match store.unfinished_lanes().await {
            Ok(waiting) => waiting.into_iter().for_each(|lane| lanes.wake_known(lane)),
            Err(error) => {
                tracing::warn!(%error, "what waits for bots that are back could not be looked for yet");
                tokio::time::sleep(WAKE_PAUSE).await;
                changes.mark_changed();
            }
        }
    }
}
