//! The `hearth` command as people use it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use hearth_tests::binary;
use tempfile::TempDir;

/// Runs `hearth` on this bots.toml, with nothing in its environment but a path.
fn hearth(toml: &str, arguments: &[&str], input: &str) -> (Output, TempDir) {
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("bots.toml");
    std::fs::write(&config, toml).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the command is what is tested")]
    let mut child = Command::new(binary::path())
        .args(arguments)
        .arg("--config")
        .arg(&config)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    (child.wait_with_output().unwrap(), folder)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with_plugins(toml: &str) -> String {
    format!(
        "[host]\nplugins = '{}'\n[agent]\ncommand = \"demo-agent\"\n{toml}",
        binary::repository().join("plugins/dist").display()
    )
}

#[test]
fn five_mistakes_are_reported_at_once_each_with_its_line() {
    let toml = "[host]\nlisten = \"nowhere\"\nqueu-limit = 3\n\n[bots.echo]\nplugin = \"echo\"\nmax-turns = 0\nsession-ttl = \"soon\"\nbot-key = \"${NO_SUCH_VARIABLE}\"\n";
    let (output, _folder) = hearth(toml, &["check"], "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for place in ["bots.toml:2", "bots.toml:3", "bots.toml:7", "bots.toml:8", "bots.toml:9"] {
        assert!(said.contains(place), "{place} is missing in:\n{said}");
    }
    assert!(said.contains("queue-limit"), "the key that was meant is named:\n{said}");
    assert!(said.contains("NO_SUCH_VARIABLE"), "{said}");
}

#[test]
fn check_names_what_a_playground_deployment_lacks_for_production() {
    let (output, _folder) = hearth(&with_plugins("[bots.echo]\nplugin = \"echo\"\n"), &["check"], "");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for missing in ["bot-key", "webhook-secret", "url"] {
        assert!(said.contains(missing), "{missing} is missing in:\n{said}");
    }
}

#[test]
fn check_is_content_with_a_complete_deployment_and_prints_no_secret_unless_asked() {
    let toml = with_plugins(
        "[campfire]\nurl = \"https://chat.example.org\"\n[bots.echo]\nplugin = \"echo\"\n\
         bot-key = \"12-abcdefabcdef\"\nwebhook-secret = \"0123456789abcdef\"\n",
    );
    let (output, _folder) = hearth(&toml, &["check"], "");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("/hooks/echo/****"), "{said}");
    assert!(!said.contains("0123456789abcdef"), "{said}");

    let (output, _folder) = hearth(&toml, &["check", "--show-secrets"], "");
    assert!(text(&output.stdout).contains("/hooks/echo/0123456789abcdef"));
    assert!(!text(&output.stdout).contains("12-abcdefabcdef"));
}

#[test]
fn check_names_the_lines_that_grant_what_a_plugin_needs() {
    let toml = with_plugins(
        "[bots.oncall]\nplugin = \"oncall\"\ngrants = [\"clock\"]\nsettings = { url = \"https://oncall.example.com\" }\n\
         [bots.reminders]\nplugin = \"reminders\"\n",
    );
    let (output, _folder) = hearth(&toml, &["check"], "");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "[bots.oncall] does not grant what the plugin needs: `http`",
        "add `[bots.oncall.http.\"<host>\"]` for each server it may reach",
        "[bots.reminders] does not grant what the plugin needs: `schedule`",
        "write `grants = [\"schedule\"]` there",
    ] {
        assert!(said.contains(line), "{line} is missing in:\n{said}");
    }
    assert!(!said.contains("`campfire`"), "what is optional is not asked for:\n{said}");
}

#[test]
fn an_agent_command_that_does_not_exist_is_named_with_the_remedy() {
    let toml = with_plugins("[bots.echo]\nplugin = \"echo\"\n").replace("demo-agent", "no-such-claude");
    for command in ["check", "dev"] {
        let (output, _folder) = hearth(&toml, &[command], "");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("no-such-claude"), "{said}");
        assert!(said.contains("bots.toml"), "the remedy is named: {said}");
    }
}

#[test]
fn a_missing_configuration_is_named() {
    let folder = TempDir::new().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the command is what is tested")]
    let output = Command::new(binary::path()).arg("check").current_dir(folder.path()).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("bots.toml"), "{said}");
}

#[test]
fn chat_answers_a_piped_conversation_and_ends_with_its_input() {
    let toml = with_plugins("[bots.assistant]\nplugin = \"assistant\"\n");
    let (output, _folder) = hearth(&toml, &["chat", "assistant"], "my name is Zelda\nwhat is my name?\n");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let last =
        said.trim_end().lines().rev().take_while(|line| !line.contains("my name is")).collect::<String>();
    assert!(last.contains("Zelda"), "{said}");
}

#[test]
fn chat_with_an_unknown_bot_names_the_known_ones() {
    let (output, _folder) = hearth(&with_plugins("[bots.echo]\nplugin = \"echo\"\n"), &["chat", "ecco"], "");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("ecco") && said.contains("echo"), "{said}");
}

#[test]
fn the_schema_accepts_the_sample_and_refuses_an_unknown_key() {
    let (output, _folder) = hearth("", &["schema"], "");
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let sample = std::fs::read_to_string(binary::repository().join("bots.toml")).unwrap();
    let mut sample: serde_json::Value = toml::from_str(&sample).unwrap();
    assert!(
        schema.is_valid(&sample),
        "{:?}",
        schema.iter_errors(&sample).map(|error| error.to_string()).collect::<Vec<_>>()
    );
    sample["host"] = serde_json::json!({"lisen": "127.0.0.1:1"});
    assert!(!schema.is_valid(&sample));
}

#[test]
fn the_demo_agent_says_which_version_it_is() {
    #[expect(clippy::disallowed_methods, reason = "the command is what is tested")]
    let output = Command::new(binary::path()).args(["demo-agent", "--version"]).output().unwrap();
    assert!(text(&output.stdout).contains("(Hearth demo agent)"));
}
