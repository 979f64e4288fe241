//! Processes that stay after their turn.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{SESSION, Stage, completed, living, patient, request};
use crate::{
    agent::{Clock, Outcome, Report, Request, ToolFailure, ToolSpec, Tools},
    config,
    id::{RoomId, SessionId},
    store::Mark,
};

pub(super) const WARM: config::Warm =
    config::Warm { processes: 8, memory: 1 << 30, idle: Duration::from_mins(10) };

/// An agent that answers one message after another with their number, as far as this process knows. `$MORE` may do
/// something else with a message first.
pub(super) fn lasting(more: &str) -> String {
    format!(
        r#"cd "$HOME/../../.."; printf '%s\n' "$*" >> arguments
        state() {{ echo "{{\"type\":\"command_lifecycle\",\"command_uuid\":\"$id\",\"state\":\"$1\"}}"; }}
        n=0
        while read -r line; do
            n=$((n+1)); id=${{line##*\"uuid\":\"}}; id=${{id%%\"*}}; echo "$n $id" >> asked
            {more}
            state started; init; answer "$n"; state completed
        done"#
    )
}

fn stage(more: &str) -> Stage {
    Stage::warm(&lasting(more), patient(), 8, WARM)
}

/// The next message of the conversation.
pub(super) fn next(number: u128) -> Request {
    Request { session: Some(SESSION), message: Uuid::from_u128(number), ..request() }
}

impl Stage {
    /// Two messages of one conversation, one after the other.
    async fn twice(&self) -> (Report, Report) {
        let first = self.run(request()).await;
        (first, self.run(next(2)).await)
    }

    fn process(&self, number: usize) -> Pid {
        Pid::from_raw(self.groups()[number].parse().unwrap()).unwrap()
    }

    /// Waits until nothing is left of the process of this number.
    async fn gone(&self, number: usize) {
        let group = self.groups()[number].clone();
        let gone = async {
            while living(|process| process.group == group) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), gone).await.expect("it goes");
    }
}

/// A tool of this name.
struct Named(&'static str);

#[async_trait]
impl Tools for Named {
    fn list(&self) -> Vec<ToolSpec> {
        let input_schema = Arc::new(Map::from_iter([("type".to_owned(), "object".into())]));
        vec![ToolSpec { name: self.0.into(), description: String::new(), input_schema, read_only: true }]
    }

    async fn call(&self, _: &str, _: Map<String, Value>) -> Result<String, ToolFailure> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn the_next_message_of_a_room_goes_to_the_process_that_answered_the_last() {
    let stage = stage("");
    let (first, second) = stage.twice().await;
    assert_eq!((&first.outcome, first.start.is_warm(), first.cause), (&completed("1"), false, None));
    assert_eq!((&second.outcome, second.start.is_warm(), second.cause), (&completed("2"), true, None));
    assert_eq!((second.session, stage.groups().len()), (Some(SESSION), 1));
    assert_eq!(second.usage.cost_usd, None, "the sum of the process is not the message's");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_process_that_another_host_has_left_behind_has_ended_when_that_is_known() {
    let stage = stage("");
    let Request { bot, room, .. } = request();
    let mark = |bytes| Mark { session: SESSION, bytes, sha256: [7; 32] };
    let waits_with = async |mark: Option<Mark>| stage.runner.waits_with(&bot, room, mark.as_ref()).await;
    assert!(!waits_with(None).await, "there is none");
    stage.run(request()).await;
    assert!(waits_with(None).await, "no host has sent anything");
    stage.runner.left_with(&bot, room, mark(1));
    assert!(waits_with(Some(mark(1))).await);
    assert!(stage.run(next(2)).await.start.is_warm());
    // It was not said what it knows since.
    stage.runner.left_with(&bot, room, Mark { session: SessionId(Uuid::max()), ..mark(2) });
    for (number, known) in [(0, Some(mark(2))), (1, None)] {
        assert!(!waits_with(known).await, "{known:?}");
        assert_eq!(living(|process| process.group == stage.groups()[number]), 0);
        assert!(!stage.run(next(3)).await.start.is_warm());
        stage.runner.left_with(&bot, room, mark(3));
    }
    assert!(waits_with(Some(mark(3))).await);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_message_that_fits_in_one_thing_less_ends_the_process_and_gets_a_new_one() {
    let tools = |name| Some(Arc::new(Named(name)) as Arc<dyn Tools>);
    let before = Request { tools: tools("one"), system_prompt: Some("be kind".into()), ..request() };
    let after = Request { session: Some(SESSION), message: Uuid::from_u128(2), ..before.clone() };
    for (what, changed) in [
        ("the persona", Request { system_prompt: Some("be a pirate".into()), ..after.clone() }),
        ("no persona", Request { system_prompt: None, ..after.clone() }),
        ("the model", Request { model: Some("opus".into()), ..after.clone() }),
        ("the limit", Request { max_turns: 3, ..after.clone() }),
        ("the budget", Request { budget_usd: Some(1.0), ..after.clone() }),
        ("the built-in tools", Request { builtin_tools: vec!["Read".into()], ..after.clone() }),
        ("the tools", Request { tools: tools("two"), ..after.clone() }),
        ("no tools", Request { tools: None, ..after.clone() }),
        ("the session", Request { session: Some(SessionId(Uuid::max())), ..after.clone() }),
        ("no session", Request { session: None, ..after.clone() }),
    ] {
        // The tools are asked for before the message, and said to be there.
        let connected = r#"case "$line" in *initialize*) n=$((n-1)); continue;; esac
            init() { echo '{"type":"system","subtype":"init","session_id":"11111111-1111-4111-8111-111111111111","mcp_servers":[{"name":"host","status":"connected"}]}'; }"#;
        let stage = stage(connected);
        stage.run(before.clone()).await;
        let report = stage.run(changed).await;
        assert_eq!((report.outcome, report.start.is_warm()), (completed("1"), false), "{what}");
        let group = &stage.groups()[0];
        assert_eq!(living(|process| process.group == *group), 0, "{what}: two at once");
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn another_room_and_another_bot_have_processes_of_their_own() {
    let stage = stage("");
    stage.run(request()).await;
    let elsewhere = stage.run(Request { room: RoomId(8), ..next(2) }).await;
    let another = stage.run(Request { bot: "pirate".into(), ..next(3) }).await;
    assert!(!elsewhere.start.is_warm() && !another.start.is_warm());
    assert!(stage.run(next(4)).await.start.is_warm());
    let processes = stage.runner.processes();
    let waiting: Vec<_> = processes.waiting.iter().map(|one| (one.bot.as_str(), one.room)).collect();
    let (here, there) = (Some(request().room), Some(RoomId(8)));
    assert_eq!(waiting, [("assistant", there), ("pirate", here), ("assistant", here)], "the oldest first");
    assert_eq!(processes.busy, 0);
    stage.assert_nothing_left().await;
    assert!(stage.runner.processes().waiting.is_empty());
}

#[tokio::test]
async fn a_process_about_which_anything_is_odd_does_not_stay() {
    for (what, more) in [
        ("it does not say that the turn is over", "state() { :; }; init; answer \"$n\"; continue"),
        ("two results", "state started; init; answer \"$n\"; answer \"$n\"; state completed; continue"),
        ("two beginnings", "state started; init; init; answer \"$n\"; state completed; continue"),
        ("no session", "state started; answer \"$n\"; state completed; continue"),
        ("junk", "state started; init; echo what; answer \"$n\"; state completed; continue"),
        (
            "another session's result",
            r#"state started; init; echo '{"type":"result","subtype":"success","is_error":false,"session_id":"22222222-1111-4111-8111-111111111111","result":"1"}'; state completed; continue"#,
        ),
        ("it goes on", "state started; init; answer \"$n\"; state completed; init; continue"),
        ("it begins a line", "state started; init; answer \"$n\"; state completed; printf '{'; continue"),
        ("it ends", "state started; init; answer \"$n\"; state completed; exit 0"),
        (
            "an error of the API",
            r#"if [ ! -e broken ]; then touch broken; state started; init; echo '{"type":"result","subtype":"success","is_error":true,"result":"no"}'; state cancelled; continue; fi"#,
        ),
    ] {
        let stage = stage(more);
        let (_, second) = stage.twice().await;
        assert_eq!((&second.outcome, second.start.is_warm()), (&completed("1"), false), "{what}: {second:?}");
        assert_eq!(stage.groups().len(), 2, "{what}");
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_budget_is_a_process_s_so_none_is_asked_twice() {
    let stage = stage("");
    for number in 1..=2 {
        let report = stage.run(Request { budget_usd: Some(1.0), ..next(number) }).await;
        assert_eq!((report.outcome, report.start.is_warm()), (completed("1"), false));
    }
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_process_that_fails_before_it_says_anything_is_replaced_within_the_turn() {
    for (what, more) in [
        ("it dies", "[ $n = 1 ] || kill -9 $$"),
        ("it ends", "[ $n = 1 ] || exit 0"),
        ("it answers something else", "[ $n = 1 ] || { answer late; state started; }"),
    ] {
        let stage = stage(more);
        let (_, second) = stage.twice().await;
        assert_eq!((&second.outcome, second.start.is_warm()), (&completed("1"), false), "{what}: {second:?}");
        assert_eq!(second.cause, None, "{what}: the room has not noticed");
        let asked = stage.lines("asked");
        let id = Uuid::from_u128(2).to_string();
        assert_eq!(asked[1..], [format!("2 {id}"), format!("1 {id}")], "{what}: the same message");
        assert!(stage.lines("arguments")[1].contains("--resume=11111111"), "{what}");
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_process_that_says_nothing_is_not_waited_for_as_long_as_a_new_one() {
    let stage = stage("[ $n = 1 ] || exec sleep 1000");
    let (_, second) = stage.twice().await;
    assert_eq!((second.outcome, second.start.is_warm()), (completed("1"), false));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_process_that_fails_in_the_middle_has_failed() {
    let stage = stage("[ $n = 1 ] || { state started; init; kill -9 $$; }");
    let (_, second) = stage.twice().await;
    assert_eq!((second.outcome, second.start.is_warm()), (Outcome::Crashed, true));
    assert!(!stage.run(next(3)).await.start.is_warm());
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_silent_process_is_out_of_time_like_any_other_and_does_not_stay() {
    let stage = Stage::warm(
        &lasting("[ $n = 1 ] || { state started; init; exec sleep 1000; }"),
        config::Deadlines { silence: Duration::from_secs(5), ..patient() },
        8,
        WARM,
    );
    let (_, second) = stage.twice().await;
    assert_eq!((second.outcome, second.start.is_warm()), (Outcome::TimedOut(Clock::Silence), true));
    stage.gone(0).await;
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn killing_the_process_between_any_two_messages_loses_nothing() {
    let stage = stage("");
    for number in 1..=6 {
        let report = stage.run(next(number)).await;
        assert_eq!((report.outcome, report.start.is_warm(), report.cause), (completed("1"), false, None));
        // It may have noticed its end or not when the next message comes.
        let _ = kill_process(stage.process(stage.groups().len() - 1), Signal::KILL);
        if number % 2 == 0 {
            stage.gone(stage.groups().len() - 1).await;
        }
    }
    assert_eq!(stage.groups().len(), 6);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn of_too_many_the_one_that_was_used_the_longest_time_ago_goes() {
    let two = config::Warm { processes: 2, ..WARM };
    let stage = Stage::warm(&lasting(""), patient(), 8, two);
    let in_room = |room| Request { room: RoomId(room), ..next(1) };
    for room in [1, 2] {
        stage.run(in_room(room)).await;
    }
    assert!(stage.run(Request { message: Uuid::from_u128(2), ..in_room(1) }).await.start.is_warm());
    stage.run(in_room(3)).await;
    stage.gone(1).await;
    assert!(stage.run(Request { message: Uuid::from_u128(3), ..in_room(1) }).await.start.is_warm());
    assert!(!stage.run(Request { message: Uuid::from_u128(2), ..in_room(2) }).await.start.is_warm());
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn too_large_and_too_long_idle_ones_go() {
    for (what, warm) in [
        ("memory", config::Warm { memory: 1, ..WARM }),
        ("idle", config::Warm { idle: Duration::from_millis(1), ..WARM }),
    ] {
        let stage = Stage::warm(&lasting(""), patient(), 8, warm);
        stage.run(request()).await;
        stage.gone(0).await;
        assert!(!stage.run(next(2)).await.start.is_warm(), "{what}");
        stage.assert_nothing_left().await;
    }
}

/// Reads on until the interrupt, and says that it has been.
const INTERRUPTIBLE: &str = r#"[ "$n" = 1 ] || { state started; init; echo > fifo; read -r interrupt; printf '%s\n' "$interrupt" > interrupt
    echo '{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming"}'; state cancelled; n=0; continue; }"#;

/// The second message, interrupted once the process has begun with it.
async fn interrupted(stage: &Stage) -> Report {
    super::make_fifo(&stage.file("fifo"));
    stage.run(request()).await;
    let interrupt = CancellationToken::new();
    let second = Request { interrupt: interrupt.clone(), ..next(2) };
    let (report, ()) = tokio::join!(stage.run(second), async {
        super::read_fifo(&stage.file("fifo")).await;
        interrupt.cancel();
    });
    report
}

#[tokio::test]
async fn an_interrupted_turn_ends_and_its_process_goes_on() {
    // A machine that is too busy for the process to answer within its second gets another try.
    for number in 1.. {
        let stage = stage(INTERRUPTIBLE);
        let report = interrupted(&stage).await;
        assert_eq!((report.outcome, report.session), (Outcome::Interrupted, Some(SESSION)));
        let third = stage.run(next(3)).await;
        let (is_warm, sent) = (third.start.is_warm(), stage.lines("interrupt"));
        assert_eq!(third.outcome, completed("1"));
        stage.assert_nothing_left().await;
        if is_warm {
            let sent: Value = serde_json::from_str(&sent[0]).unwrap();
            assert_eq!(
                (&sent["type"], &sent["request"]["subtype"]),
                (&"control_request".into(), &"interrupt".into())
            );
            assert_eq!(stage.groups().len(), 1);
            break;
        }
        assert!(number < 5, "an interrupt ends the process");
    }
}

#[tokio::test]
async fn an_agent_that_ignores_an_interrupt_is_ended() {
    let stage = stage("[ $n = 1 ] || { state started; init; echo > fifo; exec sleep 1000; }");
    let began = std::time::Instant::now();
    let report = interrupted(&stage).await;
    assert_eq!((report.outcome, report.session), (Outcome::Interrupted, Some(SESSION)));
    assert!(began.elapsed() < Duration::from_secs(30), "no deadline of the turn's was waited for");
    assert!(!stage.run(Request { session: None, ..request() }).await.start.is_warm());
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_turn_interrupted_before_it_began_starts_nothing() {
    let stage = stage("");
    let already = request();
    already.interrupt.cancel();
    assert_eq!(stage.run(already).await.outcome, Outcome::Interrupted);
    assert!(stage.groups().is_empty());
}
