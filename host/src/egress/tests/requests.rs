//! What a server gets.

use proptest::prelude::*;

use super::*;
use crate::egress::request::allowed;

#[tokio::test]
async fn a_server_gets_what_the_plugin_wrote_and_the_operators_secret() {
    let server = Server::answering(|_| ok("X-Answer: 42\r\n", b"fine")).await;
    let hosts = [server.host("a.test", &[("authorization", "Bearer s3cret")])];
    let mut request = post(&server.url("a.test", "/path?q=%20ü#part"), "{\"a\":1}");
    request.headers = vec![("X-One".into(), "1".into()), ("x-one".into(), "2".into())];
    let response = send(&gate(Names::local()), &hosts, request).await.unwrap();

    let port = server.port;
    assert_eq!(response.status, 200);
    assert_eq!(response.headers, [("x-answer".into(), "42".into()), ("content-length".into(), "4".into())]);
    assert_eq!(response.body, b"fine");
    assert_eq!(response.url, format!("http://a.test:{port}/path?q=%20%C3%BC"));
    let [request] = <[String; 1]>::try_from(server.requests()).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines[1..].sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines,
        [
            "POST /path?q=%20%C3%BC HTTP/1.1",
            "accept-encoding: gzip",
            "accept: */*",
            "authorization: Bearer s3cret",
            "content-length: 7",
            &format!("host: a.test:{port}"),
            &format!("user-agent: hearth-plugin/{version}"),
            "x-one: 1",
            "x-one: 2",
        ]
    );
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn a_plugin_may_name_itself_and_a_post_without_a_body_says_so() {
    let server = Server::answering(|_| ok("", b"")).await;
    let hosts = [server.host("a.test", &[])];
    let mut request = get(&server.url("a.test", "/"));
    request.method = Method::POST;
    request.headers = vec![("User-Agent".into(), "oncall/1".into())];
    send(&gate(Names::local()), &hosts, request).await.unwrap();
    let request = server.requests().remove(0);
    assert!(request.contains("\r\nuser-agent: oncall/1\r\n"), "{request}");
    assert!(request.contains("\r\ncontent-length: 0\r\n") && !request.contains("hearth-plugin"), "{request}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_before_anything_is_sent() {
    let server = Server::answering(|_| ok("", b"")).await;
    let hosts = [server.host("a.test", &[("x-key", "s3cret")])];
    let names = Names::local();
    let gate = gate(names.clone());
    let url = server.url("a.test", "/");
    let with_header =
        |name: &str, value: &str| Request { headers: vec![(name.to_owned(), value.to_owned())], ..get(&url) };
    for (request, word) in [
        (get("a.test/path"), "absolute"),
        (get("ftp://a.test/"), "neither"),
        (get(&url.replace("a.test", "ann:pw@a.test")), "user name"),
        (get(&format!("{url}{}", "x".repeat(8 << 10))), "8192"),
        // 3 bytes of text, 9 of URL.
        (get(&format!("{url}{}", "€".repeat(2_000))), "8192"),
        (with_header("X-KEY", "mine"), "set by the operator"),
        (with_header("Host", "b.test"), "`host`"),
        (with_header("content-length", "5"), "`content-length`"),
        (with_header("Connection", "close"), "`connection`"),
        (with_header("transfer-encoding", "chunked"), "`transfer-encoding`"),
        (with_header("accept-encoding", "br"), "`accept-encoding`"),
        (with_header("bad name", "x"), "header 1"),
        (with_header("x-split", "a\r\nx-key: b"), "`x-split`"),
        (with_header("x-large", &"x".repeat(16 << 10)), "16384"),
        (Request { headers: vec![("a".into(), "b".into()); 65], ..get(&url) }, "65"),
        (post(&url, &"x".repeat((1 << 20) + 1)), "1048576"),
        (Request { timeout: Some(Duration::ZERO), ..get(&url) }, "30s"),
        (Request { timeout: Some(Duration::from_millis(30_001)), ..get(&url) }, "30s"),
    ] {
        let url = request.url.clone();
        let (kind, maybe_sent, message) = refused(&gate, &hosts, request).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Invalid, false), "{url}: {message}");
        assert!(message.contains(word) && !message.contains("s3cret"), "{message}");
    }
    assert_eq!(names.lookups.load(Ordering::Relaxed), 0);
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_largest_request_that_may_be_is_sent() {
    let server = Server::answering(|_| ok("", b"")).await;
    let hosts = [server.host("a.test", &[])];
    let mut request = post(&server.url("a.test", "/"), &"x".repeat(1 << 20));
    request.headers = vec![("x".into(), "y".repeat(200)); 64];
    request.timeout = Some(Duration::from_secs(30));
    assert_eq!(send(&gate(Names::local()), &hosts, request).await.unwrap().status, 200);
    assert!(server.requests()[0].len() > 1 << 20);
}

