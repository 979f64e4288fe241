//! A Campfire that fails while the host posts, and what else can go wrong between an answer and its room.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::{
    id::{EventId, HostId, MessageId, Timestamp},
    playground::{Fault, Features, Options},
    store::{NewEvent, Source, Store},
};
use hearth_tests::world::{PATIENCE, World, demo_agent};

const BOTS: &str = "[bots.echo]\nplugin = \"echo\"\n[bots.assistant]\nplugin = \"assistant\"\n";

async fn impatient(features: Features) -> World {
    let toml = format!("[campfire]\ntimeout = \"5s\"\n{}{BOTS}", demo_agent());
    World::with(&toml, Options { features, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_may_have_arrived_at_an_older_campfire_is_not_repeated() {
    let world = impatient(Features::oldest()).await;
    let room = world.room("echo");
    for fault in [Fault::ErrorAfterStoring(500), Fault::HangAfterStoring] {
        world.playground.inject(fault, 1);
        world.ask(room, &format!("{fault:?}")).await;
        world.drained().await;
    }
    assert_eq!(world.answers(room).len(), 2, "{:?}", world.answers(room));
    let journal = world.journal("echo").await;
    assert_eq!(journal.len(), 2);
    assert!(journal.iter().all(|row| row.details["uncertain"] == 1), "{journal:?}");
    let cause = journal[0].details["post-cause"].as_str().unwrap();
    assert!(cause.contains("none in time") && cause.contains("too old for reading"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_arrived_is_found_and_one_that_did_not_is_sent_again() {
    let world = impatient(Features::newest()).await;
    let room = world.room("echo");
    let faults = [
        Fault::ErrorAfterStoring(500),
        Fault::HangAfterStoring,
        Fault::ErrorBeforeStoring(502),
        Fault::HangBeforeStoring,
        Fault::Refuse,
    ];
    let mut said = Vec::new();
    for fault in faults {
        world.playground.inject(fault, 1);
        said.push(format!("<{fault:?}> & **more**"));
        world.ask(room, said.last().unwrap()).await;
        world.drained().await;
    }
    assert_eq!(world.answers(room), said);
    let posted: Vec<_> = world.playground.messages(room).iter().map(|message| message.id.0).collect();
    let journal = world.journal("echo").await;
    for row in &journal {
        assert_eq!((row.outcome.as_str(), &row.details["uncertain"]), ("replied", &serde_json::Value::Null));
        assert!(posted.contains(&row.details["posted"][0].as_u64().unwrap()), "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_equal_answers_each_is_looked_up_by_itself() {
    let world = impatient(Features::newest()).await;
    let (room, you) = (world.room("echo"), world.playground.you());
    for fault in [None, Some(Fault::HangBeforeStoring), Some(Fault::ErrorAfterStoring(500)), None] {
        let before = world.playground.messages(room).len();
        // Queued at once, so that the second trigger is older than the first answer.
        if let Some(fault) = fault {
            world.playground.inject(fault, 1);
        }
        world.say(room, "ok").await;
        let next = world.playground.wait_for(room, |m| m.author != you, PATIENCE);
        next.await.unwrap();
        world.drained().await;
        assert_eq!(world.playground.messages(room).len(), before + 2, "{fault:?}");
    }
    world.playground.inject(Fault::HangBeforeStoring, 1);
    for _ in 0..3 {
        world.say(room, "again").await;
    }
    world.drained().await;
    assert_eq!(world.answers(room)[4..], ["again", "again", "again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_campfire_each_time_is_given_up() {
    let world = impatient(Features::newest()).await;
    let room = world.room("echo");
    world.playground.inject(Fault::ErrorBeforeStoring(500), 3);
    world.say(room, "never").await;
    assert_eq!(world.ask(room, "after that").await.plain, "after that");
    world.drained().await;
    assert_eq!(world.answers(room).len(), 1);
    let journal = world.journal("echo").await;
    let cause = journal[1].details["post-cause"].as_str().unwrap();
    assert_eq!(journal[1].outcome, "not-posted");
    assert!(cause.contains("sent 3 times") && cause.contains("status 500"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_key_fails_that_answer_with_the_remedy_in_the_journal() {
    let world = World::new(BOTS).await;
    let room = world.room("echo");
    world.playground.inject(Fault::Redirect, 1);
    world.say(room, "never answered").await;
    assert_eq!(world.ask(room, "answered").await.plain, "answered");
    world.drained().await;
    assert_eq!(world.answers(room).len(), 1);
    let journal = world.journal("echo").await;
    assert_eq!(journal[1].outcome, "not-posted");
    assert!(
        journal[1].details["post-cause"].as_str().unwrap().contains("bots.toml"),
        "{}",
        journal[1].details
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_wait_for_a_campfire_that_is_away_even_over_a_restart() {
    let toml = format!("[campfire]\ntimeout = \"1s\"\n{}{BOTS}", demo_agent());
    let mut world = World::with(&toml, Options::default()).await;
    let room = world.room("echo");
    // So that the plugin is loaded and the lane has begun when Campfire leaves.
    world.ask(room, "before").await;
    world.campfire_leaves();
    world.say(room, "one").await;
    world.say(room, "two").await;
    world.stop().await;
    world.start().await;
    world.campfire_returns().await;
    world
        .playground
        .wait_for(
            room,
            |message| message.plain == "two" && message.author != world.playground.you(),
            PATIENCE,
        )
        .await
        .unwrap();
    world.drained().await;
    assert_eq!(world.answers(room), ["before", "one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_is_gone_is_told_to_the_room() {
    // A process that waits would remember.
    let toml = format!("{}[agent.warm]\nprocesses = 0\n{BOTS}", demo_agent());
    let world = World::with(&toml, Options::default()).await;
    let room = world.room("assistant");
    world.ask(room, "my name is Zelda").await;
    world.drained().await;
    std::fs::remove_dir_all(world.agents().as_ref().join("assistant/config")).unwrap();
    world.ask(room, "what is my name?").await;
    world.drained().await;
    let answers = world.answers(room);
    assert!(answers[1].starts_with("I couldn't find our earlier conversation"), "{answers:?}");
    assert!(!answers[2].contains("Zelda"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_turns_run_at_once_than_may() {
    let toml = format!("[host]\nturns-in-flight = 1\n{}{BOTS}", demo_agent());
    let world = World::with(&toml, Options::default()).await;
    let (direct, shared) = (world.room("assistant"), world.playground.shared_room());
    let you = world.playground.you();
    let slow = world.playground.say(you, direct, "demo:slow=1000").unwrap();
    let seen = |message: &hearth::playground::Message| message.id == slow && !message.boosts.is_empty();
    world.playground.wait_for(direct, seen, PATIENCE).await.unwrap();
    let second = world.ask(shared, "@assistant hello").await;
    let first = world.playground.messages(direct).into_iter().find(|message| message.author != you).unwrap();
    assert!(first.id < second.id, "the second turn waited for the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_own_key_in_a_message_is_masked_before_it_is_kept() {
    use secrecy::ExposeSecret;
    let world = World::new(BOTS).await;
    let bot = &world.config.bots[&"echo".into()];
    let key = bot.bot_key.as_ref().unwrap().expose_secret().to_owned();
    let answer = world.ask(world.room("echo"), &format!("is {key} your key?")).await;
    assert_eq!(answer.plain, "is **** your key?");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_brought_the_host_down_three_times_is_given_up_with_a_sentence() {
    let mut world = World::new(BOTS).await;
    let (room, lane) = (world.room("echo"), world.lane("echo"));
    world.stop().await;
    let store = world.store().await;
    let payload = format!(
        r#"{{"kind":"message","user":{{"id":1,"name":"You"}},"room":{{"id":{room},"name":null}},"message":{{"id":5,"text":"boom","html":null}}}}"#
    );
    let event = NewEvent {
        id: EventId::new(),
        lane: lane.clone(),
        message: Some(MessageId(5)),
        kind: "message".into(),
        content_hash: [0; 32],
        payload,
        received_at: Timestamp::now(),
        source: Source::Other,
        hop: None,
    };
    store.accept(event, 32).await.unwrap();
    let now = Timestamp::now();
    let lease = store.lease(&lane, HostId::random(), now, now.after(PATIENCE)).await.unwrap().unwrap();
    for attempt in 1..=3 {
        assert_eq!(store.begin(&lease, now).await.unwrap().unwrap().attempt, attempt);
    }
    store.close().await;
    drop(store);
    world.start().await;
    let said =
        world.playground.wait_for(room, |message| message.plain.contains("gave it up"), PATIENCE).await;
    assert!(said.unwrap().plain.contains("(turn "));
}
