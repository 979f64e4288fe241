//! What the imports are tested on, without a guest: a call's state in a turn of a real room, with a store in a folder of
//! its own and a Campfire on a free port. All of it ends with the bench.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

use super::{Calling, State, types::Capability};
use crate::{
    campfire::{Client, Target},
    config::{HttpHost, Limits},
    id::{BotName, MessageId, Timestamp},
    playground::{BotAccount, Features, Options, Playground},
    plugin::reach::{Reach, Services},
    store::{SqliteStore, Store},
    tenure::Tenure,
};

/// What a call may use.
const LIMITS: Limits = Limits {
    memory: 64 << 20,
    tables: 100_000,
    compute: Duration::from_secs(2),
    call_time: Duration::from_secs(30),
    host_calls: 1_000,
    log_lines: 100,
};
/// The bot's name.
const BOT: &str = "helper";
/// When the host received the message of the turn.
pub(super) const RECEIVED_AT: Timestamp = Timestamp(1_787_306_400_250);

/// A bot's world.
pub(super) struct Bench {
    pub(super) playground: Playground,
    /// The bot, as the playground knows it; the turn is in its direct room.
    pub(super) account: BotAccount,
    /// The message that the turn is about.
    pub(super) trigger: MessageId,
    pub(super) store: Arc<SqliteStore>,
    base: Url,
    services: Arc<Services>,
    server: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Bench {
    /// With the newest Campfire.
    pub(super) async fn new() -> Self {
        Self::with(Features::newest(), Duration::from_secs(20)).await
    }

    /// With a Campfire that has these features, and a client that waits for it so long.
    pub(super) async fn with(features: Features, timeout: Duration) -> Self {
        let playground = Playground::new(Options { features, ..Options::default() });
        let account = playground.add_bot("Helper", None);
        let trigger = playground.say(playground.you(), account.direct_room, "hi").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = url(listener.local_addr().unwrap());
        let router = playground.router();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("hearth.db")).unwrap());
        let services = Services::new(
            Arc::clone(&store) as Arc<dyn Store>,
            Client::new(timeout).unwrap(),
            Arc::default(),
        );
        Self {
            playground,
            account,
            trigger,
            store,
            base,
            services: Arc::new(services),
            server,
            _folder: folder,
        }
    }

    /// A call's state, with what the plugin wants and the bot grants.
    pub(super) fn state(&self, granted: &[Capability]) -> State {
        let target = Target {
            base: self.base.clone(),
            room: self.account.direct_room,
            bot_key: self.account.key.clone(),
            tenure: Tenure::endless(),
        };
        let reach = Reach {
            services: Arc::clone(&self.services),
            room: self.account.direct_room,
            target: Some(target),
            trigger: Some(self.trigger),
            received_at: RECEIVED_AT,
            tracer: None,
        };
        let calling = Calling {
            bot: BotName::from(BOT),
            settings: Arc::from("{}"),
            http: Arc::from([]),
            wants: granted.into(),
            granted: granted.into(),
            takes_timers: true,
            reach: Some(reach),
        };
        State::new(calling, &LIMITS)
    }
}

impl State {
    /// The same with these servers.
    pub(super) fn with_http(mut self, hosts: &[HttpHost]) -> Self {
        self.calling.http = hosts.into();
        self
    }

    /// What the call can reach, to be changed.
    pub(super) fn reach_mut(&mut self) -> &mut Reach {
        self.calling.reach.as_mut().unwrap()
    }
}

/// Where a server on this machine is.
pub(super) fn url(address: SocketAddr) -> Url {
    format!("http://{address}").parse().unwrap()
}
