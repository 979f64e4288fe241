//! What editors are told.

use super::{super::schema, *};

#[test]
fn the_schema_takes_what_is_right_and_refuses_what_is_not() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let fits = |source: &str| {
        let table: toml::Table = toml::from_str(source).unwrap();
        validator.is_valid(&serde_json::to_value(table).unwrap())
    };
    assert!(fits(SAMPLE));
    assert!(fits("bots.a = { plugin = 'a', limits.memory = 1048576, settings.any = [1] }"));
    assert!(fits(
        "bots.a = { plugin = 'a', http.'a.example:8443' = { private = true, headers.x-key = '${KEY}' }, http.b = {} }"
    ));
    for wrong in [
        "bots.a = { plugin = 'a', http = ['a.example'] }",
        "bots.a = { plugin = 'a', http.'a.example' = { privat = true } }",
        "bots.a = { plugin = 'a', http.'a.example'.headers.x-key = 1 }",
        "",
        "bots = {}",
        "bots.a = {}",
        "bots.A.plugin = 'a'",
        "bots.a = { plugin = 'a', sytem-prompt = 'x' }",
        "bots.a = { plugin = 'a', system-prompt = 'x', system-prompt-file = 'y' }",
        "bots.a = { plugin = 'a', session-ttl = '1 day' }",
        "bots.a = { plugin = 'a', limits.memory = '1M' }",
        "bots.a = { plugin = 'a', rooms = [0] }",
        "bots.a.plugin = 'a'\nhost.turnip = 'x'",
        "bots.a.plugin = 'a'\nhost.turns-in-flight = 0",
        "bots.a.plugin = 'a'\nagent.environment = ['A=B']",
        "bots.a.plugin = 'a'\nagent.command = []",
    ] {
        assert!(!fits(wrong), "{wrong}");
    }
}

#[test]
fn the_schema_describes_every_key_and_knows_the_defaults() {
    fn undescribed(node: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        for (name, below) in node["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            if below["description"].as_str().is_none_or(str::is_empty) {
                found.push(path.clone());
            }
            undescribed(below, &path, found);
        }
    }
    let schema = schema();
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    let bot = &schema["properties"]["bots"]["additionalProperties"];
    undescribed(bot, "bots", &mut found);
    undescribed(&bot["properties"]["http"]["additionalProperties"], "http", &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(schema["properties"]["host"]["properties"]["listen"]["default"], "127.0.0.1:8787");
    assert_eq!(
        schema["properties"]["bots"]["additionalProperties"]["properties"]["session-ttl"]["default"],
        "24h"
    );
    assert!(!schema.to_string().contains("null"));
    let environment = &schema["properties"]["agent"]["properties"]["environment"];
    assert_eq!(environment["items"].as_object().unwrap().keys().collect::<Vec<_>>(), ["pattern", "type"]);
}
