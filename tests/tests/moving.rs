//! A deployment that moves from a file to a Redis, and back.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth_tests::{
    outside::Outside,
    redis_server::{PASSWORD, RedisServer},
};
use rustix::process::Signal;
use tempfile::TempDir;

/// Where a deployment may have its store.
struct Places {
    server: RedisServer,
    folder: TempDir,
}

impl Places {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let server = RedisServer::start(folder.path());
        std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Self { server, folder }
    }

    fn redis(&self, prefix: &str) -> String {
        format!("redis://127.0.0.1:{}/3?prefix={prefix}", self.server.port())
    }

    fn password(&self) -> String {
        format!("file:{}", self.folder.path().join("password").display())
    }

    /// Has the host use another store from its next start on.
    fn move_to(&self, outside: &Outside, url: &str) {
        let path = outside.folder().join("bots.toml");
        let toml = std::fs::read_to_string(&path).unwrap();
        let (before, _) = toml.split_once("[store]").unwrap();
        let (_, after) = toml.split_once("[campfire]").unwrap();
        let password = if url.starts_with("redis:") {
            format!("password = \"{}\"\n", self.password())
        } else {
            String::new()
        };
        let toml = format!("{before}[store]\nurl = \"{url}\"\n{password}[campfire]{after}");
        std::fs::write(path, toml).unwrap();
    }
}

async fn on_a_file() -> Outside {
    Outside::new("shutdown-grace = \"1s\"\n[store]\nurl = \"sqlite:hearth.db\"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_moves_remembers_and_answers_once_what_waited() {
    let (mut outside, places) = (on_a_file().await, Places::new());
    outside.say("my name is Zelda").await;
    outside.hear("Nice to meet you, Zelda").await;
    outside.ask("demo:slow=5000 patience").await;
    outside.end(Signal::KILL).await;

    let (redis, password) = (places.redis("moved"), places.password());
    let copy = ["store", "copy", "sqlite:hearth.db", &redis, "--to-password", &password];
    let planned = outside.hearth(&[&copy[..], &["--dry-run"]].concat()).await;
    assert!(planned.contains("Nothing was written") && planned.contains("conversations\t1"), "{planned}");
    assert!(planned.contains("transcripts\t1"), "{planned}");
    let copied = outside.hearth(&copy).await;
    assert!(copied.contains("conversations\t1") && copied.contains("is a copy of"), "{copied}");
    let again = outside.hearth_fails(&copy).await;
    assert!(again.contains("is not empty") && again.contains("UNLINK"), "{again}");
    assert!([planned, copied, again].iter().all(|said| !said.contains(PASSWORD)));

    places.move_to(&outside, &redis);
    outside.start().await;
    outside.hear("patience").await;
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
    assert_eq!(outside.answers().len(), 3, "{:?}", outside.answers());

    // And back, while it may not.
    let back = ["store", "copy", &redis, "sqlite:back.db"];
    let refused = outside.hearth_fails(&back).await;
    assert!(refused.contains("hosts work with redis://") && refused.contains("end them"), "{refused}");
    outside.ask("demo:slow=5000 still patient").await;
    outside.end(Signal::TERM).await;
    let copied = outside.hearth(&back).await;
    assert!(copied.contains("conversations\t1") && copied.contains("transcripts\t1"), "{copied}");
    places.move_to(&outside, "sqlite:back.db");
    outside.start().await;
    outside.hear("still patient").await;
    outside.say("what is my name?").await;
    outside.answered(5).await;
    let answers = outside.answers();
    assert!(answers.len() == 5 && answers[4].contains("Your name is Zelda"), "{answers:?}");
    let log = std::fs::read_to_string(outside.log()).unwrap();
    assert!(!log.contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_host_remembers_what_was_said_before_the_move_to_redis() {
    let (mut outside, places) = (on_a_file().await, Places::new());
    outside.say("my name is Zelda").await;
    outside.hear("Zelda").await;
    outside.end(Signal::TERM).await;
    let (redis, password) = (places.redis("moved"), places.password());
    let copied =
        outside.hearth(&["store", "copy", "sqlite:hearth.db", &redis, "--to-password", &password]).await;
    assert!(copied.contains("transcripts\t1"), "{copied}");
    places.move_to(&outside, &redis);
    let mut beside = outside.beside(|toml| toml);
    beside.start().await;
    outside.send_webhooks_to(beside.listen);
    outside.say("what is my name?").await;
    outside.hear("Your name is Zelda").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_copied_is_refused_with_what_to_do() {
    let (mut outside, places) = (on_a_file().await, Places::new());
    let (redis, password) = (places.redis("none"), places.password());
    let with = |options: &[&'static str]| options.to_vec();
    let used = outside.hearth_fails(&["store", "copy", "sqlite:hearth.db", "sqlite:other.db"]).await;
    assert!(used.contains("works with") && used.contains("end it"), "{used}");
    outside.end(Signal::TERM).await;
    for (from, to, more, words) in [
        ("sqlite:hearth.db", "sqlite:hearth.db", with(&[]), "both are the same store"),
        ("sqlite:none.db", "sqlite:other.db", with(&[]), "there is no store at"),
        ("sqlite:hearth.db", "memcached://x", with(&[]), "names a store that Hearth does not have"),
        ("sqlite:hearth.db", "redis://:hunter2@localhost", with(&[]), "everybody could see"),
        ("sqlite:hearth.db", &redis, with(&["--to-password", "hunter2"]), "not itself"),
        ("sqlite:hearth.db", &redis, with(&["--to-password", "${NONE_SUCH}"]), "NONE_SUCH"),
        ("sqlite:hearth.db", &redis, with(&["--to-password", "file:/none/such"]), "/none/such"),
    ] {
        let refused = outside.hearth_fails(&[&["store", "copy", from, to], &more[..]].concat()).await;
        assert!(refused.contains(words) && !refused.contains("hunter2"), "{words}: {refused}");
    }
    // Nothing of all that was written anywhere.
    let copied =
        outside.hearth(&["store", "copy", "sqlite:hearth.db", &redis, "--to-password", &password]).await;
    assert!(copied.contains("is a copy of"), "{copied}");
}
