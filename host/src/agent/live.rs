//! A process, and what belongs to it from one message to the next.

use std::ffi::OsString;

use super::{
    Request,
    command::Command,
    framer::{Framer, LINE_LIMIT},
    mcp,
    process::Process,
    tools::ToolSpec,
};

/// A process that can be asked.
pub(super) struct Live {
    pub(super) process: Process,
    /// None if it was offered no tools.
    pub(super) server: Option<mcp::Server>,
    /// What it has written is cut into lines here: the beginning of one may be left from before.
    pub(super) framer: Framer,
    /// It has answered before, so it begins at once with what it is asked.
    pub(super) is_warm: bool,
}

/// What a process was started with, besides what is the same for all of this host and what leads to its session. One that was
/// started with anything else must not answer.
#[derive(PartialEq)]
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
        Self { process, server, framer: Framer::new(LINE_LIMIT), is_warm: false }
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
