//! What lasts.

use hearth_plugin::{
    kv::{self, Expectation, Scope},
    prelude::*,
    testing::Harness,
};

use crate::{in_room, once, within};

#[test]
fn an_update_begins_anew_when_someone_else_writes_meanwhile() {
    let (counted, attempts) = once(|_| {
        let mut attempts = 0;
        let counted = kv::room().update("count", |count: &mut u32| {
            attempts += 1;
            if attempts < 3 {
                kv::room().set("count", &(10 * attempts)).unwrap();
            }
            *count += 1;
            *count
        });
        (counted, attempts)
    });
    assert_eq!((counted, attempts), (Ok(21), 3));
}

#[test]
fn an_update_gives_up_when_someone_else_always_writes() {
    let (updated, attempts) = once(|_| {
        let mut attempts = 0;
        let updated = kv::room().update("count", |count: &mut u32| {
            attempts += 1;
            kv::room().set("count", &attempts).unwrap();
            *count += 100;
        });
        (updated, attempts)
    });
    assert!(matches!(updated, Err(kv::Error::Conflict(_))), "{updated:?}");
    assert_eq!(attempts, 8);
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    once(|_| {
        kv::bot().update("names", |names: &mut Vec<String>| assert!(names.is_empty())).unwrap();
        assert_eq!(kv::bot().entry("names"), Ok(None));
    });
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_the_key() {
    let error = once(|_| {
        kv::room().set("lunch", "at noon").unwrap();
        kv::room().get::<u32>("lunch").unwrap_err()
    });
    assert!(matches!(&error, kv::Error::Unfit { key, .. } if key == "lunch"), "{error:?}");
}

#[test]
fn a_version_is_never_used_again() {
    once(|_| {
        let first = kv::room().set_bytes("key", b"one", Expectation::Absent).unwrap();
        assert!(kv::room().delete_if("key", Expectation::Version(first)).unwrap());
        let second = kv::room().set_bytes("key", b"one", Expectation::Absent).unwrap();
        assert_ne!(first, second);
        let stale = kv::room().set_bytes("key", b"two", Expectation::Version(first));
        assert!(matches!(stale, Err(kv::Error::Conflict(_))), "{stale:?}");
        assert!(!kv::room().delete("other").unwrap());
    });
}

#[test]
fn a_list_goes_over_pages_in_the_order_of_the_keys_and_keeps_to_its_prefix() {
    once(|_| {
        for n in (0..250).rev() {
            kv::room().set(&format!("n:{n:03}"), &n).unwrap();
        }
        kv::room().set("m:x", "before").unwrap();
        kv::room().set("o:x", "behind").unwrap();
        let numbers: Vec<u32> = kv::room().list("n:").map(|entry| entry.unwrap().json().unwrap()).collect();
        assert_eq!(numbers, (0..250).collect::<Vec<_>>());
        assert_eq!(kv::bot().list("").count(), 0);
    });
}

#[test]
fn a_page_of_large_values_ends_at_a_mebibyte_and_the_list_goes_on() {
    once(|_| {
        let large = vec![b'x'; 64 << 10];
        for n in 0..40 {
            kv::room().set_bytes(&format!("{n:02}"), &large, Expectation::Anything).unwrap();
        }
        assert_eq!(kv::room().list("").count(), 40);
    });
}

#[test]
fn keys_and_values_have_the_limits_of_the_interface() {
    once(|_| {
        for key in ["", &"k".repeat(513)] {
            let refused = kv::room().set(key, "x");
            assert!(matches!(refused, Err(kv::Error::Invalid(_))), "{refused:?}");
        }
        kv::room().set(&"k".repeat(512), "x").unwrap();
        let value = vec![0; (64 << 10) + 1];
        let refused = kv::room().set_bytes("key", &value, Expectation::Anything);
        assert!(matches!(refused, Err(kv::Error::Quota(_))), "{refused:?}");

        let value = vec![0; 64 << 10];
        let full =
            (0..300).find(|n| kv::bot().set_bytes(&n.to_string(), &value, Expectation::Anything).is_err());
        assert_eq!(full, Some(255), "keys count too, so that a little less than 16 MiB of values fits");
        let refused = kv::room().set_bytes("in a room", &value, Expectation::Anything);
        assert!(matches!(refused, Err(kv::Error::Quota(_))), "{refused:?}");
        kv::bot().set_bytes("0", b"replaced by less", Expectation::Anything).unwrap();
    });
}

#[test]
fn a_room_does_not_see_the_keys_of_another_but_all_see_the_bots() {
    let mut harness = Harness::new();
    harness.keep(Scope::Room, "place", "here");
    harness.keep(Scope::Bot, "place", "everywhere");
    let read = |_: &Event| (kv::room().get("place").unwrap(), kv::bot().get("place").unwrap());
    let seen: (Option<String>, Option<String>) = within(&mut harness, read);
    assert_eq!(seen, (Some("here".into()), Some("everywhere".into())));
    let seen: (Option<String>, Option<String>) = in_room(&mut harness, 8, read);
    assert_eq!(seen, (None, Some("everywhere".into())));
    in_room(&mut harness, 7, |_| kv::room().set("place", "there")).unwrap();
    assert_eq!(harness.kept(Scope::Room, "place"), Some(json!("there")));
}
