//! The client against a server that answers as Campfire does, or worse.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, Response as Answer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::{
    connection::{Proxy, Roots, TRIES, jittered, pool},
    *,
};

mod room;

const KEY: &str = "2-1muC7xQRVUXg";
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request as the server saw it.
#[derive(Clone)]
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A server that gives every request the same answer. Ends when it is dropped.
struct Double {
    base: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: JoinHandle<()>,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Double {
    async fn answering(
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, status, headers, body)
    }

    fn on(
        listener: TcpListener,
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
    ) -> Self {
        let base = base(listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let app = Router::new().fallback(move |request: Request| async move {
            let (head, content) = request.into_parts();
            let content = to_bytes(content, usize::MAX).await.unwrap();
            log.lock().unwrap().push(Seen {
                path: head.uri.to_string(),
                headers: head.headers,
                body: content,
            });
            let mut answer = Answer::builder().status(status);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            answer.body(axum::body::Body::from(body)).unwrap()
        });
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, seen, server }
    }

    fn target(&self) -> Target {
        target(self.base.clone())
    }

    fn only_request(&self) -> Seen {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "requests");
        seen[0].clone()
    }
}

fn base(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}")).unwrap()
}

fn target(base: Url) -> Target {
    Target { base, room: RoomId(7), bot_key: KEY.into(), tenure: Tenure::endless() }
}

fn client() -> Client {
    Client::new(TIMEOUT).unwrap()
}

/// The error in full, with all its causes, after a check that none of it holds the key.
fn told(error: &RequestError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text} {error} {error:?}");
        cause = error.source();
    }
    assert!(!text.contains("1muC7xQRVUXg"), "{text}");
    text
}

async fn post_to(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> RequestError {
    let double = Double::answering(status, headers, body).await;
    let error = client().post_html(&double.target(), "hi").await.unwrap_err();
    told(&error);
    // No answer, whatever it is, makes the client send it again.
    double.only_request();
    error
}

#[tokio::test]
async fn a_message_is_sent_as_html_and_its_id_is_read() {
    let double = Double::answering(201, &[("location", "https://chat.example/messages/42")], "").await;
    let id = client().post_html(&double.target(), "<p>ä &amp; 😀 100%</p>").await.unwrap();
    assert_eq!(id, Some(MessageId(42)));
    let request = double.only_request();
    assert_eq!(request.path, format!("/rooms/7/{KEY}/messages"));
    assert_eq!(request.body, "<p>ä &amp; 😀 100%</p>");
    assert_eq!(request.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(request.headers["user-agent"], concat!("hearth/", env!("CARGO_PKG_VERSION")));
    assert_eq!(request.headers["content-length"], request.body.len().to_string());
}

#[tokio::test]
async fn a_machine_without_root_certificates_reaches_a_campfire_over_plain_http() {
    let double = Double::answering(201, &[], "").await;
    let mut client = client();
    client.local = pool(TIMEOUT, Proxy::None, Roots::None).unwrap();
    client.post_html(&double.target(), "hi").await.unwrap();
    double.only_request();
}

#[tokio::test]
async fn a_location_that_is_missing_or_odd_is_no_failure() {
    for (headers, id) in [
        (&[][..], None),
        (&[("location", "")][..], None),
        (&[("location", "/messages/new")][..], None),
        (&[("location", "/messages/7/?x=1")][..], Some(MessageId(7))),
    ] {
        let double = Double::answering(201, headers, "").await;
        assert_eq!(client().post_html(&double.target(), "hi").await.unwrap(), id);
    }
}

#[tokio::test]
async fn a_base_with_a_path_a_query_or_a_slash_works() {
    let double = Double::answering(201, &[], "").await;
    let (client, mut target) = (client(), double.target());
    for base in ["chat", "chat/", "chat?x=1#y"] {
        target.base = double.base.join(base).unwrap();
        client.post_html(&target, "hi").await.unwrap();
    }
    let seen = double.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.path == format!("/chat/rooms/7/{KEY}/messages")));
}

