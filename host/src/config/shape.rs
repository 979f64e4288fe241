//! The shape of a `bots.toml`: its JSON Schema, made from the types it is read into, and what in a file does not fit
//! that shape by name.
//!
//! The same schema serves editors and the search for unknown keys, so the two can't disagree.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{RawConfig, mistake::Mistake, problem::Findings};

/// Where a table is, as a reader knows it; any bot's table has this name, and any timer's.
const ANY_BOT: &str = "<name>";
/// The same of a server's table.
const ANY_HOST: &str = "\"<host>\"";
/// Lists of keys up to this long are shown in full.
const SHORT_LIST: usize = 9;

/// That of `bots.toml`.
pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RawConfig>);

/// The schema of a type, without anything that is no TOML.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    schema
}

/// The JSON Schema (draft 2020-12) of `bots.toml`, for editors.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// Removes every key from `table` that nothing reads, and everything that should be a table and is none; reports them.
pub(super) fn remove_misfits(table: &mut DeTable<'_>, schema: &Value, findings: &mut Findings) {
    Shape { schema, findings }.remove_below(table, schema, &mut Vec::new());
}

/// How the value at `path` would be written, from its default or its example.
fn example(schema: &Value, path: &[String]) -> Option<String> {
    let node = path.iter().try_fold(schema, |node, key| child(node, key))?;
    let value = node.pointer("/examples/0").or_else(|| node.get("default"))?;
    Some(format!("{} = {value}", path.last()?))
}

/// A node that says nothing about what is below it.
static ANYTHING: Value = Value::Bool(true);

/// A search for what does not fit.
struct Shape<'a> {
    schema: &'a Value,
    findings: &'a mut Findings,
}

impl Shape<'_> {
    fn remove_below(&mut self, table: &mut DeTable<'_>, node: &Value, path: &mut Vec<String>) {
        let node = as_table(node);
        let unknown = |key: &&Spanned<DeString<'_>>| child(node, key.get_ref()).is_none();
        let unknown: Vec<_> = table.keys().filter(unknown).cloned().collect();
        for key in unknown {
            let mistake = unknown_key(self.schema, key.get_ref(), path, node);
            self.findings.about(path);
            if let Mistake::UnknownKey { nearest: Some(nearest), .. } = &mistake {
                self.findings.meant(path.iter().chain([nearest]).cloned().collect());
            }
            self.findings.add(key.span(), mistake);
            table.remove(key.get_ref().as_ref());
        }
        let mut no_tables = Vec::new();
        for (key, value) in table.iter_mut() {
            let Some(below) = child(node, key.get_ref()) else { continue };
            let (span, found) = (value.span(), kind(value.get_ref()));
            path.push(key.get_ref().to_string());
            match value.get_mut() {
                DeValue::Table(table) => self.remove_below(table, below, path),
                // Deserialization would take an array for the table's values, in the order of the type's fields.
                _ if below.get("type").is_some_and(|kind| kind == "object") => {
                    self.findings.about(path);
                    self.findings.add(span, wrong_type(self.schema, path, false, "a table", found));
                    self.findings.meant(path.clone());
                    no_tables.push(key.get_ref().to_string());
                }
                DeValue::Array(items) => {
                    let of_items = as_array(below);
                    for item in items.iter_mut() {
                        if let DeValue::Table(table) = item.get_mut() {
                            self.remove_below(table, of_items, path);
                        }
                    }
                }
                _ => {}
            }
            path.pop();
        }
        for key in no_tables {
            table.remove(key.as_str());
        }
    }
}

/// What a node says of a table that may be there in place of something else.
fn as_table(node: &Value) -> &Value {
    let alternatives = node.get("anyOf").and_then(Value::as_array);
    alternatives
        .into_iter()
        .flatten()
        .map(as_table)
        .find(|node| node.get("properties").is_some() || node.get("additionalProperties").is_some())
        .unwrap_or(node)
}

/// What a node says of the items of an array, which may be there in place of something else.
fn as_array(node: &Value) -> &Value {
    let alternatives = node.get("anyOf").and_then(Value::as_array);
    let items = alternatives.into_iter().flatten().chain([node]).find_map(|node| node.get("items"));
    items.unwrap_or(&ANYTHING)
}

