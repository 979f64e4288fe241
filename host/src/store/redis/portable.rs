//! What lies in a Redis as records. Nobody changes it meanwhile, so that what has an order is read by places in that, a page at
//! a time; of what has none, the names of the keys are gathered first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tokio::sync::mpsc::Sender;

use super::{
    super::{
        KvScope, TIMERS_PER_BOT, Transcripts,
        portable::{Batch, ChainRecord, Counters, EventRecord, Kind, Portable, Record, TurnRecord},
    },
    Answer, CronKey, KnownRoom, OutboxPart, RedisStore, StoreError, ToolCallRow, answer, kv, lane_word,
    malformed, read_json, rules, scripts, timers,
};
use crate::id::{BotName, LaneKey, MessageId, RoomId, SessionId, Timestamp};

/// How many of a list are read at once.
const PAGE: usize = 64;
/// How many keys are looked through at once for those with a certain name.
const SCANNED: u32 = 1_000;

/// Where records go as they are read.
struct Out {
    to: Sender<Vec<Record>>,
    batch: Batch,
}

/// Why reading ended early: the store failed, or, if it did not, nobody listens any more.
type Ended = Option<StoreError>;

/// What a sorted set has, in its order, page by page.
struct Pages {
    index: String,
    from: usize,
}

/// The fields of a hash, taken one by one.
struct Fields(HashMap<String, String>);

#[async_trait]
impl Portable for RedisStore {
    async fn counters(&self) -> Result<Counters, StoreError> {
        let mut command = redis::cmd("MGET");
        for name in ["sequence", "token", "kv-version", "timer-version"] {
            command.arg(self.link.key(name));
        }
        let known: Vec<Option<u64>> = self.link.query(&command).await?;
        let number = |place: usize| known.get(place).copied().flatten().unwrap_or_default();
        Ok(Counters {
            sequence: number(0),
            token: number(1),
            key_version: number(2),
            timer_version: number(3),
        })
    }

    async fn export(&self, kind: Kind, out: Sender<Vec<Record>>) -> Result<(), StoreError> {
        let mut out = Out { to: out, batch: Batch::default() };
        let exported = match kind {
            Kind::Events => self.export_events(&mut out).await,
            Kind::Turns => self.export_turns(&mut out).await,
            Kind::ToolCalls => self.export_tool_calls(&mut out).await,
            Kind::Conversations => self.export_hashes("sessions", "session:", conversation, &mut out).await,
            Kind::Forgetting => self.export_forgetting(&mut out).await,
            Kind::Pauses => self.export_pauses(&mut out).await,
            Kind::Timers => self.export_timers(&mut out).await,
            Kind::Crons => self.export_crons(&mut out).await,
            Kind::Rooms => self.export_hashes("rooms", "room:", room, &mut out).await,
            Kind::Chains => self.export_hashes("chains", "chain:", chain, &mut out).await,
            Kind::Spending => self.export_spending(&mut out).await,
            Kind::Keys => self.export_keys(&mut out).await,
            Kind::Transcripts => self.export_transcripts(&mut out).await,
        };
        match exported {
            // Nobody may listen any more.
            Ok(()) => drop(out.to.send(out.batch.take()).await),
            Err(None) => {}
            Err(Some(failed)) => return Err(failed),
        }
        Ok(())
    }
}

// === impl RedisStore ===

