//! Where names lead.

use super::*;

fn public(name: &str) -> HttpHost {
    HttpHost { private: false, ..host(name, None, &[("x-key", "s3cret")]) }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_however_it_does_so() {
    for addresses in [
        vec!["10.0.0.5"],
        vec!["127.0.0.1"],
        vec!["169.254.169.254"],
        vec!["fd00:ec2::254"],
        vec!["::ffff:127.0.0.1"],
        vec!["64:ff9b::a00:5"],
        vec!["2002:7f00:1::"],
        vec!["0.0.0.0"],
        // One public address among them does not help.
        vec!["93.184.215.14", "192.168.1.1"],
        vec!["2606:4700::1111", "::1"],
    ] {
        let found = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let gate = gate(Names::of([("a.test", found)]));
        let (kind, maybe_sent, message) = refused(&gate, &[public("a.test")], get("https://a.test/")).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Denied, false), "{addresses:?}: {message}");
        assert!(message.contains("`private = true` to [bots.bot.http.\"a.test\"]"), "{message}");
        assert!(addresses.iter().all(|address| !message.contains(address)), "{message}");
    }
}

#[tokio::test]
async fn this_machine_is_refused_in_every_spelling_even_if_it_is_named() {
    let gate = gate(Names::of([("localhost", vec![LOOPBACK])]));
    let hosts = ["localhost", "127.0.0.1", "[::1]", "169.254.169.254", "0.0.0.0"].map(public);
    for url in [
        "http://localhost/",
        "https://LOCALHOST/",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0x7f000001/",
        "http://127。0。0。1/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://0/",
        "https://169.254.169.254/",
        "http://0xA9FEA9FE/",
    ] {
        for hosts in [&hosts[..], &[]] {
            let (kind, maybe_sent, message) = refused(&gate, hosts, get(url)).await;
            assert_eq!((kind, maybe_sent), (FaultKind::Denied, false), "{url}: {message}");
        }
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_a_step_and_its_address_is_the_one_connected_to() {
    let b = Server::answering(|_| ok("", b"")).await;
    let to_b = b.url("b.test", "/");
    let a = Server::answering(move |_| moved(302, &to_b)).await;
    let hosts = [a.host("a.test", &[]), b.host("b.test", &[])];
    let names = Names::local();
    send(&gate(names.clone()), &hosts, get(&a.url("a.test", "/"))).await.unwrap();
    assert_eq!(names.lookups.load(Ordering::Relaxed), 2);
    assert_eq!((a.requests().len(), b.requests().len()), (1, 1));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let server = Server::answering(|_| ok("", b"")).await;
    // Nothing listens on this port of the other address.
    let names = Names::of([("a.test", vec!["127.0.0.2".parse().unwrap(), LOOPBACK])]);
    let hosts = [server.host("a.test", &[])];
    assert_eq!(send(&gate(names), &hosts, get(&server.url("a.test", "/"))).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_server_that_is_not_there_was_sent_nothing() {
    let free = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap().port();
    let hosts = [host("a.test", Some(free), &[]), host("gone.test", None, &[])];
    let gate = gate(Names::local());
    for url in [&format!("http://a.test:{free}/"), "http://gone.test/"] {
        let (kind, maybe_sent, message) = refused(&gate, &hosts, get(url)).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Unreachable, false), "{url}: {message}");
    }
}

#[tokio::test]
async fn the_systems_own_lookup_knows_this_machine_and_does_not_know_what_is_invalid() {
    let system = SystemResolver::default();
    let found = system.addresses("localhost").await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    assert!(system.addresses("a.invalid").await.map_or(true, |found| found.is_empty()));
}
