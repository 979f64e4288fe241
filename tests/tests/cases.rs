//! `hearth test`, as authors use it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{path::Path, process::Stdio};

use hearth_tests::binary;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// Runs `hearth test` in this folder: whether it succeeds, and what it says.
async fn test(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    #[expect(clippy::disallowed_methods, reason = "the command is what is tested")]
    let mut command = Command::new(binary::path());
    // What it compiles is kept nowhere.
    command.args(["test", "--config", "/nonexistent/bots.toml"]).args(arguments).current_dir(folder);
    let output = command.env("NO_COLOR", "1").stdin(Stdio::null()).output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

/// A folder with the component of `echo` and these cases.
fn echo(cases: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::copy(binary::guest("echo"), folder.path().join("echo.wasm")).unwrap();
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cases_of_the_sample_bots_pass() {
    for (bot, cases) in [("echo", 2), ("assistant", 8), ("oncall", 4), ("reminders", 5)] {
        let component = binary::guest(bot);
        let file = binary::repository().join("plugins").join(bot).join("cases.toml");
        let arguments = [component.to_str().unwrap(), "--cases", file.to_str().unwrap()];
        let (code, said) = test(Path::new("/"), &arguments).await;
        assert!(said.contains(&format!("{cases} passed, 0 failed")), "{said}");
        assert_eq!(code, Some(0), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_expectation_fails_with_a_diff_and_its_place() {
    let folder = echo(
        "[case.'it says the same']\nmessage = 'hello'\nexpect.reply = 'hello'\n\n[case.'it turns it around']\nmessage = \"hello\\nyou\"\n\
         expect.reply = \"olleh\\nyou\"\n[case.'it asks']\nexpect.prompt = { contains = 'x' }\n",
    );
    let (code, said) = test(folder.path(), &["echo.wasm"]).await;
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "✓ it says the same",
        "✗ it turns it around (./cases.toml:5)",
        "the reply is not as expected",
        "--- expected",
        "+++ is",
        "-    olleh",
        "+    hello",
        "     you",
        "✗ it asks (",
        "it is to ask, and decides:",
        "1 passed, 2 failed",
    ] {
        let file = folder.path().join("cases.toml");
        let said = said.replace(file.to_str().unwrap(), "./cases.toml");
        assert!(said.contains(line), "{line:?} is missing in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_file_is_named_with_its_place_and_what_was_meant() {
    let folder = echo("[case.a]\nmesage = 'hello'\nexpect.repyl = 'hello'\n");
    let (code, said) = test(folder.path(), &["echo.wasm"]).await;
    assert_eq!(code, Some(1), "{said}");
    for words in ["cases.toml:2:1", "`message`", "cases.toml:3:8", "`reply`"] {
        assert!(said.contains(words), "{words:?} is missing in:\n{said}");
    }
    assert!(!said.contains("expects nothing"), "that only follows: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_are_chosen_by_their_names_and_told_to_scripts() {
    let folder = echo("[case.one]\nexpect.reply = 'hi'\n[case.two]\nexpect.reply = 'no'\n");
    let (code, said) = test(folder.path(), &["echo.wasm", "ON", "--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((told.as_array().unwrap().len(), &told[0]["case"]), (1, &Value::from("one")));
    let (code, said) = test(folder.path(), &["echo.wasm", "three"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no case is called `three`"), "{said}");
    let (code, said) = test(folder.path(), &["ecco.wasm"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no plugin at ecco.wasm"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_whose_bot_can_t_be_loaded_says_why() {
    let folder = echo("[case.a]\nsettings = { volume = 11 }\nexpect.reply = 'hi'\n");
    let (code, said) = test(folder.path(), &["echo.wasm"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a key with the value 11 is not known"), "{said}");
    assert!(said.contains("0 passed, 1 failed"), "{said}");
}
