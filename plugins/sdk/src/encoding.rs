//! How the author's values become the interface's texts: a string as it is, anything else as JSON.

use serde_json::Value;

/// The text of a value.
pub(crate) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
