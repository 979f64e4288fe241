//! A Redis that is made a store by copying another one there. Until that is complete, the key `copying` says so, and no host
//! takes it for a store.

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use redis::ScriptInvocation;
use uuid::Uuid;

use super::{
    super::portable::{CopyError, Copying, Counters, EventRecord, Kind, Portable, Record},
    OK, RedisStore, StoreError, json, kv, lane_word, oversight, part_word, room_word, rules, scripts, timers,
    transcripts,
};
use crate::config::RedisLocation;

/// What is there as long as a copy is not complete: which one it is.
const MARK: &str = "copying";
/// What does not make a store: who looked there, and which hosts there were.
const TRACES: [&str; 3] = ["ping", "hosts", "host-times"];

/// A store that is being made by copying another. It stays marked if the copy fails.
pub struct RedisCopy {
    store: RedisStore,
    /// What tells this copy from any other.
    id: String,
}

impl RedisStore {
    /// Connects to what may be no store yet, and writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it can't be reached.
    pub async fn look_at(location: &RedisLocation) -> Result<Self, StoreError> {
        let store = Self::new(location)?;
        store.is_marked().await.map(|_| store)
    }

    /// Fails if there is something already, or a copy that is not complete.
    ///
    /// # Errors
    /// [`CopyError::NotEmpty`], with what to do about it.
    pub async fn refuse_filled(&self) -> Result<(), CopyError> {
        self.refuse_incomplete().await?;
        let keys = self.named("").await?.iter().filter(|key| !TRACES.contains(&&***key)).count();
        if keys == 0 {
            return Ok(());
        }
        let found =
            format!("{keys} keys lie there; name another `prefix`, or remove them ({})", self.removal());
        Err(CopyError::NotEmpty { store: self.link.location().to_string(), found })
    }

    /// Fails if a copy into this store is not complete.
    pub(super) async fn refuse_incomplete(&self) -> Result<(), StoreError> {
        if !self.is_marked().await? {
            return Ok(());
        }
        Err(StoreError::Incomplete { store: self.link.location().to_string(), removal: self.removal() })
    }

    async fn is_marked(&self) -> Result<bool, StoreError> {
        self.link.query(redis::cmd("EXISTS").arg(self.link.key(MARK))).await
    }

    /// How everything is removed. The words are those of a shell.
    fn removal(&self) -> String {
        let keys = self.link.key("*");
        format!("`redis-cli --scan --pattern '{keys}' | xargs redis-cli UNLINK`, with its host and database")
    }
}

// === impl RedisCopy ===

impl RedisCopy {
    /// Begins a store where there is nothing.
    ///
    /// # Errors
    /// [`CopyError::NotEmpty`], or that of the connection.
    pub async fn begin(location: &RedisLocation) -> Result<Self, CopyError> {
        let store = RedisStore::look_at(location).await?;
        store.refuse_filled().await?;
        let id = Uuid::new_v4().simple().to_string();
        let mut set = redis::cmd("SET");
        set.arg(store.link.key(MARK)).arg(&id).arg("NX");
        if store.link.query::<Option<String>>(&set).await?.is_none() {
            store.refuse_incomplete().await?;
        }
        Ok(Self { store, id })
    }

    async fn run(&self, call: &ScriptInvocation<'_>) -> Result<(), StoreError> {
        match &*self.store.link.ask(call).await?.word {
            OK => Ok(()),
            _ => Err(StoreError::Unavailable("somebody has removed what was copied".into())),
        }
    }

    fn call(&self) -> ScriptInvocation<'static> {
        let mut call = self.store.link.call(&scripts::IMPORT);
        call.arg(&self.id);
        call
    }
}

#[async_trait]
impl Copying for RedisCopy {
    fn written(&self) -> &dyn Portable {
        &self.store
    }

    fn keeps(&self, _: Kind) -> bool {
        true
    }

    async fn raise(&self, counters: Counters) -> Result<(), StoreError> {
        let mut call = self.call();
        for (name, value) in [
            ("sequence", counters.sequence),
            ("token", counters.token),
            ("kv-version", counters.key_version),
            ("timer-version", counters.timer_version),
        ] {
            call.arg("counter").arg(name).arg(value);
        }
        self.run(&call).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let mut call = self.call();
        for record in &records {
            write(&mut call, record)?;
        }
        self.run(&call).await
    }

    async fn complete(self: Box<Self>) -> Result<(), StoreError> {
        let link = &self.store.link;
        link.query::<u8>(redis::cmd("DEL").arg(link.key(MARK))).await?;
        link.close();
        Ok(())
    }
}

