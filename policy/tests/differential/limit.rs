//! What a limit permits, and when one lies within another.

use crate::model::{Cap, Class, Kind, Limit, Pattern, Piece, Val};
use crate::pool::{everything, pool};

impl Val {
    /// Whether it is well-formed for the kind: of texts, those that are known to be.
    pub(crate) fn is_a(&self, kind: Kind) -> bool {
        match (kind.item(), self) {
            (Some(item), Self::List(items)) => items.iter().all(|one| one.is_a(item)),
            (Some(_), _) | (None, Self::List(_)) => false,
            (None, Self::Text(_)) if kind == Kind::Text => true,
            (None, _) => pool(kind).contains(self),
        }
    }

    /// As a program is given it.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Bool(answer) => answer.to_string(),
            Self::List(_) => panic!("a list is not one argument"),
        }
    }
}

impl Limit {
    pub(crate) fn only(values: Vec<Val>) -> Self {
        Self { one_of: Some(values), ..Self::default() }
    }

    pub(crate) fn permits(&self, value: &Val) -> bool {
        if let Some(list) = &self.one_of
            && !list.contains(value)
        {
            return false;
        }
        if self.min.is_some() || self.max.is_some() {
            let Val::Int(number) = value else { return false };
            if self.min.is_some_and(|min| *number < min) || self.max.is_some_and(|m| *number > m) {
                return false;
            }
        }
        self.length.is_none_or(|ends| has_length(value, ends))
            && self.permits_text(value)
            && self.permits_list(value)
    }

