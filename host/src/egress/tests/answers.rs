//! What comes back.

use super::*;

async fn answer(response: Vec<u8>) -> Result<Response, EgressError> {
    let server = Server::answering(move |_| response.clone()).await;
    let hosts = [server.host("a.test", &[("authorization", "Bearer s3cret-token")])];
    send(&gate(Names::local()), &hosts, get(&server.url("a.test", "/"))).await
}

async fn fault(response: Vec<u8>) -> FaultKind {
    let error = answer(response).await.unwrap_err();
    assert!(error.maybe_sent && !format!("{error:?} {error}").contains("s3cret"), "{error:?}");
    error.fault.kind()
}

#[tokio::test]
async fn an_echoed_secret_is_masked_wherever_it_stands() {
    let server = Server::answering(|request| {
        if request.starts_with("GET /start ") {
            return moved(302, "/next?key=s3cret-token");
        }
        let headers = "x-echo: <Bearer s3cret-token>\r\ncontent-encoding: gzip\r\n";
        ok(headers, &gzipped(request.as_bytes()))
    })
    .await;
    let hosts = [server.host("a.test", &[("authorization", "Bearer s3cret-token")])];
    let response = send(&gate(Names::local()), &hosts, get(&server.url("a.test", "/start"))).await.unwrap();
    assert!(server.requests()[1].contains("s3cret-token"));
    assert_eq!(response.url, server.url("a.test", "/next?key=****"));
    assert_eq!(response.headers[0], ("x-echo".into(), "<****>".into()));
    let body = String::from_utf8(response.body).unwrap();
    assert!(body.contains("GET /next?key=**** ") && body.contains("authorization: ****\r\n"), "{body}");
}

#[tokio::test]
async fn the_secret_of_a_server_on_the_way_is_masked_too() {
    let b = Server::answering(|request| ok("", request.as_bytes())).await;
    let to_b = b.url("b.test", "/?leak=s3cret-of-a");
    let a = Server::answering(move |_| moved(302, &to_b)).await;
    let hosts = [a.host("a.test", &[("x-key", "s3cret-of-a")]), b.host("b.test", &[])];
    let response = send(&gate(Names::local()), &hosts, get(&a.url("a.test", "/"))).await.unwrap();
    assert!(!String::from_utf8(response.body).unwrap().contains("s3cret"));
    assert!(!response.url.contains("s3cret"));
}

#[tokio::test]
async fn any_status_is_an_answer_and_any_bytes_are_a_header() {
    let response =
        answer(b"HTTP/1.1 418 \r\nX-Odd: a\xffb\r\ncontent-length: 0\r\n\r\n".to_vec()).await.unwrap();
    assert_eq!((response.status, &*response.headers[0].1), (418, "a\u{fffd}b"));
    let response = answer(b"HTTP/1.1 204 No\r\ncontent-encoding: gzip\r\n\r\n".to_vec()).await.unwrap();
    assert_eq!((response.status, response.body.len()), (204, 0));
    assert_eq!(fault(b"HTTP/1.1 999 Beyond\r\ncontent-length: 0\r\n\r\n".to_vec()).await, FaultKind::Broken);
}

#[tokio::test]
async fn a_head_has_headers_and_no_body() {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 77\r\n\r\n";
    let server = Server::answering(|_| head.into()).await;
    let hosts = [server.host("a.test", &[])];
    let mut request = get(&server.url("a.test", "/"));
    request.method = Method::HEAD;
    let response = send(&gate(Names::local()), &hosts, request).await.unwrap();
    assert!(response.body.is_empty());
    assert!(response.headers.contains(&("content-length".into(), "77".into())), "{:?}", response.headers);
}

#[tokio::test]
async fn gzip_is_taken_apart() {
    let text = "hello ".repeat(10_000);
    let (one, two) = text.split_at(10_007);
    let members = [gzipped(one.as_bytes()), gzipped(two.as_bytes())].concat();
    for body in [gzipped(text.as_bytes()), members] {
        let response = answer(ok("Content-Encoding: GZIP\r\n", &body)).await.unwrap();
        assert_eq!(response.body, text.as_bytes());
        assert!(response.headers.is_empty(), "{:?}", response.headers);
    }
}

#[tokio::test]
async fn what_is_not_the_gzip_it_claims_to_be_is_broken() {
    let whole = gzipped(b"hello hello hello");
    let half = &whole[..whole.len() - 9];
    assert_eq!(fault(ok("content-encoding: gzip\r\n", half)).await, FaultKind::Broken);
    assert_eq!(fault(ok("content-encoding: gzip\r\n", b"hello")).await, FaultKind::Broken);
    for encoding in ["br", "gzip, gzip", "zstd\r\ncontent-encoding: gzip"] {
        let answer = ok(&format!("content-encoding: {encoding}\r\n"), &whole);
        assert_eq!(fault(answer).await, FaultKind::Broken, "{encoding}");
    }
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    let bomb = gzipped(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100 << 10);
    assert_eq!(fault(ok("content-encoding: gzip\r\n", &bomb)).await, FaultKind::TooLarge);
    // A bomb that makes nothing: empty members without end.
    let empty = gzipped(b"").repeat(6 << 20 >> 4);
    assert_eq!(fault(ok("content-encoding: gzip\r\n", &empty)).await, FaultKind::TooLarge);
}

#[tokio::test]
async fn an_answer_may_have_4_mib_and_no_byte_more() {
    assert_eq!(answer(ok("", &vec![b'x'; 4 << 20])).await.unwrap().body.len(), 4 << 20);
    assert_eq!(fault(ok("", &vec![b'x'; (4 << 20) + 1])).await, FaultKind::TooLarge);
    let without_length = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'x'; 5 << 20]].concat();
    assert_eq!(fault(without_length).await, FaultKind::TooLarge);
}

#[tokio::test]
async fn a_body_that_never_ends_stops_at_the_limit() {
    let server = Server::handling(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let hosts = [server.host("a.test", &[])];
    let (kind, ..) = refused(&gate(Names::local()), &hosts, get(&server.url("a.test", "/"))).await;
    assert_eq!(kind, FaultKind::TooLarge);
}

#[tokio::test]
async fn headers_have_their_limits() {
    let many = "x: y\r\n".repeat(200);
    assert_eq!(fault(ok(&many, b"")).await, FaultKind::TooLarge);
    let long = format!("x: {}\r\n", "y".repeat(70 << 10));
    assert_eq!(fault(ok(&long, b"")).await, FaultKind::TooLarge);
}

#[tokio::test]
async fn what_breaks_off_or_is_no_http_is_broken() {
    for response in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        assert_eq!(fault(response.into()).await, FaultKind::Broken, "{response}");
    }
}
