//! `http`: requests to the servers that the operator named, through the gate.

use std::time::Duration;

use serde_json::json;

use super::{
    State,
    bindings::bot::hearth::bot::http::{Host, HttpError, HttpErrorKind, Method, Request, Response},
    types::{Capability, Sent},
};
use crate::{
    egress::{self, EgressError, FaultKind},
    plugin::reach::NOT_TOLD,
};

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, HttpError>> {
        self.enter()?;
        let arguments = json!({ "request": request });
        let makes_sense = request.attributes.is_empty();
        let send = self.send_request(request);
        Ok(self.ask(("http.send", Capability::Http), arguments, || makes_sense, send).await)
    }

    async fn has_secret(&mut self, host: String, header: String) -> wasmtime::Result<bool> {
        self.enter()?;
        let arguments = json!({ "host": host, "header": header });
        let has = async {
            let is_granted = self.granted(Capability::Http).is_some();
            Ok::<_, ()>(is_granted && egress::has_secret(&self.calling.http, &host, &header))
        };
        let has = self.ask(("http.has-secret", Capability::Http), arguments, || true, has).await;
        Ok(has.unwrap_or_default())
    }
}

impl State {
    async fn send_request(&self, request: Request) -> Result<Response, HttpError> {
        let Some(reach) = self.granted(Capability::Http) else {
            return Err(unsent(HttpErrorKind::Denied, self.denied(Capability::Http)));
        };
        if let Some((name, _)) = request.attributes.first() {
            let name = crate::plugin::bounded(name, 64);
            let message = format!("this host does not know the request's attribute `{name}`");
            return Err(unsent(HttpErrorKind::Invalid, message));
        }
        let calling = &self.calling;
        let Some(real) = reach.services.real() else {
            return Err(unsent(HttpErrorKind::Unreachable, NOT_TOLD.to_owned()));
        };
        let sent = real.gate.send(&calling.bot, &calling.http, request.into()).await;
        sent.map(Response::from).map_err(HttpError::from)
    }
}

fn unsent(kind: HttpErrorKind, message: String) -> HttpError {
    HttpError { kind, sent: Sent::No, message, attributes: Vec::new() }
}

impl From<Request> for egress::Request {
    fn from(request: Request) -> Self {
        Self {
            method: match request.method {
                Method::Get => hyper::Method::GET,
                Method::Head => hyper::Method::HEAD,
                Method::Post => hyper::Method::POST,
                Method::Put => hyper::Method::PUT,
                Method::Patch => hyper::Method::PATCH,
                Method::Delete => hyper::Method::DELETE,
            },
            url: request.url,
            headers: request.headers,
            body: request.body,
            timeout: request.timeout.map(|milliseconds| Duration::from_millis(milliseconds.into())),
        }
    }
}

impl From<egress::Response> for Response {
    fn from(response: egress::Response) -> Self {
        let egress::Response { status, headers, body, url } = response;
        Self { status, headers, body, url, attributes: Vec::new() }
    }
}

impl From<EgressError> for HttpError {
    fn from(error: EgressError) -> Self {
        let kind = match error.fault.kind() {
            FaultKind::Denied => HttpErrorKind::Denied,
            FaultKind::Invalid => HttpErrorKind::Invalid,
            FaultKind::Unreachable => HttpErrorKind::Unreachable,
            FaultKind::TimedOut => HttpErrorKind::TimedOut,
            FaultKind::TooLarge => HttpErrorKind::TooLarge,
            FaultKind::Redirected => HttpErrorKind::Redirected,
            FaultKind::Broken => HttpErrorKind::Broken,
            FaultKind::RateLimited => HttpErrorKind::RateLimited,
        };
        let sent = if error.maybe_sent { Sent::Maybe } else { Sent::No };
        Self { kind, sent, message: error.to_string(), attributes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{super::bench::Bench, *};
    use crate::config::HttpHost;

    /// The state of a call of a bot that may reach this port of loopback, as far as `granted` goes.
    async fn state(port: u16, granted: &[Capability]) -> State {
        let host = HttpHost {
            host: "127.0.0.1".into(),
            port: Some(port),
            headers: vec![(hyper::header::AUTHORIZATION, SecretString::from("s3cret"))],
            private: true,
            plain: true,
        };
        Bench::new().await.state(granted).with_http(&[host])
    }

    fn get(port: u16) -> Request {
        Request {
            method: Method::Get,
            url: format!("http://127.0.0.1:{port}/"),
            headers: Vec::new(),
            body: None,
            timeout: None,
            attributes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_granted_plugin_gets_an_answer_and_its_secret_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut state = state(port, &[Capability::Http]).await;
        assert!(state.has_secret(format!("127.0.0.1:{port}"), "Authorization".into()).await.unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone").await.unwrap();
            String::from_utf8(request).unwrap()
        };
        let (response, request) = tokio::join!(state.send(get(port)), serve);
        let response = response.unwrap().unwrap();
        assert_eq!((response.status, response.body.as_slice()), (404, &b"gone"[..]));
        assert!(request.contains("authorization: s3cret\r\n"), "{request}");
    }

    #[tokio::test]
    async fn a_plugin_without_the_grant_or_with_an_unknown_attribute_sends_nothing() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut ungranted = state(port, &[Capability::Kv]).await;
        let host = format!("127.0.0.1:{port}");
        assert!(!ungranted.has_secret(host, "authorization".into()).await.unwrap());
        let error = ungranted.send(get(port)).await.unwrap().unwrap_err();
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Denied, Sent::No));

        let mut granted = state(port, &[Capability::Http]).await;
        let request = Request { attributes: vec![("priority".into(), "high".into())], ..get(port) };
        let error = granted.send(request).await.unwrap().unwrap_err();
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Invalid, Sent::No));
        assert!(error.message.contains("`priority`"), "{}", error.message);
        // Nobody listens any more: what does go out arrives nowhere.
        let error = granted.send(get(port)).await.unwrap().unwrap_err();
        assert_eq!((error.kind, error.sent), (HttpErrorKind::Unreachable, Sent::No));
    }
}
