//! What an author saved is served by Winch at once, and by Cranelift after that.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use hearth::plugin::{CallError, Compiler, Decision, Loader, Part};
use hearth_tests::{
    binary,
    crooked::Crooked,
    workbench::Workbench,
    world::{PATIENCE, World},
};
use serde_json::Value;
use tempfile::TempDir;

/// Long for an interpreter on a busy machine.
const COMPILING: std::time::Duration = PATIENCE.saturating_mul(5);

#[tokio::test(flavor = "multi_thread")]
async fn one_generation_is_served_by_both_compilers_in_turn_and_the_next_start_finds_the_better_code() {
    let bots = format!("[bots.units]\nplugin = '{}'\n", binary::guest("units").display());
    let mut world = World::for_authors(&bots).await;
    let room = world.room("units");
    // It waits for the plugin, and is the first to run it; Cranelift has 12 MB to compile by then.
    assert_eq!(world.ask(room, "5 miles in km").await.plain, "5 mi = 8.04672 km");
    let compiler = |world: &World| world.reloader().status().bots[0].running.as_ref().unwrap().compiler;
    assert_eq!(compiler(&world), Compiler::Winch);
    let better = world.roster().wait_for("units", |seat| {
        seat.generation.as_ref().is_some_and(|running| running.plugin.compiler() == Compiler::Cranelift)
    });
    tokio::time::timeout(COMPILING, better).await.expect("Cranelift follows");
    assert_eq!(world.ask(room, "212 °F to c").await.plain, "212 °F = 100 °C");
    assert_eq!(compiler(&world), Compiler::Cranelift);
    world.stop().await;
    let kept = std::fs::read_dir(world.config.host.data_dir.join("compiled")).unwrap();
    assert_eq!(kept.count(), 1, "only the better code is kept");
    world.start().await;
    assert_eq!(world.ask(room, "5 miles in km").await.plain, "5 mi = 8.04672 km");
    world.drained().await;
    let served: Vec<_> = world
        .journal("units")
        .await
        .iter()
        .map(|row| (row.details["plugin"]["generation"].clone(), row.details["plugin"]["compiler"].clone()))
        .collect();
    let by = |compiler: &str| (Value::from(1), Value::from(compiler));
    assert_eq!(served, [by("cranelift"), by("cranelift"), by("winch")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_winch_can_t_compile_cranelift_does_at_once() {
    let folder = TempDir::new().unwrap();
    let tail_call = Crooked {
        module: "(func $described (result i32) (i32.const 64))",
        describe: "(return_call $described)".to_owned(),
        ..Crooked::default()
    };
    let plugin = tail_call.write(folder.path(), "tail-call");
    let loader = Loader::for_development().unwrap();
    let bench = Workbench::load_by(&loader, &format!("plugin = '{}'", plugin.display())).await.unwrap();
    assert_eq!(bench.generation.plugin.compiler(), Compiler::Cranelift);
    assert!(matches!(bench.decide("hello").await, Ok(Decision::Ignore)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_winch_compiled_is_held_by_the_same_limits() {
    let loader = Loader::for_development().unwrap();
    let bench = async |compute: &str| {
        let bot = format!(
            "plugin = '{}'\nlimits = {{ memory = \"16MiB\", compute = \"{compute}\", host-calls = 50 }}",
            binary::guest("hostile").display()
        );
        Workbench::load_by(&loader, &bot).await.unwrap()
    };
    // Only the hasty one is to run out of time, on whatever machine.
    let (hasty, bench) = (bench("300ms").await, bench("20s").await);
    assert_eq!(bench.generation.plugin.compiler(), Compiler::Winch);
    for (bench, misdeed, setting) in
        [(&hasty, "loop", "compute"), (&bench, "memory", "memory"), (&bench, "host calls", "host-calls")]
    {
        match bench.decide(misdeed).await {
            Err(CallError::Limit { limit, .. }) => assert_eq!(limit.setting(), setting),
            other => panic!("{misdeed}: {other:?}"),
        }
    }
    for (misdeed, cause) in [("trap", "unreachable"), ("recurse", "call stack exhausted")] {
        match bench.decide(misdeed).await {
            Err(CallError::Trapped(told)) => assert!(told.contains(cause), "{misdeed}: {told}"),
            other => panic!("{misdeed}: {other:?}"),
        }
    }
    let well = bench.decide("well").await.unwrap();
    assert_eq!(well, Decision::Reply(vec![Part::Text("well behaved".into())]));
}
