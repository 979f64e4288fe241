//! What a plugin can be called for: its settings, its tools, times, other events, what is shown meanwhile.

use hearth_plugin::{Capability, log::Level, prelude::*, schedule, testing::Harness};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// Who keeps the keys.
    keeper: String,
    #[serde(default)]
    tools_off: bool,
}

struct Porter;

impl Bot for Porter {
    type Settings = Settings;

    const WANTS: &'static [Want] =
        &[want::schedule("to lock up at night"), want::kv("to know who is in").optional()];

    fn on_message(event: Event, _: Settings) -> Result<Decision> {
        Ok(ask(event.message.text))
    }
}

/// Opens a door and answers how.
#[derive(Deserialize, JsonSchema)]
struct Open {
    /// Which one.
    door: Door,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Door {
    Front,
    Back,
    Garden,
}

#[derive(Serialize)]
struct Opened {
    by: String,
    room: u64,
}

impl Tool for Open {
    const NAME: &'static str = "open";
    type Output = Opened;

    fn call(self, cause: &Cause) -> Result<Opened, ToolError> {
        let Settings { keeper, .. } = hearth_plugin::settings()?;
        match self.door {
            Door::Front => Ok(Opened { by: keeper, room: cause.room().id }),
            Door::Back => {
                schedule::cancel("")?;
                Err(ToolError::denied("The back door stays shut."))
            }
            Door::Garden => panic!("there is no garden"),
        }
    }
}

/// Says who keeps the keys.
#[derive(Deserialize, JsonSchema)]
struct Keeper {}

impl Tool for Keeper {
    const NAME: &'static str = "keeper";
    const READ_ONLY: bool = true;
    type Output = String;

    fn call(self, _: &Cause) -> Result<String, ToolError> {
        Ok(hearth_plugin::settings::<Settings>()?.keeper)
    }
}

impl Toolbox for Porter {
    const TOOLS: &'static [AnyTool] = tools![Open, Keeper];

    fn offers(tool: &str, settings: &Settings) -> bool {
        !settings.tools_off || tool == "keeper"
    }
}

impl Presenter for Porter {
    fn show(cause: Cause, progress: Progress, _: Settings) -> Result<Display> {
        match progress.text.as_str() {
            "" => Ok(Display::Unchanged),
            "lost" => Err("the keys are lost")?,
            text => {
                let name = cause.user().map_or("No one", |user| user.name.as_str());
                Ok(Display::Markdown(format!("{name} is told: {text}")))
            }
        }
    }
}

impl Timers for Porter {
    fn on_timer(timer: Timer, settings: Settings) -> Result<Decision> {
        match timer.origin {
            TimerOrigin::Operator => Ok(ask(format!("{}: lock {}", settings.keeper, timer.payload))),
            TimerOrigin::Plugin => Ok(ignore()),
        }
    }

    fn format_timer_reply(timer: Timer, outcome: Outcome, _: Settings) -> Result<Vec<Part>> {
        let mut parts = format_plainly(outcome);
        parts.push(text(timer.name));
        Ok(parts)
    }
}

impl Occurrences for Porter {
    fn on_occurrence(occurrence: Occurrence, _: Settings) -> Result<Decision> {
        match occurrence.kind.as_str() {
            "user_joined" => Ok(ask("Welcome them.")),
            _ => Ok(ignore()),
        }
    }
}

hearth_plugin::bot!(Porter: tools, progress, scheduled, events);

fn harness() -> Harness<Porter> {
    Harness::new().settings(json!({ "keeper": "Bea" }))
}

#[test]
fn a_bot_is_described_with_its_crate_its_wants_and_the_schema_of_its_settings() {
    let described = harness().describe();
    assert_eq!(
        (described.name.as_str(), described.version.as_str()),
        ("hearth-plugin", env!("CARGO_PKG_VERSION"))
    );
    let wants: Vec<_> =
        described.wants.iter().map(|want| (want.capability, want.required, want.purpose.as_str())).collect();
    assert_eq!(
        wants,
        [(Capability::Schedule, true, "to lock up at night"), (Capability::Kv, false, "to know who is in")]
    );
    let schema: serde_json::Value = serde_json::from_str(&described.settings_schema.unwrap()).unwrap();
    assert_eq!(
        schema,
        json!({
            "title": "Settings",
            "type": "object",
            "properties": {
                "keeper": { "type": "string", "description": "Who keeps the keys." },
                "tools-off": { "type": "boolean", "default": false },
            },
            "additionalProperties": false,
            "required": ["keeper"],
        })
    );
}

#[test]
fn settings_that_do_not_fit_are_an_error_that_names_the_place() {
    let error = Harness::<Porter>::new().message("hello").unwrap_err();
    assert!(error.message().contains("missing field `keeper`"), "{error:?}");
    assert!(error.message().contains("bots.toml"), "{error:?}");
}

#[test]
#[should_panic(expected = "the bot can't do without `schedule`")]
fn a_bot_without_what_it_needs_is_not_loaded() {
    let _ = harness().grants(&[Capability::Kv]);
}

#[test]
fn a_tool_is_described_by_its_doc_comments_in_one_piece() {
    let tools = harness().tools();
    assert_eq!(tools[0].description, "Opens a door and answers how.");
    assert_eq!((tools[0].read_only, tools[1].read_only), (false, true));
    assert_eq!(
        tools[0].input_schema,
        json!({
            "type": "object",
            "properties": {
                "door": { "description": "Which one.", "type": "string", "enum": ["front", "back", "garden"] },
            },
            "required": ["door"],
        })
    );
}

#[test]
fn a_tool_answers_a_string_as_it_is_and_anything_else_as_json() {
    let mut harness = harness();
    assert_eq!(harness.tool("keeper", json!({})), Ok(json!("Bea")));
    let mut elsewhere = testing::event("Open, please.");
    elsewhere.room.id = 8;
    harness.message(elsewhere).unwrap();
    assert_eq!(harness.tool("open", json!({ "door": "front" })), Ok(json!({ "by": "Bea", "room": 8 })));
}

#[test]
fn a_tools_error_keeps_its_kind_and_so_does_that_of_an_import() {
    let error = harness().tool("open", json!({ "door": "back" })).unwrap_err();
    assert_eq!(error, ToolError::denied("The back door stays shut."));
    let error = harness().tool("open", json!({ "door": "barn" })).unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::InvalidInput);
    assert!(error.message.contains("unknown variant `barn`"), "{}", error.message);
}

