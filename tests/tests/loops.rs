//! Bots that answer each other, through the real webhooks: a chain of them ends with one sentence, until a person writes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::{
    id::{RoomId, UserId},
    playground::{Message, Options},
};
use hearth_tests::{
    binary,
    world::{PATIENCE, World, demo_agent},
};

const STOPPED: &str = "Bots have been answering each other here for a while";

async fn world(bots: &str, host: &str) -> World {
    // Webhooks come one after another. Else a person's message could come to one bot behind what the other has answered to it, and
    // a chain begin anew.
    let options = Options { webhook_workers: 1, ..Options::default() };
    World::with(&format!("[host]\n{host}\n{}{bots}", demo_agent()), options).await
}

fn by_bots(world: &World, room: RoomId) -> Vec<Message> {
    let you = world.playground.you();
    world.playground.messages(room).into_iter().filter(|message| message.author != you).collect()
}

/// Waits until each message was delivered and nothing is left to do.
async fn settled(world: &World, room: RoomId) {
    let settled = async {
        let mut changes = world.playground.changes();
        loop {
            world.drained().await;
            let delivered = world.playground.deliveries();
            let is_delivered = |message: &Message| delivered.iter().any(|one| one.message == message.id);
            if world.playground.messages(room).iter().all(is_delivered) && world.lanes().busy() == 0 {
                return;
            }
            changes.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("it ends");
}

fn sentences(messages: &[Message]) -> usize {
    messages.iter().filter(|message| message.plain.starts_with(STOPPED)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_bots_in_one_direct_room_stop_with_one_sentence_until_a_person_writes() {
    let bots = "[bots.one]\nplugin = \"echo\"\n[bots.two]\nplugin = \"echo\"\n";
    let world = world(bots, "bot-hops = 4").await;
    let members: Vec<UserId> = vec![world.playground.you(), world.user("one"), world.user("two")];
    let room = world.playground.add_direct_group(&members).unwrap();
    for round in 1..=2 {
        let text = format!("round {round}");
        world.say(room, &text).await;
        let stopped = |message: &Message| message.plain.starts_with(STOPPED);
        let count = || sentences(&world.playground.messages(room));
        let mut changes = world.playground.changes();
        let told = async {
            while count() < round {
                changes.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, told).await.expect("it is told");
        settled(&world, room).await;
        let messages = by_bots(&world, room);
        assert_eq!(sentences(&messages), round, "one sentence a chain");
        // Two answers to the person, and one to each of the four messages that were counted.
        let echoes = messages.iter().filter(|message| !stopped(message) && message.plain == text).count();
        assert_eq!(echoes, 2 + 4, "{messages:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bots_that_quote_the_mentions_of_each_other_and_themselves_stop_too() {
    let guest = binary::guest("hostile");
    let bots: String =
        ["one", "two"].map(|name| format!("[bots.{name}]\nplugin = '{}'\n", guest.display())).concat();
    let world = world(&bots, "bot-hops = 3").await;
    let room = world.playground.shared_room();
    world.say(room, "@one @two quote me").await;
    let stopped = |message: &Message| message.plain.starts_with(STOPPED);
    world.playground.wait_for(room, stopped, PATIENCE).await.expect("it is told");
    world.drained().await;
    let messages = by_bots(&world, room);
    assert_eq!(sentences(&messages), 1);
    // The sentence, two answers to the person, and those to the messages that were counted.
    assert_eq!(messages.len(), 1 + 2 + 3, "{messages:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_bots_may_not_answer_bots_they_are_silent_about_it() {
    let bots = "[bots.one]\nplugin = \"echo\"\n[bots.two]\nplugin = \"echo\"\n";
    let world = world(bots, "bot-hops = 0").await;
    let room = world.playground.direct_room(world.user("one"), world.user("two")).unwrap();
    world.say_as(world.user("one"), room, "hello, fellow bot").await;
    world.drained().await;
    assert_eq!(world.playground.messages(room).len(), 1, "nobody answered");
}
