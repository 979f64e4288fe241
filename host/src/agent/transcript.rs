//! What a session's transcript says of one message, so that an answer is not paid for twice: a host may be killed between the
//! answer and its record, and the CLI has written the answer down before it told.
//!
//! The file is `<config>/projects/<working folder>/<session>.jsonl`, one JSON object a line. A user's message has there the
//! `uuid` that it was sent with, and the last line of an answer the `stop_reason` `end_turn` (measured on 2.1.330). Only
//! that is taken for an answer; whatever looks otherwise is left to the CLI, which knows best what it has answered.
//!
//! A CLI that was killed at its very start leaves a file without any message. It can neither be resumed nor begun again
//! under that name (measured), so it is removed.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::id::SessionId;

/// How much of a transcript is read, in bytes from its end: what is sought is the last thing in it.
const READ: u64 = 16 << 20;

/// What a transcript says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trace {
    /// There is no such transcript.
    NoTranscript,
    /// There is one, without an answer to the message.
    Unanswered,
    /// It was answered, so.
    Answered(String),
}

/// Looks for the answer to `message` in the session's transcript. Blocks.
pub(super) fn look(config: &Path, session: SessionId, message: Uuid) -> Trace {
    let Some(file) = located(config, session) else { return Trace::NoTranscript };
    match read(&file, message) {
        Ok(Trace::NoTranscript) => {
            if let Err(error) = fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "an empty transcript could not be removed");
            }
            Trace::NoTranscript
        }
        Ok(trace) => trace,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "a transcript could not be read");
            Trace::Unanswered
        }
    }
}

/// Where the transcript is, under whichever working folder. Blocks.
pub(super) fn located(config: &Path, session: SessionId) -> Option<PathBuf> {
    let name = format!("{session}.jsonl");
    let projects = fs::read_dir(config.join("projects")).ok()?;
    projects.flatten().map(|project| project.path().join(&name)).find(|file| file.is_file())
}

/// The parts of a line that decide something.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    uuid: Option<String>,
    message: Option<Said>,
    #[serde(default)]
    is_sidechain: bool,
    #[serde(default)]
    is_meta: bool,
    #[serde(default)]
    is_api_error_message: bool,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Value,
    stop_reason: Option<String>,
}

/// There is no transcript if nobody said anything in it.
fn read(file: &Path, message: Uuid) -> io::Result<Trace> {
    let mut file = File::open(file)?;
    let skipped = file.metadata()?.len().saturating_sub(READ);
    file.seek(SeekFrom::Start(skipped))?;
    let message = message.to_string();
    // What is skipped has messages in it.
    let (mut begun, mut asked, mut answer) = (skipped > 0, false, None);
    for line in BufReader::new(file.take(READ)).split(b'\n') {
        // Not an entry: cut by a crash, cut by us, or of a kind that says nothing.
        let Ok(entry) = serde_json::from_slice::<Entry>(&line?) else { continue };
        begun |= entry.kind == "user";
        if entry.is_sidechain || entry.is_meta || entry.is_api_error_message {
            continue;
        }
        match (entry.kind.as_str(), entry.message) {
            ("user", _) if entry.uuid.as_deref() == Some(&message) => (asked, answer) = (true, None),
            // A tool's result is said by the user too.
            ("user", Some(said)) if asked && has_block(&said.content, "tool_result") => answer = None,
            ("user", _) if asked => break,
            // What was thought before an answer is none, and takes none back.
            ("assistant", Some(said)) if asked && (has_block(&said.content, "text") || !said.ends_turn()) => {
                answer = said.answer();
            }
            _ => {}
        }
    }
    Ok(match answer {
        Some(answer) => Trace::Answered(answer),
        None if begun => Trace::Unanswered,
        None => Trace::NoTranscript,
    })
}

fn has_block(content: &Value, kind: &str) -> bool {
    content.as_array().is_some_and(|blocks| blocks.iter().any(|block| block["type"] == kind))
}

impl Said {
    fn ends_turn(&self) -> bool {
        self.stop_reason.as_deref() == Some("end_turn")
    }

