//! A plugin with tools of every kind: some that work, some that say what is wrong, some that break. The agent is asked what
//! the message says.
//!
//! `settings.tools` replaces the list: a table of `name`, `description` and `input-schema` each, all of them texts.
//! `settings.listing` makes the listing itself misbehave: `trap` or `loop`.
//!
//! A message that begins with `show <what>` says what is shown while the agent works on it.
//!
//! A message with `which build` is answered with the name of the build that did each thing about it: that decided, that was
//! called as the tool `build`, that formatted. Another build is made by writing another name over [`BUILD`] in the component.

use std::{borrow::Cow, hint::black_box};

use hearth_plugin::{
    Step,
    bindings::{
        hearth::bot::settings,
        tools::exports::hearth::bot::toolbox::{Guest, Tool, ToolError, ToolErrorKind, ToolOutput},
    },
    prelude::*,
};
use serde_json::{Value, json};

struct Toolbox;

/// What this build is called.
static BUILD: [u8; 22] = *b"build-0000000000000000";

/// What asks for the build.
const WHICH: &str = "which build";

/// Whatever the test wants; read by the listing.
#[derive(serde::Deserialize)]
struct Anything {}

impl BotSettings for Anything {
    fn schema() -> Option<Cow<'static, str>> {
        None
    }
}

impl Bot for Toolbox {
    type Settings = Anything;

    fn on_message(event: Event, _settings: Anything) -> Result<Decision> {
        let text = event.message.text;
        let decided = json!({ "decided": build() });
        Ok(ask(Prompt::new(if text.contains(WHICH) { format!("{text} {decided}") } else { text })))
    }

    fn format_reply(event: Event, outcome: Outcome, _settings: Anything) -> Result<Vec<Part>> {
        Ok(match outcome {
            Outcome::Completed(answer) if event.message.text.contains(WHICH) => {
                markdown(format!("{} formatted by {}", answer.text, build())).into()
            }
            outcome => format_plainly(outcome),
        })
    }
}

impl Presenter for Toolbox {
    fn show(cause: Cause, progress: Progress, _settings: Anything) -> Result<Display> {
        let text = cause.message().map(|message| message.text.as_str()).unwrap_or_default();
        Ok(match text.strip_prefix("show ").and_then(|rest| rest.split(' ').next()) {
            Some("markdown") => {
                let step = |step: &Step| format!("{}({}) ended: {}", step.tool, step.input, step.ended);
                let steps = progress.steps.iter().map(step).collect::<Vec<_>>().join(", ");
                Display::Markdown(format!("after {} ms: {} [{steps}]", progress.elapsed, progress.text))
            }
            Some("unchanged") => Display::Unchanged,
            Some("huge") => Display::Markdown("x".repeat(300 << 10)),
            Some("trap") => panic!("told to"),
            Some("loop") => forever(),
            Some("error") => return Err("told to".into()),
            _ => Display::Standard,
        })
    }
}

impl Guest for Toolbox {
    fn list_tools() -> Vec<Tool> {
        let settings: Value = serde_json::from_str(&settings::get()).expect("settings are JSON");
        match settings["listing"].as_str() {
            Some("trap") => panic!("told to"),
            Some("loop") => forever(),
            _ => {}
        }
        match settings["tools"].as_array() {
            Some(tools) => tools.iter().map(as_set).collect(),
            None => standard(),
        }
    }

    fn call_tool(cause: Cause, name: String, input: String) -> Result<ToolOutput, ToolError> {
        let input: Value = serde_json::from_str(&input).expect("the host hands over JSON");
        let number = |name: &str| input[name].as_i64().expect("the host has checked the input");
        let content = match name.as_str() {
            "add" => json!({ "sum": number("a") + number("b") }).to_string(),
            "fill" => "word ".repeat(usize::try_from(number("kib")).expect("it is positive") * 1024 / 5),
            "context" => context(&cause).to_string(),
            "build" => json!({
                "about": cause.message().map(|message| &message.text),
                "decided": input["decided"],
                "called": build(),
            })
            .to_string(),
            "refuse" => return Err(refusal(input["kind"].as_str().unwrap_or_default())),
            "trap" => panic!("told to; secret-looking-cause"),
            "loop" => forever(),
            "hoard" => hoard(),
            _ => return Err(refusal("not-found")),
        };
        Ok(ToolOutput { content, attributes: Vec::new() })
    }
}

/// As it stands in the component, not as it was compiled.
fn build() -> String {
    String::from_utf8_lossy(black_box(&BUILD)).into_owned()
}

fn standard() -> Vec<Tool> {
    let numbers = |names: &[&str]| {
        let properties: serde_json::Map<_, _> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({ "type": "integer", "minimum": 0 })))
            .collect();
        json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
    };
    let decided = json!({ "type": "object", "properties": { "decided": { "type": "string" } } });
    [
        ("add", "Adds two whole numbers.", true, numbers(&["a", "b"])),
        ("fill", "Answers with so many KiB of words.", true, numbers(&["kib"])),
        ("context", "Answers what the turn is about, and the settings.", true, numbers(&[])),
        ("build", "Answers which build decided, as it was told, and which was called.", true, decided),
        ("refuse", "Answers with an error of the given kind.", true, json!({ "type": "object" })),
        ("trap", "Breaks off.", false, numbers(&[])),
        ("loop", "Never ends.", false, numbers(&[])),
        ("hoard", "Takes all the memory there is.", false, numbers(&[])),
    ]
    .into_iter()
    .map(|(name, description, read_only, schema)| Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: schema.to_string(),
        read_only,
        attributes: Vec::new(),
    })
    .collect()
}

fn as_set(tool: &Value) -> Tool {
    let text = |name: &str| tool[name].as_str().unwrap_or_default().to_owned();
    Tool {
        name: text("name"),
        description: text("description"),
        input_schema: text("input-schema"),
        read_only: false,
        attributes: Vec::new(),
    }
}

fn context(cause: &Cause) -> Value {
    let settings: Value = serde_json::from_str(&settings::get()).unwrap_or_default();
    match cause {
        Cause::Message(event) => json!({
            "bot": event.bot,
            "room": event.room.id,
            "user": event.user.name,
            "text": event.message.text,
            "settings": settings,
        }),
        Cause::Timer(timer) => json!({ "timer": timer.name }),
        Cause::Occurrence(occurrence) => json!({ "occurrence": occurrence.kind }),
    }
}

fn refusal(kind: &str) -> ToolError {
    let kind = match kind {
        "invalid-input" => ToolErrorKind::InvalidInput,
        "not-found" => ToolErrorKind::NotFound,
        "denied" => ToolErrorKind::Denied,
        "unavailable" => ToolErrorKind::Unavailable,
        _ => ToolErrorKind::Failed,
    };
    ToolError { kind, message: "it was told to refuse; try `add`".to_owned(), attributes: Vec::new() }
}

fn forever() -> ! {
    loop {
        black_box(());
    }
}

fn hoard() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

hearth_plugin::bot!(Toolbox: progress);

#[cfg(target_arch = "wasm32")]
const _: () = {
    hearth_plugin::bindings::tools::export_tools!(Toolbox with_types_in hearth_plugin::bindings::tools);
};
