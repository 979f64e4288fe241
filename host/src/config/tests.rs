//! What an operator meets: defaults, reports, secrets, and the schema.

use std::{fs, path::Path};

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

const SAMPLE: &str = include_str!("../../../bots.toml");
const BOT_KEY: &str = "7-abcDEF123456";
const WEBHOOK_SECRET: &str = "0123456789abcdef-_XY";

fn parse_with(source: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    Config::parse(Path::new("bots.toml"), source.to_owned(), environment)
}

fn parse(source: &str) -> Result<Config, Problems> {
    parse_with(source, &|_| None)
}

fn problems(source: &str) -> Problems {
    parse(source).expect_err("this has a problem")
}

fn plain(source: &str) -> String {
    format!("{:#}", problems(source))
}

fn rendered(problems: &Problems) -> String {
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(110);
    handler.render_report(&mut text, problems).unwrap();
    text
}

fn bot<'a>(config: &'a Config, name: &str) -> &'a Bot {
    &config.bots[&BotName::from(name)]
}

// === What is right ===

#[test]
fn the_sample_runs_as_it_is() {
    let config = parse(SAMPLE).unwrap();
    assert!(config.agent.is_demo);
    assert_eq!(config.agent.command[0], std::env::current_exe().unwrap().to_str().unwrap());
    assert_eq!(config.agent.command[1..], ["demo-agent"]);
    assert_eq!(config.bots.keys().map(BotName::as_str).collect::<Vec<_>>(), ["assistant", "echo"]);
    assert!(bot(&config, "assistant").settings["persona"].is_string());
    let commented_out_example =
        SAMPLE.replace("# bot-key", "bot-key").replace("# webhook-secret", "webhook-secret");
    parse_with(&commented_out_example, &|name| match name {
        "ASSISTANT_BOT_KEY" => Some(BOT_KEY.into()),
        "ASSISTANT_WEBHOOK_SECRET" => Some(WEBHOOK_SECRET.into()),
        _ => None,
    })
    .unwrap();
}

#[test]
fn what_is_not_said_has_its_default() {
    let config = parse("[bots.echo]\nplugin = 'echo'").unwrap();
    let here = std::env::current_dir().unwrap();

    assert_eq!(config.host.listen, SocketAddr::from(([127, 0, 0, 1], 8787)));
    assert_eq!(config.host.public_url.as_str(), "http://127.0.0.1:8787/");
    assert_eq!(config.host.data_dir, here.join(".hearth"));
    assert_eq!(config.host.plugins, here.join("plugins/dist"));
    assert_eq!(config.host.turns_in_flight, 32);
    assert_eq!(config.host.queue_limit, 32);
    assert_eq!(config.host.max_body, 1 << 20);
    assert_eq!(config.host.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.host.journal_retention, 30 * units::DAY);
    assert_eq!(config.campfire.url, None);
    assert_eq!(config.campfire.timeout, Duration::from_secs(20));
    assert_eq!(config.store, StoreLocation::Sqlite(here.join(".hearth/hearth.db")));
    assert_eq!(config.agent.command, ["claude"]);
    assert!(!config.agent.is_demo);
    assert!(config.agent.environment.is_empty());
    assert_eq!(config.agent.starts, std::thread::available_parallelism().unwrap().get());
    assert_eq!(config.agent.deadlines.start, Duration::from_secs(20));
    assert_eq!(config.agent.deadlines.first_event, Duration::from_secs(60));
    assert_eq!(config.agent.deadlines.silence, Duration::from_secs(300));
    assert_eq!(config.agent.deadlines.total, Duration::from_secs(900));
    assert_eq!(config.agent.deadlines.exit, Duration::from_secs(5));

    let bot = bot(&config, "echo");
    assert_eq!(bot.name.as_str(), "echo");
    assert_eq!(bot.plugin, here.join("plugins/dist/echo.wasm"));
    assert!(bot.bot_key.is_none() && bot.webhook_secret.is_none() && bot.campfire_url.is_none());
    assert!(bot.rooms.is_empty() && bot.model.is_none() && bot.system_prompt.is_none());
    assert!(bot.builtin_tools.is_empty() && bot.budget_usd_turn.is_none());
    assert_eq!(bot.max_turns, 16);
    assert_eq!(bot.session_ttl, units::DAY);
    assert_eq!(bot.limits, Limits { memory: 64 << 20, call_time: Duration::from_secs(2) });
    assert_eq!(bot.settings, serde_json::json!({}));
}

