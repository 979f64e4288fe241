//! The commands in a terminal, as `script` of util-linux gives them one, and where there is none.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{process::Stdio, time::Duration};

use hearth_tests::{binary, outside::Outside, world::PATIENCE};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Runs what follows it in a terminal of a hundred columns.
const IN_TERMINAL: [&str; 4] =
    ["bash", "-c", r#"exec script -qec "stty cols 100; exec $(printf '%q ' "$@")" /dev/null"#, "terminal"];
const COLOURS: [&str; 4] = ["env", "-u", "NO_COLOR", "TERM=xterm-256color"];
const NO_COLOURS: [&str; 3] = ["env", "NO_COLOR=1", "TERM=xterm-256color"];

/// A conversation with the assistant.
struct Chat {
    child: Child,
    /// None when nothing more comes.
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// All that was shown.
    shown: String,
    /// How much of it was waited for.
    seen: usize,
    _folder: TempDir,
}

impl Chat {
    fn start(launcher: &[&str], arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let toml = format!(
            "[host]\nplugins = '{}'\n[agent]\ncommand = \"demo-agent\"\n[bots.assistant]\nplugin = \"assistant\"\n",
            binary::repository().join("plugins/dist").display()
        );
        std::fs::write(folder.path().join("bots.toml"), toml).unwrap();
        let hearth = binary::path().to_str().unwrap();
        let mut words =
            launcher.iter().copied().chain([hearth, "chat", "assistant"]).chain(arguments.iter().copied());
        #[expect(clippy::disallowed_methods, reason = "the command is what is tested")]
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, output, shown: String::new(), seen: 0, _folder: folder }
    }

    async fn write(&mut self, keys: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(keys.as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }

    /// Waits until this is shown, behind what was waited for last.
    async fn see(&mut self, words: &str) {
        let seeing = async {
            loop {
                if let Some(at) = self.shown[self.seen..].find(words) {
                    self.seen += at + words.len();
                    return;
                }
                assert!(self.read().await, "it ended before {words:?}");
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, seeing).await.is_ok();
        assert!(in_time, "{words:?} is not in {:?}", &self.shown[self.seen..]);
    }

    async fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let length = self.output.read(&mut chunk).await.unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&chunk[..length]));
        length > 0
    }

    /// Waits for the end, and answers all that was shown.
    async fn ended(mut self) -> String {
        let ending = async {
            while self.read().await {}
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(PATIENCE, ending).await.expect("it ends");
        assert!(status.success(), "{:?}", self.shown);
        self.shown
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_has_a_prompt_that_remembers_progress_and_what_the_bot_sets_off() {
    let launcher = [&COLOURS[..], &IN_TERMINAL].concat();
    let mut chat = Chat::start(&launcher, &[]);
    chat.see("you → assistant").await;
    chat.write("demo:slow=5000 markdown\r").await;
    // That it has it may be shown for too short a time to be drawn.
    chat.see("assistant works on it").await;
    chat.see("\u{1b}[36massistant\u{1b}[0m: (demo agent)").await;
    chat.see("you → assistant").await;
    // The line before, by the key that goes up.
    chat.write("\u{1b}[A\r").await;
    chat.see("\u{1b}[36massistant\u{1b}[0m: (demo agent)").await;
    chat.see("you → assistant").await;
    chat.write("demo:slow=3600000\r").await;
    chat.see("assistant works on it").await;
    // Ctrl-C stops what runs, and not the conversation.
    chat.write("\u{3}").await;
    chat.see("I was stopped.").await;
    chat.see("you → assistant").await;
    chat.write("\u{4}").await;
    let shown = chat.ended().await;
    for set_off in ["\u{1b}[1m", "\u{1b}[3m", "\u{1b}[33m", "\u{1b}]8;;https://"] {
        assert!(shown.contains(set_off), "{set_off:?} is not in {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_no_colours_gets_none_and_sees_where_links_lead() {
    let launcher = [&NO_COLOURS[..], &IN_TERMINAL].concat();
    let mut chat = Chat::start(&launcher, &[]);
    chat.see("you → assistant").await;
    chat.write("markdown\r").await;
    chat.see("assistant: (demo agent)").await;
    chat.see(" (https://").await;
    chat.see("you → assistant").await;
    chat.write("\u{4}").await;
    let shown = chat.ended().await;
    for set_off in ["\u{1b}[1m", "\u{1b}[3m", "\u{1b}[36m", "\u{1b}[33m", "\u{1b}]8;"] {
        assert!(!shown.contains(set_off), "{set_off:?} is in {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_one_object_a_message_and_nothing_else() {
    let mut chat = Chat::start(&[], &["--json"]);
    chat.write("markdown\n\nmy name is Zelda\n").await;
    chat.see("Zelda").await;
    chat.input = None;
    let shown = chat.ended().await;
    let told: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 2, "{shown}");
    for told in &told {
        assert_eq!((&told["bot"], &told["file"]), (&Value::from("assistant"), &Value::Null), "{told}");
        assert!(told["message"].is_u64() && told["at"].is_i64() && told["room"].is_u64(), "{told}");
    }
    assert!(told[0]["html"].as_str().unwrap().contains("<strong>"), "{shown}");
    assert!(told[1]["text"].as_str().unwrap().contains("Nice to meet you, Zelda"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_aligned_and_in_colours_in_a_terminal_and_for_programs_elsewhere() {
    let outside = Outside::new("").await;
    outside.logs(r#""message":"loaded;"#).await;
    outside.say("demo:die").await;
    outside.answered(1).await;
    // That it failed is noted behind the answer.
    let noted = async {
        while outside.failures().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noted).await.expect("it is noted");
    let shown = async |launcher: &[&str], arguments: &[&str]| {
        let ran = outside.run_by(launcher, arguments, Stdio::null()).await;
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    let colours = [&COLOURS[..], &IN_TERMINAL].concat();
    let none = [&NO_COLOURS[..], &IN_TERMINAL].concat();

    let status = shown(&colours, &["status"]).await;
    assert!(status.contains("\u{1b}[1mBOT\u{1b}[0m"), "{status:?}");
    assert!(status.contains("\u{1b}[32mopen\u{1b}[0m") && !status.contains('\t'), "{status:?}");
    let status = shown(&none, &["status"]).await;
    assert!(status.starts_with("BOT        GENERATION") && !status.contains('\u{1b}'), "{status:?}");
    assert!(shown(&[], &["status"]).await.starts_with("BOT\tGENERATION\t"));

    let failed = shown(&colours, &["events", "failed"]).await;
    assert!(failed.contains("\u{1b}[31mfailed\u{1b}[0m"), "{failed:?}");
    // Nothing is wider than the terminal.
    let failed = shown(&none, &["events", "failed"]).await;
    assert!(failed.lines().all(|line| line.trim_end().chars().count() <= 100), "{failed}");
    assert!(failed.lines().count() > 2, "what is too long goes on in the next line: {failed}");
    let failed = shown(&[], &["events", "failed"]).await;
    assert_eq!(failed.lines().count(), 2, "{failed}");

    shown(&[], &["pause", "assistant"]).await;
    assert!(shown(&colours, &["status"]).await.contains("\u{1b}[33mpaused\u{1b}[0m"));
    let sessions = shown(&colours, &["pause"]).await;
    assert!(
        sessions.contains("\u{1b}[1mBOT\u{1b}[0m") && sessions.contains("assistant  all "),
        "{sessions:?}"
    );
}
