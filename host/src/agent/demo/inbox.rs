//! What arrives on stdin, as a bounded queue of what it means.

use std::{
    io::{BufRead, Read as _},
    sync::mpsc::{self, Receiver},
    thread,
};

use serde_json::Value;

use super::End;

/// The longest line of input, in bytes.
const LONGEST_INPUT: u64 = 64 * 1024 * 1024;
/// Lines that were read and not yet taken.
const WAITING: usize = 16;

/// A line of stdin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Text, and the sender's key of it if it has one.
    User(String, Option<String>),
    /// Request id and subtype.
    Control(String, String),
    /// The answer to a request that was put to a server in the host: its id, and the server's message unless it was refused.
    Response(String, Option<Value>),
    /// Not JSON; so many bytes of it.
    Malformed(usize),
    /// Nothing that is acted upon.
    Other,
}

impl Incoming {
    pub(super) fn parse(line: &[u8]) -> Self {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Self::Other;
        }
        let Ok(line_value) = serde_json::from_slice::<Value>(line) else {
            return Self::Malformed(line.len());
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match line_value["type"].as_str() {
            Some("user") => Self::User(content(&line_value["message"]["content"]), text(&line_value["uuid"])),
            Some("control_request") => Self::Control(
                text(&line_value["request_id"]).unwrap_or_default(),
                text(&line_value["request"]["subtype"]).unwrap_or_default(),
            ),
            Some("control_response") => Self::Response(
                text(&line_value["response"]["request_id"]).unwrap_or_default(),
                line_value["response"]["response"].get("mcp_response").cloned(),
            ),
            _ => Self::Other,
        }
    }
}

/// A message's text: a string, or a list of blocks.
fn content(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let blocks = content.as_array().into_iter().flatten();
    blocks.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// Reads line by line in a thread of its own, so that an interrupt is heard while a turn runs.
pub(super) fn lines(mut stdin: impl BufRead + Send + 'static) -> Result<Receiver<Incoming>, End> {
    let (sender, inbox) = mpsc::sync_channel(WAITING);
    let read = move || {
        loop {
            let mut line = Vec::new();
            match stdin.by_ref().take(LONGEST_INPUT).read_until(b'\n', &mut line) {
                Ok(length) if length > 0 => {}
                _ => return,
            }
            if sender.send(Incoming::parse(&line)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("demo-agent-stdin".into()).spawn(read)?;
    Ok(inbox)
}

/// One message: the prompt among the arguments, or all of stdin.
pub(super) fn text(stdin: impl BufRead, prompt: Option<String>) -> Result<Receiver<Incoming>, End> {
    let text = prompt.map_or_else(
        || {
            let mut text = Vec::new();
            stdin.take(LONGEST_INPUT).read_to_end(&mut text)?;
            Ok::<_, End>(String::from_utf8_lossy(&text).into_owned())
        },
        Ok,
    )?;
    let (sender, inbox) = mpsc::sync_channel(1);
    // There is room for one, and its receiver is here.
    sender.send(Incoming::User(text, None)).map_err(|_| End::Exit(1))?;
    Ok(inbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_text_or_blocks_and_may_carry_a_key() {
        let text = Incoming::parse(br#"{"type":"user","message":{"content":"hello"},"uuid":"k"}"#);
        assert_eq!(text, Incoming::User("hello".into(), Some("k".into())));
        let blocks = br#"{"type":"user","message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}"#;
        assert_eq!(Incoming::parse(blocks), Incoming::User("a\nb".into(), None));
    }

    #[test]
    fn only_what_is_no_json_is_malformed() {
        assert_eq!(Incoming::parse(b"{nope\n"), Incoming::Malformed(5));
        for line in [&b"\n"[..], b"[1]", b"\"s\"", b"{\"type\":\"keep_alive\"}", b"{}"] {
            assert_eq!(Incoming::parse(line), Incoming::Other);
        }
    }
}
