//! `*.test.toml`: what policy is expected to say.

use std::collections::BTreeSet;
use std::time::Duration;

use super::document::{Node, Page, Table};
use super::selectors::{groups, user};
use super::verbs::one_word;
use super::{Source, TextFault, units};
use crate::authorize::Call;
use crate::expectation::{Expectation, Expected, Towards, Wanted};
use crate::name::{Alias, ParameterName, VerbName, shown};
use crate::nearest::nearest;
use crate::passport::MAX_BLOCKS;
use crate::policy::Policy;
use crate::principal::Groups;
use crate::rehearsal::Answer;
use crate::time::Timestamp;
use crate::value::{Arguments, Value};
use crate::verb::Verb;

/// The most expectations of one file.
const MAX_EXPECTATIONS: usize = 4096;

const FIELDS: [&str; 18] = [
    "name",
    "user",
    "agent",
    "groups",
    "at",
    "to",
    "key",
    "bearer",
    "share",
    "ttl",
    "redelegate",
    "call",
    "after",
    "approved_by",
    "result",
    "may_share",
    "by",
    "approvers",
];

/// Where a file says that the policy is that it speaks of.
///
/// # Errors
/// What is no TOML, and keys that there are not.
pub fn expected(source: &Source) -> Result<Expected, Vec<TextFault>> {
    let page = Page::parse(source)?;
    let Some(file) = page.root() else { return Ok(Expected::default()) };
    let read = || {
        file.only(&["policy", "verbs", "expect"])?;
        let text = |key| file.get(key).map(|node| node.string().map(str::to_owned)).transpose();
        Ok(Expected { policy: text("policy")?, verbs: text("verbs")? })
    };
    read().map_err(|fault| vec![fault])
}

