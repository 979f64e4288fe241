//! Processes that are started ahead.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Stage, completed, living, patient, request, warm::WARM};
use crate::{
    agent::{Outcome, Report, Request, Start},
    config,
    id::{RoomId, SessionId},
};

/// An agent that says what it is called, as the real one does: nothing before it is spoken to, its session in each line.
/// `$MORE` may do something else with a message first.
fn named(more: &str) -> String {
    format!(
        r#"cd "$HOME/../../.."; printf '%s\n' "$*" >> arguments
        case "$*" in *--session-id=*) session=${{*##*--session-id=}};; *) session=${{*##*--resume=}};; esac
        session=${{session%% *}}
        state() {{ echo "{{\"type\":\"command_lifecycle\",\"command_uuid\":\"$id\",\"state\":\"$1\"}}"; }}
        up() {{ echo '{{"type":"control_response","response":{{"subtype":"success","request_id":"initialize","response":{{}}}}}}'; echo $$ >> up; }}
        init() {{ echo "{{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"$session\"}}"; }}
        n=0
        while read -r line; do
            case "$line" in *initialize*) up; continue;; esac
            n=$((n+1)); id=${{line##*\"uuid\":\"}}; id=${{id%%\"*}}
            {more}
            state started; init; answer "$n"; state completed
        done"#
    )
}

/// The first message of a room's conversation, of a bot with this many spares.
fn first(room: u64, spares: usize) -> Request {
    let number = u128::from(room);
    let (message, new_session) = (Uuid::from_u128(number), SessionId(Uuid::from_u128(1000 + number)));
    Request { room: RoomId(room), message, new_session, spares, ..request() }
}

impl Stage {
    fn spared(more: &str) -> Self {
        Self::warm(&named(more), patient(), 2, WARM)
    }

    /// Waits until so many processes have come up that were started ahead.
    async fn up(&self, count: usize) {
        self.eventually(|| self.lines("up").len() >= count).await;
        // That it has said so is known a moment later.
        let bot = "assistant".into();
        self.eventually(|| self.runner.pool.ready_spares(&bot) > 0).await;
    }

    async fn eventually(&self, is_so: impl Fn() -> bool) {
        let so = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), so).await.expect("it comes to be so");
    }

    /// Two rooms' first messages: after them the bot's terms are known to stay.
    async fn settled(&self, spares: usize) {
        for room in [1, 2] {
            assert_eq!(self.run(first(room, spares)).await.start, Start::Cold);
        }
        self.up(1).await;
    }

    fn alive(&self) -> usize {
        let groups = self.groups();
        living(|process| groups.contains(&process.id))
    }
}

fn is_cold(report: &Report) -> bool {
    matches!(report.outcome, Outcome::Completed { .. }) && report.start == Start::Cold
}

