//! A way to a server that can be cut without a word, as a network is: nothing is refused and nothing closed, and nothing
//! arrives. What was sent meanwhile arrives when the way is open again.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A way to one server. Ends when it is dropped.
pub struct Proxy {
    /// Where it begins.
    pub address: SocketAddr,
    is_cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// An open one.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (is_cut, cut) = watch::channel(false);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lead(client, server, cut.clone()));
            }
        });
        Self { address, is_cut, task }
    }

    /// Nothing passes any more.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Everything passes, what came meanwhile first.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(client: TcpStream, server: SocketAddr, mut cut: watch::Receiver<bool>) {
    if cut.wait_for(|cut| !*cut).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    // A way adds no delay of its own.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((client_reads, client_writes), (server_reads, server_writes)) =
        (client.into_split(), server.into_split());
    tokio::join!(pass(client_reads, server_writes, cut.clone()), pass(server_reads, client_writes, cut));
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut cut: watch::Receiver<bool>,
) {
    let mut passing = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut passing).await.unwrap_or_default();
        if cut.wait_for(|cut| !*cut).await.is_err() {
            return;
        }
        if read == 0 || to.write_all(&passing[..read]).await.is_err() {
            // The other side may have gone before.
            let _ = to.shutdown().await;
            return;
        }
    }
}