/// Reads a file's expectations of a policy. Verbs and parameters that there are not are faults: they would
/// be refused, and so be what was expected.
///
/// # Errors
/// Every fault, with line and column.
pub fn expectations(source: &Source, policy: &Policy) -> Result<Vec<Expectation>, Vec<TextFault>> {
    expected(source)?;
    let page = Page::parse(source)?;
    let Some(list) = page.root().and_then(|file| file.get("expect")) else { return Ok(vec![]) };
    let entries = list.array().map_err(|fault| vec![fault])?;
    if entries.len() > MAX_EXPECTATIONS {
        let message = format!("a file may have at most {MAX_EXPECTATIONS} expectations");
        return Err(vec![list.place.fault(message)]);
    }
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.table().and_then(|table| expectation(table, policy)) {
            Ok(expectation) => read.push(expectation),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

fn expectation(table: Table<'_>, policy: &Policy) -> Result<Expectation, TextFault> {
    table.only(&FIELDS)?;
    let call = table.get("call").map(|node| call(node, policy)).transpose()?;
    let expectation = Expectation {
        site: table.place.site(),
        name: line(table.need("name")?)?,
        user: user(table.need("user")?)?,
        agent: table.get("agent").map(Node::parsed).transpose()?,
        groups: table.get("groups").map_or(Ok(Groups::none()), known)?,
        at: table.get("at").map(moment).transpose()?,
        to: towards(table)?,
        share: table.get("share").map_or(Ok(vec![]), |node| requests(node, policy))?,
        ttl: table.get("ttl").map(units::duration).transpose()?,
        redelegate: table.get("redelegate").map_or(Ok(0), depth)?,
        after: table.get("after").map_or(Ok(Duration::ZERO), units::duration)?,
        yes: table.get("approved_by").map_or(Ok(vec![]), approving)?,
        wanted: wanted(table)?,
        by: table.get("by").map(line).transpose()?,
        approvers: table.get("approvers").map(words).transpose()?,
        call,
    };
    check(table, &expectation)?;
    Ok(expectation)
}

/// What is well-formed and means nothing.
fn check(table: Table<'_>, one: &Expectation) -> Result<(), TextFault> {
    let place = |key| table.get(key).map_or(table.place, |node| node.place);
    let alone = |key: &str, message: &str| match table.get(key) {
        Some(node) => Err(node.place.fault(message.to_owned())),
        None => Ok(()),
    };
    if one.call.is_none() && one.share.is_empty() {
        return Err(table
            .place
            .fault("nothing is expected of anything: say `share`, `call` or both"));
    }
    if let Wanted::MayShare(_) = one.wanted {
        alone("call", "`may_share` is about opening: with `call` say `result`")?;
    }
    if one.call.is_none() {
        alone("after", "`after` is when something is called: say `call`")?;
    }
    if one.to != Towards::Nobody {
        return match one.wanted {
            Wanted::Answer(Answer::Held) => {
                Err(place("result")
                    .fault("with a recipient the result is permitted, asks or refused"))
            }
            Wanted::Answer(_) | Wanted::MayShare(_) => Ok(()),
        };
    }
    for key in ["share", "ttl", "redelegate", "after", "approved_by", "may_share", "approvers"] {
        alone(key, "nobody is named to share with: say `to`, or `bearer = true`")?;
    }
    if let Wanted::Answer(Answer::Permitted | Answer::Asks) = one.wanted {
        let hint = "say `to`, or `bearer = true`; what an owner may do by themselves is `held`";
        let message = "nobody is named to share with";
        return Err(place("result").hinted(message, Some(hint.to_owned())));
    }
    Ok(())
}

fn line(node: Node<'_>) -> Result<String, TextFault> {
    const MOST: usize = 200;
    let text = node.string()?;
    if text.is_empty() || text.len() > MOST || text.contains(char::is_control) {
        return Err(node.place.fault(format!("one line of 1 to {MOST} bytes is wanted here")));
    }
    Ok(text.to_owned())
}

/// OS groups, or `"unknown"`: as when the system does not say in time.
fn known(node: Node<'_>) -> Result<Groups, TextFault> {
    if !node.is_array() && node.string()? == "unknown" {
        return Ok(Groups::Unknown);
    }
    if node.is_array() && node.array()?.is_empty() {
        return Ok(Groups::none());
    }
    groups(node).map(Groups::Known)
}

fn moment(node: Node<'_>) -> Result<Timestamp, TextFault> {
    let text = node.moment()?;
    let parsed: Option<jiff::Timestamp> = text.parse().ok();
    let millis = parsed.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    millis.map(Timestamp).ok_or_else(|| {
        let message =
            format!("`{}` is not a point in time: write 2026-11-20T10:00:00Z", shown(&text));
        node.place.fault(message)
    })
}

fn towards(table: Table<'_>) -> Result<Towards, TextFault> {
    let bearer = table.get("bearer").map_or(Ok(false), Node::boolean)?;
    let alias: Option<Alias> = table.get("to").map(Node::parsed).transpose()?;
    let key = table.get("key").map(|node| super::delegates::fingerprint(node)).transpose()?;
    let stray = |key: &str, message: &str| {
        let place = table.get(key).map_or(table.place, |node| node.place);
        Err(place.fault(message.to_owned()))
    };
    match (bearer, alias, key) {
        (true, None, None) => Ok(Towards::Bearer),
        (true, _, _) => stray("bearer", "a bearer has neither `to` nor `key`"),
        (false, Some(alias), key) => Ok(Towards::Contact(alias, key)),
        (false, None, Some(_)) => stray("key", "`key` is the key of `to`: name the contact too"),
        (false, None, None) => Ok(Towards::Nobody),
    }
}

fn requests(node: Node<'_>, policy: &Policy) -> Result<Vec<crate::request::Request>, TextFault> {
    let request = |one: Node<'_>| {
        let request: crate::request::Request = one.parsed()?;
        known_verb(request.verb(), one, policy)?;
        Ok(request)
    };
    let items = if node.is_array() { node.array()? } else { vec![node] };
    if items.is_empty() {
        return Err(node.place.fault("the list is empty: nothing would be shared"));
    }
    items.into_iter().map(request).collect()
}

fn known_verb<'p>(
    name: &VerbName,
    node: Node<'_>,
    policy: &'p Policy,
) -> Result<&'p Verb, TextFault> {
    let verb = policy.catalog().verb(name);
    verb.map(AsRef::as_ref).ok_or_else(|| {
        let names = policy.catalog().verbs().map(|verb| verb.name.as_str());
        let hint = nearest(name.as_str(), names).map(|near| format!("did you mean `{near}`?"));
        node.place.hinted(format!("`{name}` is not in the catalog"), hint)
    })
}

/// `"log.tail service=web"`, or a list of its words where a value has a blank.
fn call(node: Node<'_>, policy: &Policy) -> Result<Call, TextFault> {
    let listed = if node.is_array() { words(node)? } else { vec![] };
    let split = || Ok(node.string()?.split_whitespace().map(str::to_owned).collect());
    let all: Vec<String> = if listed.is_empty() { split()? } else { listed };
    let words: Vec<&str> = all.iter().map(String::as_str).collect();
    policy.read_call(&words).map_err(|(message, near)| {
        node.place.hinted(message, near.map(|near| format!("did you mean `{near}`?")))
    })
}