    /// The text that ends a turn.
    fn answer(&self) -> Option<String> {
        self.ends_turn().then_some(())?;
        let text = self.content.as_array()?.iter().filter_map(|block| block["text"].as_str()).next_back()?;
        (!text.trim().is_empty()).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(message: Uuid) -> Value {
        json!({ "type": "user", "uuid": message, "isSidechain": false,
                "message": { "role": "user", "content": "a question" } })
    }

    fn said(text: &str, stop_reason: &str) -> Value {
        json!({ "type": "assistant", "uuid": Uuid::new_v4(), "message": {
                "role": "assistant", "stop_reason": stop_reason, "content": [{ "type": "text", "text": text }] } })
    }

    fn tool(kind: &str) -> Value {
        let content = json!([{ "type": kind, "id": "t" }]);
        if kind == "tool_use" {
            json!({ "type": "assistant", "message": { "stop_reason": "tool_use", "content": content } })
        } else {
            json!({ "type": "user", "uuid": Uuid::new_v4(), "message": { "content": content } })
        }
    }

    /// What is made of a transcript of these lines.
    fn trace(message: Uuid, lines: &[Value]) -> Trace {
        let config = tempfile::tempdir().unwrap();
        let session = SessionId(Uuid::new_v4());
        let project = config.path().join("projects/-some-folder");
        fs::create_dir_all(&project).unwrap();
        let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        fs::write(project.join(format!("{session}.jsonl")), format!("{{\"cut by a cra\n{text}")).unwrap();
        assert_eq!(look(config.path(), SessionId(Uuid::new_v4()), message), Trace::NoTranscript);
        look(config.path(), session, message)
    }

    #[test]
    fn an_answer_is_found_behind_its_message() {
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let lines = [
            asked(first),
            json!({ "type": "attachment", "uuid": Uuid::new_v4() }),
            said("one", "end_turn"),
            asked(second),
            tool("tool_use"),
            tool("tool_result"),
            json!({ "type": "assistant", "message": { "stop_reason": "end_turn", "content": [{ "type": "thinking" }] } }),
            said("two", "end_turn"),
            json!({ "type": "cost-state" }),
        ];
        assert_eq!(trace(first, &lines), Trace::Answered("one".into()));
        assert_eq!(trace(second, &lines), Trace::Answered("two".into()));
        assert_eq!(trace(Uuid::new_v4(), &lines), Trace::Unanswered);
    }

    #[test]
    fn what_is_not_surely_an_answer_is_none() {
        let message = Uuid::new_v4();
        let mut error = said("API Error: secret prose", "end_turn");
        error["isApiErrorMessage"] = json!(true);
        let mut aside = said("a subagent's", "end_turn");
        aside["isSidechain"] = json!(true);
        for lines in [
            vec![],
            vec![tool("tool_use")],
            vec![said("I look it up", "tool_use"), tool("tool_use"), tool("tool_result")],
            vec![said("done", "end_turn"), tool("tool_result")],
            vec![said("cut", "max_tokens")],
            vec![said(" ", "end_turn")],
            vec![error],
            vec![aside],
            vec![asked(Uuid::new_v4()), said("about something else", "end_turn")],
        ] {
            let lines: Vec<_> = [vec![asked(message)], lines].concat();
            assert_eq!(trace(message, &lines), Trace::Unanswered, "{lines:?}");
        }
    }

    #[test]
    fn a_transcript_without_a_message_is_none_and_is_removed() {
        let config = tempfile::tempdir().unwrap();
        let session = SessionId(Uuid::new_v4());
        let file = config.path().join(format!("projects/-x/{session}.jsonl"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "{\"type\":\"queue-operation\",\"operation\":\"enqueue\"}\n").unwrap();
        assert_eq!(look(config.path(), session, Uuid::new_v4()), Trace::NoTranscript);
        assert!(!file.exists());
    }

    #[test]
    fn of_a_long_transcript_the_end_is_read() {
        let (old, new) = (Uuid::new_v4(), Uuid::new_v4());
        let long = said(&"x".repeat(usize::try_from(READ).unwrap()), "end_turn");
        let lines = [asked(old), long, asked(new), said("short", "end_turn")];
        assert_eq!(trace(new, &lines), Trace::Answered("short".into()));
        assert_eq!(trace(old, &lines), Trace::Unanswered);
    }
}
