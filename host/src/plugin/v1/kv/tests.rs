//! Keys and values over a real store.

use super::*;
use crate::{id::RoomId, plugin::v1::bench::Bench, store::Store as _};

async fn bench() -> (Bench, State) {
    let bench = Bench::new().await;
    let state = bench.state(&[Capability::Kv]);
    (bench, state)
}

async fn get(state: &mut State, scope: Scope, key: &str) -> Option<Vec<u8>> {
    Host::get(state, scope, key.to_owned()).await.unwrap().unwrap().map(|entry| entry.value)
}

async fn set(
    state: &mut State,
    scope: Scope,
    key: &str,
    value: &[u8],
    expect: Expectation,
) -> Result<u64, KvError> {
    Host::set(state, scope, key.to_owned(), value.to_vec(), expect).await.unwrap()
}

async fn put(state: &mut State, scope: Scope, key: &str, value: &[u8]) {
    set(state, scope, key, value, Expectation::Anything).await.unwrap();
}

async fn delete(state: &mut State, key: &str, expect: Expectation) -> Result<bool, KvError> {
    Host::delete(state, Scope::Bot, key.to_owned(), expect).await.unwrap()
}

async fn list(state: &mut State, prefix: &str, after: Option<&str>, limit: u32) -> Result<Page, KvError> {
    Host::list(state, Scope::Bot, prefix.to_owned(), after.map(str::to_owned), limit).await.unwrap()
}

fn keys(page: &Page) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.key.as_str()).collect()
}

/// What every function answers, in the order of the interface, as kinds.
async fn kinds(state: &mut State, key: &str) -> [(KvErrorKind, String); 4] {
    let get = Host::get(state, Scope::Bot, key.to_owned()).await.unwrap().unwrap_err();
    let set = set(state, Scope::Bot, key, b"x", Expectation::Anything).await.unwrap_err();
    let delete = delete(state, key, Expectation::Anything).await.unwrap_err();
    let list = list(state, key, None, 10).await.unwrap_err();
    [get, set, delete, list].map(|error| (error.kind, error.message))
}

#[tokio::test]
async fn what_is_written_is_read_until_it_is_removed() {
    let (_bench, mut state) = bench().await;
    assert_eq!(get(&mut state, Scope::Bot, "k").await, None);
    let version = set(&mut state, Scope::Bot, "k", b"\0v", Expectation::Anything).await.unwrap();
    let entry = Host::get(&mut state, Scope::Bot, "k".to_owned()).await.unwrap().unwrap().unwrap();
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.version), ("k", &b"\0v"[..], version));
    assert!(delete(&mut state, "k", Expectation::Anything).await.unwrap());
    assert!(!delete(&mut state, "k", Expectation::Anything).await.unwrap());
}

#[tokio::test]
async fn rooms_and_bots_are_out_of_each_others_reach() {
    let (bench, mut here) = bench().await;
    let mut elsewhere = bench.state(&[Capability::Kv]);
    elsewhere.reach_mut().room = RoomId(99);
    let mut other = bench.state(&[Capability::Kv]);
    other.calling.bot = "other".into();

    put(&mut here, Scope::Room, "k", b"room").await;
    put(&mut here, Scope::Bot, "k", b"bot").await;
    assert_eq!(get(&mut here, Scope::Room, "k").await.as_deref(), Some(&b"room"[..]));
    assert_eq!(get(&mut elsewhere, Scope::Room, "k").await, None);
    assert_eq!(get(&mut elsewhere, Scope::Bot, "k").await.as_deref(), Some(&b"bot"[..]));
    assert_eq!(get(&mut other, Scope::Room, "k").await, None);
    assert_eq!(get(&mut other, Scope::Bot, "k").await, None);
}

#[tokio::test]
async fn a_write_that_expects_wrongly_is_a_conflict() {
    let (_bench, mut state) = bench().await;
    let version = set(&mut state, Scope::Bot, "k", b"1", Expectation::Absent).await.unwrap();
    let newer = set(&mut state, Scope::Bot, "k", b"2", Expectation::Version(version)).await.unwrap();
    for wrong in [Expectation::Absent, Expectation::Version(version)] {
        let refused = set(&mut state, Scope::Bot, "k", b"3", wrong).await.unwrap_err();
        assert_eq!(refused.kind, KvErrorKind::Conflict);
        let refused = delete(&mut state, "k", wrong).await.unwrap_err();
        assert_eq!(refused.kind, KvErrorKind::Conflict);
        assert!(refused.message.ends_with("read it again"), "{}", refused.message);
    }
    assert_eq!(get(&mut state, Scope::Bot, "k").await.as_deref(), Some(&b"2"[..]));
    assert!(delete(&mut state, "k", Expectation::Version(newer)).await.unwrap());
}

