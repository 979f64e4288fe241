//! How a turn can end without an answer, and what the room is told: one sentence of the host's, and nothing of anybody else's.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::path::PathBuf;

use hearth::playground::Options;
use hearth_tests::{
    binary,
    world::{World, demo_agent},
};
use serde_json::Value;

fn recordings() -> PathBuf {
    binary::repository().join("tests/fixtures/claude")
}

/// A deployment whose agent says again what the real CLI said in the case that a message names as `fixture:<case>`.
async fn replaying(bot_keys: &str) -> (World, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().unwrap();
    let script = folder.path().join("claude");
    let text = format!(
        "case \"$*\" in *--version*) echo '2.1.330 (Claude Code)'; exit;; esac\n\
         while read -r line; do case \"$line\" in *fixture:*)\n\
         name=${{line#*fixture:}}; name=${{name%%[!a-zA-Z0-9_]*}}; cat '{}'/\"$name\".stdout.jsonl; cat > /dev/null; exit 1;;\n\
         esac; done\n",
        recordings().display()
    );
    std::fs::write(&script, text).unwrap();
    let toml = format!(
        "[agent]\ncommand = [\"sh\", '{}']\n[bots.assistant]\nplugin = \"assistant\"\n{bot_keys}",
        script.display()
    );
    (World::with(&toml, Options::default()).await, folder)
}

/// What the CLI and the provider said about their trouble in a case.
fn prose(case: &str) -> Vec<String> {
    let recorded = std::fs::read_to_string(recordings().join(format!("{case}.stdout.jsonl"))).unwrap();
    let mut prose = Vec::new();
    for line in recorded.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let errors = line["errors"].as_array().into_iter().flatten();
        let said = line["message"]["content"].as_array().into_iter().flatten().map(|block| &block["text"]);
        let is_error = line["is_error"] == true || line["error"].is_string();
        prose.extend(errors.filter_map(Value::as_str).map(str::to_owned));
        if is_error {
            let texts = std::iter::once(&line["result"]).chain(said);
            prose.extend(texts.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    prose
}

/// Every five words in a row: fewer are any sentence's.
fn phrases(text: &str) -> Vec<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.windows(5).map(|five| five.join(" ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_the_cli_or_the_provider_says_about_an_error_is_posted() {
    let (world, _script) = replaying("").await;
    let room = world.room("assistant");
    for (case, told) in [
        ("11_max_turns_1_tool", "I ran out of turns after 16 steps; say “continue”"),
        ("12_budget", "This message used up what I may spend on one"),
        ("20_http529_default", "The model is overloaded"),
        ("21b_http429_retries1", "I've been asking the model too much"),
        ("22b_http500_retries1", "The model is overloaded"),
        ("23_http401", "I can't reach my model"),
        ("23b_http400", "The model couldn't take that"),
        ("23d_http413", "The model couldn't take that"),
        ("25b_conn_refused_retries1", "The model is overloaded"),
        ("27_no_api_key", "I can't reach my model"),
        ("28_http529_stream_input", "The model is overloaded"),
        ("61_interrupt_hang", "I was stopped."),
        ("05d_resume_not_uuid", "Something broke"),
    ] {
        let answer = world.ask(room, &format!("fixture:{case}")).await.plain;
        assert!(answer.starts_with(told) && answer.contains(" (turn "), "{case}: {answer}");
        let posted = phrases(&answer);
        for words in prose(case).iter().flat_map(|prose| phrases(prose)) {
            assert!(!posted.contains(&words), "{case}: {words:?} in {answer}");
        }
        for mark in ["API", "request", "claude", "anthropic", "http"] {
            assert!(!answer.to_lowercase().contains(&mark.to_lowercase()), "{case}: {mark:?} in {answer}");
        }
    }
    world.drained().await;
    assert_eq!(world.answers(room).len(), 13, "one sentence each: {:?}", world.answers(room));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_day_may_cost_is_counted_over_restarts_and_told_before_the_agent_is_asked() {
    let (mut world, _script) = replaying("budget-usd.day = 0.01\n").await;
    let room = world.room("assistant");
    let first = world.ask(room, "fixture:12_budget").await;
    assert!(first.plain.starts_with("This message used up"), "{}", first.plain);
    world.drained().await;
    for _ in 0..2 {
        let refused = world.ask(room, "fixture:01_print_hi").await.plain;
        assert!(
            refused.starts_with("I've spent what I may spend in a day; I can go on after midnight UTC."),
            "{refused}"
        );
        world.drained().await;
        world.stop().await;
        world.start().await;
    }
    let journal = world.journal("assistant").await;
    assert_eq!(journal[0].outcome, "day-budget");
    assert!(journal[0].details["agent"].is_null(), "nobody was asked: {}", journal[0].details);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_turn_limit_continue_goes_on_with_the_conversation() {
    let toml = format!("{}[bots.assistant]\nplugin = \"assistant\"\nmax-turns = 3\n", demo_agent());
    let world = World::with(&toml, Options::default()).await;
    let room = world.room("assistant");
    let limited = world.ask(room, "my name is Zelda demo:turn-limit").await.plain;
    assert!(
        limited.starts_with("I ran out of turns after 3 steps; say “continue” and I'll go on."),
        "{limited}"
    );
    let continued = world.ask(room, "continue: what is my name?").await.plain;
    assert!(continued.contains("Zelda"), "{continued}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_code_in_an_answer_comes_as_a_file_where_that_is_wanted() {
    let toml = format!("{}[bots.assistant]\nplugin = \"assistant\"\nattach-over = \"20B\"\n", demo_agent());
    let world = World::with(&toml, Options::default()).await;
    let room = world.room("assistant");
    let answer = world.ask(room, "markdown").await;
    world.drained().await;
    assert!(answer.plain.contains("📎 answer."), "{}", answer.plain);
    let files: Vec<_> = world
        .playground
        .messages(room)
        .into_iter()
        .filter_map(|message| {
            let (file, content) = world.playground.uploaded(message.id)?;
            Some((file.name, String::from_utf8(content.to_vec()).unwrap()))
        })
        .collect();
    assert!(!files.is_empty() && files[0].0.starts_with("answer."), "{files:?}");
    assert!(answer.plain.contains(&files[0].0) && !answer.plain.contains(files[0].1.trim()), "{files:?}");
}
