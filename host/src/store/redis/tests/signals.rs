//! Leases by Redis' own clock, and what hosts say to each other.

use tokio::sync::mpsc;

use super::*;
use crate::{
    id::RoomId,
    store::{Asked, Manner, Signal, Signals, Source},
};

/// A store as hosts open it, and with which other hosts can share it.
fn shared() -> (RedisStore, RedisLocation) {
    let location = at(SHARED.server.port(), PASSWORD);
    (another(&location), location)
}

fn another(location: &RedisLocation) -> RedisStore {
    RedisStore { link: Link::new(location, BOUND).unwrap(), clock: Clock::Redis }
}

fn lane() -> LaneKey {
    LaneKey { bot: "a".into(), room: RoomId(1) }
}

fn message(id: u64) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        lane: lane(),
        message: Some(MessageId(id)),
        kind: "message".to_owned(),
        content_hash: [7; 32],
        payload: "hi".to_owned(),
        received_at: Timestamp::now(),
        source: Source::Other,
        hop: None,
    }
}

/// A host that listens to what it is told.
struct Host {
    id: HostId,
    heard: mpsc::Receiver<Signal>,
    listens: tokio::task::JoinHandle<()>,
}

impl Host {
    async fn listening(location: &RedisLocation) -> Self {
        let (tell, heard) = mpsc::channel(64);
        let (id, store) = (HostId::random(), another(location));
        let hear = move |signal| tell.try_send(signal).unwrap();
        let listens = tokio::spawn(async move { store.listen(id, &hear).await });
        let mut host = Self { id, heard, listens };
        assert_eq!(host.hears().await, Signal::Listening);
        host
    }

    async fn hears(&mut self) -> Signal {
        tokio::time::timeout(BOUND, self.heard.recv()).await.unwrap().unwrap()
    }

    /// Dies, and nobody listens in its place.
    async fn dies(self, store: &RedisStore) {
        self.listens.abort();
        let _ = self.listens.await;
        let channel = store.link.key(&format!("host:{}", self.id));
        while store
            .link
            .query::<(String, u64)>(redis::cmd("PUBSUB").arg("NUMSUB").arg(&channel))
            .await
            .unwrap()
            .1
            > 0
        {
            tokio::task::yield_now().await;
        }
    }
}

async fn ask(store: &RedisStore, host: HostId, manner: Manner) -> Asked {
    let now = Timestamp::now();
    store.ask_for(&lane(), host, now, now.after(Duration::from_mins(1)), manner).await.unwrap()
}

fn granted(asked: Asked) -> Lease {
    let Asked::Granted(lease) = asked else { panic!("{asked:?}") };
    lease
}

/// Has an event of the lane accepted, and answered by a host.
async fn answered_by(store: &RedisStore, host: HostId, id: u64) {
    store.accept(message(id), 10).await.unwrap();
    let lease = granted(ask(store, host, Manner::Insistently).await);
    let begun = store.begin(&lease, Timestamp::now()).await.unwrap().unwrap();
    finish(store, &lease, begun.event).await;
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle);
}

async fn finish(store: &RedisStore, lease: &Lease, event: EventId) {
    let row = JournalRow {
        turn: TurnId::random(),
        event,
        lane: lane(),
        attempt: 1,
        started_at: Timestamp::now(),
        ended_at: Timestamp::now(),
        outcome: "replied".to_owned(),
        details: serde_json::json!({}),
    };
    store.finish(lease, event, End::Done, SessionChange::Keep, row, None).await.unwrap();
}

