//! A way to a server that can break: without a word, as a network does, or by closing what leads there.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// A way to one server. Ends when it is dropped.
pub struct Proxy {
    /// Where it begins.
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing arrives, and nobody is told.
    Cut,
    /// Connections are closed at once.
    Closed,
}

impl Proxy {
    /// An open one.
    ///
    /// # Panics
    /// If no port can be had.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (way, changes) = watch::channel(Way::Open);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(lead(client, server, changes.clone()));
            }
        });
        Self { address, way, task }
    }

    /// Nothing passes any more, and nothing is refused or closed. What is sent meanwhile arrives when the way is open
    /// again, even if its sender has given up.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// All connections are closed, and each that is made.
    pub fn close(&self) {
        self.way.send_replace(Way::Closed);
    }

    /// Everything passes, what came meanwhile first.
    pub fn mend(&self) {
        self.way.send_replace(Way::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// When one direction has come to its end, so has the other: neither of those who speak here half-closes.
async fn lead(client: TcpStream, server: SocketAddr, mut way: watch::Receiver<Way>) {
    if !leads(&mut way).await {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    for end in [&client, &server] {
        // Else a small answer waits for the acknowledgement of the one before.
        end.set_nodelay(true).expect("no delay on loopback");
    }
    let ((client_reads, client_writes), (server_reads, server_writes)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(client_reads, server_writes, way.clone()) => {}
        () = pass(server_reads, client_writes, way) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut passing = vec![0; 64 * 1024];
    while leads(&mut way).await {
        tokio::select! {
            read = from.read(&mut passing) => {
                let Ok(length @ 1..) = read else { return };
                // What was under way when it was cut is late, too.
                if !leads(&mut way).await || to.write_all(&passing[..length]).await.is_err() {
                    return;
                }
            }
            _ = way.changed() => {}
        }
    }
}

/// Waits while nothing passes; answers whether the connection may last.
async fn leads(way: &mut watch::Receiver<Way>) -> bool {
    way.wait_for(|way| *way != Way::Cut).await.is_ok_and(|way| *way == Way::Open)
}
