//! The store in a Redis 7 or a Valkey, which several hosts can share.
//!
//! - Every step of the trait that writes is one Lua script ([`scripts`]), called by its hash: it takes place as a whole, and
//!   nothing else in between. What a lane's holder asks for is checked against the lease's token within the same script.
//! - Times come from the caller here too, but for those of leases, which are compared by Redis' own clock: hosts whose
//!   clocks differ would take each other's lanes. It is the one clock that all of them share, and `TIME` within the scripts
//!   costs nothing; a difference that is measured instead is wrong as soon as somebody sets a clock.
//! - Nothing expires by itself: [`sweep`](Store::sweep) removes what is old, so that what belongs together goes together.
//! - One connection serves all tasks of a host, and another hears what hosts say to each other ([`signals`]); a lost one is
//!   made anew with the next call ([`link`]). No call takes longer than five seconds; one for which Campfire waits, or a
//!   lease, takes two.
//!
//! What goes wrong: a call whose answer does not arrive fails as [`StoreError::Unavailable`], and may have taken place all
//! the same; to repeat it does no harm. Whatever Redis acknowledged before its AOF was flushed is gone when its machine
//! loses power, and whatever a replica had not got yet when that became the primary: [`concerns`](RedisStore::concerns) says
//! how this one is set up. Events that were acknowledged to Campfire may be among it, which the file never loses.
//!
//! # Keys
//!
//! All begin with the prefix, `hearth` by default, in braces, which is the hash tag of Redis Cluster: `{hearth}:lanes`. So
//! all of a store lies in one slot, on one primary: the order of events and of the journal goes over all lanes, a chain over
//! several bots, and each script may touch any of it. A cluster moves the store and fails over, and does not spread it. To use
//! more than one primary, give groups of bots deployments, and prefixes, of their own. Below, `lane` is `bot:room`.
//!
//! | key | type | what | until |
//! |---|---|---|---|
//! | `sequence`, `token`, `timer-version`, `kv-version` | number | given out last; never the same twice | ever |
//! | `event:<id>` | hash | an event with its parts (`p0` what, `s0` how far) | retention of events |
//! | `queue:<lane>` | sorted set | unfinished events, by sequence | they end |
//! | `lanes`, `lanes-held` | sorted sets | lanes with unfinished events, by the oldest, and by the end of their lease | they are done |
//! | `delivery:<bot>:<message>:<kind>` | set | events that a delivery may repeat (about no message: and its hash) | with the event |
//! | `ended` | sorted set | events that have ended, by time | with the event |
//! | `failed`, `failed:<bot>` | sorted set | those that failed or may have, by sequence | with the event |
//! | `posted:<lane>` | hash | the last message it posted | with the event |
//! | `lane:<lane>`, `leases` | hash, sorted set by expiry | who holds it, under which token, or who did last; whether the room knows that it is full | expired with nothing to do |
//! | `session:<lane>`, `sessions` | hash, sorted set by expiry | its conversation | expired |
//! | `transcript:<lane>`, `transcript-pieces:<lane>` | hash, list | how far its transcript goes, and the transcript, compressed | with the conversation |
//! | `transcript-aside:<lane>` | list | pieces of a transcript that is about to be kept | kept |
//! | `forgetting` | set | lanes whose conversation goes with the turn | the turn ends |
//! | `pauses` | hash | bots and lanes that are paused, since when | resumed |
//! | `rows`, `traces` | hash | journal rows and their traces, by number | retention of the journal |
//! | `journal`, `journal:<bot>`, `journal-ended`, `turns` | sorted sets, hash | rows by number, by time, by turn | with the row |
//! | `calls:<turn>`, `call-times` | hash, sorted set | tool calls | retention of the journal |
//! | `spent:<bot>` | hash | US dollars by day | 400 days |
//! | `timers:<bot>`, `timer-next:<bot>`, `timer-names:<lane>`, `timer-bots` | hash, sorted set, sets | timers of plugins | they fire |
//! | `crons` | hash | up to when the operator's timers are settled | ever |
//! | `room:<lane>`, `rooms` | hash, sorted set | rooms that are known | retention of events |
//! | `chain:<room>:<campfire>`, `chains` | hash, sorted set | chains of bots' messages | a day |
//! | `hosts`, `host-times` | hash, sorted set | hosts, what each says of itself, and until when that holds | they say nothing more |
//! | `copying` | text | a copy of another store into this one, which is not complete | it is |
//! | `kv:<bot>:<scope>`, `kv-keys:<bot>:<scope>`, `kv-usage:<bot>` | hash, sorted set, hash | the plugins' keys | deleted |
//!
//! `host:<host>` is a channel: what is said to that host ([`signals`]).