#[tokio::test]
async fn hosts_whose_clocks_differ_do_not_take_each_others_lanes() {
    let (store, _) = shared();
    let (slow, fast) = (HostId::random(), HostId::random());
    let hour = Duration::from_hours(1);
    let (behind, ahead) = (Timestamp::now().before(hour), Timestamp::now().after(hour));
    let lease = |host, now: Timestamp, long| store.lease_of(host, now, long);
    let minute = Duration::from_mins(1);
    assert!(lease(slow, behind, minute).await.is_some());
    assert!(lease(fast, ahead, minute).await.is_none(), "its clock does not make the lease older");
    store.accept(message(1), 10).await.unwrap();
    assert_eq!(store.abandoned_lanes(ahead).await.unwrap(), []);

    // One that is over is over for a clock that is behind, too.
    let held = lease(slow, behind, Duration::ZERO).await.unwrap();
    assert_eq!(store.abandoned_lanes(behind).await.unwrap(), [lane()]);
    assert!(lease(fast, behind, minute).await.unwrap().token > held.token);
    assert_eq!(store.renew(vec![held], ahead).await.unwrap(), []);
}

impl RedisStore {
    async fn lease_of(&self, host: HostId, now: Timestamp, long: Duration) -> Option<Lease> {
        self.lease(&lane(), host, now, now.after(long)).await.unwrap()
    }
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_ends_by_the_clock_of_redis_and_one_that_is_goes_on() {
    let (store, _) = shared();
    let (one, other) = (HostId::random(), HostId::random());
    let short = Duration::from_millis(300);
    let held = store.lease_of(one, Timestamp::now(), short).await.unwrap();
    // However slow this machine is: the lease begins when Redis grants it.
    let began = Instant::now();
    loop {
        let taken = store.lease_of(other, Timestamp::now(), short).await;
        if taken.is_some() {
            assert!(began.elapsed() >= short.checked_sub(Duration::from_millis(50)).unwrap());
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.renew(vec![held], Timestamp::now().after(short)).await.unwrap(), []);
}

#[tokio::test]
async fn a_free_lane_goes_to_whoever_asks_first_and_stays_where_it_was_as_long_as_that_host_listens() {
    let (store, location) = shared();
    let mut home = Host::listening(&location).await;
    let guest = HostId::random();
    answered_by(&store, home.id, 1).await;

    assert_eq!(ask(&store, guest, Manner::Politely).await, Asked::Idle, "nothing waits there");
    let event = message(2);
    store.accept(event.clone(), 10).await.unwrap();
    assert_eq!(ask(&store, guest, Manner::Politely).await, Asked::Called(event.id));
    assert_eq!(home.hears().await, Signal::Take { lane: lane(), caller: guest });
    let lease = granted(ask(&store, home.id, Manner::Politely).await);
    assert_eq!(ask(&store, guest, Manner::Insistently).await, Asked::Held);
    assert_eq!(store.begin(&lease, Timestamp::now()).await.unwrap().unwrap().attempt, 1);
}

#[tokio::test]
async fn a_lane_moves_when_the_host_that_had_it_is_gone_or_leaves_it() {
    let (store, location) = shared();
    let mut home = Host::listening(&location).await;
    let mut guest = Host::listening(&location).await;
    answered_by(&store, home.id, 1).await;
    store.accept(message(2), 10).await.unwrap();
    assert!(matches!(ask(&store, guest.id, Manner::Politely).await, Asked::Called(_)));
    let Signal::Take { lane: left, caller } = home.hears().await else { panic!() };
    store.leave(&left, caller).await.unwrap();
    assert_eq!(guest.hears().await, Signal::Left { lane: lane() });
    let lease = granted(ask(&store, guest.id, Manner::Insistently).await);
    assert!(store.begin(&lease, Timestamp::now()).await.unwrap().is_some());

    let third = HostId::random();
    store.renew(vec![lease], Timestamp::now()).await.unwrap();
    guest.dies(&store).await;
    granted(ask(&store, third, Manner::Politely).await);

    // The same where nothing was left over.
    let (store, location) = shared();
    let home = Host::listening(&location).await;
    answered_by(&store, home.id, 1).await;
    home.dies(&store).await;
    store.accept(message(2), 10).await.unwrap();
    granted(ask(&store, third, Manner::Politely).await);
}

#[tokio::test]
async fn a_word_that_stops_reaches_the_host_that_runs_and_is_found_by_one_that_did_not_listen() {
    let (store, location) = shared();
    let mut home = Host::listening(&location).await;
    assert!(!store.stop(&lane()).await.unwrap(), "nothing runs");
    let event = message(1);
    store.accept(event.clone(), 10).await.unwrap();
    assert!(!store.stop(&lane()).await.unwrap(), "it waits");
    let lease = granted(ask(&store, home.id, Manner::Politely).await);
    store.begin(&lease, Timestamp::now()).await.unwrap().unwrap();
    assert_eq!(store.stopped(&[lane()]).await.unwrap(), []);

    let stop = Signal::Stop { lane: lane(), event: event.id };
    assert!(store.stop(&lane()).await.unwrap());
    assert_eq!(home.hears().await, stop);
    assert_eq!(store.ask_to_stop(message(2)).await.unwrap(), Stopping::Stopped(event.id));
    assert_eq!(home.hears().await, stop);
    assert_eq!(store.stopped(&[lane()]).await.unwrap(), [(lane(), event.id)]);
    assert!(store.begin(&lease, Timestamp::now()).await.unwrap().unwrap().stopped);
}

#[tokio::test]
async fn one_host_tells_a_room_that_it_is_full_once_until_it_has_drained() {
    let (store, location) = shared();
    let (other, host) = (another(&location), HostId::random());
    answered_by(&store, host, 1).await;
    store.accept(message(2), 1).await.unwrap();
    assert_eq!(other.accept(message(3), 1).await.unwrap(), Acceptance::Refused);
    assert!(store.note_full(&lane(), true).await.unwrap());
    assert!(!other.note_full(&lane(), true).await.unwrap());
    assert!(store.note_full(&lane(), false).await.unwrap(), "it was not told after all");
    assert!(other.note_full(&lane(), true).await.unwrap());
    let lease = granted(ask(&store, host, Manner::Politely).await);
    assert!(!store.note_full(&lane(), true).await.unwrap());
    let event = store.begin(&lease, Timestamp::now()).await.unwrap().unwrap().event;
    finish(&store, &lease, event).await;
    assert_eq!(store.release_if_idle(&lease).await.unwrap(), Release::Idle);
    assert!(store.note_full(&lane(), true).await.unwrap());
}

#[tokio::test]
async fn whoever_listens_is_told_when_it_may_have_missed_something() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = RedisServer::start(folder.path());
    let mut host = Host::listening(&at(server.port(), PASSWORD)).await;
    server.goes_away();
    assert!(server.comes_back());
    assert_eq!(host.hears().await, Signal::Listening);
}

#[tokio::test]
async fn whoever_listens_on_a_connection_that_leads_nowhere_listens_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = RedisServer::start(folder.path());
    let location = at(server.port(), PASSWORD);
    let mut host = Host::listening(&location).await;
    let mut hang = redis::cmd("CLIENT");
    hang.arg("PAUSE").arg(6_000).arg("ALL");
    another(&location).link.query::<String>(&hang).await.unwrap();
    assert_eq!(host.hears().await, Signal::Listening);
}

#[tokio::test]
async fn a_user_who_may_not_publish_loses_no_message() {
    let (store, location) = shared();
    let mut make = redis::cmd("ACL");
    make.arg("SETUSER").arg(&location.prefix).arg(&["on", ">secret", "~*", "+@all", "resetchannels"]);
    store.link.query::<String>(&make).await.unwrap();
    let mute = RedisLocation {
        user: Some(location.prefix.clone()),
        password: Some(SecretString::from("secret")),
        ..location.clone()
    };
    let (mute, mut home) = (another(&mute), Host::listening(&location).await);
    answered_by(&mute, home.id, 1).await;
    assert_eq!(mute.accept(message(2), 10).await.unwrap(), Acceptance::Fresh);
    let lease = granted(ask(&mute, HostId::random(), Manner::Politely).await);
    mute.begin(&lease, Timestamp::now()).await.unwrap().unwrap();
    assert!(mute.stop(&lane()).await.unwrap());
    assert!(home.heard.try_recv().is_err());
    let concerns = mute.concerns().await.unwrap();
    assert!(concerns.iter().any(|concern| concern.contains("&{")), "{concerns:?}");
}
