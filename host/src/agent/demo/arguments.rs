//! The `claude` CLI's arguments, as far as a host gives them. An argument that the CLI would refuse is refused, in
//! its words.

use std::{fs, path::PathBuf};

use serde_json::Value;
use uuid::Uuid;

use super::tools::Server;

const PERMISSION_MODES: [&str; 6] = ["acceptEdits", "auto", "bypassPermissions", "manual", "dontAsk", "plan"];
const RESUME_USAGE: &str = "--resume requires a valid session ID or session title when used with --print. \
                            Usage: claude -p --resume <session-id|title>.";

/// What was asked for.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Arguments {
    pub(super) version: bool,
    pub(super) stream_input: bool,
    stream_output: bool,
    verbose: bool,
    pub(super) partial_messages: bool,
    pub(super) resume: Option<String>,
    pub(super) session_id: Option<Uuid>,
    pub(super) system_prompt: Option<String>,
    system_prompt_file: Option<PathBuf>,
    /// Whether a resumed conversation keeps the system prompt it began with; the CLI's default.
    pub(super) fresh_system_prompt: bool,
    pub(super) permission_mode: Option<String>,
    /// The MCP servers that were configured.
    pub(super) mcp_servers: Vec<Server>,
    pub(super) allowed_tools: Vec<String>,
    /// The words that belong to no flag: the prompt, when input is text.
    pub(super) prompt: Option<String>,
}

/// Why the arguments were refused: the line that goes to stderr.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Refused(String);

/// How many values follow a flag.
enum Takes {
    Nothing,
    One,
    Any,
}

fn takes(flag: &str) -> Option<Takes> {
    Some(match flag {
        "-p"
        | "--print"
        | "-v"
        | "--version"
        | "--verbose"
        | "--strict-mcp-config"
        | "--disable-slash-commands"
        | "--include-partial-messages" => Takes::Nothing,
        "--input-format"
        | "--output-format"
        | "-r"
        | "--resume"
        | "--session-id"
        | "--system-prompt"
        | "--system-prompt-file"
        | "--system-prompt-snapshot"
        | "--permission-mode"
        | "--settings"
        | "--setting-sources"
        | "--max-turns"
        | "--max-budget-usd"
        | "--model" => Takes::One,
        "--tools" | "--allowedTools" | "--disallowedTools" | "--mcp-config" => Takes::Any,
        _ => return None,
    })
}

