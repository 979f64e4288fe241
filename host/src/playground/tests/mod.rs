//! The playground over real sockets, against what was recorded from a real Campfire.

mod bot_api;
mod page;
mod webhooks;
mod world;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use reqwest::{Client, RequestBuilder, redirect::Policy};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use url::Url;

use super::*;

/// Far beyond what anything here takes; reached only by a test that fails.
const SOON: Duration = Duration::from_secs(20);

/// A server that ends with the test.
struct Server {
    url: Url,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }

    fn at(&self, path: &str) -> Url {
        self.url.join(path).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A webhook as it arrived.
struct Received {
    path: String,
    headers: HeaderMap,
    body: String,
}

/// A bot's webhook server, which answers whatever it is told to.
struct BotServer {
    server: Server,
    received: mpsc::Receiver<Received>,
}

impl BotServer {
    /// `answer` makes each answer; none leaves the request unanswered.
    async fn start(answer: impl Fn() -> Option<Response> + Send + Sync + 'static) -> Self {
        let (sender, received) = mpsc::channel(64);
        let router = Router::new()
            .fallback(async |State((sender, answer)): State<HookState>, uri: Uri, headers, body: Bytes| {
                let body = String::from_utf8(body.to_vec()).unwrap();
                let path = uri.to_string();
                sender.send(Received { path, headers, body }).await.unwrap();
                match answer() {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            })
            .with_state((sender, Arc::new(answer) as Arc<_>));
        Self { server: Server::start(router).await, received }
    }

    async fn silent() -> Self {
        Self::start(|| Some(axum::http::StatusCode::NO_CONTENT.into_response())).await
    }

    fn hook(&self) -> Url {
        self.server.at("hook/helper?x=1")
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(SOON, self.received.recv()).await.expect("a webhook arrives").unwrap()
    }
}

type HookState = (mpsc::Sender<Received>, Arc<dyn Fn() -> Option<Response> + Send + Sync>);

fn playground() -> Playground {
    Playground::new(Options::default())
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(Policy::none()).timeout(SOON).build().unwrap()
}

/// A post of `body` by a bot, as plain HTML.
fn post(server: &Server, room: RoomId, bot: &BotAccount, body: impl Into<reqwest::Body>) -> RequestBuilder {
    client()
        .post(server.at(&messages_path(room, bot)))
        .header("Content-Type", "text/html; charset=utf-8")
        .body(body)
}

fn messages_path(room: RoomId, bot: &BotAccount) -> String {
    format!("rooms/{room}/{}/messages", bot.key.expose_secret())
}

/// The answer's body, which must be JSON.
async fn parsed<T: DeserializeOwned>(answer: reqwest::Response) -> T {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

async fn delivered(playground: &Playground, message: MessageId) -> Delivery {
    playground.wait_for_delivery(|delivery| delivery.message == message, SOON).await.expect("it is delivered")
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_to_read_again() {
    let playground = playground();
    let mut changes = playground.changes();
    for _ in 0..CHANGES_KEPT + 5 {
        playground.say(playground.you(), playground.shared_room(), "hi").unwrap();
    }
    assert!(matches!(changes.next().await, Some(Change::Missed(5))));
    assert!(matches!(changes.next().await, Some(Change::MessageCreated(_))));
}

#[tokio::test]
async fn a_playground_that_nobody_holds_ends() {
    let playground = playground();
    playground.add_bot("Echo", None);
    let mut changes = playground.changes();
    drop(playground);
    assert!(changes.next().await.is_none());
}

#[tokio::test]
async fn waiting_finds_what_is_there_and_what_comes() {
    let playground = playground();
    let (you, room) = (playground.you(), playground.shared_room());
    let first = playground.say(you, room, "first").unwrap();
    let found = playground.wait_for(room, |message| message.plain == "first", SOON).await;
    assert_eq!(found.map(|message| message.id), Some(first));
    let waiting = playground.wait_for(room, |message| message.plain == "second", SOON);
    let saying = async { playground.say(you, room, "second").unwrap() };
    let (found, second) = tokio::join!(waiting, saying);
    assert_eq!(found.map(|message| message.id), Some(second));
}

#[tokio::test]
async fn waiting_in_vain_ends_at_the_deadline() {
    let playground = playground();
    let found = playground.wait_for(playground.shared_room(), |_| true, Duration::from_millis(10)).await;
    assert_eq!(found, None);
}

#[tokio::test]
async fn ids_go_on_where_the_clock_is_so_that_a_restart_repeats_none() {
    let before = Timestamp::now();
    let playground = playground();
    let id = playground.say(playground.you(), playground.shared_room(), "hi").unwrap();
    assert!(i64::try_from(id.0).unwrap() >= before.0);
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_with_the_reason() {
    let playground = playground();
    let you = playground.you();
    let stranger = playground.add_person("Ann");
    let bot = playground.add_bot("Echo", None);
    assert!(matches!(playground.say(you, playground.shared_room(), " \n "), Err(Error::Blank)));
    assert!(matches!(playground.say(you, RoomId(99), "hi"), Err(Error::UnknownRoom(RoomId(99)))));
    assert!(matches!(playground.say(stranger, bot.direct_room, "hi"), Err(Error::NotAMember { .. })));
    assert!(matches!(playground.add_room("x", &[UserId(99)]), Err(Error::UnknownUser(_))));
    let hook = Url::parse("http://127.0.0.1:1/").unwrap();
    assert!(matches!(playground.set_webhook(stranger, hook), Err(Error::UnknownUser(_))));
}
