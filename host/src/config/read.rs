//! From text to typed values that know their places, past everything that is wrong with names and types.
//!
//! What does not fit is reported and taken out, and the rest goes on: one misspelt key hides nothing. Deserialization
//! stops at its first error, so it is repeated without the value that caused it until it passes.

use std::{ops::Range, path::Path};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::{
    mask::masked,
    mistake::Mistake,
    problem::{Findings, Source},
    raw::RawConfig,
    shape,
};

/// So many wrong types are listed. Each costs another pass over the file.
const WRONG_TYPES: usize = 50;

/// Everything in `text` that can be read, and what can't.
pub(super) fn read(path: &Path, text: &str) -> (RawConfig, Findings, Source) {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    let source = Source::new(path, masked(text, table.get_ref(), !errors.is_empty()));
    let mut findings = Findings::new(source.clone());
    for error in errors {
        findings.syntax(error.span().unwrap_or_default(), error.message().to_owned());
    }
    shape::remove_unknown_keys(table.get_mut(), &mut findings);
    (typed(table, &mut findings), findings, source)
}

fn typed(mut table: Spanned<DeTable<'_>>, findings: &mut Findings) -> RawConfig {
    let mut reported = Range::default();
    for _ in 0..WRONG_TYPES {
        let error = match RawConfig::deserialize(Deserializer::from(table.clone())) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        let Some((path, found)) = take_out(table.get_mut(), &span) else { break };
        // A table that only exists by its children has the place of one of them, which is then taken out first.
        if span != reported {
            findings.add(span.clone(), wrong_type(&path, &found, error.message()));
        }
        findings.meant(path);
        reported = span;
    }
    match RawConfig::deserialize(Deserializer::from(table)) {
        Ok(config) => config,
        Err(_) => {
            findings.meant(vec!["bots".to_owned()]);
            findings.add(0..0, Mistake::TooManyWrongTypes { limit: WRONG_TYPES });
            RawConfig::default()
        }
    }
}

/// Removes the innermost value at `span`, or the one that contains it, and says what it was.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<(Vec<String>, &'static str)> {
    for (key, value) in table.iter_mut() {
        if let DeValue::Table(below) = value.get_mut()
            && let Some((mut path, found)) = take_out(below, span)
        {
            path.insert(0, key.get_ref().to_string());
            return Some((path, found));
        }
    }
    let holds = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let (key, value) = table.iter().find(|(_, value)| holds(&value.span()))?;
    let (key, found) = (key.get_ref().to_string(), kind_at(value, span));
    table.remove(key.as_str());
    Some((vec![key], found))
}

/// What stands at `span`: the value itself or a part of it.
fn kind_at(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> &'static str {
    match value.get_ref() {
        DeValue::Array(array) if value.span() != *span => {
            array.iter().find(|part| part.span() == *span).map_or("an array", |part| kind_at(part, span))
        }
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
        DeValue::String(_) => "a string",
        DeValue::Integer(number) if i64::from_str_radix(number.as_str(), number.radix()).is_err() => {
            "a number of more than 64 bits"
        }
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
    }
}

fn wrong_type(path: &[String], found: &'static str, message: &str) -> Mistake {
    let expected = match message.rsplit_once(", expected ").map_or(message, |(_, expected)| expected) {
        "i64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "an array",
        "a map" => "a table",
        other => other,
    };
    Mistake::WrongType {
        key: path.join("."),
        expected: expected.to_owned(),
        found,
        example: shape::example(path),
    }
}
