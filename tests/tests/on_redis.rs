//! A host whose store is a Redis.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::{Duration, Instant};

use hearth::{playground::Options, stage::ANY};
use hearth_tests::{
    outside::{self, Outside},
    proxy::Proxy,
    redis_server::{PASSWORD, RedisServer},
    world::PATIENCE,
};
use rustix::process::Signal;
use tempfile::TempDir;

/// A host on a Redis of its own.
async fn on_redis() -> (Outside, RedisServer, TempDir) {
    let folder = TempDir::new().unwrap();
    let server = RedisServer::start(folder.path());
    let keys = outside::on_redis(format_args!("127.0.0.1:{}/2?prefix=test", server.port()), folder.path());
    (Outside::new(&keys).await, server, folder)
}

fn log(outside: &Outside) -> String {
    std::fs::read_to_string(outside.log()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_killed_is_taken_over_by_another_which_answers_once_and_remembers() {
    let (mut outside, _server, _folder) = on_redis().await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    outside.ask("demo:slow=10000 patience").await;
    outside.end(Signal::KILL).await;
    outside.start().await;
    outside.say("what is my name?").await;
    // Nobody has the right to go on before the lease of the one that is gone has expired.
    outside.hear("patience").await;
    outside.hear("Your name is Zelda").await;
    let answers = outside.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(!log(&outside).contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_runs_already_takes_over_from_one_that_was_killed_and_answers_once() {
    let (mut outside, _server, _folder) = on_redis().await;
    let mut beside = outside.beside(|toml| toml);
    beside.start().await;
    outside.ask("demo:slow=10000 patience").await;
    outside.say("and then?").await;
    outside.end(Signal::KILL).await;
    outside.hear("and then?").await;
    let answers = outside.answers();
    assert!(answers.len() == 2 && answers[0].contains("patience"), "{answers:?}");
    beside.end(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_is_503_and_the_host_recovers_with_it() {
    let (outside, mut server, _folder) = on_redis().await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    server.goes_away();
    assert_eq!(outside.status_of("refused").await, Some(503));
    assert!(server.comes_back());
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
    // What was refused is found in the room.
    outside.hear("refused").await;
    let answers = outside.answers();
    assert_eq!(answers.len(), 3, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_says_nothing_at_all_is_503_and_makes_the_host_unready_within_seconds() {
    /// Longer than a host needs by far, and as long as Campfire waits.
    const SECONDS: Duration = Duration::from_secs(7);
    let folder = TempDir::new().unwrap();
    let server = RedisServer::start(folder.path());
    let way = Proxy::to(([127, 0, 0, 1], server.port()).into()).await;
    let keys = outside::on_redis(format_args!("{}/2?prefix=test", way.address), folder.path());
    let options = Options { webhook_read_timeout: PATIENCE, ..Options::default() };
    let mut outside = Outside::set(&["assistant"], &keys, "", options).await;
    let port = outside::kept(ANY).unwrap();
    let admin = port.local_addr().unwrap();
    let config = outside.folder().join("bots.toml");
    let toml = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, toml.replace("admin = \"off\"", &format!("admin = \"{admin}\""))).unwrap();
    outside.start().await;
    let get = async |path: &str| {
        let answer = reqwest::get(format!("http://{admin}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let ready = async |wanted: u16| {
        let found = async {
            loop {
                let (status, text) = get("/readyz").await;
                if status == wanted {
                    return text;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("it says so in the end")
    };
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    ready(200).await;

    way.cut();
    let began = Instant::now();
    let why = ready(503).await;
    assert!(began.elapsed() < SECONDS, "{:?}", began.elapsed());
    assert!(why.contains("the store takes no messages"), "{why}");
    assert_eq!(get("/healthz").await.0, 200);
    // Nor do those who come at once wait for each other.
    let began = Instant::now();
    let refused = ["refused 1", "refused 2", "refused 3", "refused 4"].map(|text| outside.status_of(text));
    let [one, two, three, four] = refused;
    assert_eq!(tokio::join!(one, two, three, four), (Some(503), Some(503), Some(503), Some(503)));
    assert!(began.elapsed() < SECONDS, "{:?}", began.elapsed());
    assert_eq!(outside.answers().len(), 1, "Campfire posts whatever stands in an answer");

    way.mend();
    ready(200).await;
    for number in 1..=4 {
        outside.hear(&format!("refused {number}")).await;
    }
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
    let answers = outside.answers();
    assert_eq!(answers.len(), 6, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_on_redis_without_a_host_and_say_what_is_its_own_affair() {
    let (mut outside, _server, _folder) = on_redis().await;
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    assert!(log(&outside).contains("appendfsync always"), "what may be lost is said at the start");
    outside.end(Signal::TERM).await;
    let sessions = outside.hearth(&["sessions", "list"]).await;
    assert!(sessions.contains("assistant"), "{sessions}");
    let checked = outside.hearth(&["check"]).await;
    assert!(checked.contains("appendfsync always") && !checked.contains(PASSWORD), "{checked}");
    let refused = outside.hearth_fails(&["backup", "copy.db"]).await;
    assert!(refused.contains("Redis itself backs up") && refused.contains("BGSAVE"), "{refused}");
}
