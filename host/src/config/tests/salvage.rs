//! What is left of a file in which some bots have mistakes, and what counts as a change.

use std::fs;

use super::*;

fn salvage(source: &str) -> Result<Salvage, Problems> {
    Salvage::parse(Path::new("bots.toml"), source, &|_| None)
}

/// The bots that are right, and those that are not.
fn sorted(salvage: &Salvage) -> (Vec<&str>, Vec<&str>) {
    let right = salvage.config.bots.keys().map(BotName::as_str).collect();
    (right, salvage.refused.keys().map(BotName::as_str).collect())
}

#[test]
fn a_bots_mistake_takes_only_that_bot_out() {
    let mistakes = [
        "max-turns = 0",
        "max-turns = 'many'",
        "max_turns = 3",
        "model = 7",
        "limits.memory = '1KiB'",
        "settings.ratio = inf",
        "webhook-secret = 'short'",
        "bot-key = '${UNSET}'",
        "system-prompt-file = 'no-such-file'",
        "cron.daily = { at = 'never', room = 1 }",
        "http.\"example.com\" = 3",
        "limits = 5",
    ];
    for mistake in mistakes {
        let source = format!(
            "[bots.before]\nplugin = 'a'\n[bots.wrong]\nplugin = 'b'\n{mistake}\n[bots.behind]\nplugin = 'c'"
        );
        let salvage = salvage(&source).unwrap_or_else(|problems| panic!("{mistake}: {problems:#}"));
        assert_eq!(sorted(&salvage), (vec!["before", "behind"], vec!["wrong"]), "{mistake}");
        let told = format!("{:#}", salvage.refused[&"wrong".into()]);
        assert_eq!(told, plain(&source), "{mistake}: the same words as of the whole file");
    }
    let nameless = salvage("[bots.Wrong]\nplugin = 'b'\n[bots.right]\nplugin = 'c'").unwrap();
    assert_eq!(sorted(&nameless), (vec!["right"], vec!["Wrong"]));
    let no_table = salvage("[bots]\nwrong = 3\nright.plugin = 'c'").unwrap();
    assert_eq!(sorted(&no_table), (vec!["right"], vec!["wrong"]));
    let all = salvage("[bots.wrong]\nmax-turns = 0").unwrap();
    assert_eq!(sorted(&all), (vec![], vec!["wrong"]));
}

#[test]
fn of_two_bots_with_one_secret_the_first_stays() {
    let source = format!(
        "[bots.a]\nplugin = 'x'\nwebhook-secret = '{WEBHOOK_SECRET}'\n[bots.b]\nplugin = 'x'\nwebhook-secret = '{WEBHOOK_SECRET}'"
    );
    assert_eq!(sorted(&salvage(&source).unwrap()), (vec!["a"], vec!["b"]));
}

#[test]
fn a_mistake_that_is_no_bots_own_leaves_nothing() {
    for mistake in
        ["[host]\nlisten = 'x'", "[host]\nlitsen = 'x'", "[bots.b", "[agent]\ncommand = 3", "other = 1"]
    {
        let source = format!("{mistake}\n[bots.a]\nplugin = 'a'");
        assert!(salvage(&source).is_err(), "{mistake}");
    }
    assert!(salvage("").is_err(), "an empty file is one that is being written");
}

#[test]
fn a_bot_that_production_can_not_run_takes_only_itself_out() {
    let ready = format!(
        "campfire-url = 'https://c.example.com'\nbot-key = '{BOT_KEY}'\nwebhook-secret = '{WEBHOOK_SECRET}'"
    );
    let source = format!("[bots.ready]\nplugin = 'x'\n{ready}\n[bots.half]\nplugin = 'x'");
    let salvage = salvage(&source).unwrap().for_production();
    assert_eq!(sorted(&salvage), (vec!["ready"], vec!["half"]));
}

#[test]
fn every_key_of_a_bot_tells_it_from_what_it_was() {
    let plain = "[bots.a]\nplugin = 'a'\n";
    let of = |more: &str| Arc::clone(bot_of(&parse(&format!("{plain}{more}")).unwrap()));
    let lines = [
        "rooms = [1]".to_owned(),
        "model = 'm'".into(),
        "system-prompt = 's'".into(),
        "builtin-tools = ['Read']".into(),
        "max-turns = 3".into(),
        "budget-usd.turn = 1.0".into(),
        "session-ttl = '1h'".into(),
        "grants = ['kv']".into(),
        "limits.memory = '32MiB'".into(),
        "settings.word = 'a'".into(),
        "cron.daily = { at = '0 9 * * *', room = 1 }".into(),
        "cron.daily = { at = '0 8 * * *', room = 1 }".into(),
        "http.\"example.com\" = {}".into(),
        "http.\"example.com\".headers.x-key = 'one'".into(),
        "http.\"example.com\".headers.x-key = 'two'".into(),
        "campfire-url = 'https://c.example.com'".into(),
        format!("bot-key = '{BOT_KEY}'"),
        format!("bot-key = '{BOT_KEY}7'"),
        format!("webhook-secret = '{WEBHOOK_SECRET}'"),
    ];
    for (index, line) in lines.iter().enumerate() {
        assert!(of(line) == of(line), "{line}");
        assert!(of(line) != of(""), "{line}");
        assert!(lines[..index].iter().all(|other| of(line) != of(other)), "{line}");
    }
}

fn bot_of(config: &Config) -> &Arc<Bot> {
    &config.bots[&"a".into()]
}

#[test]
fn keys_that_are_read_at_the_start_only_are_named_when_they_change() {
    let of = |more: &str| parse(&format!("{more}\n[bots.a]\nplugin = 'a'")).unwrap();
    assert_eq!(of("").needs_restart(&of("[campfire]\nurl = 'https://c.example.com'")), [""; 0]);
    let changed = of("[host]\nlisten = '127.0.0.1:1'\n[agent.deadlines]\nexit = '1s'");
    assert_eq!(of("").needs_restart(&changed), ["[host] listen", "[agent.deadlines]"]);
}

#[test]
fn the_files_that_values_come_from_are_known() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prompt"), "be kind").unwrap();
    let source = "[bots.a]\nplugin = 'a'\nsystem-prompt-file = 'prompt'\nbot-key = 'file:key'";
    let salvage = Salvage::parse(&folder.path().join("bots.toml"), source, &|_| None).unwrap();
    let files: Vec<_> = salvage.config.files.into_iter().collect();
    assert_eq!(
        files,
        ["key", "prompt"].map(|name| folder.path().join(name)),
        "also one that is not there yet"
    );
}
