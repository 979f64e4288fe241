//! The socket of a running host's API: in the data folder, for the host's own user (and root) only.
//!
//! Whoever binds it holds the store, so what a killed host left there is nobody's and is replaced. Who may connect is
//! decided by the folder's mode, by the socket's own, and again by the kernel's word on who it is.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{UnixListener, UnixStream, unix::SocketAddr},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// How long an answer may take. A host that has just started answers once it is up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: a thousand failed events, with what there is to say of each.
const LARGEST: usize = 16 << 20;
/// How long open requests may take to end at shutdown.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// A bound socket. Its file goes with it.
pub struct Socket {
    listener: OwnerOnly,
    file: SocketFile,
}

/// Why a host could not be asked. (That none is there is no error.)
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It can't be connected to.
    #[error("the host can't be reached at {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It broke off.
    #[error("the host at {} broke off", path.display())]
    BrokeOff {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It did not answer.
    #[error("the host at {} did not answer within {PATIENCE:?}", path.display())]
    TooSlow {
        /// The socket.
        path: PathBuf,
    },
}

/// Where a host with this data folder listens.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("operator.sock")
}

/// Asks the host that listens at `path`; none if there is no such host.
///
/// # Errors
/// If there may be one, and it can't be asked.
pub async fn ask(
    path: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Option<(StatusCode, Bytes)>, AskError> {
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(cause) => return Err(AskError::Connect { path: path.to_owned(), cause }),
    };
    match timeout(PATIENCE, exchange(stream, request)).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(cause)) => Err(AskError::BrokeOff { path: path.to_owned(), cause }),
        Err(_) => Err(AskError::TooSlow { path: path.to_owned() }),
    }
}

async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => format!("its answer is larger than {LARGEST} bytes; ask for less with `--limit`").into(),
            Err(other) => other,
        })?;
        Ok((status, body.to_bytes()))
    };
    tokio::select! {
        biased;
        answer = answer => answer,
        ended = connection => Err(ended.err().map_or_else(|| "it closed the connection".into(), Into::into)),
    }
}

// === impl Socket ===

impl Socket {
    /// Listens in the data folder. The caller holds its store.
    ///
    /// # Errors
    /// If another process listens there, or no socket can be made (its path may have about a hundred bytes).
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = socket_path(data_dir);
        match std::os::unix::net::UnixStream::connect(&path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(&path)?,
            Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        let file = SocketFile(path);
        fs::set_permissions(&file.0, Permissions::from_mode(0o600))?;
        Ok(Self { listener: OwnerOnly(listener), file })
    }

    /// Serves until `ended`, then lets open requests end. The socket's file is gone when this returns.
    pub async fn serve(self, router: Router, ended: CancellationToken) {
        let served =
            axum::serve(self.listener, router).with_graceful_shutdown(ended.clone().cancelled_owned());
        let closing = async {
            ended.cancelled().await;
            tokio::time::sleep(CLOSING_PATIENCE).await;
        };
        tokio::select! {
            _ = served.into_future() => {}
            () = closing => tracing::warn!("a request of the operator did not end in time"),
        }
        drop(self.file);
    }
}

/// Removes a socket's file when it is dropped.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(socket = %self.0.display(), %error, "the operator's socket can't be removed");
        }
    }
}

/// A listener that hears the host's own user and root.
struct OwnerOnly(UnixListener);

impl axum::serve::Listener for OwnerOnly {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) if is_trusted(&stream) => return (stream, address),
                Ok(_) => tracing::warn!("another user tried to reach the operator's socket"),
                Err(error) => {
                    // Mostly too many open files: the loop must not spin until one is closed.
                    tracing::warn!(%error, "a connection to the operator's socket could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}