#[tokio::test]
async fn a_key_can_not_lead_to_another_path() {
    let double = Double::answering(201, &[], "").await;
    let mut target = double.target();
    target.bot_key = "../x?y#z".into();
    client().post_html(&target, "hi").await.unwrap();
    assert_eq!(double.only_request().path, "/rooms/7/..%2Fx%3Fy%23z/messages");
}

#[tokio::test]
async fn a_file_is_sent_as_the_attachment_under_its_bare_name() {
    let double = Double::answering(201, &[("location", "/messages/9")], "").await;
    let bytes = Bytes::from_static(b"a,b\0\xff");
    let id = client()
        .post_file(&double.target(), "../tmp/r\u{e9}\n\"port\".csv", "text/csv", bytes)
        .await
        .unwrap();
    assert_eq!(id, Some(MessageId(9)));
    let request = double.only_request();
    assert_eq!(request.headers["content-length"], request.body.len().to_string());
    let kind = request.headers["content-type"].to_str().unwrap();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let mut expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"r\u{e9}\\\"port\\\".csv\"\r\n\
         Content-Type: text/csv\r\n\r\n"
    )
    .into_bytes();
    expected.extend(b"a,b\0\xff");
    expected.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn a_boost_goes_to_its_message() {
    let double = Double::answering(201, &[("content-type", "application/json")], "{}").await;
    client().boost(&double.target(), MessageId(42), "👀").await.unwrap();
    let request = double.only_request();
    assert_eq!(request.path, format!("/rooms/7/{KEY}/messages/42/boosts"));
    assert_eq!(request.body, "👀");
}

#[tokio::test]
async fn a_server_without_boosts_is_told_from_one_that_refuses() {
    for status in [404, 405] {
        let double = Double::answering(status, &[], "").await;
        let error = client().boost(&double.target(), MessageId(1), "👀").await.unwrap_err();
        assert!(matches!(error, RequestError::Unsupported(Feature::Boosts)), "{error:?}");
    }
    let double = Double::answering(302, &[("location", "/session/new")], "").await;
    let error = client().boost(&double.target(), MessageId(1), "👀").await.unwrap_err();
    assert!(matches!(error, RequestError::BadKey), "{error:?}");
}

#[tokio::test]
async fn every_refusal_has_its_name() {
    assert!(matches!(post_to(404, &[], "").await, RequestError::RoomUnknown { room: RoomId(7) }));
    assert!(matches!(post_to(422, &[], "").await, RequestError::Blank));
    assert!(matches!(post_to(429, &[], "").await, RequestError::Banned));
    assert!(matches!(post_to(400, &[], "").await, RequestError::Rejected { status: 400 }));
    let page = post_to(200, &[("content-type", "text/html")], "<html>Upgrade your browser</html>").await;
    assert!(matches!(page, RequestError::NotCampfire { status: 200 }));
    assert!(matches!(post_to(500, &[], "oops").await, RequestError::Uncertain { cause: None, .. }));
    assert!(matches!(post_to(302, &[("location", "/session/new")], "").await, RequestError::BadKey));
    assert!(matches!(post_to(302, &[], "").await, RequestError::BadKey));
    let secret = "https://chat.example/rooms/7/2-1muC7xQRVUXg/messages";
    let headers: &'static [_] = Box::leak(Box::new([("location", secret)]));
    match post_to(301, headers, "").await {
        RequestError::Redirected { to } => assert_eq!(&*to, "https://chat.example"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_leaves_it_uncertain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(base(listener.local_addr().unwrap()));
    let client = Client::new(Duration::from_secs(1)).unwrap();
    let silent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        read_request(&mut connection).await;
        connection
    });
    let error = client.post_html(&target, "hi").await.unwrap_err();
    assert!(told(&error).contains("none in time"), "{error:?}");
    assert!(matches!(error, RequestError::Uncertain { .. }));
    silent.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_it_uncertain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(base(listener.local_addr().unwrap()));
    let breaking = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        read_request(&mut connection).await;
        connection.write_all(b"HTTP/1.1 2").await.unwrap();
        drop(connection);
        listener
    });
    let error = client().post_html(&target, "hi").await.unwrap_err();
    assert!(told(&error).contains("the connection broke"), "{error:?}");
    breaking.await.unwrap();
}

