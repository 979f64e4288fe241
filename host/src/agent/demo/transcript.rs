//! What a conversation left behind: a file per session, one JSON object a line, only ever appended to.
//!
//! Files are `<config dir>/projects/<working folder, / as ->/<session>.jsonl`, readable by the owner alone. A session is
//! found under any project's folder, so a transcript may be brought from another machine. A line that can't be read (a
//! process died while writing it) is skipped: what the others say still holds.

use std::{
    collections::{HashSet, VecDeque},
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use uuid::Uuid;

use super::words;

/// How many of the last messages are known by their text.
const RECENT: usize = 5;
/// How much of a message is remembered, in characters.
const REMEMBERED_TEXT: usize = 300;
/// No line that was written here is longer, in bytes; what is comes from elsewhere and is cut.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// A conversation as far as the demo agent remembers it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How many messages the user has sent.
    pub(super) messages: usize,
    /// The first of them.
    pub(super) first: Option<String>,
    /// The last of them, oldest first.
    pub(super) recent: VecDeque<String>,
    /// What the user is called.
    pub(super) name: Option<String>,
    /// The system prompt of the first turn.
    pub(super) system_prompt: Option<String>,
    /// Tokens of all turns.
    pub(super) usage: Usage,
    /// Keys of the messages whose turn has ended, and of those whose turn has begun.
    done: HashSet<String>,
    open: Vec<String>,
}

/// Tokens, estimated at four bytes each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
}

/// A session and where it is kept, if anywhere.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) session: Uuid,
    pub(super) memory: Memory,
    file: Option<PathBuf>,
}

/// The file system's refusal.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}. Check CLAUDE_CONFIG_DIR and its permissions", path.display())]
pub(super) struct TranscriptError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Memory {
    /// Whether a turn for this message has ended before, well or not. The key is the sender's, and may have been sent
    /// to another process; one that died in the turn has not ended it.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.done.contains(key)
    }

    fn take(&mut self, line: &Value) {
        match line["type"].as_str() {
            Some("user") => {
                let text = words::shortened(
                    line["message"]["content"].as_str().unwrap_or_default(),
                    REMEMBERED_TEXT,
                );
                self.messages += 1;
                let keys = line["uuids"].as_array().into_iter().flatten();
                self.open = keys.filter_map(|key| key.as_str().map(str::to_owned)).collect();
                self.name = words::introduced(&text).or(self.name.take());
                self.first.get_or_insert_with(|| text.clone());
                if self.recent.len() == RECENT {
                    self.recent.pop_front();
                }
                self.recent.push_back(text);
            }
            Some("assistant") => {
                self.done.extend(self.open.drain(..));
                let usage = &line["message"]["usage"];
                self.usage.input += usage["input_tokens"].as_u64().unwrap_or_default();
                self.usage.output += usage["output_tokens"].as_u64().unwrap_or_default();
            }
            Some("system") if line["subtype"] == "failed" => self.done.extend(self.open.drain(..)),
            Some("system") => {
                let prompt = line["systemPrompt"].as_str().map(str::to_owned);
                self.system_prompt = self.system_prompt.take().or(prompt);
            }
            _ => {}
        }
    }
}

impl Transcript {
    /// A new conversation. Nothing is written yet; without a config folder nothing ever is.
    pub(super) fn new(config_dir: Option<&Path>, working_dir: &Path, session: Uuid) -> Self {
        let file = config_dir.map(|config_dir| {
            let slug = working_dir.display().to_string().replace(['/', '.', '_'], "-");
            config_dir.join("projects").join(slug).join(file_name(session))
        });
        Self { session, memory: Memory::default(), file }
    }

    /// The conversation of that name; none if there is no file of it.
    pub(super) fn find(config_dir: Option<&Path>, session: Uuid) -> Result<Option<Self>, TranscriptError> {
        let Some(file) = config_dir.and_then(|config_dir| located(config_dir, session)) else {
            return Ok(None);
        };
        let failed = |source| TranscriptError { action: "read", path: file.clone(), source };
        let mut memory = Memory::default();
        let mut lines = BufReader::new(File::open(&file).map_err(failed)?);
        loop {
            let mut line = Vec::new();
            if lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            if let Ok(line) = serde_json::from_slice(&line) {
                memory.take(&line);
            }
        }
        Ok(Some(Self { session, memory, file: Some(file) }))
    }

    /// Remembers what the first turn's system prompt was.
    pub(super) fn system_prompt(&mut self, prompt: &str) -> Result<(), TranscriptError> {
        self.append(&json!({ "type": "system", "subtype": "prompt", "systemPrompt": prompt }))
    }

