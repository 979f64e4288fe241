//! Where secrets come from, and where they never go.

use std::fs;

use secrecy::ExposeSecret;

use super::*;

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
    let config = Config::parse(&path, &fs::read_to_string(&path).unwrap(), &|name| match name {
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
    let problems = Config::parse(&path, source, &environment).unwrap_err();
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
