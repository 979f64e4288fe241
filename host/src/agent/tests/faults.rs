//! What agents do wrong, as data: for each fault what the turn comes to, what becomes of the session and of the process,
//! and that nothing is left of it (no process, no temporary file, no descriptor of ours), whether it befalls the first
//! message of a process or a later one.

use std::{fs, time::Duration};

use futures_util::{StreamExt, stream};

use super::{COLD, SESSION, Stage, completed, patient, request, warm};
use crate::{
    agent::{Clock, Outcome, Request},
    config,
    id::SessionId,
};

/// A fault, and what it comes to.
struct Fault {
    name: String,
    /// What the agent does with a message instead of answering it.
    does: String,
    /// Where a new process does it.
    cold: Outcome,
    /// Where a process does it that has answered before. None: a new one answers, without the fault.
    warm: Option<Outcome>,
    /// Words of the cause, where the log has one.
    cause: Option<String>,
    /// Whether the process may take the next message.
    stays: bool,
}

/// The signals that end a process: all that do so of themselves.
const ENDING: [i32; 23] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 25, 26, 27, 29, 30, 31];
const CRASHED: Option<Outcome> = Some(Outcome::Crashed);
const INTERRUPTED: Option<Outcome> = Some(Outcome::Interrupted);

fn answered() -> Outcome {
    completed("0")
}

/// Each of them ends, whatever the agent wants.
#[expect(clippy::too_many_lines, reason = "a table")]
fn faults() -> Vec<Fault> {
    let fault = |name: &str, does: &str, cold: Outcome, warm, cause: Option<&str>| {
        let (name, does, cause) = (name.to_owned(), does.to_owned(), cause.map(str::to_owned));
        Fault { name, does, cold, warm, cause, stays: false }
    };
    let out = Outcome::TimedOut;
    let mut faults = vec![
        fault("it hangs at the start", "exec sleep 1000", out(Clock::FirstEvent), None, Some("first-event")),
        fault(
            "it hangs in the middle",
            "state started; init; exec sleep 1000",
            out(Clock::Silence),
            Some(out(Clock::Silence)),
            Some("silence"),
        ),
        fault("it ends at the start", "exit 0", Outcome::Crashed, None, Some("exit code 0")),
        fault("it dies at the start", "kill -9 $$", Outcome::Crashed, None, Some("signal 9")),
        fault(
            "half a line and the end",
            r#"state started; init; printf '{"type":"resu'; exit 1"#,
            Outcome::Crashed,
            CRASHED,
            Some("middle of a line"),
        ),
        Fault {
            warm: Some(answered()),
            ..fault(
                "a line of 50 MB",
                r"state started; init; head -c 50000000 /dev/zero | tr '\0' x; echo; answer 0; state completed",
                answered(),
                None,
                Some("overlong lines: 1"),
            )
        },
        fault(
            "junk",
            r"state started; init; echo 'npm warn'; echo '[1]'; printf '\377\376\n'; answer 0; state completed",
            answered(),
            Some(answered()),
            Some("not the protocol: 3"),
        ),
        fault(
            "a result and no exit",
            "state started; init; answer 0; state completed; exec 0< /dev/null; exec sleep 1000",
            answered(),
            Some(answered()),
            None,
        ),
        fault(
            "it ignores SIGTERM",
            "trap '' TERM; state started; init; while :; do sleep 1000; done",
            out(Clock::Silence),
            Some(out(Clock::Silence)),
            Some("silence"),
        ),
        fault(
            "it leaves a child behind",
            "sleep 1000 & state started; init; exit 3",
            Outcome::Crashed,
            CRASHED,
            Some("exit code 3"),
        ),
        fault(
            "it leaves a child behind in a group of its own that holds its output open",
            "perl -e 'setpgrp; exec qw(sleep 1000)' & state started; init; exit 3",
            Outcome::Crashed,
            CRASHED,
            Some("exit code 3"),
        ),
        fault(
            "the CLI's own word for SIGTERM",
            "state started; init; exit 143",
            Outcome::Interrupted,
            INTERRUPTED,
            Some("exit code 143"),
        ),
        fault(
            "it closes stdout",
            "state started; init; exec > /dev/null; exec sleep 1000",
            out(Clock::Silence),
            Some(out(Clock::Silence)),
            Some("silence"),
        ),
        Fault {
            stays: true,
            ..fault(
                "it floods stderr",
                "head -c 2000000 /dev/zero | tr '\\0' x >&2; state started; init; answer 0; state completed",
                answered(),
                Some(answered()),
                None,
            )
        },
        fault(
            "it floods control requests",
            r#"state started; init; while :; do echo '{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool"}}'; done"#,
            Outcome::Crashed,
            CRASHED,
            Some("too many control requests"),
        ),
        fault(
            "two results",
            "state started; init; answer 0; answer 1; state completed",
            answered(),
            Some(answered()),
            None,
        ),
        fault(
            "the result of another session",
            r#"state started; init; echo '{"type":"result","subtype":"success","is_error":false,"result":"0","session_id":"22222222-1111-4111-8111-111111111111"}'; state completed"#,
            answered(),
            Some(answered()),
            None,
        ),
    ];
    faults.extend(ENDING.map(|number| Fault {
        name: format!("signal {number}"),
        // By Perl: a shell can't have a signal back that whoever runs the tests ignores.
        does: format!(
            "state started; init; exec perl -MPOSIX -e \
             'sigaction({number}, POSIX::SigAction->new(\"DEFAULT\")); kill {number}, $$; sleep 1000'"
        ),
        cold: by_signal(number),
        warm: Some(by_signal(number)),
        cause: Some(format!("signal {number}")),
        stays: false,
    }));
    faults
}

