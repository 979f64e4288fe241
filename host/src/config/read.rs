//! From text to typed values that know their places, past everything that is wrong with names and types.
//!
//! What does not fit is reported and taken out, and the rest goes on: one misspelt key hides nothing. Deserialization
//! stops at its first error, so it is repeated without the value that caused it until it passes.

use std::{mem, ops::Range, path::Path};

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

use super::{
    mask::masked,
    mistake::Mistake,
    problem::{Findings, Source},
    shape,
};

/// So many wrong types are listed. Each costs another pass over the file.
const WRONG_TYPES: usize = 50;

/// Everything in `text` that can be read, and what can't. `schema` is that of the type.
pub(super) fn read<T: DeserializeOwned + Default>(
    path: &Path,
    text: &str,
    schema: &Value,
) -> (T, Findings, Source) {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    let source = Source::new(path, masked(text, table.get_ref(), !errors.is_empty()));
    let mut findings = Findings::new(source.clone());
    for error in errors {
        findings.syntax(error.span().unwrap_or_default(), error.message().to_owned());
    }
    shape::remove_misfits(table.get_mut(), schema, &mut findings);
    let raw = typed(table, schema, &mut findings);
    findings.about(&[]);
    (raw, findings, source)
}

fn typed<T: DeserializeOwned + Default>(
    mut table: Spanned<DeTable<'_>>,
    schema: &Value,
    findings: &mut Findings,
) -> T {
    for _ in 0..WRONG_TYPES {
        let error = match T::deserialize(Deserializer::from(table.clone())) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        let Some(misfit) = take_out(table.get_mut(), &span) else { break };
        let expected = expected(error.message());
        findings.about(&misfit.path);
        findings.add(span, shape::wrong_type(schema, &misfit.path, misfit.is_item, expected, misfit.found));
        findings.meant(misfit.path);
    }
    T::deserialize(Deserializer::from(table)).unwrap_or_else(|_| {
        findings.meant(vec!["bots".to_owned()]);
        findings.about(&[]);
        findings.add(0..0, Mistake::MoreWrongTypes);
        T::default()
    })
}

/// A value that was taken out: its keys, whether it was an item of an array there, and what it was.
struct Misfit {
    path: Vec<String>,
    is_item: bool,
    found: &'static str,
}

/// Removes the value at `span`.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<Misfit> {
    let own = table.iter().find(|(_, value)| value.span() == *span);
    if let Some((key, value)) = own {
        let misfit = Misfit {
            path: vec![key.get_ref().to_string()],
            is_item: false,
            found: shape::kind(value.get_ref()),
        };
        table.remove(misfit.path[0].as_str());
        return Some(misfit);
    }
    table.iter_mut().find_map(|(key, value)| {
        let mut misfit = take_out_below(value.get_mut(), span)?;
        misfit.path.insert(0, key.get_ref().to_string());
        Some(misfit)
    })
}

fn take_out_below(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<Misfit> {
    let array = match value {
        DeValue::Table(table) => return take_out(table, span),
        DeValue::Array(array) => array,
        _ => return None,
    };
    if let Some(item) = array.iter().find(|item| item.span() == *span) {
        let misfit = Misfit { path: Vec::new(), is_item: true, found: shape::kind(item.get_ref()) };
        let items = mem::replace(array, DeArray::new());
        *array = items.into_iter().filter(|item| item.span() != *span).collect();
        return Some(misfit);
    }
    array.iter_mut().find_map(|item| take_out_below(item.get_mut(), span))
}

/// What the key takes, from the words of a failed deserialization.
fn expected(message: &str) -> &str {
    match message.rsplit_once(", expected ").map_or(message, |(_, expected)| expected) {
        "i64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "an array",
        other => other,
    }
}
