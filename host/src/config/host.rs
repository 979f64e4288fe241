//! `[host]`: where the host listens, what it keeps, and how much it takes on.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{
    check::{Checked, Checks, Reported},
    located::Located,
    mistake::Mistake,
    secret::is_unguessable,
    units::{DAY, DurationText, FOREVER, HOUR, KIB, MIB, Size},
};

/// What `admin` is where there is to be none.
const OFF: &str = "off";

pub(super) const TURNS_IN_FLIGHT: RangeInclusive<i64> = 1..=1024;
const QUEUE_LIMIT: RangeInclusive<i64> = 1..=10_000;
const BOT_HOPS: RangeInclusive<i64> = 0..=100;
const MAX_BODY: RangeInclusive<u64> = KIB..=64 * MIB;
const SHUTDOWN_GRACE: RangeInclusive<Duration> = Duration::ZERO..=HOUR;
const RETENTION: RangeInclusive<Duration> = DAY..=FOREVER;

/// `[host]`
#[derive(Debug, Clone)]
pub struct Host {
    /// `listen`: where webhooks arrive. Default 127.0.0.1:8787.
    pub listen: SocketAddr,
    /// `public-url`: how Campfire reaches this host, for printing webhook URLs. Default `http://<listen>`.
    pub public_url: Url,
    /// `admin` and `admin-token`: where the host shows how it is. None if that is off.
    pub admin: Option<Admin>,
    /// `data-dir`: the store and the agents' folders. Default `.hearth`. Absolute.
    pub data_dir: PathBuf,
    /// `plugins`: where `<name>.wasm` is looked up. Default `plugins/dist`. Absolute.
    pub plugins: PathBuf,
    /// `turns-in-flight`: how many turns run at once. Default 32, 1 to 1024.
    pub turns_in_flight: usize,
    /// `queue-limit`: how many unanswered messages a lane holds. Default 32, 1 to 10,000.
    pub queue_limit: u32,
    /// `bot-hops`: how many messages of bots may follow each other in a room. Default 8, 0 to 100.
    pub bot_hops: u32,
    /// `max-body`: the largest webhook body. Default 1 MiB, 1 KiB to 64 MiB.
    pub max_body: usize,
    /// `shutdown-grace`: how long running turns may take to end. Default 30 s, at most 1 h.
    pub shutdown_grace: Duration,
    /// `inbox-retention`: how long events that have ended are kept, with their answers. Default 30 days, at least 24 h
    /// (a repeated delivery is recognised for so long).
    pub inbox_retention: Duration,
    /// `journal-retention`: how long journal rows are kept. Default 30 days, at least 24 h.
    pub journal_retention: Duration,
}

/// `[host] admin`
#[derive(Debug, Clone)]
pub struct Admin {
    /// `admin`: where it listens. Default 127.0.0.1:8789.
    pub listen: SocketAddr,
    /// `admin-token`: at least 16 characters of `[A-Za-z0-9_-]`. None only if no other machine can reach it.
    pub token: Option<SecretString>,
}

