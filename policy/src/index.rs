//! Rules by verb, by whom they are about, and by a value that they pin: of a hundred thousand rules a
//! call meets the few that can concern it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::constraint::Constraint;
use crate::name::{AgentName, ParameterName, VerbName};
use crate::principal::{Groups, Subject};
use crate::rule::{Delegate, Grant};
use crate::scope::{Capability, Scope};
use crate::selector::{Doubt, Selected, Selector};
use crate::value::{Arguments, Value};

/// Pins of more values than this are looked at one by one.
const MAX_PINNED: usize = 64;

/// What the index needs of a rule.
pub(crate) trait Ruled {
    fn selector(&self) -> &Selector;
    fn scope(&self) -> &Scope;
}

impl Ruled for Grant {
    fn selector(&self) -> &Selector {
        &self.selector
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl Ruled for Delegate {
    fn selector(&self) -> &Selector {
        &self.selector
    }

    fn scope(&self) -> &Scope {
        &self.scope
    }
}

/// Rules in the order in which they are written.
#[derive(Clone, Debug)]
pub(crate) struct Rules<R> {
    all: Vec<R>,
    by_verb: HashMap<VerbName, Shelf>,
    doubt: Doubt,
}

/// The rules for one verb, each in the one place where whoever it is about is sure to look.
#[derive(Clone, Debug, Default)]
struct Shelf {
    by_agent: HashMap<AgentName, Drawer>,
    by_user: HashMap<String, Drawer>,
    by_group: HashMap<String, Drawer>,
    for_all: Drawer,
}

/// Rules by a value that they pin; where there is none, in `open`.
#[derive(Clone, Debug, Default)]
struct Drawer {
    pinned: HashMap<ParameterName, HashMap<Value, Vec<usize>>>,
    open: Vec<usize>,
}

impl<R: Ruled> Rules<R> {
    pub(crate) fn new(rules: Vec<R>, doubt: Doubt) -> Self {
        let mut by_verb: HashMap<VerbName, Shelf> = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            for capability in rule.scope().capabilities() {
                let shelf = by_verb.entry(capability.verb().clone()).or_default();
                shelf.add(number, rule.selector(), capability);
            }
        }
        Self { all: rules, by_verb, doubt }
    }

    /// The rules about this subject that permit the call, in order.
    pub(crate) fn permitting<'a>(
        &'a self,
        subject: &'a Subject,
        verb: &'a VerbName,
        arguments: &'a Arguments,
    ) -> impl Iterator<Item = &'a R> {
        let near = self.near(subject, verb, |drawer, near| drawer.holding(arguments, near));
        near.filter(|rule| rule.scope().permits(verb, arguments))
            .filter(|rule| rule.selector().selects(subject, self.doubt))
    }

    /// The rules about this subject that can have something in common with one of these capabilities of
    /// the verb, in order; `None` when there are more than `most` to look at.
    pub(crate) fn meeting<'a>(
        &'a self,
        subject: &Subject,
        verb: &VerbName,
        capabilities: &[Capability],
        most: usize,
    ) -> Option<Vec<&'a R>> {
        let drawers = self.by_verb.get(verb).map(|shelf| shelf.drawers(subject));
        let drawers = drawers.into_iter().flatten();
        let lists: Vec<_> = drawers.flat_map(|drawer| drawer.meeting(capabilities, most)).collect();
        if lists.iter().map(|list| list.len()).sum::<usize>() > most {
            return None;
        }
        let rules = self.numbered(lists.into_iter().flatten().copied().collect());
        Some(rules.filter(|rule| rule.selector().selects(subject, self.doubt)).collect())
    }

    /// Every rule, in order, whomever it is about.
    pub(crate) fn all(&self) -> &[R] {
        &self.all
    }

    /// The rules about this subject, in order.
    pub(crate) fn of<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a R> {
        self.all.iter().filter(|rule| rule.selector().selects(subject, self.doubt))
    }

    fn near<'a>(
        &'a self,
        subject: &Subject,
        verb: &VerbName,
        look: impl Fn(&Drawer, &mut Vec<usize>),
    ) -> std::vec::IntoIter<&'a R> {
        let mut near = Vec::new();
        let drawers = self.by_verb.get(verb).map(|shelf| shelf.drawers(subject));
        drawers.into_iter().flatten().for_each(|drawer| look(drawer, &mut near));
        self.numbered(near)
    }

    fn numbered(&self, mut numbers: Vec<usize>) -> std::vec::IntoIter<&R> {
        numbers.sort_unstable();
        numbers.dedup();
        let rules = numbers.into_iter().filter_map(|number| self.all.get(number));
        rules.collect::<Vec<_>>().into_iter()
    }
}

