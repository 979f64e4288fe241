//! The host's clock: whatever is due becomes an event of its lane, once, and not before its bot's plugin can take it.
//!
//! - What is due is in the store: a restart loses nothing, and of several hosts that share a store one is the first.
//! - The wall clock is compared, never waited for: the longest sleep is [`LONGEST_SLEEP`], so a clock that jumps is
//!   noticed. A plugin that sets an earlier time, and a change of the bots, wake it.
//! - Of an operator's times that were missed only the latest comes, and only within its `catch-up`. One that was never
//!   seen before begins now.
//! - Two rounds are at least [`SHORTEST_SLEEP`] apart: a plugin that sets a time for now, every time it comes, can't keep
//!   the host busy.
//!
//! What goes wrong: a full lane keeps its times, which are tried again after [`FULL_PAUSE`]. A store that fails is tried
//! again after growing pauses. Times of a bot that is gone, or whose plugin can't take them, stay, which is said once. So
//! do those in rooms that the bot's `rooms` does not name any more; they are looked at again after [`ROOM_PAUSE`].

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

use crate::{
    config::{Bot, Cron, Schedule},
    id::{BotName, EventId, LaneKey, RoomId, Timestamp},
    lane::Lanes,
    plugin::{Roster, Seat},
    store::{CronKey, Due, Fired, NewEvent, Source, Store, StoreError, Timer},
    turn::{Come, Occasion, Origin},
};

/// How long it sleeps at most, however far the next time is.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long it sleeps at least.
const SHORTEST_SLEEP: Duration = Duration::from_millis(50);
/// How many timers are read at once.
const BATCH: u32 = 64;
/// How often it reads in one round. What is due beyond that comes in the next one.
const BATCHES: u32 = 16;
/// When a full lane is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(5);
/// When a timer in a room that the bot does not serve is looked at again.
const ROOM_PAUSE: Duration = Duration::from_hours(1);
/// The first and the longest pause before a store that failed is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Where times that have come go.
#[async_trait]
pub trait Fires: Send + Sync {
    /// Makes a time that has come an event.
    ///
    /// # Errors
    /// If it could not be done; then it is as due as it was.
    async fn fire(&self, due: Due, event: NewEvent) -> Result<Fired, StoreError>;
}

#[async_trait]
impl Fires for Lanes {
    async fn fire(&self, due: Due, event: NewEvent) -> Result<Fired, StoreError> {
        self.fire(due, event).await
    }
}

/// Sees to it that what is due comes.
pub struct Alarm<C> {
    /// Where times are kept.
    pub store: Arc<dyn Store>,
    /// Whose times come.
    pub roster: Arc<Roster>,
    /// Where they go.
    pub lanes: Arc<dyn Fires>,
    /// Told when a timer is set.
    pub timer_set: Arc<Notify>,
    /// The wall clock.
    pub clock: C,
    /// Which bots can take times now: [`takes_timers`].
    pub takes: fn(&Seat) -> bool,
}

/// What is to be done about an operator's time.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Let this one come.
    Fire(Timestamp),
    /// None can come any more of those up to now.
    Settle,
    /// Nothing has come.
    Wait,
}

// === impl Alarm ===

impl<C: Fn() -> Timestamp> Alarm<C> {
    /// Runs until it is dropped. Plugins ought to be loaded before: what is due for one that is not waits for it.
    pub async fn run(self) {
        let mut changes = self.roster.changes();
        let mut told = HashSet::new();
        let mut pause = PAUSES.0;
        loop {
            changes.mark_unchanged();
            let rest = match self.round(&mut told).await {
                Ok(next) => {
                    pause = PAUSES.0;
                    let until = next.map_or(LONGEST_SLEEP, |next| next.since((self.clock)()));
                    until.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
                }
                Err(error) => {
                    tracing::error!(%error, "timers wait for the store, for {pause:?}");
                    let rest = pause;
                    pause = (pause * 2).min(PAUSES.1);
                    sleep(rest).await;
                    continue;
                }
            };
            sleep(SHORTEST_SLEEP).await;
            tokio::select! {
                () = sleep(rest.saturating_sub(SHORTEST_SLEEP)) => {}
                () = self.timer_set.notified() => {}
                () = changed(&mut changes) => {}
            }
        }
    }

    /// Lets everything come that is due, and answers when to look again.
    async fn round(&self, told: &mut HashSet<BotName>) -> Result<Option<Timestamp>, StoreError> {
        let takers: Vec<Arc<Bot>> =
            self.roster.seats().into_iter().filter(self.takes).map(|seat| seat.bot).collect();
        self.tell_of_stranded(&takers, told).await?;
        let now = (self.clock)();
        let bots: Vec<_> = takers.iter().map(|taker| taker.name.clone()).collect();
        for _ in 0..BATCHES {
            let due = self.store.due_timers(&bots, now, BATCH).await?;
            let read = due.len();
            for timer in due {
                self.timer(&takers, timer, now).await?;
            }
            if read < BATCH as usize {
                break;
            }
        }
        let mut next = self.store.next_timer(&bots).await?;
        for bot in &takers {
            for cron in &bot.cron {
                next = next.into_iter().chain(self.cron(&bot.name, cron, now).await?).min();
            }
        }
        Ok(next)
    }

