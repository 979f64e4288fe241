//! HTTP on a listener that anybody may knock at: bounded in connections, patient with none, and ended well.

use std::{error::Error, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    service::Service,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

/// How long a client may take to send its request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long open connections may take to end at shutdown.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// Serves until `shutdown`, then lets open requests end. More connections than `most` wait in the socket's backlog.
pub async fn serve<S, B>(
    listener: TcpListener,
    most: usize,
    service: impl Fn(SocketAddr) -> S,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connections = Arc::new(Semaphore::new(most));
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            (permit, accepted) = accepted => match accepted {
                Ok((stream, peer)) => (permit, stream, peer),
                Err(error) => {
                    // Mostly too many open files: the loop must not spin until one is closed.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .serve_connection(TokioIo::new(stream), service(peer));
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // What goes wrong on a connection is the client's business: it broke off, or was too slow.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = timeout(CLOSING_PATIENCE, graceful.shutdown()).await;
}
