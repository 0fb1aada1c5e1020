//! `openscope policy explain`.

use std::time::Duration;

use ::policy::{AgentName, Alias, Call, Explanation, Recipient, Rehearsal, Subject, Timestamp};
use serde_json::json;

use super::super::fault::Fault;
use super::super::output::{Format, Output};
use super::super::shown;
use super::super::socket::Chosen;
use super::super::ttl::Ttl;
use super::{Meant, fingerprint, known_groups, moment, read, steps, summary};
use crate::clock::Instants;
use crate::config::Read;
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope policy explain --user alice --agent you --to vendor-b service.restart service=web
  openscope policy explain --user alice --group sre --bearer --at 2026-11-20T22:00:00Z disk.usage
";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    meant: Meant,
    /// Whose authority: an OS user
    #[arg(long)]
    user: String,
    /// Under which of their agent names [default: the user's own name]
    #[arg(long)]
    agent: Option<AgentName>,
    /// A group that the user is in; may be given again
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Shared with which contact; without one, only what the user holds is asked
    #[arg(long, value_name = "ALIAS", conflicts_with = "bearer")]
    to: Option<Alias>,
    /// The contact's key, `SHA256:…` [default: that of the contact in contacts.toml]
    #[arg(long, requires = "to")]
    key: Option<String>,
    /// Shared with whoever comes first
    #[arg(long)]
    bearer: bool,
    /// For how long [default: as long as the rules grant]
    #[arg(long)]
    ttl: Option<Ttl>,
    /// Handed on how deep
    #[arg(long, value_name = "N", default_value_t = 0)]
    redelegate: u8,
    /// When [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// What is called
    verb: String,
    /// With what: name=value
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
}

impl Explain {
    pub(super) fn run(&self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        let read = read(&self.meant.draft(chosen))?;
        let words: Vec<&str> =
            std::iter::once(&self.verb).chain(&self.arguments).map(String::as_str).collect();
        let call =
            read.policy.read_call(&words).map_err(|(message, near)| misnamed(message, near))?;
        let explained = self.rehearsal(&read)?.explain(&call);
        match out.format() {
            Format::Json => out.json(&document(&explained))?,
            Format::Text => out.data(&text(&read, &explained))?,
        }
        Ok(Exit::Done)
    }

    fn rehearsal<'p>(&self, read: &'p Read) -> Result<Rehearsal<'p>, Fault> {
        let principal = read.policy.principal(&self.user, self.agent.as_ref());
        let principal = principal.map_err(|fault| Fault::usage(fault.to_string()))?;
        Ok(Rehearsal {
            policy: &read.policy,
            owner: Subject {
                principal,
                groups: known_groups(&self.group),
                now: self.at.unwrap_or_else(|| Instants::now().wall),
            },
            recipient: self.recipient(read),
            share: vec![],
            ttl: self.ttl.map(|ttl| Duration::from_millis(ttl.millis())),
            redelegate: self.redelegate,
            after: Duration::ZERO,
            yes: vec![],
        })
    }

    fn recipient(&self, read: &Read) -> Option<Recipient> {
        let contact = |alias: &Alias| {
            let key = self.key.clone().or_else(|| fingerprint(read, alias));
            Recipient::Contact { alias: alias.clone(), fingerprint: key.unwrap_or_default() }
        };
        let bearer = self.bearer.then_some(Recipient::Bearer);
        self.to.as_ref().map(contact).or(bearer)
    }
}

fn misnamed(message: String, near: Option<String>) -> Fault {
    let fault = Fault::usage(message);
    match near {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault,
    }
}

fn text(read: &Read, explained: &Explanation) -> String {
    let call = &explained.call;
    let title = format!("{}: {}", written(call), summary(&read.policy, &call.verb));
    let steps = steps::steps(explained, "");
    format!("{title}\n\n{steps}\n\n{}", steps::verdict(&explained.verdict))
}

/// A call as its caller would write it.
fn written(call: &Call) -> String {
    let arguments = call.arguments.iter().map(|(name, value)| format!(" {name}={}", value.shown()));
    let words: String = std::iter::once(call.verb.to_string()).chain(arguments).collect();
    shown::line(&words)
}

fn document(explained: &Explanation) -> serde_json::Value {
    json!({
        "schema": "openscope.policy.explain/1",
        "call": explained.call,
        "steps": steps::steps_json(explained),
        "verdict": steps::verdict_json(&explained.verdict),
    })
}
