//! `openscope capabilities`: what an agent could share.

use std::time::Duration;

use policy::{AgentName, Alias, Offered};
use serde_json::{Value, json};
use wire::control::{CapabilitiesView, CapabilityView, OfferView, Reply, Request};

use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Daemon;
use super::table::table;
use super::ttl::Ttl;
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
            for capability in held.verbs.iter().filter(|one| one.delegable) {
                out.data(&format!("\n{}", offered(&held.agent, capability)))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn document(held: &CapabilitiesView) -> Value {
    let verbs: Vec<_> = held.verbs.iter().map(verb_json).collect();
    json!({ "schema": "openscope.capabilities/1", "agent": held.agent.to_string(), "verbs": verbs })
}

fn verb_json(capability: &CapabilityView) -> Value {
    json!({
        "verb": capability.verb,
        "summary": capability.summary,
        "effect": capability.effect,
        "delegable": capability.delegable,
        "offers": capability.offers.iter().map(offer_json).collect::<Vec<_>>(),
    })
}

fn offer_json(OfferView { offer, contacts }: &OfferView) -> Value {
    json!({
        "rule": offer.rule.to_string(),
        "what": offer.what,
        "to": offer.to,
        "contacts": contacts,
        "bearer": offer.bearer,
        "max_ttl_ms": millis(offer.max_ttl),
        "redelegate": offer.redelegate,
        "demand": offer.demand,
        "max_calls": offer.budget.calls,
        "max_bytes": offer.budget.bytes,
        "max_shares": offer.max_shares,
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How a capability can be shared: for each rule a command that is ready to be run, and its terms.
fn offered(agent: &AgentName, capability: &CapabilityView) -> String {
    let title = format!("{} ({})", shown::line(&capability.verb), capability.effect);
    let offers = capability.offers.iter().flat_map(|offer| lines(agent, offer));
    std::iter::once(title).chain(offers).collect::<Vec<_>>().join("\n")
}

fn lines(agent: &AgentName, view: &OfferView) -> Vec<String> {
    let mut lines: Vec<String> =
        view.offer.what.iter().map(|what| command(agent, what, view)).collect();
    lines.push(format!("    {}", terms(view)));
    lines
}

/// `openscope share open …`, or what is missing for it.
fn command(agent: &AgentName, what: &Offered, view: &OfferView) -> String {
    let Some(request) = &what.request else {
        return format!("  pin what you share within {}", shown::line(&what.capability));
    };
    let to = match view.contacts.first() {
        Some(contact) => format!("--to {contact}"),
        None if view.offer.bearer => "--bearer".to_owned(),
        None => {
            return format!(
                "  `{}`: you have no contact that the rule reaches",
                shown::line(request)
            );
        }
    };
    let (verb, ttl) = (shown::word(request), Ttl::from(view.offer.max_ttl));
    format!("  openscope share open --agent {agent} --verb {verb} {to} --ttl {ttl}")
}

fn terms(OfferView { offer, contacts }: &OfferView) -> String {
    let mut terms = vec![format!("to {}", offer.to), offer.demand.clone()];
    let others: Vec<&str> = contacts.iter().skip(1).map(Alias::as_str).collect();
    terms.extend((!others.is_empty()).then(|| format!("also yours: {}", others.join(", "))));
    terms.extend((offer.redelegate > 0).then(|| format!("handed on {} deep", offer.redelegate)));
    terms.extend(offer.budget.calls.map(|calls| format!("{calls} calls")));
    terms.extend(offer.budget.bytes.map(|bytes| format!("{bytes} bytes of output")));
    terms.extend(offer.max_shares.map(|shares| format!("{shares} shares at a time")));
    format!("{} ({})", shown::line(&terms.join("; ")), offer.rule)
}

/// For a shell, as it was written.
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
            effect: policy::Effect::Read,
            delegable: true,
            offers: vec![OfferView {
                offer: policy::Offer {
                    rule: policy::RuleSite { source: "policy.d/team.toml".to_owned(), line: 9 },
                    what: vec![
                        Offered {
                            capability: String::new(),
                            request: Some("log.tail:service=a|b".to_owned()),
                        },
                        Offered { capability: "log.tail:service=/x+/".to_owned(), request: None },
                    ],
                    to: "vendor-*".to_owned(),
                    bearer: false,
                    max_ttl: Duration::from_mins(15),
                    redelegate: 1,
                    demand: "each call asks bob".to_owned(),
                    budget: policy::Budget { calls: Some(5), bytes: None },
                    max_shares: None,
                },
                contacts: vec!["vendor-a".parse().unwrap(), "vendor-b".parse().unwrap()],
            }],
        };
        let expected = "\
VERB                   SHARE  WHAT IT DOES
log.tail:lines=1..200  yes    Last lines

log.tail:lines=1..200 (read)
  openscope share open --agent you --verb 'log.tail:service=a|b' --to vendor-a --ttl 15m
  pin what you share within log.tail:service=/x+/
    to vendor-*; each call asks bob; also yours: vendor-b; handed on 1 deep; 5 calls (policy.d/team.toml:9)
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
