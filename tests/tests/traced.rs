//! A host that sends its turns to an OpenTelemetry collector.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{collections::HashMap, process::Stdio, time::Duration};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use hearth::stage::ANY;
use hearth_tests::{
    outside::{Outside, kept},
    world::PATIENCE,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message;
use rustix::process::Signal;
use tokio::{net::TcpListener, sync::mpsc};

/// What a collector was sent.
struct Sent {
    key: Option<String>,
    service: Option<String>,
    spans: Vec<Span>,
}

struct Collector {
    url: String,
    sent: mpsc::Receiver<Sent>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (told, sent) = mpsc::channel(64);
        let routes = Router::new().route("/v1/traces", post(take)).with_state(told);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, sent }
    }

    /// Waits for spans until there is one of this name for each of so many turns; all that came so far.
    async fn turns(&mut self, name: &str, count: usize) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        while spans.iter().filter(|span| span.name == name).count() < count {
            let sent =
                tokio::time::timeout(PATIENCE, self.sent.recv()).await.expect("they are sent").unwrap();
            assert_eq!((sent.key.as_deref(), sent.service.as_deref()), (Some("sesame"), Some("hearth")));
            spans.extend(sent.spans);
        }
        spans
    }
}

async fn take(State(told): State<mpsc::Sender<Sent>>, headers: HeaderMap, body: Bytes) -> &'static str {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let key = headers.get("x-key").map(|key| key.to_str().unwrap().to_owned());
    for resource in request.resource_spans {
        let service = text(&resource.resource.unwrap().attributes, "service.name");
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
        // A test that has ended listens no more.
        let _ = told.send(Sent { key: key.clone(), service, spans }).await;
    }
    ""
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

async fn traced(collector: &str) -> Outside {
    let mut outside = Outside::with_bot("grants = [\"kv\"]").await;
    outside.end(Signal::TERM).await;
    let endpoint = format!("OTEL_EXPORTER_OTLP_ENDPOINT={collector}");
    let variables = [&endpoint, "OTEL_EXPORTER_OTLP_HEADERS=x-key=sesame", "OTEL_BSP_SCHEDULE_DELAY=100"];
    outside.start_by(&[&["env"], &variables[..]].concat(), Stdio::null()).await;
    outside
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_one_trace_of_its_wait_its_plugin_its_agent_with_the_tools_and_its_posts() {
    let mut collector = Collector::start().await;
    let outside = traced(&collector.url).await;
    outside.say(r#"demo:tool remember {"subject":"lunch","note":"marzipan"}"#).await;
    outside.answered(1).await;
    let spans = collector.turns("turn", 1).await;
    let named: HashMap<&str, &Span> = spans.iter().map(|span| (span.name.as_str(), span)).collect();
    let root = named["turn"];
    assert!(root.parent_span_id.is_empty());
    assert!(spans.iter().all(|span| span.trace_id == root.trace_id), "it is one trace");
    for name in ["queue", "plugin decide", "invoke_agent", "plugin format-reply", "post"] {
        let span = named[name];
        assert_eq!(span.parent_span_id, root.span_id, "{name}");
        let within = root.start_time_unix_nano <= span.start_time_unix_nano
            && span.start_time_unix_nano <= span.end_time_unix_nano;
        assert!(within, "{name}: {span:?} in {root:?}");
    }
    assert_eq!(named["execute_tool remember"].parent_span_id, named["invoke_agent"].span_id);
    let of = |name: &str, key: &str| text(&named[name].attributes, key);
    assert_eq!(of("turn", "hearth.bot").as_deref(), Some("assistant"));
    assert_eq!(of("turn", "hearth.outcome").as_deref(), Some("answered"));
    assert_eq!(of("turn", "hearth.room"), Some(outside.room.to_string()));
    assert_eq!(of("invoke_agent", "gen_ai.operation.name").as_deref(), Some("invoke_agent"));
    assert_eq!(of("invoke_agent", "hearth.agent.start").as_deref(), Some("cold"));
    assert_eq!(of("post", "hearth.posted").as_deref(), Some("1"));
    assert!(!format!("{spans:?}").contains("marzipan"), "what people write is in no trace");
    let log = std::fs::read_to_string(outside.log()).unwrap();
    assert!(!log.contains("sesame"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_failed_is_marked_and_what_is_left_is_sent_at_the_end() {
    let mut collector = Collector::start().await;
    let mut outside = traced(&collector.url).await;
    outside.say("demo:die").await;
    outside.answered(1).await;
    outside.end(Signal::TERM).await;
    let spans = collector.turns("turn", 1).await;
    let root = spans.iter().find(|span| span.name == "turn").unwrap();
    let status = root.status.as_ref().unwrap();
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "crashed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up_and_one_that_is_none_is_refused() {
    // Nobody listens there.
    let port = kept(ANY).unwrap();
    let away = port.local_addr().unwrap();
    let mut outside = traced(&format!("http://{away}")).await;
    outside.say("hello").await;
    outside.answered(1).await;
    let ended = tokio::time::timeout(Duration::from_mins(1), outside.end(Signal::TERM)).await;
    assert!(ended.expect("it ends in time").success());
    let launcher = ["env", "OTEL_EXPORTER_OTLP_ENDPOINT=ftp://user:sesame@collector"];
    let refused = outside.run_by(&launcher, &["run"], Stdio::null()).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
    assert!(!said.contains("sesame"), "{said}");
}
