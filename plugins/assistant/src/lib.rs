//! A colleague in the chat: hands what people say to the agent, with who said it and where, and posts the answer.

mod prompt;

use hearth_plugin::prelude::*;

/// More than this is a document, not a message; it leaves room for the first line below the host's 256 KiB.
const LONGEST_MESSAGE: usize = 250 * 1024;

/// What the operator can set for a bot.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    persona: Option<String>,
    instructions: Option<String>,
}

impl BotSettings for Settings {
    const SCHEMA: Option<&'static str> = Some(include_str!("settings.schema.json"));
}

struct Assistant;

impl Bot for Assistant {
    type Settings = Settings;

    fn on_message(event: Event, settings: Settings) -> Result<Decision> {
        if event.message.text.is_empty() {
            return Ok(reply(text("Yes? Ask me something, in the same message as the mention.")));
        }
        if event.message.text.len() > LONGEST_MESSAGE {
            return Ok(reply(text("That is too long for me. Can you send me the part that matters?")));
        }
        let mut prompt = Prompt::new(prompt::message(&event));
        prompt.system_prompt = prompt::system(settings.persona.as_deref(), settings.instructions.as_deref());
        Ok(ask(prompt))
    }

    fn format_reply(_event: Event, outcome: Outcome, _settings: Settings) -> Result<Vec<Part>> {
        let parts = format_plainly(outcome);
        Ok(if parts.is_empty() { vec![text("I have nothing to say to that.")] } else { parts })
    }
}

hearth_plugin::bot!(Assistant);

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> testing::Host<Assistant> {
        testing::Host::new()
    }

    fn asked(decision: Decision) -> Prompt {
        match decision {
            Decision::Ask(prompt) => prompt,
            other => panic!("the agent is not asked: {other:?}"),
        }
    }

    #[test]
    fn the_agent_is_asked_with_the_speaker_and_the_room_in_front() {
        let prompt = asked(host().on_message(testing::event("How are you?\nAnd your cat?")).unwrap());
        assert_eq!(
            prompt.text,
            "\"Ann\" (user 1) in the room \"All Talk\" writes:\n\nHow are you?\nAnd your cat?"
        );
    }

    #[test]
    fn without_settings_the_system_prompt_of_the_deployment_stays() {
        assert_eq!(asked(host().on_message(testing::event("Hi")).unwrap()).system_prompt, None);
    }

    #[test]
    fn persona_and_instructions_make_the_system_prompt() {
        let mut host = testing::Host::<Assistant>::with_settings(
            r#"{"persona": "You are a pirate.", "instructions": "Answer in rhymes."}"#,
        );
        let system_prompt = asked(host.on_message(testing::event("Hi")).unwrap()).system_prompt.unwrap();
        assert!(system_prompt.starts_with("You are a pirate.\n\nAnswer in rhymes.\n\n"), "{system_prompt}");
    }

    #[test]
    fn a_mere_mention_is_answered_without_the_agent() {
        assert!(matches!(host().on_message(testing::event("")).unwrap(), Decision::Reply(_)));
    }

    #[test]
    fn a_message_that_no_prompt_can_hold_is_refused_in_the_room() {
        let longest = testing::event(&"a".repeat(LONGEST_MESSAGE));
        assert!(asked(host().on_message(longest).unwrap()).text.len() < 256 * 1024);
        let longer = testing::event(&"a".repeat(LONGEST_MESSAGE + 1));
        assert!(matches!(host().on_message(longer).unwrap(), Decision::Reply(_)));
    }

    #[test]
    fn an_answer_is_posted_as_markdown() {
        let parts = host().format_reply(testing::event("Hi"), testing::completed("**Hello**, Ann.")).unwrap();
        assert_eq!(parts, [markdown("**Hello**, Ann.")]);
    }

    #[test]
    fn an_empty_answer_is_not_silence() {
        let parts = host().format_reply(testing::event("Hi"), testing::completed(" \n")).unwrap();
        assert_eq!(parts, [text("I have nothing to say to that.")]);
    }

    #[test]
    fn a_failure_is_told_in_the_hosts_words() {
        let outcome =
            testing::failed(FailureKind::TurnLimit, "I ran out of turns; say “continue” (k3v9x2qa).");
        let parts = host().format_reply(testing::event("Hi"), outcome).unwrap();
        assert_eq!(parts, [text("I ran out of turns; say “continue” (k3v9x2qa).")]);
    }

    #[test]
    fn the_schema_knows_exactly_the_settings_of_the_type() {
        let schema: serde_json::Value = serde_json::from_str(Settings::SCHEMA.unwrap()).unwrap();
        let settings: serde_json::Map<_, _> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| (name.clone(), serde_json::Value::from("set")))
            .collect();
        let Settings { persona, instructions } =
            serde_json::from_value(serde_json::Value::Object(settings)).unwrap();
        assert_eq!((persona.as_deref(), instructions.as_deref()), (Some("set"), Some("set")));
        assert_eq!(schema["additionalProperties"], false);
    }
}
