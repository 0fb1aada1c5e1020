//! What is wrong with a configuration, where, and what to do.

use std::fmt;

use policy::TextFault;
use serde::de::DeserializeOwned;

use crate::strict::StrictFault;

/// One fault of a configuration, as a person needs it: where, what, and what to do.
#[derive(Debug)]
pub struct ConfigFault(Fault);

#[derive(Debug)]
enum Fault {
    File(StrictFault),
    Text(TextFault),
    Written { place: String, what: String, hint: Option<String> },
}

impl ConfigFault {
    /// Something wrong in `place`: a file, with line and column where there is one.
    pub(crate) fn written(place: &str, what: &str, hint: Option<&str>) -> Self {
        let hint = hint.map(ToOwned::to_owned);
        Self(Fault::Written { place: place.to_owned(), what: what.to_owned(), hint })
    }
}

impl std::error::Error for ConfigFault {}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Fault::File(fault) => fault.fmt(f),
            Fault::Text(fault) => fault.fmt(f),
            Fault::Written { place, what, hint } => {
                write!(f, "{place}: {what}")?;
                hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n   = {hint}"))
            }
        }
    }
}

impl From<StrictFault> for ConfigFault {
    fn from(fault: StrictFault) -> Self {
        Self(Fault::File(fault))
    }
}

impl From<TextFault> for ConfigFault {
    fn from(fault: TextFault) -> Self {
        Self(Fault::Text(fault))
    }
}

/// Reads TOML; a fault names line, column, and for an unknown name the nearest known one.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigFault> {
    toml::from_str(text).map_err(|error| {
        let place = match error.span() {
            Some(span) => format!("{file}:{}", line_and_column(text, span.start)),
            None => file.to_owned(),
        };
        let (what, hint) = explain(error.message());
        ConfigFault::written(&place, &what, hint.as_deref())
    })
}

fn line_and_column(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("{line}:{column}")
}

/// Serde's sentence about an unknown name ends with the names that it knows: the nearest is enough.
fn explain(message: &str) -> (String, Option<String>) {
    let message = message.trim_end().replace('\n', " ");
    let Some((what, known)) = message.split_once(", expected ") else { return (message, None) };
    if !what.starts_with("unknown ") {
        return (message, None);
    }
    let given = what.split('`').nth(1).unwrap_or_default();
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    (what.to_owned(), Some(suggest(given, &known)))
}

fn suggest(given: &str, known: &[&str]) -> String {
    let distance = |name: &&str| strsim::damerau_levenshtein(given, name);
    let nearest = known.iter().copied().min_by_key(distance);
    match nearest.filter(|name| distance(name) <= (given.chars().count() / 3).max(1)) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
