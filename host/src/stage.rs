//! A deployment put into the playground: the same bots, an embedded Campfire, and folders of its own.
//!
//! Nothing of the real deployment is touched: no bot key is used, no real Campfire is spoken to, and the store is
//! another one, since the playground's rooms have the same small numbers as real ones.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinHandle},
};
use url::Url;
use uuid::Uuid;

use crate::{
    config::{Config, StoreLocation},
    id::{BotName, RoomId},
    playground::{BotAccount, Options, Playground},
};

/// The subfolder of the playground that `hearth dev` serves.
pub const PLAYGROUND: &str = "playground";
/// What the page says while no model answers.
const DEMO_NOTICE: &str = "Answers come from the demo agent, not from a model.";
/// Any free port of this machine.
pub const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A deployment in the playground, whose page is served as long as this lives.
pub struct Stage {
    /// The deployment, with the playground as its Campfire.
    pub config: Config,
    /// The embedded Campfire.
    pub playground: Playground,
    /// Each bot's direct room.
    pub rooms: BTreeMap<BotName, RoomId>,
    /// Where the host is to take webhooks.
    pub webhooks: TcpListener,
    /// The page and the bot API.
    pub page: Page,
    /// For the deployment as it changes.
    pub wardrobe: Arc<Wardrobe>,
}

/// What deployments wear on this stage: the playground's accounts, addresses and folder in the place of the real ones.
pub struct Wardrobe {
    playground: Playground,
    hooks: Url,
    campfire: Url,
    folder: String,
    roles: Mutex<BTreeMap<BotName, Role>>,
}

struct Role {
    account: BotAccount,
    secret: SecretString,
}

/// A page that is served until this is dropped.
pub struct Page {
    /// Where it is.
    pub address: SocketAddr,
    task: AbortHandle,
}

impl Stage {
    /// Puts `config` on the stage, with the playground at `page` and its data in the subfolder `folder` of the data
    /// folder. If `page` is taken, any free port of this machine does. Webhooks have a port of their own: the configured
    /// one is the real Campfire's, which would lose messages here.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn set(
        mut config: Config,
        folder: &str,
        page: SocketAddr,
        options: Options,
    ) -> io::Result<Self> {
        let webhooks = TcpListener::bind(ANY).await?;
        let playground = Playground::new(options);
        if config.agent.is_demo {
            playground.set_notice(DEMO_NOTICE);
        }
        let page = Page::open(bind_or_any(page).await?, &playground)?;
        let wardrobe = Arc::new(Wardrobe {
            playground: playground.clone(),
            hooks: url(webhooks.local_addr()?),
            campfire: url(page.address),
            folder: folder.to_owned(),
            roles: Mutex::default(),
        });
        wardrobe.dress(&mut config);
        let rooms = wardrobe.rooms();
        Ok(Self { config, playground, rooms, webhooks, page, wardrobe })
    }
}

// === impl Wardrobe ===

impl Wardrobe {
    /// Puts a deployment into the playground. A bot that was there before keeps its account; others get one.
    pub fn dress(&self, config: &mut Config) {
        (config.host.data_dir, config.store) = below(&config.host.data_dir, &self.folder);
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, bot) in &mut config.bots {
            let Role { account, secret } = roles.entry(name.clone()).or_insert_with(|| {
                let secret = Uuid::new_v4().simple().to_string();
                let hook = webhook_url(&self.hooks, name, &secret);
                Role { account: self.playground.add_bot(name.as_str(), Some(hook)), secret: secret.into() }
            });
            let bot = Arc::make_mut(bot);
            bot.bot_key = Some(account.key.clone());
            bot.webhook_secret = Some(secret.clone());
            bot.campfire_url = Some(self.campfire.clone());
            // The configured rooms are the real Campfire's. What comes there by the clock comes in the direct room here.
            bot.rooms = Vec::new();
            bot.cron.iter_mut().for_each(|cron| cron.room = account.direct_room);
        }
    }

    /// The direct room of each bot that was ever there.
    pub fn rooms(&self) -> BTreeMap<BotName, RoomId> {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        roles.iter().map(|(name, role)| (name.clone(), role.account.direct_room)).collect()
    }
}

impl Page {
    /// Serves the playground on `listener`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn open(listener: TcpListener, playground: &Playground) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let router = playground.router();
        let task: JoinHandle<io::Result<()>> = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, task: task.abort_handle() })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The data folder and the store of a deployment that was put on the stage with its data in this subfolder.
pub fn below(data_dir: &Path, folder: &str) -> (PathBuf, StoreLocation) {
    let data_dir = data_dir.join(folder);
    let store = StoreLocation::Sqlite(data_dir.join("hearth.db"));
    (data_dir, store)
}

/// A bot's webhook URL, below the URL at which the host is reached.
pub fn webhook_url(host: &Url, bot: &BotName, secret: &str) -> Url {
    let mut url = host.clone();
    let path = format!("{}/hooks/{bot}/{secret}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// Listens on `address`, or on any free port of this machine if that one is taken.
///
/// # Errors
/// If no port can be had.
pub async fn bind_or_any(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => TcpListener::bind(ANY).await,
        Err(error) => Err(error),
    }
}

/// The URL of a listener.
fn url(address: SocketAddr) -> Url {
    let mut url = Url::parse("http://localhost/").expect("a constant URL is one");
    let _ = url.set_ip_host(address.ip());
    let _ = url.set_port(Some(address.port()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_url_keeps_the_hosts_path() {
        let bot = BotName::from("echo");
        for (host, expected) in [
            ("https://bots.example.org", "https://bots.example.org/hooks/echo/s3cret"),
            ("https://example.org/hearth/", "https://example.org/hearth/hooks/echo/s3cret"),
        ] {
            assert_eq!(webhook_url(&Url::parse(host).unwrap(), &bot, "s3cret").as_str(), expected);
        }
    }

    #[test]
    fn an_address_becomes_a_url() {
        assert_eq!(url("127.0.0.1:80".parse().unwrap()).as_str(), "http://127.0.0.1/");
        assert_eq!(url("[::1]:8787".parse().unwrap()).as_str(), "http://[::1]:8787/");
    }
}
