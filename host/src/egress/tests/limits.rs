//! Time and rates. Where time plays a part it is virtual: it jumps when everybody waits.

use tokio::time::sleep;

use super::*;

/// A request that must run into its time, and how long it took.
async fn late(gate: &Gate, hosts: &[HttpHost], request: Request) -> (bool, Duration) {
    let began = Instant::now();
    let (kind, maybe_sent, message) = refused(gate, hosts, request).await;
    assert_eq!(kind, FaultKind::TimedOut, "{message}");
    (maybe_sent, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drips_runs_into_the_deadline() {
    for (head, drop) in [
        ("HTTP/1.1 200 OK\r\nx-drip: ", "x"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let server = Server::handling(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(drop.as_bytes()).await.is_ok() {
                sleep(Duration::from_millis(900)).await;
            }
        })
        .await;
        let hosts = [server.host("a.test", &[])];
        let url = server.url("a.test", "/");
        let (maybe_sent, took) = late(&gate(Names::local()), &hosts, get(&url)).await;
        assert!(maybe_sent, "{head}{drop}");
        assert!((DEFAULT_TIMEOUT..DEFAULT_TIMEOUT + Duration::from_millis(5)).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_plugins_own_timeout_holds_for_all_steps_together() {
    let slow = |answer: Vec<u8>| {
        Server::handling(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_request(&mut stream).await;
                sleep(Duration::from_secs(2)).await;
                let _ = stream.write_all(&answer).await;
            }
        })
    };
    let b = slow(ok("", b"")).await;
    let a = slow(moved(302, &b.url("b.test", "/"))).await;
    let hosts = [a.host("a.test", &[]), b.host("b.test", &[])];
    let gate = gate(Names::local());
    let request =
        |seconds| Request { timeout: Some(Duration::from_secs(seconds)), ..get(&a.url("a.test", "/")) };
    assert_eq!(send(&gate, &hosts, request(5)).await.unwrap().status, 200);
    let (maybe_sent, took) = late(&gate, &hosts, request(3)).await;
    assert!(maybe_sent && took < Duration::from_millis(3_005), "{took:?}");
}

struct Never;

#[async_trait]
impl Resolve for Never {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_hangs_costs_the_time_to_connect_and_nothing_was_sent() {
    let gate = Gate { connector: Connector::new(Never), rates: Rates::default() };
    let hosts = [host("a.test", None, &[])];
    let (maybe_sent, took) = late(&gate, &hosts, get("https://a.test/")).await;
    assert!(
        !maybe_sent && (CONNECT_LIMIT..CONNECT_LIMIT + Duration::from_millis(5)).contains(&took),
        "{took:?}"
    );
    let hasty = Request { timeout: Some(Duration::from_secs(1)), ..get("https://a.test/") };
    let (maybe_sent, took) = late(&gate, &hosts, hasty).await;
    assert!(!maybe_sent && took < Duration::from_millis(1_005), "{took:?}");
}

#[tokio::test]
async fn a_fifth_request_at_once_is_refused_until_one_is_given_up() {
    let server = Server::silent_after("").await;
    let hosts = [server.host("a.test", &[])];
    let gate = gate(Names::local());
    let url = server.url("a.test", "/");
    let mut running: Vec<_> = (0..4).map(|_| Box::pin(send(&gate, &hosts, get(&url)))).collect();
    for request in &mut running {
        assert!(futures_util::poll!(request).is_pending());
    }
    let (kind, maybe_sent, message) = refused(&gate, &hosts, get(&url)).await;
    assert_eq!((kind, maybe_sent), (FaultKind::RateLimited, false), "{message}");
    running.pop();
    assert!(futures_util::poll!(Box::pin(send(&gate, &hosts, get(&url)))).is_pending());
}

#[tokio::test(start_paused = true)]
async fn sixty_requests_a_minute_go_out_and_denied_ones_do_not_count() {
    let server = Server::answering(|_| ok("", b"")).await;
    let hosts = [server.host("a.test", &[])];
    let gate = gate(Names::local());
    for _ in 0..100 {
        assert_eq!(refused(&gate, &hosts, get("https://c.test/")).await.0, FaultKind::Denied);
    }
    let url = server.url("a.test", "/");
    for _ in 0..60 {
        send(&gate, &hosts, get(&url)).await.unwrap();
    }
    let (kind, maybe_sent, message) = refused(&gate, &hosts, get(&url)).await;
    assert_eq!((kind, maybe_sent), (FaultKind::RateLimited, false), "{message}");
    tokio::time::advance(Duration::from_mins(1)).await;
    send(&gate, &hosts, get(&url)).await.unwrap();
}
