//! The rows of a file as records, and records as the rows of a new file.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use super::{
    super::{
        KvEntry, KvScope, Store,
        portable::{
            Batch, ChainRecord, CopyError, Copying, Counters, EventRecord, Kind, Portable, Record, TurnRecord,
        },
        rules,
    },
    CronKey, Flush, SessionChange, SqliteStore, StoreError,
    backup::Partial,
    counter, file, inbox, journal, kv, lanes, outbox, pauses, rooms, sessions, spending, timers, tool_calls,
};
use crate::id::{BotName, EventId, MessageId, RoomId, SessionId, Timestamp, TurnId};

/// A file that is being made by copying another store. It appears under its name only when it is whole; until then it is beside
/// it, as `<name>.partial`, which is removed if the copy fails. A killed process leaves that there, to be removed by hand.
pub struct SqliteCopy {
    // Dropped in this order: what is beside the file is the store's as long as that is open.
    store: SqliteStore,
    _beside: Beside,
    partial: Partial,
    to: PathBuf,
}

/// What SQLite and the store keep beside a file.
struct Beside(PathBuf);

/// Fails if there is a file at `to`, or what belongs to one.
///
/// # Errors
/// [`CopyError::NotEmpty`], with what to do about it.
pub fn refuse_existing(to: &Path) -> Result<(), CopyError> {
    let names = [to.to_owned(), file::beside(to, "-wal"), file::beside(to, "-shm")];
    match names.iter().find(|name| name.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(found) => Err(CopyError::NotEmpty {
            store: format!("sqlite:{}", to.display()),
            found: format!("{} exists already; move it away, or name another file", found.display()),
        }),
    }
}

// === impl SqliteCopy ===

impl SqliteCopy {
    /// Begins a file. Blocks.
    ///
    /// # Errors
    /// [`CopyError::NotEmpty`], or that of the file system.
    pub fn begin(to: &Path) -> Result<Self, CopyError> {
        refuse_existing(to)?;
        file::make_folder(to).map_err(|error| file::cannot(to, &error))?;
        let partial = Partial::beside(to)?;
        let store = SqliteStore::open(partial.path())?;
        Ok(Self { store, _beside: Beside(partial.path().to_owned()), partial, to: to.to_owned() })
    }
}

#[async_trait]
impl Copying for SqliteCopy {
    fn written(&self) -> &dyn Portable {
        &self.store
    }

    fn keeps(&self, kind: Kind) -> bool {
        // The agents' own files are in the data folder.
        kind != Kind::Transcripts
    }

    async fn raise(&self, counters: Counters) -> Result<(), StoreError> {
        let raise = move |connection: &Connection| {
            counter::raise(connection, counter::LEASE_TOKEN, counters.token)?;
            counter::raise(connection, counter::KV_VERSION, counters.key_version)?;
            counter::raise(connection, counter::TIMER_VERSION, counters.timer_version)
        };
        self.store.write(Flush::Never, raise).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let import = move |connection: &Connection| records.iter().try_for_each(|one| put(connection, one));
        self.store.write(Flush::Never, import).await
    }

    async fn complete(self: Box<Self>) -> Result<(), StoreError> {
        self.store.close().await;
        // All of the log is in the file by now, and it is gone, or else nothing is whole.
        if file::beside(self.partial.path(), "-wal").exists() {
            return Err(file::cannot(
                &self.to,
                &"what was copied could not be written to the file as a whole",
            ));
        }
        self.partial.publish(&self.to).map(drop).map_err(|error| file::cannot(&self.to, &error))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        for ending in ["-wal", "-shm", ".lock"] {
            // Most of them are gone already.
            _ = std::fs::remove_file(file::beside(&self.0, ending));
        }
    }
}

// === impl Portable for SqliteStore ===

#[async_trait]
impl Portable for SqliteStore {
    async fn counters(&self) -> Result<Counters, StoreError> {
        self.read(|connection| {
            Ok(Counters {
                sequence: last(connection, "event")?.max(last(connection, "journal")?),
                token: counter::last(connection, counter::LEASE_TOKEN)?,
                key_version: counter::last(connection, counter::KV_VERSION)?,
                timer_version: counter::last(connection, counter::TIMER_VERSION)?,
            })
        })
        .await
    }

    async fn export(&self, kind: Kind, out: Sender<Vec<Record>>) -> Result<(), StoreError> {
        self.read(move |connection| export(connection, kind, &out)).await
    }
}

