//! What the hot paths cost, in figures that don't depend on the machine: allocations, and instructions of an unoptimised
//! build. A change that makes one of them dearer fails here, and is renewed on purpose or mended:
//!
//!     HEARTH_RENEW_BASELINE=1 cargo test --workspace --test costs

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use allocation_counter::measure;
use hearth_tests::{binary, costs, plugin_calls::Called};
use serde_json::Value;

/// Where the committed figures are.
const BASELINE: &str = "tests/bench/baseline.toml";
/// How much dearer a piece of work may become, in percent. Allocations are the same on every machine; instructions differ by
/// a little with the library of C.
const TOLERANCE: u64 = 3;

type Figures = BTreeMap<String, u64>;

#[tokio::test(flavor = "current_thread")]
async fn the_hot_paths_allocate_no_more_than_before() {
    let mut figures = Figures::new();
    for mut work in costs::all() {
        let counted = measure(|| work.run());
        figures.insert(work.name.to_owned(), counted.count_total);
        figures.insert(format!("{}-bytes", work.name), counted.bytes_total);
    }
    let echo = binary::repository().join("plugins/dist/echo.wasm");
    let plugin = Called::load(&echo).await;
    let message = plugin.message("What is the largest lake of Africa?");
    for _ in 0..20 {
        plugin.call(&message).await;
    }
    // The least of some: whatever else this thread is given to do in between is no part of a call.
    let counted = (0..20).map(|_| measure_call(&plugin, &message)).min().unwrap();
    figures.insert("plugin-call".into(), counted);
    compare("allocations", &figures);
}

fn measure_call(plugin: &Called, message: &hearth::plugin::Cause) -> u64 {
    let mut call = std::pin::pin!(plugin.call(message));
    let mut total = 0;
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    loop {
        let mut is_over = false;
        total += measure(|| is_over = call.as_mut().poll(&mut context).is_ready()).count_total;
        if is_over {
            return total;
        }
    }
}

#[test]
fn the_hot_paths_run_no_more_instructions_than_before() {
    let valgrind = env::var_os("HEARTH_TEST_VALGRIND").map(PathBuf::from).expect(
        "HEARTH_TEST_VALGRIND is not set: `tests/run` sets it; for a single test: \
         export HEARTH_TEST_VALGRIND=\"$(tests/install/valgrind <folder>)\"",
    );
    let folder = tempfile::TempDir::new().unwrap();
    let names: Vec<_> = costs::all().iter().map(|work| work.name.to_owned()).collect();
    let figures = names.into_iter().map(|name| {
        // What the process needs to start is in both, and goes.
        let count = |times| instructions(&valgrind, folder.path(), &name, times);
        let of_one = (count(30) - count(10)) / 20;
        (name, of_one)
    });
    compare("instructions", &figures.collect());
}

fn instructions(valgrind: &Path, folder: &Path, work: &str, times: u32) -> u64 {
    let out = folder.join(format!("{work}-{times}"));
    #[expect(clippy::disallowed_methods, reason = "valgrind counts what the binary of the benches does")]
    let output = std::process::Command::new(valgrind)
        .args(["--tool=callgrind", "--read-inline-info=no", "--error-exitcode=99"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args([env!("CARGO_BIN_EXE_hearth-bench"), "--cost", work, &times.to_string()])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let counted = fs::read_to_string(out).unwrap();
    let total = counted
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|total| total.trim().parse().ok()).unwrap_or_else(|| panic!("callgrind counted: {said}"))
}

/// Compares with the committed figures of that kind, or makes these the new ones.
fn compare(kind: &str, figures: &Figures) {
    let file = binary::repository().join(BASELINE);
    if env::var_os("HEARTH_RENEW_BASELINE").is_some() {
        renew(&file, kind, figures);
        return;
    }
    let baseline: toml::Table = fs::read_to_string(&file).unwrap().parse().unwrap();
    if kind == "instructions" && baseline["compiler"].as_str() != Some(&compiler()) {
        // Another compiler makes other instructions of the same source; allocations are compared all the same.
        return;
    }
    let before: Figures = baseline[kind].clone().try_into().unwrap();
    assert!(figures.keys().eq(before.keys()), "{BASELINE} has other {kind} than these: {figures:?}");
    let dearer: Vec<_> = figures
        .iter()
        .filter(|(name, now)| **now > before[*name] + before[*name] * TOLERANCE / 100)
        .map(|(name, now)| format!("{name}: {now} {kind}, {} before", before[name]))
        .collect();
    assert!(
        dearer.is_empty(),
        "{}. If that is meant: HEARTH_RENEW_BASELINE=1 cargo test --workspace --test costs",
        dearer.join("; ")
    );
}

fn renew(file: &Path, kind: &str, figures: &Figures) {
    use std::{fmt::Write as _, sync::Mutex};
    // Both tests write it.
    static LOCK: Mutex<()> = Mutex::new(());
    let _one = LOCK.lock().unwrap();
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut all: BTreeMap<String, Value> = toml::from_str(&text).unwrap();
    all.insert(kind.to_owned(), serde_json::to_value(figures).unwrap());
    let mut text = format!(
        "# What the hot paths cost; `tests/tests/costs.rs` compares, and says how to renew this.\n\
         # Instructions are those of an unoptimised build by this compiler.\ncompiler = \"{}\"\n",
        compiler()
    );
    for kind in ["allocations", "instructions"] {
        let Some(Value::Object(figures)) = all.get(kind) else { continue };
        write!(text, "\n[{kind}]\n").unwrap();
        for (name, figure) in figures {
            writeln!(text, "{name} = {figure}").unwrap();
        }
    }
    fs::write(file, text).unwrap();
}

/// What built this, on which machine.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    #[expect(clippy::disallowed_methods, reason = "it is asked for its version")]
    let output = std::process::Command::new(rustc).arg("--version").output().unwrap();
    format!("{} {}", String::from_utf8_lossy(&output.stdout).trim(), env::consts::ARCH)
}