    /// Remembers a message of the user, before it is answered: what a process that dies in the turn has read is kept.
    pub(super) fn user(&mut self, text: &str, keys: &[String]) -> Result<(), TranscriptError> {
        // As the real one does, under the sender's key.
        let uuid = keys.first().cloned().unwrap_or_else(|| Uuid::new_v4().to_string());
        let line = json!({
            "type": "user",
            "uuid": uuid,
            "uuids": keys,
            "sessionId": self.session,
            "message": { "role": "user", "content": text },
        });
        self.append(&line)
    }

    /// Remembers an answer.
    pub(super) fn assistant(&mut self, text: &str, usage: Usage) -> Result<(), TranscriptError> {
        let line = json!({
            "type": "assistant",
            "uuid": Uuid::new_v4(),
            "sessionId": self.session,
            "message": {
                "role": "assistant",
                "stop_reason": "end_turn",
                "content": [{ "type": "text", "text": text }],
                "usage": { "input_tokens": usage.input, "output_tokens": usage.output },
            },
        });
        self.append(&line)
    }

    /// Remembers that the turn ended without an answer.
    pub(super) fn failed(&mut self) -> Result<(), TranscriptError> {
        self.append(&json!({ "type": "system", "subtype": "failed" }))
    }

    fn append(&mut self, line: &Value) -> Result<(), TranscriptError> {
        self.memory.take(line);
        let Some(file) = &self.file else { return Ok(()) };
        let failed = |source| TranscriptError { action: "write", path: file.clone(), source };
        if let Some(folder) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(file).map_err(failed)?;
        // One write, so that a line is there whole or not at all.
        file.write_all(format!("{line}\n").as_bytes()).map_err(failed)
    }
}

fn file_name(session: Uuid) -> String {
    format!("{session}.jsonl")
}

fn located(config_dir: &Path, session: Uuid) -> Option<PathBuf> {
    let projects = fs::read_dir(config_dir.join("projects")).ok()?;
    projects.flatten().map(|project| project.path().join(file_name(session))).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_conversation_is_found_again_under_any_project_and_is_the_owners_alone() {
        let config_dir = tempfile::tempdir().unwrap();
        let config_dir = config_dir.path();
        let session = Uuid::new_v4();
        let mut transcript = Transcript::new(Some(config_dir), Path::new("/some/room"), session);
        transcript.system_prompt("first prompt").unwrap();
        transcript.user("my name is Ann", &["k1".into()]).unwrap();
        transcript.assistant("hello", Usage { input: 3, output: 2 }).unwrap();
        transcript.user("again", &["k2".into()]).unwrap();

        let project = config_dir.join("projects/-some-room");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&project), 0o700);
        assert_eq!(mode(&project.join(file_name(session))), 0o600);

        fs::rename(&project, config_dir.join("projects/-elsewhere")).unwrap();
        let memory = Transcript::find(Some(config_dir), session).unwrap().unwrap().memory;
        assert_eq!((memory.messages, memory.name.as_deref()), (2, Some("Ann")));
        assert_eq!(memory.usage, Usage { input: 3, output: 2 });
        assert_eq!(memory.system_prompt.as_deref(), Some("first prompt"));
        assert!(memory.knows("k1") && !memory.knows("k2"), "only what was answered is known");
    }

    #[test]
    fn a_line_cut_by_a_crash_costs_only_itself() {
        let config_dir = tempfile::tempdir().unwrap();
        let session = Uuid::new_v4();
        let mut transcript = Transcript::new(Some(config_dir.path()), Path::new("/w"), session);
        transcript.user("one", &[]).unwrap();
        let file = transcript.file.clone().unwrap();
        let mut cut = OpenOptions::new().append(true).open(file).unwrap();
        cut.write_all(b"{\"type\":\"us\n").unwrap();
        transcript.user("two", &[]).unwrap();
        assert_eq!(Transcript::find(Some(config_dir.path()), session).unwrap().unwrap().memory.messages, 2);
    }

    #[test]
    fn an_unknown_session_is_none_and_an_unwritable_folder_is_an_error_that_names_it() {
        let config_dir = tempfile::NamedTempFile::new().unwrap();
        assert!(Transcript::find(Some(config_dir.path()), Uuid::new_v4()).unwrap().is_none());
        let mut transcript = Transcript::new(Some(config_dir.path()), Path::new("/w"), Uuid::new_v4());
        let error = transcript.user("one", &[]).unwrap_err().to_string();
        assert!(error.contains(&config_dir.path().display().to_string()), "{error}");
    }
}
