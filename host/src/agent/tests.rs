//! Turns against agents that are small shell scripts: the outcome, and that nothing of them is left.

mod faults;
mod spares;
mod tools;
mod warm;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{AgentError, Clock, Outcome, Progress, Report, Request, Runner};
use crate::{
    config,
    id::{RoomId, SessionId},
};

/// Says what the real CLI says around a turn; `$1` is the answer.
const PRELUDE: &str = r#"
case "$*" in *--version) echo "2.1.330 (Claude Code)"; exit;; esac
echo "$$" >> "$HOME/../../../pids"
init() { echo '{"type":"system","subtype":"init","session_id":"11111111-1111-4111-8111-111111111111"}'; }
answer() { printf '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"%s"}\n' "$1"; }
stale() { echo '{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["No conversation found with session ID: x"]}'; }
"#;

const SESSION: SessionId = SessionId(Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111));

struct Stage {
    folder: TempDir,
    runner: Runner,
}

/// No process stays.
const COLD: config::Warm = config::Warm { processes: 0, memory: 1 << 30, idle: Duration::from_mins(10) };

/// Deadlines that a loaded machine keeps.
fn patient() -> config::Deadlines {
    let span = Duration::from_mins(1);
    config::Deadlines {
        start: span,
        first_event: span,
        silence: span,
        total: span,
        exit: Duration::from_secs(10),
    }
}

impl Stage {
    fn new(script: &str) -> Self {
        Self::with(script, patient(), 8)
    }

    fn with(script: &str, deadlines: config::Deadlines, starts: usize) -> Self {
        Self::warm(script, deadlines, starts, COLD)
    }

    fn warm(script: &str, deadlines: config::Deadlines, starts: usize, warm: config::Warm) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("agent");
        fs::write(&program, format!("{PRELUDE}{script}")).unwrap();
        let agent = config::Agent {
            // By way of the shell: a file just written can't always be executed while other tests fork.
            command: vec!["/bin/sh".into(), program.to_str().unwrap().into()],
            is_demo: false,
            environment: Vec::new(),
            wrapper: Vec::new(),
            nice: None,
            sandbox: None,
            starts,
            warm,
            deadlines,
        };
        let runner = Runner::new(agent, folder.path().to_owned()).unwrap();
        Self { folder, runner }
    }

    async fn run(&self, request: Request) -> Report {
        let spare = self.runner.spare(&request).await;
        self.runner.run(request, spare, CancellationToken::new()).await
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.file(name)).unwrap_or_default().lines().map(Into::into).collect()
    }

    /// The process groups of all agents so far: each agent leads its own.
    fn groups(&self) -> Vec<String> {
        self.lines("pids")
    }

    async fn assert_nothing_left(&self) {
        self.runner.drained().await;
        for group in self.groups() {
            assert_eq!(living(|process| process.group == group), 0, "group {group}");
        }
        let temporary = self.file("agents/assistant/tmp");
        assert_eq!(fs::read_dir(&temporary).map_or(0, Iterator::count), 0, "temporary folders");
        // Whatever an agent starts has that in its environment.
        let temporary = temporary.to_str().unwrap().as_bytes();
        let environments = fs::read_dir("/proc").unwrap().flatten();
        let left = environments.filter_map(|entry| fs::read(entry.path().join("environ")).ok());
        let has_it =
            |environment: &Vec<u8>| environment.windows(temporary.len()).any(|part| part == temporary);
        assert_eq!(left.filter(has_it).count(), 0, "processes of other groups");
    }
}

/// A process as the kernel shows it.
struct Seen {
    id: String,
    group: String,
}

/// How many processes are like this and alive. (A dead one stays visible until whoever adopted it looks, and one that was killed
/// until the system is through with it: its memory goes first, before what it has open.)
fn living(is_meant: impl Fn(&Seen) -> bool) -> usize {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let (id, rest) = stat.split_once(' ')?;
        let mut rest = rest.rsplit_once(')')?.1.split_whitespace();
        let (state, _parent, group) = (rest.next()?, rest.next()?, rest.next()?);
        // `man 5 proc`: field 23 is the memory, and field 5 the group.
        let has_memory = rest.nth(17)? != "0";
        (has_memory && !matches!(state, "Z" | "X")).then(|| Seen { id: id.into(), group: group.into() })
    });
    stats.filter(is_meant).count()
}