#[tokio::test]
async fn nothing_is_changed_once_the_tenure_is_over_and_what_was_under_way_is_uncertain() {
    let double = Double::answering(201, &[], "").await;
    let tenure = Tenure::endless();
    let target = Target { tenure: tenure.clone(), ..double.target() };
    tenure.end();
    let late = |result| matches!(result, Err(RequestError::TooLate));
    let client = client();
    assert!(late(client.post_html(&target, "hi").await.map(drop)));
    assert!(late(client.post_file(&target, "a", "text/plain", Bytes::new()).await.map(drop)));
    assert!(late(client.edit(&target, MessageId(1), "hi").await));
    assert!(late(client.remove(&target, MessageId(1)).await));
    assert!(late(client.boost(&target, MessageId(1), "👀").await));
    assert!(double.seen.lock().unwrap().is_empty());
    // To read does no harm.
    let _ = client.page(&target, Span::Newest).await;
    assert_eq!(double.seen.lock().unwrap().len(), 1);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tenure = Tenure::endless();
    let target = Target { tenure: tenure.clone(), ..self::target(base(listener.local_addr().unwrap())) };
    let silent = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        read_request(&mut connection).await;
        tenure.end();
        connection
    });
    let error = client.post_html(&target, "hi").await.unwrap_err();
    assert!(matches!(error, RequestError::Uncertain { status: None, .. }), "{error:?}");
    silent.await.unwrap();
}

/// Reads until the body's two bytes have come.
async fn read_request(connection: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\nhi") {
        assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0, "closed too early");
    }
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_once_the_server_is_there() {
    // Bound and not listening: connections are refused, and nobody else gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = target(base(socket.local_addr().unwrap()));
    let client = client();
    let post = client.post_html(&target, "hi");
    tokio::pin!(post);
    // The first try fails within the first poll or soon after; then it waits, and the server starts.
    let early = tokio::time::timeout(Duration::from_millis(40), &mut post).await;
    assert!(early.is_err(), "{early:?}");
    let double = Double::on(socket.listen(16).unwrap(), 201, &[("location", "/messages/5")], "");
    assert_eq!(post.await.unwrap(), Some(MessageId(5)));
    double.only_request();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_four_times() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = client().post_html(&target(base(socket.local_addr().unwrap())), "hi").await.unwrap_err();
    assert!(matches!(error, RequestError::NotSent { tries: TRIES, .. }), "{error:?}");
    told(&error);
}

#[tokio::test]
async fn the_timeout_bounds_the_tries_too() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = target(base(socket.local_addr().unwrap()));
    let error = Client::new(Duration::from_millis(200)).unwrap().post_html(&target, "hi").await.unwrap_err();
    assert!(matches!(error, RequestError::NotSent { tries: 1 | 2, .. }), "{error:?}");
}

#[test]
fn a_base_that_can_carry_no_path_is_refused() {
    let target = target(Url::parse("mailto:a@b.example").unwrap());
    assert!(matches!(target.messages(), Err(RequestError::BadBase)));
}

#[test]
fn debug_shows_no_key() {
    let target = target(Url::parse("https://chat.example").unwrap());
    assert!(!format!("{target:?}").contains("1muC7xQRVUXg"));
    assert!(format!("{target:?}").contains("chat.example"));
}

#[test]
fn this_machine_is_known_by_any_of_its_names() {
    let is_local = |base: &str| target(Url::parse(base).unwrap()).is_local();
    assert!(
        ["http://127.0.0.2:1", "http://[::1]", "http://localhost", "http://a.localhost"]
            .iter()
            .all(|b| is_local(b))
    );
    assert!(!["http://10.0.0.1", "https://localhost.example"].iter().any(|base| is_local(base)));
}

#[test]
fn waits_are_spread_over_their_second_half() {
    for _ in 0..100 {
        let wait = jittered(Duration::from_millis(100));
        assert!((50..=100).contains(&wait.as_millis()));
    }
}
