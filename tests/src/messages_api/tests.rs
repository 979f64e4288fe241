use reqwest::{Client, StatusCode};

use super::*;

fn client() -> Client {
    // Fails when another test of this process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

async fn ask(api: &MessagesApi, text: &str, stream: bool) -> reqwest::Result<reqwest::Response> {
    let body = json!({
        "model": "some-model",
        "stream": stream,
        "system": [{ "type": "text", "text": "Be" }, { "type": "text", "text": "kind." }],
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": text }] }],
    });
    client()
        .post(format!("{}/v1/messages?beta=true", api.url()))
        .header("x-api-key", "sk-secret")
        .header("x-other", "kept")
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
}

#[tokio::test]
async fn a_request_is_answered_and_recorded_without_its_key() {
    let api = MessagesApi::start();
    let answer = ask(&api, "hello", false).await.unwrap().text().await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["content"][0]["text"], r#"n=1 last="hello""#);

    let requests = api.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].system(), "Be\nkind.");
    assert_eq!(requests[0].model(), "some-model");
    assert_eq!(requests[0].user_texts(), ["hello"]);
    assert_eq!(requests[0].header("X-Other"), Some("kept"));
    assert!(!format!("{requests:?}").contains("sk-secret"));
    assert_eq!(api.calls(), ["POST /v1/messages?beta=true"]);
}

#[tokio::test]
async fn a_stream_that_closes_in_the_middle_is_an_error_for_the_reader() {
    let api = MessagesApi::start();
    let whole = ask(&api, "hello", true).await.unwrap();
    assert_eq!(whole.headers()["content-type"], "text/event-stream");
    assert!(whole.text().await.unwrap().contains("message_stop"));
    assert!(ask(&api, "CLOSE", true).await.unwrap().text().await.is_err());
}

#[tokio::test]
async fn a_hanging_request_ends_with_the_server() {
    let api = MessagesApi::start();
    let url = api.url();
    let hanging = tokio::spawn({
        let request = client().post(format!("{url}/v1/messages"));
        request.body(r#"{"messages":[{"role":"user","content":"HANG"}]}"#).send()
    });
    api.arrived(1).await;
    drop(api);
    assert!(hanging.await.unwrap().is_err());
    assert!(client().get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn failures_carry_the_apis_error_body() {
    let api = MessagesApi::start();
    let answer = ask(&api, "HTTP529", true).await.unwrap();
    assert_eq!(answer.status().as_u16(), 529);
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn whatever_else_is_asked_gets_a_harmless_answer() {
    let api = MessagesApi::start();
    assert_eq!(client().head(api.url()).send().await.unwrap().status(), StatusCode::OK);
    let count =
        client().post(format!("{}/v1/messages/count_tokens", api.url())).body("12345678").send().await;
    assert_eq!(count.unwrap().text().await.unwrap(), r#"{"input_tokens":2}"#);
}
