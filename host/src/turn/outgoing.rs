//! What a plugin's parts become on their way to the room: ready-made posts, as the outbox keeps them.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    campfire::{self, Format},
    plugin::Part,
};

/// One post. Written to the outbox as JSON and read again by later versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outgoing {
    /// A message's HTML, sanitised.
    Html(String),
    /// A file.
    File {
        name: String,
        media_type: String,
        #[serde(with = "base64_text")]
        content: Bytes,
    },
    /// A reaction on the message that is answered.
    Boost(String),
}

impl Outgoing {
    /// The posts that a plugin's parts make, in order. A part that is blank once it is cleaned makes none.
    pub(super) fn from_parts(parts: Vec<Part>) -> Vec<Self> {
        parts.into_iter().flat_map(Self::from_part).collect()
    }

    /// A plain sentence of the host's own.
    pub(super) fn sentence(text: &str) -> Vec<Self> {
        Self::from_part(Part::Text(text.to_owned()))
    }

    fn from_part(part: Part) -> Vec<Self> {
        let messages =
            |format, text: &str| campfire::messages(format, text).into_iter().map(Self::Html).collect();
        match part {
            Part::Markdown(text) => messages(Format::Markdown, &text),
            Part::Html(text) => messages(Format::Html, &text),
            Part::Text(text) => messages(Format::Text, &text),
            Part::File(file) => {
                vec![Self::File {
                    name: file.name,
                    media_type: file.media_type,
                    content: file.content.into(),
                }]
            }
            Part::Boost(text) => vec![Self::Boost(text)],
            Part::Sound(name) => campfire::sound(&name).map(Self::Html).into_iter().collect(),
        }
    }
}

mod base64_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::{BASE64_STANDARD, Bytes, Engine};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let bytes = BASE64_STANDARD.decode(String::deserialize(deserializer)?);
        bytes.map(Bytes::from).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::File;

    #[test]
    fn a_file_comes_back_from_the_outbox_as_it_was() {
        let file = File {
            name: "a.bin".into(),
            media_type: "application/octet-stream".into(),
            content: vec![0, 255],
        };
        let outgoing = Outgoing::from_parts(vec![Part::File(file)]);
        let kept = serde_json::to_string(&outgoing).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Outgoing>>(&kept).unwrap(), outgoing);
    }

    #[test]
    fn a_blank_part_makes_no_post() {
        assert_eq!(Outgoing::from_parts(vec![Part::Markdown("  \n".into()), Part::Text(String::new())]), []);
    }
}