mod answer;
mod copying;
mod health;
mod insight;
mod kept;
mod kv;
mod link;
mod oversight;
mod portable;
mod presence;
mod scripts;
mod signals;
#[cfg(test)]
mod tests;
mod timers;
mod transcripts;
mod wire;

use async_trait::async_trait;
use redis::ScriptInvocation;

pub use self::copying::RedisCopy;
use self::{
    answer::{Answer, OK, lane_word, malformed, part_word},
    link::Link,
    wire::{change, json, of_event, offer, read_json, read_lanes, read_room, room_word},
};
use super::{
    Acceptance, Begun, CronKey, DUPLICATE_WINDOW, Due, End, Fired, Horizon, JOURNAL_ROWS, JournalRow,
    KnownRoom, LISTED, Lease, NewEvent, OutboxPart, PartState, Release, SPENDING_DAYS, SessionChange, Shared,
    Stopping, Store, StoreError, Swept, TOOL_CALL_ROWS, Timer, ToolCallRow, rules,
};
use crate::{
    config::RedisLocation,
    id::{BotName, EventId, HostId, LaneKey, MessageId, Timestamp, TurnId},
};

/// How many rows of each kind one sweep removes at most: everything else waits while a script runs.
const SWEPT: u32 = 250;

/// A store in a Redis or a Valkey.
pub struct RedisStore {
    link: Link,
    clock: Clock,
}

/// By which clock leases are compared.
#[derive(Debug, Clone, Copy)]
enum Clock {
    /// Redis' own.
    Redis,
    /// The callers'. Only a test can see to it that they have the same.
    #[cfg_attr(not(test), expect(dead_code, reason = "see there"))]
    Callers,
}

impl RedisStore {
    /// Connects.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it can't be reached, or does not let this user write; [`StoreError::Incomplete`].
    pub async fn open(location: &RedisLocation) -> Result<Self, StoreError> {
        let store = Self::new(location)?;
        store.refuse_incomplete().await?;
        store.ping().await?;
        Ok(store)
    }

    fn new(location: &RedisLocation) -> Result<Self, StoreError> {
        Ok(Self { link: Link::new(location, link::CALL)?, clock: Clock::Redis })
    }

    /// What of this Redis' setup may lose what a host relies on, each in a sentence that says what to do.
    ///
    /// # Errors
    /// If it can't be reached.
    pub async fn concerns(&self) -> Result<Vec<String>, StoreError> {
        health::concerns(&self.link).await
    }
}

// === impl Clock ===

impl Clock {
    /// This time as the scripts take it.
    fn at(self, time: Timestamp) -> String {
        match self {
            Self::Redis => String::new(),
            Self::Callers => time.0.to_string(),
        }
    }
}

// === impl Store for RedisStore ===

#[async_trait]
impl Store for RedisStore {
    async fn accept(&self, event: NewEvent, queue_limit: u32) -> Result<Acceptance, StoreError> {
        let mut call = self.link.call(&scripts::ACCEPT);
        offer(&mut call, &event);
        Ok(match &*self.link.ask_soon(call.arg(queue_limit)).await?.word {
            OK => Acceptance::Fresh,
            "duplicate" => Acceptance::Duplicate,
            "refused" => Acceptance::Refused,
            "first" => Acceptance::Looping { tell: true },
            "looping" => Acceptance::Looping { tell: false },
            _ => return Err(malformed()),
        })
    }

