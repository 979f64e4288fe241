//! A plugin's tools: what it offers, checked once when it is loaded, and calls of them.
//!
//! - A [`Toolset`] holds only tools that a model can be offered: well named, described, with a schema that is one. A plugin
//!   with a tool that is not is not loaded.
//! - The guest sees no input that does not fit the tool's schema.
//! - Whatever a call comes to, there is something for the model to read: the output, cut where it is too long, or a
//!   [`ToolTrouble`], which tells the model what it can act on and keeps the rest for the log.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    CallError, Cause, Code, Generation, LoadError, Reach, Tool, ToolErrorKind, bounded,
    health::Kind,
    schema::{Deadline, Schema, SchemaError, Threads},
    trace::CALL_TOOL,
};
use crate::causes::with_causes;

/// How many tools a plugin may have.
const TOOLS_LIMIT: usize = 64;
/// Bytes of a tool's name.
const NAME_LIMIT: usize = 64;
/// Bytes of a tool's description.
const DESCRIPTION_LIMIT: usize = 4 << 10;
/// Bytes of a tool's schema.
const SCHEMA_LIMIT: usize = 64 << 10;
/// Bytes of an output that reach the model.
const OUTPUT_LIMIT: usize = 64 << 10;
/// Bytes kept of a tool's own message.
const MESSAGE_LIMIT: usize = 4 << 10;
/// How long the work with all of a plugin's schemas may take while it is loaded.
const COMPILING: Duration = Duration::from_secs(5);

/// A tool that can be offered.
pub struct OfferedTool {
    /// What the model calls it.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What it takes.
    pub input_schema: Arc<Map<String, Value>>,
    /// Calling it changes nothing.
    pub read_only: bool,
    schema: Schema,
}

