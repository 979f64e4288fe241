//! Messages that never arrived: they are found in the rooms, and answered once.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::process::Stdio;

use hearth::{
    id::MessageId,
    playground::{Features, Message, Options},
};
use hearth_tests::{
    clock::Clock,
    outside::Outside,
    world::{PATIENCE, World, demo_agent},
};
use rustix::process::Signal;
use serde_json::json;

const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n[bots.other]\nplugin = \"echo\"\n";

/// Says something that does not arrive.
async fn lose(world: &World, author: hearth::id::UserId, room: hearth::id::RoomId, text: &str) -> MessageId {
    let said = world.playground.say(author, room, text).unwrap();
    let delivery = world.playground.wait_for_delivery(|delivery| delivery.message == said, PATIENCE).await;
    assert_eq!(delivery.unwrap().status, None, "{text}");
    said
}

/// Waits for an answer.
async fn hear(world: &World, room: hearth::id::RoomId, text: &str) -> Message {
    let you = world.playground.you();
    let said = |message: &Message| message.author != you && message.plain == text;
    world.playground.wait_for(room, said, PATIENCE).await.unwrap_or_else(|| panic!("nobody said {text:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_while_the_host_was_down_is_answered_once_and_in_order() {
    let mut world = World::new(BOTS).await;
    let (direct, shared, you) = (world.room("echo"), world.playground.shared_room(), world.playground.you());
    world.ask(direct, "before").await;
    world.ask(shared, "@echo before").await;
    for round in 1..=2 {
        world.drained().await;
        world.stop().await;
        // More than a page of Campfire's.
        for number in 1..=25 {
            lose(&world, you, direct, &format!("{round}.{number}")).await;
            lose(&world, you, shared, &format!("@echo {round}.{number}")).await;
            world.playground.say(you, shared, &format!("aside {round}.{number}")).unwrap();
        }
        world.start().await;
        hear(&world, direct, &format!("{round}.25")).await;
        hear(&world, shared, &format!("{round}.25")).await;
    }
    world.drained().await;
    let numbers = (1..=2).flat_map(|round| (1..=25).map(move |number| format!("{round}.{number}")));
    let expected: Vec<_> = std::iter::once("before".to_owned()).chain(numbers).collect();
    assert_eq!(world.answers(direct), expected);
    assert_eq!(world.answers(shared), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_found_and_arrives_after_all_is_not_answered_again() {
    let mut world = World::new(BOTS).await;
    let (room, you) = (world.playground.shared_room(), world.playground.you());
    world.ask(room, "@echo before").await;
    world.stop().await;
    let message = lose(&world, you, room, "@echo lost").await;
    world.start().await;
    hear(&world, room, "lost").await;
    let html = world.playground.messages(room).into_iter().find(|said| said.id == message).unwrap().html;
    let webhook = json!({
        "user": { "id": you, "name": "You" },
        "room": { "id": room, "name": "All Talk", "path": format!("/rooms/{room}/x/messages") },
        "message": { "id": message, "body": { "html": html, "plain": "lost" }, "path": "/" },
    });
    let url = format!("http://{}{}", world.address, world.hook("echo"));
    let late = reqwest::Client::new().post(url).body(webhook.to_string()).send().await.unwrap();
    assert_eq!(late.status(), 204);
    hear(&world, room, "before").await;
    world.ask(room, "@echo after").await;
    world.drained().await;
    assert_eq!(world.answers(room), ["before", "lost", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bots_wrote_and_what_was_for_others_is_not_taken() {
    let mut world = World::new(BOTS).await;
    let (room, you) = (world.playground.shared_room(), world.playground.you());
    world.ask(room, "@echo before").await;
    world.stop().await;
    lose(&world, you, room, "@other not for echo").await;
    lose(&world, world.user("other"), room, "@echo said by a bot").await;
    let unheard = world.playground.say(you, room, "to nobody, echo").unwrap();
    lose(&world, you, room, "@echo last").await;
    world.start().await;
    hear(&world, room, "last").await;
    world.drained().await;
    let after = world.playground.messages(room).into_iter().filter(|message| message.id > unheard);
    let said: Vec<_> = after.map(|message| message.plain).collect();
    assert_eq!(said, ["@echo last", "last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campfire_without_history_is_left_alone() {
    let options = Options { features: Features::oldest(), ..Options::default() };
    let mut world = World::with(&format!("{}{BOTS}", demo_agent()), options).await;
    let (room, you) = (world.room("echo"), world.playground.you());
    world.ask(room, "before").await;
    world.stop().await;
    lose(&world, you, room, "lost").await;
    world.start().await;
    world.ask(room, "after").await;
    world.drained().await;
    assert_eq!(world.answers(room), ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_the_bot_does_not_serve_any_more_is_not_read() {
    let mut world = World::new(BOTS).await;
    let (direct, shared, you) = (world.room("echo"), world.playground.shared_room(), world.playground.you());
    world.ask(direct, "before").await;
    world.ask(shared, "@echo before").await;
    world.stop().await;
    lose(&world, you, shared, "@echo lost").await;
    lose(&world, you, direct, "lost").await;
    let bot = world.config.bots.get_mut(&"echo".into()).unwrap();
    std::sync::Arc::make_mut(bot).rooms = vec![direct];
    world.start().await;
    hear(&world, direct, "lost").await;
    world.drained().await;
    assert_eq!(world.answers(shared), ["before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_a_day_is_not_answered_any_more() {
    let mut outside = Outside::new("").await;
    outside.say("hello").await;
    outside.hear("hello").await;
    outside.end(Signal::TERM).await;
    let clock = Clock::new(outside.folder());
    let launcher = format!("export {}; exec \"$@\"", clock.variables());
    let launcher = ["sh", "-c", &launcher, "clock"];
    let lost = async |outside: &Outside, text: &str| {
        assert_eq!(outside.status_of(text).await, None);
    };
    lost(&outside, "too old").await;
    clock.set(25 * 3600);
    outside.start_by(&launcher, Stdio::null()).await;
    outside.say("first").await;
    outside.hear("first").await;
    outside.end(Signal::TERM).await;
    lost(&outside, "old enough").await;
    clock.set(23 * 3600);
    outside.start_by(&launcher, Stdio::null()).await;
    outside.hear("old enough").await;
    let answers = outside.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
}
