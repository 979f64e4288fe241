//! Plugins in JavaScript and Python, and what a guest that brings WASI finds behind it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{io::ErrorKind, net::TcpListener, sync::LazyLock};

use hearth::{
    id::Timestamp,
    plugin::{CallError, Decision, Generation, Loader, Part},
};
use hearth_tests::{
    binary, log,
    workbench::Workbench,
    world::{PATIENCE, World},
};
use tokio::sync::OnceCell;

const RECEIVED_AT: i64 = 1_700_000_000_123;

/// What `nosy` answers to this, on a bot with these keys. It is compiled once for all tests here.
async fn nosy(text: &str, keys: &str) -> Result<String, CallError> {
    static LOADER: LazyLock<Loader> = LazyLock::new(|| Loader::new().unwrap());
    // A loader forgets what no bot uses any more.
    static KEPT: OnceCell<Generation> = OnceCell::const_new();
    let load = async |keys: &str| {
        let bot = format!("plugin = '{}'\n{keys}", binary::guest("nosy").display());
        Workbench::load_by(&LOADER, &bot).await.unwrap()
    };
    KEPT.get_or_init(async || load("").await.generation).await;
    let mut bench = load(keys).await;
    bench.reach.received_at = Timestamp(RECEIVED_AT);
    match bench.decide(text).await? {
        Decision::Reply(mut parts) => match parts.pop() {
            Some(Part::Text(text)) => Ok(text),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

// === Bots ===

#[tokio::test(flavor = "multi_thread")]
async fn bots_in_javascript_and_python_answer_beside_each_other() {
    log::keep();
    let world = World::new(&format!(
        "[bots.units]\nplugin = '{}'\n[bots.workdays]\nplugin = '{}'\nsettings = {{ holidays = [\"2027-03-26\"] }}\n",
        binary::guest("units").display(),
        binary::guest("workdays").display()
    ))
    .await;
    for bot in ["units", "workdays"] {
        // Each brings a whole interpreter, and that takes its time to compile.
        let loaded = world.roster().wait_for(bot, |seat| seat.generation.is_some());
        tokio::time::timeout(PATIENCE * 5, loaded).await.unwrap();
    }

    let units = world.room("units");
    assert_eq!(world.ask(units, "5 miles in km").await.plain, "5 mi = 8.04672 km");
    assert_eq!(world.ask(units, "212 °F to c").await.plain, "212 °F = 100 °C");
    let refused = world.ask(units, "5 kg in km").await.plain;
    assert!(refused.starts_with("kg is a mass and km a length"), "{refused}");
    let help = world.ask(units, "units").await.plain;
    assert!(help.contains("temperature") && help.contains("TiB"), "{help}");
    let asked = world.ask(units, "my name is Zelda").await.plain;
    assert!(asked.contains("Zelda"), "the agent is asked what is no conversion: {asked}");

    let workdays = world.room("workdays");
    let counted = world.ask(workdays, "workdays 2027-03-01 2027-04-01").await.plain;
    assert_eq!(counted, "22 working days from Monday, 2027-03-01 up to Thursday, 2027-04-01.");
    assert_eq!(world.ask(workdays, "2027-03-25 + 1 day").await.plain, "Monday, 2027-03-29.");
    assert_eq!(world.ask(workdays, "2027-03-29 - 1").await.plain, "Thursday, 2027-03-25.");
    let refused = world.ask(workdays, "2027-02-29 + 1").await.plain;
    assert!(refused.contains("is no date"), "{refused}");
    for no_date in ["GPT-4", "COVID-19", "someday + 1", "workdays are long"] {
        let asked = world.ask(workdays, no_date).await.plain;
        assert!(asked.contains(no_date) && !asked.contains("is no date"), "the agent is asked: {asked}");
    }
    let today = world.ask(workdays, "today + 0").await.plain;
    assert!(today.contains("day, 20"), "{today}");
    let asked = world.ask(workdays, "my name is Zelda").await.plain;
    assert!(asked.contains("Zelda"), "the agent is asked what is no reckoning: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_in_python_tells_the_model_what_is_wrong_with_the_settings() {
    let settings = "settings = { holidays = [\"Christmas\"] }";
    let bench = Workbench::file(&binary::guest("workdays"), settings).await.unwrap();
    let input = serde_json::from_str(r#"{"start": "today", "days": 1}"#).unwrap();
    let called = bench.generation.call_tool(&bench.reach, &bench.message("hi"), "add_workdays", input).await;
    let trouble = called.unwrap_err();
    let told = (trouble.kind(), trouble.sentence());
    assert!(told.0 == "failed" && told.1.starts_with("In the settings, a holiday is no date"), "{told:?}");
}

// === WASI ===

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_files() {
    assert_eq!(nosy("files", "").await.unwrap(), ["FileNotFoundError"; 4].join(" "));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_environment_no_argument_and_no_input() {
    assert_eq!(nosy("environment", "").await.unwrap(), "{} [] ''");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = nosy(&format!("network {port}"), "").await.unwrap();
    assert_eq!(answer, "PermissionError PermissionError gaierror");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_stand_until_they_are_granted() {
    assert_eq!(nosy("clocks", "").await.unwrap(), "1700000000.123 0.000 0.000");
    let answer = nosy("clocks", "grants = [\"clock\"]\n").await.unwrap();
    let times: Vec<f64> = answer.split(' ').map(|time| time.parse().unwrap()).collect();
    assert!(times[0] > 1_750_000_000.0, "{answer}");
    assert!(times[1] >= 0.02 && times[2] >= 0.02, "it slept for 20 ms: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_numbers_differ_from_call_to_call() {
    let (one, other) = (nosy("random", "").await.unwrap(), nosy("random", "").await.unwrap());
    for (one, other) in one.split(' ').zip(other.split(' ')) {
        assert_ne!(one, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_prints_is_logged_line_by_line_within_bounds() {
    log::keep();
    assert_eq!(nosy("print rhubarb", "").await.unwrap(), "printed");
    let output = log::lines_with("rhubarb on standard output");
    assert!(
        output.len() == 1 && output[0].contains("INFO plugin") && output[0].contains("bot=x"),
        "{output:?}"
    );
    let error = log::lines_with("rhubarb on standard error");
    assert!(error.len() == 1 && error[0].contains("WARN plugin"), "{error:?}");
    assert_eq!(log::lines_with("rhubarb without an end").len(), 1);

    assert_eq!(nosy("flood custard", "").await.unwrap(), "flooded");
    assert_eq!(log::lines_with("custard").len(), 100);
    assert_eq!(log::lines_with("dropped=900").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_is_a_trap_and_its_words_are_in_the_log() {
    log::keep();
    let error = nosy("raise", "").await.unwrap_err();
    assert!(matches!(error, CallError::Trapped(_)), "{error}");
    assert!(!log::lines_with("division by zero").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_itself_is_a_trap_that_says_so() {
    let error = nosy("exit", "").await.unwrap_err();
    assert!(error.to_string().contains("ended itself with exit status 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_wasi_does_for_it_counts_as_its_own() {
    let error = nosy("dice", "limits = { compute = \"500ms\", call-time = \"60s\" }\n").await.unwrap_err();
    assert!(error.to_string().contains("raise `compute`"), "{error}");
    let slept = nosy("sleep 5", "limits = { compute = \"4s\" }\n").await;
    assert_eq!(slept.unwrap(), "None", "waiting is no work");
}

#[tokio::test(flavor = "multi_thread")]
async fn sleeping_is_ended_by_the_clock_like_everything_else() {
    let error = nosy("sleep 3600", "limits = { call-time = \"300ms\" }\n").await.unwrap_err();
    assert!(error.to_string().contains("call-time"), "{error}");
}
