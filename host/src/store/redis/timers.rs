//! Timers, from being set to becoming an event. One is stored as `<version> <due> <payload>`, under `<room>:<name>`.

use super::{
    super::{TIMERS_PER_BOT, TIMERS_PER_ROOM},
    Answer, CronKey, Due, Fired, Link, NewEvent, OK, StoreError, Timer, answer, malformed, offer, rules,
    scripts,
};
use crate::id::{BotName, LaneKey, RoomId, Timestamp};

/// See [`Store::set_timer`](super::Store::set_timer).
pub(super) async fn set(
    link: &Link,
    lane: &LaneKey,
    name: &str,
    due_at: Timestamp,
    payload: &str,
) -> Result<(), StoreError> {
    let mut call = link.call(&scripts::SET_TIMER);
    call.arg(lane.bot.as_str()).arg(lane.room.0).arg(name).arg(due_at.0).arg(payload);
    match &*link.ask(call.arg(TIMERS_PER_ROOM).arg(TIMERS_PER_BOT)).await?.word {
        OK => Ok(()),
        "room" => Err(rules::too_many_timers_in_room()),
        "bot" => Err(rules::too_many_timers()),
        _ => Err(malformed()),
    }
}

/// See [`Store::cancel_timer`](super::Store::cancel_timer).
pub(super) async fn cancel(link: &Link, lane: &LaneKey, name: &str) -> Result<bool, StoreError> {
    let mut call = link.call(&scripts::CANCEL_TIMER);
    call.arg(lane.bot.as_str()).arg(lane.room.0).arg(name);
    Ok(link.ask(&call).await?.parsed::<u64>()? > 0)
}

/// See [`Store::timers`](super::Store::timers).
pub(super) async fn of_lane(link: &Link, lane: &LaneKey) -> Result<Vec<Timer>, StoreError> {
    let mut call = link.call(&scripts::TIMERS);
    let mut timers = read(&lane.bot, link.ask(call.arg(lane.bot.as_str()).arg(lane.room.0)).await?)?;
    timers.sort_by_key(|timer| (timer.due_at, timer.version));
    Ok(timers)
}

/// See [`Store::timer_counts`](super::Store::timer_counts).
pub(super) async fn counts(link: &Link) -> Result<Vec<(BotName, u64)>, StoreError> {
    let mut answer = link.ask(&link.call(&scripts::TIMER_COUNTS)).await?;
    let mut counts = Vec::new();
    while !answer.is_over() {
        counts.push((BotName(answer.text()?.into()), answer.parsed()?));
    }
    Ok(counts)
}

/// See [`Store::due_timers`](super::Store::due_timers).
pub(super) async fn due(
    link: &Link,
    bots: &[BotName],
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Timer>, StoreError> {
    let mut due = Vec::new();
    for bot in bots {
        let left = limit.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
        let mut call = link.call(&scripts::DUE_TIMERS);
        due.extend(read(bot, link.ask(call.arg(bot.as_str()).arg(now.0).arg(left)).await?)?);
    }
    Ok(due)
}

/// See [`Store::next_timer`](super::Store::next_timer).
pub(super) async fn next(link: &Link, bots: &[BotName]) -> Result<Option<Timestamp>, StoreError> {
    let mut earliest: Option<Timestamp> = None;
    for bot in bots {
        let index = link.key(&format!("timer-next:{bot}"));
        let first: Vec<String> =
            link.query(redis::cmd("ZRANGE").arg(index).arg(0).arg(0).arg("WITHSCORES")).await?;
        if let Some(next_at) = first.get(1) {
            let next_at = Timestamp(answer::parse(next_at)?);
            earliest = Some(earliest.map_or(next_at, |earliest| earliest.min(next_at)));
        }
    }
    Ok(earliest)
}

/// See [`Store::postpone_timer`](super::Store::postpone_timer).
pub(super) async fn postpone(link: &Link, timer: &Timer, until: Timestamp) -> Result<(), StoreError> {
    let mut call = link.call(&scripts::POSTPONE_TIMER);
    call.arg(timer.lane.bot.as_str()).arg(format!("{}:{}", timer.lane.room, timer.name));
    link.ask(call.arg(timer.version).arg(until.0)).await.map(drop)
}

/// See [`Store::cron_settled`](super::Store::cron_settled).
pub(super) async fn cron_settled(link: &Link, cron: &CronKey) -> Result<Option<Timestamp>, StoreError> {
    let settled: Option<i64> =
        link.query(redis::cmd("HGET").arg(link.key("crons")).arg(cron_word(cron))).await?;
    Ok(settled.map(Timestamp))
}

/// See [`Store::settle_cron`](super::Store::settle_cron).
pub(super) async fn settle_cron(link: &Link, cron: &CronKey, until: Timestamp) -> Result<(), StoreError> {
    let mut call = link.call(&scripts::SETTLE_CRON);
    link.ask(call.arg(cron_word(cron)).arg(until.0)).await.map(drop)
}

/// See [`Store::fire`](super::Store::fire).
pub(super) async fn fire(
    link: &Link,
    due: &Due,
    event: &NewEvent,
    queue_limit: u32,
) -> Result<Fired, StoreError> {
    let mut call = link.call(&scripts::FIRE);
    offer(&mut call, event);
    call.arg(queue_limit);
    match due {
        Due::Timer(timer) => call
            .arg("timer")
            .arg(timer.lane.bot.as_str())
            .arg(timer.lane.room.0)
            .arg(&timer.name)
            .arg(timer.version),
        Due::Cron(cron, at) => call.arg("cron").arg(cron_word(cron)).arg(at.0),
    };
    match &*link.ask(&call).await?.word {
        OK => Ok(Fired::Fresh),
        "gone" => Ok(Fired::Gone),
        "full" => Ok(Fired::Full),
        _ => Err(malformed()),
    }
}

pub(super) fn cron_word(cron: &CronKey) -> String {
    format!("{}:{}", cron.bot, cron.name)
}

fn read(bot: &BotName, mut answer: Answer) -> Result<Vec<Timer>, StoreError> {
    let mut timers = Vec::new();
    while !answer.is_over() {
        let (field, value) = (answer.text()?, answer.text()?);
        let (room, name) = field.split_once(':').ok_or_else(malformed)?;
        let mut words = value.splitn(3, ' ');
        let mut word = || words.next().ok_or_else(malformed);
        timers.push(Timer {
            lane: LaneKey { bot: bot.clone(), room: RoomId(answer::parse(room)?) },
            name: name.to_owned(),
            version: answer::parse(word()?)?,
            due_at: Timestamp(answer::parse(word()?)?),
            payload: word()?.to_owned(),
        });
    }
    Ok(timers)
}
