//! Requests, and the servers that the harness stands for.

use std::time::Duration;

use hearth_plugin::{
    Sent,
    http::{self, HttpErrorKind, Method},
    prelude::*,
    testing::Harness,
};

use crate::within;

#[test]
fn a_query_is_encoded_and_goes_before_the_fragment() {
    let url = "https://example.com/search?page=1&q=a%26b%20%C3%A4#top";
    let mut harness = Harness::new().on_get(url, 200, json!([1, 2]));
    let found: Result<Vec<u32>, _> = within(&mut harness, |_| {
        http::get("https://example.com/search?page=1#top").query("q", "a&b ä").json()
    });
    assert_eq!(found, Ok(vec![1, 2]));
}

#[test]
fn a_body_is_sent_as_json_with_the_header_that_says_so() {
    let mut harness =
        Harness::new().on(Method::Post, "https://example.com/incidents", 201, json!({ "id": 5 }));
    let response = within(&mut harness, |_| {
        let request = http::post("https://example.com/incidents").body_json(&json!({ "title": "Down" }));
        request.timeout(Duration::from_secs(3)).send().unwrap()
    });
    assert_eq!((response.status, response.header("Content-Type")), (201, Some("application/json")));
    let [request] = harness.requests() else { panic!("{:?}", harness.requests()) };
    assert_eq!(request.headers, [("content-type".to_owned(), "application/json".to_owned())]);
    assert_eq!(request.body.as_deref(), Some(&br#"{"title":"Down"}"#[..]));
    assert_eq!(request.timeout, Some(3000));
}

#[test]
fn answers_to_one_url_come_in_turn_and_the_last_one_stays() {
    let url = "https://example.com/";
    let mut harness = Harness::new().on_get(url, 503, json!("busy")).on_get(url, 200, json!("ready"));
    let answers = within(&mut harness, move |_| [(); 3].map(|()| http::get(url).text()));
    assert!(matches!(&answers[0], Err(http::Error::Status { status: 503, .. })), "{answers:?}");
    assert_eq!(answers[1..], [Ok("\"ready\"".to_owned()), Ok("\"ready\"".to_owned())]);
}

#[test]
fn an_error_shows_no_query_which_may_hold_what_is_private() {
    let url = "https://example.com/me?token=hush";
    let mut harness = Harness::new().on_get(url, 200, json!({}));
    let error = within(&mut harness, move |_| http::get(url).json::<u32>().unwrap_err());
    assert!(error.to_string().starts_with("https://example.com/me answered something else"), "{error}");
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[test]
fn whether_a_failed_request_may_have_arrived_is_told() {
    let url = "https://example.com/pay";
    let mut harness = Harness::new().on_failure(Method::Post, url, HttpErrorKind::TimedOut, Sent::Maybe);
    let error = within(&mut harness, move |_| http::post(url).send().unwrap_err());
    let failed =
        matches!(error, http::Error::Failed { kind: HttpErrorKind::TimedOut, sent: Sent::Maybe, .. });
    assert!(failed, "{error:?}");
    assert_eq!(ToolError::from(error).kind, ToolErrorKind::Unavailable);
}

#[test]
#[should_panic(expected = "the bot requests GET https://example.com/elsewhere")]
fn a_request_that_the_test_does_not_know_is_loud() {
    let mut harness = Harness::new().on_get("https://example.com/", 200, json!(1));
    let _ = within(&mut harness, |_| http::get("https://example.com/elsewhere").send());
}

#[test]
fn what_is_no_request_is_refused_before_it_is_sent() {
    let url = "https://example.com/";
    let mut harness = Harness::new().on_get(url, 200, json!(1)).secret("example.com", "Authorization");
    within(&mut harness, move |_| {
        let refused = [
            http::get("example.com"),
            http::get("https://user:password@example.com/"),
            http::get(format!("{url}{}", "a".repeat(8 << 10))),
            http::get(url).header("Host", "localhost"),
            http::get(url).header("x", "y".repeat(16 << 10)),
            http::get(url).timeout(Duration::from_secs(31)),
            http::post(url).body(vec![0; (1 << 20) + 1]),
        ];
        for request in refused {
            let error = request.send().unwrap_err();
            let expected =
                matches!(error, http::Error::Failed { kind: HttpErrorKind::Invalid, sent: Sent::No, .. });
            assert!(expected, "{error:?}");
        }
        assert!(http::get(url).header("authorization", "mine").send().is_err());
        assert!(http::has_secret("example.com", "AUTHORIZATION"));
        assert!(!http::has_secret("example.org", "authorization"));
    });
    assert_eq!(harness.requests(), []);
}
