//! The environment an agent gets: a list of names that may pass, and what the host sets. Nothing else of the host's own.

use std::ffi::{OsStr, OsString};

use super::{command::Folders, redact::Secrets};

/// Names that pass if the host has them, besides those in `[agent] environment` and every `LC_…`.
const PASSED_ON: &[&str] = &[
    "PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
];

/// What the host sets, whatever its own environment says.
const SET: &[(&str, &str)] = &[
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    // Auto-memory is keyed by the working folder, which rooms share.
    ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1"),
    // `@/path` in a chat message must not read that file. One of several layers.
    ("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "1"),
    // With the default of 10 a provider's trouble surfaces after three minutes; with 2 after seconds.
    ("CLAUDE_CODE_MAX_RETRIES", "2"),
];

/// A variable whose name has one of these words is a secret.
const SECRET_WORDS: &[&str] = &["KEY", "TOKEN", "SECRET", "PASSWORD"];

/// The part that is the same for every agent, and what of it is secret.
pub(super) struct Environment {
    passed_on: Vec<(OsString, OsString)>,
    pub(super) secrets: Secrets,
}

impl Environment {
    /// Picks from the host's variables those that may pass: the fixed list and the `named` ones.
    pub(super) fn new(host: impl IntoIterator<Item = (OsString, OsString)>, named: &[String]) -> Self {
        let passed_on: Vec<_> = host.into_iter().filter(|(name, _)| passes(name, named)).collect();
        let secrets = Secrets::new(passed_on.iter().filter_map(|(name, value)| secret_in(name, value)));
        Self { passed_on, secrets }
    }

    /// The value of one that passes.
    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        self.passed_on.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_os_str())
    }

    /// All variables for an agent with these folders.
    pub(super) fn for_folders(&self, folders: &Folders) -> Vec<(OsString, OsString)> {
        let mut variables = self.passed_on.clone();
        variables.extend(SET.iter().map(|(name, value)| (name.into(), value.into())));
        let places = [
            ("HOME", &folders.config),
            ("CLAUDE_CONFIG_DIR", &folders.config),
            ("TMPDIR", &folders.temporary),
            ("CLAUDE_CODE_TMPDIR", &folders.temporary),
        ];
        variables.extend(places.map(|(name, folder)| (name.into(), folder.into())));
        variables
    }
}

fn passes(name: &OsStr, named: &[String]) -> bool {
    name.to_str().is_some_and(|name| {
        PASSED_ON.contains(&name) || name.starts_with("LC_") || named.iter().any(|passing| passing == name)
    })
}

/// The secret in a variable: all of it, or what a proxy's URL has before the `@`.
fn secret_in(name: &OsStr, value: &OsStr) -> Option<String> {
    let (name, value) = (name.to_str()?.to_ascii_uppercase(), value.to_str()?);
    if SECRET_WORDS.iter().any(|word| name.contains(word)) {
        return Some(value.into());
    }
    let (login, _host) = value.rsplit_once('@').filter(|_| name.ends_with("_PROXY"))?;
    Some(login.split_once("://").map_or(login, |(_scheme, login)| login).into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn environment(host: &[(&str, &str)], named: &[&str]) -> (Environment, Vec<(String, String)>) {
        let host = host.iter().map(|(name, value)| (name.into(), value.into()));
        let named: Vec<String> = named.iter().map(|name| (*name).into()).collect();
        let environment = Environment::new(host, &named);
        let folders = Folders::of(Path::new("/data"), &"assistant".into(), None).unwrap();
        let text = |text: OsString| text.into_string().unwrap();
        let all = environment.for_folders(&folders);
        (environment, all.into_iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    /// What the process sees: the last one wins.
    fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
        variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn only_listed_and_named_variables_pass() {
        let host = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("ANTHROPIC_API_KEY", "sk-ant-1"),
            ("AWS_REGION", "eu"),
            ("DATABASE_URL", "postgres://secret"),
            ("LD_PRELOAD", "/evil.so"),
        ];
        let (_, variables) = environment(&host, &["AWS_REGION"]);
        for name in ["PATH", "LC_ALL", "ANTHROPIC_API_KEY", "AWS_REGION"] {
            assert!(value(&variables, name).is_some(), "{name}");
        }
        for name in ["DATABASE_URL", "LD_PRELOAD"] {
            assert_eq!(value(&variables, name), None);
        }
    }

    #[test]
    fn what_the_host_sets_cannot_be_overruled() {
        let host =
            [("HOME", "/root"), ("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "0"), ("CLAUDE_CONFIG_DIR", "/x")];
        let (_, variables) =
            environment(&host, &["HOME", "CLAUDE_CODE_DISABLE_FILE_MENTIONS", "CLAUDE_CONFIG_DIR"]);
        assert_eq!(value(&variables, "HOME"), Some("/data/agents/assistant/config"));
        assert_eq!(value(&variables, "CLAUDE_CONFIG_DIR"), Some("/data/agents/assistant/config"));
        let temporary = value(&variables, "TMPDIR").unwrap();
        assert!(temporary.starts_with("/data/agents/assistant/tmp/"), "{temporary}");
        assert_eq!(value(&variables, "CLAUDE_CODE_DISABLE_FILE_MENTIONS"), Some("1"));
    }

    #[test]
    fn keys_tokens_and_proxy_logins_are_secret_and_other_values_are_not() {
        let host = [
            ("ANTHROPIC_API_KEY", "sk-ant-123"),
            ("MY_password_2", "open sesame"),
            ("HTTPS_PROXY", "http://me:hidden-word@proxy:3128"),
            ("LANG", "C.UTF-8"),
        ];
        let (environment, _) = environment(&host, &["MY_password_2"]);
        assert_eq!(
            environment.secrets.redact("sk-ant-123, open sesame, http://me:hidden-word@proxy:3128, C.UTF-8"),
            "****, ****, http://****@proxy:3128, C.UTF-8"
        );
    }
}
