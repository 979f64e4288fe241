use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{campfire::Client, config::Config, plugin::Seat};

const SECRET: &str = "0123456789abcdef";
const MESSAGE: &str = r#"{"user":{"id":1,"name":"Ann"},"room":{"id":2,"name":null,"path":"/rooms/2/2-abcdefabcdef/messages"},"message":{"id":13,"body":{"html":null,"plain":"hello"},"path":"/rooms/2/@13"}}"#;

/// An inbox that behaves as it is made.
enum Behaviour {
    Takes,
    Fails,
    Hangs,
    Panics,
}

#[async_trait]
impl Inbox for Behaviour {
    async fn accept(&self, event: NewEvent) -> Result<Acceptance, StoreError> {
        match self {
            Self::Takes => {
                assert!(!event.payload.contains("2-abcdefabcdef"), "the bot key must not be stored");
                Ok(Acceptance::Fresh)
            }
            Self::Fails => Err(StoreError::Unavailable("disk full".into())),
            Self::Hangs => std::future::pending().await,
            Self::Panics => panic!("a bug"),
        }
    }
}

/// A listening door, until it is dropped.
struct Served {
    address: SocketAddr,
    ended: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

async fn served(inbox: Behaviour) -> Served {
    let toml = format!(
        "[bots.echo]\nplugin = \"echo\"\nwebhook-secret = \"{SECRET}\"\n[bots.keyless]\nplugin = \"echo\"\n"
    );
    let config = Config::parse("bots.toml".as_ref(), &toml, &|_| None).unwrap();
    let roster = Roster::default();
    for bot in config.bots.values() {
        roster.seat(Seat { bot: Arc::clone(bot), generation: None });
    }
    let (missed, _) = mpsc::channel(1);
    let roster = Arc::new(roster);
    let client = Client::new(Duration::from_secs(1)).unwrap();
    let hops = Hops { roster: Arc::clone(&roster), client, budget: 8 };
    let door = Arc::new(Door { roster, inbox: Arc::new(inbox), hops, max_body: 64 << 10, missed });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = CancellationToken::new();
    tokio::spawn(serve(door, listener, ended.clone().cancelled_owned()));
    Served { address, ended }
}

/// Sends these bytes and reads until the other side closes.
async fn exchange(served: &Served, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // The door may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn hook() -> String {
    format!("/hooks/echo/{SECRET}")
}

const JSON: &str = "Content-Type: application/json\r\n";

/// Fails unless the answer has this status and nothing that Campfire would post.
#[track_caller]
fn assert_bare(answer: &str, status: u16) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "expected {status}: {head}");
    assert!(!head.to_ascii_lowercase().contains("content-type"), "{head}");
    assert_eq!(body, "", "{head}");
}

#[tokio::test]
async fn a_message_is_acknowledged_with_204() {
    let served = served(Behaviour::Takes).await;
    assert_bare(&exchange(&served, &request("POST", &hook(), JSON, MESSAGE)).await, 204);
    let with_charset = "Content-Type: application/json; charset=utf-8\r\n";
    assert_bare(&exchange(&served, &request("POST", &hook(), with_charset, MESSAGE)).await, 204);
    assert_bare(&exchange(&served, &request("POST", &hook(), "", MESSAGE)).await, 204);
    assert_bare(&exchange(&served, &request("POST", &format!("{}?x=1", hook()), JSON, MESSAGE)).await, 204);
}

#[tokio::test]
async fn a_wrong_path_bot_or_secret_is_404() {
    let served = served(Behaviour::Takes).await;
    let wrong_by_one = format!("/hooks/echo/{}g", &SECRET[..15]);
    let long = format!("{}0", hook());
    for path in [
        "/",
        "/hooks",
        "/hooks/echo",
        "/hooks/echo/",
        &wrong_by_one,
        &long,
        "/hooks/nobody/0123456789abcdef",
        "/hooks/keyless/",
        "/hooks/keyless/no bot has this secret, since it is not of the alphabet",
        "/HOOKS/echo/0123456789abcdef",
        "*",
    ] {
        let answer = exchange(&served, &request("POST", path, JSON, MESSAGE)).await;
        // A path with spaces is not HTTP, which hyper answers itself.
        assert_bare(&answer, if path.contains(' ') { 400 } else { 404 });
    }
}

