//! A TOML document as a tree of values that know where they stand.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Source, TextFault};
use crate::name::shown;
use crate::nearest::nearest;
use crate::rule::RuleSite;
use crate::value::{Text, Value};

pub(super) type Fallible<T> = Result<T, Box<TextFault>>;

/// Reads one file and gives its table to `read`, together with the file.
pub(super) fn parse<'t>(source: &'t Source) -> Result<Spanned<DeTable<'t>>, Vec<TextFault>> {
    let (table, faults) = DeTable::parse_recoverable(&source.text);
    if faults.is_empty() {
        return Ok(table);
    }
    let faulty = |fault: toml::de::Error| {
        let message = fault.message().lines().collect::<Vec<_>>().join(", ");
        *Place { source, at: fault.span().map_or(0, |span| span.start) }.fault(message)
    };
    Err(faults.into_iter().map(faulty).collect())
}

/// A place in a file.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) source: &'t Source,
    at: usize,
}

impl Place<'_> {
    pub(super) fn fault(&self, message: impl Into<String>) -> Box<TextFault> {
        let (line, column) = self.line_and_column();
        let source = self.source.name.clone();
        Box::new(TextFault { source, line, column, message: message.into(), hint: None })
    }

    pub(super) fn hinted(
        &self,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Box<TextFault> {
        let mut fault = self.fault(message);
        fault.hint = hint;
        fault
    }

    pub(super) fn site(&self) -> RuleSite {
        RuleSite { source: self.source.name.clone(), line: self.line_and_column().0 }
    }

    fn line_and_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.at).unwrap_or(&self.source.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    pub(super) place: Place<'t>,
    value: &'t DeValue<'t>,
}

/// A key, its value, and where both stand.
#[derive(Clone, Copy)]
pub(super) struct Entry<'t> {
    pub(super) key: &'t str,
    pub(super) place: Place<'t>,
    pub(super) node: Node<'t>,
}

/// A table and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    pub(super) place: Place<'t>,
    entries: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    pub(super) fn root(source: &'t Source, table: &'t Spanned<DeTable<'t>>) -> Self {
        Self { place: Place { source, at: 0 }, entries: table.get_ref() }
    }

    /// Every entry, in the order of the keys.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'t>> {
        self.entries.iter().map(move |(key, value)| Entry {
            key: key.get_ref(),
            place: self.place_at(&key.span()),
            node: Node { place: self.place_at(&value.span()), value: value.get_ref() },
        })
    }

    /// Refuses every key but these, with the nearest of them.
    pub(super) fn only(self, known: &[&str]) -> Fallible<()> {
        let Some(stray) = self.entries().find(|entry| !known.contains(&entry.key)) else {
            return Ok(());
        };
        let message = format!("unknown field `{}`", shown(stray.key));
        let hint = nearest(stray.key, known.iter().copied()).map_or_else(
            || format!("known here: {}", known.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        Err(stray.place.hinted(message, Some(hint)))
    }

    pub(super) fn get(self, key: &str) -> Option<Node<'t>> {
        self.entries().find(|entry| entry.key == key).map(|entry| entry.node)
    }

    pub(super) fn need(self, key: &str) -> Fallible<Node<'t>> {
        self.get(key).ok_or_else(|| self.place.fault(format!("`{key}` is missing")))
    }

    fn place_at(self, span: &Range<usize>) -> Place<'t> {
        Place { source: self.place.source, at: span.start }
    }
}

impl<'t> Node<'t> {
    pub(super) fn table(self) -> Fallible<Table<'t>> {
        match self.value {
            DeValue::Table(entries) => Ok(Table { place: self.place, entries }),
            other => Err(self.wrong("a table", other)),
        }
    }

    pub(super) fn array(self) -> Fallible<Vec<Node<'t>>> {
        match self.value {
            DeValue::Array(items) => {
                let source = self.place.source;
                let node = |item: &'t Spanned<DeValue<'t>>| Node {
                    place: Place { source, at: item.span().start },
                    value: item.get_ref(),
                };
                Ok(items.iter().map(node).collect())
            }
            other => Err(self.wrong("an array", other)),
        }
    }

    pub(super) fn is_array(self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(super) fn is_table(self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) fn string(self) -> Fallible<&'t str> {
        match self.value {
            DeValue::String(text) => Ok(text),
            other => Err(self.wrong("a string", other)),
        }
    }

    pub(super) fn boolean(self) -> Fallible<bool> {
        match self.value {
            DeValue::Boolean(answer) => Ok(*answer),
            other => Err(self.wrong("true or false", other)),
        }
    }

    pub(super) fn integer(self) -> Fallible<i64> {
        match self.value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| self.place.fault("a whole number is too large")),
            other => Err(self.wrong("a whole number", other)),
        }
    }

    /// A string, a whole number or a boolean, as the value that it is.
    pub(super) fn scalar(self) -> Fallible<Value> {
        match self.value {
            DeValue::String(text) => {
                Value::text(text.as_ref()).map_err(|fault| self.place.fault(fault.to_string()))
            }
            DeValue::Integer(_) => self.integer().map(Value::Int),
            DeValue::Boolean(answer) => Ok(Value::Bool(*answer)),
            other => Err(self.wrong("a string, a whole number or a boolean", other)),
        }
    }

    pub(super) fn text(self) -> Fallible<Text> {
        Text::new(self.string()?).map_err(|fault| self.place.fault(fault.to_string()))
    }

    /// A string that is a checked name.
    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(self) -> Fallible<T> {
        self.string()?.parse().map_err(|fault: T::Err| self.place.fault(fault.to_string()))
    }

    fn wrong(self, wanted: &str, found: &DeValue<'_>) -> Box<TextFault> {
        self.place.fault(format!("{wanted} is wanted here, not {}", found.type_str()))
    }
}
