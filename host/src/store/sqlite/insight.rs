//! What an operator wants to know. It all goes to the reader, next to which messages are taken as ever.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::{
    super::{Hour, Insight, LISTED, Queue, SEARCH_BYTES, Spending, TurnQuery},
    JournalRow, SqliteStore, StoreError, journal, lanes,
};
use crate::id::{BotName, Timestamp, TurnId};

const HOUR: i64 = 60 * 60 * 1_000;
const DAY: i64 = 24 * HOUR;

/// One turn.
pub(super) const TURN: &str = "SELECT turn, event, bot, room, attempt, started_at, ended_at, outcome, details FROM journal WHERE turn = ?1";
/// The trace of one turn.
pub(super) const TRACE: &str =
    "SELECT content FROM trace WHERE turn = (SELECT sequence FROM journal WHERE journal.turn = ?1)";
/// Sums by day and bot. Token counts that are not there are NULL, and count nothing. The index is named since it takes
/// those days; the one that groups by bot would take the whole journal.
pub(super) const SPENDING: &str = "SELECT bot, ended_at / ?2 AS day, count(*),
        total(details ->> '$.agent.\"cost-usd\"'),
        CAST(total(details ->> '$.agent.\"input-tokens\"') + total(details ->> '$.agent.\"cache-read-tokens\"')
            + total(details ->> '$.agent.\"cache-creation-tokens\"') AS INTEGER),
        CAST(total(details ->> '$.agent.\"output-tokens\"') AS INTEGER)
    FROM journal INDEXED BY journal_ended WHERE ended_at >= ?1 GROUP BY bot, day ORDER BY day DESC, bot";
/// Counts by hour and outcome.
pub(super) const OUTCOMES: &str = "SELECT ended_at / ?2 AS hour, outcome, count(*)
    FROM journal WHERE ended_at >= ?1 GROUP BY hour, outcome ORDER BY hour";
/// How long the turns of an hour took: each in its place among them.
pub(super) const PACE: &str = "WITH timed AS (
        SELECT ended_at / ?2 AS hour, ended_at - started_at AS took,
            row_number() OVER (PARTITION BY ended_at / ?2 ORDER BY ended_at - started_at) AS place,
            count(*) OVER (PARTITION BY ended_at / ?2) AS turns
        FROM journal WHERE ended_at >= ?1)
    SELECT max(iif(place = (turns + 1) / 2, took, 0)), max(iif(place = (turns * 19 + 19) / 20, took, 0))
    FROM timed GROUP BY hour ORDER BY hour";
/// The lanes with something to do.
pub(super) const QUEUES: &str = "SELECT bot, room, count(*), min(received_at)
    FROM event WHERE ended_at IS NULL GROUP BY bot, room ORDER BY min(sequence) LIMIT ?1";

#[async_trait]
impl Insight for SqliteStore {
    async fn turns(&self, query: &TurnQuery) -> Result<Vec<JournalRow>, StoreError> {
        let query = query.clone();
        self.read(move |c| turns(c, &query)).await
    }

    async fn turn(&self, turn: &TurnId) -> Result<Option<JournalRow>, StoreError> {
        let turn = turn.clone();
        self.read(move |c| {
            let mut statement = c.prepare_cached(TURN)?;
            Ok(statement.query_row([&*turn.0], journal::read).optional()?)
        })
        .await
    }

    async fn trace(&self, turn: &TurnId) -> Result<Option<String>, StoreError> {
        let turn = turn.clone();
        self.read(move |c| Ok(c.prepare_cached(TRACE)?.query_row([&*turn.0], |row| row.get(0)).optional()?))
            .await
    }

    async fn spending(&self, since: Timestamp) -> Result<Vec<Spending>, StoreError> {
        self.read(move |c| spending(c, since)).await
    }

    async fn hours(&self, since: Timestamp) -> Result<Vec<Hour>, StoreError> {
        self.read(move |c| hours(c, since)).await
    }

    async fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.read(queues).await
    }
}

