//! The imports as a plugin uses them, and the limits that the harness keeps as the host does.

mod campfire;
mod http;
mod kv;
mod timers;

use std::cell::RefCell;

use hearth_plugin::{clock, log::Level, prelude::*, schedule, testing::Harness};

type Act = Box<dyn FnOnce(&Event) -> Result<()>>;

thread_local! {
    static ACT: RefCell<Option<Act>> = const { RefCell::new(None) };
}

/// Does in its turn what the test says.
struct Actor;

impl Bot for Actor {
    type Settings = NoSettings;

    const WANTS: &'static [Want] = &[
        want::kv("to test").optional(),
        want::http("to test").optional(),
        want::campfire("to test").optional(),
        want::schedule("to test").optional(),
        want::clock("to test").optional(),
    ];

    fn on_message(event: Event, _: NoSettings) -> Result<Decision> {
        if let Some(act) = ACT.take() {
            act(&event)?;
        }
        Ok(ignore())
    }
}

impl Timers for Actor {
    fn on_timer(timer: Timer, _: NoSettings) -> Result<Decision> {
        Ok(reply(text(format!(
            "{} in room {} at {}",
            timer.name,
            timer.room.id,
            clock::rfc3339(clock::now())
        ))))
    }
}

hearth_plugin::bot!(Actor: scheduled);

/// What `act` answers in a turn of this harness.
fn within<T: 'static>(harness: &mut Harness<Actor>, act: impl FnOnce(&Event) -> T + 'static) -> T {
    in_room(harness, testing::event("act").room.id, act)
}

fn in_room<T: 'static>(
    harness: &mut Harness<Actor>,
    room: u64,
    act: impl FnOnce(&Event) -> T + 'static,
) -> T {
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    ACT.set(Some(Box::new(move |event| Ok(answer.send(act(event))?))));
    let mut event = testing::event("act");
    event.room.id = room;
    event.message.id = 1000;
    event.received_at = harness.now();
    harness.message(event).expect("the actor decides");
    answered.try_recv().expect("the actor acts in its turn")
}

fn once<T: 'static>(act: impl FnOnce(&Event) -> T + 'static) -> T {
    within(&mut Harness::new(), act)
}

#[test]
fn what_is_not_granted_is_denied_with_the_remedy() {
    within(&mut Harness::new().grants(&[]), |event| {
        let denied = [
            hearth_plugin::kv::room().get::<u32>("key").unwrap_err().to_string(),
            hearth_plugin::http::get("https://example.com").send().unwrap_err().to_string(),
            hearth_plugin::campfire::boost(event.message.id, "👀").unwrap_err().to_string(),
            schedule::list().unwrap_err().to_string(),
        ];
        for (denied, capability) in denied.iter().zip(["kv", "http", "campfire", "schedule"]) {
            assert!(denied.starts_with(&format!("`{capability}` is denied")), "{denied}");
            assert!(denied.contains("bots.toml"), "{denied}");
        }
        assert!(!hearth_plugin::http::has_secret("example.com", "authorization"));
    });
}

#[test]
fn outside_a_call_nothing_can_be_reached() {
    assert!(matches!(hearth_plugin::kv::bot().get::<u32>("key"), Err(hearth_plugin::kv::Error::Denied(_))));
    assert!(matches!(hearth_plugin::campfire::newest(1), Err(hearth_plugin::campfire::Error::Denied(_))));
    assert!(matches!(schedule::list(), Err(schedule::Error::Denied(_))));
    assert_eq!(clock::now(), 0);
}

#[test]
fn of_each_call_the_first_hundred_lines_are_kept_and_of_a_line_four_kibibytes() {
    let mut harness = Harness::new();
    let write = |_: &Event| {
        log::warn("ä".repeat(4 << 10));
        (1..=100).for_each(log::debug);
    };
    within(&mut harness, write);
    assert_eq!(harness.lines()[0], (Level::Warn, format!("{}…", "ä".repeat((2 << 10) - 2))));
    assert_eq!(harness.lines().last(), Some(&(Level::Debug, "99".to_owned())));
    within(&mut harness, write);
    assert_eq!(harness.lines().len(), 200);
}
