//! The interface's types as JSON: what traces hold, and what stands in for the host is told in.
//!
//! Names are those of the interface (`media-type`, `timed-out`). A variant with something in it is an object with one field;
//! attributes are left out where there are none. Bytes are a text if they are one, else `{"base64": …}`; of more than
//! [`BYTES_LIMIT`] only length and hash remain, from which nothing can be read back. It is written to the journal and read by
//! later versions: fields may be added, never changed.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

use super::{
    bindings::{
        bot::hearth::bot::{campfire, http, kv, schedule},
        progress::exports::hearth::bot::presenter,
        tools::exports::hearth::bot::toolbox,
    },
    types,
};

/// Of larger bytes none is kept: they are files and pages, which nobody reads in a trace.
const BYTES_LIMIT: usize = 64 << 10;

type Attributes = Vec<(String, String)>;

/// Gives types of the interface the shapes of this module.
macro_rules! shaped {
    ($($module:ident::{$($name:ident),*})*) => {$($(
        impl Serialize for $module::$name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $module::$name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::deserialize(deserializer)
            }
        }
    )*)*};
}

/// Declares the shapes of records and enumerations: all in the interface's spelling, and the attributes optional.
macro_rules! shapes {
    ($($path:literal $(#[$meta:meta])* struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty),* $(,)? })*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(remote = $path, rename_all = "kebab-case")]
        $(#[$meta])*
        #[allow(clippy::struct_field_names, reason = "they are the interface's")]
        struct $name {
            $($(#[$field_meta])* $field: $kind,)*
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            attributes: Attributes,
        }
    )*};
    ($($path:literal enum $name:ident { $($variant:ident$(($kind:ty))?),* $(,)? })*) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(remote = $path, rename_all = "kebab-case")]
        enum $name {
            $($variant$(($kind))?,)*
        }
    )*};
}

shaped! {
    types::{
        Answer, Cause, Decision, Event, Failure, FailureKind, File, Message, Occurrence, Outcome, Part, Prompt, Room, Sent,
        Timer, TimerOrigin, User
    }
    kv::{Entry, Expectation, KvError, KvErrorKind, Page, Scope}
    http::{HttpError, HttpErrorKind, Method, Request, Response}
    campfire::{CampfireError, CampfireErrorKind, PastMessage, Query}
    schedule::{Pending, ScheduleError, ScheduleErrorKind}
    presenter::{Display}
    toolbox::{ToolErrorKind}
}

// === What a turn is about, and what is said of it ===

shapes! {
    "types::User" struct User { id: u64, name: String }
    "types::Room" struct Room { id: u64, name: Option<String> }
    "types::Message" struct Message { id: u64, text: String, html: Option<String> }
    "types::Event" struct Event {
        bot: String,
        user: types::User,
        room: types::Room,
        message: types::Message,
        received_at: u64,
    }
    "types::Timer" struct Timer {
        bot: String,
        room: types::Room,
        name: String,
        payload: String,
        origin: types::TimerOrigin,
        due_at: u64,
        received_at: u64,
    }
    "types::Occurrence" struct Occurrence {
        bot: String,
        kind: String,
        room: types::Room,
        user: Option<types::User>,
        message: Option<types::Message>,
        payload: String,
        received_at: u64,
    }
    "types::Prompt" struct Prompt { text: String, system_prompt: Option<String>, model: Option<String> }
    "types::File" struct File {
        name: String,
        media_type: String,
        #[serde(with = "bytes")]
        content: Vec<u8>,
    }
    "types::Answer" struct Answer { text: String, turns: u32, cost_usd: Option<f64>, memory_lost: bool }
    "types::Failure" struct Failure { kind: types::FailureKind, sentence: String }
}

shapes! {
    "types::TimerOrigin" enum TimerOrigin { Plugin, Operator }
    "types::Cause" enum Cause { Message(types::Event), Timer(types::Timer), Occurrence(types::Occurrence) }
    "types::Part" enum Part {
        Markdown(String),
        Html(String),
        Text(String),
        File(types::File),
        Boost(String),
        Sound(String),
    }
    "types::Decision" enum Decision { Ignore, Reply(Vec<types::Part>), Ask(types::Prompt) }
    "types::FailureKind" enum FailureKind {
        TurnLimit,
        Budget,
        Interrupted,
        RateLimited,
        Overloaded,
        Auth,
        InvalidRequest,
        TimedOut,
        Crashed,
    }
    "types::Outcome" enum Outcome { Completed(types::Answer), Failed(types::Failure) }
    "types::Sent" enum Sent { No, Maybe }
    "presenter::Display" enum Display { Standard, Unchanged, Markdown(String) }
    "toolbox::ToolErrorKind" enum ToolErrorKind { InvalidInput, NotFound, Denied, Unavailable, Failed }
}

// === What is asked of the host, and answered ===

shapes! {
    "kv::Entry" struct Entry {
        key: String,
        #[serde(with = "bytes")]
        value: Vec<u8>,
        version: u64,
    }
    "kv::Page" struct Page { entries: Vec<kv::Entry>, next: Option<String> }
    "kv::KvError" struct KvError { kind: kv::KvErrorKind, message: String }
    "http::Request" struct Request {
        method: http::Method,
        url: String,
        headers: Vec<(String, String)>,
        #[serde(with = "bytes::optional")]
        body: Option<Vec<u8>>,
        timeout: Option<u32>,
    }
    "http::Response" struct Response {
        status: u16,
        headers: Vec<(String, String)>,
        #[serde(with = "bytes")]
        body: Vec<u8>,
        url: String,
    }
    "http::HttpError" struct HttpError { kind: http::HttpErrorKind, sent: types::Sent, message: String }
    "campfire::Query" struct Query { before: Option<u64>, after: Option<u64>, limit: u32 }
    "campfire::PastMessage" struct PastMessage {
        id: u64,
        author: types::User,
        mine: bool,
        text: String,
        html: Option<String>,
        created_at: u64,
    }
    "campfire::CampfireError" struct CampfireError {
        kind: campfire::CampfireErrorKind,
        sent: types::Sent,
        message: String,
    }
    "schedule::Pending" struct Pending { name: String, due_at: u64, payload: String }
    "schedule::ScheduleError" struct ScheduleError { kind: schedule::ScheduleErrorKind, message: String }
}

shapes! {
    "kv::Scope" enum Scope { Room, Bot }
    "kv::Expectation" enum Expectation { Anything, Absent, Version(u64) }
    "kv::KvErrorKind" enum KvErrorKind { Denied, Conflict, Quota, Invalid, Unavailable }
    "http::Method" enum Method { Get, Head, Post, Put, Patch, Delete }
    "http::HttpErrorKind" enum HttpErrorKind {
        Denied,
        Invalid,
        Unreachable,
        TimedOut,
        TooLarge,
        Redirected,
        Broken,
        RateLimited,
    }
    "campfire::CampfireErrorKind" enum CampfireErrorKind {
        Denied,
        Unsupported,
        NotFound,
        Invalid,
        RateLimited,
        Unavailable,
    }
    "schedule::ScheduleErrorKind" enum ScheduleErrorKind { Denied, Invalid, Quota, Unavailable }
}

// === Bytes ===

/// Bytes as they are written.
pub(super) struct Bytes<'a>(pub(super) Cow<'a, [u8]>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(Cow<'a, str>),
    Base64 { base64: String },
    Cut { bytes: usize, sha256: String },
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.as_ref();
        let written = if bytes.len() > BYTES_LIMIT {
            let sha256 = Sha256::digest(bytes).iter().fold(String::new(), |mut digits, byte| {
                // Writing to a string can't fail.
                let _ = write!(digits, "{byte:02x}");
                digits
            });
            Written::Cut { bytes: bytes.len(), sha256 }
        } else {
            match str::from_utf8(bytes) {
                Ok(text) => Written::Text(text.into()),
                Err(_) => Written::Base64 { base64: STANDARD.encode(bytes) },
            }
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = match Written::deserialize(deserializer)? {
            Written::Text(text) => text.into_owned().into_bytes(),
            Written::Base64 { base64 } => STANDARD.decode(base64).map_err(D::Error::custom)?,
            Written::Cut { bytes, .. } => {
                return Err(D::Error::custom(format_args!("only the length of its {bytes} bytes was kept")));
            }
        };
        Ok(Self(bytes.into()))
    }
}

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

mod bytes {
    use super::{Bytes, Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(bytes.into()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Bytes::deserialize(deserializer).map(|bytes| bytes.0.into_owned())
    }

    pub(super) mod optional {
        use super::{Bytes, Deserialize, Deserializer, Serialize, Serializer};

        #[allow(clippy::ref_option, reason = "it is how serde hands it over")]
        pub(in super::super) fn serialize<S: Serializer>(
            bytes: &Option<Vec<u8>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            bytes.as_deref().map(|bytes| Bytes(bytes.into())).serialize(serializer)
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Vec<u8>>, D::Error> {
            Option::<Bytes<'static>>::deserialize(deserializer)
                .map(|bytes| bytes.map(|bytes| bytes.0.into_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn there_and_back<T: Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug>(
        value: &T,
    ) -> Value {
        let written = serde_json::to_value(value).unwrap();
        assert_eq!(&serde_json::from_value::<T>(written.clone()).unwrap(), value);
        written
    }

    fn file(content: Vec<u8>) -> types::Part {
        let (name, media_type) = ("a".to_owned(), "b/c".to_owned());
        types::Part::File(types::File { name, media_type, content, attributes: Vec::new() })
    }

    #[test]
    fn words_are_those_of_the_interface() {
        let prompt = types::Prompt {
            text: "hi".into(),
            system_prompt: Some("be".into()),
            model: None,
            attributes: Vec::new(),
        };
        assert_eq!(
            there_and_back(&types::Decision::Ask(prompt)),
            json!({ "ask": { "text": "hi", "system-prompt": "be", "model": null } })
        );
        assert_eq!(there_and_back(&types::Decision::Ignore), json!("ignore"));
        assert_eq!(there_and_back(&types::FailureKind::TurnLimit), json!("turn-limit"));
        let attributes = vec![("a".to_owned(), "b".to_owned())];
        assert_eq!(
            there_and_back(&types::User { id: 1, name: "Ann".into(), attributes }),
            json!({ "id": 1, "name": "Ann", "attributes": [["a", "b"]] })
        );
    }

    #[test]
    fn bytes_are_texts_where_they_are_and_never_many() {
        let content = |part: &types::Part| serde_json::to_value(part).unwrap()["file"]["content"].clone();
        assert_eq!(there_and_back(&file("é".into()))["file"]["content"], json!("é"));
        assert_eq!(there_and_back(&file(vec![0xff]))["file"]["content"], json!({ "base64": "/w==" }));
        let long = file(vec![b'x'; BYTES_LIMIT + 1]);
        let cut = content(&long);
        assert_eq!(cut["bytes"], BYTES_LIMIT + 1);
        assert_ne!(cut, content(&file(vec![b'y'; BYTES_LIMIT + 1])), "what differs can be told apart");
        let lost = serde_json::from_value::<types::Part>(serde_json::to_value(&long).unwrap());
        assert!(lost.unwrap_err().to_string().contains("65537"));
    }
}
