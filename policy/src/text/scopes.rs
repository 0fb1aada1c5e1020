//! What a rule's `verbs` says.

use super::TextFault;
use super::document::{Entry, Node, Place, Table};
use super::limits::{self, Items};
use super::verbs::{Declared, DeclaredVerb, named};
use crate::glob::Glob;
use crate::name::{ParameterName, VerbName, shown};
use crate::nearest::nearest;
use crate::scope::{Capability, Scope};

/// A list of verbs, or a table of verbs with the constraints of their parameters.
pub(super) fn scope(node: Node<'_>, catalog: &Declared, items: Items) -> Result<Scope, TextFault> {
    let capabilities = if node.is_array() {
        listed(node, catalog)?
    } else {
        limited(node.table()?, catalog, items)?
    };
    if capabilities.is_empty() {
        return Err(node.place.fault("the rule names no verb"));
    }
    Ok(Scope::new(capabilities))
}

fn listed(node: Node<'_>, catalog: &Declared) -> Result<Vec<Capability>, TextFault> {
    let mut capabilities = Vec::new();
    for item in node.array()? {
        let named = matching(item.string()?, item.place, catalog)?;
        capabilities.extend(named.iter().map(|one| Capability::new(one.verb.name.clone(), [])));
    }
    Ok(capabilities)
}

fn limited(
    table: Table<'_>,
    catalog: &Declared,
    items: Items,
) -> Result<Vec<Capability>, TextFault> {
    let mut capabilities = Vec::new();
    for entry in table.entries() {
        let limits = entry.node.table()?;
        for declared in matching(entry.key, entry.place, catalog)? {
            capabilities.push(capability(declared, limits, items)?);
        }
    }
    Ok(capabilities)
}

/// The verbs that a name or a glob means; none is a fault.
pub(super) fn matching<'a>(
    text: &str,
    place: Place<'_>,
    catalog: &'a Declared,
) -> Result<Vec<&'a DeclaredVerb>, TextFault> {
    if let Some(declared) = text.parse().ok().and_then(|name: VerbName| catalog.verbs.get(&name)) {
        return Ok(vec![declared]);
    }
    let glob = Glob::new(text);
    let means = |(name, _): &(&VerbName, &DeclaredVerb)| glob.matches(name.as_str());
    let found: Vec<_> = catalog.verbs.iter().filter(means).map(|(_, one)| one).collect();
    if found.is_empty() { Err(unknown(text, place, catalog)) } else { Ok(found) }
}

fn unknown(text: &str, place: Place<'_>, catalog: &Declared) -> TextFault {
    if text.contains('*') {
        return place.fault(format!("`{}` matches no verb in the catalog", shown(text)));
    }
    let near = nearest(text, catalog.verbs.keys().map(VerbName::as_str));
    let declared = catalog.verbs.iter().find(|(name, _)| Some(name.as_str()) == near);
    let hint = declared.map(|(name, one)| format!("did you mean `{name}` ({})?", one.source));
    place.hinted(format!("`{}` is not in the catalog", shown(text)), hint)
}

fn capability(
    declared: &DeclaredVerb,
    limits: Table<'_>,
    items: Items,
) -> Result<Capability, TextFault> {
    let verb = &declared.verb;
    let limit = |entry: Entry<'_>| {
        let name: ParameterName = named(entry)?;
        let parameter = verb.parameters.get(&name).ok_or_else(|| {
            let near = nearest(name.as_str(), verb.parameters.keys().map(ParameterName::as_str));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            entry.place.hinted(format!("`{}` has no parameter `{name}`", verb.name), hint)
        })?;
        Ok((name, limits::in_rule(entry.node, parameter, items)?))
    };
    let limits = limits.entries().map(limit).collect::<Result<Vec<_>, TextFault>>()?;
    Ok(Capability::new(verb.name.clone(), limits))
}
