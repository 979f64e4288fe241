//! A process, and what belongs to it from one message to the next.

use std::{ffi::OsString, future::pending};

use bytes::BytesMut;

use super::{
    Request,
    command::Command,
    framer::{Framer, LINE_LIMIT},
    mcp::{self, Serving},
    memory::Gauge,
    process::{Happening, Process},
    protocol::{self, ControlRequest, Line, Wants},
    tools::ToolSpec,
};

/// How many requests of a process are answered while it is not asked anything: it wants to know its tools.
const REQUEST_LIMIT: usize = 64;

/// A process that can be asked.
pub(super) struct Live {
    pub(super) process: Process,
    /// None if it was offered no tools.
    pub(super) server: Option<mcp::Server>,
    /// What it has written is cut into lines here: the beginning of one may be left from before.
    pub(super) framer: Framer,
    /// What it is told and has not taken yet.
    pub(super) unsent: BytesMut,
    /// It has answered before, so it begins at once with what it is asked.
    pub(super) is_warm: bool,
    /// What it takes.
    pub(super) memory: Gauge,
}

/// What a process that is not asked anything may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// Come up, and say whatever it wants on its way.
    ComingUp,
    /// Ask for its tools.
    Questions,
    Nothing,
}

/// What it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// It has come up.
    Up,
    /// It said something that was not expected.
    Spoke,
    Ended,
}

/// What a process was started with, besides what is the same for all of this host and what leads to its session. One that was
/// started with anything else must not answer.
#[derive(Debug, PartialEq)]
pub(super) struct Terms {
    arguments: Vec<OsString>,
    /// By its text: the argument is only the name of a file.
    system_prompt: Option<String>,
    pub(super) tools: Option<Vec<ToolSpec>>,
}

impl Live {
    /// A process that was just started on these terms.
    pub(super) fn new(process: Process, terms: &Terms) -> Self {
        let server = terms.tools.as_deref().map(mcp::Server::start);
        let (framer, unsent) = (Framer::new(LINE_LIMIT), BytesMut::new());
        Self { process, server, framer, unsent, is_warm: false, memory: Gauge::default() }
    }

    /// Tells a process that was just started that the host serves it, and waits until it is up.
    ///
    /// # Errors
    /// It has ended, or goes on talking.
    pub(super) async fn come_up(&mut self) -> Result<(), &'static str> {
        let greeting = match &mut self.server {
            Some(server) => server.attend().greeting(),
            None => protocol::initialize(),
        };
        self.unsent.unsplit(greeting);
        match self.attend(Expected::ComingUp).await {
            Aside::Up => Ok(()),
            Aside::Spoke => Err("it went on after it had come up"),
            Aside::Ended => Err("it ended before it was asked anything"),
        }
    }

    /// Waits until it does something that ends the wait. What it asks for its tools is answered meanwhile, unless nothing is
    /// expected of it. Nothing is lost if the future is dropped.
    pub(super) async fn attend(&mut self, expected: Expected) -> Aside {
        let Self { process, server, framer, unsent, .. } = self;
        let mut serving = server.as_mut().filter(|_| expected != Expected::Nothing).map(mcp::Server::attend);
        let (mut output, mut requests) = (BytesMut::new(), 0);
        loop {
            tokio::select! {
                answer = next_answer(&mut serving) => unsent.unsplit(answer),
                happening = process.next(unsent, &mut output) => match happening {
                    Happening::Taken => {}
                    Happening::Exited(_) => return Aside::Ended,
                    Happening::Output if expected == Expected::Nothing => return Aside::Spoke,
                    Happening::Output => {
                        let heard = hear(framer, &output, serving.as_mut(), unsent, &mut requests);
                        output.clear();
                        match (expected, heard) {
                            (Expected::ComingUp, Heard { is_up: true, is_odd: false }) => return Aside::Up,
                            (Expected::ComingUp, Heard { is_up: false, .. }) => {}
                            (_, Heard { is_odd: true, .. }) => return Aside::Spoke,
                            _ => {}
                        }
                    }
                },
            }
        }
    }
}

#[derive(Default)]
struct Heard {
    is_up: bool,
    /// There was something else than questions about the tools.
    is_odd: bool,
}

/// Takes in what is said aside; what is to be answered at once goes to `answers`.
fn hear(
    framer: &mut Framer,
    mut chunk: &[u8],
    mut serving: Option<&mut Serving<'_>>,
    answers: &mut BytesMut,
    requests: &mut usize,
) -> Heard {
    let mut heard = Heard::default();
    while let Some(line) = framer.next_line(&mut chunk) {
        match (protocol::read(line), serving.as_deref_mut()) {
            // What came before is forgiven.
            (Ok(Line::Up), _) => heard = Heard { is_up: true, is_odd: false },
            (
                Ok(Line::ControlRequest(ControlRequest { id, wants: Wants::Mcp { server, message } })),
                Some(serving),
            ) if *requests < REQUEST_LIMIT => {
                *requests += 1;
                if let Some(answer) = serving.take(id, &server, message.as_deref()) {
                    answers.unsplit(answer);
                }
            }
            _ => heard.is_odd = true,
        }
    }
    heard
}

/// The next answer of a process's server; none ever without one.
pub(super) async fn next_answer(serving: &mut Option<Serving<'_>>) -> BytesMut {
    match serving {
        Some(serving) => serving.next().await,
        None => pending().await,
    }
}

impl Terms {
    /// Those for a message.
    pub(super) fn of(command: &Command, request: &Request) -> Self {
        Self {
            arguments: command.terms(request),
            system_prompt: request.system_prompt.clone(),
            tools: request.tools.as_ref().map(|tools| tools.list()),
        }
    }
}