    fn permits_text(&self, value: &Val) -> bool {
        if self.of_list() || !self.of_text() {
            return true;
        }
        let Val::Text(text) = value else { return false };
        self.prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix.as_str()))
            && self.patterns.iter().all(|pattern| pattern.matches(text))
            && self.subtree.as_ref().is_none_or(|root| is_beneath(text, root))
            && self.cidr.as_ref().is_none_or(|network| is_in(text, network))
            && self.url.as_ref().is_none_or(|prefix| begins(text, prefix))
    }

    fn permits_list(&self, value: &Val) -> bool {
        if !self.of_list() {
            return true;
        }
        let Val::List(items) = value else { return false };
        self.each.as_ref().is_none_or(|each| items.iter().all(|one| each.permits(one)))
            && self.has.as_ref().is_none_or(|has| items.iter().any(|one| has.permits(one)))
    }

    fn of_number(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }

    fn of_text(&self) -> bool {
        let begun = self.prefix.is_some() || self.subtree.is_some() || self.url.is_some();
        begun || !self.patterns.is_empty() || self.cidr.is_some()
    }

    fn of_list(&self) -> bool {
        self.each.is_some() || self.has.is_some()
    }

    /// Whether it says nothing that has more to it than values, ranges, prefixes and patterns.
    fn is_plain(&self) -> bool {
        let apart = self.length.is_some() || self.subtree.is_some() || self.cidr.is_some();
        !apart && self.url.is_none() && !self.of_list()
    }

    pub(crate) fn is_anything(&self) -> bool {
        *self == Self::default()
    }

    /// The same, said shortly: a list without what the rest refuses, and no rest.
    pub(crate) fn settled(&self) -> Self {
        match &self.one_of {
            None => self.clone(),
            Some(list) => {
                Self::only(list.iter().filter(|value| self.permits(value)).cloned().collect())
            }
        }
    }

    /// Whether all that `narrow` permits is permitted here, as far as can be seen without thinking of
    /// what two patterns have in common; `None` when that needs more thought than this.
    pub(crate) fn covers(&self, narrow: &Self) -> Option<bool> {
        let (wide, narrow) = (self.settled(), narrow.settled());
        if let Some(list) = &narrow.one_of {
            return Some(list.iter().all(|value| wide.permits(value)));
        }
        if wide.one_of.is_none() && wide.says_less(&narrow) {
            return Some(true);
        }
        if wide.is_plain() && narrow.is_plain() {
            return Some(wide.one_of.as_ref().is_some_and(|list| narrow.is_listed(list)));
        }
        let stray = |value: &Val| narrow.permits(value) && !wide.permits(value);
        everything().iter().any(stray).then_some(false)
    }

    /// Whether this is a short range, all of which is in the list.
    fn is_listed(&self, list: &[Val]) -> bool {
        let (Some(min), Some(max)) = (self.min, self.max) else { return false };
        max.saturating_sub(min) < 100 && (min..=max).all(|one| list.contains(&Val::Int(one)))
    }

    /// Whether each thing that is said here, `narrow` says as well or more strictly.
    fn says_less(&self, narrow: &Self) -> bool {
        let within = |wide: &Option<String>, other: &Option<String>, is: fn(&str, &str) -> bool| {
            wide.as_ref().is_none_or(|wide| other.as_ref().is_some_and(|other| is(other, wide)))
        };
        let low = self.min.is_none_or(|min| narrow.min.is_some_and(|other| other >= min));
        let high = self.max.is_none_or(|max| narrow.max.is_some_and(|other| other <= max));
        let inner = |wide: &Option<Box<Self>>, other: &Option<Box<Self>>| {
            wide.as_ref().is_none_or(|wide| {
                other.as_ref().is_some_and(|other| wide.covers(other) == Some(true))
            })
        };
        let length = self.length.is_none_or(|(min, max)| {
            narrow.length.is_some_and(|(low, high)| low >= min && high <= max)
        });
        low && high
            && length
            && within(&self.prefix, &narrow.prefix, |one, wide| one.starts_with(wide))
            && within(&self.subtree, &narrow.subtree, is_beneath)
            && within(&self.cidr, &narrow.cidr, is_within)
            && within(&self.url, &narrow.url, |one, wide| one == wide)
            && self.patterns.iter().all(|pattern| narrow.patterns.contains(pattern))
            && inner(&self.each, &narrow.each)
            && inner(&self.has, &narrow.has)
    }

    /// Whether something may be permitted by both, as far as can be seen as easily.
    pub(crate) fn may_meet(&self, other: &Self) -> Option<bool> {
        let (one, two) = (self.settled(), other.settled());
        if let Some(list) = &one.one_of {
            return Some(list.iter().any(|value| two.permits(value)));
        }
        if let Some(list) = &two.one_of {
            return Some(list.iter().any(|value| one.permits(value)));
        }
        if !one.is_plain() || !two.is_plain() {
            let common = |value: &Val| one.permits(value) && two.permits(value);
            return everything().iter().any(common).then_some(true);
        }
        if (one.of_number() && two.of_text()) || (one.of_text() && two.of_number()) {
            return Some(false);
        }
        let min = one.min.unwrap_or(i64::MIN).max(two.min.unwrap_or(i64::MIN));
        let max = one.max.unwrap_or(i64::MAX).min(two.max.unwrap_or(i64::MAX));
        let (a, b) = (one.prefix.unwrap_or_default(), two.prefix.unwrap_or_default());
        Some(min <= max && (a.starts_with(b.as_str()) || b.starts_with(a.as_str())))
    }
}

/// Whether a text has so many bytes, or a list so many items.
fn has_length(value: &Val, (min, max): (u32, u32)) -> bool {
    let length = match value {
        Val::Text(text) => text.len(),
        Val::List(items) => items.len(),
        Val::Int(_) | Val::Bool(_) => return false,
    };
    (min..=max).contains(&u32::try_from(length).unwrap())
}

