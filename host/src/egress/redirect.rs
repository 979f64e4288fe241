//! Where a server points to, and what is asked there: the Fetch standard's rules, but for bodies.
//!
//! A body is sent again only where the server says so plainly, with 307 or 308.

use hyper::{Method, StatusCode};
use url::Url;

use super::{Fault, URL_LIMIT};

/// The next request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) keeps_body: bool,
    /// Whether scheme, host and port stay the same.
    pub(super) same_origin: bool,
}

/// What follows on an answer with this status and `Location`; nothing if it is the answer.
pub(super) fn redirect(
    url: &Url,
    method: &Method,
    has_body: bool,
    status: StatusCode,
    location: Option<&[u8]>,
) -> Result<Option<Redirect>, Fault> {
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (status.as_u16(), location) else { return Ok(None) };
    let nowhere = |why| Fault::Nowhere { status: status.as_u16(), why };
    if location.len() > URL_LIMIT {
        return Err(nowhere("is longer than a URL may be"));
    }
    let location = str::from_utf8(location).map_err(|_| nowhere("is no text"))?;
    let mut next = url.join(location).map_err(|_| nowhere("is no URL"))?;
    next.set_fragment(None);
    match fault_of(&next) {
        Some(why) => return Err(nowhere(why)),
        None if next.as_str().len() > URL_LIMIT => return Err(nowhere("is longer than a URL may be")),
        None => {}
    }
    let becomes_get = match status.as_u16() {
        301 | 302 => *method == Method::POST,
        303 => !matches!(*method, Method::GET | Method::HEAD),
        _ => false,
    };
    let keeps_body = has_body && matches!(status.as_u16(), 307 | 308);
    if has_body && !keeps_body && !becomes_get {
        return Err(Fault::BodyRedirected { status: status.as_u16(), method: method.clone() });
    }
    Ok(Some(Redirect {
        same_origin: next.origin() == url.origin(),
        method: if becomes_get { Method::GET } else { method.clone() },
        url: next,
        keeps_body,
    }))
}

/// Why the URL can't be asked for, to follow on "it"; none if it can.
pub(super) fn fault_of(url: &Url) -> Option<&'static str> {
    match url.scheme() {
        "https" | "http" if !url.username().is_empty() || url.password().is_some() => {
            Some("has a user name or a password in it")
        }
        "https" | "http" => None,
        _ => Some("is neither https:// nor http://"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: &str = "https://example.com/a/b?c";

    fn after(
        method: &Method,
        has_body: bool,
        status: u16,
        location: &str,
    ) -> Result<Option<Redirect>, Fault> {
        let status = StatusCode::from_u16(status).unwrap();
        redirect(&HERE.parse().unwrap(), method, has_body, status, Some(location.as_bytes()))
    }

    #[test]
    fn a_post_becomes_a_get_unless_the_server_says_otherwise() {
        for (status, method, keeps_body) in [
            (301, Method::GET, false),
            (302, Method::GET, false),
            (303, Method::GET, false),
            (307, Method::POST, true),
            (308, Method::POST, true),
        ] {
            let next = after(&Method::POST, true, status, "/").unwrap().unwrap();
            assert_eq!((next.method, next.keeps_body), (method, keeps_body), "{status}");
        }
    }

    #[test]
    fn other_methods_stay_and_lose_no_body_silently() {
        assert_eq!(after(&Method::HEAD, false, 303, "/").unwrap().unwrap().method, Method::HEAD);
        assert_eq!(after(&Method::DELETE, false, 301, "/").unwrap().unwrap().method, Method::DELETE);
        assert_eq!(after(&Method::DELETE, false, 303, "/").unwrap().unwrap().method, Method::GET);
        let put = after(&Method::PUT, true, 302, "/").unwrap_err();
        assert!(matches!(put, Fault::BodyRedirected { status: 302, .. }), "{put:?}");
    }

    #[test]
    fn what_is_no_redirect_is_the_answer() {
        for status in [200, 204, 300, 304, 305, 306, 404] {
            assert_eq!(after(&Method::GET, false, status, "/").unwrap(), None, "{status}");
        }
        let nowhere = redirect(&HERE.parse().unwrap(), &Method::GET, false, StatusCode::FOUND, None);
        assert_eq!(nowhere.unwrap(), None);
    }

    #[test]
    fn a_location_is_read_as_a_browser_reads_it() {
        for (location, url, same_origin) in [
            ("d#e", "https://example.com/a/d", true),
            ("//other.example/x", "https://other.example/x", false),
            ("http://example.com/", "http://example.com/", false),
            ("https://example.com:8443/", "https://example.com:8443/", false),
            ("https://EXAMPLE.com:443/", "https://example.com/", true),
            ("https:\\\\2130706433\\", "https://127.0.0.1/", false),
        ] {
            let next = after(&Method::GET, false, 302, location).unwrap().unwrap();
            assert_eq!((next.url.as_str(), next.same_origin), (url, same_origin), "{location}");
        }
        for location in
            ["file:///etc/passwd", "ftp://example.com/", "https://a:b@example.com/", "https://", "data:,x"]
        {
            let error = after(&Method::GET, false, 302, location).unwrap_err();
            assert!(matches!(error, Fault::Nowhere { .. }), "{location}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_location_leads_to_http_or_nowhere(location in any::<Vec<u8>>(), status in 300_u16..310) {
            let status = StatusCode::from_u16(status).unwrap();
            if let Ok(Some(next)) = redirect(&HERE.parse().unwrap(), &Method::POST, true, status, Some(&location)) {
                prop_assert_eq!(fault_of(&next.url), None);
            }
        }
    }
}