fn last(connection: &Connection, table: &str) -> Result<u64, StoreError> {
    let query = format!("SELECT coalesce(max(sequence), 0) FROM {table}");
    Ok(connection.query_row(&query, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// Makes a record of a row.
type Read = fn(&Connection, &Row<'_>) -> Result<Record, StoreError>;

fn export(connection: &Connection, kind: Kind, out: &Sender<Vec<Record>>) -> Result<(), StoreError> {
    let (query, read): (&str, Read) = match kind {
        Kind::Events => (
            "SELECT sequence, id, bot, room, event.message, kind, content_hash, payload, received_at, state, ended_at,
                attempt, earlier, retries, verdict, note, details, found, stopped,
                (SELECT posted.message FROM posted WHERE posted.event = event.sequence)
             FROM event ORDER BY sequence",
            |connection, row| event(connection, row).map(|event| Record::Event(Box::new(event))),
        ),
        Kind::Turns => (
            "SELECT sequence, journal.turn, event, bot, room, attempt, started_at, ended_at, outcome, details, content
             FROM journal LEFT JOIN trace ON trace.turn = sequence ORDER BY sequence",
            |_, row| turn(row).map(|turn| Record::Turn(Box::new(turn))),
        ),
        Kind::ToolCalls => (tool_calls::ALL, |_, row| Ok(Record::ToolCall(Box::new(tool_calls::read(row)?)))),
        Kind::Conversations => ("SELECT bot, room, id, expires_at FROM session", |_, row| {
            let session = SessionId(Uuid::from_bytes(row.get(2)?));
            Ok(Record::Conversation(lanes::read(row, 0)?, session, Timestamp(row.get(3)?)))
        }),
        Kind::Forgetting => {
            ("SELECT bot, room FROM forgetting", |_, row| Ok(Record::Forgetting(lanes::read(row, 0)?)))
        }
        Kind::Pauses => (pauses::ALL, |_, row| Ok(Record::Pause(pauses::read(row)?))),
        Kind::Timers => (timers::ALL, |_, row| {
            Ok(Record::Timer(timers::read(row)?, Timestamp(row.get(6)?)))
        }),
        Kind::Crons => ("SELECT bot, name, settled FROM cron", |_, row| {
            Ok(Record::Cron(CronKey { bot: bot(row, 0)?, name: row.get(1)? }, Timestamp(row.get(2)?)))
        }),
        Kind::Rooms => (rooms::ALL, |_, row| Ok(Record::Room(rooms::read(row)?))),
        Kind::Chains => ("SELECT campfire, room, message, hops, counted_at FROM chain", |_, row| {
            Ok(Record::Chain(ChainRecord {
                campfire: row.get(0)?,
                room: RoomId(number(row, 1)?),
                message: MessageId(number(row, 2)?),
                hops: row.get(3)?,
                counted_at: Timestamp(row.get(4)?),
            }))
        }),
        Kind::Spending => ("SELECT bot, day, usd FROM spending", |_, row| {
            Ok(Record::Spending(bot(row, 0)?, row.get(1)?, row.get(2)?))
        }),
        Kind::Keys => ("SELECT key, value, version, bot, scope FROM kv", |_, row| {
            let (entry, scope): (KvEntry, String) = (kv::read(row)?, row.get(4)?);
            let room = scope.strip_prefix("room:").and_then(|room| room.parse().ok()).map(RoomId);
            Ok(Record::Key(KvScope { bot: bot(row, 3)?, room }, entry))
        }),
        Kind::Transcripts => return Ok(()),
    };
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut batch = Batch::default();
    while let Some(row) = rows.next()? {
        if let Some(full) = batch.add(read(connection, row)?)
            && out.blocking_send(full).is_err()
        {
            return Ok(());
        }
    }
    // Nobody may listen any more.
    _ = out.blocking_send(batch.take());
    Ok(())
}

fn event(connection: &Connection, row: &Row<'_>) -> Result<EventRecord, StoreError> {
    let sequence: i64 = row.get(0)?;
    Ok(EventRecord {
        sequence: sequence.cast_unsigned(),
        id: EventId(Uuid::from_bytes(row.get(1)?)),
        lane: lanes::read(row, 2)?,
        message: inbox::message_in(row.get(4)?),
        kind: row.get(5)?,
        content_hash: row.get(6)?,
        payload: row.get(7)?,
        received_at: Timestamp(row.get(8)?),
        state: row.get(9)?,
        ended_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        attempt: row.get(11)?,
        earlier: row.get(12)?,
        retries: row.get(13)?,
        verdict: row.get::<_, Option<String>>(14)?.map(|word| rules::end(&word)),
        note: row.get(15)?,
        details: row.get(16)?,
        found: row.get(17)?,
        stopped: row.get(18)?,
        parts: outbox::parts(connection, sequence)?,
        posted: row.get::<_, Option<i64>>(19)?.map(|message| MessageId(message.cast_unsigned())),
    })
}

fn turn(row: &Row<'_>) -> Result<TurnRecord, StoreError> {
    let turn: String = row.get(1)?;
    let details = RawValue::from_string(row.get(9)?);
    Ok(TurnRecord {
        number: number(row, 0)?,
        turn: TurnId(turn.into()),
        event: EventId(Uuid::from_bytes(row.get(2)?)),
        lane: lanes::read(row, 3)?,
        attempt: row.get(5)?,
        started_at: Timestamp(row.get(6)?),
        ended_at: Timestamp(row.get(7)?),
        outcome: row.get(8)?,
        details: details.map_err(|error| StoreError::Unavailable(error.to_string().into()))?,
        trace: row.get(10)?,
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

fn bot(row: &Row<'_>, column: usize) -> rusqlite::Result<BotName> {
    row.get(column).map(|name: String| BotName(name.into()))
}

/// Writes one record, which is not there yet.
fn put(connection: &Connection, record: &Record) -> Result<(), StoreError> {
    match record {
        Record::Event(event) => put_event(connection, event),
        Record::Turn(turn) => put_turn(connection, turn),
        Record::ToolCall(call) => tool_calls::record(connection, call),
        Record::Conversation(lane, session, until) => {
            sessions::change(connection, lane, SessionChange::Set(*session, *until))
        }
        Record::Forgetting(lane) => {
            let lane = params![lane.bot.as_str(), lane.room.0.cast_signed()];
            connection.prepare_cached("INSERT INTO forgetting (bot, room) VALUES (?1, ?2)")?.execute(lane)?;
            Ok(())
        }
        Record::Pause(pause) => pauses::set(connection, &pause.scope, pause.since).map(drop),
        Record::Timer(timer, next_at) => timers::put(connection, timer, *next_at),
        Record::Cron(cron, until) => timers::settle_cron(connection, cron, *until),
        Record::Room(room) => rooms::know(connection, room).map(drop),
        Record::Chain(chain) => {
            connection
                .prepare_cached(
                    "INSERT INTO chain (campfire, room, message, hops, counted_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    chain.campfire,
                    chain.room.0.cast_signed(),
                    chain.message.0.cast_signed(),
                    chain.hops,
                    chain.counted_at.0
                ])?;
            Ok(())
        }
        Record::Spending(bot, day, usd) => spending::put(connection, bot, *day, *usd),
        Record::Key(scope, entry) => kv::put(connection, scope, entry),
        Record::Piece(..) | Record::Transcript(..) => Ok(()),
    }
}

fn put_event(connection: &Connection, event: &EventRecord) -> Result<(), StoreError> {
    let (bot, room) = (event.lane.bot.as_str(), event.lane.room.0.cast_signed());
    let sequence = event.sequence.cast_signed();
    connection
        .prepare_cached(
            "INSERT INTO event (sequence, id, bot, room, message, kind, content_hash, payload, received_at, state,
                ended_at, attempt, earlier, retries, verdict, note, details, found, stopped)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
        )?
        .execute(params![
            sequence,
            event.id.0.as_bytes(),
            bot,
            room,
            event.message.map_or(0, |message| message.0.cast_signed()),
            event.kind,
            event.content_hash,
            event.payload,
            event.received_at.0,
            event.state,
            event.ended_at.map(|at| at.0),
            event.attempt,
            event.earlier,
            event.retries,
            event.verdict.map(rules::word),
            event.note,
            event.details,
            event.found,
            event.stopped,
        ])?;
    for part in &event.parts {
        outbox::plan(connection, sequence, part.index, &part.content)?;
        outbox::set(connection, sequence, part.index, part.state)?;
    }
    if let Some(message) = event.posted {
        outbox::set_last_posted(connection, &event.lane, message, sequence)?;
    }
    Ok(())
}

fn put_turn(connection: &Connection, turn: &TurnRecord) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO journal (sequence, turn, event, bot, room, attempt, started_at, ended_at, outcome, details)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            turn.number.cast_signed(),
            &*turn.turn.0,
            turn.event.0.as_bytes(),
            turn.lane.bot.as_str(),
            turn.lane.room.0.cast_signed(),
            turn.attempt,
            turn.started_at.0,
            turn.ended_at.0,
            turn.outcome,
            turn.details.get(),
        ])?;
    journal::keep_trace(connection, turn.number.cast_signed(), turn.trace.as_deref())
}
