//! Stores that are copied into others, of both kinds: what is in them, what is shown of it, and how they go on.

mod filled;

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use tokio::sync::mpsc::Sender;

use self::filled::{NOW, at, fill, live};
use super::*;
use crate::{
    id::{HostId, RoomId},
    store::{
        CopyError, Copying, Counters, Kind, KvScope, Mark, Portable, Record, RedisCopy, SqliteCopy,
        SqliteStore, Transcripts, TurnQuery, copy, count,
    },
};

/// A place for a store.
fn place() -> RedisLocation {
    super::at(SHARED.server.port(), PASSWORD)
}

/// The store there, with the callers' clock.
fn open(location: &RedisLocation) -> RedisStore {
    RedisStore { link: Link::new(location, BOUND).unwrap(), clock: Clock::Callers }
}

async fn copy_to(from: &dyn Portable, to: Box<dyn Copying>) -> BTreeMap<String, u64> {
    let copied = copy(from, &*to, &|_, _| ()).await.unwrap();
    to.complete().await.unwrap();
    copied.into_iter().map(|(kind, count)| (kind.to_string(), count)).collect()
}

async fn to_redis(from: &dyn Portable) -> (RedisStore, BTreeMap<String, u64>) {
    let location = place();
    let counts = copy_to(from, Box::new(RedisCopy::begin(&location).await.unwrap())).await;
    RedisStore::open(&location).await.unwrap();
    (open(&location), counts)
}

async fn to_file(from: &dyn Portable, path: &Path) -> (SqliteStore, BTreeMap<String, u64>) {
    let counts = copy_to(from, Box::new(SqliteCopy::begin(path).unwrap())).await;
    (SqliteStore::open(path).unwrap(), counts)
}

/// Everything that the read side of a store shows.
async fn shown(store: &dyn Store) -> String {
    let rows = store.journal(None, 1_000).await.unwrap();
    let mut all = format!("{rows:#?}\n");
    let mut see = |what: &str, shown: &dyn std::fmt::Debug| writeln!(all, "{what}: {shown:#?}").unwrap();
    for row in &rows {
        see("turn", &store.turn(&row.turn).await.unwrap());
        see("trace", &store.trace(&row.turn).await.unwrap());
        see("calls", &store.tool_calls(&row.turn).await.unwrap());
    }
    let turns = TurnQuery { text: Some("replied".into()), limit: Some(7), ..TurnQuery::default() };
    see("turns", &store.turns(&turns).await.unwrap());
    see("spending", &store.spending(Timestamp(0)).await.unwrap());
    see("hours", &store.hours(Timestamp(0)).await.unwrap());
    // Of what was put back the kinds of stores have ideas of their own since when it waits.
    let queues = store.queues().await.unwrap().into_iter();
    see("queues", &queues.map(|queue| (queue.lane, queue.unfinished)).collect::<Vec<_>>());
    see("conversations", &store.conversations(None, Timestamp(0), 1_000).await.unwrap());
    see("pauses", &store.pauses().await.unwrap());
    see("failed", &store.failed_events(None, 1_000).await.unwrap());
    see("rooms", &store.known_rooms().await.unwrap());
    see("unfinished", &store.unfinished_lanes().await.unwrap());
    see("abandoned", &store.abandoned_lanes(at(1_000_000)).await.unwrap());
    let bots = ["a".into(), "b".into()];
    see("timer counts", &{
        let mut counts = store.timer_counts().await.unwrap();
        counts.sort();
        counts
    });
    see("due", &store.due_timers(&bots, at(1_000_000), 1_000).await.unwrap());
    see("next", &store.next_timer(&bots).await.unwrap());
    for bot in bots {
        for day in 0..800 {
            let usd = store.spent(&bot, day).await.unwrap();
            if usd > 0.0 {
                see("spent", &(day, usd));
            }
        }
        for name in ["daily", "weekly"] {
            let cron = CronKey { bot: bot.clone(), name: name.into() };
            see("cron", &store.cron_settled(&cron).await.unwrap());
        }
        for room in [None, Some(RoomId(1)), Some(RoomId(u64::MAX))] {
            let scope = KvScope { bot: bot.clone(), room };
            see("keys", &store.kv_list(&scope, "", None, 1_000).await.unwrap());
        }
        let heard = (0..300).map(MessageId).collect();
        see("unheard", &store.unheard(&bot, heard).await.unwrap());
        for room in 0..filled::ROOMS {
            let lane = LaneKey { bot: bot.clone(), room: RoomId(room) };
            see("timers", &store.timers(&lane).await.unwrap());
        }
    }
    all
}

