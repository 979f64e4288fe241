//! Time is tokio's, which jumps to the next sleep's end when nothing else can go on. The store has threads of its own,
//! so that is also so while only it is waited for: hence nobody sleeps here but the alarm, and [`World::set`] keeps busy.

use std::{
    sync::atomic::{AtomicI64, AtomicU32, Ordering},
    task::Poll,
};

use proptest::prelude::*;
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{
    config::Config,
    store::{Kept, SqliteStore},
};

/// 2027-01-15, 08:00 UTC, a Friday.
const START: Timestamp = Timestamp(1_800_000_000_000);
const MINUTE: Duration = Duration::from_mins(1);

/// Lanes that tell what comes in, and when, and that can be full or broken.
struct Lane {
    store: Arc<SqliteStore>,
    came: Sender<(String, Timestamp)>,
    queue_limit: AtomicU32,
    failures: AtomicU32,
}

#[async_trait]
impl Fires for Lane {
    async fn fire(&self, due: Due, event: NewEvent) -> Result<Fired, StoreError> {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreError::Unavailable("disk full".into()));
        }
        let (payload, at) = (event.payload.clone(), event.received_at);
        let fired = self.store.fire(due, event, self.queue_limit.load(Ordering::Relaxed)).await?;
        let Ok(Occasion::Timer(come)) = serde_json::from_str(&payload) else { panic!("{payload}") };
        let told = format!("{} in {}", come.name, come.room);
        match fired {
            Fired::Fresh => self.came.send((told, at)).await.unwrap(),
            Fired::Full => self.came.send((format!("no {told}"), at)).await.unwrap(),
            Fired::Gone => {}
        }
        Ok(fired)
    }
}

