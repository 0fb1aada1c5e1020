//! What a pin asks for, once its parameter's kind is known.

use std::collections::BTreeSet;

use super::{Form, Limit, Measure, Word};
use crate::constraint::Constraint;
use crate::kind::{Kind, int};
use crate::pattern::{Anchored, Budget};
use crate::value::{Text, Value, ValueFault};

const BENEATH: &str = "end what it lies beneath in `/`";

/// One of the alternatives of a pin, where the parameter's kind is not known: what its text can mean, and where it stands.
#[derive(Clone)]
pub(crate) struct Alternative {
    pub(crate) at: usize,
    /// Of one value.
    pub(crate) values: BTreeSet<Constraint>,
    /// Of each item of a list, or of a list's length.
    pub(crate) lists: BTreeSet<Constraint>,
}

/// The first star that is neither at the end, for any ending, nor a whole URL's first label.
pub(super) fn stray_star(text: &str) -> Option<usize> {
    let stray = |at: &usize| {
        let (before, from) = text.split_at(*at);
        from != "*" && !(before.ends_with("://") && from.starts_with("*."))
    };
    text.match_indices('*').map(|(at, _)| at).find(stray)
}

impl Limit {
    /// How many patterns must be compiled to settle it.
    pub(crate) fn patterns(&self) -> usize {
        match self {
            Self::OneOf(words) => words.iter().filter(|word| word.form == Form::Pattern).count(),
            Self::AtMost(..) | Self::AtLeast(..) | Self::Between(..) => 0,
        }
    }

    /// Whether a bound means anything for the kind.
    pub(crate) fn fits(&self, kind: Kind) -> bool {
        let text = matches!(kind.each(), Kind::Text | Kind::Path | Kind::Url);
        match self.measure() {
            None => true,
            Some(Measure::Number) => kind.each() == Kind::Int,
            Some(Measure::Length) => text || kind.item().is_some(),
            Some(Measure::ItemLength) => text && kind.item().is_some(),
        }
    }

    fn measure(&self) -> Option<Measure> {
        match self {
            Self::OneOf(_) => None,
            Self::AtMost(measure, _) | Self::AtLeast(measure, _) | Self::Between(measure, _) => {
                Some(*measure)
            }
        }
    }

    /// What the pin asks for: the union of these, each about one value, or one item of a list, but for a
    /// list's own length. A bound on one side leaves the other end open.
    pub(crate) fn settle(&self, kind: Kind) -> Result<Vec<Constraint>, (ValueFault, usize)> {
        Ok(match self {
            Self::OneOf(words) => {
                words.iter().map(|word| word.settle(kind)).collect::<Result<_, _>>()?
            }
            Self::AtMost(Measure::Number, word) => {
                vec![Constraint::Range { min: i64::MIN, max: word.number()? }]
            }
            Self::AtLeast(Measure::Number, word) => {
                vec![Constraint::Range { min: word.number()?, max: i64::MAX }]
            }
            Self::AtMost(Measure::Length | Measure::ItemLength, word) => {
                vec![Constraint::Length { min: 0, max: word.length()? }]
            }
            Self::AtLeast(Measure::Length | Measure::ItemLength, word) => {
                vec![Constraint::Length { min: word.length()?, max: u32::MAX }]
            }
            Self::Between(_, word) => vec![word.lengths()?],
        })
    }

    /// What each alternative of the pin can mean where the parameter's kind is not known.
    pub(crate) fn readings(&self) -> Result<Vec<Alternative>, (ValueFault, usize)> {
        let alone = |word: &Word| Self::OneOf(vec![word.clone()]);
        let parts: Vec<(usize, Self)> = match self {
            Self::OneOf(words) => words.iter().map(|word| (word.at, alone(word))).collect(),
            Self::AtMost(_, word) | Self::AtLeast(_, word) | Self::Between(_, word) => {
                vec![(word.at, self.clone())]
            }
        };
        parts.into_iter().map(|(at, part)| part.alternative(at)).collect()
    }

    fn alternative(&self, at: usize) -> Result<Alternative, (ValueFault, usize)> {
        let (mut values, mut lists) = (BTreeSet::new(), BTreeSet::new());
        let mut as_text = None;
        for (_, kind) in Kind::ALL.into_iter().filter(|(_, kind)| self.fits(*kind)) {
            match self.settle(kind) {
                Ok(settled) if kind.item().is_some() && self.is_about_items() => {
                    lists.extend(settled.into_iter().map(Constraint::each));
                }
                Ok(settled) if kind.item().is_some() => lists.extend(settled),
                Ok(settled) => values.extend(settled),
                Err(fault) => as_text = as_text.or(Some(fault)),
            }
        }
        // A range of numbers is not taken for a text.
        if values.iter().any(|value| matches!(value, Constraint::Range { .. })) {
            values.retain(|value| !matches!(value, Constraint::OneOf(_)));
        }
        match as_text.filter(|_| values.is_empty() && lists.is_empty()) {
            Some(fault) => Err(fault),
            None => Ok(Alternative { at, values, lists }),
        }
    }

