//! A stand-in for Anthropic's Messages API on loopback, so that the real `claude` CLI runs whole turns offline.
//!
//! It answers from the request alone, at once, and always the same: `n=<messages> last="<last user text>"`. Words in the
//! last user text ask for something else; each stands as a word of its own:
//!
//! | word | answer |
//! |---|---|
//! | `RECALL` | `earlier=[…]`: all user texts before this one, as JSON |
//! | `TOOL:<name>:<json>` | a `tool_use` block, one for each such word; the results that follow are quoted as `tool said "…"`, or `tool failed "…"` |
//! | `THEN` | what stands behind it is asked once the results of the calls before it are there |
//! | `HTTP400` `HTTP401` `HTTP413` `HTTP429` `HTTP500` `HTTP529` | that status with the API's error body |
//! | `HANG` | none, until this server is dropped |
//! | `CLOSE` | the first half of a stream, then a closed connection |
//! | `SLOW=<ms>` | the usual one, after that time |
//!
//! Every request is recorded without its key. The server has a thread and a runtime of its own: it works under a paused
//! clock and from tests that aren't async, and dropping it ends every connection. Whatever else the CLI asks for
//! (`HEAD /`, bootstrap files, `count_tokens`) gets a harmless answer.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
    routing::post,
    serve::ListenerExt as _,
};
use futures_util::{StreamExt as _, future, stream};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

mod answer;

use answer::Answer;

/// How many requests are remembered; older ones go.
const REMEMBERED: usize = 10_000;
/// The real API's limit.
const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// How long [`MessagesApi::arrived`] waits: several CLIs may have to start first.
const PATIENCE: Duration = Duration::from_mins(3);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct MessagesApi {
    address: SocketAddr,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One `POST /v1/messages` as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// Names in lower case; without `x-api-key` and `authorization`.
    pub headers: Vec<(String, String)>,
    /// The JSON body.
    pub body: Value,
}

#[derive(Debug)]
struct Record {
    requests: Mutex<VecDeque<Request>>,
    /// `METHOD /path` of everything that arrived.
    calls: Mutex<VecDeque<String>>,
    /// How many `POST /v1/messages` have arrived in all.
    arrived: watch::Sender<usize>,
}

impl MessagesApi {
    /// Serves on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If the machine lends no port or no thread.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("the listener's address");
        let record = Arc::new(Record {
            requests: Mutex::default(),
            calls: Mutex::default(),
            arrived: watch::Sender::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let routes = routes(Arc::clone(&record));
        let thread = std::thread::Builder::new()
            .name("messages-api".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime for the Messages API");
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener").tap_io(
                        // A small answer would otherwise wait for the acknowledgement of the one before.
                        |connection| connection.set_nodelay(true).expect("no delay on loopback"),
                    );
                    tokio::select! {
                        served = axum::serve(listener, routes) => served.expect("the Messages API serves"),
                        _ = stopped => {}
                    }
                });
            })
            .expect("a thread for the Messages API");
        Self { address, record, stop: Some(stop), thread: Some(thread) }
    }

    /// For `ANTHROPIC_BASE_URL`; has no slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The model calls so far, in the order of their arrival; the last 10,000.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.record.requests).iter().cloned().collect()
    }

    /// `METHOD /path?query` of everything that was asked, model calls too; the last 10,000.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.record.calls).iter().cloned().collect()
    }

    /// Waits until `count` model calls have arrived since the start, answered or not.
    ///
    /// # Panics
    /// If that takes more than three minutes.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.record.arrived.subscribe();
        let waiting = tokio::time::timeout(PATIENCE, arrived.wait_for(|so_far| *so_far >= count));
        assert!(
            waiting.await.is_ok(),
            "{count} model calls within {PATIENCE:?}; there were {:?}",
            self.calls()
        );
    }
}

impl Drop for MessagesApi {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already, and panicking while dropping would abort the tests.
            let _ = thread.join();
        }
    }
}

impl Request {
    /// The system prompt's text, its blocks joined by line ends.
    pub fn system(&self) -> String {
        answer::text_of(&self.body["system"])
    }

    /// The model that was asked for.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// What the user said, oldest first; without tool results.
    pub fn user_texts(&self) -> Vec<String> {
        answer::user_texts(&self.body)
    }

    /// The tools that the model was offered.
    pub fn tools(&self) -> &[Value] {
        self.body["tools"].as_array().map_or(&[], Vec::as_slice)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

// === the server ===

fn routes(record: Arc<Record>) -> Router {
    Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .fallback(anything_else)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(record)
}

async fn messages(State(record): State<Arc<Record>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    record.call(&Method::POST, &uri);
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return error(StatusCode::BAD_REQUEST, "invalid_request_error");
    };
    let streamed = body["stream"] == json!(true);
    let mut answer = answer::to(&body);
    record.request(Request { headers: without_key(&headers), body });

    if let Answer::After(pause, then) = answer {
        tokio::time::sleep(pause).await;
        answer = *then;
    }
    match answer {
        Answer::Message(message) if streamed => event_stream(Body::from(answer::as_events(&message))),
        Answer::Message(message) => json_response(StatusCode::OK, &message),
        Answer::Failure(status, kind) => error(status, kind),
        Answer::Half(message) => {
            let mut events = answer::as_events(&message);
            events.truncate(events.len() / 2);
            let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "closed on request");
            let halves = stream::once(future::ready(Ok(events))).chain(stream::once(async {
                // The first half is only sent once the connection has nothing more to write.
                tokio::task::yield_now().await;
                Err(broken)
            }));
            event_stream(Body::from_stream(halves))
        }
        Answer::Never => std::future::pending().await,
        Answer::After(..) => unreachable!("a pause is never nested in a pause"),
    }
}

async fn count_tokens(State(record): State<Arc<Record>>, uri: Uri, body: Bytes) -> Response {
    record.call(&Method::POST, &uri);
    json_response(StatusCode::OK, &json!({ "input_tokens": body.len() / 4 }))
}

async fn anything_else(State(record): State<Arc<Record>>, method: Method, uri: Uri) -> Response {
    record.call(&method, &uri);
    json_response(StatusCode::OK, &json!({}))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    response(status, "application/json", Body::from(body.to_string()))
}

fn event_stream(events: Body) -> Response {
    response(StatusCode::OK, "text/event-stream", events)
}

fn error(status: StatusCode, kind: &str) -> Response {
    let message = format!("fake {kind} {}", status.as_u16());
    json_response(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header("request-id", "req_fake")
        .body(body)
        .expect("a well-formed response")
}

fn without_key(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| *name != "x-api-key" && *name != header::AUTHORIZATION)
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

impl Record {
    fn call(&self, method: &Method, uri: &Uri) {
        remember(&self.calls, format!("{method} {uri}"));
    }

    fn request(&self, request: Request) {
        remember(&self.requests, request);
        self.arrived.send_modify(|arrived| *arrived += 1);
    }
}

fn remember<T>(all: &Mutex<VecDeque<T>>, one: T) {
    let mut all = lock(all);
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back(one);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