    async fn persist(&self) -> Result<(), StoreError> {
        // It answers a write when that lasts, as far as it is set up to see to that.
        Ok(())
    }

    async fn known_rooms(&self) -> Result<Vec<KnownRoom>, StoreError> {
        let mut answer = self.link.ask(self.link.call(&scripts::ROOMS).arg(LISTED)).await?;
        let mut rooms = Vec::new();
        while !answer.is_over() {
            let lane = answer.lane()?;
            rooms.push(read_room(lane, &mut answer)?);
        }
        Ok(rooms)
    }

    async fn know_room(&self, room: KnownRoom) -> Result<KnownRoom, StoreError> {
        let mut call = self.link.call(&scripts::KNOW_ROOM);
        call.arg(lane_word(&room.lane))
            .arg(room_word(room.name.as_deref()))
            .arg(room.read_to.0)
            .arg(room.heard_at.0);
        read_room(room.lane, &mut self.link.ask(&call).await?)
    }

    async fn unheard(&self, bot: &BotName, messages: Vec<MessageId>) -> Result<Vec<MessageId>, StoreError> {
        let mut unheard = Vec::new();
        for message in messages {
            let delivery = self.link.key(&format!("delivery:{bot}:{message}:message"));
            if self.link.query::<u8>(redis::cmd("EXISTS").arg(delivery)).await? == 0 {
                unheard.push(message);
            }
        }
        Ok(unheard)
    }

