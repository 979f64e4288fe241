//! One piece of what a plugin says: whether it may be, and the posts that it makes.

use super::Part;
use crate::campfire::{Format, Outgoing, sound};

/// Bytes of one text, and of a prompt.
pub const TEXT_LIMIT: usize = 256 << 10;
/// Bytes of one file.
const FILE_LIMIT: usize = 8 << 20;
/// Characters of a boost.
const BOOST_LIMIT: usize = 16;

impl Part {
    /// The posts that it makes, in order. One that is blank once it is cleaned makes none.
    pub fn into_posts(self) -> Vec<Outgoing> {
        match self {
            Self::Markdown(text) => Outgoing::text(Format::Markdown, &text),
            Self::Html(text) => Outgoing::text(Format::Html, &text),
            Self::Text(text) => Outgoing::text(Format::Text, &text),
            Self::File(file) => vec![Outgoing::File {
                name: file.name,
                media_type: file.media_type,
                content: file.content.into(),
            }],
            Self::Boost(text) => vec![Outgoing::Boost(text)],
            Self::Sound(name) => Outgoing::sound(&name).into_iter().collect(),
        }
    }

    /// What is wrong with it, if it is beyond what the interface allows.
    pub(super) fn check(&self) -> Result<(), String> {
        let problem = match self {
            Self::Markdown(text) | Self::Html(text) | Self::Text(text) if text.len() > TEXT_LIMIT => {
                format!("a text of {} bytes; one may have {TEXT_LIMIT}", text.len())
            }
            Self::File(file) if file.content.len() > FILE_LIMIT => {
                format!("a file of {} bytes; one may have {FILE_LIMIT}", file.content.len())
            }
            Self::File(file) if !file.attributes.is_empty() => {
                format!("the file's attribute `{}`, which this host does not know", file.attributes[0].0)
            }
            Self::File(file)
                if file.name.is_empty()
                    || file.name.len() > 255
                    || file.name.contains(['/', '\\', '\0', '\r', '\n']) =>
            {
                "a file's name must have 1 to 255 bytes and no path or line break".to_owned()
            }
            Self::Boost(text) => return check_boost(text),
            Self::Sound(name) if sound(name).is_none() => {
                "a sound's name has 1 to 32 lower-case letters and digits".to_owned()
            }
            _ => return Ok(()),
        };
        Err(problem)
    }
}

/// What is wrong with a reaction.
pub(super) fn check_boost(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.chars().count() > BOOST_LIMIT {
        return Err(format!("a boost must have 1 to {BOOST_LIMIT} characters"));
    }
    Ok(())
}