impl Policy {
    /// A call as words: the verb, and `name=value` for each argument, by the catalog's kinds.
    ///
    /// # Errors
    /// What is wrong, and the name that may have been meant.
    pub fn read_call(&self, words: &[&str]) -> Result<Call, (String, Option<String>)> {
        let (name, pairs) =
            words.split_first().ok_or_else(|| ("no verb is named".to_owned(), None))?;
        let named: Option<VerbName> = name.parse().ok();
        let verb = named.and_then(|name| self.catalog().verb(&name)).ok_or_else(|| {
            let known = self.catalog().verbs().map(|verb| verb.name.as_str());
            let near = nearest(name, known).map(str::to_owned);
            (format!("`{}` is not in the catalog", shown(name)), near)
        })?;
        let mut arguments = Vec::new();
        for pair in pairs {
            let (name, value) = argument(verb, pair)?;
            if arguments.iter().any(|(given, _)| *given == name) {
                return Err((format!("`{name}` is given twice"), None));
            }
            arguments.push((name, value));
        }
        let arguments: Arguments = arguments.into_iter().collect();
        Ok(Call { verb: verb.name.clone(), arguments })
    }
}

fn argument(verb: &Verb, pair: &str) -> Result<(ParameterName, Value), (String, Option<String>)> {
    let (name, text) = pair
        .split_once('=')
        .ok_or_else(|| (format!("`{}` is no argument: write name=value", shown(pair)), None))?;
    let known: Option<ParameterName> = name.parse().ok();
    let declared = known.and_then(|name| verb.parameters.get_key_value(&name));
    let (name, parameter) = declared.ok_or_else(|| {
        let near = nearest(name, verb.parameters.keys().map(ParameterName::as_str));
        (format!("`{}` has no parameter `{}`", verb.name, shown(name)), near.map(str::to_owned))
    })?;
    let value = Value::parse(parameter.kind, text);
    let value = value.map_err(|fault| (format!("`{name}`: {fault}"), None))?;
    Ok((name.clone(), value))
}

fn depth(node: Node<'_>) -> Result<u8, TextFault> {
    let most = MAX_BLOCKS - 1;
    let given = u8::try_from(node.integer()?).ok().filter(|given| usize::from(*given) <= most);
    given.ok_or_else(|| node.place.fault(format!("a share is handed on 0 to {most} deep")))
}

/// Names, or tables of a name and groups.
fn approving(node: Node<'_>) -> Result<Vec<(String, Groups)>, TextFault> {
    let one = |node: Node<'_>| {
        if !node.is_table() {
            return Ok((user(node)?, Groups::none()));
        }
        let table = node.table()?;
        table.only(&["user", "groups"])?;
        let named = table.get("groups").map_or(Ok(Groups::none()), known)?;
        Ok((user(table.need("user")?)?, named))
    };
    node.array()?.into_iter().map(one).collect()
}

fn wanted(table: Table<'_>) -> Result<Wanted, TextFault> {
    match (table.get("result"), table.get("may_share")) {
        (Some(_), Some(node)) => Err(node.place.fault("say `result` or `may_share`, not both")),
        (Some(node), None) => result(node).map(Wanted::Answer),
        (None, Some(node)) => node.boolean().map(Wanted::MayShare),
        (None, None) => {
            Err(table.place.fault("`result` is missing: permitted, asks, refused or held"))
        }
    }
}

fn result(node: Node<'_>) -> Result<Answer, TextFault> {
    let all = [Answer::Permitted, Answer::Asks, Answer::Refused, Answer::Held];
    let word = node.string()?;
    all.into_iter()
        .find(|answer| answer.word() == word)
        .ok_or_else(|| one_word(node, "result", word, &all.map(Answer::word)))
}

fn words(node: Node<'_>) -> Result<Vec<String>, TextFault> {
    let all = node.array()?.into_iter().map(|one| one.string().map(str::to_owned));
    let words: Vec<String> = all.collect::<Result<_, _>>()?;
    let distinct: BTreeSet<&String> = words.iter().collect();
    if distinct.len() < words.len() {
        return Err(node.place.fault("one of them is named twice"));
    }
    Ok(words)
}
