//! `openscope reload`.

use serde_json::json;
use wire::control::{Reply, Request};

use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Daemon;
use crate::exit::Exit;

pub(super) fn run(daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Done(sentence) = daemon.ask(&Request::Reload)? else {
        return Err(Fault::unfitting());
    };
    match out.format() {
        Format::Json => {
            out.json(&json!({ "schema": "openscope.reload/1", "message": sentence }))?;
        }
        Format::Text => out.data(&shown::lines(&sentence))?,
    }
    Ok(Exit::Done)
}
