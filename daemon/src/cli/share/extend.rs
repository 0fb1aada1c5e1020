//! `openscope share extend`.

use policy::VerbName;
use serde_json::json;
use wire::control::{self, Reply, Request, ShareView};

use super::{One, Ttl, view};
use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::socket::Daemon;
use crate::cli::{shown, when};
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Extend {
    #[command(flatten)]
    one: One,
    /// How long it shall live from now: 90s, 15m
    #[arg(long, allow_hyphen_values = true)]
    ttl: Option<Ttl>,
    /// A verb to add, or to widen, with pins; give it once per verb
    #[arg(long = "verb", value_name = "APP.ACTION[:PIN,…]")]
    add: Vec<String>,
    /// A verb to take away with all its pins; what runs of it ends
    #[arg(long = "drop-verb", value_name = "APP.ACTION")]
    drop: Vec<VerbName>,
}

impl Extend {
    pub(super) fn run(&self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let question = Request::Extend(control::Extend {
            share: self.one.id,
            ttl_ms: self.ttl.map(Ttl::millis),
            add: self.add.clone(),
            drop: self.drop.clone(),
        });
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
    let mut lines = vec![format!(
        "{} ends {}; hard stop {}",
        share.id,
        when::full(share.deadline, share.now),
        when::second(share.hard_stop)
    )];
    lines.extend(view::verbs(share).iter().map(|verb| format!("  may {}", shown::line(verb))));
    lines.join("\n")
}
