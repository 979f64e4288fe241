//! Posts as they are before they are sent: made once, kept in the outbox, sent as they are.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Format, messages, sound};
use crate::id::MessageId;

/// One post. Written to the outbox as JSON and read again by later versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outgoing {
    /// A message's HTML, sanitised.
    Html(String),
    /// A file.
    File {
        /// Its name, without a path.
        name: String,
        /// Its media type.
        media_type: String,
        /// Its bytes.
        #[serde(with = "base64_text")]
        content: Bytes,
    },
    /// A reaction on the message that is answered.
    Boost(String),
    /// HTML for the place of one of the bot's own messages.
    Edit {
        /// Which message.
        message: MessageId,
        /// Its HTML from now on, sanitised.
        html: String,
    },
    /// One of the bot's own messages is to go.
    Remove {
        /// Which message.
        message: MessageId,
    },
}

impl Outgoing {
    /// The posts that show a text, in order; none if it shows nothing.
    pub fn text(format: Format, text: &str) -> Vec<Self> {
        messages(format, text).into_iter().map(Self::Html).collect()
    }

    /// Whether it is a message that reads the same wherever it stands: HTML, and no sound.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Html(html) if !html.starts_with("/play "))
    }

    /// The posts of a plain sentence.
    pub fn sentence(text: &str) -> Vec<Self> {
        Self::text(Format::Text, text)
    }

    /// The post that plays one of Campfire's sounds; none if this can't be the name of one.
    pub fn sound(name: &str) -> Option<Self> {
        sound(name).map(Self::Html)
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

    #[test]
    fn a_file_comes_back_from_the_outbox_as_it_was() {
        let content = Bytes::from_static(&[0, 255]);
        let file =
            Outgoing::File { name: "a.bin".into(), media_type: "application/octet-stream".into(), content };
        let kept = serde_json::to_string(&file).unwrap();
        assert_eq!(
            kept,
            r#"{"file":{"name":"a.bin","media_type":"application/octet-stream","content":"AP8="}}"#
        );
        assert_eq!(serde_json::from_str::<Outgoing>(&kept).unwrap(), file);
    }

    #[test]
    fn a_blank_text_makes_no_post() {
        assert_eq!(Outgoing::text(Format::Markdown, "  \n"), []);
        assert_eq!(Outgoing::text(Format::Text, ""), []);
    }
}
