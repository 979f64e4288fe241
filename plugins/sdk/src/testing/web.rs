//! Servers that answer as the test says, and no others.

use std::collections::VecDeque;

use crate::{
    Sent,
    bindings::hearth::bot::http::{HttpError, HttpErrorKind, Method, Request, Response},
};

const LONGEST_URL: usize = 8 << 10;
const MOST_HEADERS: usize = 64;
const LARGEST_HEADERS: usize = 16 << 10;
const LARGEST_BODY: usize = 1 << 20;
const LONGEST_TIMEOUT: u32 = 30_000;

/// Headers that are the host's business.
const HOSTS_OWN: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is answered to whom, and what was asked.
#[derive(Debug, Default)]
pub(crate) struct Web {
    answers: Vec<((Method, String), Answers)>,
    secrets: Vec<(String, String)>,
    pub(crate) requests: Vec<Request>,
}

type Answers = VecDeque<Result<Response, HttpError>>;

// === impl Web ===

impl Web {
    /// Answers so, after what it was told before for this URL. The last answer is given again and again.
    pub(crate) fn answer(&mut self, method: Method, url: &str, answer: Result<Response, HttpError>) {
        match self
            .answers
            .iter_mut()
            .find(|((for_method, for_url), _)| *for_method == method && for_url == url)
        {
            Some((_, answers)) => answers.push_back(answer),
            None => self.answers.push(((method, url.to_owned()), VecDeque::from([answer]))),
        }
    }

    pub(crate) fn put_secret(&mut self, host: &str, header: &str) {
        self.secrets.push((host.to_owned(), header.to_ascii_lowercase()));
    }

    pub(crate) fn has_secret(&self, host: &str, header: &str) -> bool {
        self.secrets.iter().any(|(at, name)| at == host && name.eq_ignore_ascii_case(header))
    }

    pub(crate) fn send(&mut self, request: &Request) -> Result<Response, HttpError> {
        self.check(request)?;
        self.requests.push(request.clone());
        let Request { method, url, .. } = request;
        let answers = self.answers.iter_mut().find(|((to, at), _)| to == method && at == url);
        let Some((_, answers)) = answers else {
            panic!(
                "the bot requests {} {url}, and the test does not say what is answered: `on` and `on_get` do",
                name(*method)
            )
        };
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.expect("there is an answer wherever one was put")
    }

    fn check(&self, request: &Request) -> Result<(), HttpError> {
        let refused = |kind, message: &str| {
            Err(HttpError { kind, sent: Sent::No, message: message.to_owned(), attributes: Vec::new() })
        };
        let invalid = |message| refused(HttpErrorKind::Invalid, message);
        let rest = request.url.strip_prefix("https://").or_else(|| request.url.strip_prefix("http://"));
        let Some(host) =
            rest.and_then(|rest| rest.split(['/', '?', '#']).next()).filter(|host| !host.is_empty())
        else {
            return invalid("a URL is absolute, and begins with https:// or http://");
        };
        if host.contains('@') {
            return invalid("a URL has no user and password");
        }
        if request.url.len() > LONGEST_URL {
            return invalid("a URL has at most 8 KiB");
        }
        let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if request.headers.len() > MOST_HEADERS || bytes > LARGEST_HEADERS {
            return invalid("a request has at most 64 headers, of 16 KiB together");
        }
        for (name, _) in &request.headers {
            if HOSTS_OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) || self.has_secret(host, name) {
                return refused(
                    HttpErrorKind::Invalid,
                    &format!("the header `{name}` is the host's business"),
                );
            }
        }
        if request.body.as_ref().is_some_and(|body| body.len() > LARGEST_BODY) {
            return invalid("a body has at most 1 MiB");
        }
        if request.timeout.is_some_and(|timeout| !(1..=LONGEST_TIMEOUT).contains(&timeout)) {
            return invalid("a timeout is 1 to 30,000 ms");
        }
        Ok(())
    }
}

fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}