    async fn timer(&self, takers: &[Arc<Bot>], timer: Timer, now: Timestamp) -> Result<(), StoreError> {
        let lane = timer.lane.clone();
        let served = takers.iter().any(|bot| bot.name == lane.bot && serves(bot, lane.room));
        if !served {
            tracing::info!(%lane, timer = timer.name, "a timer in a room that the bot's `rooms` does not name waits");
            return self.store.postpone_timer(&timer, now.after(ROOM_PAUSE)).await;
        }
        let come = Come {
            room: lane.room,
            name: timer.name.clone(),
            payload: timer.payload.clone(),
            origin: Origin::Plugin,
            due_at: timer.due_at,
        };
        let event = event(lane, come, timer.version, now);
        match self.lanes.fire(Due::Timer(timer.clone()), event).await? {
            Fired::Fresh => tracing::debug!(lane = %timer.lane, timer = timer.name, "a timer came"),
            Fired::Gone => {}
            Fired::Full => {
                tracing::warn!(lane = %timer.lane, timer = timer.name, "a timer waits: its lane is full");
                self.store.postpone_timer(&timer, now.after(FULL_PAUSE)).await?;
            }
        }
        Ok(())
    }

    /// Lets one of the operator's times come if it has, and answers when to look at it again.
    async fn cron(
        &self,
        bot: &BotName,
        cron: &Cron,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let key = CronKey { bot: bot.clone(), name: cron.name.clone() };
        let lane = LaneKey { bot: bot.clone(), room: cron.room };
        let Some(settled) = self.store.cron_settled(&key).await? else {
            self.store.settle_cron(&key, now).await?;
            return Ok(cron.schedule.next_after(now));
        };
        match step(&cron.schedule, settled, now, cron.catch_up) {
            Step::Wait => return Ok(cron.schedule.next_after(settled.max(now))),
            Step::Settle => {
                tracing::warn!(%lane, timer = cron.name, "a time was missed by more than `catch-up`; it does not come");
                self.store.settle_cron(&key, now).await?;
            }
            Step::Fire(due_at) => {
                let come = Come {
                    room: cron.room,
                    name: cron.name.clone(),
                    payload: cron.payload.clone(),
                    origin: Origin::Operator,
                    due_at,
                };
                let event = event(lane.clone(), come, 0, now);
                match self.lanes.fire(Due::Cron(key, due_at), event).await? {
                    Fired::Fresh => tracing::debug!(%lane, timer = cron.name, "a timer came"),
                    Fired::Gone => {}
                    Fired::Full => {
                        tracing::warn!(%lane, timer = cron.name, "a timer waits: its lane is full");
                        return Ok(Some(now.after(FULL_PAUSE)));
                    }
                }
            }
        }
        Ok(cron.schedule.next_after(now))
    }

    /// Says once of each bot that it has timers which can't come.
    async fn tell_of_stranded(
        &self,
        takers: &[Arc<Bot>],
        told: &mut HashSet<BotName>,
    ) -> Result<(), StoreError> {
        told.retain(|bot| takers.iter().all(|taker| taker.name != *bot));
        for (bot, timers) in self.store.timer_counts().await? {
            if takers.iter().any(|taker| taker.name == bot) || !told.insert(bot.clone()) {
                continue;
            }
            let why = match self.roster.bot(bot.as_str()) {
                None => "the bot is gone from bots.toml",
                Some(Seat { generation: None, .. }) => "the bot's plugin is not loaded",
                Some(_) => "the bot's plugin does not export `timer-handler`",
            };
            tracing::warn!(%bot, timers, why, "timers can't come; they are kept");
        }
        Ok(())
    }
}

/// Whether the bot can be called for a timer: its plugin is loaded, and is made for them.
pub fn takes_timers(seat: &Seat) -> bool {
    seat.generation.as_ref().is_some_and(|generation| generation.plugin.has_timers())
}

fn serves(bot: &Bot, room: RoomId) -> bool {
    bot.rooms.is_empty() || bot.rooms.contains(&room)
}

/// Waits for a change; for ever if there can be none any more.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What is to be done about times of which all up to `settled` are done with.
fn step(schedule: &Schedule, settled: Timestamp, now: Timestamp, catch_up: Duration) -> Step {
    let first = |after| schedule.next_after(after).filter(|time| *time <= now);
    // Those just at the edge may still come, and the search is for what comes after.
    let edge = Timestamp(now.before(catch_up).0 - 1);
    let mut latest = first(settled.max(edge));
    while let Some(later) = latest.and_then(first) {
        latest = Some(later);
    }
    match latest {
        Some(time) => Step::Fire(time),
        None if first(settled).is_some() => Step::Settle,
        None => Step::Wait,
    }
}

/// The event that a time becomes. `version` tells firings of one name apart that were due at the same time.
fn event(lane: LaneKey, come: Come, version: u64, now: Timestamp) -> NewEvent {
    let mut hash = Sha256::new();
    hash.update(b"timer\0");
    hash.update(lane.room.0.to_le_bytes());
    hash.update(version.to_le_bytes());
    hash.update(come.due_at.0.to_le_bytes());
    hash.update(&come.name);
    NewEvent {
        id: EventId::new(),
        lane,
        message: None,
        kind: "timer".to_owned(),
        content_hash: hash.finalize().into(),
        // These are strings and numbers; serialising them can't fail.
        payload: serde_json::to_string(&Occasion::Timer(come)).unwrap_or_default(),
        received_at: now,
        source: Source::Other,
        hop: None,
    }
}

#[cfg(test)]
mod tests;
