//! A deployment put into the playground: the same bots, an embedded Campfire, and folders of its own.
//!
//! Nothing of the real deployment is touched: no bot key is used, no real Campfire is spoken to, and the store is
//! another one, since the playground's rooms have the same small numbers as real ones.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinHandle},
};
use url::Url;
use uuid::Uuid;

use crate::{
    config::{Config, StoreLocation},
    id::{BotName, RoomId},
    playground::{Options, Playground},
};

/// The subfolder of the playground that `hearth dev` serves.
pub const PLAYGROUND: &str = "playground";
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
        (config.host.data_dir, config.store) = below(&config.host.data_dir, folder);

        let playground = Playground::new(options);
        if config.agent.is_demo {
            playground.set_notice("Answers come from the demo agent, not from a model.");
        }
        let page = Page::open(bind_or_any(page).await?, &playground)?;
        let (hooks, campfire) = (url(webhooks.local_addr()?), url(page.address));
        let mut rooms = BTreeMap::new();
        for (name, bot) in &mut config.bots {
            let secret = Uuid::new_v4().simple().to_string();
            let account = playground.add_bot(name.as_str(), Some(webhook_url(&hooks, name, &secret)));
            rooms.insert(name.clone(), account.direct_room);
            let bot = Arc::make_mut(bot);
            bot.bot_key = Some(account.key);
            bot.webhook_secret = Some(secret.into());
            bot.campfire_url = Some(campfire.clone());
            // The configured rooms are the real Campfire's. What comes there by the clock comes in the direct room here.
            bot.rooms = Vec::new();
            bot.cron.iter_mut().for_each(|cron| cron.room = account.direct_room);
        }
        Ok(Self { config, playground, rooms, webhooks, page })
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
