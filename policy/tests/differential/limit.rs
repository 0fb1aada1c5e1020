//! What a limit permits, and when one lies within another.

use crate::model::{Cap, Class, Kind, Limit, Pattern, Piece, Val};

impl Val {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Bool(_) => Kind::Bool,
        }
    }

    /// As a program is given it.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Bool(answer) => answer.to_string(),
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
        if self.prefix.is_none() && self.patterns.is_empty() {
            return true;
        }
        let Val::Text(text) = value else { return false };
        self.prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix.as_str()))
            && self.patterns.iter().all(|pattern| pattern.matches(text))
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
    /// what two patterns have in common.
    pub(crate) fn covers(&self, narrow: &Self) -> bool {
        let (wide, narrow) = (self.settled(), narrow.settled());
        if let Some(list) = &narrow.one_of {
            return list.iter().all(|value| wide.permits(value));
        }
        if let Some(list) = &wide.one_of {
            let (Some(min), Some(max)) = (narrow.min, narrow.max) else { return false };
            return max.saturating_sub(min) < 100
                && (min..=max).all(|number| list.contains(&Val::Int(number)));
        }
        let low = wide.min.is_none_or(|min| narrow.min.is_some_and(|other| other >= min));
        let high = wide.max.is_none_or(|max| narrow.max.is_some_and(|other| other <= max));
        let begins = |prefix: &String| {
            narrow.prefix.as_ref().is_some_and(|other| other.starts_with(prefix.as_str()))
        };
        low && high
            && wide.prefix.as_ref().is_none_or(begins)
            && wide.patterns.iter().all(|pattern| narrow.patterns.contains(pattern))
    }

    /// Whether something may be permitted by both, as far as can be seen as easily.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        let (one, two) = (self.settled(), other.settled());
        if let Some(list) = &one.one_of {
            return list.iter().any(|value| two.permits(value));
        }
        if let Some(list) = &two.one_of {
            return list.iter().any(|value| one.permits(value));
        }
        let of_number = |limit: &Self| limit.min.is_some() || limit.max.is_some();
        let of_text = |limit: &Self| limit.prefix.is_some() || !limit.patterns.is_empty();
        if (of_number(&one) && of_text(&two)) || (of_text(&one) && of_number(&two)) {
            return false;
        }
        let min = one.min.unwrap_or(i64::MIN).max(two.min.unwrap_or(i64::MIN));
        let max = one.max.unwrap_or(i64::MAX).min(two.max.unwrap_or(i64::MAX));
        let (a, b) = (one.prefix.unwrap_or_default(), two.prefix.unwrap_or_default());
        min <= max && (a.starts_with(b.as_str()) || b.starts_with(a.as_str()))
    }
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

    pub(crate) fn covers(&self, narrow: &Self) -> bool {
        let anything = Limit::default();
        let covered =
            |(name, limit): &(String, Limit)| limit.covers(narrow.limit(name).unwrap_or(&anything));
        self.verb == narrow.verb && self.limits.iter().all(covered)
    }

    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        let meets = |(name, limit): &(String, Limit)| {
            other.limit(name).is_none_or(|one| one.may_meet(limit))
        };
        self.verb == other.verb && self.limits.iter().all(meets)
    }
}

/// Whether a text is what a pattern with stars means.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|from| glob(rest, &text[from..])),
        Some((byte, rest)) => text.first() == Some(byte) && glob(rest, &text[1..]),
    }
}
