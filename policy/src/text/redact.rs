//! `[redact.NAME]`: what else is a secret in what verbs print.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TextFault;
use super::document::{Entry, Node, Page, Table};
use super::verbs::{named, one_word};
use crate::name::{Mark, RedactName};
use crate::redact::{Redact, RedactSet, SecretPattern};
use crate::rule::RuleSite;

/// Sets that a catalog may declare: all of them are handed to whoever looks for secrets, in one message.
const MOST_SETS: usize = 16;
/// Patterns in all of them.
const MOST_PATTERNS: usize = 32;
/// Files of values in all of them.
const MOST_FILES: usize = 32;

/// Every set with the place that declares it.
#[derive(Default)]
pub(super) struct Redacts {
    sets: BTreeMap<RedactName, (Arc<RedactSet>, RuleSite)>,
}

/// The sets of all files, and what is wrong with any.
pub(super) fn read(pages: &[Page<'_>]) -> (Redacts, Vec<TextFault>) {
    let (mut redacts, mut faults) = (Redacts::default(), Vec::new());
    let tables = pages.iter().filter_map(|page| page.root()?.get("redact"));
    for table in tables.map(Node::table) {
        match table {
            Err(fault) => faults.push(fault),
            Ok(table) => {
                let added = table.entries().map(|entry| redacts.add(entry));
                faults.extend(added.filter_map(Result::err));
            }
        }
    }
    (redacts, faults)
}

impl Redacts {
    fn add(&mut self, entry: Entry<'_>) -> Result<(), TextFault> {
        let name: RedactName = named(entry)?;
        if [Redact::DEFAULT, Redact::ENTROPY].contains(&name.as_str()) {
            return Err(entry.place.fault(format!("`{name}` is built in: choose another name")));
        }
        if let Some((_, before)) = self.sets.get(&name) {
            let message = format!("`{name}` is already declared in {}", before.source);
            return Err(entry.place.fault(message));
        }
        let set = Arc::new(set(name.clone(), entry.node.table()?)?);
        self.sets.insert(name, (set, entry.place.site()));
        self.check_bounds(entry)
    }

    fn check_bounds(&self, entry: Entry<'_>) -> Result<(), TextFault> {
        let sum = |part: fn(&RedactSet) -> usize| -> usize {
            self.sets.values().map(|(set, _)| part(set)).sum()
        };
        for (number, most, what) in [
            (self.sets.len(), MOST_SETS, "sets of redaction rules"),
            (sum(|set| set.patterns.len()), MOST_PATTERNS, "patterns of secrets"),
            (sum(|set| set.literals.len()), MOST_FILES, "files of secrets"),
        ] {
            if number > most {
                return Err(entry.place.fault(format!("a catalog has at most {most} {what}")));
            }
        }
        Ok(())
    }

    /// By which rules the secrets in a verb's output are masked: the built-in ones, where it does not say.
    pub(super) fn chosen(&self, verb: Table<'_>) -> Result<Vec<Redact>, TextFault> {
        let output = verb.get("output").map(Node::table).transpose()?;
        let Some(names) = output.and_then(|output| output.get("redact")) else {
            return Ok(vec![Redact::Default]);
        };
        let mut chosen: Vec<Redact> = Vec::new();
        for node in names.array()? {
            let one = self.one(node)?;
            if chosen.iter().any(|before| before.name() == one.name()) {
                return Err(node.place.fault(format!("`{}` is named twice", one.name())));
            }
            chosen.push(one);
        }
        Ok(chosen)
    }

    fn one(&self, node: Node<'_>) -> Result<Redact, TextFault> {
        let given = node.string()?;
        let declared = given.parse().ok().and_then(|name: RedactName| self.sets.get(&name));
        match (given, declared) {
            (Redact::DEFAULT, _) => Ok(Redact::Default),
            (Redact::ENTROPY, _) => Ok(Redact::Entropy),
            (_, Some((set, _))) => Ok(Redact::Own(Arc::clone(set))),
            (_, None) => {
                let own = self.sets.keys().map(RedactName::as_str);
                let known: Vec<&str> =
                    [Redact::DEFAULT, Redact::ENTROPY].into_iter().chain(own).collect();
                Err(one_word(node, "set of redaction rules", given, &known))
            }
        }
    }

    pub(super) fn into_sets(self) -> Vec<(Arc<RedactSet>, RuleSite)> {
        self.sets.into_values().collect()
    }
}

fn set(name: RedactName, table: Table<'_>) -> Result<RedactSet, TextFault> {
    table.only(&["patterns", "literals", "label"])?;
    let list = |key| table.get(key).map_or_else(|| Ok(Vec::new()), Node::array);
    let patterns: Vec<_> = list("patterns")?.into_iter().map(pattern).collect::<Result<_, _>>()?;
    let literals: Vec<_> =
        list("literals")?.into_iter().map(Node::parsed).collect::<Result<_, _>>()?;
    if patterns.is_empty() && literals.is_empty() {
        let hint = "write `patterns`, or `literals`: files with a value on each line";
        return Err(table
            .place
            .hinted(format!("`{name}` looks for nothing"), Some(hint.to_owned())));
    }
    let label = match table.get("label") {
        Some(label) => label.parsed()?,
        None => {
            name.as_str().parse::<Mark>().map_err(|fault| table.place.fault(fault.to_string()))?
        }
    };
    Ok(RedactSet { name, label, patterns, literals })
}

fn pattern(node: Node<'_>) -> Result<SecretPattern, TextFault> {
    SecretPattern::new(node.string()?)
        .map_err(|fault| node.place.hinted(fault.to_string(), fault.hint().map(str::to_owned)))
}