/// Why a tool call brought no output. [`sentence`](Self::sentence) is for the model; the words of the error itself and of
/// its causes are for the log.
#[derive(Debug, thiserror::Error)]
pub enum ToolTrouble {
    /// No such tool.
    #[error("the bot has no tool {name:?}")]
    Unknown {
        /// As it was called.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The input does not fit the tool's schema; the guest did not see it.
    #[error("the input does not fit the tool's schema: {}", .0.join("; "))]
    Input(Vec<String>),
    /// The tool said so itself.
    #[error("the tool answered {}: {message}", word(*.kind))]
    Said {
        /// Which kind.
        kind: ToolErrorKind,
        /// For the model.
        message: String,
    },
    /// The tool broke off, or passed one of its bot's limits.
    #[error("the tool failed")]
    Failed(#[source] CallError),
    /// Whether the input fits could not be found out.
    #[error("the tool's input could not be checked")]
    Unchecked(#[source] SchemaError),
}

/// Asks the plugin for its tools and checks them.
pub(super) async fn offered(generation: &Generation) -> Result<Vec<OfferedTool>, LoadError> {
    let Code::V1(guest) = &generation.plugin.code;
    if !guest.has_tools() {
        return Ok(Vec::new());
    }
    let listed = generation.call("list-tools", None, async |store| guest.list_tools(store).await).await;
    let listed = listed.map_err(LoadError::ListTools)?;
    if listed.len() > TOOLS_LIMIT {
        let problem = format!("it has {} tools; a plugin may have {TOOLS_LIMIT}", listed.len());
        return Err(LoadError::Description(problem));
    }
    let deadline = Deadline::after(COMPILING);
    let mut offered = Vec::with_capacity(listed.len());
    let mut names = HashSet::new();
    for tool in listed {
        let name = bounded(&tool.name, NAME_LIMIT).into_owned();
        let checked = if names.insert(tool.name.clone()) {
            check(tool, &generation.share.threads, deadline).await
        } else {
            Err("there is another tool of that name".to_owned())
        };
        offered.push(checked.map_err(|problem| LoadError::Tool { tool: name, problem })?);
    }
    Ok(offered)
}

async fn check(tool: Tool, threads: &Threads, deadline: Deadline) -> Result<OfferedTool, String> {
    let may_stand = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if tool.name.is_empty() || tool.name.len() > NAME_LIMIT || !tool.name.chars().all(may_stand) {
        return Err(format!("a name has 1 to {NAME_LIMIT} of a-z, A-Z, 0-9, _ and -"));
    }
    if tool.description.trim().is_empty() {
        return Err("its description is empty, and that is all a model knows of it".to_owned());
    }
    if tool.description.len() > DESCRIPTION_LIMIT {
        let bytes = tool.description.len();
        return Err(format!("its description has {bytes} bytes; one may have {DESCRIPTION_LIMIT}"));
    }
    if tool.input_schema.len() > SCHEMA_LIMIT {
        let bytes = tool.input_schema.len();
        return Err(format!("its input schema has {bytes} bytes; one may have {SCHEMA_LIMIT}"));
    }
    let input_schema: Map<String, Value> = serde_json::from_str(&tool.input_schema)
        .map_err(|error| format!("its input schema is no JSON object: {error}"))?;
    if input_schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("its input schema is not of `\"type\": \"object\"`".to_owned());
    }
    let schema = Schema::compile(Value::Object(input_schema.clone()), threads, deadline).await;
    let schema = schema.map_err(|error| format!("of its input schema: {error}"))?;
    Ok(OfferedTool {
        name: tool.name,
        description: tool.description,
        input_schema: Arc::new(input_schema),
        read_only: tool.read_only,
        schema,
    })
}

impl Generation {
    /// The tools that the model can be offered.
    pub fn tools(&self) -> &[OfferedTool] {
        &self.tools
    }

    /// Calls a tool: what the model is to read of its output, at most 64 KiB and a note of what was cut off.
    pub async fn call_tool(
        &self,
        reach: &Reach,
        cause: &Cause,
        name: &str,
        input: Map<String, Value>,
    ) -> Result<String, ToolTrouble> {
        let Some(tool) = self.tools.iter().find(|tool| tool.name == name) else {
            let known = self.tools.iter().map(|tool| tool.name.clone()).collect();
            return Err(ToolTrouble::Unknown { name: bounded(name, NAME_LIMIT).into_owned(), known });
        };
        let input = Arc::new(Value::Object(input));
        // The check and the call have the bot's `call-time` together.
        let deadline = Deadline::after(self.bot.limits.call_time);
        let problems = tool.schema.problems(Arc::clone(&input), &self.share.threads, deadline).await;
        let problems = problems.map_err(ToolTrouble::Unchecked)?;
        if !problems.is_empty() {
            return Err(ToolTrouble::Input(problems));
        }
        let reach = reach.calling(CALL_TOOL, &json!({ "name": name, "input": input }));
        let Code::V1(guest) = &self.plugin.code;
        let input = input.to_string();
        let call = async |store: &mut _| guest.call_tool(store, cause, name, &input).await;
        let called = self.call_within(CALL_TOOL, deadline.left(), Some(&reach), call);
        let answer = match self.noted(Kind::Tool, called.await) {
            Ok(Ok(output)) => Ok(cut(output.content)),
            Ok(Err(error)) => {
                let message = bounded(&error.message, MESSAGE_LIMIT).into_owned();
                Err(ToolTrouble::Said { kind: error.kind, message })
            }
            Err(error) => Err(ToolTrouble::Failed(error)),
        };
        reach.called(answer.as_ref().map_err(ToolTrouble::told));
        answer
    }
}

// === impl ToolTrouble ===

impl ToolTrouble {
    /// The kind in one word, as the model and the journal know it.
    pub fn kind(&self) -> &'static str {
        word(match self {
            Self::Unknown { .. } => ToolErrorKind::NotFound,
            Self::Input(_) => ToolErrorKind::InvalidInput,
            Self::Said { kind, .. } => *kind,
            Self::Failed(_) | Self::Unchecked(_) => ToolErrorKind::Failed,
        })
    }

    /// All of it, for a trace.
    pub(crate) fn told(&self) -> Value {
        json!({ "kind": self.kind(), "message": self.sentence(), "cause": with_causes(self) })
    }

    /// What the model is told: what is wrong and what it can do. Nothing of the host's insides.
    pub fn sentence(&self) -> String {
        match self {
            Self::Unknown { known, .. } => format!("there is no such tool; there are: {}", known.join(", ")),
            Self::Input(problems) => format!("the input does not fit: {}", problems.join("; ")),
            Self::Said { message, .. } => message.clone(),
            Self::Failed(_) | Self::Unchecked(_) => {
                "the tool broke off, and whoever runs it will find the reason in the log; go on without it"
                    .to_owned()
            }
        }
    }
}

fn word(kind: ToolErrorKind) -> &'static str {
    match kind {
        ToolErrorKind::InvalidInput => "invalid-input",
        ToolErrorKind::NotFound => "not-found",
        ToolErrorKind::Denied => "denied",
        ToolErrorKind::Unavailable => "unavailable",
        ToolErrorKind::Failed => "failed",
    }
}