#[test]
#[should_panic(expected = "there is no garden")]
fn a_panic_in_a_tool_reaches_the_test() {
    let _ = harness().tool("open", json!({ "door": "garden" }));
}

#[test]
fn tools_can_depend_on_the_settings() {
    let mut harness = harness().settings(json!({ "keeper": "Bea", "tools-off": true }));
    let names: Vec<_> = harness.tools().into_iter().map(|tool| tool.name).collect();
    assert_eq!(names, ["keeper"]);
}

#[test]
fn what_is_shown_meanwhile_is_the_bots_and_an_error_leaves_it_to_the_host() {
    let mut harness = harness();
    harness.message("Who has the keys?").unwrap();
    assert_eq!(harness.progress(testing::progress("")), Display::Unchanged);
    assert_eq!(harness.progress(testing::progress("Bea.")), Display::Markdown("Ann is told: Bea.".into()));
    assert_eq!(harness.progress(testing::progress("lost")), Display::Standard);
    assert_eq!(harness.lines(), [(Level::Error, "the keys are lost".to_owned())]);
    assert_eq!(harness.answers("Bea has."), Ok(vec![markdown("Bea has.")]));
}

#[test]
fn a_time_set_by_the_operator_can_ask_the_agent() {
    let mut harness = harness();
    harness.timer(testing::timer("night", "the gate")).unwrap();
    assert_eq!(harness.prompt().text, "Bea: lock the gate");
    assert_eq!(harness.answers("Locked."), Ok(vec![markdown("Locked."), text("night")]));
}

#[test]
fn another_event_can_ask_the_agent_and_its_answer_is_posted_plainly() {
    let mut harness = harness();
    assert_eq!(harness.occurrence(testing::occurrence("room_renamed")), Ok(ignore()));
    harness.occurrence(testing::occurrence("user_joined")).unwrap();
    assert_eq!(harness.fails(FailureKind::Budget, "No money left."), Ok(vec![text("No money left.")]));
}

#[test]
#[should_panic(expected = "the bot has asked the agent")]
fn the_agent_answers_once() {
    let mut harness = harness();
    harness.message("Hello?").unwrap();
    harness.answers("Hello.").unwrap();
    let _ = harness.answers("Hello again.");
}

#[test]
fn what_the_host_would_refuse_is_an_error_here_too() {
    let mut harness = harness();
    let error = harness.message(" ").unwrap_err();
    assert!(error.message().starts_with("the host refuses this: a prompt is not empty"), "{error:?}");
    harness.message("Tell me all.").unwrap();
    let error = harness.answers(&"a".repeat((256 << 10) + 1)).unwrap_err();
    assert_eq!(error.message(), "the host refuses this: a text has at most 256 KiB");
}

#[test]
fn unless_written_otherwise_an_empty_answer_is_silence() {
    let mut harness = harness();
    harness.message("Hello?").unwrap();
    assert_eq!(harness.answers(" \n"), Ok(vec![]));
}