    async fn read_to(&self, lane: &LaneKey, message: MessageId) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::READ_TO);
        self.link.ask(call.arg(lane_word(lane)).arg(message.0)).await.map(drop)
    }

    async fn forget_room(&self, lane: &LaneKey) -> Result<(), StoreError> {
        self.link.ask(self.link.call(&scripts::FORGET_ROOM).arg(lane_word(lane))).await.map(drop)
    }

    async fn ask_to_stop(&self, event: NewEvent) -> Result<Stopping, StoreError> {
        let mut call = self.link.call(&scripts::ASK_TO_STOP);
        offer(&mut call, &event);
        let mut answer = self.link.ask_soon(&call).await?;
        Ok(match &*answer.word {
            OK => Stopping::Stopped(answer.parsed()?),
            "idle" => Stopping::Idle,
            "duplicate" => Stopping::Duplicate,
            _ => return Err(malformed()),
        })
    }

    async fn unfinished_lanes(&self) -> Result<Vec<LaneKey>, StoreError> {
        read_lanes(self.link.ask(self.link.call(&scripts::LANES).arg("").arg("")).await?)
    }

    async fn abandoned_lanes(&self, now: Timestamp) -> Result<Vec<LaneKey>, StoreError> {
        read_lanes(self.link.ask(self.link.call(&scripts::LANES).arg(1).arg(self.clock.at(now))).await?)
    }

    async fn give_up(&self, bots: &[BotName], before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut call = self.link.call(&scripts::GIVE_UP);
        call.arg(before.0).arg(now.0);
        for bot in bots {
            call.arg(bot.as_str());
        }
        self.link.ask(&call).await?.parsed()
    }

    async fn lease(
        &self,
        lane: &LaneKey,
        host: HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        let mut answer = self.ask_for_lease(lane, host, now, until, "").await?;
        if answer.word != OK {
            return Ok(None);
        }
        Ok(Some(Lease { lane: lane.clone(), token: answer.parsed()? }))
    }

    async fn renew(&self, leases: Vec<Lease>, until: Timestamp) -> Result<Vec<Lease>, StoreError> {
        let mut call = self.link.call(&scripts::RENEW);
        match self.clock {
            Clock::Redis => call.arg("").arg(until.0.saturating_sub(Timestamp::now().0)),
            Clock::Callers => call.arg(until.0).arg(0),
        };
        for lease in &leases {
            call.arg(lane_word(&lease.lane)).arg(lease.token);
        }
        let mut answer = self.link.ask_soon(&call).await?;
        let mut held = Vec::new();
        for lease in leases {
            if answer.parsed::<u8>()? == 1 {
                held.push(lease);
            }
        }
        Ok(held)
    }

    async fn release_if_idle(&self, lease: &Lease) -> Result<Release, StoreError> {
        let mut call = self.link.call(&scripts::RELEASE);
        let answer = self.link.ask(call.arg(lane_word(&lease.lane)).arg(lease.token)).await?;
        match &*answer.word {
            "idle" => Ok(Release::Idle),
            "paused" => Ok(Release::Paused),
            "kept" => Ok(Release::Kept),
            _ => Err(StoreError::LeaseLost(lease.lane.clone())),
        }
    }

    async fn begin(&self, lease: &Lease, now: Timestamp) -> Result<Option<Begun>, StoreError> {
        let mut call = self.link.call(&scripts::BEGIN);
        call.arg(lane_word(&lease.lane)).arg(lease.token).arg(now.0);
        let mut answer = self.link.ask(&call).await?;
        if answer.word != OK {
            return Err(StoreError::LeaseLost(lease.lane.clone()));
        }
        if answer.is_over() {
            return Ok(None);
        }
        let (event, attempt, earlier) = (answer.parsed()?, answer.parsed()?, answer.parsed()?);
        let mut begun = Begun {
            event,
            attempt,
            tries: u32::saturating_sub(attempt, earlier),
            retries: answer.parsed()?,
            payload: answer.text()?,
            received_at: answer.timestamp()?,
            verdict: answer.optional_text()?.map(|word| rules::end(&word)),
            note: answer.optional_text()?,
            stopped: answer.optional_text()?.is_some(),
            details: answer.optional_text()?,
            session: answer.session()?,
            posted: answer.optional_parsed()?.map(MessageId),
            parts: Vec::new(),
        };
        for index in 0.. {
            if answer.is_over() {
                break;
            }
            begun.parts.push(OutboxPart { index, content: answer.text()?, state: answer.part_state()? });
        }
        Ok(Some(begun))
    }

    async fn note(&self, lease: &Lease, event: EventId, note: &str) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::NOTE);
        self.ask_held(lease, event, of_event(&mut call, lease, event).arg(note)).await
    }

    async fn record_parts(
        &self,
        lease: &Lease,
        event: EventId,
        parts: Vec<String>,
        verdict: End,
        session: SessionChange,
        details: String,
    ) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::RECORD_PARTS);
        of_event(&mut call, lease, event).arg(rules::word(verdict)).arg(details);
        change(&mut call, session);
        for part in parts {
            call.arg(part);
        }
        self.ask_held(lease, event, &call).await
    }

    async fn mark_part(
        &self,
        lease: &Lease,
        event: EventId,
        index: u32,
        state: PartState,
    ) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::MARK_PART);
        of_event(&mut call, lease, event).arg(index).arg(part_word(state)).arg(match state {
            PartState::Posted(Some(message)) => message.to_string(),
            _ => String::new(),
        });
        self.ask_held(lease, event, &call).await
    }

    async fn break_off(&self, lease: &Lease, event: EventId) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::BREAK_OFF);
        self.ask_held(lease, event, of_event(&mut call, lease, event)).await
    }

    async fn finish(
        &self,
        lease: &Lease,
        event: EventId,
        end: End,
        session: SessionChange,
        row: JournalRow,
        trace: Option<String>,
    ) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::FINISH);
        of_event(&mut call, lease, event).arg(rules::word(end)).arg(row.ended_at.0);
        change(&mut call, session);
        call.arg(&*row.turn.0).arg(json(&row)?);
        call.arg(u8::from(trace.is_some())).arg(trace.unwrap_or_default());
        self.ask_held(lease, event, &call).await
    }

    async fn journal(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<JournalRow>, StoreError> {
        let limit = limit.min(JOURNAL_ROWS);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let index = self.link.key(&insight::journal_of(bot));
        let newest: Vec<String> =
            self.link.query(redis::cmd("ZREVRANGE").arg(index).arg(0).arg(limit - 1)).await?;
        self.rows(&newest).await
    }

    async fn spend(&self, bot: &BotName, day: i64, usd: f64) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::SPEND);
        call.arg(bot.as_str()).arg(day).arg(usd).arg(day.saturating_sub(SPENDING_DAYS));
        self.link.ask(&call).await.map(drop)
    }

    async fn spent(&self, bot: &BotName, day: i64) -> Result<f64, StoreError> {
        let key = self.link.key(&format!("spent:{bot}"));
        let usd: Option<f64> = self.link.query(redis::cmd("HGET").arg(key).arg(day)).await?;
        Ok(usd.unwrap_or_default())
    }

    async fn record_tool_call(&self, row: ToolCallRow) -> Result<(), StoreError> {
        let mut call = self.link.call(&scripts::RECORD_TOOL_CALL);
        call.arg(&*row.turn.0).arg(row.index).arg(json(&row)?).arg(row.started_at.0);
        self.link.ask(&call).await.map(drop)
    }

    async fn tool_calls(&self, turn: &TurnId) -> Result<Vec<ToolCallRow>, StoreError> {
        let key = self.link.key(&format!("calls:{turn}"));
        let rows: Vec<String> = self.link.query(redis::cmd("HVALS").arg(key)).await?;
        let mut rows = rows.iter().map(|row| read_json::<ToolCallRow>(row)).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|row| row.index);
        rows.truncate(TOOL_CALL_ROWS as usize);
        Ok(rows)
    }

    async fn timer_counts(&self) -> Result<Vec<(BotName, u64)>, StoreError> {
        timers::counts(&self.link).await
    }

    async fn due_timers(
        &self,
        bots: &[BotName],
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Timer>, StoreError> {
        timers::due(&self.link, bots, now, limit).await
    }

    async fn next_timer(&self, bots: &[BotName]) -> Result<Option<Timestamp>, StoreError> {
        timers::next(&self.link, bots).await
    }

    async fn postpone_timer(&self, timer: &Timer, until: Timestamp) -> Result<(), StoreError> {
        timers::postpone(&self.link, timer, until).await
    }

    async fn cron_settled(&self, cron: &CronKey) -> Result<Option<Timestamp>, StoreError> {
        timers::cron_settled(&self.link, cron).await
    }

    async fn settle_cron(&self, cron: &CronKey, until: Timestamp) -> Result<(), StoreError> {
        timers::settle_cron(&self.link, cron, until).await
    }

    async fn fire(&self, due: Due, event: NewEvent, queue_limit: u32) -> Result<Fired, StoreError> {
        timers::fire(&self.link, &due, &event, queue_limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // A write: a replica, a full memory and a user who may only read answer a PING all the same.
        self.link.query(redis::cmd("INCR").arg(self.link.key("ping"))).await
    }

    async fn sweep(&self, keep: Horizon, now: Timestamp) -> Result<Swept, StoreError> {
        let events_before = keep.events.min(now.before(DUPLICATE_WINDOW));
        let mut rows = 0;
        let by_caller = |time: Timestamp| time.0.to_string();
        for (what, until) in [
            ("events", by_caller(events_before)),
            ("journal", by_caller(keep.journal)),
            ("calls", by_caller(keep.journal)),
            ("sessions", by_caller(now)),
            ("leases", self.clock.at(now)),
            ("rooms", by_caller(events_before)),
            ("chains", by_caller(now.before(DUPLICATE_WINDOW))),
        ] {
            let mut call = self.link.call(&scripts::SWEEP);
            rows += self.link.ask(call.arg(what).arg(until).arg(SWEPT)).await?.parsed::<u64>()?;
        }
        // Its memory is free for whatever comes next, and nothing of it goes back to a file system.
        Ok(Swept { rows, bytes: 0 })
    }

    fn shared(&self) -> Option<&dyn Shared> {
        Some(self)
    }

    async fn close(&self) {
        self.link.close();
    }
}

impl Shared for RedisStore {}

impl RedisStore {
    async fn ask_held(
        &self,
        lease: &Lease,
        event: EventId,
        call: &ScriptInvocation<'_>,
    ) -> Result<(), StoreError> {
        self.link.ask(call).await?.granted(lease, event).map(drop)
    }
}
