//! What a bot's agent has cost, one row a day.

use rusqlite::{Connection, OptionalExtension, params};

use super::{super::SPENDING_DAYS, StoreError};
use crate::id::BotName;

/// See [`Store::spend`](super::Store::spend).
pub(super) fn add(connection: &Connection, bot: &BotName, day: i64, usd: f64) -> Result<(), StoreError> {
    put(connection, bot, day, usd)?;
    connection
        .prepare_cached("DELETE FROM spending WHERE bot = ?1 AND day < ?2")?
        .execute(params![bot.as_str(), day.saturating_sub(SPENDING_DAYS)])?;
    Ok(())
}

/// Adds to a day.
pub(super) fn put(connection: &Connection, bot: &BotName, day: i64, usd: f64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO spending (bot, day, usd) VALUES (?1, ?2, ?3)
             ON CONFLICT (bot, day) DO UPDATE SET usd = usd + excluded.usd",
        )?
        .execute(params![bot.as_str(), day, usd])?;
    Ok(())
}

/// See [`Store::spent`](super::Store::spent).
pub(super) fn of_day(connection: &Connection, bot: &BotName, day: i64) -> Result<f64, StoreError> {
    let usd = connection
        .prepare_cached("SELECT usd FROM spending WHERE bot = ?1 AND day = ?2")?
        .query_row(params![bot.as_str(), day], |row| row.get(0))
        .optional()?;
    Ok(usd.unwrap_or(0.0))
}