/// The value at `path`, or an item of it, is `found` and not what is `expected`.
pub(super) fn wrong_type(
    schema: &Value,
    path: &[String],
    is_item: bool,
    expected: &str,
    found: &'static str,
) -> Mistake {
    let found = match found {
        "an array" if expected.contains("an array") => "an array of something else",
        found => found,
    };
    let key = path.join(".") + if is_item { "[]" } else { "" };
    Mistake::WrongType { key, expected: expected.to_owned(), found, example: example(schema, path) }
}

/// What a value is, in words.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
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

/// What the schema says of `key` in a table; nothing if it may not be there.
fn child<'a>(table: &'a Value, key: &str) -> Option<&'a Value> {
    if let Some(known) = table.get("properties").and_then(|properties| properties.get(key)) {
        return Some(known);
    }
    match table.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(any_key) => Some(any_key),
        None => Some(&ANYTHING),
    }
}

fn unknown_key(schema: &Value, key: &str, path: &[String], table: &Value) -> Mistake {
    let known: Vec<&str> = properties(table).map(|(name, _)| name).collect();
    let nearest = nearest(key, &known);
    let place = match path {
        [] => "at the top level".to_owned(),
        path => format!("in [{}]", path.join(".")),
    };
    let home = elsewhere(key, table, &mut general(path)).or_else(|| elsewhere(key, schema, &mut Vec::new()));
    let remedy = match (&nearest, home) {
        (Some(name), Some(home)) => format!("`{key}` belongs in [{home}]; here it would be `{name}`"),
        (Some(name), None) => format!("write `{name}`, or remove it"),
        (None, Some(home)) => format!("`{key}` belongs in [{home}]"),
        (None, None) if matches!(path, [bots, _, http, _, ..] if bots == "bots" && http == "http") => {
            format!(
                "known here: {}; a host's name with dots needs quotes: [{}.\"example.com\"]",
                known.join(", "),
                path[..3].join(".")
            )
        }
        (None, None) if known.len() <= SHORT_LIST => format!("known here: {}", known.join(", ")),
        (None, None) if matches!(path, [bots, _] if bots == "bots") => {
            format!("what only the plugin reads goes in [{}.settings]", path.join("."))
        }
        (None, None) => "remove it; `hearth schema` lists every key".to_owned(),
    };
    Mistake::UnknownKey { key: key.to_owned(), place, nearest, remedy }
}

fn nearest(key: &str, known: &[&str]) -> Option<String> {
    let key = key.to_lowercase().replace('_', "-");
    let distances = known.iter().map(|name| (strsim::damerau_levenshtein(&key, name), name));
    let (distance, name) = distances.min()?;
    // A third of the letters may differ; more is another word.
    (distance * 3 <= name.len().max(key.len())).then(|| (*name).to_owned())
}

/// A table's path as it is written in general.
fn general(path: &[String]) -> Vec<&str> {
    let is_at = |depth, name| path.get(depth).is_some_and(|table| table == name);
    let steps = path.iter().map(String::as_str).enumerate();
    steps
        .map(|(depth, step)| match depth {
            1 if is_at(0, "bots") => ANY_BOT,
            3 if is_at(0, "bots") && is_at(2, "http") => ANY_HOST,
            _ => step,
        })
        .collect()
}

/// The table at or below `path` that does have `key`.
fn elsewhere<'a>(key: &str, table: &'a Value, path: &mut Vec<&'a str>) -> Option<String> {
    if !path.is_empty() && properties(table).any(|(name, _)| name == key) {
        return Some(path.join("."));
    }
    let any_name = if path.last() == Some(&"http") { ANY_HOST } else { ANY_BOT };
    let any_key = table.get("additionalProperties").map(|below| (any_name, below));
    properties(table).chain(any_key).find_map(|(name, below)| {
        path.push(name);
        let found = elsewhere(key, below, path);
        path.pop();
        found
    })
}

fn properties(table: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let properties = table.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, node)| (name.as_str(), node))
}

/// TOML has no null: a key without a value is left out.
fn without_null(node: &mut Value) {
    match node {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".to_owned(), one);
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(array) => array.iter_mut().for_each(without_null),
        _ => {}
    }
}
