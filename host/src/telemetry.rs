//! Turns as OpenTelemetry traces, for whoever has a collector: one trace a turn, made once it has ended of what was taken
//! down meanwhile, and sent in the background as OTLP over HTTP.
//!
//! The variables of the OpenTelemetry specification say where to and how (`OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`,
//! `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`); without an endpoint nothing is traced. Attributes are those of
//! its conventions for generative AI, and `hearth.…`. No text of a message is in a trace, no prompt and no answer: a
//! collector is read by more people than a room.
//!
//! What can't be sent is dropped, and the log says so: no turn waits for a collector. The queue has a bound
//! (`OTEL_BSP_MAX_QUEUE_SIZE`, 2,048 spans).

use std::{
    borrow::Cow,
    env,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use opentelemetry::{
    Context, KeyValue,
    trace::{
        Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use serde_json::Value;
use tokio::runtime::Handle;
use url::Url;

use crate::{
    id::Timestamp,
    plugin::trace::{self, GuestCall, Trace},
    store::{End, JournalRow},
};

/// What names the collector, the one for traces alone first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// How long a collector may take for what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what is left may take at the end.
const LAST: Duration = Duration::from_secs(5);
/// How much of a collector's answer is read, in bytes.
const ANSWER: usize = 64 << 10;

/// Why turns can't be traced as the environment says. No value of a variable is in it: they may be secrets.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector's address is none.
    #[error(
        "{0} is not an http or https URL, such as http://127.0.0.1:4318; set it to your collector's, or remove it"
    )]
    Endpoint(&'static str),
    /// Something else.
    #[error("traces can't be sent as the OTEL_… variables of the environment say")]
    Exporter(#[source] ExporterBuildError),
}

/// Sends traces of turns.
pub struct Telemetry {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A turn that has ended.
pub struct Ended<'turn> {
    /// As it stands in the journal.
    pub row: &'turn JournalRow,
    /// What its event came to.
    pub end: End,
    /// When what it is about came.
    pub received_at: Timestamp,
    /// When its answer began to be posted; none if there was none.
    pub posted_from: Option<Timestamp>,
    /// How its plugin lived it, if that was called.
    pub tracer: Option<&'turn trace::Tracer>,
}

/// Takes spans to a collector. The exporter's thread is none of the runtime's.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

// === impl Telemetry ===

impl Telemetry {
    /// As the environment says, over these connections; none if it names no collector. To be called in a runtime.
    ///
    /// # Errors
    /// If it names one that is none.
    pub fn from_environment(client: reqwest::Client) -> Result<Option<Self>, TelemetryError> {
        let value = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let is_off = value("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || value("OTEL_TRACES_EXPORTER").is_some_and(|exporter| exporter == "none");
        let named = ENDPOINTS.iter().find_map(|name| Some((*name, value(name)?)));
        let Some((name, endpoint)) = named.filter(|_| !is_off) else { return Ok(None) };
        let is_right = Url::parse(&endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_right {
            return Err(TelemetryError::Endpoint(name));
        }
        let collector = Collector { client, runtime: Handle::current() };
        let exporter = SpanExporter::builder().with_http().with_http_client(collector).build();
        let exporter = exporter.map_err(TelemetryError::Exporter)?;
        let mut resource = Resource::builder();
        if value("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("hearth");
        }
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = resource.with_attribute(version).build();
        let provider =
            SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        let tracer = provider.tracer("hearth");
        tracing::info!("turns are traced: {name} names a collector");
        Ok(Some(Self { provider, tracer }))
    }

    /// Takes a turn to be sent.
    pub fn turn(&self, ended: &Ended<'_>) {
        let Ended { row, end, received_at, posted_from, tracer } = ended;
        let root = self.span(&Context::new(), "turn", SpanKind::Consumer, time(*received_at), of_turn(row));
        let turn = Context::new().with_span(root);
        self.span(&turn, "queue", SpanKind::Internal, time(*received_at), Vec::new())
            .end_with_timestamp(time(row.started_at));
        if let Some(tracer) = tracer {
            self.plugin_and_agent(&turn, row, &tracer.trace());
        }
        if let Some(since) = posted_from {
            self.span(&turn, "post", SpanKind::Client, time(*since), of_posts(&row.details))
                .end_with_timestamp(time(row.ended_at));
        }
        if *end == End::Failed {
            turn.span().set_status(Status::error(row.outcome.clone()));
        }
        turn.span().end_with_timestamp(time(row.ended_at));
    }

    fn plugin_and_agent(&self, turn: &Context, row: &JournalRow, trace: &Trace) {
        let at = |milliseconds| time(row.started_at) + Duration::from_millis(milliseconds);
        let agent = trace.asked_at.filter(|_| row.details["agent"].is_object()).map(|asked| {
            let (since, details) = (at(asked), &row.details["agent"]);
            let mut span = self.span(turn, "invoke_agent", SpanKind::Client, since, of_agent(trace, details));
            for moment in &trace.agent {
                let of = KeyValue::new("hearth.of", moment.of.clone());
                span.add_event_with_timestamp(moment.what.clone(), at(moment.at), vec![of]);
            }
            let took = Duration::from_millis(details["total-ms"].as_u64().unwrap_or_default());
            (turn.with_span(span), since + took)
        });
        for call in &trace.calls {
            let (since, tool) = (at(call.at), call.tool());
            let parent = agent.as_ref().map(|(agent, _)| agent).filter(|_| tool.is_some());
            let (name, attributes) = of_call(call, tool);
            let mut span = self.span(parent.unwrap_or(turn), name, SpanKind::Internal, since, attributes);
            if call.has_failed() {
                span.set_status(Status::error("the plugin failed"));
            }
            span.end_with_timestamp(since + Duration::from_micros(call.took));
        }
        if let Some((agent, until)) = agent {
            agent.span().end_with_timestamp(until);
        }
    }

    fn span(
        &self,
        parent: &Context,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        since: SystemTime,
        attributes: Vec<KeyValue>,
    ) -> opentelemetry_sdk::trace::Span {
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_start_time(since);
        self.tracer.build_with_context(builder.with_attributes(attributes), parent)
    }

    /// Sends what is left, for as long as [`LAST`].
    pub async fn close(&self) {
        let provider = self.provider.clone();
        let closed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST)).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

fn time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + at.since(Timestamp(0))
}

// === What is told ===

fn of_turn(row: &JournalRow) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("hearth.turn", row.turn.to_string()),
        KeyValue::new("hearth.event", row.event.to_string()),
        KeyValue::new("hearth.bot", row.lane.bot.to_string()),
        KeyValue::new("hearth.room", row.lane.room.to_string()),
        KeyValue::new("hearth.attempt", i64::from(row.attempt)),
        KeyValue::new("hearth.outcome", row.outcome.clone()),
    ];
    let plugin = &row.details["plugin"];
    attributes.extend(text("hearth.plugin.name", &plugin["name"]));
    attributes.extend(text("hearth.plugin.hash", &plugin["hash"]));
    attributes.extend(number("hearth.plugin.generation", &plugin["generation"]));
    attributes
}

fn of_agent(trace: &Trace, agent: &Value) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("gen_ai.operation.name", "invoke_agent"),
        KeyValue::new("gen_ai.provider.name", "anthropic"),
    ];
    let model = trace.asked.as_ref().and_then(|asked| asked.model.clone());
    attributes.extend(model.map(|model| KeyValue::new("gen_ai.request.model", model)));
    attributes.extend(text("gen_ai.conversation.id", &agent["session"]));
    attributes.extend(number("gen_ai.usage.input_tokens", &agent["input-tokens"]));
    attributes.extend(number("gen_ai.usage.output_tokens", &agent["output-tokens"]));
    attributes.extend(agent["cost-usd"].as_f64().map(|usd| KeyValue::new("hearth.cost_usd", usd)));
    attributes.extend(text("hearth.agent.start", &agent["start"]));
    attributes.extend(number("hearth.agent.gate_ms", &agent["gate-ms"]));
    attributes.extend(number("hearth.agent.first_event_ms", &agent["first-event-ms"]));
    attributes
}

