//! What a right file becomes, and that any text becomes something.

mod cron;
mod http;
mod mistakes;
mod salvage;
mod schema;
mod secrets;

use std::{net::SocketAddr, path::Path, time::Duration};

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::id::RoomId;

const SAMPLE: &str = include_str!("../../../bots.toml");
const BOT_KEY: &str = "7-abcDEF123456";
const WEBHOOK_SECRET: &str = "0123456789abcdef-_XY";

fn parse_with(source: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    Config::parse(Path::new("bots.toml"), source, environment)
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
    assert_eq!(
        config.bots.keys().map(BotName::as_str).collect::<Vec<_>>(),
        ["assistant", "echo", "reminders"]
    );
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
    assert_eq!((config.host.queue_limit, config.host.bot_hops), (32, 8));
    assert_eq!(config.host.max_body, 1 << 20);
    assert_eq!(config.host.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.host.inbox_retention, 30 * units::DAY);
    assert_eq!(config.host.journal_retention, 30 * units::DAY);
    assert_eq!(config.campfire.url, None);
    assert_eq!(config.campfire.timeout, Duration::from_secs(20));
    assert_eq!(config.store, StoreLocation::Sqlite(here.join(".hearth/hearth.db")));
    assert_eq!(config.agent.command, ["claude"]);
    assert!(!config.agent.is_demo);
    assert!(config.agent.environment.is_empty());
    assert_eq!(config.agent.starts, std::thread::available_parallelism().unwrap().get());
    assert!(config.agent.wrapper.is_empty() && config.agent.nice.is_none());
    let warm = Warm { processes: 8, memory: 1 << 30, idle: 10 * units::MINUTE };
    assert_eq!(config.agent.warm, warm);
    assert_eq!(config.agent.deadlines.start, Duration::from_secs(20));
    assert_eq!(config.agent.deadlines.first_event, units::MINUTE);
    assert_eq!(config.agent.deadlines.silence, 5 * units::MINUTE);
    assert_eq!(config.agent.deadlines.total, 15 * units::MINUTE);
    assert_eq!(config.agent.deadlines.exit, Duration::from_secs(5));

    let bot = bot(&config, "echo");
    assert_eq!(bot.name.as_str(), "echo");
    assert_eq!(bot.plugin, here.join("plugins/dist/echo.wasm"));
    assert!(bot.bot_key.is_none() && bot.webhook_secret.is_none() && bot.campfire_url.is_none());
    assert!(bot.rooms.is_empty() && bot.model.is_none() && bot.system_prompt.is_none());
    assert!(bot.builtin_tools.is_empty() && bot.budget_usd_turn.is_none());
    assert_eq!((bot.max_turns, bot.turns_in_flight), (16, None));
    assert_eq!(bot.session_ttl, units::DAY);
    assert_eq!(bot.progress_after, Some(4 * units::SECOND));
    assert_eq!((bot.stop_words.as_slice(), bot.attach_over), (["stop".to_owned()].as_slice(), None));
    let limits = Limits {
        memory: 64 << 20,
        tables: 100_000,
        compute: Duration::from_secs(2),
        call_time: Duration::from_secs(30),
        host_calls: 1_000,
        log_lines: 100,
    };
    assert_eq!(bot.limits, limits);
    assert!(bot.grants.is_empty() && bot.http.is_empty());
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
bot-hops = 0
max-body = 2048
shutdown-grace = "0s"
inbox-retention = "2d"
journal-retention = "24h"
[campfire]
url = "https://campfire.example.com"
timeout = "500ms"
[store]
url = "sqlite:chat/store.db"
[agent]
command = ["bin/agent", "--fast"]
environment = ["ANTHROPIC_API_KEY"]
wrapper = ["bin/wrap", "--"]
nice = 10
starts = 3
warm = { processes = 0, memory = "16MiB", idle = "1s" }
deadlines = { start = "1s", first-event = "2s", silence = "3s", total = "4s", exit = "5s" }
[bots.one]
plugin = "shared/bot.wasm"
campfire-url = "http://127.0.0.1:3000"
rooms = [7, 8]
model = "sonnet"
system-prompt = "Be brief."
builtin-tools = ["WebSearch"]
max-turns = 3
turns-in-flight = 2
budget-usd.turn = 1
budget-usd.day = 2.5
progress-after = "0s"
stop-words = [" Halt "]
attach-over = "8KiB"
session-ttl = "30d"
limits = { memory = "256MiB", tables = 1_000, compute = "10ms", call-time = "1m", host-calls = 10, log-lines = 0 }
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
    assert_eq!(config.host.bot_hops, 0);
    assert_eq!(config.host.inbox_retention, 2 * units::DAY);
    assert_eq!((config.host.shutdown_grace, config.host.journal_retention), (Duration::ZERO, units::DAY));
    assert_eq!(config.campfire.timeout, Duration::from_millis(500));
    assert_eq!(config.store, StoreLocation::Sqlite("/var/lib/hearth/chat/store.db".into()));
    assert_eq!(config.agent.command, [here.join("bin/agent").to_str().unwrap(), "--fast"]);
    assert_eq!(config.agent.environment, ["ANTHROPIC_API_KEY"]);
    assert_eq!(config.agent.starts, 3);
    assert_eq!(config.agent.wrapper, [here.join("bin/wrap").to_str().unwrap(), "--"]);
    assert_eq!(config.agent.nice, Some(10));
    assert_eq!(config.agent.warm, Warm { processes: 0, memory: 16 << 20, idle: Duration::from_secs(1) });
    let Deadlines { start, first_event, silence, total, exit } = config.agent.deadlines;
    assert_eq!([start, first_event, silence, total, exit].map(|step| step.as_secs()), [1, 2, 3, 4, 5]);

    let one = bot(&config, "one");
    assert_eq!(one.plugin, here.join("shared/bot.wasm"));
    assert_eq!(one.campfire_url.as_ref().unwrap().as_str(), "http://127.0.0.1:3000/");
    assert_eq!(one.rooms, [RoomId(7), RoomId(8)]);
    assert_eq!(one.model.as_deref(), Some("sonnet"));
    assert_eq!(one.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(one.builtin_tools, ["WebSearch"]);
    assert_eq!((one.max_turns, one.turns_in_flight, one.budget_usd_turn), (3, Some(2), Some(1.0)));
    assert_eq!(one.session_ttl, 30 * units::DAY);
    assert_eq!((one.budget_usd_day, one.progress_after, one.attach_over), (Some(2.5), None, Some(8 << 10)));
    assert_eq!(one.stop_words, ["halt"]);
    let limits = Limits {
        memory: 256 << 20,
        tables: 1_000,
        compute: Duration::from_millis(10),
        call_time: units::MINUTE,
        host_calls: 10,
        log_lines: 0,
    };
    assert_eq!(one.limits, limits);
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

// === Anything ===

fn fragments() -> impl Strategy<Value = String> {
    let pieces = [
        "[host]",
        "[[bots]]",
        "[bots.a]",
        "[bots.a.limits]",
        "[bots.a.http.'a.b:1'.headers]",
        "http",
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
        let tables: Vec<_> =
            bots.iter().enumerate().map(|(n, kind)| format!("[bots.b{n}]\n{}\n", mistakes[*kind])).collect();
        prop_assert_eq!(problems(&tables.concat()).len(), bots.len());
    }
}

#[test]
fn a_store_in_redis_has_its_password_from_where_secrets_are() {
    let toml = "[store]\nurl = 'rediss://ann@redis.example:7000/3?prefix=two'\npassword = '${REDIS_PASSWORD}'\n[bots.echo]\nplugin = 'echo'";
    let known = |name: &str| (name == "REDIS_PASSWORD").then(|| "correct horse".to_owned());
    let config = parse_with(toml, &known).unwrap();
    let StoreLocation::Redis(location) = &config.store else { panic!("{:?}", config.store) };
    assert_eq!(location.to_string(), "rediss://redis.example:7000/3?prefix=two");
    assert_eq!(location.password.as_ref().unwrap().expose_secret(), "correct horse");
    assert!(!format!("{config:?}").contains("correct horse"));
    let changed = parse_with(toml, &|_| Some("another".to_owned())).unwrap();
    assert_eq!(config.needs_restart(&changed), ["[store]"]);

    let whole = toml.replace("password = '${REDIS_PASSWORD}'\n", "");
    let whole = whole.replace("'rediss://ann@redis.example:7000/3?prefix=two'", "'${REDIS_URL}'");
    let config = parse_with(&whole, &|_| Some("redis://ann:p%40ss@redis.example".to_owned())).unwrap();
    let StoreLocation::Redis(location) = &config.store else { panic!("{:?}", config.store) };
    assert_eq!(location.password.as_ref().unwrap().expose_secret(), "p@ss");

    let without = parse_with(toml, &|_| None).unwrap_err();
    assert!(format!("{without:#}").contains("`REDIS_PASSWORD`"), "{without:#}");
    let twice = parse_with(&toml.replace("ann@", "ann:p@"), &known).unwrap_err();
    assert!(format!("{twice:#}").contains("there is `password` too"), "{twice:#}");
    let of_a_file = parse("[store]\npassword = 'x'\n[bots.echo]\nplugin = 'echo'").unwrap_err();
    assert!(format!("{of_a_file:#}").contains("is a file"), "{of_a_file:#}");
}

#[test]
fn a_place_is_known_without_the_secret_that_its_store_takes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bots.toml");
    let toml = "[store]\nurl = 'redis://localhost'\npassword = '${HEARTH_TEST_NEVER_SET}'\n[bots.echo]\nplugin = 'echo'";
    std::fs::write(&path, toml).unwrap();
    let place = Place::load(&path).unwrap();
    assert_eq!(place.data_dir, folder.path().join(".hearth"));
    let unknown = place.store().unwrap_err();
    assert!(format!("{unknown:#}").contains("`HEARTH_TEST_NEVER_SET`"), "{unknown:#}");
    std::fs::write(&path, toml.replace("${HEARTH_TEST_NEVER_SET}", "literal")).unwrap();
    assert!(matches!(place.store().unwrap(), StoreLocation::Redis(_)));
}
