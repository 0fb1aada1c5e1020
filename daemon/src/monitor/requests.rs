//! What owners ask over the owner socket, and what they get. Who asks comes from the kernel.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::{Alias, ShareId};
use wire::call::Ending;
use wire::control::{ContactView, Extend, Failure, Reply, Request, Which};

use super::Monitor;
use super::audit::{Durability, Event, Said, Who};
use super::contacts::{self, Added, Change, Contact};
use super::failure::{not_found, refused, unavailable, usage};
use super::meter::Meter;
use super::over::Cause;
use super::owner_socket::{Asked, Caller};
use super::resolver::{Known, PATIENCE, Person};
use crate::clock::Instants;
use crate::config::Mode;

/// A request whose caller's name is still being looked up.
pub(super) struct Unresolved {
    asked: Asked,
    until: Duration,
}

/// Requests a second of one user: a script that opens shares in a loop stays below it.
const ASKED_A_SECOND: u32 = 50;
/// Users whose requests are metered at once.
const ASKERS_MAX: usize = 4096;

/// What becomes of a request.
pub(super) enum Answer {
    Now(Reply),
    Later,
}

impl Monitor {
    /// Takes a request: answered at once when the caller's name is known.
    pub(super) fn take_request(&mut self, asked: Asked, now: Instants) {
        let known = match self.resolver.known(asked.uid, now.boot) {
            known @ Some(Known::Person(_)) => known,
            other => self.known_by_shares(&asked).map(Known::Person).or(other),
        };
        if let Some(person) = known {
            return self.answer(asked, person, now);
        }
        self.resolver.ask(asked.uid);
        let until = now.boot.saturating_add(PATIENCE);
        self.unresolved.push(Unresolved { asked, until });
    }

    /// Who asks for what their own shares are enough to answer: seeing and ending those does not wait for a name service.
    fn known_by_shares(&self, asked: &Asked) -> Option<Person> {
        let uid = asked.uid;
        let named = |user: &str| Person { uid, user: user.to_owned(), groups: BTreeSet::new() };
        let mut own = self.shares.iter().filter(|(_, share)| share.lease.owner.uid == uid);
        let share = match &asked.request {
            Request::List { .. }
            | Request::Show { .. }
            | Request::Kick { .. }
            | Request::Revoke { .. }
                if uid == 0 =>
            {
                return Some(named("root"));
            }
            Request::List { all: false }
            | Request::Revoke { which: Which::All | Which::To(_), .. } => own.next(),
            Request::Show { share }
            | Request::Kick { share, .. }
            | Request::Revoke { which: Which::Share(share), .. } => {
                own.find(|(id, _)| *id == share)
            }
            Request::List { all: true }
            | Request::Open(_)
            | Request::Plan(_)
            | Request::Extend(_)
            | Request::Requests { .. }
            | Request::Approve { .. }
            | Request::Deny { .. }
            | Request::ContactAdd { .. }
            | Request::ContactList
            | Request::ContactRemove { .. }
            | Request::Capabilities { .. }
            | Request::Needs { .. }
            | Request::Note { .. }
            | Request::Notes { .. }
            | Request::Status
            | Request::Reload => None,
        };
        share.map(|(_, share)| named(&share.lease.owner.user))
    }

    /// Answers the requests whose callers are known by now, and those that have waited too long.
    pub(super) fn answer_resolved(&mut self, now: Instants) {
        let unresolved = std::mem::take(&mut self.unresolved);
        let is_late = |one: &&Unresolved| one.until <= now.boot;
        let late: BTreeSet<u32> =
            unresolved.iter().filter(is_late).map(|one| one.asked.uid).collect();
        if !late.is_empty() {
            // It hangs on some name, and perhaps on that one alone: the others are asked of another worker.
            self.resolver.end();
            let all: BTreeSet<u32> = unresolved.iter().map(|one| one.asked.uid).collect();
            all.difference(&late).for_each(|uid| self.resolver.ask(*uid));
        }
        for Unresolved { asked, until } in unresolved {
            match self.resolver.known(asked.uid, now.boot) {
                Some(person) => self.answer(asked, person, now),
                None if late.contains(&asked.uid) => {
                    let message = format!("the name of uid {} cannot be looked up", asked.uid);
                    let failure =
                        unavailable(&message, "the name service does not answer; try again");
                    self.owners.reply(asked.caller, &Reply::Failed(failure), now.boot);
                }
                None => self.unresolved.push(Unresolved { asked, until }),
            }
        }
    }

