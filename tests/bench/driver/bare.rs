//! The CLI by itself, called exactly as a Hearth calls it: what no host can be faster than without keeping a process.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};
use uuid::Uuid;

use crate::{
    Bench,
    hearth::{Disk, Hearth, folder_on},
};

/// How the CLI is called.
pub(crate) struct Bare {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: TempDir,
}

impl Bare {
    /// As the agent of this Hearth that waits was called, in a folder of its own.
    ///
    /// # Panics
    /// If none waits: one has to have answered.
    pub(crate) fn as_in(bench: &Bench, hearth: &Hearth) -> Self {
        let agent = hearth.agent().expect("an agent waits for the next message");
        let list = |name: &str| {
            let bytes = fs::read(format!("/proc/{agent}/{name}")).expect("the agent runs");
            let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            words.map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        let mut words: Vec<OsString> = list("cmdline").into_iter().map(OsString::from_vec).collect();
        words.retain(|word| {
            !["--resume=", "--session-id="]
                .iter()
                .any(|name| word.as_encoded_bytes().starts_with(name.as_bytes()))
        });
        let folder = folder_on(bench, Disk::Real);
        let mut environment: Vec<(OsString, OsString)> = list("environ")
            .into_iter()
            .filter_map(|word| {
                let at = word.iter().position(|byte| *byte == b'=')?;
                let (name, value) = word.split_at(at);
                Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value[1..].to_vec())))
            })
            .collect();
        for name in ["HOME", "CLAUDE_CONFIG_DIR", "TMPDIR", "CLAUDE_CODE_TMPDIR"] {
            environment.push((name.into(), folder.path().into()));
        }
        Self { words, environment, folder }
    }

    /// A conversation's first turn, and how the next ones are called.
    pub(crate) async fn begin(&self) -> String {
        let session = Uuid::new_v4();
        self.turn(&format!("--session-id={session}")).await;
        format!("--resume={session}")
    }

    /// From the start of the process to its result.
    pub(crate) async fn turn(&self, session: &str) -> Duration {
        let began = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "this is what is measured")]
        let mut command = Command::new(&self.words[0]);
        command
            .args(&self.words[1..])
            .arg(session)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the CLI starts");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        let message = json!({
            "type": "user", "message": { "role": "user", "content": "hello" }, "parent_tool_use_id": null,
            "session_id": "default", "uuid": Uuid::new_v4(), "client_composed": true,
        });
        stdin.write_all(format!("{message}\n").as_bytes()).await.expect("the CLI reads");
        let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        let took = loop {
            let line = lines.next_line().await.expect("it is text").expect("the CLI answers");
            let line: serde_json::Value = serde_json::from_str(&line).expect("the CLI speaks JSON");
            if line["type"] == "result" {
                assert_eq!(line["is_error"], false, "the CLI answers well: {line}");
                break began.elapsed();
            }
        };
        // Its end is not part of the answer.
        drop(stdin);
        while let Ok(Some(_)) = lines.next_line().await {}
        child.wait().await.expect("it ends");
        took
    }
}
