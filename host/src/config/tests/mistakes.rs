//! What an operator reads when something is wrong.

use std::fs;

use super::*;

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
turnip = 2
data_dir = "x"
[bots.echo]
plugin = "echo"
while-busy = "queue"
timers = []
memory = "1MiB"
limits = { memroy = "1MiB" }
bugdet-usd.turn = 1
[bots.echo.settings]
any.thing = { goes = true }
"#
    ));
}

#[test]
fn what_does_not_go_together_is_told_with_what_to_change() {
    let told = plain(
        r#"
[agent]
sandbox-read = ["/srv/handbook"]
[bots.echo]
plugin = "echo"
spares = 1
builtin-tools = ["Read"]
"#,
    );
    for words in [
        "there is no sandbox that this path could be added to",
        "sandbox = \"landlock\"",
        "`echo` has both `spares` and `builtin-tools`",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
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
    let tables: Vec<_> = (0..200).map(|n| format!("[bots.b{n}]\nplugin = {n}\n")).collect();
    let problems = problems(&tables.concat());
    assert_eq!(problems.len(), 51);
    assert!(problems.iter().any(|problem| matches!(problem.mistake(), Mistake::MoreWrongTypes)));
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
url = "http://localhost"
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
limits = { memory = -1, tables = 999, compute = "61s", call-time = "61s", host-calls = 9, log-lines = 10_001 }
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
    insta::assert_snapshot!(load(), @r"
    /bots.toml has a problem
    /bots.toml: the configuration can't be read: No such file or directory (os error 2) (name another file with `--config <file>`, or see that this one is there and readable)
    ");
    fs::write(&path, b"# fine\n\xff").unwrap();
    insta::assert_snapshot!(load(), @r"
    /bots.toml has a problem
    /bots.toml: line 2 is not UTF-8 text (save the file as UTF-8)
    ");
    fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    insta::assert_snapshot!(load(), @r"
    /bots.toml has a problem
    /bots.toml: the configuration can't be read: longer than 1MiB (name another file with `--config <file>`, or see that this one is there and readable)
    ");
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

#[test]
fn what_other_machines_can_reach_needs_a_token_that_nobody_guesses() {
    let echo = "[bots.echo]\nplugin = 'echo'\n[host]\n";
    for lines in ["admin = '0.0.0.0:1'", "admin = '[::]:1'", "admin-token = 'short'", "admin = 'on'"] {
        let text = plain(&format!("{echo}{lines}"));
        assert!(text.starts_with("bots.toml has a problem") || text.starts_with("bots.toml:4"), "{text}");
    }
    insta::assert_snapshot!(plain(&format!("{echo}admin = '0.0.0.0:1'")));
    let admin = |lines: &str| parse(&format!("{echo}{lines}")).unwrap().host.admin;
    assert_eq!(admin("").unwrap().listen.to_string(), "127.0.0.1:8789");
    assert!(admin("admin = '[::1]:0'").unwrap().token.is_none());
    assert!(
        admin(&format!("admin = '0.0.0.0:1'\nadmin-token = '{WEBHOOK_SECRET}'")).unwrap().token.is_some()
    );
    assert!(admin("admin = 'off'").is_none());
}