#[test]
fn what_is_said_is_taken() {
    let source = r#"
[host]
listen = "[::1]:0"
public-url = "https://${NAME}.example.com/hearth"
data-dir = "/var/lib/hearth"
plugins = "built"
turns-in-flight = 1
queue-limit = 10_000
max-body = 2048
shutdown-grace = "0s"
journal-retention = "24h"
[campfire]
url = "https://campfire.example.com"
timeout = "500ms"
[store]
url = "sqlite:chat/store.db"
[agent]
command = ["bin/agent", "--fast"]
environment = ["ANTHROPIC_API_KEY"]
starts = 3
deadlines = { start = "1s", first-event = "2s", silence = "3s", total = "4s", exit = "5s" }
[bots.one]
plugin = "shared/bot.wasm"
campfire-url = "http://127.0.0.1:3000"
rooms = [7, 8]
model = "sonnet"
system-prompt = "Be brief."
builtin-tools = ["WebSearch"]
max-turns = 3
budget-usd.turn = 1
session-ttl = "30d"
limits = { memory = "256MiB", call-time = "10ms" }
settings = { since = 2026-01-02T03:04:05Z, list = [1, 2.5, { deep = true }] }
[bots.2]
plugin = "shared/bot.wasm"
"#;
    let config = parse_with(source, &|name| (name == "NAME").then(|| "bots".into())).unwrap();
    let here = std::env::current_dir().unwrap();

    assert_eq!(config.host.listen.to_string(), "[::1]:0");
    assert_eq!(config.host.public_url.as_str(), "https://bots.example.com/hearth");
    assert_eq!(config.host.data_dir, Path::new("/var/lib/hearth"));
    assert_eq!(config.host.plugins, here.join("built"));
    assert_eq!(
        (config.host.turns_in_flight, config.host.queue_limit, config.host.max_body),
        (1, 10_000, 2048)
    );
    assert_eq!((config.host.shutdown_grace, config.host.journal_retention), (Duration::ZERO, units::DAY));
    assert_eq!(config.campfire.timeout, Duration::from_millis(500));
    assert_eq!(config.store, StoreLocation::Sqlite("/var/lib/hearth/chat/store.db".into()));
    assert_eq!(config.agent.command, [here.join("bin/agent").to_str().unwrap(), "--fast"]);
    assert_eq!(config.agent.environment, ["ANTHROPIC_API_KEY"]);
    assert_eq!(config.agent.starts, 3);
    let Deadlines { start, first_event, silence, total, exit } = config.agent.deadlines;
    assert_eq!([start, first_event, silence, total, exit].map(|step| step.as_secs()), [1, 2, 3, 4, 5]);

    let one = bot(&config, "one");
    assert_eq!(one.plugin, here.join("shared/bot.wasm"));
    assert_eq!(one.campfire_url.as_ref().unwrap().as_str(), "http://127.0.0.1:3000/");
    assert_eq!(one.rooms, [RoomId(7), RoomId(8)]);
    assert_eq!(one.model.as_deref(), Some("sonnet"));
    assert_eq!(one.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(one.builtin_tools, ["WebSearch"]);
    assert_eq!((one.max_turns, one.budget_usd_turn), (3, Some(1.0)));
    assert_eq!(one.session_ttl, 30 * units::DAY);
    assert_eq!(one.limits, Limits { memory: 256 << 20, call_time: Duration::from_millis(10) });
    let settings = serde_json::json!({ "since": "2026-01-02T03:04:05Z", "list": [1, 2.5, { "deep": true }] });
    assert_eq!(one.settings, settings);
    let two = bot(&config, "2");
    assert_eq!(two.campfire_url, config.campfire.url);
}

#[test]
fn the_demo_agent_is_known_in_every_spelling() {
    let agent = |command: &str| {
        parse(&format!("agent.command = {command}\nbots.a.plugin = 'a'")).map(|config| config.agent).unwrap()
    };
    let own = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    assert_eq!(agent("['demo-agent', '--slow']").command, [&own, "demo-agent", "--slow"]);
    assert!(agent("['demo-agent']").is_demo);
    assert!(agent("['/opt/hearth', 'demo-agent']").is_demo);
    assert!(!agent("['claude', '--demo-agent']").is_demo);
}

// === Secrets ===

#[test]
fn secrets_come_from_the_text_the_environment_and_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), format!("{BOT_KEY}\n")).unwrap();
    fs::write(folder.path().join("prompt.md"), "Be brief.\n").unwrap();
    fs::write(
        folder.path().join("bots.toml"),
        format!(
            "[bots.a]\nplugin = 'a'\nbot-key = 'file:key'\nwebhook-secret = '{WEBHOOK_SECRET}'\n\
             system-prompt-file = 'prompt.md'\n[bots.b]\nplugin = 'b'\nbot-key = '8-${{TOKEN}}'\n\
             webhook-secret = 'file:${{FOLDER}}/secret'"
        ),
    )
    .unwrap();
    fs::write(folder.path().join("secret"), "another_webhook_secret\r\n").unwrap();
    let path = folder.path().join("bots.toml");
    let config = Config::parse(&path, fs::read_to_string(&path).unwrap(), &|name| match name {
        "TOKEN" => Some("abcdefghijkl".into()),
        "FOLDER" => Some(folder.path().to_str().unwrap().into()),
        _ => None,
    })
    .unwrap();

    let secrets = |name: &str| {
        let bot = bot(&config, name);
        [&bot.bot_key, &bot.webhook_secret].map(|secret| secret.as_ref().unwrap().expose_secret().to_owned())
    };
    assert_eq!(secrets("a"), [BOT_KEY, WEBHOOK_SECRET]);
    assert_eq!(secrets("b"), ["8-abcdefghijkl", "another_webhook_secret"]);
    assert_eq!(bot(&config, "a").system_prompt.as_deref(), Some("Be brief.\n"));
    let debug = format!("{config:?}");
    for secret in [BOT_KEY, WEBHOOK_SECRET, "abcdefghijkl", "another_webhook_secret"] {
        assert!(!debug.contains(secret), "{debug}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_named_by_its_variable_or_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("long"), vec![b'a'; 65 * 1024]).unwrap();
    let path = folder.path().join("bots.toml");
    let source = "[bots.a]\nplugin = 'a'\nbot-key = '${ONE}-${TWO}'\nwebhook-secret = 'file:none'\n\
                  [bots.b]\nplugin = 'b'\nbot-key = 'file:long'\nwebhook-secret = 'file:.'\n\
                  [bots.c]\nplugin = 'c'\nbot-key = '${EMPTY}'\nwebhook-secret = '${OPEN'\nsystem-prompt-file = 'none.md'";
    let environment = |name: &str| (name == "EMPTY").then(String::new);
    let problems = Config::parse(&path, source.to_owned(), &environment).unwrap_err();
    let text = format!("{problems:#}").replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(text);
}

#[test]
fn no_report_shows_a_secret() {
    let source = format!(
        "host.lisen = 1\ncampfire.url = 'https://ann:{WEBHOOK_SECRET}@campfire.example.com'\n\
         [bots.a]\nbot-key = '{BOT_KEY}?'\nwebhook-secret = '{WEBHOOK_SECRET}'\n\
         [bots.b]\nbot_key = '{BOT_KEY}'\nwebhook-secret = '{WEBHOOK_SECRET}'\n\
         [bots.c]\nbot-key = ['{BOT_KEY}']\nwebhook-secret = '${{{WEBHOOK_SECRET}!}}'\n\
         [bots.d]\nwebhook-secret = 'short'"
    );
    for source in [source.clone(), format!("{source}\nx x\nbot-key {BOT_KEY}\n")] {
        let problems = problems(&source);
        let reports = [rendered(&problems), format!("{problems:#}"), format!("{problems:?}")];
        for report in reports {
            assert!(!report.contains(BOT_KEY) && !report.contains(WEBHOOK_SECRET), "{report}");
            assert!(!report.contains("short'"), "{report}");
        }
    }
}

// === What is wrong ===

#[test]
fn five_mistakes_are_one_report() {
    let problems = problems(
        r#"
[host]
listen = "localhost"
turns-in-flight = 0

[bots.echo]
plugin = "echo"
bot-key = "2-abcdefghijkl"
max-turns = "many"

[bots.Assistant]
plugin = "assistant"
sytem-prompt = "You are kind."
"#,
    );
    assert_eq!(problems.len(), 5);
    insta::assert_snapshot!(rendered(&problems));
    insta::assert_snapshot!(problems, @"bots.toml has 5 problems");
}

#[test]
fn unknown_keys_get_the_nearest_name_or_the_right_table() {
    insta::assert_snapshot!(plain(
        r#"
listen = "127.0.0.1:1"
[agent]
start = "1s"
Command = "claude"
[host]
admin = "127.0.0.1:2"
data_dir = "x"
[bots.echo]
plugin = "echo"
while-busy = "queue"
http = []
memory = "1MiB"
limits = { memroy = "1MiB" }
bugdet-usd.turn = 1
[bots.echo.settings]
any.thing = { goes = true }
"#
    ));
}

#[test]
fn every_wrong_type_is_told_with_an_example() {
    insta::assert_snapshot!(plain(
        r#"
[host]
listen = 8787
max-body = true
shutdown-grace = 30
turns-in-flight = 99999999999999999999
[agent]
command = [["claude"]]
environment = ["A", 1, "B", 2.5]
[[store]]
[bots.echo]
plugin = { name = "echo" }
budget-usd = 5
[bots.echo.model.name]
[bots]
other = "other"
"#
    ));
}

#[test]
fn a_flood_of_wrong_types_is_cut_short() {
    let source: String = (0..200).map(|n| format!("[bots.b{n}]\nplugin = {n}\n")).collect();
    let problems = problems(&source);
    assert_eq!(problems.len(), 51);
    assert!(problems.iter().any(|problem| matches!(problem.mistake(), Mistake::TooManyWrongTypes { .. })));
}

#[test]
fn values_are_held_to_their_bounds_and_units() {
    insta::assert_snapshot!(plain(
        r#"
[host]
public-url = "ftp://example.com"
queue-limit = 10_001
max-body = "65MiB"
shutdown-grace = "2 h"
journal-retention = "23h"
data-dir = ""
[campfire]
url = "campfire.example.com"
timeout = "0s"
[store]
url = "redis://localhost"
[agent]
command = "claude --verbose"
environment = ["A=B"]
starts = 0
[agent.deadlines]
silence = "5 minutes"
[bots.a]
plugin = " "
campfire-url = "https://example.com/?room=1"
rooms = [1, 0, -1]
model = ""
builtin-tools = [""]
budget-usd.turn = 0
session-ttl = "500ms"
limits = { memory = -1, call-time = "61s" }
settings = { a.b = [1.0, nan] }
[bots.-b]
[bots.c]
plugin = "c"
system-prompt = "one"
system-prompt-file = "two"
"#
    ));
}

#[test]
fn two_bots_cannot_share_a_secret() {
    let source = format!(
        "[bots.second-by-name]\nplugin = 'x'\nbot-key = '{BOT_KEY}'\nwebhook-secret = '{WEBHOOK_SECRET}'\n\
         [bots.a]\nplugin = 'x'\nbot-key = '{BOT_KEY}'\nwebhook-secret = '{WEBHOOK_SECRET}'\n"
    );
    insta::assert_snapshot!(rendered(&problems(&source)));
}

#[test]
fn syntax_errors_do_not_hide_what_the_other_lines_say() {
    insta::assert_snapshot!(plain(
        r#"
[host]
listen =
queue-limit = 0
[bots.echo
plugin = "echo"
plugin = "echo"
[bots.other]
plugn = "other"
model = sonnet
"#
    ));
}

#[test]
fn a_text_that_never_ends_does_not_make_the_rest_missing() {
    let problems = problems("[bots.echo]\nmodel = '''\nplugin = 'echo'\n");
    assert!(
        problems.iter().all(|problem| matches!(problem.mistake(), Mistake::Syntax { .. })),
        "{problems:#}"
    );
}

#[test]
fn a_deployment_needs_a_bot() {
    for source in ["", "[bots]", "bots = {}"] {
        assert!(matches!(problems(source).iter().next().unwrap().mistake(), Mistake::NoBots), "{source}");
    }
    insta::assert_snapshot!(plain("[bot.echo]\nplugin = 'echo'"), @r"
    bots.toml has a problem
    bots.toml:1:2: unknown key `bot` at the top level; did you mean `bots`? (write `bots`, or remove it)
    ");
}

#[test]
fn places_count_characters_from_one() {
    let problems = problems("# ü\n\"ü\" = 1\nbots = { a = { plugin = 'ü', x = 1 } }");
    let places: Vec<_> = problems.iter().map(|problem| problem.line_and_column().unwrap()).collect();
    assert_eq!(places, [(2, 1), (3, 30)]);
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bots.toml");
    let load =
        || format!("{:#}", Config::load(&path).unwrap_err()).replace(folder.path().to_str().unwrap(), "");
    insta::assert_snapshot!(load(), @"");
    fs::write(&path, b"# fine\n\xff").unwrap();
    insta::assert_snapshot!(load(), @"");
    fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    insta::assert_snapshot!(load(), @"");
    fs::write(&path, "bots.a.plugin = 'a'").unwrap();
    assert_eq!(Config::load(&path).unwrap().host.data_dir, folder.path().join(".hearth"));
}

#[test]
fn production_names_every_bot_that_only_the_playground_can_run() {
    let ready = format!(
        "campfire-url = 'https://c.example.com'\nbot-key = '{BOT_KEY}'\nwebhook-secret = '{WEBHOOK_SECRET}'\n"
    );
    let source = format!(
        "[bots.my-echo]\nplugin = 'echo'\n[bots.ready]\nplugin = 'x'\n{ready}[bots.half]\nplugin = 'x'\nbot-key = '8-abcdefghijkl'"
    );
    let problems = parse(&source).unwrap().for_production().unwrap_err();
    insta::assert_snapshot!(rendered(&problems));
    let with_campfire = format!("[bots.ready]\nplugin = 'x'\n{ready}");
    parse(&with_campfire).unwrap().for_production().unwrap();
}

// === The schema ===

#[test]
fn the_schema_takes_what_is_right_and_refuses_what_is_not() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let fits = |source: &str| {
        let table: toml::Table = toml::from_str(source).unwrap();
        validator.is_valid(&serde_json::to_value(table).unwrap())
    };
    assert!(fits(SAMPLE));
    assert!(fits("bots.a = { plugin = 'a', limits.memory = 1048576, settings.any = [1] }"));
    for wrong in [
        "",
        "bots = {}",
        "bots.a = {}",
        "bots.A.plugin = 'a'",
        "bots.a = { plugin = 'a', sytem-prompt = 'x' }",
        "bots.a = { plugin = 'a', system-prompt = 'x', system-prompt-file = 'y' }",
        "bots.a = { plugin = 'a', session-ttl = '1 day' }",
        "bots.a = { plugin = 'a', limits.memory = '1M' }",
        "bots.a = { plugin = 'a', rooms = [0] }",
        "bots.a.plugin = 'a'\nhost.admin = 'x'",
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
    undescribed(&schema["properties"]["bots"]["additionalProperties"], "bots", &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(schema["properties"]["host"]["properties"]["listen"]["default"], "127.0.0.1:8787");
    assert_eq!(
        schema["properties"]["bots"]["additionalProperties"]["properties"]["session-ttl"]["default"],
        "24h"
    );
    assert!(!schema.to_string().contains("null"));
}

// === Anything ===

fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "[host]",
        "[[bots]]",
        "[bots.a]",
        "[bots.a.limits]",
        "bots",
        "plugin",
        "bot-key",
        "memory",
        "settings",
        ".",
        "=",
        " ",
        "\n",
        "\r\n",
        "\"",
        "'''",
        "'x'",
        "1",
        "-",
        "nan",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "${",
        "}",
        "file:",
        "ü",
        "2026-01-01",
        "\u{0}",
        "agent.command",
        "url",
        "http://a@b",
        "20s",
        "host.listen",
        "true",
        "0x",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40)
        .prop_map(|pieces| pieces.concat())
}

fn survives(source: &str) -> Result<(), TestCaseError> {
    match parse_with(source, &|_| Some("value".into())) {
        Ok(config) => prop_assert!(!config.bots.is_empty()),
        Err(problems) => {
            prop_assert!(problems.len() > 0);
            rendered(&problems);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_reasons(source in ".{0,200}") {
        survives(&source)?;
    }

    #[test]
    fn any_mix_of_toml_is_read_or_refused_with_reasons(source in fragments()) {
        survives(&source)?;
    }

    #[test]
    fn one_bots_mistake_hides_no_other_bots(bots in proptest::collection::vec(0..4_usize, 1..8)) {
        let mistakes = ["plugin = 1", "plugn = 'x'", "plugin = ''", "plugin = 'x'\nmax-turns = 0"];
        let source: String =
            bots.iter().enumerate().map(|(n, kind)| format!("[bots.b{n}]\n{}\n", mistakes[*kind])).collect();
        prop_assert_eq!(problems(&source).len(), bots.len());
    }
}
