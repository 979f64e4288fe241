//! The work whose cost is guarded (`tests/bench/baseline.toml`): what happens once a message, or once a line.

use std::hint::black_box;

use hearth::{
    agent::framer::{Framer, LINE_LIMIT},
    campfire,
};
use serde_json::json;

/// How much of a pipe is read at once.
const CHUNK: usize = 8 << 10;

/// A piece of work, with all it needs.
pub struct Work {
    /// What it is called in the baseline.
    pub name: &'static str,
    run: Box<dyn FnMut()>,
}

impl Work {
    /// Does it once.
    pub fn run(&mut self) {
        (self.run)();
    }
}

/// All of them. Each has been done before: what is made once is not counted.
pub fn all() -> Vec<Work> {
    let webhook = webhook();
    let output = output();
    let mut works = vec![
        Work { name: "webhook-parse", run: Box::new(move || parse(&webhook)) },
        Work { name: "stream-framer", run: Box::new(move || frame(&output)) },
    ];
    for work in &mut works {
        work.run();
    }
    works
}

/// A message with a mention, as Campfire sends it.
fn webhook() -> Vec<u8> {
    let mention = "<action-text-attachment sgid=\"eyJfcmFpbHMiOnsi\" content-type=\"application/vnd.campfire.mention\" \
                   content=\"&lt;span&gt;Helper&lt;/span&gt;\"></action-text-attachment>";
    let text = "which of our lakes is the deepest, and how deep is it? ".repeat(4);
    json!({
        "user": { "id": 1, "name": "Ann Admin" },
        "room": { "id": 7, "name": "All Talk", "path": "/rooms/7/2-1muC7xQRVUXg/messages" },
        "message": {
            "id": 42,
            "body": { "html": format!("<div>{mention} {text}</div>"), "plain": text },
            "path": "/rooms/7/@42",
        },
    })
    .to_string()
    .into_bytes()
}

fn parse(webhook: &[u8]) {
    black_box(campfire::parse(black_box(webhook)).expect("it is a webhook"));
}

/// A turn of the CLI: lines of some hundred bytes, and a long one.
fn output() -> Vec<u8> {
    let delta = json!({ "type": "stream_event", "event": { "type": "content_block_delta", "text": "x".repeat(200) } });
    let result = json!({ "type": "result", "result": "y".repeat(40_000) });
    let mut output = format!("{delta}\n").repeat(100);
    output.push_str(&result.to_string());
    output.push('\n');
    output.into_bytes()
}

fn frame(output: &[u8]) {
    let mut framer = Framer::new(LINE_LIMIT);
    let mut lines = 0;
    for mut chunk in output.chunks(CHUNK) {
        while let Some(line) = framer.next_line(&mut chunk) {
            black_box(line);
            lines += 1;
        }
    }
    assert_eq!(lines, 101, "every line comes out");
}
