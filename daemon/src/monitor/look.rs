//! Before a share opens: whether the services and the databases are there that it is going to ask.

use std::collections::BTreeSet;
use std::io;

use policy::{HttpRequest, Run as How, ShareId, Subject, Verb, VerbName};
use wire::control::Failure;

use super::Monitor;
use super::audit::{Event, Said, Who};
use super::failure::unavailable;
use super::helpers::HelperId;
use super::leases::{Lease, Owner};
use super::services::Service;
use crate::clock::Instants;
use crate::reach::{Planned, ToReach};
use crate::run::Account;

/// Bytes of statements that are looked at before a share opens: they go in one packet. What does not fit is seen when it is
/// put.
const PLANNED: usize = 96 * 1024;

/// A service that is to be looked at.
pub(super) struct Looked {
    pub(super) service: Service,
    /// What is asked of it, where anything may be.
    pub(super) request: Option<HttpRequest>,
    /// What it is going to be asked, if it is a database.
    pub(super) planned: Vec<Planned>,
}

impl Looked {
    /// What it is asked, for the record.
    fn told(&self) -> Option<Said> {
        let HttpRequest { method, path, .. } = self.request.as_ref()?;
        let name = self.service.name();
        Some(Said::new(&format!("{name}: {method} {path}")))
    }

    /// What can be looked at without doing anything.
    fn probe(&self) -> ToReach {
        let mut room = PLANNED;
        let fits = |one: &&Planned| {
            let left = room.checked_sub(one.statement.len() + one.verb.len());
            room = left.unwrap_or_default();
            left.is_some()
        };
        let planned = self.planned.iter().filter(fits).cloned().collect();
        ToReach::Probe { request: self.request.clone().map(Box::new), planned }
    }
}

impl Monitor {
    /// Begins to look whether what a share is going to ask is there. Nothing is asked on behalf of a verb whose calls wait for
    /// somebody's consent, which are those that are not `free`; and what is asked is on record first.
    pub(super) fn look_for_services(
        &mut self,
        lease: &Lease,
        (subject, free): (&Subject, &BTreeSet<VerbName>),
        now: Instants,
    ) -> Result<BTreeSet<HelperId>, Failure> {
        let surface = self.policy.surface(subject);
        let verbs = lease.scope.verbs().into_iter();
        let verbs = verbs.filter_map(|name| self.policy.catalog().verb(name));
        let mut services: Vec<Looked> = Vec::new();
        for verb in verbs {
            let Some(service) = Service::of(verb) else { continue };
            let may_ask = free.contains(&verb.name);
            let request = may_ask.then(|| surface.look(verb, &lease.scope)).flatten();
            let planned = planned(verb);
            if let Some(looked) = services.iter_mut().find(|looked| looked.service == service) {
                looked.planned.extend(planned);
                looked.request = looked.request.take().or(request);
            } else {
                let planned = planned.into_iter().collect();
                services.push(Looked { service, request, planned });
            }
        }
        let asked: Vec<Said> = services.iter().filter_map(Looked::told).collect();
        if !asked.is_empty() {
            let Owner { uid, user, agent } = lease.owner.clone();
            let by = Who { uid, user, agent: Some(agent) };
            let event = Event::ServicesAsked { by, share: lease.id, asked };
            self.audit.record(event, now).map_err(|fault| {
                let message = format!("what a service is asked cannot be put on record: {fault}");
                unavailable(&message, "free space for the daemon's state directory, then try again")
            })?;
        }
        let account = self.account(&lease.owner);
        self.probe_services(lease.id, &account, &services).map_err(|fault| {
            self.end_helpers(|helper| helper.share == lease.id);
            unavailable(&format!("a service cannot be looked at: {fault}"), "nothing was opened")
        })
    }

    /// Begins to look whether they are there.
    fn probe_services(
        &mut self,
        share: ShareId,
        account: &Account,
        services: &[Looked],
    ) -> io::Result<BTreeSet<HelperId>> {
        let mut probing = BTreeSet::new();
        for looked in services {
            let helper = self.asking(share, account, &looked.service)?;
            self.tell_asking(helper, &looked.probe(), &[])?;
            probing.insert(helper);
        }
        Ok(probing)
    }
}

/// What a database is going to be asked by a verb.
fn planned(verb: &Verb) -> Option<Planned> {
    let How::Sql(sql) = &verb.run else { return None };
    Some(Planned {
        verb: verb.name.to_string(),
        statement: sql.statement.clone(),
        values: sql.placeholders(),
    })
}
