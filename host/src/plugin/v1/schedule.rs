//! `schedule`: times at which the plugin wants to be called, kept in the store.

use std::time::Duration;

use serde_json::json;

use super::{
    State,
    bindings::bot::hearth::bot::schedule::{Host, Pending, ScheduleError, ScheduleErrorKind},
    types::Capability,
};
use crate::{
    config::{TIMER_NAME_BYTES, TIMER_PAYLOAD_BYTES},
    id::{LaneKey, Timestamp},
    plugin::reach::Reach,
    store::{StoreError, Timer},
};

/// How far away a timer may be.
const HORIZON: Duration = Duration::from_hours(366 * 24);

type Answer<T> = Result<T, ScheduleError>;

impl Host for State {
    async fn set(&mut self, name: String, due_at: u64, payload: String) -> wasmtime::Result<Answer<()>> {
        self.enter()?;
        let arguments = json!({ "name": name, "due-at": due_at, "payload": payload });
        let makes_sense = || self.check_timer(&name, due_at, &payload).is_ok();
        let set = self.set_timer(&name, due_at, &payload);
        Ok(self.ask(("schedule.set", Capability::Schedule), arguments, makes_sense, set).await)
    }

    async fn cancel(&mut self, name: String) -> wasmtime::Result<Answer<bool>> {
        self.enter()?;
        Ok(self
            .ask(
                ("schedule.cancel", Capability::Schedule),
                json!({ "name": name }),
                || true,
                self.cancel_timer(&name),
            )
            .await)
    }

    async fn list(&mut self) -> wasmtime::Result<Answer<Vec<Pending>>> {
        self.enter()?;
        Ok(self.ask(("schedule.list", Capability::Schedule), json!({}), || true, self.list_timers()).await)
    }
}

impl State {
    /// The turn's lane and what the turn reaches, if `schedule` is granted.
    fn lane(&self) -> Answer<(&Reach, LaneKey)> {
        let out_of_reach = || error(ScheduleErrorKind::Denied, self.denied(Capability::Schedule));
        let reach = self.granted(Capability::Schedule).ok_or_else(out_of_reach)?;
        Ok((reach, LaneKey { bot: self.calling.bot.clone(), room: reach.room }))
    }

    async fn set_timer(&self, name: &str, due_at: u64, payload: &str) -> Answer<()> {
        let (reach, lane) = self.lane()?;
        let due_at = self.check_timer(name, due_at, payload)?;
        reach.services.store.set_timer(&lane, name, due_at, payload).await.map_err(failed)?;
        reach.services.timer_set.notify_one();
        Ok(())
    }

    /// The time, if such a timer may be set.
    fn check_timer(&self, name: &str, due_at: u64, payload: &str) -> Answer<Timestamp> {
        let (reach, _) = self.lane()?;
        if !self.calling.takes_timers {
            return Err(error(
                ScheduleErrorKind::Invalid,
                "the plugin does not export `timer-handler`, so no timer could reach it".to_owned(),
            ));
        }
        let checked = check(name, due_at, payload, reach.services.now());
        checked.map_err(|problem| error(ScheduleErrorKind::Invalid, problem))
    }

    async fn cancel_timer(&self, name: &str) -> Answer<bool> {
        let (reach, lane) = self.lane()?;
        reach.services.store.cancel_timer(&lane, name).await.map_err(failed)
    }

    async fn list_timers(&self) -> Answer<Vec<Pending>> {
        let (reach, lane) = self.lane()?;
        let timers = reach.services.store.timers(&lane).await.map_err(failed)?;
        let pending = |timer: Timer| Pending {
            name: timer.name,
            due_at: u64::try_from(timer.due_at.0).unwrap_or_default(),
            payload: timer.payload,
            attributes: Vec::new(),
        };
        Ok(timers.into_iter().map(pending).collect())
    }
}

/// The time, if all of it is within the interface's bounds.
fn check(name: &str, due_at: u64, payload: &str, now: Timestamp) -> Result<Timestamp, String> {
    if !(1..=TIMER_NAME_BYTES).contains(&name.len()) {
        return Err(format!("a timer's name has 1 to {TIMER_NAME_BYTES} bytes, not {}", name.len()));
    }
    if payload.len() > TIMER_PAYLOAD_BYTES {
        return Err(format!(
            "a timer's payload has at most {TIMER_PAYLOAD_BYTES} bytes, not {}",
            payload.len()
        ));
    }
    i64::try_from(due_at)
        .ok()
        .map(Timestamp)
        .filter(|due_at| *due_at <= now.after(HORIZON))
        .ok_or_else(|| "a timer may be 366 days away; set one that sets the next".to_owned())
}

fn error(kind: ScheduleErrorKind, message: String) -> ScheduleError {
    ScheduleError { kind, message, attributes: Vec::new() }
}

fn failed(cause: StoreError) -> ScheduleError {
    if let StoreError::Quota(message) = cause {
        return error(ScheduleErrorKind::Quota, message);
    }
    tracing::warn!(error = %cause, "a plugin's timers can't be reached");
    error(ScheduleErrorKind::Unavailable, "the host's store does not work now; try again later".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_time_and_payload_have_bounds() {
        let now = Timestamp(1_800_000_000_000);
        let year = now.after(HORIZON);
        let due_at = u64::try_from(year.0).unwrap();
        let (name, payload) = ("n".repeat(TIMER_NAME_BYTES), "p".repeat(TIMER_PAYLOAD_BYTES));
        assert_eq!(check(&name, due_at, &payload, now), Ok(year));
        assert_eq!(check("n", 0, "", now), Ok(Timestamp(0)), "what has passed comes at once");
        for (name, due_at, payload) in [
            ("", 0, ""),
            (&*format!("{name}n"), 0, ""),
            ("n", 0, &*format!("{payload}p")),
            ("n", due_at + 1, ""),
            ("n", u64::MAX, ""),
        ] {
            assert!(check(name, due_at, payload, now).is_err(), "{name} {due_at}");
        }
    }
}
