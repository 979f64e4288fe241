//! Tools from types: what the model hands over is a struct, what it gets back anything that serde can write.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use crate::bindings::tools::exports::hearth::bot::toolbox::{ToolError, ToolErrorKind};
use crate::{Cause, Error, bindings::tools::exports::hearth::bot::toolbox, schema};

/// A function that the model can call. The type is its input, its doc comments are what the model knows of it.
///
/// The doc comment of the type says what the tool does, when to use it and what it answers, in at most 4 KiB; those of the
/// fields, what to put there. The host holds the input against the type's schema before the tool is called.
/// [`Toolbox`](crate::Toolbox) has an example.
pub trait Tool: DeserializeOwned + JsonSchema {
    /// What the model calls it: 1 to 64 of `a`–`z`, `A`–`Z`, `0`–`9`, `_` and `-`. Unique within the plugin.
    const NAME: &'static str;

    /// True if calling it changes nothing, so that calls may run side by side and be repeated.
    const READ_ONLY: bool = false;

    /// What it answers. The model reads a string as it is, and anything else as JSON. Of more than 64 KiB the end is cut
    /// off, and the model is told.
    type Output: Serialize;

    /// Does it. `cause` is what the turn is about.
    ///
    /// # Errors
    /// For the model, which can try something else or tell the person. No secrets: it may end up in the room.
    fn call(self, cause: &Cause) -> Result<Self::Output, ToolError>;
}

/// A [`Tool`] of any type, as [`tools!`](crate::tools) lists them.
#[derive(Debug, Clone, Copy)]
pub struct AnyTool {
    name: &'static str,
    read_only: bool,
    schema: fn() -> Value,
    call: fn(&str, &Cause) -> Result<Value, ToolError>,
}

/// Lists types that are [`Tool`]s, for [`Toolbox::TOOLS`](crate::Toolbox::TOOLS). A name that is not one, or that two of them
/// have, does not compile.
#[macro_export]
macro_rules! tools {
    ($($tool:ty),* $(,)?) => {
        const {
            const TOOLS: &[$crate::AnyTool] = &[$($crate::AnyTool::of::<$tool>()),*];
            $crate::AnyTool::check(TOOLS);
            TOOLS
        }
    };
}

// === impl AnyTool ===

impl AnyTool {
    #[doc(hidden)]
    pub const fn of<T: Tool>() -> Self {
        Self { name: T::NAME, read_only: T::READ_ONLY, schema: schema::of::<T>, call: call::<T> }
    }

    #[doc(hidden)]
    pub const fn check(tools: &[Self]) {
        assert!(tools.len() <= 64, "a plugin has at most 64 tools");
        let mut at = 0;
        while at < tools.len() {
            let name = tools[at].name.as_bytes();
            assert!(is_name(name), "a tool's NAME is 1 to 64 of a-z, A-Z, 0-9, `_` and `-`");
            let mut before = 0;
            while before < at {
                assert!(!same(name, tools[before].name.as_bytes()), "two tools have the same NAME");
                before += 1;
            }
            at += 1;
        }
    }

    /// What the model calls it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the model is told of it.
    ///
    /// # Panics
    /// The type has no doc comment, or one of more than 4 KiB: the plugin is then not loaded, and the log says why.
    pub(crate) fn describe(&self) -> toolbox::Tool {
        let mut schema = (self.schema)();
        let description = schema.as_object_mut().and_then(|schema| {
            // The name of a Rust type tells the model nothing.
            schema.remove("title");
            schema.remove("description")
        });
        let Some(Value::String(description)) = description else {
            panic!("the tool `{}` has no description: write a doc comment on its type", self.name)
        };
        assert!(description.len() <= 4 << 10, "the description of the tool `{}` is over 4 KiB", self.name);
        toolbox::Tool {
            name: self.name.to_owned(),
            description,
            input_schema: schema.to_string(),
            read_only: self.read_only,
            attributes: Vec::new(),
        }
    }

    pub(crate) fn call(&self, input: &str, cause: &Cause) -> Result<Value, ToolError> {
        (self.call)(input, cause)
    }
}

fn call<T: Tool>(input: &str, cause: &Cause) -> Result<Value, ToolError> {
    let input: T =
        serde_json::from_str(input).map_err(|error| ToolError::invalid_input(error.to_string()))?;
    serde_json::to_value(input.call(cause)?)
        .map_err(|error| ToolError::failed(format!("the answer can't be written: {error}")))
}

const fn is_name(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !(name[at].is_ascii_alphanumeric() || name[at] == b'_' || name[at] == b'-') {
            return false;
        }
        at += 1;
    }
    !name.is_empty() && name.len() <= 64
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

// === impl ToolError ===

impl ToolError {
    /// A tool's "I can't". `message`: what is wrong and what to do instead, for the model; at most 4 KiB are kept.
    pub fn new(kind: ToolErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), attributes: Vec::new() }
    }

    /// The input makes no sense, though it fits the schema. Another input may do.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::InvalidInput, message)
    }

    /// What was asked for does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::NotFound, message)
    }

    /// It is not allowed.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::Denied, message)
    }

    /// It does not work now. Trying later may do.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::Unavailable, message)
    }

    /// Anything else.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::Failed, message)
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self::failed(error.message())
    }
}

impl From<serde_json::Error> for ToolError {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(error.to_string())
    }
}