/// The host process.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct RawHost {
    /// Where webhooks arrive: an IP address and a port.
    listen: Located<String>,
    /// How Campfire reaches this host; webhook URLs are printed with it. `http://<listen>` if absent. May contain
    /// `${VARIABLE}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<Located<String>>,
    /// Where the host shows how it is: dashboard, metrics, health. An IP address and a port, or "off".
    admin: Located<String>,
    /// What opens that; needed where other machines can reach it. In the file itself, `${VARIABLE}`, or `file:<path>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${HEARTH_ADMIN_TOKEN}", "file:secrets/admin-token"]))]
    admin_token: Option<Located<String>>,
    /// The folder of the store and of the agents' files.
    pub(super) data_dir: Located<String>,
    /// The folder where a bot's `plugin` is looked up as `<name>.wasm`.
    plugins: Located<String>,
    /// How many turns run at once, 1 to 1024.
    #[schemars(range(min = *TURNS_IN_FLIGHT.start(), max = *TURNS_IN_FLIGHT.end()))]
    turns_in_flight: Located<i64>,
    /// How many unanswered messages one bot holds in one room, 1 to 10,000.
    #[schemars(range(min = *QUEUE_LIMIT.start(), max = *QUEUE_LIMIT.end()))]
    queue_limit: Located<i64>,
    /// How many messages of bots may follow each other in a room before they are no longer answered, until a person
    /// writes there; 0 to 100.
    #[schemars(range(min = *BOT_HOPS.start(), max = *BOT_HOPS.end()))]
    bot_hops: Located<i64>,
    /// The largest webhook body, 1KiB to 64MiB.
    max_body: Located<Size>,
    /// How long running turns may take to end when the host stops, at most 1h.
    shutdown_grace: Located<DurationText>,
    /// How long messages and answers are kept once they have ended, at least 24h: a repeated delivery is recognised for
    /// so long, and a failed one can be put back.
    inbox_retention: Located<DurationText>,
    /// How long journal rows are kept, at least 24h.
    journal_retention: Located<DurationText>,
}

impl Default for RawHost {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8787".into(),
            public_url: None,
            admin: "127.0.0.1:8789".into(),
            admin_token: None,
            data_dir: ".hearth".into(),
            plugins: "plugins/dist".into(),
            turns_in_flight: 32.into(),
            queue_limit: 32.into(),
            bot_hops: 8.into(),
            max_body: "1MiB".into(),
            shutdown_grace: "30s".into(),
            inbox_retention: "30d".into(),
            journal_retention: "30d".into(),
        }
    }
}

// === the checks ===

impl Checks<'_> {
    pub(super) fn host(&mut self, raw: &RawHost) -> Checked<Host> {
        let listen = self.address("listen", &raw.listen);
        let public_url = match &raw.public_url {
            Some(url) => self.base_url("public-url", url),
            None => listen.and_then(|listen| Url::parse(&format!("http://{listen}")).map_err(|_| Reported)),
        };
        let admin = self.admin(raw);
        let data_dir = self.path("data-dir", &raw.data_dir);
        let plugins = self.path("plugins", &raw.plugins);
        let turns_in_flight = self.number("turns-in-flight", &raw.turns_in_flight, TURNS_IN_FLIGHT);
        let queue_limit = self.number("queue-limit", &raw.queue_limit, QUEUE_LIMIT);
        let bot_hops = self.number("bot-hops", &raw.bot_hops, BOT_HOPS);
        let max_body = self.size("max-body", &raw.max_body, MAX_BODY);
        let shutdown_grace = self.duration("shutdown-grace", &raw.shutdown_grace, SHUTDOWN_GRACE);
        let inbox_retention = self.duration("inbox-retention", &raw.inbox_retention, RETENTION);
        let journal_retention = self.duration("journal-retention", &raw.journal_retention, RETENTION);
        Ok(Host {
            listen: listen?,
            public_url: public_url?,
            admin: admin?,
            data_dir: data_dir?,
            plugins: plugins?,
            turns_in_flight: turns_in_flight?,
            queue_limit: queue_limit?,
            bot_hops: bot_hops?,
            max_body: max_body?,
            shutdown_grace: shutdown_grace?,
            inbox_retention: inbox_retention?,
            journal_retention: journal_retention?,
        })
    }

    fn admin(&mut self, raw: &RawHost) -> Checked<Option<Admin>> {
        let token = raw.admin_token.as_ref().map(|text| {
            let wrong = Mistake::Guessable { key: "admin-token" };
            self.secret("admin-token", text, is_unguessable, wrong)
        });
        let token = token.transpose();
        if raw.admin.get() == OFF {
            return token.map(|_| None);
        }
        let listen = self.address("admin", &raw.admin)?;
        let admin = Admin { listen, token: token? };
        if admin.token.is_none() && !listen.ip().is_loopback() {
            return Err(self.findings.add(raw.admin.span(), Mistake::AdminWithoutToken));
        }
        Ok(Some(admin))
    }
}
