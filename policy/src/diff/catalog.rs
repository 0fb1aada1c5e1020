//! What changes of agents and verbs: what rules speak of.

use std::collections::BTreeSet;

use super::{Change, Direction};
use crate::name::AgentName;
use crate::policy::Policy;
use crate::verb::{Parameter, Run, Verb};

/// Agent names that become another user's: rules that name them are about somebody else then.
pub(super) fn agents(old: &Policy, new: &Policy) -> Vec<Change> {
    let (before, after) = (&old.rulebook().agents, &new.rulebook().agents);
    let names: BTreeSet<&AgentName> = before.keys().chain(after.keys()).collect();
    let change = |name: &AgentName| {
        let (direction, terms) = match (before.get(name), after.get(name)) {
            (None, Some(user)) => (Direction::Opens, format!("of {user}")),
            (Some(user), None) => (Direction::Closes, format!("of {user}")),
            (Some(one), Some(two)) if one != two => (Direction::Differs, format!("{one} → {two}")),
            _ => return None,
        };
        let site = new.rulebook().origins.agents.get(name);
        let site = site.or_else(|| old.rulebook().origins.agents.get(name)).cloned();
        Some(catalogued("agents", "agent", name.to_string(), direction, terms, site))
    };
    names.into_iter().filter_map(change).collect()
}

/// Verbs that come, go, or do something else than before.
pub(super) fn verbs(old: &Policy, new: &Policy) -> Vec<Change> {
    let names = old.catalog().verbs().chain(new.catalog().verbs()).map(|verb| &verb.name);
    let names: BTreeSet<_> = names.collect();
    let change = |name| {
        let (before, after) = (old.catalog().verb(name), new.catalog().verb(name));
        let (direction, terms) = match (before, after) {
            (None, Some(verb)) => (Direction::Opens, verb.summary.clone()),
            (Some(verb), None) => (Direction::Closes, verb.summary.clone()),
            (Some(one), Some(two)) => (Direction::Differs, differences(one, two)?),
            (None, None) => return None,
        };
        let site = new.site_of(name).or_else(|| old.site_of(name)).cloned();
        Some(catalogued("the catalog", "verb", name.to_string(), direction, terms, site))
    };
    names.into_iter().filter_map(change).collect()
}

fn catalogued(
    about: &str,
    sort: &'static str,
    what: String,
    direction: Direction,
    terms: String,
    site: Option<crate::rule::RuleSite>,
) -> Change {
    Change { about: about.to_owned(), sort, what, direction, terms, site }
}

/// What differs between two verbs of one name, but for words; `None` when nothing does.
fn differences(old: &Verb, new: &Verb) -> Option<String> {
    let mut told = Vec::new();
    let argv = old.run.argv() != new.run.argv();
    told.extend(argv.then(|| "runs another command".to_owned()));
    told.extend(otherwise(&old.run, &new.run).into_iter().map(str::to_owned));
    told.extend((old.run != new.run && told.is_empty()).then(|| "runs otherwise".to_owned()));
    told.extend((old.effect != new.effect).then(|| format!("{} → {}", old.effect, new.effect)));
    told.extend((old.timeout != new.timeout).then(|| "another timeout".to_owned()));
    told.extend(
        (old.output_max != new.output_max).then(|| "another bound on its output".to_owned()),
    );
    told.extend((old.redact != new.redact).then(|| {
        let now = match (old.redact.is_empty(), new.redact.is_empty()) {
            (true, false) => "masked",
            (_, true) => "no longer masked",
            (false, false) => "masked by other rules",
        };
        format!("secrets in its output are {now}")
    }));
    let names: BTreeSet<_> = old.parameters.keys().chain(new.parameters.keys()).collect();
    for name in names {
        let said = parameter(old.parameters.get(name), new.parameters.get(name));
        told.extend(said.map(|said| format!("`{name}` {said}")));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// What differs in how a program is run, whatever it is.
fn otherwise(old: &Run, new: &Run) -> Vec<&'static str> {
    let told = match (old, new) {
        (Run::Exec(before), Run::Exec(after)) => vec![
            (before.dir != after.dir, "runs in another directory"),
            (before.env != after.env, "has another environment"),
            (before.confinement != after.confinement, "is contained otherwise"),
            (before.input != after.input, "takes another input"),
            (before.run_as != after.run_as, "runs as another account"),
        ],
        (Run::Ssh(before), Run::Ssh(after)) => vec![
            (before.target != after.target, "chooses its target otherwise"),
            (before.routes != after.routes, "has other targets"),
            (before.remote_end != after.remote_end, "ends otherwise on its target"),
            (before.input != after.input, "takes another input"),
        ],
        (Run::Http(before), Run::Http(after)) => vec![
            (before.target != after.target, "asks another service, or of it something else"),
            (before.asks != after.asks, "makes another request"),
        ],
        (Run::Tcp(before), Run::Tcp(after)) => vec![(before != after, "opens another port")],
        (Run::File(before), Run::File(after)) => vec![
            (before.which != after.which, "is about another file"),
            (before.act != after.act, "does something else with the file"),
            (before.run_as != after.run_as, "runs as another account"),
        ],
        (Run::Sql(before), Run::Sql(after)) => vec![
            (before.target != after.target, "asks another database, or otherwise"),
            (before.statement != after.statement, "puts another statement"),
            (before.values != after.values, "binds other values"),
            (before.format != after.format, "writes its rows otherwise"),
        ],
        (_, Run::Exec(_)) => vec![(true, "runs on this machine")],
        (_, Run::Ssh(_)) => vec![(true, "runs on another host")],
        (_, Run::Http(_)) => vec![(true, "asks a service")],
        (_, Run::Tcp(_)) => vec![(true, "opens a port")],
        (_, Run::File(_)) => vec![(true, "is about a file")],
        (_, Run::Sql(_)) => vec![(true, "asks a database")],
        (Run::Note, Run::Note) => Vec::new(),
        (_, Run::Note) => vec![(true, "leaves its owner a note")],
    };
    told.into_iter().filter_map(|(differs, words)| differs.then_some(words)).collect()
}

fn parameter(old: Option<&Parameter>, new: Option<&Parameter>) -> Option<String> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, Some(new)) => return Some(format!("is new: {}", new.constraint)),
        (Some(_), None) => return Some("is gone".to_owned()),
        (None, None) => return None,
    };
    let value = |parameter: &Parameter| {
        parameter.default.as_ref().map_or("nothing".to_owned(), crate::value::Value::shown)
    };
    let mut told = Vec::new();
    told.extend((old.kind != new.kind).then(|| format!("is {} → {}", old.kind, new.kind)));
    let limits = || format!("is {} → {}", old.constraint, new.constraint);
    told.extend((old.constraint != new.constraint).then(limits));
    told.extend(
        (value(old) != value(new)).then(|| format!("defaults to {} → {}", value(old), value(new))),
    );
    told.extend((old.required != new.required).then(|| "is required or no longer so".to_owned()));
    (!told.is_empty()).then(|| told.join(", "))
}
