//! What an operator wants to know of the past. Redis keeps the order of the rows, and this side reads them, a page at a
//! time, and looks what they say: other commands go on in between.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    super::{Hour, Insight, Queue, SEARCH_BYTES, Spending, TurnQuery},
    JournalRow, LISTED, RedisStore, StoreError, read_json, scripts,
};
use crate::id::{BotName, Timestamp, TurnId};

const HOUR: i64 = 60 * 60 * 1_000;
const DAY: i64 = 24 * HOUR;
/// How many rows are read at once.
const PAGE: usize = 256;

/// The index of a bot's rows, or of all.
pub(super) fn journal_of(bot: Option<&BotName>) -> String {
    bot.map_or_else(|| "journal".to_owned(), |bot| format!("journal:{bot}"))
}

#[async_trait]
impl Insight for RedisStore {
    async fn turns(&self, query: &TurnQuery) -> Result<Vec<JournalRow>, StoreError> {
        let limit = query.limit.unwrap_or(LISTED).min(LISTED) as usize;
        let text = query.text.as_deref();
        let text = text.map(|text| text[..text.floor_char_boundary(SEARCH_BYTES)].to_lowercase());
        let fits = |row: &JournalRow| {
            query.room.is_none_or(|room| room == row.lane.room)
                && query.outcome.as_ref().is_none_or(|outcome| *outcome == row.outcome)
                && query.posted.is_none_or(|message| {
                    let posted = row.details["posted"].as_array();
                    posted.is_some_and(|posted| posted.iter().any(|id| id.as_u64() == Some(message.0)))
                })
                && text.as_ref().is_none_or(|text| {
                    let said = format!("{} {} {}", row.turn, row.outcome, row.details);
                    said.to_lowercase().contains(text)
                })
        };
        let index = self.link.key(&journal_of(query.bot.as_ref()));
        let mut before = "+inf".to_owned();
        if let Some(turn) = &query.before {
            let Some(number) = self.number(turn).await? else { return Ok(Vec::new()) };
            before = format!("({number}");
        }
        let mut found = Vec::new();
        while found.len() < limit {
            let mut page = redis::cmd("ZREVRANGEBYSCORE");
            page.arg(&index).arg(&before).arg("-inf").arg("LIMIT").arg(0).arg(PAGE);
            let numbers: Vec<String> = self.link.query(&page).await?;
            let Some(last) = numbers.last() else { break };
            before = format!("({last}");
            found.extend(self.rows(&numbers).await?.into_iter().filter(fits));
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn turn(&self, turn: &TurnId) -> Result<Option<JournalRow>, StoreError> {
        let Some(number) = self.number(turn).await? else { return Ok(None) };
        Ok(self.rows(&[number]).await?.pop())
    }

    async fn trace(&self, turn: &TurnId) -> Result<Option<String>, StoreError> {
        let Some(number) = self.number(turn).await? else { return Ok(None) };
        self.link.query(redis::cmd("HGET").arg(self.link.key("traces")).arg(number)).await
    }

    async fn spending(&self, since: Timestamp) -> Result<Vec<Spending>, StoreError> {
        let mut days: BTreeMap<_, Spending> = BTreeMap::new();
        let sum = |row: JournalRow| {
            let day = row.ended_at.0.div_euclid(DAY);
            let agent = &row.details["agent"];
            let tokens = |names: &[&str]| names.iter().filter_map(|name| agent[name].as_u64()).sum::<u64>();
            let spending = days.entry((-day, row.lane.bot.clone())).or_insert_with(|| Spending {
                bot: row.lane.bot.clone(),
                day: Timestamp(day * DAY),
                turns: 0,
                cost_usd: 0.0,
                input_tokens: 0,
                output_tokens: 0,
            });
            spending.turns += 1;
            spending.cost_usd += agent["cost-usd"].as_f64().unwrap_or_default();
            spending.input_tokens += tokens(&["input-tokens", "cache-read-tokens", "cache-creation-tokens"]);
            spending.output_tokens += tokens(&["output-tokens"]);
        };
        self.each_since(since, sum).await?;
        Ok(days.into_values().collect())
    }

    async fn hours(&self, since: Timestamp) -> Result<Vec<Hour>, StoreError> {
        let mut hours: BTreeMap<i64, (BTreeMap<String, u64>, Vec<i64>)> = BTreeMap::new();
        let count = |row: JournalRow| {
            let (outcomes, took) = hours.entry(row.ended_at.0.div_euclid(HOUR)).or_default();
            *outcomes.entry(row.outcome).or_default() += 1;
            took.push(row.ended_at.0 - row.started_at.0);
        };
        self.each_since(since, count).await?;
        let hour = |(hour, (outcomes, mut took)): (i64, (_, Vec<i64>))| {
            took.sort_unstable();
            let turns = took.len();
            Hour {
                from: Timestamp(hour * HOUR),
                outcomes,
                median_ms: took[turns.div_ceil(2) - 1],
                slow_ms: took[(turns * 19).div_ceil(20) - 1],
            }
        };
        Ok(hours.into_iter().map(hour).collect())
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let mut answer = self.link.ask(self.link.call(&scripts::QUEUES).arg(LISTED)).await?;
        let mut queues = Vec::new();
        while !answer.is_over() {
            queues.push(Queue {
                lane: answer.lane()?,
                unfinished: answer.parsed()?,
                oldest: answer.timestamp()?,
            });
        }
        Ok(queues)
    }
}

impl RedisStore {
    /// The rows of these numbers that are still there.
    pub(super) async fn rows(&self, numbers: &[String]) -> Result<Vec<JournalRow>, StoreError> {
        let mut rows = Vec::with_capacity(numbers.len());
        for page in numbers.chunks(PAGE) {
            let found: Vec<Option<String>> =
                self.link.query(redis::cmd("HMGET").arg(self.link.key("rows")).arg(page)).await?;
            for row in found.into_iter().flatten() {
                rows.push(read_json(&row)?);
            }
        }
        Ok(rows)
    }

    /// The number of a turn's row.
    async fn number(&self, turn: &TurnId) -> Result<Option<String>, StoreError> {
        self.link.query(redis::cmd("HGET").arg(self.link.key("turns")).arg(&*turn.0)).await
    }

    /// Goes through the rows of turns that ended since then, in that order.
    async fn each_since(
        &self,
        since: Timestamp,
        mut look: impl FnMut(JournalRow) + Send,
    ) -> Result<(), StoreError> {
        let mut ended = redis::cmd("ZRANGEBYSCORE");
        ended.arg(self.link.key("journal-ended")).arg(since.0).arg("+inf");
        let numbers: Vec<String> = self.link.query(&ended).await?;
        for page in numbers.chunks(PAGE) {
            self.rows(page).await?.into_iter().for_each(&mut look);
        }
        Ok(())
    }
}