    /// When the next lookup is given up.
    pub(super) fn resolver_due(&self) -> Option<Duration> {
        self.unresolved.iter().map(|unresolved| unresolved.until).min()
    }

    fn answer(&mut self, asked: Asked, person: Known, now: Instants) {
        let Asked { caller, uid, request } = asked;
        let answer = match person {
            Known::Person(person) if self.is_stranger(&person) => Err(refused(
                "this daemon is another user's own",
                "run `openscoped --rootless` for yours, or ask root for a daemon for all",
            )),
            Known::Person(_) if !self.may_ask(uid, &request, now) => Err(refused(
                "too many requests in a second",
                "wait a moment; ending a share is never held back",
            )),
            Known::Person(person) => self.act(caller, &person, request, now),
            Known::Unavailable => Err(unavailable(
                &format!("the name of uid {uid} cannot be looked up"),
                "the name service reports a fault; try again",
            )),
            Known::Nameless => Err(refused(
                &format!("uid {uid} has no name on this machine"),
                "policy is written for names: give the account one",
            )),
        };
        // Whoever has the answer finds what it says on record.
        let _told = self.commit(Durability::Soon, now);
        match answer {
            Ok(Answer::Later) => {}
            Ok(Answer::Now(reply)) => self.owners.reply(caller, &reply, now.boot),
            Err(failure) => self.owners.reply(caller, &Reply::Failed(failure), now.boot),
        }
    }

    fn act(
        &mut self,
        caller: Caller,
        person: &Person,
        request: Request,
        now: Instants,
    ) -> Result<Answer, Failure> {
        match request {
            Request::Open(open) => {
                self.open(caller, person, &open, now)?;
                Ok(Answer::Later)
            }
            Request::List { all } => self.list(person, all, now).map(Answer::Now),
            Request::Show { share } => self.show(person, share, now).map(Answer::Now),
            Request::Plan(open) => self.plan(person, &open, now).map(Answer::Now),
            Request::Extend(change) => self.extend(person, &change, now).map(Answer::Now),
            Request::Requests { all, only } => {
                self.list_requests(person, all, only, now).map(Answer::Now)
            }
            Request::Approve { request, expect } => {
                self.approve(person, request, expect.as_deref(), now).map(Answer::Now)
            }
            Request::Deny { request, reason } => {
                self.deny(person, request, reason.as_deref(), now).map(Answer::Now)
            }
            Request::Revoke { which, reason } => {
                self.revoke(caller, person, which, reason.as_deref(), now)
            }
            Request::Kick { share, alias, reason } => {
                self.kick(caller, person, (share, &alias), reason.as_deref(), now)
            }
            Request::ContactAdd { alias, key, replace } => {
                self.add_contact(person, &alias, &key, replace, now).map(Answer::Now)
            }
            Request::ContactList => Ok(Answer::Now(Reply::Contacts(self.contacts_of(person)))),
            Request::ContactRemove { alias } => {
                self.remove_contact(person, &alias, now).map(Answer::Now)
            }
            Request::Capabilities { agent } => {
                self.capabilities(person, agent.as_ref(), now).map(Answer::Now)
            }
            Request::Note { share, to, text } => {
                self.note_for(person, (share, to.as_ref(), &text), now).map(Answer::Now)
            }
            Request::Notes { share, after } => {
                self.notes(person, (share, after), now).map(Answer::Now)
            }
            Request::Needs { agent } => self.needs(person, agent.as_ref(), now).map(Answer::Now),
            Request::Status => Ok(Answer::Now(Reply::Status(Box::new(self.status())))),
            Request::Reload => self.reload_for(person, now).map(Answer::Now),
        }
    }