impl Arguments {
    /// Reads the arguments and the files they name.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, Refused> {
        let mut parsed = Self::default();
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(argument) = rest.next() {
            if !argument.starts_with('-') {
                parsed.prompt.get_or_insert_with(|| argument.to_owned());
                continue;
            }
            let (flag, inline) = match argument.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
                _ => (argument, None),
            };
            let unknown = || Refused(format!("error: unknown option '{argument}'"));
            match (takes(flag).ok_or_else(unknown)?, inline) {
                (Takes::Nothing, _) => parsed.switch(flag),
                (_, Some(value)) => parsed.set(flag, value)?,
                (Takes::One, None) => {
                    let missing = || Refused(format!("error: option '{flag}' argument missing"));
                    parsed.set(flag, rest.next().ok_or_else(missing)?)?;
                }
                (Takes::Any, None) => {
                    while let Some(value) = rest.next_if(|value| !value.starts_with('-')) {
                        parsed.set(flag, value)?;
                    }
                }
            }
        }
        parsed.checked()
    }

    fn switch(&mut self, flag: &str) {
        match flag {
            "-v" | "--version" => self.version = true,
            "--verbose" => self.verbose = true,
            "--include-partial-messages" => self.partial_messages = true,
            // The rest changes nothing here: there is always a pipe, and neither settings nor slash commands.
            _ => {}
        }
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), Refused> {
        let invalid =
            |why: &str| Refused(format!("error: option '{flag}' argument '{value}' is invalid. {why}"));
        match flag {
            "--input-format" => self.stream_input = format(value).map_err(invalid)?,
            "--output-format" => self.stream_output = format(value).map_err(invalid)?,
            "-r" | "--resume" => self.resume = Some(value.to_owned()),
            "--session-id" => {
                let id = Uuid::try_parse(value);
                self.session_id = Some(id.map_err(|_| invalid("Must be a valid UUID."))?);
            }
            "--system-prompt" => self.system_prompt = Some(value.to_owned()),
            "--system-prompt-file" => self.system_prompt_file = Some(value.into()),
            "--system-prompt-snapshot" => match value {
                "on" => self.fresh_system_prompt = false,
                "off" => self.fresh_system_prompt = true,
                _ => return Err(invalid("Allowed choices are on, off.")),
            },
            "--permission-mode" if PERMISSION_MODES.contains(&value) => {
                self.permission_mode = Some(value.to_owned());
            }
            "--permission-mode" => {
                return Err(invalid(&format!("Allowed choices are {}.", PERMISSION_MODES.join(", "))));
            }
            "--max-turns" if value.parse::<u32>().is_err() => return Err(invalid("Must be a whole number.")),
            "--max-budget-usd" if !value.parse::<f64>().is_ok_and(|budget| budget > 0.0) => {
                return Err(invalid("--max-budget-usd must be a number greater than 0"));
            }
            "--settings" => {
                json(value).ok_or_else(|| Refused(format!("Error: Settings file not found: {value}")))?;
            }
            "--mcp-config" => {
                let config = json(value).ok_or_else(|| {
                    Refused(format!("Error: Invalid MCP configuration:\nMCP config file not found: {value}"))
                })?;
                let servers = config["mcpServers"].as_object();
                self.mcp_servers.extend(servers.into_iter().flatten().map(|(name, server)| Server {
                    name: name.clone(),
                    in_host: server["type"] == "sdk",
                    tools: None,
                }));
            }
            "--allowedTools" => self.allowed_tools.extend(value.split(',').map(str::to_owned)),
            // Valid, and without meaning here: there is one model, and no tools of its own, settings or costs.
            _ => {}
        }
        Ok(())
    }

    fn checked(mut self) -> Result<Self, Refused> {
        if self.version {
            return Ok(self);
        }
        if self.stream_output && !self.verbose {
            return Err(Refused(
                "Error: When using --print, --output-format=stream-json requires --verbose".into(),
            ));
        }
        if !self.stream_output {
            return Err(Refused("Error: the demo agent only writes --output-format stream-json".into()));
        }
        if let Some(file) = &self.system_prompt_file {
            let text = fs::read_to_string(file)
                .map_err(|_| Refused(format!("Error: System prompt file not found: {}", file.display())))?;
            // Both given: the CLI joins them, the file's first.
            self.system_prompt = Some(match self.system_prompt {
                Some(prompt) => format!("{text}\n\n{prompt}"),
                None => text,
            });
        }
        Ok(self)
    }

    /// The session to go on with. `Err` is the sentence for an id that is none.
    pub(super) fn resumed(&self) -> Option<Result<Uuid, String>> {
        let value = self.resume.as_deref()?;
        Some(Uuid::try_parse(value).map_err(|_| {
            format!(
                "Error: {RESUME_USAGE} Provided value \"{value}\" is not a UUID and does not match any session title."
            )
        }))
    }
}

fn format(value: &str) -> Result<bool, &'static str> {
    match value {
        "stream-json" => Ok(true),
        "text" => Ok(false),
        _ => Err("Allowed choices are text, stream-json."),
    }
}

