//! A TOML document as a tree of values that know where they stand.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Source, TextFault};
use crate::name::shown;
use crate::nearest::nearest;
use crate::rule::RuleSite;
use crate::value::{Text, Value};

/// A file that is TOML, and where its lines begin.
pub(super) struct Page<'t> {
    source: &'t Source,
    lines: Vec<usize>,
    table: Option<Spanned<DeTable<'t>>>,
}

impl<'t> Page<'t> {
    /// The file, or everything that is no TOML in it.
    pub(super) fn parse(source: &'t Source) -> Result<Self, Vec<TextFault>> {
        let breaks = source.text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        let (table, faults) = DeTable::parse_recoverable(&source.text);
        let mut page = Self { source, lines, table: None };
        if faults.is_empty() {
            page.table = Some(table);
            return Ok(page);
        }
        let located = |fault: toml::de::Error| {
            let message = fault.message().lines().collect::<Vec<_>>().join(", ");
            page.place(fault.span().map_or(0, |span| span.start)).fault(message)
        };
        Err(faults.into_iter().map(located).collect())
    }

    /// The whole of it.
    pub(super) fn root(&self) -> Option<Table<'_>> {
        let table = self.table.as_ref()?;
        Some(Table { place: self.place(0), entries: table.get_ref() })
    }

    fn place(&self, at: usize) -> Place<'_> {
        Place { source: self.source, lines: &self.lines, at }
    }
}

/// A place in a file.
#[derive(Clone, Copy)]
pub(super) struct Place<'t> {
    pub(super) source: &'t Source,
    lines: &'t [usize],
    at: usize,
}

impl Place<'_> {
    pub(super) fn fault(&self, message: impl Into<String>) -> TextFault {
        let (line, column) = self.line_and_column();
        let source = self.source.name.clone();
        TextFault { source, line, column, message: message.into(), hint: None }
    }

    pub(super) fn hinted(&self, message: impl Into<String>, hint: Option<String>) -> TextFault {
        let mut fault = self.fault(message);
        fault.hint = hint;
        fault
    }

    pub(super) fn site(&self) -> RuleSite {
        RuleSite { source: self.source.name.clone(), line: self.line_and_column().0 }
    }

    fn line_and_column(&self) -> (usize, usize) {
        let line = self.lines.partition_point(|begin| *begin <= self.at);
        let begin = self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.source.text.get(begin..self.at).unwrap_or_default();
        (line, before.chars().count() + 1)
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
    /// Every entry, in the order of the keys.
    pub(super) fn entries(self) -> impl Iterator<Item = Entry<'t>> {
        self.entries.iter().map(move |(key, value)| Entry {
            key: key.get_ref(),
            place: self.place_at(&key.span()),
            node: Node { place: self.place_at(&value.span()), value: value.get_ref() },
        })
    }

    /// Refuses every key but these, with the nearest of them.
    pub(super) fn only(self, known: &[&str]) -> Result<(), TextFault> {
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

    pub(super) fn need(self, key: &str) -> Result<Node<'t>, TextFault> {
        self.get(key).ok_or_else(|| self.place.fault(format!("`{key}` is missing")))
    }

    fn place_at(self, span: &Range<usize>) -> Place<'t> {
        Place { at: span.start, ..self.place }
    }
}

impl<'t> Node<'t> {
    pub(super) fn table(self) -> Result<Table<'t>, TextFault> {
        let DeValue::Table(entries) = self.value else { return Err(self.wrong("a table")) };
        Ok(Table { place: self.place, entries })
    }

    pub(super) fn array(self) -> Result<Vec<Node<'t>>, TextFault> {
        let DeValue::Array(items) = self.value else { return Err(self.wrong("an array")) };
        let node = |item: &'t Spanned<DeValue<'t>>| Node {
            place: Place { at: item.span().start, ..self.place },
            value: item.get_ref(),
        };
        Ok(items.iter().map(node).collect())
    }

    pub(super) fn is_array(self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(super) fn is_table(self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) fn string(self) -> Result<&'t str, TextFault> {
        let DeValue::String(text) = self.value else { return Err(self.wrong("a string")) };
        Ok(text)
    }

    pub(super) fn boolean(self) -> Result<bool, TextFault> {
        let DeValue::Boolean(answer) = self.value else { return Err(self.wrong("true or false")) };
        Ok(*answer)
    }

    pub(super) fn integer(self) -> Result<i64, TextFault> {
        let DeValue::Integer(number) = self.value else { return Err(self.wrong("a whole number")) };
        i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| self.place.fault("the number does not fit 64 bits"))
    }

    /// A point in time, in quotes or without.
    pub(super) fn moment(self) -> Result<String, TextFault> {
        if let DeValue::Datetime(moment) = self.value {
            return Ok(moment.to_string());
        }
        self.string().map(str::to_owned).map_err(|_| self.wrong("a point in time"))
    }

    /// A string, a whole number or a boolean, as the value that it is.
    pub(super) fn scalar(self) -> Result<Value, TextFault> {
        if let DeValue::Boolean(answer) = self.value {
            return Ok(Value::Bool(*answer));
        }
        if matches!(self.value, DeValue::Integer(_)) {
            return self.integer().map(Value::Int);
        }
        if matches!(self.value, DeValue::String(_)) {
            return self.text().map(Value::Text);
        }
        Err(self.wrong("a string, a whole number or a boolean"))
    }

    pub(super) fn text(self) -> Result<Text, TextFault> {
        Text::new(self.string()?).map_err(|fault| self.place.fault(fault.to_string()))
    }

    /// A string that is a checked name.
    pub(super) fn parsed<T: FromStr<Err: Display>>(self) -> Result<T, TextFault> {
        self.string()?.parse().map_err(|fault: T::Err| self.place.fault(fault.to_string()))
    }

    fn wrong(self, wanted: &str) -> TextFault {
        self.place.fault(format!("{wanted} is wanted here, not {}", self.value.type_str()))
    }
}