/// An alarm whose wall clock follows tokio's, and can be set.
struct World {
    store: Arc<SqliteStore>,
    roster: Arc<Roster>,
    lane: Arc<Lane>,
    timer_set: Arc<Notify>,
    began: Instant,
    offset: Arc<AtomicI64>,
    /// What came, and with "no" what would have, had its lane not been full.
    came: Receiver<(String, Timestamp)>,
    alarm: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl World {
    fn new(bots: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("hearth.db")).unwrap());
        let (sender, came) = channel(100);
        let lane = Lane {
            store: Arc::clone(&store),
            came: sender,
            queue_limit: AtomicU32::new(100),
            failures: AtomicU32::new(0),
        };
        let world = Self {
            store,
            roster: Arc::default(),
            lane: Arc::new(lane),
            timer_set: Arc::default(),
            began: Instant::now(),
            offset: Arc::default(),
            came,
            alarm: None,
            _folder: folder,
        };
        world.seat(bots);
        world
    }

    /// Puts these bots in place.
    fn seat(&self, bots: &str) {
        let config = Config::parse("bots.toml".as_ref(), bots, &|_| None).unwrap();
        for bot in config.bots.values() {
            self.roster.seat(Seat { bot: Arc::clone(bot), generation: None });
        }
    }

    fn start(&mut self) {
        let (began, offset) = (self.began, Arc::clone(&self.offset));
        let alarm = Alarm {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            roster: Arc::clone(&self.roster),
            lanes: Arc::clone(&self.lane) as Arc<dyn Fires>,
            timer_set: Arc::clone(&self.timer_set),
            clock: move || {
                let real = START.after(began.elapsed());
                Timestamp(real.0 + offset.load(Ordering::Relaxed))
            },
            // For want of a plugin: with a `model` it takes none.
            takes: |seat| seat.bot.model.is_none(),
        };
        self.alarm = Some(tokio::spawn(alarm.run()));
    }

    async fn stop(&mut self) {
        let alarm = self.alarm.take().unwrap();
        alarm.abort();
        assert!(alarm.await.unwrap_err().is_cancelled());
    }

    async fn set(&self, bot: &str, room: u64, name: &str, due_at: Timestamp) {
        let lane = LaneKey { bot: bot.into(), room: RoomId(room) };
        let mut set = self.store.set_timer(&lane, name, due_at, "");
        loop {
            if let Poll::Ready(set) = futures_util::poll!(&mut set) {
                set.unwrap();
                return self.timer_set.notify_one();
            }
            tokio::task::yield_now().await;
        }
    }

    /// What comes next, and how many seconds after the start it did.
    async fn next(&mut self) -> (String, i64) {
        let (name, at) = self.came.recv().await.unwrap();
        (name, (at.0 - START.0) / 1000)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(alarm) = &self.alarm {
            alarm.abort();
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(START.0 + seconds * 1000)
}

const PLAIN: &str = "bots.a.plugin = 'a'";

#[tokio::test(start_paused = true)]
async fn timers_come_when_they_are_due_in_their_order() {
    let mut world = World::new(PLAIN);
    for (name, seconds) in [("hour", 3600), ("now", 0), ("past", -86_400), ("minute", 60)] {
        world.set("a", 1, name, at(seconds)).await;
    }
    world.start();
    for expected in [("past in 1", 0), ("now in 1", 0), ("minute in 1", 60), ("hour in 1", 3600)] {
        let (name, seconds) = world.next().await;
        assert_eq!((name.as_str(), seconds), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_earlier_timer_that_is_set_meanwhile_wakes_it() {
    let mut world = World::new(PLAIN);
    world.set("a", 1, "first", at(3)).await;
    world.set("a", 1, "late", at(25)).await;
    world.start();
    assert_eq!(world.next().await, ("first in 1".into(), 3));
    world.set("a", 1, "early", at(4)).await;
    assert_eq!(world.next().await, ("early in 1".into(), 4));
    assert_eq!(world.next().await, ("late in 1".into(), 25));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_is_noticed_within_the_longest_sleep() {
    let mut world = World::new(PLAIN);
    world.set("a", 1, "first", at(3)).await;
    world.set("a", 1, "tomorrow", at(86_400)).await;
    world.start();
    assert_eq!(world.next().await.1, 3);
    world.offset.store(86_400_000, Ordering::Relaxed);
    let (_, seconds) = world.next().await;
    assert!((86_400..=86_440).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_is_tried_again_until_there_is_room_and_others_need_not_wait() {
    let mut world = World::new(PLAIN);
    world.lane.queue_limit.store(1, Ordering::Relaxed);
    for (room, name) in [(1, "first"), (1, "second"), (2, "other")] {
        world.set("a", room, name, at(0)).await;
    }
    world.start();
    for expected in ["first in 1", "no second in 1", "other in 2"] {
        assert_eq!(world.next().await, (expected.into(), 0));
    }
    for tried in 1..=3 {
        assert_eq!(world.next().await, ("no second in 1".into(), tried * 5));
    }
    world.lane.queue_limit.store(2, Ordering::Relaxed);
    assert_eq!(world.next().await, ("second in 1".into(), 20));
}

#[tokio::test(start_paused = true)]
async fn more_timers_than_are_read_at_once_all_come() {
    let mut world = World::new(PLAIN);
    for timer in 0..BATCH * 2 + 3 {
        world.set("a", u64::from(timer / 100), &format!("{timer:03}"), at(0)).await;
    }
    world.lane.queue_limit.store(1000, Ordering::Relaxed);
    world.start();
    let mut came = HashSet::new();
    for _ in 0..BATCH * 2 + 3 {
        assert!(came.insert(world.next().await.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_delays_timers_and_loses_none() {
    let mut world = World::new(PLAIN);
    world.set("a", 1, "x", at(0)).await;
    world.lane.failures.store(3, Ordering::Relaxed);
    world.start();
    let (name, seconds) = world.next().await;
    assert!(name == "x in 1" && (3..=4).contains(&seconds), "0.5 s, 1 s and 2 s later: {seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_timer_whose_room_is_not_served_any_more_waits() {
    let mut world = World::new("bots.a = { plugin = 'a', rooms = [2] }");
    world.set("a", 1, "x", at(0)).await;
    world.set("a", 2, "y", at(0)).await;
    world.start();
    assert_eq!(world.next().await, ("y in 2".into(), 0));
    world.seat(PLAIN);
    let (name, seconds) = world.next().await;
    assert!(name == "x in 1" && (3600..3660).contains(&seconds), "{name} {seconds}");
}

#[tokio::test(start_paused = true)]
async fn timers_of_a_bot_that_is_gone_wait_until_it_is_back() {
    let mut world = World::new(PLAIN);
    world.set("b", 1, "x", at(0)).await;
    world.set("a", 1, "y", at(1)).await;
    world.start();
    assert_eq!(world.next().await, ("y in 1".into(), 1));
    world.seat("bots.b.plugin = 'b'");
    assert_eq!(world.next().await, ("x in 1".into(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_bot_whose_plugin_can_not_take_timers_keeps_them_until_it_can() {
    let mut world = World::new("bots.a.plugin = 'a'\nbots.unable = { plugin = 'b', model = 'x' }");
    world.set("unable", 1, "x", at(0)).await;
    world.set("a", 1, "y", at(60)).await;
    world.start();
    assert_eq!(world.next().await, ("y in 1".into(), 60));
    // As a reload does.
    world.seat("bots.unable.plugin = 'a'");
    assert_eq!(world.next().await, ("x in 1".into(), 60));
}

#[tokio::test(start_paused = true)]
async fn two_hosts_on_one_store_let_a_timer_come_once() {
    let mut world = World::new(PLAIN);
    for timer in 0..20 {
        world.set("a", 1, &format!("{timer:02}"), at(1)).await;
    }
    world.set("a", 1, "last", at(60)).await;
    world.start();
    let first = world.alarm.take();
    world.start();
    let mut came = HashSet::new();
    for _ in 0..20 {
        assert!(came.insert(world.next().await.0));
    }
    assert_eq!(world.next().await.0, "last in 1");
    first.unwrap().abort();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_sets_a_timer_for_now_each_time_is_slowed_down() {
    let mut world = World::new(PLAIN);
    world.set("a", 1, "again", at(0)).await;
    world.start();
    for _ in 0..20 {
        world.next().await;
        world.set("a", 1, "again", at(0)).await;
    }
    assert!(world.began.elapsed() >= SHORTEST_SLEEP * 19, "{:?}", world.began.elapsed());
}

// === the operator's times ===

const EVERY_HOUR: &str = "[bots.a]\nplugin = 'a'\n[bots.a.cron.hourly]\nat = '0 * * * *'\nroom = 7\n";

#[tokio::test(start_paused = true)]
async fn an_operators_time_comes_again_and_again() {
    let mut world = World::new(EVERY_HOUR);
    world.start();
    for hour in 1..=3 {
        assert_eq!(world.next().await, ("hourly in 7".into(), hour * 3600), "not at once: it is new");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_neither_repeats_an_operators_time_nor_loses_it() {
    let mut world = World::new(EVERY_HOUR);
    world.start();
    assert_eq!(world.next().await.1, 3600);
    world.stop().await;
    world.start();
    assert_eq!(world.next().await.1, 7200);
    world.stop().await;
    sleep(90 * MINUTE).await;
    world.start();
    assert_eq!(world.next().await.1, 7200 + 5400, "half an hour late");
    assert_eq!(world.next().await.1, 4 * 3600);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_night_only_the_latest_time_comes_if_it_is_not_too_late() {
    let twice = format!("{EVERY_HOUR}[bots.a.cron.nine]\nat = '0 9 * * *'\nroom = 7\n");
    let mut world = World::new(&twice);
    world.start();
    let mut first = [world.next().await, world.next().await];
    first.sort();
    assert_eq!(first, [("hourly in 7".into(), 3600), ("nine in 7".into(), 3600)]);
    world.stop().await;
    sleep(Duration::from_hours(25) + 30 * MINUTE).await;
    world.start();
    let hour = 3600;
    assert_eq!(
        world.next().await,
        ("hourly in 7".into(), 26 * hour + hour / 2),
        "one for all that were missed"
    );
    assert_eq!(
        world.next().await,
        ("hourly in 7".into(), 27 * hour),
        "and of `nine` none: it is late by more than 1 h"
    );
}

#[tokio::test(start_paused = true)]
async fn an_operators_time_waits_for_a_full_lane() {
    let mut world = World::new(EVERY_HOUR);
    world.lane.queue_limit.store(0, Ordering::Relaxed);
    world.start();
    for tried in 0..3 {
        assert_eq!(world.next().await, ("no hourly in 7".into(), 3600 + tried * 5));
    }
    world.lane.queue_limit.store(1, Ordering::Relaxed);
    assert_eq!(world.next().await, ("hourly in 7".into(), 3615));
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_takes_effect() {
    let mut world = World::new(EVERY_HOUR);
    world.start();
    assert_eq!(world.next().await.1, 3600);
    world.seat(&EVERY_HOUR.replace("0 *", "30 *"));
    assert_eq!(world.next().await.1, 3600 + 1800);
}

// === what is to be done ===

fn schedule(at: &str, zone: &str) -> Schedule {
    let source = format!("[bots.a]\nplugin = 'a'\n[bots.a.cron.x]\nat = '{at}'\nzone = '{zone}'\nroom = 7\n");
    let config = Config::parse("bots.toml".as_ref(), &source, &|_| None).unwrap();
    config.bots.into_values().next().unwrap().cron[0].schedule.clone()
}

#[test]
fn a_time_comes_to_the_edge_of_its_catch_up_and_not_after() {
    let hourly = schedule("0 * * * *", "UTC");
    let daily = schedule("0 9 * * *", "UTC");
    let nine = at(3600);
    assert_eq!(step(&daily, START, nine.before(Duration::from_millis(1)), MINUTE), Step::Wait);
    assert_eq!(step(&daily, START, nine, MINUTE), Step::Fire(nine));
    assert_eq!(step(&daily, START, nine.after(MINUTE), MINUTE), Step::Fire(nine));
    assert_eq!(step(&daily, START, Timestamp(nine.after(MINUTE).0 + 1), MINUTE), Step::Settle);
    assert_eq!(step(&daily, nine, nine.after(MINUTE), MINUTE), Step::Wait);
    assert_eq!(step(&hourly, START, at(5 * 3600 + 5), MINUTE), Step::Fire(at(5 * 3600)));
    assert_eq!(step(&hourly, at(3600), START, MINUTE), Step::Wait, "the clock was set back");
}

proptest! {
    #[test]
    fn what_comes_is_the_latest_that_is_not_settled(settled in 0..200_i64, late in 0..200_i64, catch_up in 1..300_i64) {
        let minutely = schedule("* * * * *", "UTC");
        let (settled, now) = (at(settled), at(settled + late));
        let span = Duration::from_secs(catch_up.unsigned_abs());
        let latest = Timestamp(now.0 - now.0.rem_euclid(60_000));
        let expected = if latest <= settled {
            Step::Wait
        } else if now.since(latest) <= span {
            Step::Fire(latest)
        } else {
            Step::Settle
        };
        prop_assert_eq!(step(&minutely, settled, now, span), expected);
    }
}