fn turns(connection: &Connection, query: &TurnQuery) -> Result<Vec<JournalRow>, StoreError> {
    let limit = query.limit.unwrap_or(LISTED).min(LISTED);
    let room = query.room.map(|room| room.0.cast_signed());
    let text =
        query.text.as_deref().map(|text| text[..text.floor_char_boundary(SEARCH_BYTES)].to_lowercase());
    let mut sql = String::from(
        "SELECT turn, event, bot, room, attempt, started_at, ended_at, outcome, details FROM journal WHERE 1",
    );
    let mut values: Vec<&dyn ToSql> = Vec::new();
    let bot = query.bot.as_ref().map(BotName::as_str);
    let posted = query.posted.map(|message| message.0.cast_signed());
    let before = query.before.as_ref().map(|turn| &*turn.0);
    // What is not asked for stands nowhere, so that what is finds its index.
    for (condition, value) in [
        (" AND bot = ?", bot.as_ref().map(|value| value as &dyn ToSql)),
        (" AND room = ?", room.as_ref().map(|value| value as &dyn ToSql)),
        (" AND outcome = ?", query.outcome.as_ref().map(|value| value as &dyn ToSql)),
        (
            " AND instr(lower(turn || ' ' || outcome || ' ' || details), ?) > 0",
            text.as_ref().map(|value| value as &dyn ToSql),
        ),
        (
            " AND EXISTS (SELECT 1 FROM json_each(details, '$.posted') WHERE value = ?)",
            posted.as_ref().map(|value| value as &dyn ToSql),
        ),
        (
            " AND sequence < (SELECT sequence FROM journal WHERE turn = ?)",
            before.as_ref().map(|value| value as &dyn ToSql),
        ),
    ] {
        if let Some(value) = value {
            sql.push_str(condition);
            values.push(value);
        }
    }
    sql.push_str(" ORDER BY sequence DESC LIMIT ?");
    values.push(&limit);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(&*values, journal::read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn spending(connection: &Connection, since: Timestamp) -> Result<Vec<Spending>, StoreError> {
    let mut statement = connection.prepare_cached(SPENDING)?;
    let rows = statement.query_map(params![since.0, DAY], |row| {
        let (bot, day): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok(Spending {
            bot: BotName::from(bot.as_str()),
            day: Timestamp(day * DAY),
            turns: count(row.get(2)?),
            cost_usd: row.get(3)?,
            input_tokens: count(row.get(4)?),
            output_tokens: count(row.get(5)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn hours(connection: &Connection, since: Timestamp) -> Result<Vec<Hour>, StoreError> {
    let mut hours: Vec<Hour> = Vec::new();
    let mut statement = connection.prepare_cached(OUTCOMES)?;
    let mut rows = statement.query(params![since.0, HOUR])?;
    while let Some(row) = rows.next()? {
        let from = Timestamp(row.get::<_, i64>(0)? * HOUR);
        if hours.last().is_none_or(|hour| hour.from != from) {
            hours.push(Hour { from, outcomes: std::collections::BTreeMap::new(), median_ms: 0, slow_ms: 0 });
        }
        if let Some(hour) = hours.last_mut() {
            hour.outcomes.insert(row.get(1)?, count(row.get(2)?));
        }
    }
    let mut statement = connection.prepare_cached(PACE)?;
    let paces = statement.query_map(params![since.0, HOUR], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (hour, pace) in hours.iter_mut().zip(paces) {
        (hour.median_ms, hour.slow_ms) = pace?;
    }
    Ok(hours)
}

fn queues(connection: &Connection) -> Result<Vec<Queue>, StoreError> {
    let mut statement = connection.prepare_cached(QUEUES)?;
    let rows = statement.query_map([LISTED], |row| {
        Ok(Queue {
            lane: lanes::read(row, 0)?,
            unfinished: count(row.get(2)?),
            oldest: Timestamp(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts and sums of counts are never negative.
fn count(number: i64) -> u64 {
    number.unsigned_abs()
}