/// How a store goes on: what each lane is given to do, until there is nothing left, and what is shown after that, and once
/// what is old was swept away.
async fn lived(store: &dyn Store) -> String {
    let mut all = String::new();
    for pause in store.pauses().await.unwrap() {
        assert!(store.resume(&pause.scope).await.unwrap());
    }
    let host = HostId::random();
    for lane in store.unfinished_lanes().await.unwrap() {
        let lease = store.lease(&lane, host, at(1_000), at(2_000)).await.unwrap().expect("nobody has it");
        let mut turn = 0;
        while let Some(begun) = store.begin(&lease, at(1_000)).await.unwrap() {
            turn += 1;
            writeln!(all, "{lane}: {begun:#?}").unwrap();
            let turn = TurnId(format!("{lane}-{turn}").into());
            filled::end(store, &lease, &begun, turn).await;
        }
    }
    for message in 0..300 {
        let delivery = filled::message(LaneKey { bot: "a".into(), room: RoomId(1) }, message);
        writeln!(all, "{message} again: {:?}", store.accept(delivery, 1_000).await.unwrap()).unwrap();
    }
    for by_bot in [true, false, true] {
        let mut hop = filled::message(LaneKey { bot: "a".into(), room: RoomId(5) }, 9_000);
        hop.hop = Some(filled::hop(by_bot));
        writeln!(all, "chain: {:?}", store.accept(hop, 1_000).await.unwrap()).unwrap();
    }
    all += &shown(store).await;
    for before in [at(-80_000), at(50), at(1_000_000)] {
        let keep = Horizon { events: before, journal: before };
        while store.sweep(keep, at(200_000)).await.unwrap().rows > 0 {}
        all += &shown(store).await;
    }
    all
}

#[track_caller]
fn assert_same(one: &str, other: &str) {
    let differ = one.lines().zip(other.lines()).position(|(one, other)| one != other);
    let around = |text: &str| {
        let from = differ.unwrap_or_default().saturating_sub(12);
        text.lines().skip(from).take(24).collect::<Vec<_>>().join("\n")
    };
    assert!(one == other, "{}\n--- is not ---\n{}", around(one), around(other));
}

/// Copies a file to a Redis, that to another one, and that to a file: all four show the same, and go on in the same way.
async fn round_trip(file: SqliteStore, folder: &Path) {
    let before = shown(&file).await;
    let (first, counts) = to_redis(&file).await;
    let (second, again) = to_redis(&first).await;
    let (back, mut last) = to_file(&second, &folder.join("back.db")).await;
    assert_eq!(counts, again);
    last.insert(Kind::Transcripts.to_string(), 0);
    assert_eq!(counts, last);
    assert!(counts[&Kind::Events.to_string()] > 0, "{counts:?}");
    let counters = file.counters().await.unwrap();
    for store in [&first as &dyn Portable, &second, &back] {
        let theirs = store.counters().await.unwrap();
        assert_eq!((theirs.token, theirs.key_version), (counters.token, counters.key_version));
        assert!(theirs.timer_version == counters.timer_version && theirs.sequence >= counters.sequence);
    }
    assert_same(&before, &shown(&file).await);
    // Whoever opens a file knows that those are gone who held its lanes.
    file.close().await;
    let file = SqliteStore::open(&folder.join("hearth.db")).unwrap();
    for store in [&first as &dyn Store, &second, &back] {
        assert_same(&before, &shown(store).await);
    }
    let after = lived(&file).await;
    for store in [&first as &dyn Store, &second, &back] {
        assert_same(&after, &lived(store).await);
    }
}

