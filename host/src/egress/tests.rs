//! The gate against servers on loopback: some kind, most of them not.

mod addresses;
mod answers;
mod encrypted;
mod limits;
mod redirects;
mod requests;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hyper::{Method, header::HeaderName};
use secrecy::SecretString;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::{connect::Resolve, *};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

// === Names ===

/// Knows these names, and counts who asks.
#[derive(Clone)]
struct Names {
    known: HashMap<&'static str, Vec<IpAddr>>,
    lookups: Arc<AtomicUsize>,
}

impl Names {
    /// `a.test` and `b.test` are on loopback.
    fn local() -> Self {
        Self::of([("a.test", vec![LOOPBACK]), ("b.test", vec![LOOPBACK])])
    }

    fn of<const N: usize>(known: [(&'static str, Vec<IpAddr>); N]) -> Self {
        Self { known: known.into(), lookups: Arc::default() }
    }
}

#[async_trait]
impl Resolve for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.known.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn gate(names: Names) -> Gate {
    Gate { connector: Connector::new(names), rates: Rates::default() }
}

// === Servers ===

/// A server that ends with its value.
struct Server {
    port: u16,
    /// Each request, head and body.
    seen: Arc<Mutex<Vec<String>>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Server {
    /// Answers each request with what `answer` makes of it, and hangs up.
    async fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let seeing = Arc::clone(&seen);
        let server = Self::handling(move |mut stream| {
            let (answer, seeing) = (Arc::clone(&answer), Arc::clone(&seeing));
            async move {
                let request = read_request(&mut stream).await;
                let response = answer(&request);
                seeing.lock().unwrap().push(request);
                // A client that has seen enough hangs up.
                let _ = stream.write_all(&response).await;
            }
        });
        Self { seen, ..server.await }
    }

    /// Leaves each connection to `handle`.
    async fn handling<F: Future<Output = ()> + Send + 'static>(
        handle: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(handle(stream));
            }
        });
        Self { port, seen: Arc::default(), _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Takes each request, and says `greeting` and nothing more.
    async fn silent_after(greeting: &'static str) -> Self {
        Self::handling(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(greeting.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await
    }

    fn url(&self, name: &str, path: &str) -> String {
        format!("http://{name}:{}{path}", self.port)
    }

    /// This server under this name, allowed.
    fn host(&self, name: &str, headers: &[(&'static str, &str)]) -> HttpHost {
        host(name, Some(self.port), headers)
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn host(name: &str, port: Option<u16>, headers: &[(&'static str, &str)]) -> HttpHost {
    let header =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), SecretString::from(*value));
    HttpHost {
        host: name.to_owned(),
        port,
        headers: headers.iter().map(header).collect(),
        private: true,
        plain: true,
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text.into_owned();
            }
        }
        if let Ok(0) | Err(_) = stream.read_buf(&mut request).await {
            return String::from_utf8_lossy(&request).into_owned();
        }
    }
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn moved(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

// === Asking ===

fn get(url: &str) -> Request {
    Request { method: Method::GET, url: url.to_owned(), headers: Vec::new(), body: None, timeout: None }
}

fn post(url: &str, body: &str) -> Request {
    Request { method: Method::POST, body: Some(body.into()), ..get(url) }
}

async fn send(gate: &Gate, hosts: &[HttpHost], request: Request) -> Result<Response, EgressError> {
    gate.send(&"bot".into(), hosts, request).await
}

/// What a plugin is told: kind, whether something may have been sent, and the words.
async fn refused(gate: &Gate, hosts: &[HttpHost], request: Request) -> (FaultKind, bool, String) {
    let error = send(gate, hosts, request).await.expect_err("this fails");
    (error.fault.kind(), error.maybe_sent, error.to_string())
}
