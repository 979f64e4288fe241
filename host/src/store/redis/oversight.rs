//! The operator's side of the store.

use async_trait::async_trait;

use super::{
    super::{
        Conversation, FailedEvent, Forgotten, Oversight, Pause, Retried, Retry, Scope,
        rules::{Plan, plan, step, tally},
    },
    Answer, LISTED, OK, PartState, RedisStore, StoreError, answer, lane_word, part_word, read_json, rules,
    scripts,
};
use crate::id::{BotName, EventId, LaneKey, MessageId, RoomId, SessionId, Timestamp};

#[async_trait]
impl Oversight for RedisStore {
    async fn conversations(
        &self,
        bot: Option<&BotName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Conversation>, StoreError> {
        let mut all = redis::cmd("ZRANGEBYSCORE");
        all.arg(self.link.key("sessions")).arg(format!("({}", now.0)).arg("+inf").arg("WITHSCORES");
        let known: Vec<(String, i64)> = self.link.query(&all).await?;
        let mut lanes = Vec::new();
        for (word, expires_at) in known {
            let lane = answer::lane(&word)?;
            if bot.is_none_or(|bot| *bot == lane.bot) {
                lanes.push((lane, Timestamp(expires_at)));
            }
        }
        lanes.sort();
        lanes.truncate(limit.min(LISTED) as usize);
        let mut conversations = Vec::new();
        for (lane, expires_at) in lanes {
            let key = self.link.key(&format!("session:{}", lane_word(&lane)));
            let id: Option<String> = self.link.query(redis::cmd("HGET").arg(key).arg("id")).await?;
            // It may have been forgotten since.
            if let Some(id) = id {
                conversations.push(Conversation {
                    lane,
                    session: SessionId(answer::parse(&id)?),
                    expires_at,
                });
            }
        }
        Ok(conversations)
    }

    async fn forget(&self, scope: &Scope) -> Result<Forgotten, StoreError> {
        let mut call = self.link.call(&scripts::FORGET);
        call.arg(scope.bot.as_str()).arg(scope.room.map_or_else(String::new, |room| room.to_string()));
        let mut answer = self.link.ask(&call).await?;
        Ok(Forgotten { now: answer.parsed()?, after_turn: answer.parsed()? })
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        let mut pauses = self.all_pauses().await?;
        pauses.sort_by(|a, b| (&a.scope.bot, a.scope.room).cmp(&(&b.scope.bot, b.scope.room)));
        pauses.truncate(LISTED as usize);
        Ok(pauses)
    }

    async fn pause(&self, scope: &Scope, now: Timestamp) -> Result<bool, StoreError> {
        let mut command = redis::cmd("HSETNX");
        self.link.query(command.arg(self.link.key("pauses")).arg(scope_word(scope)).arg(now.0)).await
    }

    async fn resume(&self, scope: &Scope) -> Result<bool, StoreError> {
        self.link.query(redis::cmd("HDEL").arg(self.link.key("pauses")).arg(scope_word(scope))).await
    }

    async fn failed_events(&self, bot: Option<&BotName>, limit: u32) -> Result<Vec<FailedEvent>, StoreError> {
        let mut call = self.link.call(&scripts::FAILED);
        let mut answer =
            self.link.ask(call.arg(bot.map_or("", BotName::as_str)).arg(limit.min(LISTED))).await?;
        let mut failed = Vec::new();
        while !answer.is_over() {
            failed.push(read_failed(&mut answer)?);
        }
        Ok(failed)
    }

    async fn retry(&self, event: EventId, anyway: bool) -> Result<Retried, StoreError> {
        let refused = |problem| StoreError::OutOfStep { event, problem };
        // Again if another host was faster; then it has not ended any more, and that is refused.
        loop {
            let mut ended = self.link.ask(self.link.call(&scripts::ENDED).arg(event.to_string())).await?;
            if ended.is_over() {
                return Err(refused(step::UNKNOWN));
            }
            let (lane, state, retries) = (ended.lane()?, ended.text()?, ended.text()?);
            let verdict = ended.optional_text()?.map(|word| rules::end(&word));
            let parts = states(&mut ended, None)?;
            let plan = plan(&state, verdict, parts, anyway).map_err(refused)?;
            let mut call = self.link.call(&scripts::RETRY);
            call.arg(event.to_string()).arg(state).arg(retries);
            let retry = match plan {
                Plan::Anew => {
                    call.arg("anew");
                    Retry::Anew
                }
                Plan::Post(parts) => {
                    call.arg("post");
                    for part in parts {
                        call.arg(part_word(part));
                    }
                    Retry::Posting
                }
            };
            if self.link.ask(&call).await?.word == OK {
                return Ok(Retried { lane, retry });
            }
        }
    }
}

impl RedisStore {
    /// What is paused, in no order.
    pub(super) async fn all_pauses(&self) -> Result<Vec<Pause>, StoreError> {
        let known: Vec<(String, i64)> =
            self.link.query(redis::cmd("HGETALL").arg(self.link.key("pauses"))).await?;
        let mut pauses = Vec::new();
        for (word, since) in known {
            let scope = if word.contains(':') {
                let LaneKey { bot, room } = answer::lane(&word)?;
                Scope { bot, room: Some(room) }
            } else {
                Scope { bot: BotName(word.into()), room: None }
            };
            pauses.push(Pause { scope, since: Timestamp(since) });
        }
        Ok(pauses)
    }
}

fn read_failed(answer: &mut Answer) -> Result<FailedEvent, StoreError> {
    let mut found = FailedEvent {
        event: answer.parsed()?,
        lane: answer.lane()?,
        message: Some(answer.text()?)
            .filter(|message| !message.is_empty())
            .map(|message| answer::parse(&message).map(MessageId))
            .transpose()?,
        kind: answer.text()?,
        received_at: answer.timestamp()?,
        ended_at: answer.timestamp()?,
        end: rules::end(&answer.text()?),
        attempts: answer.parsed()?,
        posted: 0,
        uncertain: 0,
        failed: 0,
        row: answer.optional_text()?.map(|row| read_json(&row)).transpose()?,
    };
    let count = answer.parsed()?;
    [found.posted, found.uncertain, found.failed] = tally(states(answer, Some(count))?);
    Ok(found)
}

/// The states of parts: as many as are counted, or all that is left.
fn states(answer: &mut Answer, count: Option<usize>) -> Result<Vec<PartState>, StoreError> {
    let mut states = Vec::new();
    while !answer.is_over() && count.is_none_or(|count| states.len() < count) {
        states.push(answer.part_state()?);
    }
    Ok(states)
}

pub(super) fn scope_word(scope: &Scope) -> String {
    let room = scope.room.map(|room: RoomId| format!(":{room}"));
    format!("{}{}", scope.bot, room.unwrap_or_default())
}