fn request() -> Request {
    Request {
        bot: "assistant".into(),
        room: RoomId(7),
        session: None,
        message: Uuid::from_u128(42),
        new_session: SessionId(Uuid::from_u128(43)),
        again: false,
        prompt: "hello".into(),
        system_prompt: None,
        model: None,
        max_turns: 16,
        budget_usd: None,
        builtin_tools: Vec::new(),
        tools: None,
        watch: None,
        interrupt: CancellationToken::new(),
        spares: 0,
        begun_as: None,
    }
}

fn completed(text: &str) -> Outcome {
    Outcome::Completed { text: text.into() }
}

/// Waits until the file has a whole line, by the kernel's word where the agent signals it through a FIFO.
async fn read_fifo(path: &Path) -> String {
    tokio::fs::read_to_string(path).await.unwrap()
}

fn make_fifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
}

#[tokio::test]
async fn an_answer_is_reported_with_its_session_and_the_prompt_went_in_on_stdin() {
    let stage = Stage::new(
        r#"read -r line; printf '%s\n' "$line" > "$HOME/../../../stdin"; printf '%s\n' "$@" > "$HOME/../../../arguments"
        pwd > "$HOME/../../../pwd"; init; answer "good day"; cat > /dev/null"#,
    );
    let report = stage.run(Request { system_prompt: Some("be kind".into()), ..request() }).await;
    assert_eq!(report.outcome, completed("good day"), "{report:?}");
    assert_eq!((report.session, report.memory_lost, report.cause), (Some(SESSION), false, None));
    assert_eq!(report.usage.turns, 1);
    assert!(report.timings.first_event.unwrap() <= report.timings.total);
    let sent: Value = serde_json::from_str(&stage.lines("stdin")[0]).unwrap();
    assert_eq!(sent["message"]["content"], "hello");
    assert_eq!(sent["uuid"], Uuid::from_u128(42).to_string());
    assert_eq!(sent["client_composed"], true);
    let arguments = stage.lines("arguments").join(" ");
    assert!(!arguments.contains("hello") && !arguments.contains("be kind"), "{arguments}");
    assert!(stage.lines("pwd")[0].ends_with("agents/assistant/empty"));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_prompt_larger_than_any_pipe_goes_in_while_the_agent_talks() {
    let stage = Stage::new(
        r#"i=0; while [ $i -lt 3000 ]; do echo '{"type":"chatter","of":"sixty-four bytes and more, to fill the pipe up"}'; i=$((i+1)); done
        init; answer "$(head -n 1 | wc -c)"; cat > /dev/null"#,
    );
    let report = stage.run(Request { prompt: "x".repeat(1_000_000), ..request() }).await;
    let Outcome::Completed { text } = &report.outcome else { panic!("{report:?}") };
    assert!(text.trim().parse::<usize>().unwrap() > 1_000_000);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_unknown_session_is_tried_again_without_it() {
    let stage = Stage::new(
        r#"read -r line; printf '%s\n' "$line" >> "$HOME/../../../stdin"; printf '%s\n' "$*" >> "$HOME/../../../arguments"
        case "$*" in *--resume=*) stale; exit 1;; esac
        init; answer "who are you?"; cat > /dev/null"#,
    );
    let report = stage.run(Request { session: Some(SessionId(Uuid::max())), ..request() }).await;
    assert_eq!(report.outcome, completed("who are you?"));
    assert!(report.memory_lost);
    assert_eq!(report.session, Some(SESSION));
    assert!(report.cause.unwrap().contains("No conversation found"));
    let arguments = stage.lines("arguments");
    assert!(
        arguments[0].contains("--resume=ffffffff")
            && !arguments[1].contains("--resume")
            && arguments[1].contains(&format!("--session-id={}", request().new_session)),
        "{arguments:?}"
    );
    let said = stage.lines("stdin");
    assert_eq!(said[0], said[1], "the same message, to be known again after a crash");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_session_that_stays_unknown_is_forgotten_after_two_tries() {
    let stage = Stage::new("read -r line; stale; exit 1");
    let report = stage.run(Request { session: Some(SESSION), ..request() }).await;
    assert_eq!((report.outcome, report.session, report.memory_lost), (Outcome::Crashed, None, true));
    assert_eq!(stage.groups().len(), 2);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_message_the_session_has_answered_before_is_asked_again_in_the_same_session() {
    let stage = Stage::new(
        r#"read -r line; printf '%s\n' "$*" >> "$HOME/../../../arguments"
        case "$line" in *00000000-0000-0000-0000-00000000002a*)
            echo '{"type":"command_lifecycle","command_uuid":"00000000-0000-0000-0000-00000000002a","state":"completed"}'
            cat > /dev/null; exit;;
        esac
        init; answer "as I said"; cat > /dev/null"#,
    );
    let report = stage.run(Request { session: Some(SESSION), ..request() }).await;
    assert_eq!((report.outcome, report.memory_lost), (completed("as I said"), false));
    assert!(stage.lines("arguments").iter().all(|line| line.contains("--resume=11111111")));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_answer_that_an_earlier_agent_wrote_down_is_taken_and_none_is_run() {
    let (new, known) = (request().new_session, SESSION);
    // The conversation that began, the one that went on, and one that was gone and began anew.
    for (asked, answered, memory_lost) in
        [(None, new, false), (Some(known), known, false), (Some(known), new, true)]
    {
        let stage = Stage::new("init; answer nothing");
        let project = stage.file("agents/assistant/config/projects/-empty");
        fs::create_dir_all(&project).unwrap();
        let lines = [
            json!({ "type": "user", "uuid": request().message, "message": { "content": "hello" } }),
            json!({ "type": "assistant", "message": {
                "stop_reason": "end_turn", "content": [{ "type": "text", "text": "written down" }] } }),
        ];
        let transcript = lines.map(|line| format!("{line}\n")).concat();
        fs::write(project.join(format!("{answered}.jsonl")), transcript).unwrap();
        let report = stage.run(Request { session: asked, again: true, ..request() }).await;
        assert_eq!(report.outcome, completed("written down"));
        let found = (report.session, report.memory_lost, report.recovered);
        assert_eq!(found, (Some(answered), memory_lost, true));
        assert!(stage.groups().is_empty(), "nothing was run");
    }
}

#[tokio::test]
async fn a_conversation_that_was_cut_off_at_its_first_message_goes_on() {
    let stage = Stage::new(
        r#"read -r line; printf '%s\n' "$*" >> "$HOME/../../../arguments"
        init; answer "here"; cat > /dev/null"#,
    );
    let again = || Request { again: true, ..request() };
    assert_eq!(stage.run(again()).await.outcome, completed("here"), "nothing is known of it");
    let project = stage.file("agents/assistant/config/projects/-empty");
    fs::create_dir_all(&project).unwrap();
    let cut = json!({ "type": "user", "uuid": request().message, "message": { "content": "hello" } });
    fs::write(project.join(format!("{}.jsonl", request().new_session)), format!("{cut}\n")).unwrap();
    let report = stage.run(again()).await;
    assert_eq!((report.outcome, report.recovered), (completed("here"), false));
    let arguments = stage.lines("arguments");
    let new = request().new_session;
    assert!(arguments[0].contains(&format!("--session-id={new}")), "{arguments:?}");
    assert!(arguments[1].contains(&format!("--resume={new}")), "{arguments:?}");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_agent_that_hangs_silently_runs_out_of_time() {
    let short = Duration::from_millis(100);
    for (script, deadlines, clock) in [
        (
            "cat > /dev/null; sleep 1000",
            config::Deadlines { first_event: short, ..patient() },
            Clock::FirstEvent,
        ),
        ("init; sleep 1000", config::Deadlines { silence: short, ..patient() }, Clock::Silence),
        // It has to say its version within that, too.
        ("sleep 1000", config::Deadlines { start: Duration::from_secs(5), ..patient() }, Clock::Start),
        (
            "while :; do echo '{\"type\":\"chatter\"}'; sleep 0.01; done",
            config::Deadlines { total: Duration::from_secs(2), ..patient() },
            Clock::Total,
        ),
    ] {
        let stage = Stage::with(script, deadlines, 8);
        // More than a pipe holds, so that only an agent that reads takes it.
        let prompt = "x".repeat(if clock == Clock::Start { 1_000_000 } else { 1 });
        let report = stage.run(Request { prompt, session: Some(SESSION), ..request() }).await;
        assert_eq!(report.outcome, Outcome::TimedOut(clock), "{report:?}");
        assert_eq!(report.session, Some(SESSION), "a time-out is no reason to forget the session");
        assert!(report.cause.unwrap().contains(&clock.to_string()));
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn an_agent_that_ignores_sigterm_is_killed() {
    let deadlines = config::Deadlines {
        silence: Duration::from_millis(100),
        exit: Duration::from_millis(200),
        ..patient()
    };
    let stage = Stage::with("trap '' TERM; init; while :; do sleep 1000; done", deadlines, 8);
    assert_eq!(stage.run(request()).await.outcome, Outcome::TimedOut(Clock::Silence));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn what_the_agent_started_goes_with_it() {
    for ending in ["exit 3", "answer done; cat > /dev/null", "sleep 1000"] {
        let deadlines = config::Deadlines { silence: Duration::from_millis(500), ..patient() };
        let script = format!("sleep 1000 & echo $! > \"$HOME/../../../grandchild\"; init; {ending}");
        let stage = Stage::with(&script, deadlines, 8);
        stage.run(request()).await;
        stage.assert_nothing_left().await;
        let grandchild = &stage.lines("grandchild")[0];
        assert_eq!(living(|process| process.id == *grandchild), 0, "{ending}");
    }
}

#[tokio::test]
async fn a_flood_on_stderr_neither_blocks_the_agent_nor_fills_the_memory() {
    let stage = Stage::new(
        r#"i=0; while [ $i -lt 2000 ]; do echo "noise noise noise noise noise noise noise noise noise noise noise $i" >&2; i=$((i+1)); done
        echo "the reason" >&2; exit 7"#,
    );
    let report = stage.run(request()).await;
    assert_eq!(report.outcome, Outcome::Crashed);
    let cause = report.cause.unwrap();
    assert!(cause.contains("exit code 7") && cause.ends_with("the reason"), "{cause}");
    assert!(cause.len() < 11_000);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_agent_that_dies_in_the_middle_of_a_line_has_crashed() {
    let stage = Stage::new(
        r#"init; printf '{"type":"result","subtype":"success","is_error":false,"result":"ha'; kill -9 $$"#,
    );
    let report = stage.run(request()).await;
    assert_eq!((&report.outcome, report.session), (&Outcome::Crashed, Some(SESSION)));
    let cause = report.cause.unwrap();
    assert!(cause.contains("signal 9") && cause.contains("middle of a line"), "{cause}");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_agent_that_stays_after_its_result_is_not_waited_for() {
    let deadlines = config::Deadlines { exit: Duration::from_secs(4), ..patient() };
    let stage = Stage::with("init; answer done; exec 0< /dev/null; exec sleep 1000", deadlines, 8);
    let report = stage.run(request()).await;
    assert_eq!(report.outcome, completed("done"));
    let group = &stage.groups()[0];
    assert_eq!(living(|process| process.group == *group), 1, "the turn waited for the agent's end");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn control_requests_are_refused_and_a_flood_of_them_ends_the_turn() {
    let ask = r#"ask() { echo '{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool"}}'; }"#;
    let stage = Stage::new(&format!(
        "{ask}\nread -r prompt; init; ask; read -r refusal; printf '%s\\n' \"$refusal\" > \"$HOME/../../../refusal\"
        answer done; cat > /dev/null"
    ));
    assert_eq!(stage.run(request()).await.outcome, completed("done"));
    let refusal: Value = serde_json::from_str(&stage.lines("refusal")[0]).unwrap();
    assert_eq!(refusal["type"], "control_response");
    assert_eq!(
        (&refusal["response"]["subtype"], &refusal["response"]["request_id"]),
        (&"error".into(), &"r".into())
    );
    stage.assert_nothing_left().await;

    let stage = Stage::new(&format!("{ask}\ninit; while :; do ask; done"));
    let report = stage.run(request()).await;
    assert_eq!(report.outcome, Outcome::Crashed);
    assert!(report.cause.unwrap().contains("too many control requests"));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn junk_and_unknown_lines_are_passed_over_and_mentioned() {
    let stage = Stage::new(
        r#"echo "npm warn something"; echo; echo '{"type":"tomorrow"}'; echo '[1]'; init; answer done; cat > /dev/null"#,
    );
    let report = stage.run(request()).await;
    assert_eq!(report.outcome, completed("done"));
    assert!(report.cause.unwrap().contains("not the protocol: 2"));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stopped_turn_is_interrupted_and_its_agent_ended() {
    let stage = Stage::new("init; echo started > \"$HOME/../../../fifo\"; sleep 1000");
    make_fifo(&stage.file("fifo"));
    let stop = CancellationToken::new();
    let (report, ()) = tokio::join!(
        stage.runner.run(Request { session: Some(SESSION), ..request() }, None, stop.clone()),
        async {
            read_fifo(&stage.file("fifo")).await;
            stop.cancel();
        }
    );
    assert_eq!((report.outcome, report.session), (Outcome::Interrupted, Some(SESSION)));
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn an_interrupt_ends_one_turn_and_not_those_beside_it() {
    let stage = Stage::new("init; echo started > \"$HOME/../../../fifo\"; sleep 1000");
    make_fifo(&stage.file("fifo"));
    let (interrupt, stop) = (CancellationToken::new(), CancellationToken::new());
    let request = Request { session: Some(SESSION), interrupt: interrupt.clone(), ..request() };
    let (report, ()) = tokio::join!(stage.runner.run(request, None, stop.clone()), async {
        read_fifo(&stage.file("fifo")).await;
        interrupt.cancel();
    });
    assert_eq!((report.outcome, report.session), (Outcome::Interrupted, Some(SESSION)));
    assert!(!stop.is_cancelled());
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn who_watches_sees_how_far_the_answer_is_and_only_then_is_the_cli_asked_for_it() {
    const TALK: &str = r#"printf '%s\n' "$*" > "$HOME/../../../arguments"; init
        echo '{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"so far"}}}'
        echo '{"type":"assistant","message":{"content":[{"type":"tool_use","id":"1","name":"mcp__host__look","input":{}}]}}'
        answer done; cat > /dev/null"#;
    for watched in [true, false] {
        let stage = Stage::new(TALK);
        let (watch, seen) = tokio::sync::watch::channel(Progress::default());
        stage.run(Request { watch: watched.then_some(watch), ..request() }).await;
        assert_eq!(seen.borrow().text, if watched { "so far" } else { "" });
        assert_eq!(seen.borrow().steps.len(), usize::from(watched));
        assert_eq!(stage.lines("arguments")[0].contains("--include-partial-messages"), watched);
        stage.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_turn_stopped_before_it_began_starts_nothing() {
    let stage = Stage::new("answer done");
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(stage.runner.run(request(), None, stop).await.outcome, Outcome::Interrupted);
    assert!(stage.groups().is_empty());
}

#[tokio::test]
async fn a_dropped_turn_takes_its_agent_with_it() {
    let stage = Stage::new("init; echo started > \"$HOME/../../../fifo\"; sleep 1000");
    make_fifo(&stage.file("fifo"));
    tokio::select! {
        report = stage.run(request()) => panic!("{report:?}"),
        _ = async { read_fifo(&stage.file("fifo")).await } => {}
    }
    assert_eq!(stage.groups().len(), 1);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn as_many_agents_start_at_once_as_may_and_the_rest_wait_for_a_first_line() {
    let stage = Stage::with(
        r#"cd "$HOME/../../.."; echo start >> order; read -r go < go; echo line >> order; echo gone > gone
        init; answer done; cat > /dev/null"#,
        patient(),
        1,
    );
    make_fifo(&stage.file("go"));
    make_fifo(&stage.file("gone"));
    let starter = async {
        for _ in 0..2 {
            // Opening a FIFO waits for who has the other end.
            tokio::fs::write(stage.file("go"), "go\n").await.unwrap();
            read_fifo(&stage.file("gone")).await;
        }
    };
    let (first, second, ()) = tokio::join!(stage.run(request()), stage.run(request()), starter);
    assert_eq!((first.outcome, second.outcome), (completed("done"), completed("done")));
    assert_eq!(stage.lines("order"), ["start", "line", "start", "line"]);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_wait_for_a_start_is_part_of_the_total() {
    let stage =
        Stage::with("sleep 1000", config::Deadlines { total: Duration::from_millis(300), ..patient() }, 1);
    let (first, second) = tokio::join!(stage.run(request()), stage.run(request()));
    assert_eq!(first.outcome, Outcome::TimedOut(Clock::Total));
    assert_eq!(second.outcome, Outcome::TimedOut(Clock::Total));
    assert!(stage.groups().len() <= 2);
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named_with_the_remedy() {
    let mut agent = config::Agent {
        command: vec!["no-such-claude".into()],
        is_demo: false,
        environment: Vec::new(),
        wrapper: Vec::new(),
        nice: None,
        sandbox: None,
        starts: 1,
        warm: COLD,
        deadlines: patient(),
    };
    let folder = tempfile::tempdir().unwrap();
    let runner = Runner::new(agent.clone(), folder.path().to_owned()).unwrap();
    let report = runner.run(request(), None, CancellationToken::new()).await;
    assert_eq!(report.outcome, Outcome::Crashed);
    insta::assert_snapshot!(report.cause.unwrap(), @"`no-such-claude` not found on PATH. Install it (npm install -g @anthropic-ai/claude-code@2.1.330) or set `[agent] command` in bots.toml");

    agent.command = Vec::new();
    assert!(matches!(Runner::new(agent, folder.path().to_owned()), Err(AgentError::NoCommand)));
}

#[tokio::test]
async fn an_agent_that_is_too_old_is_never_given_a_prompt() {
    let stage = Stage::new("");
    let program = stage.file("agent");
    fs::write(&program, "touch \"${0%/*}/called-${1#--}\"; echo '2.1.248 (Claude Code)'\n").unwrap();
    let report = stage.run(request()).await;
    assert_eq!(report.outcome, Outcome::Crashed);
    let cause = report.cause.unwrap();
    assert!(cause.contains("is version 2.1.248; Hearth needs 2.1.290 or later"), "{cause}");
    assert!(stage.file("called-version").exists() && !stage.file("called-print").exists());
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn a_version_that_is_none_is_an_error_that_shows_what_was_said() {
    let stage = Stage::new("");
    fs::write(stage.file("agent"), "echo bonjour\n").unwrap();
    let error = stage.runner.version().await.unwrap_err().to_string();
    assert!(error.contains("bonjour"), "{error}");

    fs::write(stage.file("agent"), "echo oh no >&2; exit 4\n").unwrap();
    let error = stage.runner.version().await.unwrap_err().to_string();
    assert!(error.contains("exit code 4") && error.contains("oh no"), "{error}");

    fs::write(stage.file("agent"), "exec cat /dev/zero\n").unwrap();
    let error = stage.runner.version().await.unwrap_err().to_string();
    assert!(error.contains("does not stop talking"), "{error}");
    stage.assert_nothing_left().await;
}