impl Shelf {
    fn add(&mut self, number: usize, selector: &Selector, capability: &Capability) {
        match (&selector.agents, &selector.users, selector.groups.first()) {
            (Selected::Only(agents), _, _) => put(&mut self.by_agent, agents, number, capability),
            (_, Selected::Only(users), _) => put(&mut self.by_user, users, number, capability),
            (_, _, Some(groups)) => put(&mut self.by_group, groups, number, capability),
            (Selected::Everyone, Selected::Everyone, None) => self.for_all.add(number, capability),
        }
    }

    fn drawers(&self, subject: &Subject) -> Vec<&Drawer> {
        let mut drawers = vec![&self.for_all];
        drawers.extend(self.by_agent.get(&subject.principal.agent));
        drawers.extend(self.by_user.get(&subject.principal.user));
        match &subject.groups {
            Groups::Known(groups) => {
                drawers.extend(groups.iter().filter_map(|group| self.by_group.get(group)));
            }
            Groups::Unknown => drawers.extend(self.by_group.values()),
        }
        drawers
    }
}

fn put<K: Clone + Eq + Hash>(
    shelf: &mut HashMap<K, Drawer>,
    keys: &BTreeSet<K>,
    number: usize,
    capability: &Capability,
) {
    for key in keys {
        shelf.entry(key.clone()).or_default().add(number, capability);
    }
}

impl Drawer {
    fn add(&mut self, number: usize, capability: &Capability) {
        match pinned(capability) {
            Some((name, values)) => {
                let by_value = self.pinned.entry(name.clone()).or_default();
                for value in values {
                    by_value.entry(value.clone()).or_default().push(number);
                }
            }
            None => self.open.push(number),
        }
    }

    fn holding(&self, arguments: &Arguments, near: &mut Vec<usize>) {
        near.extend(&self.open);
        for (name, value) in arguments.iter() {
            let by_value = self.pinned.get(name);
            near.extend(by_value.and_then(|values| values.get(value)).into_iter().flatten());
        }
    }

    /// The lists of rules that can have something in common with one of these; more than `most` lists
    /// are not all looked up.
    fn meeting(&self, capabilities: &[Capability], most: usize) -> Vec<&Vec<usize>> {
        let mut lists = vec![&self.open];
        for (name, by_value) in &self.pinned {
            let listed = capabilities.iter().map(|one| listed(one.constraint(name)));
            match listed.collect::<Option<Vec<_>>>() {
                Some(values) => {
                    lists.extend(values.into_iter().flatten().filter_map(|one| by_value.get(one)));
                }
                None => lists.extend(by_value.values().take(most.saturating_add(1))),
            }
        }
        lists
    }
}

fn listed(limit: &Constraint) -> Option<&BTreeSet<Value>> {
    if let Constraint::OneOf(values) = limit { Some(values) } else { None }
}

/// The first parameter of which the capability lists values.
fn pinned(capability: &Capability) -> Option<(&ParameterName, &BTreeSet<Value>)> {
    capability.parameters().iter().find_map(|(name, limit)| {
        let values = listed(limit).filter(|values| values.len() <= MAX_PINNED)?;
        Some((name, values))
    })
}