/// Adds a record to a call, as the script reads it.
fn write(call: &mut ScriptInvocation<'_>, record: &Record) -> Result<(), StoreError> {
    match record {
        Record::Event(event) => write_event(call, event),
        Record::Turn(turn) => {
            call.arg("turn").arg(turn.number).arg(lane_word(&turn.lane)).arg(turn.event.to_string());
            call.arg(turn.ended_at.0).arg(&*turn.turn.0).arg(json(turn)?);
            call.arg(u8::from(turn.trace.is_some())).arg(turn.trace.as_deref().unwrap_or_default());
        }
        Record::ToolCall(row) => {
            call.arg("tool_call").arg(&*row.turn.0).arg(row.index).arg(json(row)?).arg(row.started_at.0);
        }
        Record::Conversation(lane, session, until) => {
            call.arg("conversation").arg(lane_word(lane)).arg(session.to_string()).arg(until.0);
        }
        Record::Forgetting(lane) => {
            call.arg("forgetting").arg(lane_word(lane));
        }
        Record::Pause(pause) => {
            call.arg("pause").arg(oversight::scope_word(&pause.scope)).arg(pause.since.0);
        }
        Record::Timer(timer, next_at) => {
            call.arg("timer").arg(timer.lane.bot.as_str()).arg(timer.lane.room.0).arg(&timer.name);
            call.arg(timer.version).arg(timer.due_at.0).arg(&timer.payload).arg(next_at.0);
        }
        Record::Cron(cron, until) => {
            call.arg("cron").arg(timers::cron_word(cron)).arg(until.0);
        }
        Record::Room(room) => {
            call.arg("room").arg(lane_word(&room.lane)).arg(room_word(room.name.as_deref()));
            call.arg(room.read_to.0).arg(room.heard_at.0);
        }
        Record::Chain(chain) => {
            call.arg("chain").arg(format!("{}:{}", chain.room, chain.campfire));
            call.arg(chain.message.0).arg(chain.hops).arg(chain.counted_at.0);
        }
        Record::Spending(bot, day, usd) => {
            call.arg("spending").arg(bot.as_str()).arg(*day).arg(*usd);
        }
        Record::Key(scope, entry) => {
            call.arg("key").arg(scope.bot.as_str()).arg(kv::scope_word(scope));
            call.arg(&entry.key).arg(entry.version).arg(&entry.value);
        }
        Record::Piece(lane, piece) => {
            call.arg("piece").arg(lane_word(lane)).arg(piece);
        }
        Record::Transcript(lane, mark, pieces) => {
            let pieces = pieces.map_or_else(String::new, |pieces| pieces.to_string());
            transcripts::write_mark(call.arg("transcript").arg(lane_word(lane)).arg(pieces), mark);
        }
    }
    Ok(())
}

fn write_event(call: &mut ScriptInvocation<'_>, event: &EventRecord) {
    let mut fields = vec![
        ("sequence", event.sequence.to_string()),
        ("lane", lane_word(&event.lane)),
        ("message", event.message.map_or_else(String::new, |message| message.to_string())),
        ("kind", event.kind.clone()),
        ("hash", BASE64_URL_SAFE_NO_PAD.encode(event.content_hash)),
        ("payload", event.payload.clone()),
        ("received", event.received_at.0.to_string()),
        ("state", event.state.clone()),
        ("attempt", event.attempt.to_string()),
        ("earlier", event.earlier.to_string()),
        ("retries", event.retries.to_string()),
        ("parts", event.parts.len().to_string()),
    ];
    let told = [("note", &event.note), ("details", &event.details)];
    fields.extend(told.into_iter().filter_map(|(name, text)| text.clone().map(|text| (name, text))));
    fields.extend(event.ended_at.map(|at| ("ended", at.0.to_string())));
    fields.extend(event.verdict.map(|end| ("verdict", rules::word(end).to_owned())));
    let flags = [("found", event.found), ("stopped", event.stopped)];
    fields.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name, "1".to_owned())));
    call.arg("event").arg(event.id.to_string());
    call.arg(event.posted.map_or_else(String::new, |message| message.to_string()));
    call.arg(fields.len() + 2 * event.parts.len());
    for (name, text) in fields {
        call.arg(name).arg(text);
    }
    for part in &event.parts {
        call.arg(format!("p{}", part.index)).arg(&part.content);
        call.arg(format!("s{}", part.index)).arg(part_word(part.state));
    }
}