    /// Whether a user may ask now: what costs a record or a look at every share is metered by user.
    fn may_ask(&mut self, uid: u32, request: &Request, now: Instants) -> bool {
        let ends = matches!(request, Request::Revoke { .. } | Request::Kick { .. });
        if uid == 0 || ends || matches!(request, Request::Status) {
            return true;
        }
        if self.askers.len() >= ASKERS_MAX {
            self.askers.clear();
        }
        let meter = self.askers.entry(uid).or_insert_with(|| Meter::new(ASKED_A_SECOND, now.boot));
        meter.admits(now.boot)
    }

    /// In rootless mode everything runs as one user: only they may ask for it.
    fn is_stranger(&self, person: &Person) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.config.mode == Mode::Rootless && person.uid != own && person.uid != 0
    }

    pub(super) fn is_admin(&self, person: &Person) -> bool {
        let group = self.config.admin_group.as_ref();
        person.uid == 0 || group.is_some_and(|group| person.groups.contains(group))
    }

    /// The caller as the record names them, when no agent is in play.
    pub(super) fn person(person: &Person) -> Who {
        Who { uid: person.uid, user: person.user.clone(), agent: None }
    }

    fn list(&mut self, person: &Person, all: bool, now: Instants) -> Result<Reply, Failure> {
        if all && !self.is_admin(person) {
            return Err(refused(
                "`--all` is for root and the admin group",
                "leave it out to see your own",
            ));
        }
        if all {
            let what = Said::new("list --all");
            self.note(Event::AdminUsed { by: Self::person(person), what, share: None }, now);
        }
        let uid = person.uid;
        let mut shares = std::mem::take(&mut self.shares);
        let mut views: Vec<_> = shares
            .values_mut()
            .filter(|share| share.over.is_none() && (all || share.lease.owner.uid == uid))
            .map(|share| self.view(share, now))
            .collect();
        views.sort_by_key(|view| (view.opened, view.id));
        self.shares = shares;
        Ok(Reply::Shares(views))
    }

    fn show(&mut self, person: &Person, id: ShareId, now: Instants) -> Result<Reply, Failure> {
        self.theirs(person, id, "show", now)?;
        let mut share = self.shares.remove(&id).ok_or_else(|| no_share(id))?;
        let view = self.view(&mut share, now);
        self.shares.insert(id, share);
        Ok(Reply::Share(Box::new(view)))
    }

    /// Refuses a share that is not the caller's as if it did not exist; an admin's look is on record.
    pub(super) fn theirs(
        &mut self,
        person: &Person,
        id: ShareId,
        what: &str,
        now: Instants,
    ) -> Result<(), Failure> {
        let live = self.shares.get(&id).filter(|share| share.over.is_none());
        let owner = live.ok_or_else(|| no_share(id))?.lease.owner.uid;
        if owner == person.uid {
            return Ok(());
        }
        if !self.is_admin(person) {
            return Err(no_share(id));
        }
        let what = Said::new(what);
        self.note(Event::AdminUsed { by: Self::person(person), what, share: Some(id) }, now);
        Ok(())
    }

    fn extend(
        &mut self,
        person: &Person,
        change: &Extend,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let id = change.share;
        self.theirs(person, id, "extend", now)?;
        let mut share = self.shares.remove(&id).ok_or_else(|| no_share(id))?;
        let extended = self.extended(person, &mut share, change, now);
        self.shares.insert(id, share);
        let reply = extended?;
        self.recheck(now);
        self.tell_standing(id, now);
        Ok(reply)
    }

    /// Ends shares; the answer comes when everything of them is dead.
    pub(super) fn revoke(
        &mut self,
        caller: Caller,
        person: &Person,
        which: Which,
        reason: Option<&str>,
        now: Instants,
    ) -> Result<Answer, Failure> {
        // Shown at the other end and kept in the record: as long as either shows.
        let reason = reason.map(|reason| Said::new(reason).to_string());
        let shares = match which {
            Which::Share(id) => {
                self.theirs(person, id, "revoke", now)?;
                vec![id]
            }
            Which::All => self.shares_of(person, None),
            Which::To(alias) => self.shares_of(person, Some(&alias)),
        };
        for id in &shares {
            self.kill_all_of(*id, &Ending::Revoked, now);
        }
        for id in &shares {
            let cause = Cause::Revoked { by: Self::person(person), reason: reason.clone() };
            self.end_share(*id, cause, now);
        }
        self.wait_for_ends(caller, shares);
        Ok(Answer::Later)
    }

    fn shares_of(&self, person: &Person, to: Option<&Alias>) -> Vec<ShareId> {
        let live = self.shares.iter().filter(|(_, share)| share.over.is_none());
        live.filter(|(_, share)| share.lease.owner.uid == person.uid)
            .filter(|(_, share)| to.is_none_or(|alias| share.seat_for(alias).is_some()))
            .map(|(id, _)| *id)
            .collect()
    }

    fn add_contact(
        &mut self,
        person: &Person,
        alias: &Alias,
        key: &str,
        replace: bool,
        now: Instants,
    ) -> Result<Reply, Failure> {
        if person.uid == 0 && self.config.mode == Mode::System {
            return Err(refused(
                "root's contacts are in contacts.toml",
                "edit it, then `openscope reload`",
            ));
        }
        let change = if replace { Change::Confirmed } else { Change::Refuse };
        let added = self.own_contacts.add(person.uid, alias.as_str(), key, "", change).map_err(
            |fault| usage(&fault.to_string(), "`openscope contact list` shows whom you know"),
        )?;
        let own = format!("own/{alias}");
        let (alias, contact) =
            contacts::resolve(&self.contacts, &self.own_contacts, person.uid, &own)
                .map_err(|fault| unavailable(&fault.to_string(), "try again"))?;
        let fingerprint = contact.key.fingerprint();
        let replaced = match added {
            Added::Replaced { fingerprint } => Some(fingerprint),
            Added::New | Added::Same => None,
        };
        let said = format!("{alias} is {fingerprint}");
        let by = Self::person(person);
        self.note(Event::ContactAdded { by, alias, fingerprint, replaced }, now);
        self.check_recipients(Some(person.uid), now);
        Ok(Reply::Done(said))
    }

    fn remove_contact(
        &mut self,
        person: &Person,
        alias: &Alias,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let removed = self.own_contacts.remove(person.uid, alias.as_str()).map_err(|fault| {
            not_found(&fault.to_string(), "`openscope contact list` shows yours")
        })?;
        let event = Event::ContactRemoved { by: Self::person(person), alias: removed.clone() };
        self.note(event, now);
        self.check_recipients(Some(person.uid), now);
        Ok(Reply::Done(format!("{removed} is forgotten")))
    }

    fn contacts_of(&self, person: &Person) -> Vec<ContactView> {
        let roots = self.contacts.iter().map(|(alias, contact)| view(alias.clone(), contact));
        let own = self.own_contacts.list(person.uid).unwrap_or_default();
        let own = own.iter().filter_map(|(alias, contact)| {
            Some(view(format!("own/{alias}").parse().ok()?, contact))
        });
        roots.chain(own).collect()
    }
}

fn view(alias: Alias, contact: &Contact) -> ContactView {
    let fingerprint = contact.key.fingerprint();
    ContactView { alias, fingerprint, key: contact.key.to_string() }
}

pub(super) fn no_share(id: ShareId) -> Failure {
    not_found(&format!("you have no live share `{id}`"), "`openscope share list` shows yours")
}