#[tokio::test]
async fn a_limit_is_named_in_the_stores_words() {
    let (_bench, mut state) = bench().await;
    let refused =
        set(&mut state, Scope::Bot, "k", &vec![0; 65_537], Expectation::Anything).await.unwrap_err();
    assert_eq!(refused.kind, KvErrorKind::Quota);
    assert_eq!(refused.message, "a value may have 65536 bytes, this one has 65537");
}

#[tokio::test]
async fn a_key_that_is_none_is_invalid_everywhere() {
    let (_bench, mut state) = bench().await;
    let message = |bytes| format!("a key has 1 to 512 bytes, this one has {bytes}");
    let [keyed @ .., list] = kinds(&mut state, &"k".repeat(513)).await;
    for refused in keyed {
        assert_eq!(refused, (KvErrorKind::Invalid, message(513)));
    }
    assert_eq!(list, (KvErrorKind::Invalid, "`prefix` has 513 bytes; a key may have 512".to_owned()));
    let empty = set(&mut state, Scope::Bot, "", b"", Expectation::Anything).await.unwrap_err();
    assert_eq!((empty.kind, empty.message), (KvErrorKind::Invalid, message(0)));
    put(&mut state, Scope::Bot, &"k".repeat(512), b"").await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let (_bench, mut state) = bench().await;
    for key in ["a", "b/1", "b/2", "b/3", "c"] {
        put(&mut state, Scope::Bot, key, key.as_bytes()).await;
    }
    let first = list(&mut state, "b/", None, 2).await.unwrap();
    assert_eq!((keys(&first), first.next.as_deref()), (vec!["b/1", "b/2"], Some("b/2")));
    assert_eq!(first.entries[1].value, b"b/2");
    let last = list(&mut state, "b/", first.next.as_deref(), 2).await.unwrap();
    assert_eq!((keys(&last), last.next.as_deref()), (vec!["b/3"], None));
    let exact = list(&mut state, "b/", None, 3).await.unwrap();
    assert_eq!((exact.entries.len(), exact.next), (3, None));
    assert_eq!(list(&mut state, "x", None, 100).await.unwrap().entries.len(), 0);
}

#[tokio::test]
async fn a_page_ends_at_its_bytes_and_the_next_goes_on_there() {
    let (_bench, mut state) = bench().await;
    let names: Vec<_> = (10..40).map(|number| number.to_string()).collect();
    for name in &names {
        put(&mut state, Scope::Bot, name, &vec![7; 65_536]).await;
    }
    let (mut after, mut read, mut pages) = (None::<String>, Vec::new(), 0);
    loop {
        let page = list(&mut state, "", after.as_deref(), 100).await.unwrap();
        let bytes: usize = page.entries.iter().map(|entry| entry.key.len() + entry.value.len()).sum();
        assert!(bytes <= PAGE_BYTES, "{bytes}");
        read.extend(page.entries.into_iter().map(|entry| entry.key));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((read, pages), (names, 2));
}

#[tokio::test]
async fn a_page_of_another_size_is_invalid() {
    let (_bench, mut state) = bench().await;
    for limit in [0, 101, u32::MAX] {
        let refused = list(&mut state, "", None, limit).await.unwrap_err();
        assert_eq!(refused.kind, KvErrorKind::Invalid);
        assert_eq!(refused.message, format!("a page has 1 to 100 entries, not {limit}"));
    }
    let refused = list(&mut state, "", Some(&"k".repeat(513)), 1).await.unwrap_err();
    assert_eq!(refused.message, "`after` has 513 bytes; a key may have 512");
}

#[tokio::test]
async fn a_store_that_fails_is_unavailable_and_its_trouble_not_told() {
    let (bench, mut state) = bench().await;
    bench.store.close().await;
    for refused in kinds(&mut state, "k").await {
        let message = "the host's store does not work now; try again later".to_owned();
        assert_eq!(refused, (KvErrorKind::Unavailable, message));
    }
}

#[tokio::test]
async fn nothing_is_reached_without_the_grant() {
    let bench = Bench::new().await;
    let mut state = bench.state(&[Capability::Campfire]);
    for (kind, message) in kinds(&mut state, "k").await {
        assert_eq!(kind, KvErrorKind::Denied);
        assert_eq!(message, state.denied(Capability::Kv));
    }
}
