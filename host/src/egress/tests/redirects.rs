//! Where servers point to, and what goes there.

use super::*;

#[tokio::test]
async fn a_redirect_to_another_allowed_host_drops_the_secret_and_gives_it_its_own() {
    let b = Server::answering(|_| ok("", b"b")).await;
    let to_b = b.url("b.test", "/there");
    let a = Server::answering(move |_| moved(307, &to_b)).await;
    let hosts =
        [a.host("a.test", &[("x-key", "s3cret-of-a")]), b.host("b.test", &[("x-other", "s3cret-of-b")])];
    let mut request = post(&a.url("a.test", "/"), "body");
    request.headers =
        ["authorization", "cookie", "x-mine", "x-other"].map(|name| (name.into(), "mine".into())).into();
    let response = send(&gate(Names::local()), &hosts, request).await.unwrap();

    assert_eq!((response.body.as_slice(), response.url), (&b"b"[..], b.url("b.test", "/there")));
    let (at_a, at_b) = (a.requests().remove(0), b.requests().remove(0));
    assert!(at_a.contains("s3cret-of-a") && !at_a.contains("s3cret-of-b"), "{at_a}");
    assert!(at_a.contains("\r\nauthorization: mine\r\n") && at_a.contains("\r\ncookie: mine\r\n"), "{at_a}");
    assert!(at_b.contains("\r\nx-other: s3cret-of-b\r\n") && !at_b.contains("s3cret-of-a"), "{at_b}");
    assert!(at_b.contains("\r\nx-mine: mine\r\n") && !at_b.contains("x-other: mine"), "{at_b}");
    assert!(!at_b.contains("authorization") && !at_b.contains("cookie"), "{at_b}");
    assert!(!at_b.to_lowercase().contains("referer"), "{at_b}");
    assert!(at_b.starts_with("POST /there ") && at_b.ends_with("body"), "{at_b}");
}

#[tokio::test]
async fn a_redirect_on_one_server_keeps_what_the_plugin_wrote() {
    let server = Server::answering(|request| {
        if request.starts_with("GET /old ") { moved(302, "new?x") } else { ok("", b"new") }
    })
    .await;
    let hosts = [server.host("a.test", &[("x-key", "s3cret")])];
    let mut request = get(&server.url("a.test", "/old"));
    request.headers = vec![("authorization".into(), "mine".into())];
    let response = send(&gate(Names::local()), &hosts, request).await.unwrap();
    assert_eq!(response.url, server.url("a.test", "/new?x"));
    let second = server.requests().remove(1);
    assert!(second.contains("x-key: s3cret") && second.contains("authorization: mine"), "{second}");
}

#[tokio::test]
async fn a_post_that_becomes_a_get_leaves_its_body_behind() {
    let server =
        Server::answering(
            |request| {
                if request.starts_with("POST") { moved(303, "/result") } else { ok("", b"") }
            },
        )
        .await;
    let hosts = [server.host("a.test", &[])];
    let mut request = post(&server.url("a.test", "/"), "body");
    request.headers = vec![("content-type".into(), "text/plain".into())];
    send(&gate(Names::local()), &hosts, request).await.unwrap();
    let second = server.requests().remove(1);
    assert!(second.starts_with("GET /result "), "{second}");
    assert!(!second.contains("content-") && second.ends_with("\r\n\r\n"), "{second}");
}

#[tokio::test]
async fn a_redirect_to_where_the_plugin_may_not_go_is_refused() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://127.1/",
        "http://2130706433/",
        "http://[::1]/",
        "http://0x7f.1/",
        "http://evil.test/?",
        "//evil.test/",
    ] {
        let a = Server::answering(move |_| moved(302, location)).await;
        let hosts = [a.host("a.test", &[("x-key", "s3cret")])];
        let (kind, maybe_sent, message) =
            refused(&gate(Names::local()), &hosts, get(&a.url("a.test", "/"))).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Denied, true), "{location}: {message}");
        assert!(message.starts_with("after a redirect: ") && message.contains("bots.bot.http"), "{message}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_named_host_with_a_private_address_is_refused() {
    let names = Names::of([("a.test", vec![LOOPBACK]), ("inside.test", vec!["10.0.0.5".parse().unwrap()])]);
    for location in ["https://inside.test/", "https://169.254.169.254/"] {
        let a = Server::answering(move |_| moved(302, location)).await;
        let public = |name| HttpHost { private: false, ..host(name, None, &[]) };
        let hosts = [a.host("a.test", &[]), public("inside.test"), public("169.254.169.254")];
        let (kind, maybe_sent, message) =
            refused(&gate(names.clone()), &hosts, get(&a.url("a.test", "/"))).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Denied, true), "{location}: {message}");
        assert!(message.contains("private = true"), "{message}");
    }
}

#[tokio::test]
async fn five_redirects_are_followed_and_a_sixth_is_not() {
    let server = Server::answering(|request| {
        let left: u32 = request["GET /".len()..].split(' ').next().unwrap().parse().unwrap();
        if left == 0 { ok("", b"here") } else { moved(302, &format!("/{}", left - 1)) }
    })
    .await;
    let hosts = [server.host("a.test", &[])];
    let gate = gate(Names::local());
    let response = send(&gate, &hosts, get(&server.url("a.test", "/5"))).await.unwrap();
    assert_eq!(response.body, b"here");
    let (kind, maybe_sent, message) = refused(&gate, &hosts, get(&server.url("a.test", "/6"))).await;
    assert_eq!((kind, maybe_sent), (FaultKind::Redirected, true), "{message}");
    assert_eq!(server.requests().len(), 12);
}

#[tokio::test]
async fn a_redirect_to_what_is_no_server_is_told_so() {
    for location in ["ftp://a.test/", "http://ann:pw@a.test/", "https://"] {
        let a = Server::answering(move |_| moved(301, location)).await;
        let hosts = [a.host("a.test", &[])];
        let (kind, maybe_sent, message) =
            refused(&gate(Names::local()), &hosts, get(&a.url("a.test", "/"))).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Redirected, true), "{location}: {message}");
        assert!(!message.contains("pw"), "{message}");
    }
}
