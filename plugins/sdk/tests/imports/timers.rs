//! Timers and the clock.

use std::time::Duration;

use hearth_plugin::{Capability, clock, log::Level, prelude::*, schedule, testing::Harness};

use crate::{ACT, in_room, within};

#[test]
fn timers_come_in_order_each_at_its_time_and_in_its_room() {
    let mut harness = Harness::new();
    within(&mut harness, |_| schedule::after("later", Duration::from_mins(20), "")).unwrap();
    in_room(&mut harness, 8, |_| schedule::after("sooner", Duration::from_mins(1), "")).unwrap();
    within(&mut harness, |_| schedule::after("never", Duration::from_secs(30), "")).unwrap();
    assert_eq!(within(&mut harness, |_| schedule::cancel("never")), Ok(true));
    assert_eq!(within(&mut harness, |_| schedule::cancel("never")), Ok(false));
    assert_eq!(harness.pending().len(), 2);
    let here = within(&mut harness, |_| schedule::list()).unwrap();
    assert_eq!(here.iter().map(|pending| pending.name.as_str()).collect::<Vec<_>>(), ["later"]);
    assert_eq!(
        harness.advance(Duration::from_hours(1)),
        [
            Ok(reply(text("sooner in room 8 at 2026-01-01T00:01:00Z"))),
            Ok(reply(text("later in room 7 at 2026-01-01T00:20:00Z"))),
        ]
    );
    assert_eq!(harness.pending(), []);
    assert_eq!(clock::rfc3339(harness.now()), "2026-01-01T01:00:00Z");
}

#[test]
fn a_timer_of_the_same_name_is_replaced_and_keeps_a_payload_of_any_type() {
    let mut harness = Harness::new();
    within(&mut harness, |_| {
        schedule::at("tea", 0, "plain").unwrap();
        schedule::at("tea", clock::now() + 5000, &json!({ "cups": 2 })).unwrap();
    });
    let pending = harness.pending();
    assert_eq!((pending.len(), pending[0].payload.as_str()), (1, r#"{"cups":2}"#));
    let timer = testing::timer("tea", &pending[0].payload);
    assert_eq!(timer.payload_as::<serde_json::Value>(), Ok(json!({ "cups": 2 })));
    assert!(timer.payload_as::<u32>().unwrap_err().message().contains("the timer `tea`"));
}

#[test]
fn timers_have_the_limits_of_the_interface() {
    within(&mut Harness::new(), |_| {
        let day = Duration::from_hours(24);
        for refused in [
            schedule::after("", day, ""),
            schedule::after(&"n".repeat(129), day, ""),
            schedule::after("far", 367 * day, ""),
            schedule::after("heavy", day, &"p".repeat((4 << 10) + 1)),
        ] {
            assert!(matches!(refused, Err(schedule::Error::Invalid(_))), "{refused:?}");
        }
        for n in 0..100 {
            schedule::after(&n.to_string(), 366 * day, "").unwrap();
        }
        schedule::after("99", day, "replaced").unwrap();
        let refused = schedule::after("100", day, "");
        assert!(matches!(refused, Err(schedule::Error::Quota(_))), "{refused:?}");
    });
}

#[test]
fn without_its_grant_the_clock_stands_still_at_what_the_turn_is_about() {
    let mut harness = Harness::new().grants(&[Capability::Schedule]);
    let ask = |event: &Event| clock::now() - event.received_at;
    harness.advance(Duration::from_secs(5));
    assert_eq!(within(&mut harness, ask), 0);
    let mut old = testing::event("sent before");
    old.received_at = 12;
    ACT.set(Some(Box::new(|_| {
        log::info(clock::now());
        Ok(())
    })));
    harness.message(old).unwrap();
    assert_eq!(harness.lines().last(), Some(&(Level::Info, "12".to_owned())));
}
