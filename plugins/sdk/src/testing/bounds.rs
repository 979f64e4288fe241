//! What the host takes from a bot: a result beyond these bounds costs the turn, as an error of the bot's own does.

use crate::{Decision, Part, Prompt};

const MOST_PARTS: usize = 32;
const LONGEST_TEXT: usize = 256 << 10;
const LONGEST_SYSTEM_PROMPT: usize = 64 << 10;
const LARGEST_FILE: usize = 8 << 20;

/// What is wrong.
pub(crate) type Refused = &'static str;

pub(crate) fn check_decision(decision: &Decision) -> Result<(), Refused> {
    match decision {
        Decision::Ignore => Ok(()),
        Decision::Reply(parts) => check_parts(parts),
        Decision::Ask(prompt) => check_prompt(prompt),
    }
}

pub(crate) fn check_parts(parts: &[Part]) -> Result<(), Refused> {
    if parts.len() > MOST_PARTS {
        return Err("an answer has at most 32 parts");
    }
    parts.iter().try_for_each(check_part)
}

pub(crate) fn check_part(part: &Part) -> Result<(), Refused> {
    match part {
        Part::Markdown(text) | Part::Html(text) | Part::Text(text) if text.len() > LONGEST_TEXT => {
            Err("a text has at most 256 KiB")
        }
        Part::File(file) if file.content.len() > LARGEST_FILE => Err("a file has at most 8 MiB"),
        Part::File(file)
            if !(1..=255).contains(&file.name.len()) || file.name.contains(['/', '\\', '\0', '\r', '\n']) =>
        {
            Err("a file's name has 1 to 255 bytes, and no path or line break")
        }
        Part::File(file) if !file.attributes.is_empty() => Err("a file has no attributes today"),
        Part::Boost(reaction) => check_boost(reaction),
        Part::Sound(name)
            if !(1..=32).contains(&name.len())
                || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) =>
        {
            Err("a sound's name has 1 to 32 lower-case letters and digits")
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_boost(reaction: &str) -> Result<(), Refused> {
    if reaction.trim().is_empty() || reaction.chars().count() > 16 {
        return Err("a boost has 1 to 16 characters");
    }
    Ok(())
}

fn check_prompt(prompt: &Prompt) -> Result<(), Refused> {
    if prompt.text.trim().is_empty() {
        return Err("a prompt is not empty; reply or ignore instead of asking nothing");
    }
    if prompt.text.len() > LONGEST_TEXT {
        return Err("a prompt has at most 256 KiB");
    }
    if prompt.system_prompt.as_ref().is_some_and(|text| text.len() > LONGEST_SYSTEM_PROMPT) {
        return Err("a system prompt has at most 64 KiB");
    }
    if !prompt.attributes.is_empty() {
        return Err("a prompt has no attributes today");
    }
    Ok(())
}
