//! `[bots.<name>.settings]`: whatever the plugin is to know, as the JSON that it gets.

use serde_json::{Map, Value};

use super::{
    check::{Checked, Checks, Reported},
    located::Located,
    mistake::Mistake,
};

impl Checks<'_> {
    pub(super) fn settings(&mut self, raw: Option<&Located<toml::Table>>) -> Checked<Value> {
        let Some(raw) = raw else { return Ok(Value::Object(Map::new())) };
        let mut infinite = Vec::new();
        let settings = json_table(raw.get(), "settings", &mut infinite);
        for key in &infinite {
            self.findings.add(raw.span(), Mistake::NotFinite { key: key.clone() });
        }
        infinite.is_empty().then_some(settings).ok_or(Reported)
    }
}

fn json_table(table: &toml::Table, path: &str, infinite: &mut Vec<String>) -> Value {
    let entries =
        table.iter().map(|(key, value)| (key.clone(), json(value, &format!("{path}.{key}"), infinite)));
    Value::Object(entries.collect())
}

/// The same in JSON. Dates become texts; numbers that JSON does not have are noted.
fn json(value: &toml::Value, path: &str, infinite: &mut Vec<String>) -> Value {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(array) => {
            let items = array.iter().enumerate();
            items.map(|(index, item)| json(item, &format!("{path}[{index}]"), infinite)).collect()
        }
        toml::Value::Table(table) => json_table(table, path, infinite),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number).map_or_else(
            || {
                infinite.push(path.to_owned());
                Value::Null
            },
            Value::Number,
        ),
    }
}