/// The output as far as the model gets to see it, with a note where something is missing.
fn cut(output: String) -> String {
    if output.len() <= OUTPUT_LIMIT {
        return output;
    }
    let shown = &output[..output.floor_char_boundary(OUTPUT_LIMIT)];
    let kib = |bytes: usize| bytes.div_ceil(1 << 10);
    format!("{shown}… [cut: {} KiB of {} KiB shown]", kib(OUTPUT_LIMIT), kib(output.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tool() -> Tool {
        Tool {
            name: "add".to_owned(),
            description: "Adds.".to_owned(),
            input_schema: r#"{"type": "object"}"#.to_owned(),
            read_only: true,
            attributes: Vec::new(),
        }
    }

    async fn check(tool: Tool) -> Result<OfferedTool, String> {
        let threads = Threads::part_of(&Threads::of_the_host());
        super::check(tool, &threads, Deadline::after(COMPILING)).await
    }

    #[tokio::test]
    async fn a_tool_is_refused_for_each_thing_that_is_wrong_with_it() {
        assert!(check(tool()).await.is_ok());
        let named = |name: &str| Tool { name: name.to_owned(), ..tool() };
        let with_schema = |schema: &str| Tool { input_schema: schema.to_owned(), ..tool() };
        for (wrong, problem) in [
            (named(""), "1 to 64"),
            (named("two words"), "1 to 64"),
            (named("naïve"), "1 to 64"),
            (named(&"x".repeat(65)), "1 to 64"),
            (Tool { description: " \n".to_owned(), ..tool() }, "is empty"),
            (Tool { description: "x".repeat(4097), ..tool() }, "has 4097 bytes; one may have 4096"),
            (with_schema("{"), "no JSON object"),
            (with_schema("true"), "no JSON object"),
            (with_schema("{}"), "not of `\"type\": \"object\"`"),
            (with_schema(r#"{"type": ["object"]}"#), "not of `\"type\": \"object\"`"),
            (with_schema(r#"{"type": "object", "properties": 7}"#), "no JSON Schema"),
            (with_schema(r#"{"type": "object", "$ref": "https://example.com/x"}"#), "no JSON Schema"),
            (with_schema(&format!(r#"{{"type": "object", "title": "{}"}}"#, "x".repeat(65_536))), "65536"),
        ] {
            let refused = check(wrong).await.err().unwrap_or_default();
            assert!(refused.contains(problem), "{problem:?} in {refused:?}");
        }
    }

    #[test]
    fn a_long_output_is_cut_where_it_can_be_seen() {
        assert_eq!(cut("x".repeat(OUTPUT_LIMIT)).len(), OUTPUT_LIMIT);
        let long = cut("x".repeat(200 << 10));
        assert!(long.ends_with("xx… [cut: 64 KiB of 200 KiB shown]"), "{}", &long[long.len() - 40..]);
    }

    #[test]
    fn nothing_of_a_trap_is_told_to_the_model() {
        let trouble = ToolTrouble::Failed(CallError::Trapped("unreachable in /secret/path".to_owned()));
        assert_eq!(trouble.kind(), "failed");
        assert!(!trouble.sentence().contains("unreachable"), "{}", trouble.sentence());
    }

    proptest! {
        #[test]
        fn an_output_of_any_text_is_cut_to_its_limit(text in "[aé漢🦊]{0,40}", times in 0_usize..4_000) {
            let output = text.repeat(times);
            let cut = cut(output.clone());
            prop_assert!(cut.len() <= OUTPUT_LIMIT + 64);
            prop_assert!(output.len() > OUTPUT_LIMIT || cut == output);
            let kept = cut.split('…').next().unwrap_or_default();
            prop_assert!(output.starts_with(kept));
        }
    }
}
