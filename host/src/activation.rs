//! What a service manager hands over and wants to hear: a listening socket (`LISTEN_FDS`), and that the host is up.
//!
//! A socket that is the manager's outlives the host, so connections made during a restart wait in its queue instead of
//! being refused. systemd passes one for each `.socket` unit; other programs speak the same protocol.

use std::{io, net::TcpListener};

use listenfd::ListenFd;
use miette::Diagnostic;
use rustix::net::sockopt::socket_acceptconn;
use sd_notify::NotifyState;

/// Why what was passed can't be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ActivationError {
    /// Webhooks have one address.
    #[error("{count} sockets were passed to Hearth (LISTEN_FDS), and it takes webhooks at one")]
    #[diagnostic(help("leave one `ListenStream=` in the socket unit; `[::]:8787` listens for IPv4, too"))]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// It is something else.
    #[error("what was passed to Hearth (LISTEN_FDS) is no TCP socket that listens: {cause}")]
    #[diagnostic(help(
        "in the socket unit, use `ListenStream=` with an address and a port (or a port alone), and not `Accept=yes`"
    ))]
    WrongKind {
        /// What it is.
        #[source]
        cause: io::Error,
    },
}

/// A listening socket that was passed to this process.
#[derive(Debug)]
pub struct Passed(TcpListener);

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Webhooks are taken.
    Ready,
    /// The host ends.
    Stopping,
}

/// The socket that was passed to this process, if one was. It is not passed on to processes that this one starts. Takes
/// the variables out of the environment, so it must be called while no other thread runs.
///
/// # Errors
/// If what was passed can't take webhooks.
pub fn listener() -> Result<Option<Passed>, ActivationError> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => return Ok(None),
        1 => {}
        count => return Err(ActivationError::TooMany { count }),
    }
    let wrong = |cause| ActivationError::WrongKind { cause };
    let Some(listener) = passed.take_tcp_listener(0).map_err(wrong)? else { return Ok(None) };
    if !socket_acceptconn(&listener).map_err(|errno| wrong(errno.into()))? {
        return Err(wrong(io::Error::new(io::ErrorKind::InvalidInput, "it is a connection")));
    }
    Ok(Some(Passed(listener)))
}

/// Tells the service manager, if there is one that wants to know (`NOTIFY_SOCKET`).
pub fn notify(state: State) {
    let state = match state {
        State::Ready => NotifyState::Ready,
        State::Stopping => NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told that the host's state changed");
    }
}

// === impl Passed ===

impl Passed {
    /// The socket, for use in an asynchronous program.
    ///
    /// # Errors
    /// If it can't be used in one.
    pub fn into_tokio(self) -> Result<tokio::net::TcpListener, ActivationError> {
        let made = self.0.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(self.0));
        made.map_err(|cause| ActivationError::WrongKind { cause })
    }
}
