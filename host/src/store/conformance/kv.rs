//! The plugins' key-value space.

use super::*;
use crate::store::{
    KV_BYTES_PER_BOT, KV_KEY_BYTES, KV_KEYS_PER_BOT, KV_VALUE_BYTES, KvExpect, KvScope, StoreError,
};

fn shared(bot: &str) -> KvScope {
    KvScope { bot: bot.into(), room: None }
}

fn room(bot: &str, room: u64) -> KvScope {
    KvScope { bot: bot.into(), room: Some(RoomId(room)) }
}

async fn set(store: &dyn Store, scope: &KvScope, key: &str, value: &[u8]) -> Result<u64, StoreError> {
    store.kv_set(scope, key, value.to_vec(), KvExpect::Anything).await
}

async fn keys(
    store: &dyn Store,
    scope: &KvScope,
    prefix: &str,
    after: Option<&str>,
    limit: u32,
) -> Vec<String> {
    store.kv_list(scope, prefix, after, limit).await.unwrap().into_iter().map(|entry| entry.key).collect()
}

pub(in crate::store) async fn a_key_is_written_read_and_removed(store: &dyn Store) {
    let scope = shared("a");
    assert_eq!(store.kv_get(&scope, "k").await.unwrap(), None);
    let version = set(store, &scope, "k", b"\0value").await.unwrap();
    let entry = store.kv_get(&scope, "k").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), &entry.value[..], entry.version), ("k", &b"\0value"[..], version));
    assert!(store.kv_delete(&scope, "k", KvExpect::Anything).await.unwrap());
    assert!(!store.kv_delete(&scope, "k", KvExpect::Anything).await.unwrap());
    assert_eq!(store.kv_get(&scope, "k").await.unwrap(), None);
}

pub(in crate::store) async fn a_write_with_a_wrong_expectation_conflicts_and_changes_nothing(
    store: &dyn Store,
) {
    let scope = shared("a");
    let missing = store.kv_set(&scope, "k", vec![1], KvExpect::Version(1)).await;
    assert!(matches!(missing, Err(StoreError::Conflict)));
    let missing = store.kv_delete(&scope, "k", KvExpect::Version(1)).await;
    assert!(matches!(missing, Err(StoreError::Conflict)));
    assert!(!store.kv_delete(&scope, "k", KvExpect::Absent).await.unwrap());

    let first = store.kv_set(&scope, "k", vec![1], KvExpect::Absent).await.unwrap();
    let second = store.kv_set(&scope, "k", vec![2], KvExpect::Version(first)).await.unwrap();
    assert_ne!(first, second);
    for wrong in [KvExpect::Absent, KvExpect::Version(first)] {
        let refused = store.kv_set(&scope, "k", vec![3], wrong).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{wrong:?}");
        let refused = store.kv_delete(&scope, "k", wrong).await;
        assert!(matches!(refused, Err(StoreError::Conflict)), "{wrong:?}");
    }
    let entry = store.kv_get(&scope, "k").await.unwrap().unwrap();
    assert_eq!((entry.value, entry.version), (vec![2], second));
    assert!(store.kv_delete(&scope, "k", KvExpect::Version(second)).await.unwrap());
}

pub(in crate::store) async fn a_version_never_comes_back(store: &dyn Store) {
    let scope = shared("a");
    let mut last = 0;
    for _ in 0..3 {
        let version = set(store, &scope, "k", b"same").await.unwrap();
        assert!(version > last);
        last = version;
        store.kv_delete(&scope, "k", KvExpect::Anything).await.unwrap();
    }
}

pub(in crate::store) async fn rooms_and_bots_do_not_see_each_others_keys(store: &dyn Store) {
    let scopes = [shared("a"), room("a", 1), room("a", 2), shared("b"), room("b", 1)];
    for (number, scope) in (0_u8..).zip(&scopes) {
        set(store, scope, "k", &[number]).await.unwrap();
    }
    for (number, scope) in (0_u8..).zip(&scopes) {
        assert_eq!(store.kv_get(scope, "k").await.unwrap().unwrap().value, [number], "{scope:?}");
        assert_eq!(keys(store, scope, "", None, 10).await, ["k"], "{scope:?}");
    }
}

