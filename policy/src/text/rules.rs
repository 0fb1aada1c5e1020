//! `policy.d`: who may do and delegate what.

use std::collections::BTreeMap;

use super::delegates;
use super::document::{Node, Page, Table};
use super::limits::Items;
use super::scopes::scope;
use super::selectors::{Roles, groups, selector, user};
use super::verbs::Declared;
use super::{Source, TextFault};
use crate::name::AgentName;
use crate::rule::{Delegate, Grant};
use crate::rulebook::{Origins, Rulebook};
use crate::selector::Selector;

/// What a file of rules may have.
const KINDS: [&str; 5] = ["agent", "role", "allow", "deny", "delegate"];

pub(super) fn read(sources: &[Source], catalog: &Declared) -> Result<Rulebook, Vec<TextFault>> {
    let mut reader = Reader::new(catalog);
    let pages: Vec<Page<'_>> = sources.iter().filter_map(|source| reader.page(source)).collect();
    let files: Vec<Table<'_>> = pages.iter().filter_map(Page::root).collect();
    // Rules speak of roles that other files declare.
    for kinds in [&["role"][..], &["agent", "allow", "deny", "delegate"][..]] {
        for file in &files {
            reader.each(*file, kinds);
        }
    }
    reader.book()
}

struct Reader<'a> {
    catalog: &'a Declared,
    agents: BTreeMap<AgentName, String>,
    origins: Origins,
    roles: Roles,
    allows: Vec<Grant>,
    denies: Vec<Grant>,
    delegates: Vec<Delegate>,
    faults: Vec<TextFault>,
}

impl<'a> Reader<'a> {
    fn new(catalog: &'a Declared) -> Self {
        let (agents, origins, roles) = Default::default();
        let (allows, denies, delegates) = (vec![], vec![], vec![]);
        Self { catalog, agents, origins, roles, allows, denies, delegates, faults: vec![] }
    }

    fn book(self) -> Result<Rulebook, Vec<TextFault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let mut book = Rulebook::new(self.agents, self.allows, self.denies, self.delegates);
        book.origins = Origins { unused_roles: self.roles.unused(), ..self.origins };
        Ok(book)
    }

    fn page<'t>(&mut self, source: &'t Source) -> Option<Page<'t>> {
        let page = Page::parse(source).map_err(|faults| self.faults.extend(faults)).ok()?;
        let stray = page.root().and_then(|file| file.only(&KINDS).err());
        self.faults.extend(stray);
        Some(page)
    }

    fn each(&mut self, file: Table<'_>, kinds: &[&str]) {
        for entry in file.entries().filter(|entry| kinds.contains(&entry.key)) {
            match entry.node.array() {
                Ok(rules) => rules.into_iter().for_each(|rule| self.rule(entry.key, rule)),
                Err(fault) => self.faults.push(fault),
            }
        }
    }

    fn rule(&mut self, kind: &str, rule: Node<'_>) {
        let read = rule.table().and_then(|table| match kind {
            "agent" => self.agent(table),
            "role" => self.role(table),
            "allow" => self.grant(table, Items::Each).map(|grant| self.allows.push(grant)),
            "deny" => self.grant(table, Items::Has).map(|grant| self.denies.push(grant)),
            "delegate" => delegates::read(table, self.catalog, &self.roles)
                .map(|rule| self.delegates.push(rule)),
            _ => Ok(()),
        });
        self.faults.extend(read.err());
    }

    fn agent(&mut self, table: Table<'_>) -> Result<(), TextFault> {
        table.only(&["name", "user"])?;
        let name = table.need("name")?;
        let agent: AgentName = name.parsed()?;
        let user = user(table.need("user")?)?;
        if let Some(before) = self.agents.get(&agent) {
            return Err(name.place.fault(format!("agent `{agent}` is already `{before}`'s")));
        }
        self.origins.agents.insert(agent.clone(), table.place.site());
        self.agents.insert(agent, user);
        Ok(())
    }

    /// A name for groups, and what whoever is in one of them may do.
    fn role(&mut self, table: Table<'_>) -> Result<(), TextFault> {
        table.only(&["name", "groups", "verbs"])?;
        let name = table.need("name")?;
        let groups = groups(table.need("groups")?)?;
        let granted =
            table.get("verbs").map(|verbs| scope(verbs, self.catalog, Items::Each)).transpose()?;
        self.roles.declare(name, groups.clone(), granted.is_some())?;
        let selector = Selector { groups: vec![groups], ..Selector::default() };
        let site = table.place.site();
        self.allows.extend(granted.map(|scope| Grant { site, selector, scope }));
        Ok(())
    }

    fn grant(&self, table: Table<'_>, items: Items) -> Result<Grant, TextFault> {
        table.only(&["agent", "user", "group", "role", "when", "verbs"])?;
        let selector = selector(table, &self.roles)?;
        let scope = scope(table.need("verbs")?, self.catalog, items)?;
        Ok(Grant { site: table.place.site(), selector, scope })
    }
}
