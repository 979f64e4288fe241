//! What agents do wrong, as data: for each fault what the turn comes to, what becomes of the session and of the process,
//! and that nothing is left of it, whether it befalls the first message of a process or a later one.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::{COLD, SESSION, Stage, completed, patient, request, warm};
use crate::{
    agent::{Clock, Outcome, Request},
    config,
    id::SessionId,
};

/// A fault, and what it comes to.
struct Fault {
    name: &'static str,
    /// What the agent does with a message instead of answering it.
    does: &'static str,
    /// Where a new process does it.
    cold: Outcome,
    /// Where a process does it that has answered before. None: a new one answers, without the fault.
    warm: Option<Outcome>,
    /// Words of the cause, where the log has one.
    cause: Option<&'static str>,
    /// Whether the process may take the next message.
    stays: bool,
}

const CRASHED: Option<Outcome> = Some(Outcome::Crashed);
const INTERRUPTED: Option<Outcome> = Some(Outcome::Interrupted);

fn answered() -> Outcome {
    completed("0")
}

/// Each of them ends, whatever the agent wants.
#[expect(clippy::too_many_lines, reason = "a table")]
fn faults() -> Vec<Fault> {
    let fault =
        |name, does, cold: Outcome, warm, cause| Fault { name, does, cold, warm, cause, stays: false };
    let signal = |name, does, cold: Outcome, cause| {
        let warm = Some(cold.clone());
        fault(name, does, cold, warm, Some(cause))
    };
    let out = Outcome::TimedOut;
    vec![
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
        signal("SIGHUP", "state started; init; kill -1 $$", Outcome::Crashed, "signal 1"),
        // By Perl: a shell can't have a signal back that whoever runs the tests ignores.
        signal(
            "SIGINT",
            r#"state started; init; exec perl -e '$SIG{INT} = "DEFAULT"; kill "INT", $$; sleep 1000'"#,
            Outcome::Interrupted,
            "signal 2",
        ),
        signal("SIGABRT", "state started; init; kill -6 $$", Outcome::Crashed, "signal 6"),
        signal("SIGKILL", "state started; init; kill -9 $$", Outcome::Crashed, "signal 9"),
        signal("SIGSEGV", "state started; init; kill -11 $$", Outcome::Crashed, "signal 11"),
        signal("SIGTERM", "state started; init; kill -15 $$", Outcome::Interrupted, "signal 15"),
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
    ]
}

/// The outcome and whether the process stayed, of a message that meets the fault after `before` good ones.
async fn meet(fault: &Fault, before: u128) {
    let name = fault.name;
    let deadlines = config::Deadlines {
        first_event: Duration::from_secs(5),
        silence: Duration::from_secs(5),
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
        assert_eq!(report.is_warm, before > 0, "{name} after {before}");
        let cause = report.cause.unwrap_or_default();
        assert!(cause.contains(fault.cause.unwrap_or_default()), "{name} after {before}: {cause}");
        assert_eq!(cause.is_empty(), fault.cause.is_none(), "{name} after {before}: {cause}");
    } else {
        assert_eq!((report.outcome, report.cause), (completed("1"), None), "{name} after {before}");
        assert!(!report.is_warm, "{name} after {before}");
    }
    assert_eq!((report.session, report.memory_lost), (Some(SESSION), false), "{name}: the session goes on");
    let next = stage.run(warm::next(before + 2)).await;
    assert!(matches!(next.outcome, Outcome::Completed { .. }), "{name} after {before}: {next:?}");
    let stays = fault.stays || (before > 0 && fault.warm.is_none());
    assert_eq!(next.is_warm, stays, "{name} after {before}");
    stage.assert_nothing_left().await;
}

#[tokio::test]
async fn each_fault_has_its_outcome_and_leaves_nothing() {
    let faults = faults();
    let all = faults.iter().flat_map(|fault| [Box::pin(meet(fault, 0)), Box::pin(meet(fault, 1))]);
    // Some take their time, and none of them much else.
    Box::pin(stream::iter(all).buffer_unordered(8).collect::<()>()).await;
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
    assert!(stage.run(warm::next(2)).await.is_warm, "the conversation goes on in the second process");
    let elsewhere = stage.run(Request { room: crate::id::RoomId(8), ..warm::next(2) }).await;
    assert!(elsewhere.is_warm);
    stage.assert_nothing_left().await;
}
