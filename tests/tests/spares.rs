//! Processes that are started ahead: first messages of conversations that need no start, and that are lost no more than others.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{path::Path, process::Stdio, time::Duration};

use hearth::playground::Options;
use hearth_tests::{
    claude_cli,
    messages_api::MessagesApi,
    outside::{Outside, SURVIVE},
    world::{PATIENCE, World, demo_agent, noted_agents},
};
use rustix::process::Signal;
use serde_json::json;

/// Conversations in a test. Whether a process is up when it is wanted is a matter of the machine; of so many, one is.
const CONVERSATIONS: usize = 6;

/// Waits until so many agents run. (A file that is written tells nobody: it is looked for.)
async fn agents_run(bot: &Path, count: usize) {
    let run = async {
        while noted_agents(bot).len() < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, run).await.expect("they are started");
}

/// Conversations of one new person after the other with a bot that has one spare, on this `[agent]`.
async fn converse(agent: &str, pause: &str, recall: &str) {
    let bots = "[agent.warm]\nprocesses = 64\nmemory = \"64GiB\"\n[bots.assistant]\nplugin = \"assistant\"\nspares = 1\n";
    let world = World::with(&format!("{agent}{bots}"), Options::default()).await;
    let bot = world.agents().as_ref().join("assistant");
    for number in 0..CONVERSATIONS {
        let person = world.playground.add_person(&format!("Person {number}"));
        let room = world.playground.direct_room(person, world.user("assistant")).unwrap();
        world.ask_as(person, room, &format!("my name is Zelda{number}")).await;
        world.ask_as(person, room, pause).await;
        // One for each person, and the spare.
        agents_run(&bot, number + 2).await;
        let recalled = world.ask_as(person, room, recall).await.plain;
        assert!(recalled.contains(&format!("Zelda{number}")), "{recalled}");
    }
    world.drained().await;
    let mut journal = world.journal("assistant").await;
    journal.reverse();
    assert_eq!(journal.len(), 3 * CONVERSATIONS);
    let agent = |row: usize, key: &str| journal[row].details["agent"][key].clone();
    let starts: Vec<_> = (0..CONVERSATIONS).map(|number| agent(3 * number, "start")).collect();
    assert_eq!(starts[0], "cold", "nobody knew what to start");
    assert!(starts.contains(&json!("spare")), "{starts:?}");
    for number in 0..CONVERSATIONS {
        let sessions: Vec<_> = (0..3).map(|turn| agent(3 * number + turn, "session")).collect();
        assert!(sessions.iter().all(|session| *session == sessions[0]), "{sessions:?}");
        assert_eq!(
            (agent(3 * number + 1, "warm"), agent(3 * number + 2, "warm")),
            (json!(true), json!(true))
        );
    }
    assert!(journal.iter().all(|row| row.details["agent"]["cause"].is_null()), "nothing was odd");
    assert!(noted_agents(&bot).is_empty(), "none outlives its host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_message_finds_a_process_that_is_up_and_its_conversation_goes_on_there() {
    converse(&demo_agent(), "demo:slow=1500", "what is my name?").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_takes_a_first_message_in_a_process_that_was_started_ahead() {
    let api = MessagesApi::start();
    let agent = format!(
        "[agent]\ncommand = [\"env\", \"ANTHROPIC_BASE_URL={}\", \"ANTHROPIC_API_KEY=sk-dummy\", '{}']\n",
        api.url(),
        claude_cli::path().display()
    );
    converse(&agent, "SLOW=3000", "RECALL").await;
}

/// The names of the conversations that processes wait for, and which have not begun.
fn spares(outside: &Outside) -> Vec<String> {
    let sessions = outside.agents().into_iter().filter_map(|agent| {
        let arguments = std::fs::read_to_string(format!("/proc/{agent}/cmdline")).ok()?;
        arguments.split('\0').find_map(|argument| argument.strip_prefix("--session-id=").map(str::to_owned))
    });
    sessions.filter(|session| outside.transcript(session).is_none()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_spare_was_paid_for_when_the_host_was_killed_comes_without_another_call() {
    let api = MessagesApi::start();
    let agent = format!(
        "command = [\"env\", \"ANTHROPIC_BASE_URL={}\", \"ANTHROPIC_API_KEY=sk-dummy\", '{}']",
        api.url(),
        claude_cli::path().display()
    );
    let mut outside = Outside::with_agent_and_bot(&agent, "spares = 1").await;
    let (mut calls, mut answers) = (0, 0);
    for number in 0..CONVERSATIONS {
        outside.end(Signal::TERM).await;
        outside.start_by(&SURVIVE, Stdio::null()).await;
        for text in ["one", "two", "SLOW=3000 three"] {
            if text != "SLOW=3000 three" {
                outside.hearth(&["sessions", "forget", "assistant"]).await;
            }
            outside.say(text).await;
            (calls, answers) = (calls + 1, answers + 1);
            outside.answered(answers).await;
        }
        outside.hearth(&["sessions", "forget", "assistant"]).await;
        let waiting = spares(&outside);
        let question = format!("SLOW=10000 the launch code is 471{number}");
        outside.say(&question).await;
        (calls, answers) = (calls + 1, answers + 1);
        api.arrived(calls).await;
        // The store can't take the answer; the agent can write it down.
        outside.fill_disk(true);
        outside.agents_answered(calls).await;
        outside.end(Signal::KILL).await;
        assert_eq!(outside.answers().len(), answers - 1, "it was not posted");
        outside.start().await;
        outside.answered(answers).await;
        assert_eq!(api.requests().len(), calls, "nothing was asked again");
        assert!(outside.answers()[answers - 1].contains(&format!("471{number}")), "{:?}", outside.answers());
        // And the conversation goes on.
        outside.say("RECALL").await;
        (calls, answers) = (calls + 1, answers + 1);
        outside.answered(answers).await;
        assert!(outside.answers()[answers - 1].contains(&format!("471{number}")), "{:?}", outside.answers());
        let by_spare =
            |session: &String| outside.transcript(session).is_some_and(|text| text.contains(&question));
        if waiting.iter().any(by_spare) {
            return;
        }
    }
    panic!("of {CONVERSATIONS} messages none was answered by a process that was started ahead");
}
