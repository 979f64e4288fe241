//! Where an operator's command asks: the running host, through its socket, or, if none runs, the store itself, by the same
//! routes. Neither needs the deployment's secrets, but for the password of a store in Redis.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, service::Service};
use hyper_util::service::TowerToHyperService;
use miette::{IntoDiagnostic, Report, miette};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::terminal;
use crate::{
    config::{Place, StoreLocation},
    operator::{self, Operator, Refusal},
    store::{RedisStore, SqliteStore, Store, StoreError},
};

/// How long the store may be with another process that can't be asked: a host that starts or ends, another command.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// The pause before both are tried again.
const STORE_PAUSE: Duration = Duration::from_millis(100);

/// Where questions are asked: the deployment's host, or its store.
pub(super) struct Desk {
    /// Which deployment.
    pub(super) place: Place,
}

impl Desk {
    /// Asks the running host, or does what it would do.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<String>)],
    ) -> Result<T, Report> {
        let socket = operator::socket_path(&self.place.data_dir);
        let deadline = Instant::now() + STORE_PATIENCE;
        loop {
            if let Some(answer) =
                operator::ask(&socket, request(&method, path, query)?).await.into_diagnostic()?
            {
                return read(&answer);
            }
            let opened = match self.existing_store()? {
                StoreLocation::Sqlite(path) => SqliteStore::open(&path).map(|store| {
                    let store: Arc<dyn Store> = Arc::new(store);
                    (store, "No host runs now; this holds for the next one.")
                }),
                StoreLocation::Redis(location) => RedisStore::open(&location).await.map(|store| {
                    let store: Arc<dyn Store> = Arc::new(store);
                    (store, "No host runs here; this holds for those that share the store, within seconds.")
                }),
            };
            match opened {
                Ok((store, holds)) => {
                    let answer = self.serve_once(store, request(&method, path, query)?).await?;
                    let answer = read(&answer)?;
                    if method != Method::GET {
                        terminal::note(holds);
                    }
                    return Ok(answer);
                }
                Err(StoreError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                Err(StoreError::InUse { path }) => {
                    return Err(miette!(
                        help = "the host's log says why; end the host, or give it a shorter `data-dir` in [host]",
                        "a process works with {path}, and no host listens at {}",
                        socket.display()
                    ));
                }
                Err(other) => return Err(other).into_diagnostic(),
            }
        }
    }

    /// The store. If it is a file, then only if there is one: asking must not make it.
    pub(super) fn existing_store(&self) -> Result<StoreLocation, Report> {
        match self.place.store()? {
            StoreLocation::Sqlite(path) if !path.exists() => Err(miette!(
                help = "name the configuration with `--config`, or start its host once; the playground's store is asked for with `--playground`",
                "there is no store at {}",
                path.display()
            )),
            store => Ok(store),
        }
    }

    /// Answers one request as a host would.
    async fn serve_once(
        &self,
        store: Arc<dyn Store>,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Report> {
        let names: Vec<_> = self.place.bots.iter().cloned().collect();
        let operator =
            Operator { store: Arc::clone(&store), running: None, bots: Arc::new(move || names.clone()) };
        let answered = TowerToHyperService::new(operator::router(operator)).call(request).await;
        store.close().await;
        let answer = answered.into_diagnostic()?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await.into_diagnostic()?.to_bytes()))
    }
}

fn request(
    method: &Method,
    path: &[&str],
    query: &[(&str, Option<String>)],
) -> Result<Request<Full<Bytes>>, Report> {
    let mut url = Url::parse("http://hearth/").into_diagnostic()?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().extend(path);
    }
    for (name, value) in query {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    let target = &url[url::Position::BeforePath..];
    Request::builder()
        .method(method)
        .uri(target)
        .header("host", "hearth")
        .body(Full::default())
        .into_diagnostic()
}

fn read<T: DeserializeOwned>((status, body): &(StatusCode, Bytes)) -> Result<T, Report> {
    if status.is_success() {
        return serde_json::from_slice(body).into_diagnostic();
    }
    let refusal = serde_json::from_slice(body).unwrap_or_else(|_| Refusal {
        error: format!("the host answered {status}: {}", String::from_utf8_lossy(body)),
        help: None,
    });
    Err(match refusal.help {
        Some(help) => miette!(help = help, "{}", refusal.error),
        None => miette!("{}", refusal.error),
    })
}