/// Whether a good path is this one or beneath it.
fn is_beneath(path: &str, root: &str) -> bool {
    let good = Val::Text(path.to_owned()).is_a(Kind::Path);
    let beneath = path.strip_prefix(root.trim_end_matches('/'));
    good && beneath.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a good address is of the network.
fn is_in(address: &str, network: &str) -> bool {
    let good = Val::Text(address.to_owned()).is_a(Kind::Address);
    let whole = if address.contains(':') { 128 } else { 32 };
    good && is_within(&format!("{address}/{whole}"), network)
}

/// Whether one network is of the other: the same family, and the same first bits.
fn is_within(narrow: &str, wide: &str) -> bool {
    let ((one, many), (two, few)) = (bits(narrow), bits(wide));
    many >= few && one.len() == two.len() && one.get(..few) == two.get(..few)
}

/// The bits of a network's address, and how many of them it has in common.
fn bits(network: &str) -> (String, usize) {
    let (address, many) = network.split_once('/').unwrap();
    let bits = if address.contains(':') {
        let words = |text: &str| -> Vec<u16> {
            let words = text.split(':').filter(|word| !word.is_empty());
            words.map(|word| u16::from_str_radix(word, 16).unwrap()).collect()
        };
        let (before, after) = address.split_once("::").unwrap();
        let (before, after) = (words(before), words(after));
        let zeros = vec![0; 8 - before.len() - after.len()];
        let all = [before, zeros, after].concat();
        all.iter().map(|word| format!("{word:016b}")).collect::<Vec<_>>().concat()
    } else {
        let parts = address.split('.').map(|part| part.parse::<u8>().unwrap());
        parts.map(|part| format!("{part:08b}")).collect::<Vec<_>>().concat()
    };
    (bits, many.parse().unwrap())
}

/// Whether a good URL is of the scheme, the host or one beneath it, and the port, and its path begins so.
fn begins(url: &str, prefix: &str) -> bool {
    let cut = |text: &str| -> (String, String, String) {
        let (scheme, rest) = text.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap();
        (scheme.to_owned(), host.to_owned(), format!("/{path}"))
    };
    if !Val::Text(url.to_owned()).is_a(Kind::Url) {
        return false;
    }
    let (one, two) = (cut(url), cut(prefix));
    // With its port, which is a part of the host here.
    let host = match two.1.strip_prefix("*.") {
        Some(parent) => one.1.ends_with(&format!(".{parent}")),
        None => one.1 == two.1,
    };
    one.0 == two.0 && host && one.2.starts_with(&two.2)
}

impl Pattern {
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pieces| run(pieces, text.as_bytes()))
    }
}

/// Whether the pieces, one after the other, are the whole text.
fn run(pieces: &[Piece], text: &[u8]) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return text.is_empty() };
    let most = piece.most.unwrap_or(text.len()).min(text.len());
    (piece.least..=most)
        .any(|many| text[..many].iter().all(|byte| piece.of.is(*byte)) && run(rest, &text[many..]))
}

impl Class {
    fn is(self, byte: u8) -> bool {
        match self {
            Self::One(one) => u32::from(byte) == u32::from(one),
            Self::Lower => byte.is_ascii_lowercase(),
            Self::Digit => byte.is_ascii_digit(),
            Self::Any => true,
        }
    }
}

impl Cap {
    /// Whether the arguments are within; one that is limited must be there.
    pub(crate) fn permits(&self, verb: &str, args: &[(String, Val)]) -> bool {
        let value = |name: &String| args.iter().find(|(given, _)| given == name);
        let holds = |(name, limit): &(String, Limit)| {
            limit.is_anything() || value(name).is_some_and(|(_, value)| limit.permits(value))
        };
        self.verb == verb && self.limits.iter().all(holds)
    }

    pub(crate) fn covers(&self, narrow: &Self) -> Option<bool> {
        let anything = Limit::default();
        let covered =
            |(name, limit): &(String, Limit)| limit.covers(narrow.limit(name).unwrap_or(&anything));
        let covered: Vec<Option<bool>> = self.limits.iter().map(covered).collect();
        all(self.verb == narrow.verb, covered)
    }

    pub(crate) fn may_meet(&self, other: &Self) -> Option<bool> {
        let meets = |(name, limit): &(String, Limit)| match other.limit(name) {
            Some(one) => one.may_meet(limit),
            None => Some(true),
        };
        let met: Vec<Option<bool>> = self.limits.iter().map(meets).collect();
        all(self.verb == other.verb, met)
    }
}

/// Whether all are so; not known when none is known not to be, and not all are known to be.
fn all(first: bool, others: Vec<Option<bool>>) -> Option<bool> {
    if !first || others.contains(&Some(false)) {
        return Some(false);
    }
    others.into_iter().try_fold(true, |so_far, one| one.map(|one| so_far && one))
}

/// Whether a text is what a pattern with stars means.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|from| glob(rest, &text[from..])),
        Some((byte, rest)) => text.first() == Some(byte) && glob(rest, &text[1..]),
    }
}
