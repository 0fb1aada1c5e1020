//! `[[delegate]]`: what may be shared, with whom, for how long, with whose consent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::document::{Node, Table};
use super::limits::Items;
use super::scopes::{matching, scope};
use super::selectors::{Roles, selector, user};
use super::verbs::{Declared, one_word};
use super::{TextFault, units};
use crate::consent::{Approve, Approvers};
use crate::glob::Glob;
use crate::name::{VerbName, shown};
use crate::passport::MAX_BLOCKS;
use crate::rule::{Bearer, Budget, Delegate, Recipients};
use crate::scope::Scope;

/// No share outlives this from its first opening, whatever a rule says.
const HARD_STOP: Duration = Duration::from_mins(30);
/// The most people whose yes a rule may need.
const MAX_NEEDS: u8 = 8;

const FIELDS: [&str; 18] = [
    "agent",
    "user",
    "group",
    "role",
    "when",
    "verbs",
    "to",
    "keys",
    "bearer",
    "max_ttl",
    "redelegate",
    "approve",
    "approve_open",
    "approvers",
    "needs",
    "max_calls",
    "max_bytes",
    "max_shares",
];

pub(super) fn read(
    table: Table<'_>,
    catalog: &Declared,
    roles: &Roles,
) -> Result<Delegate, TextFault> {
    table.only(&FIELDS)?;
    let scope = scope(table.need("verbs")?, catalog, Items::Each)?;
    let rule = Delegate {
        site: table.place.site(),
        selector: selector(table, roles)?,
        to: recipients(table)?,
        max_ttl: table.get("max_ttl").map_or(Ok(HARD_STOP), max_ttl)?,
        redelegate: number(table, "redelegate", 0, MAX_BLOCKS - 1)?.unwrap_or(0),
        approve: table
            .get("approve")
            .map_or(Ok(BTreeMap::new()), |n| approve(n, &scope, catalog))?,
        approve_open: table.get("approve_open").map_or(Ok(false), Node::boolean)?,
        approvers: approvers(table, roles)?,
        budget: Budget {
            calls: number(table, "max_calls", 1, usize::MAX)?,
            bytes: table.get("max_bytes").map(units::size).transpose()?,
        },
        max_shares: number(table, "max_shares", 1, usize::MAX)?,
        scope,
    };
    check(table, &rule)?;
    Ok(rule)
}

/// What is well-formed and means nothing.
fn check(table: Table<'_>, rule: &Delegate) -> Result<(), TextFault> {
    if rule.to.are_nobody() {
        let hint = "name recipients in `to` or `keys`, or say `bearer = true`".to_owned();
        return Err(table.place.hinted("the rule reaches nobody", Some(hint)));
    }
    let place = |key| table.get(key).map_or(table.place, |node| node.place);
    if rule.approve_open && rule.approvers.named.is_empty() {
        let hint = "name others in `approvers`".to_owned();
        let message = "nobody approves a share of their own";
        return Err(place("approve_open").hinted(message, Some(hint)));
    }
    let asks = rule.approve_open || rule.approve.values().any(|one| *one != Approve::Never);
    if !asks && table.get("approvers").is_some() {
        let hint = "say `approve = \"each\"`, or `approve_open = true`".to_owned();
        return Err(place("approvers").hinted("nothing is approved under this rule", Some(hint)));
    }
    Ok(())
}