impl RedisStore {
    /// Those of whose transcript something is known.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn lanes_with_transcripts(&self) -> Result<Vec<LaneKey>, StoreError> {
        self.named("transcript:").await?.iter().map(|lane| answer::lane(lane)).collect()
    }

    async fn export_events(&self, out: &mut Out) -> Result<(), Ended> {
        self.export_events_in(Pages::of("ended"), out).await?;
        let mut lanes = Pages::of("lanes");
        while let Some(page) = lanes.next(self).await? {
            for lane in page {
                self.export_events_in(Pages::of(format!("queue:{lane}")), out).await?;
            }
        }
        Ok(())
    }

    async fn export_events_in(&self, mut pages: Pages, out: &mut Out) -> Result<(), Ended> {
        while let Some(ids) = pages.next(self).await? {
            let mut events = Vec::with_capacity(ids.len());
            for (id, fields) in ids.iter().zip(self.hashes("event:", &ids).await?) {
                events.push(event(id, fields)?);
            }
            let lanes: BTreeSet<_> = events.iter().map(|event| lane_word(&event.lane)).collect();
            let lanes: Vec<_> = lanes.into_iter().collect();
            let posted: BTreeMap<_, _> =
                lanes.iter().cloned().zip(self.hashes("posted:", &lanes).await?).collect();
            for mut event in events {
                if let Some(posted) = posted.get(&lane_word(&event.lane))
                    && posted.0.get("event").is_some_and(|id| *id == event.id.to_string())
                {
                    let message = posted.0.get("message").ok_or_else(malformed)?;
                    event.posted = Some(MessageId(answer::parse(message)?));
                }
                out.add(Record::Event(event)).await?;
            }
        }
        Ok(())
    }

    async fn export_turns(&self, out: &mut Out) -> Result<(), Ended> {
        let mut pages = Pages::of("journal");
        while let Some(numbers) = pages.next(self).await? {
            let read = async |hash: &str| {
                let mut command = redis::cmd("HMGET");
                command.arg(self.link.key(hash)).arg(&numbers);
                self.link.query::<Vec<Option<String>>>(&command).await
            };
            let (rows, traces) = (read("rows").await?, read("traces").await?);
            for ((number, row), trace) in numbers.iter().zip(rows).zip(traces) {
                let row = row.ok_or_else(malformed)?;
                let number = answer::parse(number)?;
                out.add(Record::Turn(Box::new(TurnRecord { number, trace, ..read_json(&row)? }))).await?;
            }
        }
        Ok(())
    }

    async fn export_tool_calls(&self, out: &mut Out) -> Result<(), Ended> {
        let mut pages = Pages::of("call-times");
        while let Some(page) = pages.next(self).await? {
            let mut call = self.link.call(&scripts::TOOL_CALLS);
            let mut answer = self.link.ask(call.arg(page)).await?;
            while !answer.is_over() {
                let mut row: ToolCallRow = read_json(&answer.text()?)?;
                // To the microsecond, as it is kept elsewhere.
                let micros = u64::try_from(row.duration.as_micros()).unwrap_or(u64::MAX);
                row.duration = std::time::Duration::from_micros(micros);
                out.add(Record::ToolCall(Box::new(row))).await?;
            }
        }
        Ok(())
    }

    async fn export_forgetting(&self, out: &mut Out) -> Result<(), Ended> {
        let mut command = redis::cmd("SMEMBERS");
        let lanes: Vec<String> = self.link.query(command.arg(self.link.key("forgetting"))).await?;
        for lane in lanes {
            out.add(Record::Forgetting(answer::lane(&lane)?)).await?;
        }
        Ok(())
    }

    async fn export_pauses(&self, out: &mut Out) -> Result<(), Ended> {
        for pause in self.all_pauses().await? {
            out.add(Record::Pause(pause)).await?;
        }
        Ok(())
    }

    async fn export_timers(&self, out: &mut Out) -> Result<(), Ended> {
        for (bot, _) in timers::counts(&self.link).await? {
            let mut command = redis::cmd("ZRANGE");
            command.arg(self.link.key(&format!("timer-next:{bot}"))).arg(0).arg(-1).arg("WITHSCORES");
            let next: HashMap<String, i64> = self.link.query(&command).await?;
            let all = u32::try_from(TIMERS_PER_BOT).unwrap_or(u32::MAX);
            for timer in timers::due(&self.link, &[bot], Timestamp(i64::MAX), all).await? {
                let field = format!("{}:{}", timer.lane.room, timer.name);
                let next_at = next.get(&field).copied().map_or(timer.due_at, Timestamp);
                out.add(Record::Timer(timer, next_at)).await?;
            }
        }
        Ok(())
    }

    async fn export_crons(&self, out: &mut Out) -> Result<(), Ended> {
        for (cron, settled) in self.all_of::<i64>("crons").await? {
            let (bot, name) = cron.split_once(':').ok_or_else(malformed)?;
            let cron = CronKey { bot: bot.into(), name: name.to_owned() };
            out.add(Record::Cron(cron, Timestamp(settled))).await?;
        }
        Ok(())
    }

    async fn export_spending(&self, out: &mut Out) -> Result<(), Ended> {
        for bot in self.named("spent:").await? {
            for (day, usd) in self.all_of::<f64>(&format!("spent:{bot}")).await? {
                out.add(Record::Spending(BotName::from(&*bot), answer::parse(&day)?, usd)).await?;
            }
        }
        Ok(())
    }

    async fn export_keys(&self, out: &mut Out) -> Result<(), Ended> {
        for space in self.named("kv-keys:").await? {
            let (bot, scope) = space.split_once(':').ok_or_else(malformed)?;
            let room = scope.strip_prefix("room:").map(answer::parse).transpose()?.map(RoomId);
            let scope = KvScope { bot: bot.into(), room };
            let mut last: Option<String> = None;
            loop {
                let limit = u32::try_from(PAGE).unwrap_or(u32::MAX);
                let entries = kv::list(&self.link, &scope, "", last.as_deref(), limit).await?;
                let Some(entry) = entries.last() else { break };
                last = Some(entry.key.clone());
                for entry in entries {
                    out.add(Record::Key(scope.clone(), entry)).await?;
                }
            }
        }
        Ok(())
    }

    async fn export_transcripts(&self, out: &mut Out) -> Result<(), Ended> {
        for lane in self.lanes_with_transcripts().await? {
            let Some(known) = self.transcript(&lane).await? else { continue };
            let mut read = 0;
            loop {
                let pieces = self.transcript_pieces(&lane, &known.mark, read).await?;
                if pieces.is_empty() {
                    break;
                }
                for piece in pieces {
                    read += 1;
                    out.add(Record::Piece(lane.clone(), piece)).await?;
                }
            }
            out.add(Record::Transcript(lane, known.mark, known.pieces)).await?;
        }
        Ok(())
    }

    /// What hashes say that an index lists.
    async fn export_hashes(
        &self,
        index: &str,
        prefix: &str,
        read: fn(&str, Fields) -> Result<Record, StoreError>,
        out: &mut Out,
    ) -> Result<(), Ended> {
        let mut pages = Pages::of(index);
        while let Some(page) = pages.next(self).await? {
            for (name, fields) in page.iter().zip(self.hashes(prefix, &page).await?) {
                out.add(read(name, fields)?).await?;
            }
        }
        Ok(())
    }

    async fn hashes(&self, prefix: &str, names: &[String]) -> Result<Vec<Fields>, StoreError> {
        let mut call = self.link.call(&scripts::HASHES);
        for name in names {
            call.arg(format!("{prefix}{name}"));
        }
        let mut answer = self.link.ask(&call).await?;
        names.iter().map(|_| Fields::read(&mut answer)).collect()
    }

    async fn all_of<T: redis::FromRedisValue>(&self, hash: &str) -> Result<Vec<(String, T)>, StoreError> {
        self.link.query(redis::cmd("HGETALL").arg(self.link.key(hash))).await
    }

    /// What follows this in the names of keys.
    pub(super) async fn named(&self, prefix: &str) -> Result<BTreeSet<String>, StoreError> {
        let prefix = self.link.key(prefix);
        let (mut cursor, mut found) = (0_u64, BTreeSet::new());
        loop {
            let mut command = redis::cmd("SCAN");
            command.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(SCANNED);
            let (next, names): (u64, Vec<String>) = self.link.query(&command).await?;
            found.extend(names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned));
            cursor = next;
            if cursor == 0 {
                return Ok(found);
            }
        }
    }
}

