//! Whom a rule is about, and when.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::TextFault;
use super::document::{Node, Table};
use crate::name::{AgentName, shown};
use crate::nearest::nearest;
use crate::rule::RuleSite;
use crate::selector::{Selected, Selector};
use crate::window::{Days, Minute, Window};

/// The most names that one list of a rule may have.
const MAX_NAMES: usize = 256;
/// The most windows that one rule may have.
const MAX_WINDOWS: usize = 16;

/// The roles that policy declares.
#[derive(Default)]
pub(super) struct Roles(BTreeMap<AgentName, Role>);

struct Role {
    groups: BTreeSet<String>,
    site: RuleSite,
    used: Cell<bool>,
}

impl Roles {
    pub(super) fn declare(
        &mut self,
        name: Node<'_>,
        groups: BTreeSet<String>,
        grants: bool,
    ) -> Result<(), TextFault> {
        let role = name.parsed()?;
        if self.0.contains_key(&role) {
            return Err(name.place.fault(format!("role `{role}` is declared twice")));
        }
        self.0.insert(role, Role { groups, site: name.place.site(), used: Cell::new(grants) });
        Ok(())
    }

    /// The groups of the role that a text at this place names.
    pub(super) fn named(&self, text: &str, node: Node<'_>) -> Result<&BTreeSet<String>, TextFault> {
        let known = text.parse().ok().and_then(|role: AgentName| self.0.get(&role));
        known.inspect(|role| role.used.set(true)).map(|role| &role.groups).ok_or_else(|| {
            let near = nearest(text, self.0.keys().map(AgentName::as_str));
            let hint = near.map_or_else(
                || "declare it: [[role]] with `name` and `groups`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            node.place.hinted(format!("`{}` is not a role", shown(text)), Some(hint))
        })
    }

    /// Those that nothing has named, and that grant nothing.
    pub(super) fn unused(&self) -> BTreeMap<AgentName, RuleSite> {
        let unused = self.0.iter().filter(|(_, role)| !role.used.get());
        unused.map(|(name, role)| (name.clone(), role.site.clone())).collect()
    }
}

/// Reads `agent`, `user`, `group`, `role` and `when`; one of the first four must be there.
pub(super) fn selector(table: Table<'_>, roles: &Roles) -> Result<Selector, TextFault> {
    let [agent, user_node, group, role] = ["agent", "user", "group", "role"].map(|k| table.get(k));
    if [agent, user_node, group, role].iter().all(Option::is_none) {
        let hint = "say `agent`, `user`, `group` or `role`, or `user = \"*\"` for everyone";
        let message = "the rule does not say whom it is about";
        return Err(table.place.hinted(message, Some(hint.to_owned())));
    }
    let in_role = |node: Node<'_>| {
        let named = names(node, |one| roles.named(one.string()?, one).cloned())?;
        Ok(named.into_iter().flatten().collect())
    };
    let grouped = [group.map(groups).transpose()?, role.map(in_role).transpose()?];
    Ok(Selector {
        agents: agent.map_or(Ok(Selected::Everyone), |node| selected(node, Node::parsed))?,
        users: user_node.map_or(Ok(Selected::Everyone), |node| selected(node, user))?,
        groups: grouped.into_iter().flatten().collect(),
        windows: table.get("when").map_or(Ok(vec![]), windows)?,
    })
}

fn selected<'t, T: Ord>(
    node: Node<'t>,
    read: fn(Node<'t>) -> Result<T, TextFault>,
) -> Result<Selected<T>, TextFault> {
    if !node.is_array() && node.string()? == "*" {
        return Ok(Selected::Everyone);
    }
    Ok(Selected::Only(names(node, read)?.into_iter().collect()))
}

/// One name, or a list of some.
fn names<'t, T>(
    node: Node<'t>,
    read: impl Fn(Node<'t>) -> Result<T, TextFault>,
) -> Result<Vec<T>, TextFault> {
    let items = if node.is_array() { node.array()? } else { vec![node] };
    match items.len() {
        0 => Err(node.place.fault("the list is empty: the rule would be about nobody")),
        1..=MAX_NAMES => items.into_iter().map(read).collect(),
        _ => Err(node.place.fault(format!("a list may have at most {MAX_NAMES} names"))),
    }
}

/// OS groups, one or a list.
pub(super) fn groups(node: Node<'_>) -> Result<BTreeSet<String>, TextFault> {
    Ok(names(node, |one| account(one, "a group's name"))?.into_iter().collect())
}

/// An OS user's name, which is the system's business; only what no system has is refused.
pub(super) fn user(node: Node<'_>) -> Result<String, TextFault> {
    account(node, "a user's name")
}

fn account(node: Node<'_>, what: &str) -> Result<String, TextFault> {
    let name = node.string()?;
    let wrong = name.is_empty()
        || name.len() > 64
        || name.starts_with('@')
        || name.contains(|c: char| c.is_control() || ":/*".contains(c));
    if wrong {
        return Err(node.place.fault(format!("`{}` is not {what}", shown(name))));
    }
    Ok(name.to_owned())
}

/// One window, or a list of some: the rule is there in each.
fn windows(node: Node<'_>) -> Result<Vec<Window>, TextFault> {
    let items = if node.is_array() { node.array()? } else { vec![node] };
    match items.len() {
        0 => Err(node.place.fault("the list is empty: the rule would never be there")),
        1..=MAX_WINDOWS => items.into_iter().map(|one| window(one.table()?)).collect(),
        _ => Err(node.place.fault(format!("a rule may have at most {MAX_WINDOWS} windows"))),
    }
}

fn window(table: Table<'_>) -> Result<Window, TextFault> {
    table.only(&["days", "from", "to", "timezone"])?;
    let zone = zone(table.need("timezone")?)?;
    let days = table.get("days").map_or(Ok(Days::ALL), days)?;
    let from = table.get("from").map_or(Ok(Minute::MIDNIGHT), minute)?;
    let to = table.get("to").map_or(Ok(Minute::END), minute)?;
    if from == to {
        return Err(table.place.fault("the window ends when it begins: leave out `from` and `to`"));
    }
    Ok(Window::new(days, from, to, zone))
}

fn days(node: Node<'_>) -> Result<Days, TextFault> {
    let day = |one: Node<'_>| {
        let text = one.string()?;
        let message = format!("`{}` is no day: write mon, or mon-fri", shown(text));
        Days::parse(text).ok_or_else(|| one.place.fault(message))
    };
    let listed = names(node, day)?;
    Ok(listed.into_iter().reduce(Days::and).unwrap_or(Days::ALL))
}

fn minute(node: Node<'_>) -> Result<Minute, TextFault> {
    let text = node.string()?;
    let message = format!("`{}` is no time of day: write 08:00, 24:00 for its end", shown(text));
    Minute::parse(text).ok_or_else(|| node.place.fault(message))
}

fn zone(node: Node<'_>) -> Result<TimeZone, TextFault> {
    let name = node.string()?;
    TimeZone::get(name).map_err(|_| {
        let known: Vec<String> = jiff::tz::db().available().map(|one| one.to_string()).collect();
        let near = nearest(name, known.iter().map(String::as_str));
        let hint = near.map_or_else(
            || "write a name of the IANA database, as Europe/Berlin, or UTC".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        node.place.hinted(format!("`{}` is not a timezone", shown(name)), Some(hint))
    })
}
