//! What a room sees of a turn that takes its time: one message, which its answer replaces.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::Instant;

use hearth::{
    campfire::{Client, Target},
    id::{MessageId, RoomId, UserId},
    playground::{Change, Changes, Fault, Features, Message, Options},
    tenure::Tenure,
};
use hearth_tests::{
    binary,
    outside::Outside,
    world::{PATIENCE, World, demo_agent, is_underway},
};
use rustix::process::Signal;

/// An assistant that shows what it does after so long.
async fn world(after: &str, more: &str, features: Features) -> World {
    let toml = format!(
        "{}{more}\n[bots.assistant]\nplugin = \"assistant\"\nprogress-after = \"{after}\"\n",
        demo_agent()
    );
    World::with(&toml, Options { features, ..Options::default() }).await
}

/// What somebody else than you said.
fn said(world: &World, room: RoomId) -> Vec<Message> {
    let you = world.playground.you();
    world.playground.messages(room).into_iter().filter(|message| message.author != you).collect()
}

/// Waits for the message that stands for an answer.
async fn placeholder(world: &World, room: RoomId) -> MessageId {
    world.playground.wait_for(room, is_underway, PATIENCE).await.unwrap().id
}

/// Everything that the bot's messages said, from one change to the next, until these words that are no placeholder's.
async fn told(changes: &mut Changes, bot: UserId, last: &str) -> Vec<String> {
    told_until(changes, bot, |message| message.plain.contains(last) && !is_underway(message)).await
}

