//! `openscope share extend`.

use serde_json::json;
use wire::control::{Reply, Request, ShareView};

use super::{One, Ttl, view};
use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::socket::Daemon;
use crate::cli::when;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Extend {
    #[command(flatten)]
    one: One,
    /// How long it shall live from now: 90s, 15m
    #[arg(long, allow_hyphen_values = true)]
    ttl: Ttl,
}

impl Extend {
    pub(super) fn run(&self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let question = Request::Extend { share: self.one.id, ttl_ms: self.ttl.millis() };
        let Reply::Share(share) = daemon.ask(&question)? else { return Err(Fault::unfitting()) };
        match out.format() {
            Format::Json => {
                out.json(
                    &json!({ "schema": "openscope.share.extend/1", "share": view::json(&share) }),
                )?;
            }
            Format::Text => out.data(&text(&share))?,
        }
        Ok(Exit::Done)
    }
}

fn text(share: &ShareView) -> String {
    format!(
        "{} ends {}; hard stop {}",
        share.id,
        when::full(share.deadline, share.now),
        when::second(share.hard_stop)
    )
}
