//! A plugin that does what it is told in the worst way: the message is the misdeed.

use std::hint::black_box;

use hearth_plugin::prelude::*;

struct Hostile;

impl Bot for Hostile {
    type Settings = NoSettings;

    fn on_message(event: Event, _settings: NoSettings) -> Result<Decision> {
        match event.message.text.as_str() {
            "trap" => panic!("told to"),
            "loop" => loop {
                black_box(());
            },
            "recurse" => Ok(reply(text(recurse(1).to_string()))),
            "memory" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            "log" => {
                for line in 0..500 {
                    log::info(format!("line {line}"));
                }
                Ok(reply(text("logged")))
            }
            "long line" => {
                log::info("x".repeat(8 << 20));
                Ok(reply(text("logged")))
            }
            "host calls" => {
                for _ in 0..1_000_000 {
                    log::debug("again");
                }
                Ok(reply(text("called")))
            }
            "refuse" => Err("told to refuse; secret-looking-cause".into()),
            "many" => Ok(reply(vec![text("x"); 33])),
            "huge" => Ok(reply(text("x".repeat(300 << 10)))),
            "nothing" => Ok(ask(Prompt::new(" "))),
            "well" => Ok(reply(text("well behaved"))),
            _ => Ok(ask(Prompt::new(event.message.text))),
        }
    }

    fn format_reply(event: Event, outcome: Outcome, _settings: NoSettings) -> Result<Vec<Part>> {
        assert_ne!(event.message.text, "trap later", "told to");
        Ok(format_plainly(outcome))
    }
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(depth + 1)) + depth
}

hearth_plugin::bot!(Hostile);