fn event(id: &str, mut fields: Fields) -> Result<Box<EventRecord>, StoreError> {
    let hash = BASE64_URL_SAFE_NO_PAD.decode(fields.text("hash")?).map_err(|_| malformed())?;
    let message = Some(fields.text("message")?).filter(|message| !message.is_empty());
    let mut parts = Vec::new();
    for index in 0..fields.parsed("parts")? {
        let state = answer::part_state(&fields.text(&format!("s{index}"))?)?;
        parts.push(OutboxPart { index, content: fields.text(&format!("p{index}"))?, state });
    }
    Ok(Box::new(EventRecord {
        sequence: fields.parsed("sequence")?,
        id: answer::parse(id)?,
        lane: answer::lane(&fields.text("lane")?)?,
        message: message.map(|message| answer::parse(&message).map(MessageId)).transpose()?,
        kind: fields.text("kind")?,
        content_hash: hash.try_into().map_err(|_| malformed())?,
        payload: fields.text("payload")?,
        received_at: fields.timestamp("received")?,
        state: fields.text("state")?,
        ended_at: fields.take("ended").map(|at| answer::parse(&at).map(Timestamp)).transpose()?,
        attempt: fields.parsed("attempt")?,
        earlier: fields.parsed("earlier")?,
        retries: fields.parsed("retries")?,
        verdict: fields.take("verdict").map(|word| rules::end(&word)),
        note: fields.take("note"),
        details: fields.take("details"),
        found: fields.take("found").is_some(),
        stopped: fields.take("stopped").is_some(),
        parts,
        posted: None,
    }))
}