/// Somebody may end an agent by the ones that ask for it.
fn by_signal(number: i32) -> Outcome {
    if matches!(number, 2 | 15) { Outcome::Interrupted } else { Outcome::Crashed }
}

/// The outcome and whether the process stayed, of a message that meets the fault after `before` good ones.
async fn meet(fault: &Fault, before: u128) {
    let name = fault.name.as_str();
    let deadlines = config::Deadlines {
        first_event: Duration::from_secs(15),
        silence: Duration::from_secs(15),
        exit: Duration::from_millis(500),
        ..patient()
    };
    // The fault befalls one message only, however often it is delivered.
    let does = format!("if [ \"$(wc -l < asked)\" = {} ]; then {}; continue; fi", before + 1, fault.does);
    let limits = config::Warm { processes: 8, ..COLD };
    let stage = Stage::warm(&warm::lasting(&does), deadlines, 8, limits);
    for number in 0..before {
        let report = stage.run(warm::next(number + 1)).await;
        assert_eq!(report.outcome, completed(&(number + 1).to_string()), "{name}");
    }
    let report = stage.run(warm::next(before + 1)).await;
    let expected = if before == 0 { Some(&fault.cold) } else { fault.warm.as_ref() };
    if let Some(outcome) = expected {
        assert_eq!(report.outcome, *outcome, "{name} after {before}: {report:?}");
        assert_eq!(report.start.is_warm(), before > 0, "{name} after {before}");
        let cause = report.cause.unwrap_or_default();
        assert!(cause.contains(fault.cause.as_deref().unwrap_or_default()), "{name} after {before}: {cause}");
        assert_eq!(cause.is_empty(), fault.cause.is_none(), "{name} after {before}: {cause}");
    } else {
        assert_eq!((report.outcome, report.cause), (completed("1"), None), "{name} after {before}");
        assert!(!report.start.is_warm(), "{name} after {before}");
    }
    assert_eq!((report.session, report.memory_lost), (Some(SESSION), false), "{name}: the session goes on");
    let next = stage.run(warm::next(before + 2)).await;
    assert!(matches!(next.outcome, Outcome::Completed { .. }), "{name} after {before}: {next:?}");
    let stays = fault.stays || (before > 0 && fault.warm.is_none());
    assert_eq!(next.start.is_warm(), stays, "{name} after {before}");
    stage.assert_nothing_left().await;
}

/// What is said to a copy of the tests that runs one of them alone.
const ALONE: &str = "HEARTH_TEST_ALONE";

/// Runs this very test in a process where there is no other one, and whose descriptors are its own.
async fn alone(test: &str) {
    #[expect(clippy::disallowed_methods, reason = "the tests themselves")]
    let mut tests = tokio::process::Command::new(std::env::current_exe().unwrap());
    let name = format!("agent::tests::faults::{test}");
    let ran = tests.args(["--exact", &name, "--nocapture"]).env(ALONE, "1").output().await.unwrap();
    let (said, complained) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

/// What this process has open.
fn descriptors() -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect()
}

/// The processes that this one has started and not seen the end of, dead ones too.
fn children() -> Vec<String> {
    let parent = std::process::id().to_string();
    let stats = fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    // `man 5 proc`: the parent is the second field behind the name in parentheses.
    let its_parent = |stat: &String| {
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(&parent)
    };
    stats.filter(its_parent).collect()
}

#[tokio::test]
async fn each_fault_has_its_outcome_and_leaves_nothing() {
    if std::env::var_os(ALONE).is_none() {
        return alone("each_fault_has_its_outcome_and_leaves_nothing").await;
    }
    // The first process ever brings along what all of them share.
    let first = Stage::new("init; answer done; cat > /dev/null");
    assert_eq!(first.run(request()).await.outcome, completed("done"));
    first.assert_nothing_left().await;
    let open = descriptors();
    let faults = faults();
    let all = faults.iter().flat_map(|fault| [Box::pin(meet(fault, 0)), Box::pin(meet(fault, 1))]);
    // Some take their time, and none of them much else.
    Box::pin(stream::iter(all).buffer_unordered(8).collect::<()>()).await;
    let left = descriptors();
    assert_eq!(left.len(), open.len(), "descriptors before: {open:?}, and after: {left:?}");
    assert_eq!(children(), [""; 0], "processes");
}

#[tokio::test]
async fn an_unknown_session_ends_no_waiting_process_but_its_own() {
    let stage = Stage::warm(
        &warm::lasting("case \"$*\" in *--resume=ffffffff*) stale; exit 1;; esac"),
        patient(),
        8,
        config::Warm { processes: 8, ..COLD },
    );
    stage.run(Request { room: crate::id::RoomId(8), ..request() }).await;
    let lost = stage.run(Request { session: Some(SessionId(uuid::Uuid::max())), ..request() }).await;
    assert_eq!((lost.outcome, lost.memory_lost, lost.session), (completed("1"), true, Some(SESSION)));
    assert!(stage.run(warm::next(2)).await.start.is_warm(), "the conversation goes on in the second process");
    let elsewhere = stage.run(Request { room: crate::id::RoomId(8), ..warm::next(2) }).await;
    assert!(elsewhere.start.is_warm());
    stage.assert_nothing_left().await;
}
