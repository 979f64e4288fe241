//! `[store]`: a file, or a Redis.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::{
    check::{Checked, Checks},
    located::Located,
    mistake::Mistake,
    secret::Surroundings,
};

/// What the URL of a file begins with.
const FILE: &str = "sqlite:";
/// Where a Redis listens if its URL does not say.
const PORT: u16 = 6379;
/// What its keys begin with if its URL does not say.
const PREFIX: &str = "hearth";
/// The longest prefix, in bytes.
const PREFIX_BYTES: usize = 64;

/// `[store]`, from `url` and `password`. Default `sqlite:hearth.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// `sqlite:<path>`, relative to the data folder. The path is absolute here.
    Sqlite(PathBuf),
    /// `redis://…` or `rediss://…`.
    Redis(RedisLocation),
}

/// `redis://<user>@<host>:<port>/<database>?prefix=<prefix>`, all but the host optional. `rediss` is the same over TLS.
#[derive(Debug, Clone)]
pub struct RedisLocation {
    /// A name or an address.
    pub host: String,
    /// Default 6379.
    pub port: u16,
    /// Whether it is spoken to over TLS, with the certificates that the system trusts.
    pub tls: bool,
    /// The database's number. Default 0; Redis Cluster has no other.
    pub database: u16,
    /// What all keys begin with, up to 64 bytes of `[A-Za-z0-9_-]`. Default `hearth`.
    pub prefix: String,
    /// The ACL user; Redis' own `default` if none.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretString>,
}

/// A store that was named on a command line, where nobody should see a password.
#[derive(Debug, Clone, Copy)]
pub struct NamedStore<'named> {
    /// As `[store] url`.
    pub url: &'named str,
    /// Where its password is: `file:<path>`, from the working folder, or with `${VARIABLE}`.
    pub password: Option<&'named str>,
}

/// Where conversations, the inbox and the journal are kept.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawStore {
    /// `sqlite:<path>`; a relative path starts at the data folder. Or a Redis 7 or Valkey:
    /// `redis://<user>@<host>:<port>/<database>?prefix=<prefix>`, or `rediss://…` over TLS.
    #[schemars(regex(pattern = "^(sqlite:.|rediss?://.|file:.|\\$\\{)"))]
    url: Located<String>,
    /// The password of the Redis user. In the file itself, `${VARIABLE}`, or `file:<path>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${REDIS_PASSWORD}", "file:secrets/redis-password"]))]
    password: Option<Located<String>>,
}

impl Default for RawStore {
    fn default() -> Self {
        Self { url: "sqlite:hearth.db".into(), password: None }
    }
}

impl NamedStore<'_> {
    /// Where it is: a file's path starts at `data_dir`. `configured` is the deployment's own store, whose password is known.
    ///
    /// # Errors
    /// What is wrong with it, in words that hold no secret.
    pub fn locate(
        self,
        data_dir: &Path,
        configured: Option<&StoreLocation>,
    ) -> Result<StoreLocation, String> {
        let Self { url, password } = self;
        let said = |mistake: Mistake| format!("the {mistake}");
        if let Some(path) = url.strip_prefix(FILE) {
            if password.is_some() {
                return Err(said(Mistake::StoreUrl { fault: "is a file, which has no `password`" }));
            }
            if !is_file(path) {
                return Err(said(Mistake::Store));
            }
            return Ok(StoreLocation::Sqlite(data_dir.join(path)));
        }
        let url = Url::parse(url).map_err(|_| said(Mistake::Store))?;
        if url.password().is_some() {
            return Err("the `url` has a password, which everybody could see on a command line".to_owned());
        }
        if password.is_none()
            && let Some(StoreLocation::Redis(known)) = configured
            && let Ok(location) = location(&url, known.password.clone())
            && location.is_same(known)
            && (location.tls, &location.user) == (known.tls, &known.user)
        {
            return Ok(StoreLocation::Redis(location));
        }
        let password = password.map(read_password).transpose()?;
        location(&url, password).map(StoreLocation::Redis).map_err(said)
    }
}

