//! A plugin that does what it is told in the worst way: the message is the misdeed.

use std::{hint::black_box, time::Duration};

use hearth_plugin::{campfire, clock, http, kv, prelude::*, schedule};

struct Hostile;

impl Bot for Hostile {
    type Settings = NoSettings;
    const WANTS: &'static [Want] = &[want::http("to go where it should not").optional()];

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
            // Mentions and all: it calls whoever was called, itself too.
            _ if event.message.text.ends_with("quote me") => {
                Ok(reply(html(event.message.html.unwrap_or_default())))
            }
            "refuse" => Err("told to refuse; secret-looking-cause".into()),
            "many" => Ok(reply(vec![text("x"); 33])),
            "huge" => Ok(reply(text("x".repeat(300 << 10)))),
            "huger" => Ok(reply(text("x".repeat(100 << 20)))),
            "nothing" => Ok(ask(Prompt::new(" "))),
            "grab" => Ok(reply(text(grab().join("; ")))),
            "well" => Ok(reply(text("well behaved"))),
            other if other.starts_with("http") => Ok(reply(text(fetch(other)))),
            _ => Ok(ask(Prompt::new(event.message.text))),
        }
    }

    fn format_reply(event: Event, outcome: Outcome, _settings: NoSettings) -> Result<Vec<Part>> {
        assert_ne!(event.message.text, "trap later", "told to");
        Ok(format_plainly(outcome))
    }
}

/// What comes of asking for everything, of which it was granted nothing.
fn grab() -> Vec<String> {
    let denied = |what: &str, denied: bool| format!("{what}: {}", if denied { "denied" } else { "granted" });
    vec![
        denied("kv", matches!(kv::bot().get::<u32>("key"), Err(kv::Error::Denied(_)))),
        denied("campfire", matches!(campfire::newest(1), Err(campfire::Error::Denied(_)))),
        denied("schedule", matches!(schedule::list(), Err(schedule::Error::Denied(_)))),
        denied("secret", !http::has_secret("example.com", "authorization")),
        denied("clock", clock::now() == clock::now()),
    ]
}

/// What comes of asking for this URL. Of a server that drips nobody waits for the end.
fn fetch(url: &str) -> String {
    let patience = if url.ends_with("/drip") { 500 } else { 20_000 };
    match http::get(url).timeout(Duration::from_millis(patience)).send() {
        Ok(response) => format!("reached: {}", response.text()),
        Err(http::Error::Failed { kind, sent, message }) => format!("{kind:?}, sent {sent:?}: {message}"),
        Err(other) => other.to_string(),
    }
}

#[expect(unconditional_recursion, reason = "that is the misdeed")]
fn recurse(depth: u64) -> u64 {
    black_box(recurse(depth + 1)) + depth
}

hearth_plugin::bot!(Hostile);
