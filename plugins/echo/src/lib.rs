//! Says what was said to it. No agent is asked.

use hearth_plugin::prelude::*;

struct Echo;

impl Bot for Echo {
    type Settings = NoSettings;

    fn on_message(event: Event, _settings: NoSettings) -> Result<Decision> {
        let said = event.message.text;
        if said.is_empty() {
            return Ok(reply(text("Say something to me, and I will say it back.")));
        }
        Ok(reply(text(said)))
    }
}

hearth_plugin::bot!(Echo);

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(said: &str) -> Decision {
        testing::Harness::<Echo>::new().message(said).unwrap()
    }

    #[test]
    fn what_was_said_comes_back_as_it_is() {
        assert_eq!(answer("<b>1 < 2</b>\n*really*"), reply(text("<b>1 < 2</b>\n*really*")));
    }

    #[test]
    fn a_mere_mention_is_answered_with_a_hint() {
        assert_eq!(answer(""), reply(text("Say something to me, and I will say it back.")));
    }

    #[test]
    fn it_is_described_with_its_crates_name_and_takes_no_settings() {
        let mut harness = testing::Harness::<Echo>::new().settings(json!({ "volume": 11 }));
        assert_eq!(harness.describe().name, env!("CARGO_PKG_NAME"));
        let refused = harness.message("hello").unwrap_err();
        assert!(refused.message().contains("unknown field `volume`"), "{refused:?}");
    }
}
