//! A message in, an answer out: with the demo agent, through webhook, inbox, lane, plugin, agent and outbox.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::{
    id::LaneKey,
    playground::{Effect, Features, Options},
};
use hearth_tests::world::{PATIENCE, World, demo_agent, is_underway};

const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n[bots.assistant]\nplugin = \"assistant\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_bot_says_what_was_said_and_the_webhook_is_acknowledged_bare() {
    let world = World::new(BOTS).await;
    let answer = world.ask(world.room("echo"), "1 < 2 & *so on*").await;
    assert_eq!(answer.plain, "1 < 2 & *so on*");

    // The answer may be there before the acknowledgement.
    world.playground.wait_for_delivery(|_| true, PATIENCE).await.unwrap();
    let deliveries = world.playground.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].status, Some(204));
    assert_eq!(deliveries[0].content_type, None);
    assert_eq!(deliveries[0].effect, Effect::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assistant_remembers_over_a_restart_of_the_host() {
    let mut world = World::new(BOTS).await;
    let room = world.room("assistant");
    world.ask(room, "my name is Zelda").await;
    world.drained().await;
    world.stop().await;
    world.start().await;
    let answer = world.ask(room, "what is my name?").await;
    assert!(answer.plain.contains("Zelda"), "{}", answer.plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_do_not_share_a_conversation() {
    let world = World::new(BOTS).await;
    world.ask(world.room("assistant"), "my name is Zelda").await;
    let elsewhere = world.ask(world.playground.shared_room(), "@assistant what is my name?").await;
    assert!(!elsewhere.plain.contains("Zelda"), "{}", elsewhere.plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_answered_in_order() {
    let world = World::new(BOTS).await;
    let (room, you) = (world.room("echo"), world.playground.you());
    // Campfire itself delivers with several workers; the order that holds is that of arrival, so one at a time.
    for number in 0..20 {
        let said = world.playground.say(you, room, &format!("number {number}")).unwrap();
        world.playground.wait_for_delivery(|delivery| delivery.message == said, PATIENCE).await.unwrap();
    }
    world.drained().await;
    let answers: Vec<_> = world
        .playground
        .messages(room)
        .into_iter()
        .filter(|message| message.author != you)
        .map(|message| message.plain)
        .collect();
    assert_eq!(answers, (0..20).map(|number| format!("number {number}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_room_does_not_hold_up_another() {
    let world = World::new(BOTS).await;
    let you = world.playground.you();
    let slow = world.playground.say(you, world.room("assistant"), "demo:slow=600000").unwrap();
    world.playground.wait_for_delivery(|delivery| delivery.message == slow, PATIENCE).await.unwrap();
    let quick = world.ask(world.playground.shared_room(), "@assistant hello").await;
    assert!(quick.id > slow);
    let unanswered = world
        .playground
        .messages(world.room("assistant"))
        .iter()
        .all(|message| message.author == you || is_underway(message));
    assert!(unanswered, "the slow turn still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_seen_at_once_where_the_server_has_boosts() {
    let world = World::new(BOTS).await;
    let room = world.room("assistant");
    let said = world.playground.say(world.playground.you(), room, "demo:slow=600000").unwrap();
    let seen = world
        .playground
        .wait_for(
            room,
            |message| message.id == said && message.boosts.iter().any(|boost| boost.content == "👀"),
            PATIENCE,
        )
        .await;
    assert!(seen.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_without_boosts_gets_the_same_answers() {
    let toml = format!("{}{BOTS}", demo_agent());
    let world = World::with(&toml, Options { features: Features::oldest(), ..Options::default() }).await;
    let room = world.room("assistant");
    for _ in 0..2 {
        let answer = world.ask(room, "hello").await;
        assert!(answer.plain.contains("demo agent"), "{}", answer.plain);
    }
    assert!(world.playground.messages(room).iter().all(|message| message.boosts.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_markdown_arrives_as_campfire_shows_it() {
    let world = World::new(BOTS).await;
    let answer = world.ask(world.room("assistant"), "markdown").await;
    let html = answer.html.unwrap();
    assert!(html.contains("<pre>"), "{html}");
    assert!(!html.contains("<table"), "a table's content would vanish: {html}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_in_which_many_talk_at_once_gets_an_answer_for_each() {
    let world = World::new(BOTS).await;
    let (room, you) = (world.room("assistant"), world.playground.you());
    let said: Vec<_> =
        (0..5).map(|number| world.playground.say(you, room, &format!("hello {number}")).unwrap()).collect();
    for message in said {
        world.playground.wait_for_delivery(|delivery| delivery.message == message, PATIENCE).await.unwrap();
    }
    world.drained().await;
    let answered = world.playground.messages(room).iter().filter(|message| message.author != you).count();
    assert_eq!(answered, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_lane_is_told_to_the_room_once() {
    let toml = format!("[host]\nqueue-limit = 2\n{}{BOTS}", demo_agent());
    let world = World::with(&toml, Options::default()).await;
    let (room, you) = (world.room("assistant"), world.playground.you());
    world.begin(room, "demo:slow=600000").await;
    for number in 1..5 {
        world.say(room, &format!("hello {number}")).await;
    }
    world
        .playground
        .wait_for(room, |message| message.plain.starts_with("More messages are waiting"), PATIENCE)
        .await
        .unwrap();
    assert!(world.lanes().interrupt(&world.lane("assistant")).await.unwrap(), "the first one runs");
    world.drained().await;
    let said = world.playground.messages(room);
    assert_eq!(
        said.iter().filter(|message| message.plain.starts_with("More messages are waiting")).count(),
        1
    );
    assert_eq!(said.iter().filter(|message| message.author != you).count(), 3, "two answers and the notice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_may_run_one_turn_leaves_the_other_places_to_others() {
    let agent = demo_agent();
    let toml = format!(
        "[host]\nturns-in-flight = 2\n{agent}[bots.assistant]\nplugin = \"assistant\"\nturns-in-flight = 1\n\
         [bots.echo]\nplugin = \"echo\"\n"
    );
    let world = World::with(&toml, Options::default()).await;
    let shared = world.playground.shared_room();
    world.begin(world.room("assistant"), "demo:slow=600000").await;
    world.say(shared, "@assistant are you there?").await;
    let answer = world.ask(world.room("echo"), "still here").await;
    assert_eq!(answer.plain, "still here");
    let waiting = LaneKey { room: shared, ..world.lane("assistant") };
    assert!(!world.lanes().running().contains_key(&waiting), "the one turn is taken");
    assert_eq!(world.answers(shared), Vec::<String>::new(), "the one turn is taken");
}
