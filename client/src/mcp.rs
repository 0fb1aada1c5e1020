//! `mcp`: the verbs of the seat as the tools of a Model Context Protocol server, on standard input and output, or at an
//! address of this machine.
//!
//! A host's agent sees what the daemon lists, as it stands; what it asks for is decided there. Output is data: it comes
//! between marks that it cannot know, and again as structured content. A call that takes longer than a host waits goes
//! on, and is asked about by its id.

mod answer;
mod asked;
mod http;
mod names;
mod record;
mod schema;
mod server;
mod tools;

use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::transport::io::stdio_pipes;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
pub(crate) use http::At;
#[cfg(test)]
pub(crate) use names::OWN as OWN_TOOLS;
use server::Server;

/// Serves at an address of this machine until the share is over.
pub(crate) async fn run_at(
    session: &Session,
    patience: Duration,
    at: &At,
) -> Result<Exit, Failure> {
    let server = Server::new(session, patience);
    let calls = server.calls();
    let exit = http::run(session, server, at).await;
    calls.end_all().await;
    exit
}

/// Serves until the host closes our standard input. A call that has not ended after `patience` is answered with its id.
pub(crate) async fn run(session: &Session, patience: Duration) -> Result<Exit, Failure> {
    let server = Server::new(session, patience);
    let calls = server.calls();
    let fault = |fault: &dyn std::error::Error| {
        Failure::new(Exit::GONE, "mcp", format!("the host was not understood: {fault}"))
    };
    let running = match server.serve(stdio_pipes()).await {
        Ok(running) => running,
        // It hung up before it had said anything.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(Exit::DONE),
        Err(error) => return Err(fault(&error)),
    };
    let ended = running.waiting().await;
    calls.end_all().await;
    ended.map(|_| Exit::DONE).map_err(|error| fault(&error))
}