/// The password that a command line names.
fn read_password(text: &str) -> Result<SecretString, String> {
    let is_elsewhere = text.starts_with("file:") || (text.starts_with("${") && text.ends_with('}'));
    if !is_elsewhere {
        return Err(
            "a password stands as `file:<path>` or '${VARIABLE}' on a command line, not itself".to_owned()
        );
    }
    let environment = |name: &str| std::env::var(name).ok();
    let surroundings = Surroundings::new(Path::new(""), &environment);
    surroundings.secret("password", text).map_err(|mistakes| {
        let said = |mistake: &Mistake| match mistake.source() {
            Some(cause) => format!("{mistake}: {cause}"),
            None => mistake.to_string(),
        };
        mistakes.iter().map(said).collect::<Vec<_>>().join("; ")
    })
}

/// Whether it can be a file's name. SQLite's own `:memory:` and query syntax would be taken for one here.
fn is_file(path: &str) -> bool {
    !path.is_empty() && !path.starts_with("//") && !path.contains([':', '?'])
}

impl RedisLocation {
    /// Whether this is the same store, whoever uses it.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.host, self.port, self.database, &self.prefix)
            == (&other.host, other.port, other.database, &other.prefix)
    }
}

/// How a location is shown: without the password.
impl fmt::Display for RedisLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, prefix, .. } = self;
        let scheme = if self.tls { "rediss" } else { "redis" };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "{scheme}://{host}:{port}/{database}")?;
        if prefix == PREFIX { Ok(()) } else { write!(f, "?prefix={prefix}") }
    }
}

impl RawStore {
    /// Whether it takes a secret to know the location.
    pub(super) fn needs_secrets(&self) -> bool {
        !self.url.get().starts_with(FILE)
    }
}

impl Checks<'_> {
    pub(super) fn store(&mut self, raw: &RawStore, data_dir: Checked<&Path>) -> Checked<StoreLocation> {
        if raw.needs_secrets() {
            return self.redis(raw).map(StoreLocation::Redis);
        }
        let password = self.no_password(raw);
        let path = raw.url.get().strip_prefix(FILE);
        let Some(path) = path.filter(|path| is_file(path)) else {
            return Err(self.findings.add(raw.url.span(), Mistake::Store));
        };
        password?;
        Ok(StoreLocation::Sqlite(data_dir?.join(path)))
    }

    fn no_password(&mut self, raw: &RawStore) -> Checked<()> {
        let Some(password) = &raw.password else { return Ok(()) };
        let mistake = Mistake::StoreUrl { fault: "is a file, which has no `password`" };
        Err(self.findings.add(password.span(), mistake))
    }

    fn redis(&mut self, raw: &RawStore) -> Checked<RedisLocation> {
        let text = self.surroundings.secret("url", raw.url.get());
        let text = self.all(raw.url.span(), text);
        let password = raw.password.as_ref().map(|password| {
            let secret = self.surroundings.secret("password", password.get());
            self.all(password.span(), secret)
        });
        let (text, password) = (text?, password.transpose()?);
        let wrong = match Url::parse(text.expose_secret()) {
            Ok(url) => match location(&url, password) {
                Ok(location) => return Ok(location),
                Err(wrong) => wrong,
            },
            Err(_) => Mistake::Store,
        };
        Err(self.findings.add(raw.url.span(), wrong))
    }
}