fn conversation(lane: &str, mut fields: Fields) -> Result<Record, StoreError> {
    let session = SessionId(fields.parsed("id")?);
    Ok(Record::Conversation(answer::lane(lane)?, session, fields.timestamp("expires")?))
}

fn room(lane: &str, mut fields: Fields) -> Result<Record, StoreError> {
    Ok(Record::Room(KnownRoom {
        lane: answer::lane(lane)?,
        name: fields.text("name")?.strip_prefix('=').map(str::to_owned),
        read_to: MessageId(fields.parsed("read_to")?),
        heard_at: fields.timestamp("heard")?,
    }))
}

fn chain(chain: &str, mut fields: Fields) -> Result<Record, StoreError> {
    let (room, campfire) = chain.split_once(':').ok_or_else(malformed)?;
    Ok(Record::Chain(ChainRecord {
        campfire: campfire.to_owned(),
        room: RoomId(answer::parse(room)?),
        message: MessageId(fields.parsed("message")?),
        hops: fields.parsed("hops")?,
        counted_at: fields.timestamp("counted")?,
    }))
}

// === impl Out ===

impl Out {
    async fn add(&mut self, record: Record) -> Result<(), Ended> {
        match self.batch.add(record) {
            Some(full) => self.to.send(full).await.map_err(|_| None),
            None => Ok(()),
        }
    }
}

// === impl Pages ===

impl Pages {
    fn of(index: impl Into<String>) -> Self {
        Self { index: index.into(), from: 0 }
    }

    async fn next(&mut self, store: &RedisStore) -> Result<Option<Vec<String>>, StoreError> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(store.link.key(&self.index)).arg(self.from).arg(self.from + PAGE - 1);
        let page: Vec<String> = store.link.query(&command).await?;
        self.from += page.len();
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

// === impl Fields ===

impl Fields {
    fn read(answer: &mut Answer) -> Result<Self, StoreError> {
        let count = answer.parsed::<usize>()?;
        let mut fields = HashMap::with_capacity(count);
        for _ in 0..count {
            fields.insert(answer.text()?, answer.text()?);
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<String, StoreError> {
        self.take(name).ok_or_else(malformed)
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, StoreError> {
        answer::parse(&self.text(name)?)
    }

    fn timestamp(&mut self, name: &str) -> Result<Timestamp, StoreError> {
        self.parsed(name).map(Timestamp)
    }
}
