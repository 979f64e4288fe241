//! The host's tools, served to one CLI process as an MCP server over the pipe that is there anyway.
//!
//! The CLI wraps each message for the server in a control request, and takes what answers it wrapped in the same way; in
//! between rmcp speaks the protocol. A server lives as long as its process. Calls go to the tools of the turn that runs,
//! and to nobody between turns: when a [`Serving`] is dropped, its calls are.
//!
//! Whatever the CLI sends, it gets one answer for each control request, or none if its id is too long to repeat:
//! - A message for a server of another name, one beyond [`MESSAGE_LIMIT`], one that is no JSON-RPC, one whose id is in use
//!   or longer than [`ID_LIMIT`], and one more than [`OPEN_LIMIT`] are refused.
//! - A call that the CLI takes back is dropped, and its request refused. A tool's trouble is a result, marked as an error.
//! - If the server itself ends, which only a fault of the host can bring about, all that is open is refused.

mod service;

use std::{collections::HashMap, convert::Infallible, future::pending, sync::Arc};

use bytes::BytesMut;
use rmcp::{
    RoleServer,
    model::{ClientJsonRpcMessage, ClientNotification, JsonRpcMessage, RequestId, ServerJsonRpcMessage},
    service::{RunningService, serve_directly},
    transport::Transport,
};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use self::service::{Current, Service};
use super::{
    protocol,
    tools::{ToolSpec, Tools},
};

/// The server's name: its tools are `mcp__host__…` to the model.
pub(super) const NAME: &str = "host";

/// How large a message for the server may be, in bytes; what a model writes as a tool's input is in it.
const MESSAGE_LIMIT: usize = 1 << 20;
/// How long a message's own id may be, in bytes.
const ID_LIMIT: usize = 256;
/// How many requests may wait for their answers.
const OPEN_LIMIT: usize = 64;
/// How many messages may be on their way to rmcp, and back: the open ones, and as many notifications.
const QUEUE: usize = 2 * OPEN_LIMIT;

/// A process's server.
pub(super) struct Server {
    requests: mpsc::Sender<ClientJsonRpcMessage>,
    answers: mpsc::Receiver<ServerJsonRpcMessage>,
    /// The requests that rmcp has not answered yet, and the control requests that brought them.
    open: HashMap<RequestId, Open>,
    current: watch::Sender<Option<Current>>,
    /// The CLI was told that the host serves it.
    greeted: bool,
    /// rmcp has ended.
    ended: bool,
    /// Dropped, it ends.
    _service: RunningService<RoleServer, Service>,
}

/// A server while a turn runs, or while its process waits for one. Dropping it ends the turn's calls.
pub(super) struct Serving<'a> {
    server: &'a mut Server,
    _end: DropGuard,
}

struct Open {
    control_request: String,
    is_call: bool,
}

/// rmcp's end of the pipe.
struct Pipe {
    requests: mpsc::Receiver<ClientJsonRpcMessage>,
    answers: mpsc::Sender<ServerJsonRpcMessage>,
}

// === impl Server ===

impl Server {
    /// A server that offers these tools. Needs a runtime; it ends when it is dropped.
    pub(super) fn start(tools: &[ToolSpec]) -> Self {
        let (requests, to_service) = mpsc::channel(QUEUE);
        let (from_service, answers) = mpsc::channel(QUEUE);
        let (current, calls_go_to) = watch::channel(None);
        let pipe = Pipe { requests: to_service, answers: from_service };
        // Directly: rmcp's own way to begin would end with a CLI that begins in another way.
        let service = serve_directly(Service::new(tools, calls_go_to), pipe, None);
        Self {
            requests,
            answers,
            open: HashMap::new(),
            current,
            greeted: false,
            ended: false,
            _service: service,
        }
    }

