//! `openscope capabilities`: what an agent could share.

use policy::AgentName;
use serde_json::{Value, json};
use wire::control::{CapabilitiesView, CapabilityView, Reply, Request};

use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Daemon;
use super::table::table;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Capabilities {
    /// Which of your agents [default: your own name]
    #[arg(long)]
    agent: Option<AgentName>,
}

impl Capabilities {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Reply::Capabilities(held) = daemon.ask(&Request::Capabilities { agent: self.agent })?
        else {
            return Err(Fault::unfitting());
        };
        if out.format() == Format::Json {
            out.json(&document(&held))?;
        } else if held.verbs.is_empty() {
            out.aside(&format!(
                "`{}` holds no verb: no `[[allow]]` rule of policy.d names it",
                held.agent
            ));
        } else {
            let rows: Vec<_> = held.verbs.iter().map(row).collect();
            out.data(&table(["VERB", "SHARE", "WHAT IT DOES"], &rows))?;
        }
        Ok(Exit::Done)
    }
}

fn document(held: &CapabilitiesView) -> Value {
    let verbs: Vec<_> = held.verbs.iter().map(verb_json).collect();
    json!({ "schema": "openscope.capabilities/1", "agent": held.agent.to_string(), "verbs": verbs })
}

fn verb_json(capability: &CapabilityView) -> Value {
    json!({ "verb": capability.verb, "summary": capability.summary, "delegable": capability.delegable })
}

fn row(capability: &CapabilityView) -> [String; 3] {
    let may = if capability.delegable { "yes" } else { "no" };
    [shown::line(&capability.verb), may.to_owned(), shown::line(&capability.summary)]
}

#[cfg(test)]
mod tests {
    use super::super::output::tests::heard;
    use super::super::socket::tests::daemon;
    use super::*;

    fn said(verbs: Vec<CapabilityView>) -> (String, String) {
        let view = CapabilitiesView { agent: "you".parse().unwrap(), verbs };
        let (daemon, asked, _home) = daemon(Reply::Capabilities(Box::new(view)));
        let (mut out, data, aside) = heard(Format::Text, false);
        Capabilities { agent: None }.run(&daemon, &mut out).unwrap();
        asked.join().unwrap();
        (data.text(), aside.text())
    }

    #[test]
    fn a_capability_is_shown_as_verb_takes_it() {
        let capability = CapabilityView {
            verb: "log.tail:lines=1..200".to_owned(),
            summary: "Last lines".to_owned(),
            delegable: true,
        };
        let expected = "\
VERB                   SHARE  WHAT IT DOES
log.tail:lines=1..200  yes    Last lines
";
        assert_eq!(said(vec![capability]).0, expected);
    }

    #[test]
    fn an_empty_surface_is_said_with_its_reason() {
        let (data, aside) = said(Vec::new());
        assert_eq!(data, "");
        assert!(aside.contains("`you` holds no verb"), "{aside}");
    }
}