#[tokio::test]
async fn every_other_refusal_is_bare_too() {
    let served = served(Behaviour::Takes).await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        assert_bare(&exchange(&served, &request(method, &hook(), JSON, MESSAGE)).await, 405);
    }
    assert_bare(
        &exchange(&served, &request("POST", &hook(), "Content-Type: text/html\r\n", MESSAGE)).await,
        415,
    );
    for malformed in ["", "{", "nonsense", "[]", "\"text\"", r#"{"message":{"id":"x"}}"#, &"[".repeat(10_000)]
    {
        let answer = exchange(&served, &request("POST", &hook(), JSON, malformed)).await;
        let status: u16 = answer[9..12].parse().unwrap();
        assert!(status == 400 || status == 204, "{malformed:.20}: {status}");
        assert_bare(&answer, status);
    }
    let long_path = format!("/hooks/echo/{}", "x".repeat(70_000));
    assert_bare(&exchange(&served, &request("POST", &long_path, JSON, MESSAGE)).await, 414);
    let long_header = format!("X-Long: {}\r\n", "x".repeat(600_000));
    assert_bare(&exchange(&served, &request("POST", &hook(), &long_header, MESSAGE)).await, 431);
    assert_bare(&exchange(&served, b"nonsense\r\n\r\n").await, 400);
    assert_bare(&exchange(&served, b"POST / HTTP/9.9\r\n\r\n").await, 400);
}

#[tokio::test]
async fn a_large_body_is_413_whether_it_says_so_or_not() {
    let served = served(Behaviour::Takes).await;
    let declared =
        format!("POST {} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: {}\r\n\r\n", hook(), 50 << 20);
    assert_bare(&exchange(&served, declared.as_bytes()).await, 413);
    let mut chunked =
        format!("POST {} HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n", hook())
            .into_bytes();
    for _ in 0..20 {
        chunked.extend(format!("{:x}\r\n{}\r\n", 8192, " ".repeat(8192)).bytes());
    }
    assert_bare(&exchange(&served, &chunked).await, 413);
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_408() {
    let served = served(Behaviour::Takes).await;
    let unfinished = format!("POST {} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: 100\r\n\r\n{{", hook());
    assert_bare(&exchange(&served, unfinished.as_bytes()).await, 408);
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_cut_off_without_a_word() {
    let served = served(Behaviour::Takes).await;
    let answer = exchange(&served, b"POST /hooks/ec").await;
    assert!(answer.is_empty() || answer.contains("408"), "{answer}");
    if !answer.is_empty() {
        assert_bare(&answer, 408);
    }
}

#[tokio::test]
async fn a_store_that_fails_or_hangs_is_503() {
    let failing = served(Behaviour::Fails).await;
    assert_bare(&exchange(&failing, &request("POST", &hook(), JSON, MESSAGE)).await, 503);
    let hanging = served(Behaviour::Hangs).await;
    assert_bare(&exchange(&hanging, &request("POST", &hook(), JSON, MESSAGE)).await, 503);
}

#[tokio::test]
async fn a_bug_is_500_and_the_next_message_is_served() {
    let served = served(Behaviour::Panics).await;
    for _ in 0..2 {
        assert_bare(&exchange(&served, &request("POST", &hook(), JSON, MESSAGE)).await, 500);
    }
}

#[tokio::test]
async fn a_body_of_fifty_megabytes_is_refused_while_it_is_being_sent() {
    let served = served(Behaviour::Takes).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n", hook());
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let mut sent = 0;
    while sent < 50 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 50, "the door read all of it");
}
