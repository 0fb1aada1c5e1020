//! `policy.d`: who may do and delegate what.

use std::time::Duration;

use super::document::{Entry, Node, Place, Table, parse};
use super::limits;
use super::units;
use super::verbs::{Declared, DeclaredVerb, named};
use super::{Source, TextFault};
use crate::glob::Glob;
use crate::name::{AgentName, ParameterName, VerbName, shown};
use crate::nearest::nearest;
use crate::rule::{Bearer, Delegate, Grant, Selected, Selector};
use crate::rulebook::Rulebook;
use crate::scope::{Capability, Scope};

/// No share outlives this from its first opening, whatever a rule says.
const HARD_STOP: Duration = Duration::from_mins(30);

pub(super) fn read(sources: &[Source], catalog: &Declared) -> Result<Rulebook, Vec<TextFault>> {
    let mut book = Rulebook::default();
    let mut faults = Vec::new();
    for source in sources {
        match parse(source) {
            Ok(table) => {
                let mut reader = Reader { book: &mut book, catalog, faults: &mut faults };
                reader.file(Table::root(source, &table));
            }
            Err(malformed) => faults.extend(malformed),
        }
    }
    if faults.is_empty() { Ok(book) } else { Err(faults) }
}

struct Reader<'a> {
    book: &'a mut Rulebook,
    catalog: &'a Declared,
    faults: &'a mut Vec<TextFault>,
}

impl Reader<'_> {
    fn file(&mut self, file: Table<'_>) {
        if let Err(fault) = file.only(&["agent", "allow", "deny", "delegate"]) {
            self.faults.push(fault);
        }
        for entry in file.entries() {
            match entry.node.array() {
                Ok(rules) => rules.into_iter().for_each(|rule| self.rule(entry.key, rule)),
                Err(fault) => self.faults.push(fault),
            }
        }
    }

    fn rule(&mut self, kind: &str, rule: Node<'_>) {
        let read = rule.table().and_then(|table| match kind {
            "agent" => self.agent(table),
            "allow" => self.grant(table).map(|grant| self.book.allows.push(grant)),
            "deny" => self.grant(table).map(|grant| self.book.denies.push(grant)),
            "delegate" => self.delegate(table).map(|rule| self.book.delegates.push(rule)),
            _ => Ok(()),
        });
        self.faults.extend(read.err());
    }

    fn agent(&mut self, table: Table<'_>) -> Result<(), TextFault> {
        table.only(&["name", "user"])?;
        let name = table.need("name")?;
        let agent: AgentName = name.parsed()?;
        let user = user(table.need("user")?)?;
        if let Some(before) = self.book.agents.get(&agent) {
            return Err(name.place.fault(format!("agent `{agent}` is already `{before}`'s")));
        }
        self.book.agents.insert(agent, user);
        Ok(())
    }

    fn grant(&self, table: Table<'_>) -> Result<Grant, TextFault> {
        table.only(&["agent", "user", "verbs"])?;
        let (selector, scope) = (selector(table)?, self.scope(table.need("verbs")?)?);
        Ok(Grant { site: table.place.site(), selector, scope })
    }

    fn delegate(&self, table: Table<'_>) -> Result<Delegate, TextFault> {
        table.only(&["agent", "user", "verbs", "to", "max_ttl", "bearer"])?;
        let rule = Delegate {
            site: table.place.site(),
            selector: selector(table)?,
            scope: self.scope(table.need("verbs")?)?,
            to: table.get("to").map_or(Ok(vec![]), recipients)?,
            max_ttl: table.get("max_ttl").map_or(Ok(HARD_STOP), max_ttl)?,
            bearer: table.get("bearer").map_or(Ok(Bearer::Refused), bearer)?,
        };
        if rule.to.is_empty() && rule.bearer == Bearer::Refused {
            let hint = "name recipients in `to`, or say `bearer = true`".to_owned();
            return Err(table.place.hinted("the rule reaches nobody", Some(hint)));
        }
        Ok(rule)
    }

    fn scope(&self, node: Node<'_>) -> Result<Scope, TextFault> {
        let capabilities =
            if node.is_array() { self.listed(node)? } else { self.limited(node.table()?)? };
        if capabilities.is_empty() {
            return Err(node.place.fault("the rule names no verb"));
        }
        Ok(Scope::new(capabilities))
    }

    fn listed(&self, node: Node<'_>) -> Result<Vec<Capability>, TextFault> {
        let mut capabilities = Vec::new();
        for item in node.array()? {
            let named = self.matching(item.string()?, item.place)?;
            capabilities.extend(named.iter().map(|one| Capability::new(one.verb.name.clone(), [])));
        }
        Ok(capabilities)
    }

    fn limited(&self, table: Table<'_>) -> Result<Vec<Capability>, TextFault> {
        let mut capabilities = Vec::new();
        for entry in table.entries() {
            let limits = entry.node.table()?;
            for declared in self.matching(entry.key, entry.place)? {
                capabilities.push(capability(declared, limits)?);
            }
        }
        Ok(capabilities)
    }

    /// The verbs that a name or a glob means; none is a fault.
    fn matching(&self, text: &str, place: Place<'_>) -> Result<Vec<&DeclaredVerb>, TextFault> {
        let glob = Glob::new(text);
        let means = |(name, _): &(&VerbName, &DeclaredVerb)| glob.matches(name.as_str());
        let found: Vec<_> = self.catalog.verbs.iter().filter(means).map(|(_, one)| one).collect();
        if found.is_empty() { Err(self.unknown(text, place)) } else { Ok(found) }
    }

    fn unknown(&self, text: &str, place: Place<'_>) -> TextFault {
        if text.contains('*') {
            return place.fault(format!("`{}` matches no verb in the catalog", shown(text)));
        }
        let near = nearest(text, self.catalog.verbs.keys().map(VerbName::as_str));
        let declared = self.catalog.verbs.iter().find(|(name, _)| Some(name.as_str()) == near);
        let hint = declared.map(|(name, one)| format!("did you mean `{name}` ({})?", one.source));
        place.hinted(format!("`{}` is not in the catalog", shown(text)), hint)
    }
}

