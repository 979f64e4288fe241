//! Timers, the operator's times, and what else happens in a room, from the plugin to the room and over restarts.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::Duration;

use hearth::{
    config::{Bot, Config},
    id::{BotName, Timestamp},
    plugin::{LoadError, Loader},
    store::{CronKey, Kept, Store},
};
use hearth_tests::{
    binary,
    world::{PATIENCE, World},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn timely(more: &str) -> String {
    format!("[bots.timely]\nplugin = '{}'\n{more}", binary::guest("timely").display())
}

const GRANTED: &str = "grants = [\"schedule\", \"clock\"]\n";

/// Waits for something that the bot says in its room.
async fn hears(world: &World, expected: &str) -> String {
    let (room, you) = (world.room("timely"), world.playground.you());
    let said = world.playground.wait_for(
        room,
        |message| message.author != you && message.plain.contains(expected),
        PATIENCE,
    );
    said.await.unwrap_or_else(|| panic!("nobody says {expected:?}")).plain
}

async fn deliver(world: &World, bot: &str, body: &Value) -> String {
    let body = body.to_string();
    let request = format!(
        "POST {} HTTP/1.1\r\nContent-Type: application/json\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        world.hook(bot),
        body.len()
    );
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_comes_in_the_room_where_it_was_set_and_is_in_the_journal() {
    let world = World::new(&timely(GRANTED)).await;
    let room = world.room("timely");
    assert_eq!(world.ask(room, "set tea 100 is ready").await.plain, "set");
    assert_eq!(
        hears(&world, "tea came").await,
        "tea came: is ready (TimerOrigin::Plugin, in its time: true)"
    );
    assert_eq!(world.ask(room, "list").await.plain, "pending:");
    world.drained().await;
    let journal = world.journal("timely").await;
    let about: Vec<_> = journal.iter().map(|row| row.details["about"]["kind"].clone()).collect();
    assert_eq!(about, ["message", "timer", "message"]);
    assert_eq!(journal[1].details["about"]["name"], "tea");
    assert_eq!(journal[1].outcome, "replied");
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_are_listed_replaced_and_taken_back() {
    let world = World::new(&timely(GRANTED)).await;
    let room = world.room("timely");
    for (said, answer) in [
        ("set late 7200000 second", "set"),
        ("set soon 3600000 first", "set"),
        ("list", "pending: soon=first late=second"),
        ("set soon 9000000 third", "set"),
        ("list", "pending: late=second soon=third"),
        ("cancel late", "cancelled: true"),
        ("cancel late", "cancelled: false"),
        ("list", "pending: soon=third"),
    ] {
        assert_eq!(world.ask(room, said).await.plain, answer, "{said}");
    }
    let refused = world.ask(room, "set far 99999999999 away").await.plain;
    assert!(refused.starts_with("ScheduleErrorKind::Invalid: a timer may be 366 days away"), "{refused}");
    let long = format!("set {} 1 x", "n".repeat(129));
    let refused = world.ask(room, &long).await.plain;
    assert!(refused.contains("a timer's name has 1 to 128 bytes"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_outlives_the_host_and_comes_late_rather_than_never() {
    let mut world = World::new(&timely(GRANTED)).await;
    let room = world.room("timely");
    assert_eq!(world.ask(room, "set tea 3600000 is ready").await.plain, "set");
    world.stop().await;
    let store = world.store().await;
    let lane = world.lane("timely");
    let timer = store.timers(&lane).await.unwrap().remove(0);
    // An hour goes by.
    store.set_timer(&lane, &timer.name, Timestamp::now(), &timer.payload).await.unwrap();
    store.close().await;
    world.start().await;
    hears(&world, "tea came: is ready").await;
    world.drained().await;
    world.stop().await;
    world.start().await;
    assert_eq!(world.ask(room, "list").await.plain, "pending:");
    let came = world.answers(room).iter().filter(|answer| answer.contains("tea came")).count();
    assert_eq!(came, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_can_ask_the_agent_which_remembers_the_room() {
    let world = World::new(&timely(GRANTED)).await;
    let room = world.room("timely");
    world.ask(room, "my name is Zoe").await;
    assert_eq!(world.ask(room, "set recall 50 ask what is my name?").await.plain, "set");
    hears(&world, "about recall:").await;
    hears(&world, "Zoe").await;
    world.drained().await;
    let journal = world.journal("timely").await;
    assert_eq!(
        (journal[0].outcome.as_str(), &journal[0].details["about"]["kind"]),
        ("answered", &json!("timer"))
    );
    assert_eq!(journal[0].details["session"], journal[2].details["session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_grant_no_timer_is_set() {
    let world = World::new(&timely("")).await;
    let room = world.room("timely");
    for said in ["set tea 100 x", "cancel tea", "list"] {
        let answer = world.ask(room, said).await.plain;
        assert!(answer.starts_with("ScheduleErrorKind::Denied"), "{said}: {answer}");
    }
}

// === the operator's times ===

const HOURLY: &str = "[bots.timely.cron.hourly]\nat = \"0 * * * *\"\nroom = 7\npayload = \"hello\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_time_that_was_missed_is_made_up_for_once() {
    let mut world = World::new(&timely(HOURLY)).await;
    world.stop().await;
    // What is settled never goes back, so this is another store.
    std::fs::remove_file(world.config.host.data_dir.join("hearth.db")).unwrap();
    let store = world.store().await;
    // As if the host had been down for five hours.
    let key = CronKey { bot: BotName::from("timely"), name: "hourly".into() };
    store.settle_cron(&key, Timestamp::now().before(Duration::from_hours(5))).await.unwrap();
    store.close().await;
    world.start().await;
    let told = hears(&world, "hourly came").await;
    assert!(told.starts_with("hourly came: hello (TimerOrigin::Operator"), "{told}");
    world.drained().await;
    // One for the missed ones, and at most one if an hour has just begun.
    assert!(world.answers(world.room("timely")).len() <= 2);
}

fn bot(toml: &str) -> std::sync::Arc<Bot> {
    let config = Config::parse("bots.toml".as_ref(), toml, &|_| None).unwrap();
    config.bots.into_values().next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_a_timer_handler_is_refused_for_a_bot_with_operators_times() {
    let plugin = binary::repository().join("plugins/dist/echo.wasm");
    let toml = format!("[bots.x]\nplugin = '{}'\n{}", plugin.display(), HOURLY.replace("timely.", "x."));
    let error = Loader::new().unwrap().load(&bot(&toml), 1).await.err().unwrap();
    assert!(matches!(error, LoadError::NoTimers { .. }), "{error}");
    assert!(error.to_string().starts_with("[bots.x.cron.hourly] sets a time"), "{error}");
}

// === what else happens ===

fn edited(room: hearth::id::RoomId) -> Value {
    json!({"event": "message_updated", "user": {"id": 1, "name": "Ann"},
           "room": {"id": room, "name": null, "path": format!("/rooms/{room}/2-1muC7xQRVUXg/messages")},
           "message": {"id": 42, "body": {"html": "<b>hi</b>", "plain": "hi"}, "path": "/rooms/7/@42"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_fork_reaches_the_plugin_once_and_without_the_key() {
    let world = World::new(&timely("")).await;
    let room = world.room("timely");
    let body = edited(room);
    for _ in 0..2 {
        assert!(deliver(&world, "timely", &body).await.starts_with("HTTP/1.1 204"));
    }
    let told = hears(&world, "message_updated by Ann").await;
    assert!(told.contains("/****/messages") && !told.contains("1muC7xQRVUXg"), "{told}");
    world.drained().await;
    let journal = world.journal("timely").await;
    assert_eq!(journal.len(), 1, "told again, it is a repeated delivery");
    assert_eq!(journal[0].details["about"], json!({"kind": "occurrence", "name": "message_updated"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_without_an_event_handler_never_sees_one() {
    let world = World::new("[bots.echo]\nplugin = \"echo\"\n").await;
    let room = world.room("echo");
    world.generation("echo", 1).await;
    assert!(deliver(&world, "echo", &edited(room)).await.starts_with("HTTP/1.1 204"));
    assert_eq!(world.ask(room, "hello").await.plain, "hello");
    world.drained().await;
    let journal = world.journal("echo").await;
    assert_eq!(journal.len(), 1, "nothing was stored of it");
}
