//! What the Tab key adds: verbs, their parameters, and values where they are few.

use std::sync::{Arc, Mutex, PoisonError};

use policy::{Constraint, Kind, MenuEntry, MenuParameter};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

const COMMANDS: [&str; 6] = ["help", "list", "quit", "request", "status", "verbs"];

/// The menu as it stands, for the thread that reads lines.
#[derive(Clone, Debug)]
pub(super) struct Completions(Arc<Mutex<Vec<MenuEntry>>>);

impl Completions {
    pub(super) fn of(menu: &[MenuEntry]) -> Self {
        Self(Arc::new(Mutex::new(menu.to_vec())))
    }

    pub(super) fn replace(&self, menu: &[MenuEntry]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = menu.to_vec();
    }

    /// What could stand for the last word of `line`, and where that word begins.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let (before, word) = line.split_at(start);
        let menu = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verbs = || menu.iter().map(|entry| entry.verb.to_string());
        let all: Vec<String> = match before.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] => COMMANDS.into_iter().map(str::to_owned).chain(verbs()).collect(),
            ["help" | "?" | "call"] => verbs().collect(),
            ["call", verb, given @ ..] | [verb, given @ ..] => {
                let entry = menu.iter().find(|entry| entry.verb.as_str() == *verb);
                entry.map(|entry| arguments(entry, given, word)).unwrap_or_default()
            }
        };
        (start, all.into_iter().filter(|one| one.starts_with(word)).collect())
    }
}

/// Parameters that were not given yet: with each value where they are few, else up to the `=`. Of a list,
/// each value that may come next.
fn arguments(entry: &MenuEntry, given: &[&str], word: &str) -> Vec<String> {
    let is_new = |name: &str| {
        !given.iter().any(|pair| pair.split_once('=').is_some_and(|(given, _)| given == name))
    };
    let parameters = entry.parameters.iter().filter(|(name, _)| is_new(name.as_str()));
    parameters
        .flat_map(|(name, parameter)| {
            let start = format!("{name}={}", listed(parameter.kind, name.as_str(), word));
            match values(parameter) {
                Some(values) => values.into_iter().map(|value| format!("{start}{value}")).collect(),
                None => vec![format!("{name}=")],
            }
        })
        .collect()
}

/// The items of a list that stand already, up to the last comma.
fn listed<'a>(kind: Kind, name: &str, word: &'a str) -> &'a str {
    let typed = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    let typed = typed.filter(|_| kind.item().is_some()).unwrap_or_default();
    let end = typed.rfind(',').map_or(0, |comma| comma + 1);
    typed.get(..end).unwrap_or_default()
}

fn values(parameter: &MenuParameter) -> Option<Vec<String>> {
    if parameter.kind == Kind::Bool {
        return Some(vec!["true".to_owned(), "false".to_owned()]);
    }
    let [limit] = parameter.accepts.as_slice() else { return None };
    let values = limit
        .item_parts()
        .into_iter()
        .find_map(|part| if let Constraint::OneOf(values) = part { Some(values) } else { None })?;
    let is_list = parameter.kind.item().is_some();
    let quoted = |value: &policy::Value| {
        let text = value.to_string();
        let splits = is_list && text.contains([',', '[']);
        let harmless = !splits && !text.chars().any(char::is_control);
        harmless.then(|| shlex::try_quote(&text).ok().map(std::borrow::Cow::into_owned)).flatten()
    };
    Some(values.iter().filter_map(quoted).collect())
}

impl Completer for Completions {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..at).unwrap_or(line)))
    }
}

impl Hinter for Completions {
    type Hint = String;
}

impl Highlighter for Completions {}
impl Validator for Completions {}
impl Helper for Completions {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::entry;

    fn candidates(line: &str) -> Vec<String> {
        Completions::of(&[entry()]).candidates(line).1
    }

    #[test]
    fn the_first_word_is_a_command_or_a_verb() {
        assert_eq!(candidates("l"), ["list", "log.tail"]);
        assert_eq!(candidates("help l"), ["log.tail"]);
    }

    #[test]
    fn parameters_follow_with_their_values_where_they_are_few() {
        assert_eq!(candidates("log.tail s"), ["service=db", "service=web"]);
        assert_eq!(candidates("log.tail l"), ["lines="]);
        assert_eq!(candidates("call log.tail f"), ["follow=true", "follow=false"]);
    }

    #[test]
    fn a_parameter_is_offered_once_and_an_unknown_verb_offers_nothing() {
        assert_eq!(candidates("log.tail service=web s"), [""; 0]);
        assert_eq!(candidates("db.drop "), [""; 0]);
    }

    #[test]
    fn the_word_that_is_completed_begins_after_the_last_blank() {
        assert_eq!(Completions::of(&[entry()]).candidates("log.tail é s").0, 12);
    }

    #[test]
    fn a_list_is_completed_item_by_item() {
        let candidates = |line: &str| {
            Completions::of(&[crate::arguments::tests::with_list()]).candidates(line).1
        };
        assert_eq!(candidates("log.many s"), ["services=db", "services=web"]);
        assert_eq!(candidates("log.many services=db,w"), ["services=db,web"]);
        assert_eq!(candidates("log.many services=db,x"), [""; 0]);
    }
}