    /// Calls go to these tools now.
    pub(super) fn serve(&mut self, tools: Arc<dyn Tools>) -> Serving<'_> {
        let end = CancellationToken::new();
        self.current.send_replace(Some(Current { tools, ended: end.clone() }));
        Serving { server: self, _end: end.drop_guard() }
    }

    /// Calls go to nobody; what else is asked is answered.
    pub(super) fn attend(&mut self) -> Serving<'_> {
        Serving { server: self, _end: CancellationToken::new().drop_guard() }
    }

    fn request(
        &mut self,
        control_request: String,
        id: RequestId,
        message: ClientJsonRpcMessage,
        is_call: bool,
    ) -> Option<BytesMut> {
        let refuse = |why: &str| Some(protocol::refusal(&control_request, why));
        if matches!(&id, RequestId::String(id) if id.len() > ID_LIMIT) {
            return refuse("the message's id is too long");
        }
        if self.open.contains_key(&id) {
            return refuse("a request of that id is open");
        }
        if self.open.len() >= OPEN_LIMIT || self.requests.try_send(message).is_err() {
            return refuse("too many requests are open");
        }
        self.open.insert(id, Open { control_request, is_call });
        None
    }

    /// Takes an answer of rmcp's; the line for the CLI, if anyone waits for it.
    fn answer(&mut self, answer: &ServerJsonRpcMessage) -> Option<BytesMut> {
        let id = match answer {
            JsonRpcMessage::Response(response) => &response.id,
            JsonRpcMessage::Error(error) => error.id.as_ref()?,
            // The host asks the CLI nothing and tells it nothing by itself.
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => return None,
        };
        let open = self.open.remove(id)?;
        Some(protocol::mcp_answer(&open.control_request, answer))
    }
}

// === impl Serving ===

impl Serving<'_> {
    /// What the process is told first: that the host serves it. Empty if it was told before.
    pub(super) fn greeting(&mut self) -> BytesMut {
        if std::mem::replace(&mut self.server.greeted, true) {
            BytesMut::new()
        } else {
            protocol::initialize()
        }
    }

    /// Takes a control request with a message for a server of this name. The answer, if it is known at once.
    pub(super) fn take(
        &mut self,
        control_request: String,
        name: &str,
        message: Option<&RawValue>,
    ) -> Option<BytesMut> {
        let refuse = |why: &str| Some(protocol::refusal(&control_request, why));
        if name != NAME {
            return refuse("this host has no MCP server of that name");
        }
        let Some(message) = message.map(RawValue::get).filter(|message| message.len() <= MESSAGE_LIMIT)
        else {
            return refuse("the message is missing or too long");
        };
        match serde_json::from_str::<ClientJsonRpcMessage>(message) {
            Err(_) => refuse("the message is not JSON-RPC"),
            Ok(JsonRpcMessage::Request(request)) => {
                let is_call = matches!(request.request, rmcp::model::ClientRequest::CallToolRequest(_));
                let id = request.id.clone();
                self.server.request(control_request, id, JsonRpcMessage::Request(request), is_call)
            }
            Ok(JsonRpcMessage::Notification(notification)) => {
                let mut answers = protocol::mcp_acknowledgement(&control_request);
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(open) =
                        cancelled.params.request_id.as_ref().and_then(|id| self.server.open.remove(id))
                {
                    answers.unsplit(protocol::refusal(&open.control_request, "it was cancelled"));
                }
                // One that finds no room has nothing to say that an answer depends on.
                let _ = self.server.requests.try_send(JsonRpcMessage::Notification(notification));
                Some(answers)
            }
            // To what was never asked.
            Ok(JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_)) => {
                Some(protocol::mcp_acknowledgement(&control_request))
            }
        }
    }

    /// Waits for the next answer for the CLI. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> BytesMut {
        loop {
            if self.server.ended {
                return pending().await;
            }
            let Some(answer) = self.server.answers.recv().await else {
                self.server.ended = true;
                tracing::error!(open = self.server.open.len(), "the MCP server has ended");
                let mut refusals = BytesMut::new();
                for (_, open) in self.server.open.drain() {
                    refusals.unsplit(protocol::refusal(&open.control_request, "the MCP server has ended"));
                }
                return refusals;
            };
            if let Some(line) = self.server.answer(&answer) {
                return line;
            }
        }
    }

    /// Whether the CLI waits for nothing.
    pub(super) fn is_quiet(&self) -> bool {
        self.server.open.is_empty()
    }

    /// Whether the CLI waits for a tool.
    pub(super) fn is_busy(&self) -> bool {
        self.server.open.values().any(|open| open.is_call)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.server.current.send_replace(None);
    }
}

// === impl Transport for Pipe ===

impl Transport<RoleServer> for Pipe {
    type Error = Infallible;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Infallible>> + Send + 'static {
        let answers = self.answers.clone();
        async move {
            // Nobody listens once the process has gone.
            let _ = answers.send(message).await;
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.requests.recv().await
    }

    async fn close(&mut self) -> Result<(), Infallible> {
        self.requests.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