/// The name of a call's span, and what is told of it.
fn of_call(call: &GuestCall, tool: Option<String>) -> (String, Vec<KeyValue>) {
    let host_calls = i64::try_from(call.host.len()).unwrap_or(i64::MAX);
    let mut attributes = vec![KeyValue::new("hearth.host_calls", host_calls)];
    let Some(tool) = tool else {
        return (format!("plugin {}", call.call), attributes);
    };
    attributes.push(KeyValue::new("gen_ai.operation.name", "execute_tool"));
    attributes.push(KeyValue::new("gen_ai.tool.name", tool.clone()));
    (format!("execute_tool {tool}"), attributes)
}

fn of_posts(details: &Value) -> Vec<KeyValue> {
    let posted = details["posted"].as_array().map_or(0, Vec::len);
    let mut attributes = vec![KeyValue::new("hearth.posted", i64::try_from(posted).unwrap_or(i64::MAX))];
    attributes.extend(number("hearth.uncertain", &details["uncertain"]));
    attributes.extend(number("hearth.failed", &details["failed"]));
    attributes
}

fn text(name: &'static str, value: &Value) -> Option<KeyValue> {
    value.as_str().map(|text| KeyValue::new(name, text.to_owned()))
}

fn number(name: &'static str, value: &Value) -> Option<KeyValue> {
    value.as_i64().map(|number| KeyValue::new(name, number))
}

// === impl HttpClient for Collector ===

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
        *request.timeout_mut() = Some(PATIENCE);
        let client = self.client.clone();
        let answer = async move {
            let mut answer = client.execute(request).await?;
            let mut body = BytesMut::new();
            while let Some(chunk) = answer.chunk().await? {
                if body.len() + chunk.len() > ANSWER {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            Ok((answer.status(), body.freeze()))
        };
        let (status, body) = self.runtime.spawn(answer).await?.map_err(reqwest::Error::without_url)?;
        Ok(Response::builder().status(status).body(body)?)
    }
}
