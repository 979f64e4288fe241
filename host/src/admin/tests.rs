//! Who is let in and what health says, over a real connection.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, header::HeaderMap};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Notify, task::JoinHandle};

use super::*;
use crate::{
    agent::Runner,
    campfire::Client,
    config::Config,
    id::HostId,
    operator::{self, Operator},
    plugin::Seat,
    store::{Oversight, SqliteStore},
    turn::Turns,
};

const TOKEN: &str = "a-token-that-is-long-enough";

struct Observed {
    listen: SocketAddr,
    store: Arc<SqliteStore>,
    lanes: Lanes,
    ended: CancellationToken,
    _task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Observed {
    /// One bot, `a`, without a plugin, on any port of this machine.
    async fn new(token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("hearth.db")).unwrap());
        let source = "[agent]\ncommand = 'demo-agent'\n[bots.a]\nplugin = 'a'";
        let config = Config::parse("bots.toml".as_ref(), source, &|_| None).unwrap();
        let roster = Arc::new(Roster::default());
        roster.seat(Seat { bot: Arc::clone(&config.bots[&"a".into()]), generation: None });
        let agents = Arc::new(Runner::new(config.agent, folder.path().to_owned()).unwrap());
        let client = Client::new(Duration::from_secs(1)).unwrap();
        let any: Arc<dyn Store> = Arc::<SqliteStore>::clone(&store);
        let turns =
            Turns::new(Arc::clone(&any), Arc::clone(&roster), agents, client, Arc::new(Notify::new()));
        let lanes = Lanes::new(HostId::random(), Arc::clone(&any), turns, 10, 1);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let api = operator::router(Operator {
            store: Arc::clone(&any),
            running: None,
            bots: Arc::new(|| vec!["a".into()]),
        });
        let admin = Admin {
            listener,
            token: token.map(Into::into),
            store: any,
            roster,
            bots: Arc::new(Vec::new),
            lanes: lanes.clone(),
            started_at: Timestamp(7),
            seen: Seen::default(),
        };
        let ended = CancellationToken::new();
        let task = tokio::spawn(admin.serve(api, ended.clone()));
        Self { listen, store, lanes, ended, _task: task, _folder: folder }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let stream = TcpStream::connect(self.listen).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut all = BTreeMap::from([("host", "localhost")]);
        all.extend(headers.iter().copied());
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in all {
            request = request.header(name, value);
        }
        let request = request.body(Full::<Bytes>::from(body.to_owned())).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.ask(Method::GET, path, headers, "").await;
        (answer.status.as_u16(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    async fn status(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(method, path, headers, "").await.status.as_u16()
    }

    async fn log_in(&self, token: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
        self.ask(Method::POST, "/login", &headers, &json!({ "token": token }).to_string()).await
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

#[tokio::test]
async fn health_is_told_to_anybody_and_says_what_is_missing() {
    let observed = Observed::new(Some(TOKEN)).await;
    let anybody = [("host", "hearth.example.com")];
    assert_eq!(observed.get("/healthz", &anybody).await, (200, json!({ "alive": true })));
    let (status, said) = observed.get("/readyz", &anybody).await;
    assert_eq!((status, said), (503, json!({ "ready": false, "reasons": ["the plugins are being loaded"] })));
    observed.lanes.open();
    let (status, said) = observed.get("/readyz", &anybody).await;
    let reason = "no bot's plugin can be loaded; see the log";
    assert_eq!((status, &said["reasons"]), (503, &json!([reason])));
    observed.lanes.close(Duration::ZERO, std::future::pending()).await;
    let (_, said) = observed.get("/readyz", &anybody).await;
    assert_eq!(said["reasons"], json!(["the host is about to end"]));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_a_reason_not_to_be_ready() {
    let observed = Observed::new(None).await;
    observed.store.close().await;
    let (status, said) = observed.get("/readyz", &[]).await;
    assert_eq!(status, 503);
    assert!(said["reasons"].to_string().contains("the store takes no messages"), "{said}");
    let (status, said) = observed.get("/api/overview", &[]).await;
    assert_eq!(status, 503);
    assert!(said["error"].as_str().unwrap().contains("the store failed"), "{said}");
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_let_in_and_by_its_own_name() {
    let observed = Observed::new(None).await;
    for path in ["/api/overview", "/metrics", "/api/pauses", "/api/session"] {
        assert_eq!(observed.status(Method::GET, path, &[]).await, 200, "{path}");
        let (status, said) = observed.get(path, &[("host", "rebound.example.com")]).await;
        assert_eq!(status, 403, "{path}");
        assert!(said["help"].as_str().unwrap().contains("admin-token"), "{said}");
    }
    let (_, overview) = observed.get("/api/overview", &[]).await;
    assert_eq!(overview["agents"], json!({ "busy": 0, "waiting": [] }));
    assert_eq!((&overview["bots"][0]["name"], &overview["started-at"]), (&json!("a"), &json!(7)));
    assert_eq!(observed.get("/api/turns/nosuch", &[]).await.0, 404);
    assert_eq!(observed.get("/api/turns?limit=x", &[]).await.0, 400);
}

#[tokio::test]
async fn an_action_carries_a_token_that_only_the_page_could_read() {
    let observed = Observed::new(None).await;
    let (_, session) = observed.get("/api/session", &[]).await;
    let token = session["action-token"].as_str().unwrap();
    assert_eq!(session["login"], json!(false));
    let own = ("sec-fetch-site", "same-origin");
    let right = ("x-hearth-action", token);
    for (headers, expected) in [
        (vec![], 403),
        (vec![own], 403),
        (vec![own, ("x-hearth-action", "guessed")], 403),
        (vec![right, ("sec-fetch-site", "cross-site")], 403),
        (vec![right, ("origin", "http://evil.example.com")], 403),
        (vec![right, own, ("host", "rebound.example.com")], 403),
        (vec![right, own], 200),
    ] {
        assert_eq!(observed.status(Method::PUT, "/api/pauses/a", &headers).await, expected, "{headers:?}");
        let paused = observed.store.pauses().await.unwrap().len();
        assert_eq!(paused, usize::from(expected == 200), "{headers:?}");
    }
}

#[tokio::test]
async fn with_a_token_a_login_lets_in_until_it_is_ended() {
    let observed = Observed::new(Some(TOKEN)).await;
    assert_eq!(observed.get("/api/overview", &[]).await.0, 401);
    assert_eq!(observed.status(Method::GET, "/metrics", &[]).await, 401);
    assert_eq!(observed.log_in("a-token-that-is-wrong-here").await.status, 401);
    let foreign = [("content-type", "application/json"), ("sec-fetch-site", "cross-site")];
    let body = json!({ "token": TOKEN }).to_string();
    assert_eq!(observed.ask(Method::POST, "/login", &foreign, &body).await.status, 403);

    let answer = observed.log_in(TOKEN).await;
    assert_eq!(answer.status, 204);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict") && cookie.contains("Max-Age=43200"), "{cookie}");
    assert!(!cookie.contains("Secure"), "on this machine there is no TLS");
    let cookie = ("cookie", cookie.split(';').next().unwrap());
    let (status, session) = observed.get("/api/session", &[cookie]).await;
    assert_eq!((status, &session["login"]), (200, &json!(true)));
    let action = ("x-hearth-action", session["action-token"].as_str().unwrap());
    assert_eq!(observed.status(Method::PUT, "/api/pauses/a", &[cookie]).await, 403);
    assert_eq!(observed.status(Method::PUT, "/api/pauses/a", &[cookie, action]).await, 200);
    assert_eq!(observed.status(Method::POST, "/logout", &[cookie, action]).await, 204);
    assert_eq!(observed.get("/api/overview", &[cookie]).await.0, 401);
}

#[tokio::test]
async fn a_program_shows_the_token_itself() {
    let observed = Observed::new(Some(TOKEN)).await;
    let bearer = format!("Bearer {TOKEN}");
    let bearer = ("authorization", &*bearer);
    assert_eq!(observed.status(Method::GET, "/metrics", &[bearer]).await, 200);
    assert_eq!(observed.status(Method::PUT, "/api/pauses/a", &[bearer]).await, 200);
    assert_eq!(observed.status(Method::GET, "/metrics", &[("authorization", "Bearer x")]).await, 401);
}

#[tokio::test]
async fn who_tries_too_many_tokens_waits_even_with_the_right_one() {
    let observed = Observed::new(Some(TOKEN)).await;
    let held = observed.log_in(TOKEN).await;
    let cookie = held.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for _ in 0..10 {
        assert_eq!(observed.log_in("another-token-that-is-wrong").await.status, 401);
    }
    let answer = observed.log_in(TOKEN).await;
    assert_eq!((answer.status.as_u16(), answer.headers["retry-after"].to_str().unwrap()), (429, "60"));
    assert_eq!(observed.get("/api/overview", &[("cookie", &cookie)]).await.0, 200, "who is in stays in");
}

#[tokio::test]
async fn every_answer_keeps_to_itself() {
    let observed = Observed::new(Some(TOKEN)).await;
    for path in ["/", "/dashboard.js", "/dashboard.css", "/api/overview", "/healthz", "/nowhere"] {
        let answer = observed.ask(Method::GET, path, &[], "").await;
        let said = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
        let policy = said("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!((&*said("x-content-type-options"), &*said("referrer-policy")), ("nosniff", "no-referrer"));
        assert_eq!(said("cache-control"), "no-store", "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains(TOKEN));
    }
    let long = "x".repeat(5000);
    assert_eq!(observed.log_in(&long).await.status, 413);
}