#[tokio::test]
async fn a_copy_shows_what_the_store_shows_and_goes_on_as_it_would() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("hearth.db")).unwrap();
    fill(&store).await;
    let counts = count(&store, &|_, _| ()).await.unwrap();
    for (kind, count) in counts {
        assert!(count > 0 || kind == Kind::Transcripts, "there is none of {kind} to copy");
    }
    round_trip(store, folder.path()).await;
}

#[tokio::test]
async fn so_does_one_of_a_store_that_has_lived_by_chance() {
    for seed in 1..=3 {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("hearth.db")).unwrap();
        live(&store, seed).await;
        round_trip(store, folder.path()).await;
    }
}

#[tokio::test]
async fn a_store_that_began_in_redis_is_the_same_in_a_file() {
    let (store, ()) = fresh();
    fill(&store).await;
    let before = shown(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = to_file(&store, &folder.path().join("hearth.db")).await;
    assert_same(&before, &shown(&file).await);
    let (other, _) = to_redis(&file).await;
    assert_same(&lived(&file).await, &lived(&other).await);
}

#[tokio::test]
async fn a_lease_on_the_store_that_was_copied_is_none_on_the_copy() {
    let (store, ()) = fresh();
    let lane = LaneKey { bot: "a".into(), room: RoomId(1) };
    store.accept(filled::message(lane.clone(), 1), 10).await.unwrap();
    let old = store.lease(&lane, HostId::random(), NOW, at(60)).await.unwrap().unwrap();
    let begun = store.begin(&old, NOW).await.unwrap().unwrap();
    let (other, _) = to_redis(&store).await;
    let lost = other.note(&old, begun.event, "late").await;
    assert!(matches!(lost, Err(StoreError::LeaseLost(_))), "{lost:?}");
    let new = other.lease(&lane, HostId::random(), NOW, at(60)).await.unwrap().expect("nobody has it");
    assert!(new.token > old.token, "{} is not beyond {}", new.token, old.token);
    assert_eq!(other.begin(&new, NOW).await.unwrap().unwrap().attempt, 2);
}

#[tokio::test]
async fn transcripts_go_along_from_redis_to_redis() {
    let (store, ()) = fresh();
    let lane = LaneKey { bot: "a".into(), room: RoomId(1) };
    store.accept(filled::message(lane.clone(), 1), 10).await.unwrap();
    let lease = store.lease(&lane, HostId::random(), NOW, at(60)).await.unwrap().unwrap();
    let begun = store.begin(&lease, NOW).await.unwrap().unwrap();
    let mark = Mark { session: filled::session(8), bytes: 3_000_000, sha256: [3; 32] };
    let pieces: Vec<Vec<u8>> = (0..5_u8).map(|number| vec![number; 400_000]).collect();
    for (index, piece) in (0..).zip(&pieces[..4]) {
        store.lay_aside(&lease, begun.event, index, piece).await.unwrap();
    }
    assert!(store.keep_transcript(&lease, begun.event, None, &mark, 4, &pieces[4]).await.unwrap());
    filled::end(&store, &lease, &begun, TurnId::random()).await;
    let (other, counts) = to_redis(&store).await;
    assert_eq!(counts[&Kind::Transcripts.to_string()], 1);
    assert_eq!(other.transcript(&lane).await.unwrap(), store.transcript(&lane).await.unwrap());
    let mut read = Vec::new();
    while let more = other.transcript_pieces(&lane, &mark, u32::try_from(read.len()).unwrap()).await.unwrap()
        && !more.is_empty()
    {
        read.extend(more);
    }
    assert!(read == pieces, "{} pieces", read.len());
}

#[tokio::test]
async fn what_is_not_empty_is_no_place_for_a_copy() {
    let (location, folder) = (place(), tempfile::tempdir().unwrap());
    open(&location).spend(&"a".into(), 1, 0.5).await.unwrap();
    let refused = RedisCopy::begin(&location).await.err().expect("there is something").to_string();
    assert!(refused.contains("is not empty: 1 keys lie there") && refused.contains("UNLINK"), "{refused}");
    let path = folder.path().join("hearth.db");
    drop(SqliteStore::open(&path).unwrap());
    let refused = SqliteCopy::begin(&path).err().expect("there is something").to_string();
    assert!(refused.contains("exists already"), "{refused}");
    // A log without its file would be taken for one of the new file.
    std::fs::rename(&path, folder.path().join("other.db")).unwrap();
    std::fs::write(folder.path().join("hearth.db-wal"), "x").unwrap();
    let refused = SqliteCopy::begin(&path).err().expect("there is something").to_string();
    assert!(refused.contains("hearth.db-wal exists already"), "{refused}");
}

#[tokio::test]
async fn a_redis_with_half_a_copy_is_refused_by_hosts_and_by_another_copy() {
    let location = place();
    let half = RedisCopy::begin(&location).await.unwrap();
    for refused in [
        RedisStore::open(&location).await.err().map(|error| error.to_string()),
        RedisCopy::begin(&location).await.err().map(|error| error.to_string()),
    ] {
        let refused = refused.expect("it is incomplete");
        assert!(refused.contains("was broken off") && refused.contains("UNLINK"), "{refused}");
    }
    // Whoever empties it takes it from the copy, if that runs after all.
    half.raise(Counters::default()).await.unwrap();
    let store = RedisStore::look_at(&location).await.unwrap();
    store.link.query::<u8>(redis::cmd("DEL").arg(store.link.key("copying"))).await.unwrap();
    assert!(why(half.raise(Counters::default()).await).contains("removed what was copied"));
}

#[tokio::test]
async fn of_half_a_file_nothing_is_left_and_of_a_killed_copy_what_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/hearth.db");
    let left = || std::fs::read_dir(folder.path().join("deep")).unwrap().count();
    let half = SqliteCopy::begin(&path).unwrap();
    assert!(!path.exists() && left() > 0);
    let again = SqliteCopy::begin(&path).err().expect("one is being made").to_string();
    assert!(again.contains("hearth.db.partial") && again.contains("remove it"), "{again}");
    drop(half);
    assert_eq!(left(), 0);
    let whole: Box<dyn Copying> = Box::new(SqliteCopy::begin(&path).unwrap());
    whole.complete().await.unwrap();
    assert_eq!(left(), 1);
}

