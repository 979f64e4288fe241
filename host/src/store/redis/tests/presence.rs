use super::*;
use crate::store::{HOSTS, Presence};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000)
}

async fn present(store: &RedisStore, now: Timestamp) -> Vec<String> {
    let mut present = store.present(now).await.unwrap();
    present.sort();
    present
}

#[tokio::test]
async fn a_host_is_there_from_its_word_until_its_farewell_or_the_time_it_named() {
    let (store, ()) = fresh();
    let (one, other) = (HostId::random(), HostId::random());
    assert_eq!(present(&store, NOW).await, [""; 0]);
    assert_eq!(store.announce(one, "one", NOW, at(20)).await.unwrap(), 1);
    assert_eq!(store.announce(other, "other", at(5), at(25)).await.unwrap(), 2);
    assert_eq!(store.announce(one, "one again", at(5), at(25)).await.unwrap(), 2);
    assert_eq!(present(&store, at(6)).await, ["one again", "other"]);
    store.withdraw(one).await.unwrap();
    store.withdraw(one).await.unwrap();
    assert_eq!(present(&store, at(6)).await, ["other"]);
    assert_eq!(present(&store, at(24)).await, ["other"]);
    assert_eq!(present(&store, at(25)).await, [""; 0]);
    // Whoever comes next clears away what it left.
    assert_eq!(store.announce(one, "one", at(25), at(45)).await.unwrap(), 1);
    let left: u32 = store.link.query(redis::cmd("HLEN").arg(store.link.key("hosts"))).await.unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn there_is_a_limit_to_how_many_hosts_are_there() {
    let (store, ()) = fresh();
    let first = HostId::random();
    store.announce(first, "first", NOW, at(20)).await.unwrap();
    for _ in 1..HOSTS {
        store.announce(HostId::random(), "another", NOW, at(20)).await.unwrap();
    }
    let one_too_many = store.announce(HostId::random(), "one too many", NOW, at(20)).await;
    assert!(matches!(one_too_many, Err(StoreError::Quota(_))), "{one_too_many:?}");
    assert_eq!(store.announce(first, "first again", NOW, at(20)).await.unwrap(), HOSTS as usize);
    assert_eq!(store.present(NOW).await.unwrap().len(), HOSTS as usize);
}
