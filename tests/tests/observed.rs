//! What monitoring sees of a host, and that what is delivered for it fits.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, process::Stdio, time::Duration};

use hearth::playground::{Fault, Features, Options};
use hearth_tests::{
    binary,
    world::{PATIENCE, World, demo_agent},
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

/// A host with a bot that asks the agent, of this name, and `echo`. Hosts of one process count together, so each test has
/// a name of its own.
async fn observed(host_keys: &str, assistant: &str) -> (World, SocketAddr) {
    let bots = format!(
        "[bots.echo]\nplugin = \"echo\"\n[bots.{assistant}]\nplugin = \"assistant\"\ngrants = [\"kv\"]\n"
    );
    let toml = format!("[host]\nadmin = \"127.0.0.1:0\"\n{host_keys}{}{bots}", demo_agent());
    // Where rooms have no history, it stays unknown whether a post is there.
    let world = World::with(&toml, Options { features: Features::oldest(), ..Options::default() }).await;
    let admin = world.admin.unwrap();
    (world, admin)
}

async fn get(admin: SocketAddr, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{admin}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Acts as the dashboard does.
async fn act(admin: SocketAddr, method: Method, path: &str) {
    let session: Value = serde_json::from_str(&get(admin, "/api/session").await.1).unwrap();
    let request = reqwest::Client::new().request(method, format!("http://{admin}{path}"));
    let request = request.header("x-hearth-action", session["action-token"].as_str().unwrap());
    assert_eq!(request.send().await.unwrap().status(), 200);
}

async fn scrape(admin: SocketAddr) -> String {
    let (status, text) = get(admin, "/metrics").await;
    assert_eq!(status, 200);
    text
}

/// The value of the one sample that begins so, as it is written.
fn value<'a>(text: &'a str, sample: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(sample));
    let line = line.unwrap_or_else(|| panic!("{sample} is not in\n{text}"));
    line.rsplit(' ').next().unwrap()
}