async fn told_until(changes: &mut Changes, bot: UserId, is_last: impl Fn(&Message) -> bool) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, changes.next()).await.unwrap().unwrap() {
            Change::MessageCreated(message) | Change::MessageUpdated(message) if message.author == bot => {
                told.push(message.plain.clone());
                if is_last(&message) {
                    return told;
                }
            }
            Change::Missed(_) => panic!("the test is too slow"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_turn_is_one_message_that_grows_until_its_answer_replaces_it() {
    let world = world("50ms", "", Features::newest()).await;
    let (room, bot) = (world.room("assistant"), world.user("assistant"));
    let mut changes = world.playground.changes();
    let began = Instant::now();
    world.say(room, "demo:stream=8000").await;
    let told = told(&mut changes, bot, "Paragraph 3 of 3").await;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    world.drained().await;
    assert!(told[0].contains("Working on it…"), "{told:?}");
    assert!(told[1..told.len() - 1].iter().any(|text| text.contains("Paragraph 1 of 3")), "{told:?}");
    // The first one, one after each second, and the answer.
    assert!(told.len() <= seconds + 2, "one edit a second: {told:?} in {seconds} s");
    assert_eq!(said(&world, room).len(), 1);
    let journal = world.journal("assistant").await;
    assert_eq!(journal[0].outcome, "answered");
    assert_eq!(journal[0].details["posted"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_turn_and_one_of_a_bot_that_does_not_want_it_show_nothing_but_the_answer() {
    for (after, text) in [("1h", "demo:slow=1500"), ("0s", "demo:slow=1500")] {
        let world = world(after, "", Features::newest()).await;
        let (room, bot) = (world.room("assistant"), world.user("assistant"));
        let mut changes = world.playground.changes();
        world.say(room, text).await;
        let told = told(&mut changes, bot, "demo agent").await;
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_server_gets_only_the_answer_and_hears_once_that_the_provider_refuses() {
    let world = world("50ms", "", Features::oldest()).await;
    let room = world.room("assistant");
    world.ask(room, "demo:stream=1500").await;
    world.drained().await;
    assert_eq!(world.answers(room).len(), 1, "{:?}", world.answers(room));
    world.ask(room, "demo:retry=8000").await;
    world.drained().await;
    let answers = world.answers(room);
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(answers[1], "The model is overloaded just now; I keep trying…");
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_provider_refuses_shows_in_the_one_message() {
    let world = world("50ms", "", Features::newest()).await;
    let (room, bot) = (world.room("assistant"), world.user("assistant"));
    let mut changes = world.playground.changes();
    world.say(room, "demo:retry=8000").await;
    let told = told(&mut changes, bot, "demo agent").await;
    assert!(told.iter().any(|text| text == "The model is overloaded just now; I keep trying…"), "{told:?}");
    assert_eq!(said(&world, room).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_takes_the_place_of_what_was_shown() {
    let world = world("50ms", "[agent.deadlines]\nsilence = \"10s\"\n", Features::newest()).await;
    let room = world.room("assistant");
    world.say(room, "demo:hang").await;
    let shown = placeholder(&world, room).await;
    world.drained().await;
    let said = said(&world, room);
    assert_eq!((said.len(), said[0].id), (1, shown));
    assert!(said[0].plain.starts_with("That took too long"), "{}", said[0].plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_somebody_removed_what_was_shown_the_answer_is_a_message_of_its_own() {
    let world = world("50ms", "", Features::newest()).await;
    let room = world.room("assistant");
    world.say(room, "demo:slow=10000").await;
    let shown = placeholder(&world, room).await;
    let bot = &world.config.bots[&"assistant".into()];
    let (base, bot_key) = (bot.campfire_url.clone().unwrap(), bot.bot_key.clone().unwrap());
    let target = Target { base, room, bot_key, tenure: Tenure::endless() };
    Client::new(PATIENCE).unwrap().remove(&target, shown).await.unwrap();
    world.drained().await;
    let said = said(&world, room);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].id > shown && said[0].plain.contains("demo agent"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_whose_fate_is_unknown_is_found_again_and_replaced() {
    for fault in [Fault::ErrorAfterStoring(500), Fault::HangAfterStoring] {
        let world = world("50ms", "[campfire]\ntimeout = \"4s\"\n", Features::newest()).await;
        let room = world.room("assistant");
        world.playground.inject(fault, 1);
        world.say(room, "demo:slow=12000").await;
        let shown = placeholder(&world, room).await;
        world.drained().await;
        let said = said(&world, room);
        assert_eq!((said.len(), said[0].id), (1, shown), "{said:?}");
        assert!(said[0].plain.contains("demo agent"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_killed_goes_on_with_the_same_message() {
    let mut outside = Outside::with_bot("progress-after = \"50ms\"").await;
    outside.say("demo:slow=10000 patience").await;
    let playground = &outside.playground;
    let shown = playground.wait_for(outside.room, is_underway, PATIENCE).await.unwrap().id;
    outside.end(Signal::KILL).await;
    outside.start().await;
    outside.hear("patience").await;
    let you = outside.playground.you();
    let said: Vec<_> = outside
        .playground
        .messages(outside.room)
        .into_iter()
        .filter(|message| message.author != you)
        .map(|message| message.id)
        .collect();
    assert_eq!(said, [shown], "{:?}", outside.answers());
}

/// A bot whose plugin says what is shown of its turns.
async fn presented() -> World {
    let toml = format!(
        "{}[bots.toolbox]\nplugin = '{}'\nprogress-after = \"50ms\"\nlimits = {{ compute = \"6s\" }}\n",
        demo_agent(),
        binary::guest("toolbox").display()
    );
    World::with(&toml, Options { features: Features::newest(), ..Options::default() }).await
}

/// Whether this is the demo agent's answer, and not something that was shown before.
fn is_answer(message: &Message) -> bool {
    message.plain.starts_with("(demo agent)") && !is_underway(message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_says_what_is_shown_of_a_turn_and_the_answer_takes_its_place() {
    let world = presented().await;
    let (room, bot) = (world.room("toolbox"), world.user("toolbox"));
    for (text, shows) in [
        ("show markdown demo:stream=8000", "Paragraph 1 of 3"),
        ("show markdown demo:tool loop {}", "[loop({}) ended: false]"),
    ] {
        let mut changes = world.playground.changes();
        world.say(room, text).await;
        let told = told_until(&mut changes, bot, is_answer).await;
        let (answer, shown) = told.split_last().unwrap();
        assert!(shown.iter().all(|text| text.starts_with("after ") && text.contains(" ms: ")), "{told:?}");
        assert!(shown.iter().any(|text| text.contains(shows)), "{told:?}");
        assert!(!answer.contains("ms: "), "{told:?}");
        world.drained().await;
    }
    assert_eq!(said(&world, room).len(), 2, "one message a turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_can_show_nothing_and_one_that_fails_at_it_costs_nothing_but_its_own_words() {
    let world = presented().await;
    let (room, bot) = (world.room("toolbox"), world.user("toolbox"));
    // Three failures in a row of what a turn depends on would take the code back.
    let failing = ["show trap", "show error", "show huge", "show trap", "show trap", "show trap"];
    for what in failing {
        let mut changes = world.playground.changes();
        world.say(room, &format!("{what} demo:slow=4000")).await;
        let told = told_until(&mut changes, bot, is_answer).await;
        let (_, shown) = told.split_last().unwrap();
        assert_eq!(shown[0], "Working on it…", "{what}: the host's words: {told:?}");
        assert!(shown.iter().all(|text| text.ends_with("Working on it…")), "{what}: {told:?}");
        world.drained().await;
    }
    let mut changes = world.playground.changes();
    world.say(room, "show unchanged demo:slow=1500").await;
    let told = told_until(&mut changes, bot, is_answer).await;
    assert_eq!(told.len(), 1, "{told:?}");
    world.drained().await;
    assert_eq!(world.roster().bot("toolbox").unwrap().generation.as_ref().unwrap().number, 1);
    let journal = world.journal("toolbox").await;
    assert!(journal.iter().all(|row| row.outcome == "answered"), "{journal:?}");
    assert_eq!(journal.len(), failing.len() + 1);
}