pub(in crate::store) async fn keys_are_listed_by_prefix_in_order_and_page_by_page(store: &dyn Store) {
    let scope = room("a", 1);
    for key in ["b", "a/2", "a/1", "a/10", "a", "a0", "", "é/1", "\u{10FFFF}x"] {
        set(store, &scope, key, key.as_bytes()).await.unwrap();
    }
    assert_eq!(keys(store, &scope, "a/", None, 10).await, ["a/1", "a/10", "a/2"]);
    assert_eq!(keys(store, &scope, "a/", None, 2).await, ["a/1", "a/10"]);
    assert_eq!(keys(store, &scope, "a/", Some("a/10"), 2).await, ["a/2"]);
    assert_eq!(keys(store, &scope, "a/", Some("a/2"), 2).await, [""; 0]);
    assert_eq!(keys(store, &scope, "a/", Some("a"), 1).await, ["a/1"], "before the prefix");
    assert_eq!(keys(store, &scope, "a/", Some("z"), 1).await, [""; 0], "behind the prefix");
    let all = ["", "a", "a/1", "a/10", "a/2", "a0", "b", "é/1", "\u{10FFFF}x"];
    assert_eq!(keys(store, &scope, "", None, 100).await, all);
    assert_eq!(keys(store, &scope, "", Some(""), 100).await, all[1..]);
    assert_eq!(keys(store, &scope, "\u{10FFFF}", None, 100).await, all[8..]);
    let entry = &store.kv_list(&scope, "b", None, 1).await.unwrap()[0];
    assert_eq!(Some(entry), store.kv_get(&scope, "b").await.unwrap().as_ref());
}

pub(in crate::store) async fn wildcards_of_other_languages_are_plain_characters(store: &dyn Store) {
    let scope = shared("a");
    for key in ["50%", "50% off", "500", "a_b", "axb", "a*", "A_B"] {
        set(store, &scope, key, b"").await.unwrap();
    }
    assert_eq!(keys(store, &scope, "50%", None, 10).await, ["50%", "50% off"]);
    assert_eq!(keys(store, &scope, "a_", None, 10).await, ["a_b"]);
    assert_eq!(keys(store, &scope, "a*", None, 10).await, ["a*"]);
}

pub(in crate::store) async fn a_key_or_value_that_is_too_long_is_refused(store: &dyn Store) {
    let scope = shared("a");
    set(store, &scope, &"k".repeat(KV_KEY_BYTES), &vec![0; KV_VALUE_BYTES]).await.unwrap();
    let refused = set(store, &scope, &"é".repeat(KV_KEY_BYTES / 2 + 1), b"").await.unwrap_err();
    assert_eq!(refused.to_string(), "a key may have 512 bytes, this one has 514");
    assert!(matches!(refused, StoreError::Quota(_)));
    let refused = set(store, &scope, "k", &vec![0; KV_VALUE_BYTES + 1]).await.unwrap_err();
    assert_eq!(refused.to_string(), "a value may have 65536 bytes, this one has 65537");
    assert!(matches!(refused, StoreError::Quota(_)));
}

pub(in crate::store) async fn a_bot_has_a_limited_number_of_keys(store: &dyn Store) {
    let rooms = [shared("a"), room("a", 1)];
    let writes = (0..KV_KEYS_PER_BOT).map(async |number| {
        let scope = &rooms[usize::from(number % 2 == 0)];
        set(store, scope, &number.to_string(), b"").await.unwrap();
    });
    futures_util::future::join_all(writes).await;
    let refused = set(store, &room("a", 2), "one more", b"").await.unwrap_err();
    assert_eq!(refused.to_string(), "a bot may have 10000 keys; delete some first");
    assert!(matches!(refused, StoreError::Quota(_)));

    set(store, &rooms[0], "1", b"an old key may change").await.unwrap();
    set(store, &shared("b"), "another bot's", b"").await.unwrap();
    store.kv_delete(&rooms[0], "1", KvExpect::Anything).await.unwrap();
    set(store, &room("a", 2), "one more", b"").await.unwrap();
}

pub(in crate::store) async fn a_bot_has_a_limited_number_of_bytes(store: &dyn Store) {
    let scope = shared("a");
    let value = vec![0; KV_VALUE_BYTES - 3];
    let full = KV_BYTES_PER_BOT / KV_VALUE_BYTES as u64;
    for number in 0..full {
        set(store, &scope, &format!("{number:03}"), &value).await.unwrap();
    }
    let refused = set(store, &room("a", 1), "k", b"").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a bot may keep 16777216 bytes, keys and values together; delete some first"
    );
    assert!(matches!(refused, StoreError::Quota(_)));

    set(store, &scope, "000", &value[1..]).await.unwrap();
    set(store, &room("a", 1), "k", b"").await.unwrap();
    assert!(matches!(set(store, &room("a", 1), "k", b"1").await, Err(StoreError::Quota(_))));
    store.kv_delete(&scope, "001", KvExpect::Anything).await.unwrap();
    set(store, &room("a", 1), "k", b"1").await.unwrap();
}