#[tokio::test]
async fn a_server_that_is_not_named_is_refused_with_the_table_to_add() {
    let gate = gate(Names::local());
    let hosts = [HttpHost { plain: false, ..host("a.test", None, &[]) }, host("b.test", Some(8443), &[])];
    for (url, remedy) in [
        ("https://c.test/", "the table [bots.bot.http.\"c.test\"] to"),
        ("https://a.test.c.test/", "[bots.bot.http.\"a.test.c.test\"]"),
        ("https://a.test:8443/", "[bots.bot.http.\"a.test:8443\"]"),
        ("https://b.test/", "[bots.bot.http.\"b.test\"]"),
        ("http://c.test/", "[bots.bot.http.\"c.test\"] with `plain = true`"),
        ("http://a.test/", "`plain = true` to [bots.bot.http.\"a.test\"]"),
        ("https://a.test./", "[bots.bot.http.\"a.test.\"]"),
    ] {
        let (kind, maybe_sent, message) = refused(&gate, &hosts, get(url)).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Denied, false), "{url}: {message}");
        assert!(message.contains(remedy), "{message}");
    }
}

#[test]
fn a_secret_is_known_by_its_host_and_header() {
    let hosts = [host("a.test", None, &[("x-key", "s3cret")]), host("[::1]", Some(8443), &[("x-id", "1")])];
    for (name, header, there) in [
        ("a.test", "X-Key", true),
        ("A.Test", "x-key", true),
        ("a.test:443", "x-key", false),
        ("a.test", "x-id", false),
        ("b.test", "x-key", false),
        ("[0:0::1]:8443", "x-id", true),
        ("[::1]", "x-id", false),
        ("https://a.test", "x-key", false),
        ("", "", false),
    ] {
        assert_eq!(has_secret(&hosts, name, header), there, "{name} {header}");
    }
}

proptest! {
    #[test]
    fn only_a_named_scheme_host_and_port_is_allowed(
        named in "[ab]{1,2}\\.test",
        named_port in proptest::option::of(proptest::sample::select(vec![80_u16, 443, 8080])),
        plain: bool,
        asked in "[ab]{1,2}\\.test",
        asked_port in proptest::option::of(proptest::sample::select(vec![80_u16, 443, 8080])),
        https: bool,
    ) {
        let hosts = [HttpHost { plain, ..host(&named, named_port, &[]) }];
        let (scheme, default) = if https { ("https", 443) } else { ("http", 80) };
        let port = asked_port.map_or(String::new(), |port| format!(":{port}"));
        let url = format!("{scheme}://{asked}{port}/").parse().unwrap();
        let fits = named == asked
            && asked_port.unwrap_or(default) == named_port.unwrap_or(default)
            && (https || plain);
        prop_assert_eq!(allowed(&"bot".into(), &hosts, &url).is_ok(), fits, "{} {:?}", url, hosts);
    }
}