#[tokio::test]
async fn a_first_message_is_answered_by_a_process_that_was_started_ahead_and_its_conversation_goes_on_there()
{
    let stage = Stage::spared("");
    stage.settled(1).await;
    let report = stage.run(first(3, 1)).await;
    assert_eq!((&report.outcome, report.start, &report.cause), (&completed("1"), Start::Spare, &None));
    let session = report.session.unwrap();
    assert_ne!(session, first(3, 1).new_session, "the process had a name before there was a message");
    assert!(stage.lines("arguments").iter().any(|line| line.contains(&format!("--session-id={session}"))));
    let second = Request { session: Some(session), message: Uuid::from_u128(30), ..first(3, 1) };
    let report = stage.run(second).await;
    assert_eq!((report.outcome, report.start, report.session), (completed("2"), Start::Warm, Some(session)));
    // It is replaced.
    stage.up(2).await;
    assert_eq!(stage.run(first(4, 1)).await.start, Start::Spare);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_conversation_that_goes_on_and_a_message_that_was_tried_before_take_none() {
    let stage = Stage::spared("");
    stage.settled(1).await;
    let known = Request { session: Some(SessionId(Uuid::max())), ..first(3, 1) };
    let again = Request { again: true, ..first(4, 1) };
    let unwanted = Request { spares: 0, ..first(5, 1) };
    for request in [known, again, unwanted] {
        let report = stage.run(request).await;
        assert!(is_cold(&report), "{report:?}");
    }
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn there_are_never_more_than_the_bot_is_to_have_or_than_the_pool_has_room_for() {
    for (spares, processes, alive) in [(3, 8, 5), (8, 4, 4), (2, 2, 2)] {
        let limits = config::Warm { processes, ..WARM };
        let stage = Stage::warm(&named(""), patient(), 2, limits);
        for room in [1, 2] {
            stage.run(first(room, spares)).await;
        }
        let (bot, expected) = ("assistant".into(), alive - 2);
        stage.eventually(|| stage.runner.pool.ready_spares(&bot) == expected).await;
        // Another message of a room that is known starts none.
        let session = Some(first(1, spares).new_session);
        let again = Request { session, message: Uuid::from_u128(50), ..first(1, spares) };
        assert!(stage.run(again).await.start.is_warm());
        assert_eq!((stage.alive(), stage.groups().len()), (alive, alive), "{spares} of {processes}");
        assert_eq!(stage.lines("up").len(), expected);
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_spare_gives_way_to_a_process_that_knows_its_room() {
    let stage = Stage::warm(&named(""), patient(), 2, config::Warm { processes: 3, ..WARM });
    stage.settled(1).await;
    // Started cold, as it goes on; it stays, and the spare goes.
    let known = Request { session: Some(SessionId(Uuid::max())), ..first(3, 1) };
    assert!(is_cold(&stage.run(known.clone()).await));
    stage.eventually(|| stage.alive() == 3).await;
    for room in [1, 2] {
        let session = Some(first(room, 1).new_session);
        let next = Request { session, message: Uuid::from_u128(60), ..first(room, 1) };
        assert!(stage.run(next).await.start.is_warm(), "room {room}");
    }
    assert!(is_cold(&stage.run(first(4, 1)).await), "none is left, and there is no room for one");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn other_terms_end_it_and_those_that_come_twice_have_their_own() {
    let stage = Stage::spared("");
    stage.settled(1).await;
    let spare = stage.lines("up")[0].clone();
    let other = |room| Request { system_prompt: Some("be a pirate".into()), ..first(room, 1) };
    assert!(is_cold(&stage.run(other(3)).await));
    stage.eventually(|| living(|process| process.id == spare) == 0).await;
    assert!(is_cold(&stage.run(other(4)).await), "once is no habit");
    stage.up(2).await;
    assert_eq!(stage.run(other(5)).await.start, Start::Spare);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn none_is_kept_of_a_bot_that_is_to_have_none_any_more() {
    let stage = Stage::spared("");
    stage.settled(1).await;
    let spare = stage.lines("up")[0].clone();
    stage.run(first(3, 0)).await;
    stage.eventually(|| living(|process| process.id == spare) == 0).await;
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_bot_whose_rooms_have_folders_has_none() {
    let stage = Stage::spared("");
    for room in 1..=4 {
        let tools = Request { builtin_tools: vec!["Read".into()], ..first(room, 1) };
        assert!(is_cold(&stage.run(tools).await));
    }
    assert_eq!(stage.alive(), 4, "those that stay for their rooms");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn one_that_waits_for_too_long_is_ended() {
    let idle = config::Warm { idle: Duration::from_millis(300), ..WARM };
    let stage = Stage::warm(&named(""), patient(), 2, idle);
    for room in [1, 2] {
        stage.run(first(room, 1)).await;
    }
    stage.eventually(|| stage.lines("up").len() == 1 && stage.alive() == 0).await;
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn one_that_does_anything_odd_is_not_given_away() {
    let stage = Stage::spared("");
    stage.settled(1).await;
    let spare = Pid::from_raw(stage.lines("up")[0].parse().unwrap()).unwrap();
    kill_process(spare, Signal::KILL).unwrap();
    // Whether its end was noticed or not.
    let report = stage.run(first(3, 1)).await;
    assert!(is_cold(&report) && report.cause.is_none(), "{report:?}");
    stage.assert_nothing_left().await;

    // It may be ended as soon as it has spoken, so it leaves its number before that.
    let talker = named("")
        .replace("up() { echo", "up() { echo $$ >> up; echo")
        .replace("; echo $$ >> up; }", "; echo '{\"type\":\"system\",\"subtype\":\"status\"}'; }");
    assert_eq!(talker.matches(">> up").count(), 1);
    let stage = Stage::warm(&talker, patient(), 2, WARM);
    for room in [1, 2] {
        stage.run(first(room, 1)).await;
    }
    stage.eventually(|| stage.lines("up").len() == 1).await;
    let spare = stage.lines("up")[0].clone();
    stage.eventually(|| living(|process| process.id == spare) == 0).await;
    assert!(is_cold(&stage.run(first(3, 1)).await));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn one_that_fails_at_the_message_is_replaced_within_the_turn() {
    // Only one that was started ahead has come up before its message.
    for what in ["kill -9 $$", "exit 0"] {
        let stage = Stage::spared(&format!("grep -qs \"^$$\\$\" up && {what}"));
        stage.settled(1).await;
        let report = stage.run(first(3, 1)).await;
        assert!(is_cold(&report) && report.cause.is_none(), "{what}: {report:?}");
        assert_eq!(report.session, Some(first(3, 1).new_session), "{what}: as if there had been none");
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn one_that_does_not_come_up_is_ended_and_starts_are_as_before() {
    for up in ["exit 3", "exec sleep 1000", "kill -9 $$"] {
        let script = named("").replace("*initialize*) up;", &format!("*initialize*) echo $$ >> up; {up};"));
        let short = Duration::from_secs(4);
        let deadlines = config::Deadlines { start: short, first_event: short, ..patient() };
        let stage = Stage::warm(&script, patient(), 1, WARM);
        for room in [1, 2] {
            assert!(is_cold(&stage.run(first(room, 1)).await), "{up}");
        }
        stage.eventually(|| stage.lines("up").len() == 1).await;
        if up.contains("sleep") {
            // Its patience is that of the stage; with a short one it goes by itself.
            let hasty = Stage::warm(&script, deadlines, 1, WARM);
            for room in [1, 2] {
                hasty.run(first(room, 1)).await;
            }
            hasty.eventually(|| hasty.lines("up").len() == 1 && hasty.alive() == 2).await;
            hasty.assert_nothing_left().await;
        } else {
            assert!(is_cold(&stage.run(first(3, 1)).await), "{up}: its place among the starts is free");
        }
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn an_answer_that_a_spare_wrote_down_is_taken_if_its_conversation_was_noted() {
    let stage = Stage::spared("");
    let begun = SessionId(Uuid::from_u128(77));
    let project = stage.file("agents/assistant/config/projects/-empty");
    std::fs::create_dir_all(&project).unwrap();
    let lines: [Value; 2] = [
        json!({ "type": "user", "uuid": first(1, 1).message, "message": { "content": "hello" } }),
        json!({ "type": "assistant", "message": {
            "stop_reason": "end_turn", "content": [{ "type": "text", "text": "written down" }] } }),
    ];
    std::fs::write(project.join(format!("{begun}.jsonl")), format!("{}\n{}\n", lines[0], lines[1])).unwrap();
    let again = Request { again: true, begun_as: Some(begun), ..first(1, 1) };
    let report = stage.run(again.clone()).await;
    assert_eq!((report.outcome, report.session), (completed("written down"), Some(begun)));
    assert!(report.recovered && !report.memory_lost && stage.groups().is_empty(), "nothing was run");

    // One that was cut off goes on where it began.
    std::fs::write(project.join(format!("{begun}.jsonl")), format!("{}\n", lines[0])).unwrap();
    let report = stage.run(again).await;
    assert_eq!((report.outcome, report.recovered), (completed("1"), false));
    assert!(stage.lines("arguments")[0].contains(&format!("--resume={begun}")));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn one_that_was_taken_and_is_not_used_is_ended() {
    let stage = Stage::spared("");
    stage.settled(1).await;
    let spare = stage.runner.spare(&first(3, 1)).await.unwrap();
    drop(spare);
    stage.assert_nothing_left().await;
    // And so is one that is still being started when the host ends.
    let slow = named("").replace("*initialize*) up;", "*initialize*) exec sleep 1000;");
    let stage = Stage::warm(&slow, patient(), 2, WARM);
    for room in [1, 2] {
        stage.run(first(room, 1)).await;
    }
    stage.eventually(|| stage.groups().len() == 3).await;
    stage.assert_nothing_left().await;
}
