//! From a URL to a connection: the name is looked up once, its addresses are checked, and one of these is connected to.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use rustls::{ClientConfig, crypto::ring, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{OnceCell, Semaphore},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{CONNECT_LIMIT, Fault};
use crate::{address::not_public, config::HttpHost, id::BotName};

/// How many lookups run at once. One that hangs holds a thread until the system gives it up, whoever waits for it.
const LOOKUPS: usize = 16;
/// How many addresses of a server are tried.
const ADDRESSES: usize = 8;

/// Finds the addresses of a name.
#[async_trait]
pub(super) trait Resolve: Send + Sync {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's way to look names up.
pub(super) struct SystemResolver(Arc<Semaphore>);

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Makes connections.
pub(super) struct Connector {
    resolver: Box<dyn Resolve>,
    /// Made when it is first needed: the machine's certificates are read for it.
    tls: OnceCell<Arc<ClientConfig>>,
}

// === impl SystemResolver ===

impl Default for SystemResolver {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        // A task of its own: a lookup can't be broken off, so its turn ends when it does and not when nobody waits.
        let lookup = tokio::spawn(async move {
            let _turn = turn;
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(resolver: impl Resolve + 'static) -> Self {
        Self { resolver: Box::new(resolver), tls: OnceCell::new() }
    }

    /// One that trusts what `tls` does, and not the machine's certificates.
    #[cfg(test)]
    pub(super) fn trusting(resolver: impl Resolve + 'static, tls: ClientConfig) -> Self {
        Self { resolver: Box::new(resolver), tls: OnceCell::from(Arc::new(tls)) }
    }

    /// A connection to the URL's server, which `host` allows.
    pub(super) async fn connect(
        &self,
        bot: &BotName,
        url: &Url,
        host: &HttpHost,
    ) -> Result<Box<dyn Stream>, Fault> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        let connected = timeout_at(deadline, async {
            let addresses = self.addresses(bot, url, host).await?;
            let tcp = tcp(&addresses, deadline)
                .await
                .map_err(|cause| Fault::Connect { host: host.to_string(), cause })?;
            if url.scheme() == "http" {
                return Ok(Box::new(tcp) as Box<dyn Stream>);
            }
            self.encrypt(tcp, host).await
        });
        let slow = |_| Fault::SlowConnection { host: host.to_string(), limit: CONNECT_LIMIT };
        connected.await.map_err(slow)?
    }

    /// Where the server is; every address is one that `host` allows.
    async fn addresses(&self, bot: &BotName, url: &Url, host: &HttpHost) -> Result<Vec<SocketAddr>, Fault> {
        let unknown = |cause| Fault::Lookup { host: host.to_string(), cause };
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => {
                self.resolver.addresses(name).await.map_err(|cause| unknown(Some(cause)))?
            }
            None => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(unknown(None));
        }
        // One such address is enough: a name that leads to both kinds means no good.
        let scope = addresses.iter().find_map(|address| not_public(*address)).filter(|_| !host.private);
        if let Some(scope) = scope {
            return Err(Fault::NotPublic { bot: bot.to_string(), name: host.to_string(), scope });
        }
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(addresses.into_iter().take(ADDRESSES).map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn encrypt(&self, tcp: TcpStream, host: &HttpHost) -> Result<Box<dyn Stream>, Fault> {
        let tls = self.tls.get_or_try_init(machines_trust).await?;
        let failed = |cause| Fault::Tls { host: host.to_string(), cause };
        // An IPv6 address stands in brackets in a URL, and without them in a certificate.
        let name = host.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|error| failed(io::Error::other(error)))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await.map_err(failed)?;
        Ok(Box::new(stream))
    }
}

/// The first address that answers. Each gets an equal share of the time that is left.
async fn tcp(addresses: &[SocketAddr], deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(1);
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// TLS as this machine trusts it.
async fn machines_trust() -> Result<Arc<ClientConfig>, Fault> {
    let made = tokio::task::spawn_blocking(|| {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    });
    let made = made.await.map_err(|panic| rustls::Error::General(panic.to_string()));
    made.and_then(|made| made).map_err(Fault::Roots)
}
