//! Scenes in a real Chromium: each is a function in a file of `tests/browser`, played to its end against a real host.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::binary;

/// How long a scene may take, builds included. Long, since browsers start slowly on a busy machine; no test waits for it.
const SCENE: Duration = Duration::from_mins(20);

/// Where pictures of the pages go, to be looked at; they stay after the test.
fn pictures() -> PathBuf {
    let folder = std::env::var_os("HEARTH_TEST_PICTURES")
        .map_or_else(|| std::env::temp_dir().join("hearth-pictures"), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("the folder is writable");
    folder
}

/// Plays a scene of `tests/browser/<page>.mjs` on the page at `url`. What it needs to know besides is in `more`.
pub async fn play(page: &str, scene: &str, url: &str, more: Value) {
    let installed = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set: this test runs from tests/run, which installs it"))
    };
    let stage = json!({
        "page": page,
        "scene": scene,
        "url": url,
        "more": more,
        "chromium": installed("HEARTH_TEST_CHROMIUM"),
        "packages": installed("HEARTH_TEST_BROWSER_DRIVER"),
        "pictures": pictures(),
    });
    #[expect(clippy::disallowed_methods, reason = "the tests run other programs")]
    let played = Command::new("node")
        .arg(binary::repository().join("tests/browser").join(page).with_extension("mjs"))
        .arg(stage.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(SCENE, played).await.expect("the scene ends").expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{scene}: {said}{}", String::from_utf8_lossy(&output.stderr));
}
