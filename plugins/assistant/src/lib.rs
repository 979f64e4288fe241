//! A colleague in the chat: hands what people say to the agent, with who said it and where, and posts the answer. The agent
//! can search the room's history and keep notes, if the operator grants `campfire` and `kv`.

mod history;
mod notes;
mod prompt;
mod words;

use hearth_plugin::prelude::*;
use history::SearchRoomHistory;
use notes::{Recall, Remember};

/// More than this is a document, not a message; it leaves room for the first line below the host's 256 KiB.
const LONGEST_MESSAGE: usize = 250 * 1024;

/// What the operator can set for a bot.
#[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Settings {
    /// Who the bot is, for the system prompt. Without it and `instructions`, the system prompt of bots.toml is used.
    #[schemars(length(min = 1, max = 8192))]
    persona: Option<String>,
    /// What else the system prompt is to say, after the persona.
    #[schemars(length(min = 1, max = 8192))]
    instructions: Option<String>,
}

struct Assistant;

impl Bot for Assistant {
    type Settings = Settings;

    const WANTS: &'static [Want] = &[
        want::campfire("to search what was said in the room").optional(),
        want::kv("to keep notes for a room").optional(),
    ];

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

impl Toolbox for Assistant {
    const TOOLS: &'static [AnyTool] = tools![SearchRoomHistory, Remember, Recall];
}

hearth_plugin::bot!(Assistant: tools);

#[cfg(test)]
mod tests {
    use hearth_plugin::testing::Harness;

    use super::*;

    fn harness() -> Harness<Assistant> {
        Harness::new()
    }

    fn asked(decision: Decision) -> Prompt {
        match decision {
            Decision::Ask(prompt) => prompt,
            other => panic!("the agent is not asked: {other:?}"),
        }
    }

    #[test]
    fn the_agent_is_asked_with_the_speaker_and_the_room_in_front() {
        let prompt = asked(harness().message("How are you?\nAnd your cat?").unwrap());
        assert_eq!(
            prompt.text,
            "\"Ann\" (user 1) in the room \"All Talk\" writes:\n\nHow are you?\nAnd your cat?"
        );
    }

    #[test]
    fn without_settings_the_system_prompt_of_the_deployment_stays() {
        assert_eq!(asked(harness().message("Hi").unwrap()).system_prompt, None);
    }

    #[test]
    fn persona_and_instructions_make_the_system_prompt() {
        let mut harness = harness()
            .settings(json!({ "persona": "You are a pirate.", "instructions": "Answer in rhymes." }));
        let system_prompt = asked(harness.message("Hi").unwrap()).system_prompt.unwrap();
        assert!(system_prompt.starts_with("You are a pirate.\n\nAnswer in rhymes.\n\n"), "{system_prompt}");
    }

    #[test]
    fn a_mere_mention_is_answered_without_the_agent() {
        assert!(matches!(harness().message("").unwrap(), Decision::Reply(_)));
    }

    #[test]
    fn a_message_that_no_prompt_can_hold_is_refused_in_the_room() {
        let longest = testing::event(&"a".repeat(LONGEST_MESSAGE));
        assert!(asked(harness().message(longest).unwrap()).text.len() < 256 * 1024);
        let longer = testing::event(&"a".repeat(LONGEST_MESSAGE + 1));
        assert!(matches!(harness().message(longer).unwrap(), Decision::Reply(_)));
    }

    #[test]
    fn an_answer_is_posted_as_markdown() {
        let mut harness = harness();
        harness.message("Hi").unwrap();
        let parts = harness.answers("**Hello**, Ann.").unwrap();
        assert_eq!(parts, [markdown("**Hello**, Ann.")]);
    }

    #[test]
    fn an_empty_answer_is_not_silence() {
        let mut harness = harness();
        harness.message("Hi").unwrap();
        let parts = harness.answers(" \n").unwrap();
        assert_eq!(parts, [text("I have nothing to say to that.")]);
    }

    #[test]
    fn a_failure_is_told_in_the_hosts_words() {
        let mut harness = harness();
        harness.message("Hi").unwrap();
        let parts =
            harness.fails(FailureKind::TurnLimit, "I ran out of turns; say “continue” (k3v9x2qa).").unwrap();
        assert_eq!(parts, [text("I ran out of turns; say “continue” (k3v9x2qa).")]);
    }

    #[test]
    fn the_model_is_told_what_the_tools_are_for_and_which_of_them_change_nothing() {
        let tools = harness().tools();
        let told: Vec<_> = tools.iter().map(|tool| (tool.name.as_str(), tool.read_only)).collect();
        assert_eq!(told, [("search_room_history", true), ("remember", false), ("recall", true)]);
        let remember = &tools[1];
        assert!(
            remember.description.starts_with("Keeps a note for this chat room"),
            "{}",
            remember.description
        );
        assert_eq!(remember.input_schema["required"], json!(["subject"]));
        assert_eq!(remember.input_schema["additionalProperties"], false);
        let subject = remember.input_schema["properties"]["subject"]["description"].as_str().unwrap();
        assert!(subject.starts_with("What the note is about"), "{subject}");
    }

    #[test]
    fn a_bot_that_grants_nothing_still_answers() {
        let mut harness = harness().grants(&[]);
        assert_eq!(asked(harness.message("Hi").unwrap()).system_prompt, None);
        assert_eq!(harness.answers("Hello.").unwrap(), [markdown("Hello.")]);
    }

    #[test]
    fn the_operators_table_is_held_against_a_schema_that_explains_the_settings() {
        let schema = harness().describe().settings_schema.unwrap();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        let persona = &schema["properties"]["persona"];
        assert!(persona["description"].as_str().unwrap().starts_with("Who the bot is"), "{persona}");
        assert_eq!((&persona["minLength"], &persona["maxLength"]), (&json!(1), &json!(8192)));
    }
}
