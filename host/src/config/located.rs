//! A value and its place in the file, so that a later check can point at it.
//!
//! A default has no place. It is written as in the file, which makes it part of the JSON Schema and sends it through the same
//! checks.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Spanned;

// A value and where it stands in the file, in bytes. A default stands at 0..0. (Not a doc comment: those of types end
// up in the schema, and this type is nothing to the file's author.)
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
#[serde(transparent)]
pub(super) struct Located<T>(#[schemars(with = "T")] Spanned<T>);

impl<T> Located<T> {
    pub(super) fn get(&self) -> &T {
        self.0.get_ref()
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl<T> From<T> for Located<T> {
    fn from(value: T) -> Self {
        Self(Spanned::new(0..0, value))
    }
}

impl From<&str> for Located<String> {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}
