//! What one call of a plugin may use, and what its result may be: each bound holds, and its error names the setting.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::{Duration, Instant};

use hearth::plugin::{CallError, Decision, Display, Limit, Progress, Step};
use hearth_tests::{
    binary,
    crooked::{CLEAN, Crooked, described, ignored, replied},
    workbench::Workbench,
};
use tempfile::TempDir;

/// Small, so that every bound is reached soon.
const LIMITS: &str = "limits = { memory = \"16MiB\", tables = 10_000, compute = \"300ms\" }";

/// What comes of this message to the hostile guest.
async fn misdeed(text: &str, limits: &str) -> Result<Decision, CallError> {
    Workbench::file(&binary::guest("hostile"), limits).await.unwrap().decide(text).await
}

/// What comes of a message to this guest.
async fn crooked(guest: Crooked, limits: &str) -> Result<Decision, CallError> {
    let folder = TempDir::new().unwrap();
    let plugin = guest.write(folder.path(), "crooked");
    Workbench::file(&plugin, limits).await.unwrap().decide("hello").await
}

/// The limit that the call came up against; its error names the setting and the place.
fn limit(result: Result<Decision, CallError>) -> Limit {
    let error = result.unwrap_err();
    let CallError::Limit { limit, .. } = error else { panic!("no limit: {error}") };
    let remedy = format!("raise `{}` in [bots.x.limits]", limit.setting());
    assert!(error.to_string().contains(&remedy), "{error}");
    limit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_told_with_its_cause() {
    let CallError::Trapped(cause) = misdeed("trap", LIMITS).await.unwrap_err() else { panic!("no trap") };
    assert!(cause.contains("unreachable"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_recursion_is_a_trap_that_says_so() {
    let CallError::Trapped(cause) = misdeed("recurse", LIMITS).await.unwrap_err() else { panic!("no trap") };
    assert!(cause.contains("call stack exhausted"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_ends_when_its_code_has_run_long_enough() {
    let began = Instant::now();
    assert_eq!(limit(misdeed("loop", LIMITS).await), Limit::Compute(Duration::from_millis(300)));
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_ends_by_the_clock_where_that_comes_first() {
    let limits = "limits = { compute = \"60s\", call-time = \"300ms\" }";
    assert_eq!(limit(misdeed("loop", limits).await), Limit::CallTime(Duration::from_millis(300)));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_refused_beyond_its_limit() {
    assert_eq!(limit(misdeed("memory", LIMITS).await), Limit::Memory(16 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_begins_with_too_much_memory_is_refused_it() {
    let large = Crooked { pages: 320, ..Crooked::default() };
    assert_eq!(limit(crooked(large, LIMITS).await), Limit::Memory(16 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_refused_beyond_their_limit() {
    let bomb = Crooked {
        module: "(table 1 funcref)",
        on_message: "(loop
              (br_if 0 (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1))))
            unreachable"
            .to_owned(),
        ..Crooked::default()
    };
    assert_eq!(limit(crooked(bomb, LIMITS).await), Limit::Tables(10_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_calls_of_the_host_end_at_the_limit() {
    assert_eq!(limit(misdeed("host calls", LIMITS).await), Limit::HostCalls(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_floods_the_log_still_answers() {
    for flood in ["log", "long line"] {
        let limits = "limits = { log-lines = 3 }";
        assert!(matches!(misdeed(flood, limits).await.unwrap(), Decision::Reply(_)), "{flood}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_function_that_loops_counts_as_the_guests_own_time() {
    // While it is described there is no time, so that it loads.
    let slow = Crooked {
        module: r#"(import "hearth:bot/clock@1.0.0" "now" (func $now (result i64)))
            (start $wait)
            (func $wait
              (if (i64.ne (call $now) (i64.const 0)) (then (loop (br 0)))))"#,
        ..Crooked::default()
    };
    assert_eq!(limit(crooked(slow, LIMITS).await), Limit::Compute(Duration::from_millis(300)));
}

// === Results ===

#[tokio::test(flavor = "multi_thread")]
async fn results_beyond_the_interface_are_refused() {
    for text in ["many", "huge", "nothing"] {
        let error = misdeed(text, LIMITS).await.unwrap_err();
        assert!(matches!(error, CallError::Result(_)), "{text}: {error}");
    }
}

/// An answer of one text, of so many bytes from this address on.
fn text(begins: u32, bytes: u32) -> String {
    let (address, length) = (CLEAN + 4, CLEAN + 8);
    let part = format!(
        "(i32.store8 (i32.const {CLEAN}) (i32.const 2))
         (i32.store (i32.const {address}) (i32.const {begins}))
         (i32.store (i32.const {length}) (i32.const {bytes}))"
    );
    replied(&part, &format!("(i32.const {CLEAN})"), "(i32.const 1)")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_100_megabytes_is_refused_by_its_length() {
    let huge = Crooked { pages: 1_700, on_message: text(2 * CLEAN, 100 << 20), ..Crooked::default() };
    let error = crooked(huge, "limits = { memory = \"128MiB\" }").await.unwrap_err();
    assert!(error.to_string().contains("a text of 104857600 bytes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_as_long_as_the_memory_is_more_than_may_be_handed_over() {
    let whole = Crooked { pages: 256, on_message: text(0, 16 << 20), ..Crooked::default() };
    assert_eq!(limit(crooked(whole, LIMITS).await), Limit::Value(16 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_beyond_the_memory_is_a_trap() {
    let beyond = Crooked { pages: 2, on_message: text(1, 2 * CLEAN), ..Crooked::default() };
    let CallError::Trapped(cause) = crooked(beyond, LIMITS).await.unwrap_err() else { panic!("no trap") };
    assert!(cause.contains("out of bounds"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_parts_as_fit_into_memory_are_refused_before_they_are_made() {
    // Zeros are empty texts. A part has 36 bytes in the guest and more than twice as many in the host.
    let many = Crooked {
        pages: 256,
        on_message: replied("", &format!("(i32.const {CLEAN})"), "(i32.const 460000)"),
        ..Crooked::default()
    };
    assert_eq!(limit(crooked(many, LIMITS).await), Limit::Value(16 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_text_handed_over_many_times_counts_every_time() {
    // 1,000 parts of 8 MB each, which all are the same bytes.
    let repeated = Crooked {
        pages: 256,
        module: "(func $parts (local $at i32)
              (local.set $at (i32.const 0x10000))
              (loop
                (i32.store8 (local.get $at) (i32.const 2))
                (i32.store offset=4 (local.get $at) (i32.const 0x20000))
                (i32.store offset=8 (local.get $at) (i32.const 8000000))
                (local.set $at (i32.add (local.get $at) (i32.const 36)))
                (br_if 0 (i32.lt_u (local.get $at) (i32.const 0x18ca0)))))",
        on_message: replied("(call $parts)", &format!("(i32.const {CLEAN})"), "(i32.const 1000)"),
        ..Crooked::default()
    };
    assert_eq!(limit(crooked(repeated, LIMITS).await), Limit::Value(16 << 20));
}

// === What is shown while the agent works ===

/// What a plugin shows of an agent that is asked this.
async fn shown(guest: &str, text: &str) -> Result<Display, CallError> {
    let bench = Workbench::file(&binary::guest(guest), LIMITS).await.unwrap();
    let step =
        Step { tool: "add".into(), input: "{}".into(), ended: true, failed: false, attributes: Vec::new() };
    let progress = Progress {
        elapsed: 1_500,
        text: "So far".into(),
        steps: vec![step],
        retrying: false,
        attributes: Vec::new(),
    };
    bench.generation.show(&bench.reach, &bench.message(text), &progress).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_says_what_is_shown_or_leaves_it_to_the_host() {
    let told = "after 1500 ms: So far [add({}) ended: true]";
    assert_eq!(shown("toolbox", "show markdown").await.unwrap(), Display::Markdown(told.into()));
    assert_eq!(shown("toolbox", "show unchanged").await.unwrap(), Display::Unchanged);
    for (guest, text) in [("toolbox", "anything"), ("toolbox", "show error"), ("echo", "show markdown")] {
        assert_eq!(shown(guest, text).await.unwrap(), Display::Standard, "{guest}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_bounded_as_every_call_is() {
    let error = shown("toolbox", "show huge").await.unwrap_err();
    assert!(error.to_string().contains("a display of 307200 bytes"), "{error}");
    assert!(matches!(shown("toolbox", "show trap").await, Err(CallError::Trapped(_))));
    let error = shown("toolbox", "show loop").await.unwrap_err();
    assert!(error.to_string().contains("raise `compute` in [bots.x.limits]"), "{error}");
}

// === What is within the bounds ===

#[tokio::test(flavor = "multi_thread")]
async fn a_straight_guest_by_hand_is_a_plugin() {
    assert!(matches!(crooked(Crooked::default(), LIMITS).await.unwrap(), Decision::Ignore));
    let straight = Crooked { describe: described("nop"), on_message: ignored("nop"), ..Crooked::default() };
    assert!(matches!(crooked(straight, LIMITS).await.unwrap(), Decision::Ignore));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_pause_within_compute_is_no_misdeed() {
    let busy = Crooked {
        module: "(func $count (local $left i32)
              (local.set $left (i32.const 20000000))
              (loop (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))",
        on_message: ignored("(call $count)"),
        ..Crooked::default()
    };
    assert!(matches!(crooked(busy, "").await.unwrap(), Decision::Ignore));
}