    /// How it is written, for a message.
    pub(crate) fn operator(&self) -> &'static str {
        match self.measure() {
            None => "=",
            Some(Measure::Number) => "<=` and `>=",
            Some(Measure::Length) => "#",
            Some(Measure::ItemLength) => "[]#",
        }
    }

    /// Whether what is settled is about each item, where the parameter is a list.
    pub(crate) fn is_about_items(&self) -> bool {
        self.measure() != Some(Measure::Length)
    }
}

impl Word {
    fn settle(&self, kind: Kind) -> Result<Constraint, (ValueFault, usize)> {
        let each = kind.each();
        let settled = match self.form {
            Form::Bare => self.bare(each),
            Form::Quoted => Value::parse(each, &self.text).map(Constraint::exact),
            Form::Beginning => beginning(each, &self.text),
            Form::Beneath => beneath(each, &format!("{}/", self.text)),
            Form::Pattern => pattern(each, &self.text),
        };
        settled.map_err(|fault| (fault, self.at))
    }

    fn bare(&self, kind: Kind) -> Result<Constraint, ValueFault> {
        let text = self.text.as_str();
        let range = if kind == Kind::Int { text.split_once("..") } else { None };
        match (text.strip_suffix('*'), range) {
            (Some(""), _) => Ok(Constraint::Any),
            (Some(start), _) => beginning(kind, start),
            (None, Some((min, max))) => Ok(Constraint::Range { min: int(min)?, max: int(max)? }),
            (None, None) if is_beneath(kind, text) => beneath(kind, text),
            (None, None) if text.contains('*') => Err(ValueFault::Star(text.to_owned())),
            (None, None) => Value::parse(kind, text).map(Constraint::exact),
        }
    }

    fn number(&self) -> Result<i64, (ValueFault, usize)> {
        int(&self.text).map_err(|fault| (fault, self.at))
    }

    fn length(&self) -> Result<u32, (ValueFault, usize)> {
        length(&self.text).map_err(|fault| (fault, self.at))
    }

    fn lengths(&self) -> Result<Constraint, (ValueFault, usize)> {
        let (min, max) = self.text.split_once("..").unwrap_or((&self.text, &self.text));
        let ends = length(min).and_then(|min| Ok((min, length(max)?)));
        let (min, max) = ends.map_err(|fault| (fault, self.at))?;
        if min <= max {
            return Ok(Constraint::Length { min, max });
        }
        Err((ValueFault::NotLength(self.text.clone()), self.at))
    }
}

fn length(text: &str) -> Result<u32, ValueFault> {
    let number = u32::try_from(int(text)?);
    number.map_err(|_| ValueFault::NotLength(text.to_owned()))
}

/// Whether the text names what lies beneath it, and not itself.
fn is_beneath(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Path | Kind::Url => text.ends_with('/'),
        Kind::Address => text.contains('/'),
        Kind::Text
        | Kind::Int
        | Kind::Bool
        | Kind::Texts
        | Kind::Ints
        | Kind::Paths
        | Kind::Addresses
        | Kind::Urls => false,
    }
}

fn beneath(kind: Kind, text: &str) -> Result<Constraint, ValueFault> {
    match kind {
        Kind::Path => text.parse().map(Constraint::Subtree),
        Kind::Address => text.parse().map(Constraint::Cidr),
        Kind::Url => text.parse().map(Constraint::Url),
        Kind::Text
        | Kind::Int
        | Kind::Bool
        | Kind::Texts
        | Kind::Ints
        | Kind::Paths
        | Kind::Addresses
        | Kind::Urls => Err(ValueFault::NotLimited(kind, "by what lies beneath")),
    }
}

fn beginning(kind: Kind, start: &str) -> Result<Constraint, ValueFault> {
    match kind {
        Kind::Text => Text::new(start).map(Constraint::Prefix),
        Kind::Path | Kind::Url => Err(ValueFault::NoPrefix(kind, BENEATH)),
        Kind::Address => Err(ValueFault::NoPrefix(kind, "write a network, 10.0.0.0/8")),
        Kind::Int => Err(ValueFault::NoPrefix(kind, "write a range, 1..100")),
        Kind::Bool | Kind::Texts | Kind::Ints | Kind::Paths | Kind::Addresses | Kind::Urls => {
            Err(ValueFault::NotLimited(kind, "by a beginning"))
        }
    }
}

/// Whoever asks is anyone on the machine: the pattern is theirs, not root's.
fn pattern(kind: Kind, source: &str) -> Result<Constraint, ValueFault> {
    if !matches!(kind, Kind::Text | Kind::Path | Kind::Url) {
        return Err(ValueFault::NotLimited(kind, "by a pattern"));
    }
    let pattern = Anchored::within(source, Budget::HOLDER);
    pattern.map(Constraint::Pattern).map_err(ValueFault::Pattern)
}