/// The names of metrics that a text speaks of.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    words
        .filter(|word| word.starts_with("hearth_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

fn delivered(file: &str) -> PathBuf {
    binary::repository().join("host/observability").join(file)
}

async fn promtool(arguments: &[&str], input: &str) {
    let promtool = std::env::var_os("HEARTH_TEST_PROMTOOL")
        .expect("HEARTH_TEST_PROMTOOL is not set: this test runs from tests/run, which installs promtool");
    #[expect(clippy::disallowed_methods, reason = "the tests run other programs")]
    let mut promtool = Command::new(promtool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(PATIENCE, promtool.wait_with_output()).await.unwrap().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted_and_what_monitoring_asks_for_is_there() {
    let (world, admin) = observed("queue-limit = 2\n", "assistant").await;
    let (echo, assistant) = (world.room("echo"), world.room("assistant"));
    world.ask(echo, "hello").await;
    world.ask(assistant, r#"demo:tool remember {"subject":"lunch","note":"pizza"}"#).await;
    world.playground.inject(Fault::ErrorAfterStoring(500), 1);
    world.ask(echo, "twice?").await;
    world.drained().await;
    // A paused lane fills up: two wait, three are refused.
    act(admin, Method::PUT, "/api/pauses/assistant").await;
    for number in 0..5 {
        world.say(assistant, &format!("hello {number}")).await;
    }
    act(admin, Method::DELETE, "/api/pauses/assistant").await;
    world.drained().await;
    let wrong = reqwest::Client::new().post(format!("http://{}/hooks/echo/guessed", world.address));
    assert_eq!(wrong.send().await.unwrap().status(), 404);

    let text = scrape(admin).await;
    assert_eq!(value(&text, r#"hearth_webhooks_total{bot="echo",status="204"}"#), "2");
    assert_eq!(value(&text, r#"hearth_webhooks_total{bot="-",status="404"}"#), "1");
    assert_eq!(value(&text, r#"hearth_webhooks_total{bot="echo",status="503"}"#), "0");
    assert_eq!(value(&text, r#"hearth_turns_total{bot="echo",outcome="replied"}"#), "2");
    assert_eq!(value(&text, r#"hearth_turns_total{bot="assistant",outcome="answered"}"#), "3");
    assert_eq!(value(&text, r#"hearth_turn_duration_seconds_count{bot="assistant"}"#), "3");
    assert_eq!(value(&text, r#"hearth_turn_duration_seconds_bucket{bot="assistant",le="900"}"#), "3");
    assert_eq!(value(&text, r#"hearth_agent_duration_seconds_count{bot="assistant"}"#), "3");
    assert_eq!(value(&text, r#"hearth_agent_start_wait_seconds_count{bot="assistant"}"#), "3");
    assert_eq!(value(&text, r#"hearth_plugin_call_duration_seconds_count{bot="echo",call="decide"}"#), "2");
    assert_eq!(value(&text, r#"hearth_tool_calls_total{bot="assistant",outcome="done"}"#), "1");
    assert_eq!(value(&text, r#"hearth_posts_total{bot="echo",outcome="posted"}"#), "1");
    assert_eq!(value(&text, r#"hearth_posts_total{bot="echo",outcome="uncertain"}"#), "1");
    assert_eq!(value(&text, r#"hearth_posts_total{bot="echo",outcome="failed"}"#), "0");
    assert_eq!(value(&text, r#"hearth_messages_refused_total{bot="assistant"}"#), "3");
    assert_ne!(value(&text, r#"hearth_agent_tokens_total{bot="assistant",kind="output"}"#), "0");
    assert_eq!(value(&text, "hearth_lanes_active "), "0");
    assert_eq!(value(&text, r#"hearth_plugin_generation{bot="echo"}"#), "1");
    assert!(value(&text, "process_resident_memory_bytes ").len() > 6, "it is in bytes");

    // Each has words that explain it, and the text is as Prometheus wants it.
    for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    promtool(&["check", "metrics"], &text).await;

    // What the alerts and the dashboard ask for is what is told.
    let dashboard: Value =
        serde_json::from_slice(&std::fs::read(delivered("grafana.json")).unwrap()).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() > 10);
    let told = named(&text);
    for file in ["alerts.yml", "grafana.json"] {
        let asked = named(&std::fs::read_to_string(delivered(file)).unwrap());
        assert!(asked.len() > 5, "{file}");
        for name in asked {
            assert!(told.contains(&name), "{file} asks for {name}, which the host does not tell");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_rules_load_and_tell_of_hosts_that_are_gone_or_cut_off() {
    let rules = delivered("alerts.yml");
    promtool(&["check", "rules", rules.to_str().unwrap()], "").await;
    let cases = binary::repository().join("tests/fixtures/alerts.yml");
    promtool(&["test", "rules", cases.to_str().unwrap()], "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_ready_once_its_plugins_are_loaded_and_until_it_is_about_to_end() {
    let (mut world, admin) = observed("", "patient").await;
    world.generation("echo", 1).await;
    world.generation("patient", 1).await;
    let readiness = async |wanted: &str| {
        let found = async {
            loop {
                let (status, text) = get(admin, "/readyz").await;
                if text.contains(wanted) {
                    return status;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect(wanted)
    };
    assert_eq!(readiness(r#""ready":true"#).await, 200);
    assert_eq!(get(admin, "/healthz").await, (200, json!({ "alive": true }).to_string()));
    // It outlasts the grace, which is ten seconds: for so long the host is about to end.
    world.say(world.room("patient"), "demo:slow=600000 wait").await;
    let begun = async {
        while !world.lanes().running().contains_key(&world.lane("patient")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
    let (status, ()) = tokio::join!(readiness("the host is about to end"), world.stop());
    assert_eq!(status, 503);
    assert!(reqwest::get(format!("http://{admin}/healthz")).await.is_err(), "it ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_told_by_turn_hour_and_day() {
    let (world, admin) = observed("", "colleague").await;
    let room = world.room("colleague");
    world.ask(room, r#"demo:tool remember {"subject":"lunch","note":"pizza"}"#).await;
    world.ask(room, "demo:die").await;
    world.drained().await;
    let read = async |path: &str| -> Value { serde_json::from_str(&get(admin, path).await.1).unwrap() };

    let turns = read("/api/turns?bot=colleague&limit=10").await;
    let outcomes: Vec<_> =
        turns.as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["crashed", "answered"]);
    let found = read("/api/turns?text=CRASHED").await;
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let id = turns[1]["turn"].as_str().unwrap();
    let told = read(&format!("/api/turns/{id}")).await;
    assert_eq!(told["tool-calls"][0]["tool"], json!("remember"));
    assert!(told["tool-calls"][0]["input"].as_str().unwrap().contains("pizza"), "{told}");
    let next = read(&format!("/api/turns?before={}", turns[0]["turn"].as_str().unwrap())).await;
    assert_eq!(next[0]["turn"], json!(id));

    let hours = read("/api/hours?since=0").await;
    let counted = hours.as_array().unwrap().iter().filter_map(|hour| hour["outcomes"]["crashed"].as_u64());
    assert_eq!(counted.sum::<u64>(), 1, "{hours}");
    let spending = read("/api/spending?since=0").await;
    assert_eq!(spending[0]["bot"], json!("colleague"), "{spending}");
    assert!(spending[0]["output-tokens"].as_u64().unwrap() > 0);
    let overview = read("/api/overview").await;
    assert_eq!(overview["phase"], json!("open"));
    assert_eq!(overview["bots"][0]["generation"]["plugin"], json!("assistant"), "{overview}");
}
