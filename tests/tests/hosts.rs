//! Several hosts on one store, as their operator sees them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{process::Stdio, time::Duration};

use hearth::playground::Message;
use hearth_tests::{
    browser,
    outside::{Outside, on_redis},
    redis_server::RedisServer,
    world::{PATIENCE, is_underway},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How often is asked again whether something has come about.
const LOOK: Duration = Duration::from_millis(100);

/// Two hosts. The first has answered in the assistant's room. The second has a dashboard, and other code for the same bot.
struct Two {
    first: Outside,
    second: Outside,
    _redis: RedisServer,
    _folder: TempDir,
}

impl Two {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let redis = RedisServer::start(folder.path());
        let keys = on_redis(format_args!("127.0.0.1:{}?prefix=test", redis.port()), folder.path());
        let first = Outside::new(&keys).await;
        // A room stays where it was. A new one is the other host's if that looks for what is left at just the wrong moment.
        first.say("my name is Zelda").await;
        first.hear("Zelda").await;
        let mut second = first.beside(|toml| {
            let toml = toml.replace("admin = \"off\"", "admin = \"127.0.0.1:0\"");
            toml.replace("plugin = \"assistant\"", "plugin = \"echo\"")
        });
        second.start().await;
        let two = Self { first, second, _redis: redis, _folder: folder };
        two.status(|status| status["cluster"]["mixed"].as_array().unwrap().len() == 1).await;
        two
    }

    /// What the first says once it says that.
    async fn status(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let said = self.first.hearth(&["status", "--json"]).await;
                let status: Value = serde_json::from_str(&said).unwrap();
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the hosts see each other")
    }
}

fn hosts(status: &Value) -> &Vec<Value> {
    status["cluster"]["hosts"].as_array().unwrap()
}

/// Where the only host with a dashboard has it.
fn dashboard(status: &Value) -> String {
    let admin = hosts(status).iter().find_map(|host| host["admin"].as_str());
    format!("http://{}/", admin.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_host_tells_what_each_runs_and_one_that_died_or_ended_is_not_told_of_any_more() {
    let mut two = Two::new().await;
    let status = two.status(|status| hosts(status).len() == 2).await;
    let says = status["cluster"]["mixed"][0]["says"].as_str().unwrap();
    assert!(says.starts_with("assistant is not the same on all 2 hosts: 1 runs "), "{says}");
    assert!(says.contains("1 runs assistant ") && says.contains("1 runs echo "), "{says}");
    let here = status["cluster"]["here"].as_str().unwrap();
    for host in hosts(&status) {
        assert_eq!(host["phase"], "open", "{host}");
        assert_eq!(host["bots"][0]["running"]["generation"], 1, "{host}");
        assert_eq!(host["admin"].is_null(), host["id"] == here, "{host}");
    }

    two.first.ask("demo:slow=3600000").await;
    let status = two.status(|status| hosts(status).iter().any(|host| host["running"] == 1)).await;
    assert_eq!(status["running"][0]["bot"], "assistant", "{status}");
    let said = two.first.hearth(&["status"]).await;
    for words in [
        "\nHOST\tSTATE\tVERSION",
        "\nBOT\tHOST\tGENERATION",
        "\techo 0",
        "\nAT WORK\tROOM",
        "is not the same on all 2",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "{said:?}");

    // Nobody says farewell for a host that was killed.
    two.first.end(Signal::KILL).await;
    let status = two.status(|status| hosts(status).len() == 1).await;
    assert_eq!((&status["config"], &status["cluster"]["here"]), (&Value::Null, &Value::Null));
    let counted = async {
        let count =
            async || reqwest::get(dashboard(&status) + "metrics").await.unwrap().text().await.unwrap();
        while !count().await.lines().any(|line| line == "hearth_hosts 1") {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the other one counts the hosts");
    let said = two.first.hearth(&["status"]).await;
    assert!(said.starts_with("HOST\tSTATE") && said.contains("\topen\t"), "{said}");

    two.second.end(Signal::TERM).await;
    // One that could not say farewell in time is seen for some seconds more.
    let gone = async {
        while two.first.run_by(&[], &["status"], Stdio::null()).await.status.success() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the other one is gone");
    let said = two.first.hearth_fails(&["status"]).await;
    assert!(said.contains("no host runs"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_of_any_host_shows_all_and_the_journal_says_which_host_ran_what() {
    let two = Two::new().await;
    let (playground, bot) = (&two.first.playground, two.first.user("assistant"));
    two.first.send_webhooks_to(two.second.listen);
    // A room where nobody answered yet is whose host takes the message, but for a rare moment: so there are three.
    let mut echoed = false;
    for number in 1..=3 {
        let person = playground.add_person(&format!("Person {number}"));
        let room = playground.direct_room(person, bot).unwrap();
        playground.say(person, room, "over here").unwrap();
        let answered = |message: &Message| message.author == bot && !is_underway(message);
        echoed |= playground.wait_for(room, answered, PATIENCE).await.unwrap().plain == "over here";
    }
    assert!(echoed, "a new room goes to whoever takes the webhook");
    two.first.send_webhooks_to(two.first.listen);
    two.first.say("demo:slow=3600000").await;
    let status = two.status(|status| hosts(status).iter().any(|host| host["running"] == 1)).await;
    let hashes: Vec<_> = hosts(&status).iter().map(|host| &host["bots"][0]["running"]["hash"]).collect();
    browser::play("dashboard", "hosts", &dashboard(&status), json!({ "hashes": hashes })).await;
}