/// The location that a URL names.
fn location(url: &Url, password: Option<SecretString>) -> Result<RedisLocation, Mistake> {
    let wrong = |fault| Err(Mistake::StoreUrl { fault });
    let tls = match url.scheme() {
        "redis" => false,
        "rediss" => true,
        _ => return Err(Mistake::Store),
    };
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => return wrong("names no host"),
    };
    let password = match (password, url.password()) {
        (Some(_), Some(_)) => return wrong("has a password, and there is `password` too"),
        (Some(password), None) => Some(password),
        (None, Some(encoded)) => match decoded(encoded) {
            Some(password) => Some(password.into()),
            None => return wrong("has a password that is not percent-encoded UTF-8"),
        },
        (None, None) => None,
    };
    let Some(user) = decoded(url.username()) else {
        return wrong("has a user name that is not percent-encoded UTF-8");
    };
    if password.is_none() && !user.is_empty() {
        return wrong("names a user, and there is no `password`");
    }
    let database = match url.path().trim_start_matches('/') {
        "" => Ok(0),
        number => number.parse(),
    };
    let Ok(database) = database else { return wrong("has another path than the number of a database") };
    let mut prefix = PREFIX.to_owned();
    for (name, value) in url.query_pairs() {
        if name != "prefix" {
            return wrong("has another parameter than `prefix`");
        }
        prefix = value.into_owned();
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if prefix.is_empty() || prefix.len() > PREFIX_BYTES || !prefix.bytes().all(is_plain) {
        return wrong("has a `prefix` that is not 1 to 64 letters, digits, `-` and `_`");
    }
    if url.fragment().is_some() {
        return wrong("must not have a fragment");
    }
    let user = Some(user).filter(|user| !user.is_empty());
    Ok(RedisLocation { host, port: url.port().unwrap_or(PORT), tls, database, prefix, user, password })
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<RedisLocation, String> {
        location(&Url::parse(url).unwrap(), None).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn a_url_says_where_a_redis_is_and_is_shown_without_its_password() {
        let plain = of("redis://localhost").unwrap();
        assert_eq!(plain.to_string(), "redis://localhost:6379/0");
        assert_eq!((plain.user, plain.password.is_none()), (None, true));
        let whole = of("rediss://ann:p%40ss%3D+&@[::1]:7000/3?prefix=two").unwrap();
        assert_eq!(whole.to_string(), "rediss://[::1]:7000/3?prefix=two");
        assert_eq!(whole.user.as_deref(), Some("ann"));
        assert_eq!(whole.password.as_ref().unwrap().expose_secret(), "p@ss=+&");
        assert!(!format!("{whole:?}").contains("p@ss"));
    }

    #[test]
    fn a_store_on_a_command_line_has_the_password_of_the_configured_one_only_if_it_is_that() {
        let configured = StoreLocation::Redis(of("rediss://ann:hunter2@localhost/1").unwrap());
        let locate = |url| {
            let named = NamedStore { url, password: None };
            named.locate(Path::new("/data"), Some(&configured))
        };
        let Ok(StoreLocation::Redis(same)) = locate("rediss://ann@localhost:6379/1?prefix=hearth") else {
            panic!("it is the configured one");
        };
        assert_eq!(same.password.unwrap().expose_secret(), "hunter2");
        for other in ["redis://localhost/1", "rediss://localhost/1", "rediss://other/1", "rediss://localhost"]
        {
            let Ok(StoreLocation::Redis(other)) = locate(other) else { panic!("{other} is a Redis") };
            assert!(other.password.is_none(), "{other}");
        }
        for (url, words) in [
            ("rediss://bob@localhost/1", "no `password`"),
            ("redis://ann@localhost/1", "no `password`"),
            ("redis://ann:x@localhost/1", "everybody could see"),
            ("sqlite::memory:", "does not have"),
            ("hearth.db", "does not have"),
        ] {
            let wrong = locate(url).unwrap_err();
            assert!(wrong.contains(words), "{url}: {wrong}");
        }
        assert_eq!(locate("sqlite:a.db").unwrap(), StoreLocation::Sqlite("/data/a.db".into()));
    }

    #[test]
    fn what_a_url_can_not_say_is_named() {
        for (url, words) in [
            ("redis://ann@localhost", "names a user, and there is no `password`"),
            ("redis://localhost/one", "has another path"),
            ("redis://localhost/70000", "has another path"),
            ("redis://localhost?timeout=1", "has another parameter"),
            ("redis://localhost?prefix=%7B", "has a `prefix`"),
            ("redis://localhost#x", "fragment"),
            ("redis:///1", "names no host"),
            ("memcached://localhost", "does not have"),
        ] {
            let wrong = of(url).unwrap_err();
            assert!(wrong.contains(words), "{url}: {wrong}");
        }
    }
}