fn recipients(table: Table<'_>) -> Result<Recipients, TextFault> {
    let list = |node: Node<'_>| node.array()?.into_iter().map(recipient).collect();
    let keys = |node: Node<'_>| node.array()?.into_iter().map(fingerprint).collect();
    let some = |key| table.get(key).filter(|node| !node.array().is_ok_and(|all| all.is_empty()));
    Ok(Recipients {
        aliases: some("to").map(list).transpose()?,
        keys: some("keys").map(keys).transpose()?,
        bearer: table.get("bearer").map_or(Ok(Bearer::Refused), bearer)?,
    })
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

/// As `openscope contact list` prints it.
pub(super) fn fingerprint(node: Node<'_>) -> Result<String, TextFault> {
    let text = node.string()?;
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let whole =
        text.strip_prefix("SHA256:").is_some_and(|d| d.len() == 43 && d.bytes().all(base64));
    if !whole {
        let message = format!("`{}` is not a key's fingerprint", shown(text));
        let hint = "write it as `openscope contact list` does: SHA256:…".to_owned();
        return Err(node.place.hinted(message, Some(hint)));
    }
    Ok(text.to_owned())
}

fn bearer(node: Node<'_>) -> Result<Bearer, TextFault> {
    node.boolean().map(|allowed| if allowed { Bearer::Allowed } else { Bearer::Refused })
}

fn max_ttl(node: Node<'_>) -> Result<Duration, TextFault> {
    let ttl = units::duration(node)?;
    if ttl > HARD_STOP {
        return Err(node.place.fault("no share lives longer than 30m"));
    }
    Ok(ttl)
}

fn number<N: TryFrom<i64>>(
    table: Table<'_>,
    key: &str,
    least: i64,
    most: usize,
) -> Result<Option<N>, TextFault> {
    let Some(node) = table.get(key) else { return Ok(None) };
    let given = node.integer()?;
    let fits = given >= least && usize::try_from(given).is_ok_and(|given| given <= most);
    let number = N::try_from(given).ok().filter(|_| fits);
    let bounds = || match most {
        usize::MAX => format!("`{key}` is at least {least}"),
        most => format!("`{key}` is from {least} to {most}"),
    };
    number.map(Some).ok_or_else(|| node.place.fault(bounds()))
}

/// One word for all verbs of the rule, or a word for each; of two that mean a verb the stricter counts.
fn approve(
    node: Node<'_>,
    scope: &Scope,
    catalog: &Declared,
) -> Result<BTreeMap<VerbName, Approve>, TextFault> {
    if !node.is_table() {
        let word = word(node)?;
        return Ok(scope.verbs().into_iter().map(|verb| (verb.clone(), word)).collect());
    }
    let mut approve = BTreeMap::new();
    for entry in node.table()?.entries() {
        let word = word(entry.node)?;
        let meant = matching(entry.key, entry.place, catalog)?;
        let shared =
            meant.iter().map(|one| &one.verb.name).filter(|v| scope.of(v).next().is_some());
        let shared: Vec<&VerbName> = shared.collect();
        if shared.is_empty() {
            let message = format!("`{}` is not among the verbs of this rule", shown(entry.key));
            return Err(entry.place.fault(message));
        }
        for verb in shared {
            let strictest: &mut Approve = approve.entry(verb.clone()).or_default();
            *strictest = word.max(*strictest);
        }
    }
    Ok(approve)
}

fn word(node: Node<'_>) -> Result<Approve, TextFault> {
    match node.string()? {
        "never" => Ok(Approve::Never),
        "once" => Ok(Approve::Once),
        "each" => Ok(Approve::Each),
        other => Err(one_word(node, "approval", other, &["never", "once", "each"])),
    }
}

/// Users by name, roles as `@name`.
fn approvers(table: Table<'_>, roles: &Roles) -> Result<Approvers, TextFault> {
    let needs = number(table, "needs", 1, usize::from(MAX_NEEDS))?.unwrap_or(1);
    let Some(node) = table.get("approvers") else {
        return match table.get("needs") {
            Some(node) if needs > 1 => {
                Err(node.place.fault("more than one yes takes `approvers` who can say it"))
            }
            _ => Ok(Approvers::default()),
        };
    };
    let mut approvers = Approvers { needs, ..Approvers::default() };
    for one in node.array()? {
        let text = one.string()?;
        match text.strip_prefix('@') {
            Some(role) => approvers.groups.extend(roles.named(role, one)?.clone()),
            None => drop(approvers.users.insert(user(one)?)),
        }
        approvers.named.push(text.to_owned());
    }
    check_enough(node, &approvers)?;
    Ok(approvers)
}

fn check_enough(node: Node<'_>, approvers: &Approvers) -> Result<(), TextFault> {
    if approvers.named.is_empty() {
        return Err(node.place.fault("the list is empty: leave it out, and the owner approves"));
    }
    let users: BTreeSet<_> = approvers.users.iter().collect();
    if approvers.groups.is_empty() && users.len() < usize::from(approvers.needs) {
        let message =
            format!("{} people cannot say yes: {} are named", approvers.needs, users.len());
        return Err(node.place.fault(message));
    }
    Ok(())
}
