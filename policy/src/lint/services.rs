//! Verbs that ask services: what goes in the clear, and what changes more than it says.

use std::net::IpAddr;

use super::{Finding, verbs};
use crate::http::{Asks, Http, HttpTarget};
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::verb::{Effect, Run, Verb};

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    verbs(policy).flat_map(|(verb, site)| of_verb(verb, site)).collect()
}

fn of_verb(verb: &Verb, site: &RuleSite) -> Vec<Finding> {
    match &verb.run {
        Run::Http(http) => {
            let sockets = http.opens_sockets().then(|| unread_sockets(verb, http, site));
            let others = [in_the_clear(verb, http, site), changes(verb, http, site)];
            others.into_iter().flatten().chain(sockets).collect()
        }
        Run::Tcp(_) => vec![unread(verb, site)],
        Run::Sql(sql) => super::sql::of_verb(verb, sql, site),
        Run::Exec(_) | Run::Ssh(_) | Run::File(_) | Run::Note => Vec::new(),
    }
}

fn in_the_clear(verb: &Verb, http: &Http, site: &RuleSite) -> Option<Finding> {
    let target = &http.target;
    let shown = target.credential.is_some() && !target.is_tls;
    if shown && is_here(target) {
        let sentence = format!(
            "`{}` sends the credential of `{}` to whoever listens at {} first",
            verb.name,
            target.name,
            target.authority()
        );
        let advice =
            "ask it at `https://`, or see that nobody else of this machine can take its port";
        return Some(Finding::note("first-listener", site, sentence, advice));
    }
    let sentence = format!(
        "`{}` sends the credential of `{}` over the network in the clear",
        verb.name, target.name
    );
    shown.then(|| Finding::warning("in-the-clear", site, sentence, "ask it at `https://`"))
}

/// Whether what is said to it stays on this machine.
fn is_here(target: &HttpTarget) -> bool {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn changes(verb: &Verb, http: &Http, site: &RuleSite) -> Option<Finding> {
    let reads = |method: &str| matches!(method, "GET" | "HEAD" | "OPTIONS");
    let other = match &http.asks {
        Asks::This(fixed) => Some(&fixed.method).filter(|method| !reads(method)),
        Asks::Any => http.target.methods.iter().find(|method| !reads(method)),
    };
    let method = other.filter(|_| verb.effect == Effect::Read)?;
    let sentence = format!("`{}` is said to read, and asks `{method}`", verb.name);
    let advice = "say `effect = \"write\"`, or, of a service that reads so, leave it";
    Some(Finding::note("asks-more", site, sentence, advice))
}

fn unread_sockets(verb: &Verb, http: &Http, site: &RuleSite) -> Finding {
    let sentence = format!(
        "`{}` opens WebSockets to `{}`: what is said in one nobody here reads",
        verb.name, http.target.name
    );
    let advice = "list the paths that have them in a service of their own, or pin `method` where none is needed";
    Finding::note("unread", site, sentence, advice)
}

fn unread(verb: &Verb, site: &RuleSite) -> Finding {
    let sentence = format!(
        "`{}` carries bytes that nobody here reads: what its service takes, its recipient may say",
        verb.name
    );
    let advice =
        "where the service speaks HTTP, reflect that: methods and paths can be listed then";
    Finding::note("unread", site, sentence, advice)
}