fn capability(declared: &DeclaredVerb, limits: Table<'_>) -> Result<Capability, TextFault> {
    let verb = &declared.verb;
    let limit = |entry: Entry<'_>| {
        let name: ParameterName = named(entry)?;
        let parameter = verb.parameters.get(&name).ok_or_else(|| {
            let near = nearest(name.as_str(), verb.parameters.keys().map(ParameterName::as_str));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            entry.place.hinted(format!("`{}` has no parameter `{name}`", verb.name), hint)
        })?;
        Ok((name, limits::in_rule(entry.node, parameter)?))
    };
    let limits = limits.entries().map(limit).collect::<Result<Vec<_>, TextFault>>()?;
    Ok(Capability::new(verb.name.clone(), limits))
}

fn selector(table: Table<'_>) -> Result<Selector, TextFault> {
    let (agent, user_node) = (table.get("agent"), table.get("user"));
    if agent.is_none() && user_node.is_none() {
        let hint = "say `agent`, `user`, or `user = \"*\"` for everyone".to_owned();
        return Err(table.place.hinted("the rule does not say whom it is about", Some(hint)));
    }
    let agent = agent.map_or(Ok(Selected::Everyone), |node| selected(node, Node::parsed))?;
    let user = user_node.map_or(Ok(Selected::Everyone), |node| selected(node, user))?;
    Ok(Selector { agent, user })
}

fn selected<'t, T>(
    node: Node<'t>,
    read: fn(Node<'t>) -> Result<T, TextFault>,
) -> Result<Selected<T>, TextFault> {
    if node.string()? == "*" { Ok(Selected::Everyone) } else { read(node).map(Selected::Only) }
}

/// An OS user's name, which is the system's business; only what no system has is refused.
fn user(node: Node<'_>) -> Result<String, TextFault> {
    let name = node.string()?;
    let wrong = name.is_empty()
        || name.len() > 64
        || name.contains(|c: char| c.is_control() || ":/*".contains(c));
    if wrong {
        return Err(node.place.fault(format!("`{}` is not a user's name", shown(name))));
    }
    Ok(name.to_owned())
}

fn recipients(node: Node<'_>) -> Result<Vec<Glob>, TextFault> {
    node.array()?.into_iter().map(recipient).collect()
}

fn recipient(node: Node<'_>) -> Result<Glob, TextFault> {
    let text = node.string()?;
    let alias = text.strip_prefix("own/").unwrap_or(text);
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-*".contains(&b);
    if alias.is_empty() || !alias.bytes().all(fits) {
        let message = format!(
            "`{}` matches no contact: write an alias, `*` for any ending, `own/` for an owner's own",
            shown(text)
        );
        return Err(node.place.fault(message));
    }
    Ok(Glob::new(text))
}

fn max_ttl(node: Node<'_>) -> Result<Duration, TextFault> {
    let ttl = units::duration(node)?;
    if ttl > HARD_STOP {
        return Err(node.place.fault("no share lives longer than 30m"));
    }
    Ok(ttl)
}

fn bearer(node: Node<'_>) -> Result<Bearer, TextFault> {
    node.boolean().map(|allowed| if allowed { Bearer::Allowed } else { Bearer::Refused })
}