/// A store of which somebody takes a lane while it is copied.
struct Busy(RedisStore);

#[async_trait]
impl Portable for Busy {
    async fn counters(&self) -> Result<Counters, StoreError> {
        self.0.counters().await
    }

    async fn export(&self, kind: Kind, out: Sender<Vec<Record>>) -> Result<(), StoreError> {
        let lane = LaneKey { bot: "a".into(), room: RoomId(7) };
        self.0.lease(&lane, HostId::random(), NOW, NOW).await?;
        self.0.export(kind, out).await
    }
}

#[tokio::test]
async fn what_is_copied_of_a_store_that_is_used_meanwhile_is_no_copy_of_it() {
    let busy = Busy(fresh().0);
    busy.0.spend(&"a".into(), 1, 0.5).await.unwrap();
    let to = RedisCopy::begin(&place()).await.unwrap();
    let copied = copy(&busy, &to, &|_, _| ()).await;
    assert!(matches!(copied, Err(CopyError::Used)), "{copied:?}");
}

/// A store of which the last record is lost on the way.
struct Lossy(SqliteCopy);

#[async_trait]
impl Copying for Lossy {
    fn written(&self) -> &dyn Portable {
        self.0.written()
    }

    fn keeps(&self, kind: Kind) -> bool {
        self.0.keeps(kind)
    }

    async fn raise(&self, counters: Counters) -> Result<(), StoreError> {
        self.0.raise(counters).await
    }

    async fn import(&self, mut records: Vec<Record>) -> Result<(), StoreError> {
        records.pop();
        self.0.import(records).await
    }

    async fn complete(self: Box<Self>) -> Result<(), StoreError> {
        Box::new(self.0).complete().await
    }
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_missed() {
    let (store, ()) = fresh();
    for message in 1..4 {
        let lane = LaneKey { bot: "a".into(), room: RoomId(1) };
        store.accept(filled::message(lane, message), 10).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let to = Lossy(SqliteCopy::begin(&folder.path().join("hearth.db")).unwrap());
    let missed = copy(&store, &to, &|_, _| ()).await.unwrap_err().to_string();
    assert!(missed.contains("3 were read, and 2 are in the copy"), "{missed}");
}