/// JSON in the argument itself, or in the file it names.
fn json(value: &str) -> Option<Value> {
    serde_json::from_str(value).ok().or_else(|| serde_json::from_str(&fs::read_to_string(value).ok()?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAMS: [&str; 6] =
        ["-p", "--input-format", "stream-json", "--output-format=stream-json", "--verbose", "--tools"];

    fn parse(more: &[&str]) -> Result<Arguments, Refused> {
        let all: Vec<String> = STREAMS.iter().chain(&[""]).chain(more).map(ToString::to_string).collect();
        Arguments::parse(&all)
    }

    fn refusal(more: &[&str]) -> String {
        parse(more).unwrap_err().to_string()
    }

    #[test]
    fn values_follow_their_flag_or_stand_behind_an_equals_sign() {
        for form in [&["--system-prompt", "Be kind."][..], &["--system-prompt=Be kind."]] {
            assert_eq!(parse(form).unwrap().system_prompt.as_deref(), Some("Be kind."));
        }
        assert_eq!(parse(&["--system-prompt=-dash"]).unwrap().system_prompt.as_deref(), Some("-dash"));
    }

    #[test]
    fn everything_a_host_gives_is_taken() {
        let id = "67e8e5cd-d197-4b12-b76f-aa14e85f8018";
        let arguments = parse(&[
            &format!("--resume={id}"),
            "--setting-sources=",
            "--strict-mcp-config",
            "--mcp-config",
            r#"{"mcpServers":{"host":{"type":"sdk","name":"host"}}}"#,
            "--allowedTools",
            "mcp__host",
            "Read",
            "--settings={\"permissions\":{\"deny\":[\"Read(//**)\"]}}",
            "--permission-mode=dontAsk",
            "--system-prompt-snapshot",
            "off",
            "--max-turns",
            "16",
            "--max-budget-usd=0.5",
            "--model",
            "some-model",
            "--disable-slash-commands",
            "--include-partial-messages",
        ])
        .unwrap();
        assert_eq!(arguments.resumed(), Some(Ok(id.parse().unwrap())));
        assert_eq!(arguments.mcp_servers, [Server { name: "host".into(), in_host: true, tools: None }]);
        assert_eq!(arguments.allowed_tools, ["mcp__host", "Read"]);
        assert!(arguments.fresh_system_prompt && arguments.partial_messages);
        assert_eq!(arguments.prompt, None);
    }

    #[test]
    fn what_the_cli_refuses_is_refused_in_its_words() {
        for (arguments, says) in [
            (&["--no-such-flag"][..], "error: unknown option '--no-such-flag'"),
            (&["--system-prompt-file=/no/such"], "Error: System prompt file not found: /no/such"),
            (&["--settings={nope"], "Error: Settings file not found: {nope"),
            (&["--mcp-config={nope"], "MCP config file not found: {nope"),
            (&["--max-budget-usd", "0"], "must be a number greater than 0"),
            (&["--permission-mode", "zzz"], "Allowed choices are acceptEdits"),
            (&["--system-prompt-snapshot=zz"], "Allowed choices are on, off."),
            (&["--session-id=12"], "Must be a valid UUID."),
            (&["--model"], "argument missing"),
        ] {
            let refused = refusal(arguments);
            assert!(refused.contains(says), "{arguments:?}: {refused}");
        }
    }

    #[test]
    fn a_stream_without_verbose_is_refused() {
        let refused = Arguments::parse(&["-p".into(), "--output-format=stream-json".into()]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Error: When using --print, --output-format=stream-json requires --verbose"
        );
    }

    #[test]
    fn a_prompt_file_and_a_prompt_are_joined() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "From the file.").unwrap();
        let path = file.path().display().to_string();
        let arguments = parse(&["--system-prompt", "From the flag.", "--system-prompt-file", &path]).unwrap();
        assert_eq!(arguments.system_prompt.as_deref(), Some("From the file.\n\nFrom the flag."));
    }

    #[test]
    fn resuming_something_that_is_no_uuid_is_explained_as_the_cli_does() {
        let why = parse(&["--resume", "no-such-session"]).unwrap().resumed().unwrap().unwrap_err();
        assert!(
            why.ends_with("\"no-such-session\" is not a UUID and does not match any session title."),
            "{why}"
        );
    }
}
