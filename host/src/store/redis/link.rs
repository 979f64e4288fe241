//! The connection: one, on which commands of many tasks follow each other without waiting, and which is made anew by
//! itself when it is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, Script, ScriptInvocation, ServerErrorKind, Value,
    aio::{MultiplexedConnection, PubSubSink, PubSubStream},
    io::tcp::TcpSettings,
};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;

use super::answer::Answer;
use crate::{config::RedisLocation, store::StoreError};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a call of a host may take, that included.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// Which share of that a call may take that has no time to lose: so many fifths.
const SOON: u32 = 2;
/// How long what was sent may stay unconfirmed by the other machine before the connection is given up.
const UNCONFIRMED: Duration = Duration::from_secs(5);

/// The way to one Redis.
pub(super) struct Link {
    client: Client,
    open: Mutex<Open>,
    location: RedisLocation,
    /// How long a call may take.
    patience: Duration,
    /// What every key begins with, its hash tag.
    prefix: Arc<str>,
    is_closed: AtomicBool,
}

/// The connection, if there is one now.
#[derive(Default)]
struct Open {
    connection: Option<MultiplexedConnection>,
    /// Which it is: calls that fail on one must not end the next.
    number: u64,
}

/// What is asked.
enum Request<'asked> {
    Script(&'asked ScriptInvocation<'asked>),
    Command(&'asked Cmd),
}

impl Link {
    /// Connects with the first command. No call takes longer than `patience`.
    pub(super) fn new(location: &RedisLocation, patience: Duration) -> Result<Self, StoreError> {
        let failed = |error: RedisError| unavailable(location, &error);
        let address = if location.tls {
            ConnectionAddr::TcpTls {
                host: location.host.clone(),
                port: location.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(location.host.clone(), location.port)
        };
        let mut account = RedisConnectionInfo::default()
            .set_db(location.database.into())
            .set_lib_name("hearth", env!("CARGO_PKG_VERSION"));
        if let Some(user) = &location.user {
            account = account.set_username(user);
        }
        if let Some(password) = &location.password {
            account = account.set_password(password.expose_secret());
        }
        let to = address.into_connection_info().map_err(failed)?.set_redis_settings(account);
        let to = to.set_tcp_settings(unconfirmed(TcpSettings::default().set_nodelay(true)));
        Ok(Self {
            client: Client::open(to).map_err(failed)?,
            open: Mutex::default(),
            location: location.clone(),
            patience,
            prefix: format!("{{{}}}:", location.prefix).into(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Where it leads.
    pub(super) fn location(&self) -> &RedisLocation {
        &self.location
    }

    /// A key of this store.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A call of a script, to which its arguments are added.
    pub(super) fn call<'script>(&self, script: &'script Script) -> ScriptInvocation<'script> {
        script.key(&*self.prefix)
    }

    /// Runs a script.
    pub(super) async fn ask(&self, call: &ScriptInvocation<'_>) -> Result<Answer, StoreError> {
        self.ask_within(call, self.patience).await
    }

    /// The same for what is better told that it failed than kept waiting: Campfire waits for seven seconds, and a lease
    /// that was not renewed must be tried again before it ends.
    pub(super) async fn ask_soon(&self, call: &ScriptInvocation<'_>) -> Result<Answer, StoreError> {
        self.ask_within(call, self.patience * SOON / 5).await
    }

    async fn ask_within(
        &self,
        call: &ScriptInvocation<'_>,
        patience: Duration,
    ) -> Result<Answer, StoreError> {
        let answer = self.send(Request::Script(call), patience).await?;
        Answer::of(answer.map_err(|error| unavailable(&self.location, &error))?)
    }

    /// A connection of its own on which is heard what is said on a channel from now on.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<(PubSubSink, PubSubStream), StoreError> {
        let subscribed = tokio::time::timeout(self.patience, async {
            let (mut sink, stream) = self.client.get_async_pubsub().await?.split();
            sink.subscribe(self.key(channel)).await?;
            Ok((sink, stream))
        });
        let subscribed = subscribed.await.map_err(|_| self.late(self.patience))?;
        subscribed.map_err(|error| unavailable(&self.location, &error))
    }

    /// Runs one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.try_query(command).await?.map_err(|error| unavailable(&self.location, &error))
    }

    /// Runs one command; what Redis itself has against it is in the answer.
    pub(super) async fn try_query<T: FromRedisValue>(
        &self,
        command: &Cmd,
    ) -> Result<Result<T, RedisError>, StoreError> {
        let answer = self.send(Request::Command(command), self.patience).await?;
        Ok(answer.and_then(|value| redis::from_redis_value(value).map_err(RedisError::from)))
    }

    /// Refuses what is asked from now on.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Whether it does so.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    fn late(&self, patience: Duration) -> StoreError {
        StoreError::Unavailable(format!("{} did not answer within {patience:?}", self.location).into())
    }

    /// Answers what Redis says, also if that is an error of its own.
    async fn send(
        &self,
        request: Request<'_>,
        patience: Duration,
    ) -> Result<Result<Value, RedisError>, StoreError> {
        if self.is_closed() {
            return Err(StoreError::Unavailable("it is closed".into()));
        }
        let mut used = None;
        let answer = tokio::time::timeout(patience, async {
            let (mut connection, number) = self.connection().await?;
            used = Some(number);
            match request {
                Request::Script(call) => call.invoke_async(&mut connection).await,
                Request::Command(command) => command.query_async(&mut connection).await,
            }
        })
        .await;
        let is_lost = match &answer {
            Ok(Ok(_)) => false,
            Ok(Err(error)) => is_lost(error),
            Err(_) => true,
        };
        if let (true, Some(number)) = (is_lost, used) {
            self.forget(number);
        }
        match answer {
            Err(_) => Err(self.late(patience)),
            Ok(Err(error)) if is_lost => Err(unavailable(&self.location, &error)),
            Ok(answer) => Ok(answer),
        }
    }

    /// The connection, made now if there is none, and its number.
    async fn connection(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        let mut open = self.open.lock().await;
        if let Some(connection) = &open.connection {
            return Ok((connection.clone(), open.number));
        }
        // The whole call has its deadline.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        let made = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        open.number += 1;
        open.connection = Some(made.clone());
        Ok((made, open.number))
    }

    /// Has the next call make another connection than this one. Whoever holds the lock for long makes another already.
    fn forget(&self, number: u64) {
        if let Ok(mut open) = self.open.try_lock()
            && open.number == number
        {
            open.connection = None;
        }
    }
}

/// Whether another connection may serve better: this one is gone, or it leads to what is a replica by now.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}

/// Redis' own words hold no secret, and neither does a location.
fn unavailable(location: &RedisLocation, error: &RedisError) -> StoreError {
    StoreError::Unavailable(format!("{location}: {error}").into())
}

#[cfg(target_os = "linux")]
fn unconfirmed(settings: TcpSettings) -> TcpSettings {
    settings.set_user_timeout(UNCONFIRMED)
}

#[cfg(not(target_os = "linux"))]
fn unconfirmed(settings: TcpSettings) -> TcpSettings {
    settings
}
