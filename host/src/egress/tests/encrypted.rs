//! TLS. `certificate.pem` is for `hearth.test` and `other.test`, signed by itself and by nobody else; `key.pem` is its key,
//! which opens nothing.

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use super::*;

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(include_bytes!("certificate.pem")).unwrap()
}

fn acceptor() -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A server behind TLS that sends back what it gets.
async fn echo() -> Server {
    let acceptor = acceptor();
    Server::handling(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let request = read_request(&mut stream).await;
            stream.write_all(&ok("", request.as_bytes())).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await
}

fn trusting(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Gate {
    let mut store = RootCertStore::empty();
    roots.into_iter().for_each(|root| store.add(root).unwrap());
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let names = Names::of(["hearth.test", "other.test", "wrong.test"].map(|name| (name, vec![LOOPBACK])));
    Gate { connector: Connector::trusting(names, tls), rates: Rates::default() }
}

fn secret_at(server: &Server, name: &str) -> HttpHost {
    HttpHost { plain: false, ..server.host(name, &[("x-key", "s3cret")]) }
}

#[tokio::test]
async fn a_secret_goes_through_tls_to_the_server_that_proves_its_name() {
    let server = echo().await;
    let url = format!("https://hearth.test:{}/", server.port);
    let hosts = [secret_at(&server, "hearth.test")];
    let response = send(&trusting([certificate()]), &hosts, get(&url)).await.unwrap();
    let body = String::from_utf8(response.body).unwrap();
    assert!(body.contains(&format!("\r\nhost: hearth.test:{}\r\n", server.port)), "{body}");
    assert!(body.contains("\r\nx-key: ****\r\n"), "{body}");
}

#[tokio::test]
async fn a_server_that_does_not_prove_its_name_is_sent_nothing() {
    let server = echo().await;
    for (gate, name) in [(trusting([certificate()]), "wrong.test"), (trusting([]), "hearth.test")] {
        let url = format!("https://{name}:{}/", server.port);
        let (kind, maybe_sent, message) = refused(&gate, &[secret_at(&server, name)], get(&url)).await;
        assert_eq!((kind, maybe_sent), (FaultKind::Unreachable, false), "{message}");
        assert!(message.contains("certificate") && !message.contains("s3cret"), "{message}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_sent_nothing() {
    let server = Server::handling(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let url = format!("https://hearth.test:{}/", server.port);
    let hosts = [secret_at(&server, "hearth.test")];
    let (kind, maybe_sent, message) = refused(&trusting([certificate()]), &hosts, get(&url)).await;
    assert_eq!((kind, maybe_sent), (FaultKind::Unreachable, false), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_before_tls_costs_the_time_to_connect() {
    let server = Server::handling(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let url = format!("https://hearth.test:{}/", server.port);
    let hosts = [secret_at(&server, "hearth.test")];
    let began = Instant::now();
    let (kind, maybe_sent, message) = refused(&trusting([certificate()]), &hosts, get(&url)).await;
    assert_eq!((kind, maybe_sent), (FaultKind::TimedOut, false), "{message}");
    assert!(began.elapsed() < CONNECT_LIMIT + Duration::from_millis(5));
}

#[tokio::test]
async fn a_redirect_from_https_to_http_needs_a_host_that_allows_it() {
    let acceptor = acceptor();
    let server = Server::handling(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            read_request(&mut stream).await;
            stream.write_all(&moved(302, "http://other.test/")).await.unwrap();
        }
    })
    .await;
    let url = format!("https://hearth.test:{}/", server.port);
    let other = HttpHost { plain: false, ..host("other.test", None, &[]) };
    let hosts = [secret_at(&server, "hearth.test"), other];
    let (kind, maybe_sent, message) = refused(&trusting([certificate()]), &hosts, get(&url)).await;
    assert_eq!((kind, maybe_sent), (FaultKind::Denied, true), "{message}");
    assert!(message.contains("`plain = true` to [bots.bot.http.\"other.test\"]"), "{message}");
}
