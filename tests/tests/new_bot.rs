//! A project that `hearth new` makes, built and called as its author would.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{path::Path, process::Stdio};

use hearth::plugin::{Decision, Part};
use hearth_tests::{binary, workbench::Workbench};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs `hearth` in this folder, to its end, and answers what it says.
async fn hearth(folder: &Path, arguments: &[&str]) -> String {
    #[expect(clippy::disallowed_methods, reason = "the commands are what is tested")]
    let mut command = Command::new(binary::path());
    // Guests are built below this, so that the standard library is compiled once for all of them.
    command.env("CARGO_TARGET_DIR", binary::repository().join("target"));
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().await.unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}{complained}");
    said.into_owned()
}

async fn a_new_bot_answers(language: &str) {
    let folder = TempDir::new().unwrap();
    hearth(folder.path(), &["new", "my-bot", "--lang", language]).await;
    let project = folder.path().join("my-bot");
    hearth(&project, &["build"]).await;
    let component = project.join("plugins/dist/my-bot.wasm");
    let bench = Workbench::file(&component, "").await.unwrap();
    assert_eq!(bench.generation.plugin.name, "my-bot");
    let pong = Decision::Reply(vec![Part::Text("pong".into())]);
    assert_eq!(bench.decide("ping").await.unwrap(), pong);
    assert!(matches!(bench.decide("hello").await.unwrap(), Decision::Ask(_)));
    let tested = hearth(&project, &["test"]).await;
    assert!(tested.contains("2 passed, 0 failed"), "{tested}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_rust_it_builds_and_answers_outside_the_repository() {
    a_new_bot_answers("rust").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_javascript_it_builds_and_answers() {
    a_new_bot_answers("javascript").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_python_it_builds_and_answers() {
    a_new_bot_answers("python").await;
}
