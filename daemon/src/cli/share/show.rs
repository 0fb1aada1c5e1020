//! `openscope share show`.

use policy::ShareId;
use serde_json::json;
use wire::control::{Reply, Request};

use super::view;
use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::socket::Daemon;
use crate::exit::Exit;

pub(super) fn run(share: ShareId, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Share(share) = daemon.ask(&Request::Show { share })? else {
        return Err(Fault::unfitting());
    };
    match out.format() {
        Format::Json => {
            out.json(&json!({ "schema": "openscope.share.show/1", "share": view::json(&share) }))?;
        }
        Format::Text => out.data(&view::text(&share))?,
    }
    Ok(Exit::Done)
}
