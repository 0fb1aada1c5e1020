//! What an owner asks to share, as text: `ssh.tail_logs:service=web|db,lines<=100`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::constraint::Constraint;
use crate::name::{NameFault, ParameterName, VerbName, visible};
use crate::value::{Kind, Text, Value, ValueFault};

/// The most bytes that a request may have.
pub const MAX_REQUEST_BYTES: usize = 8192;
/// The most pins that a request may have.
pub const MAX_PINS: usize = 64;

/// A verb with the pins that were asked for; what a pin's text means depends on the parameter's kind,
/// so it is settled against the surface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    pub(crate) source: Source,
    pub(crate) verb: VerbName,
    pub(crate) pins: Vec<Pin>,
}

/// One pin and where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pin {
    pub(crate) parameter: ParameterName,
    pub(crate) at: usize,
    pub(crate) limit: Limit,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Limit {
    OneOf(Vec<Word>),
    AtMost(Word),
    AtLeast(Word),
}

/// A value as it was written. Quoted, nothing in it has a meaning of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) quoted: bool,
    pub(crate) at: usize,
}

/// One of the alternatives of a pin: what its text says as a number, as a truth, as a text; and where it stands.
#[derive(Clone)]
pub(crate) struct Alternative {
    pub(crate) at: usize,
    pub(crate) readings: BTreeSet<Constraint>,
}

/// The text of a request, to point into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Source(String);

/// A place in a request's text. `Display` draws the text and a mark under the character.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer {
    text: String,
    at: usize,
}

impl Source {
    pub(crate) fn point(&self, at: usize) -> Pointer {
        Pointer { text: self.0.clone(), at }
    }
}

impl Pointer {
    /// The character meant, counted from 0.
    #[must_use]
    pub fn character(&self) -> usize {
        self.text.char_indices().take_while(|(byte, _)| *byte < self.at).count()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BEFORE: usize = 60;
        const AFTER: usize = 20;
        let at = self.character();
        let skipped = at.saturating_sub(BEFORE);
        let before = visible(self.text.chars().skip(skipped).take(at - skipped));
        let after = visible(self.text.chars().skip(at).take(AFTER));
        let mark = before.chars().count();
        write!(out, "   {before}{after}\n   {:mark$}^", "")
    }
}

/// Why a text is not a request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem}\n{pointer}")]
pub struct RequestFault {
    /// What is wrong.
    pub problem: RequestProblem,
    /// Where.
    pub pointer: Pointer,
}

/// What is wrong with a request's text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RequestProblem {
    /// A name that cannot be one.
    #[error("{0}")]
    Name(NameFault),
    /// No operator after a parameter.
    #[error("`=`, `<=` or `>=` is missing after the parameter")]
    Operator,
    /// Nothing after the operator.
    #[error("a value is missing: write `''` for an empty one")]
    Value,
    /// A quote that never ends.
    #[error("the quote that begins here never ends")]
    Quote,
    /// A character that needs a quote around the value.
    #[error("`{0}` is not expected here: put quotes around a value that contains it")]
    Unexpected(char),
    /// A star that is not the last character.
    #[error(
        "`*` stands only at the end, for any ending: put quotes around a value that contains it"
    )]
    Star,
    /// More than [`MAX_REQUEST_BYTES`].
    #[error("a request may have at most {MAX_REQUEST_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_PINS`].
    #[error("a request may have at most {MAX_PINS} pins")]
    TooManyPins,
}

impl Request {
    /// The verb asked for.
    #[must_use]
    pub fn verb(&self) -> &VerbName {
        &self.verb
    }

    /// Asks for a verb with nothing pinned.
    #[must_use]
    pub fn whole(verb: VerbName) -> Self {
        Self { source: Source(verb.to_string()), verb, pins: Vec::new() }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.source.0)
    }
}

impl FromStr for Request {
    type Err = RequestFault;

    fn from_str(text: &str) -> Result<Self, RequestFault> {
        let mut reader = Reader { text, at: 0 };
        reader.request().map_err(|Stray(problem, at)| {
            // A text over the limit is not drawn again.
            let text = if text.len() > MAX_REQUEST_BYTES { "" } else { text };
            RequestFault { problem, pointer: Source(text.to_owned()).point(at) }
        })
    }
}

/// What is wrong and at which byte.
struct Stray(RequestProblem, usize);

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn request(&mut self) -> Result<Request, Stray> {
        if self.text.len() > MAX_REQUEST_BYTES {
            return Err(Stray(RequestProblem::TooLong, 0));
        }
        let verb = self.name(|c| c == ':')?;
        let mut pins = Vec::new();
        let mut more = self.take(":");
        while more {
            if pins.len() == MAX_PINS {
                return Err(Stray(RequestProblem::TooManyPins, self.at));
            }
            pins.push(self.pin()?);
            more = self.take(",");
            if let Some(stray) = self.rest().chars().next().filter(|_| !more) {
                return Err(Stray(RequestProblem::Unexpected(stray), self.at));
            }
        }
        Ok(Request { source: Source(self.text.to_owned()), verb, pins })
    }

    fn pin(&mut self) -> Result<Pin, Stray> {
        let at = self.at;
        let parameter = self.name(|c| !(c.is_alphanumeric() || c == '_'))?;
        let limit = if self.take("<=") {
            Limit::AtMost(self.word()?)
        } else if self.take(">=") {
            Limit::AtLeast(self.word()?)
        } else if self.take("=") {
            Limit::OneOf(self.alternatives()?)
        } else {
            return Err(Stray(RequestProblem::Operator, self.at));
        };
        Ok(Pin { parameter, at, limit })
    }

    fn alternatives(&mut self) -> Result<Vec<Word>, Stray> {
        let mut words = vec![self.word()?];
        while self.take("|") {
            words.push(self.word()?);
        }
        Ok(words)
    }

    fn word(&mut self) -> Result<Word, Stray> {
        let at = self.at;
        match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                let text = self.quoted(quote).ok_or(Stray(RequestProblem::Quote, at))?;
                Ok(Word { text, quoted: true, at })
            }
            _ => self.bare(at),
        }
    }

    /// The text up to the closing quote; a doubled quote stands for one.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        loop {
            let (piece, _) = self.rest().split_once(quote)?;
            text.push_str(piece);
            self.at += piece.len() + 1;
            if !self.rest().starts_with(quote) {
                return Some(text);
            }
            text.push(quote);
            self.at += 1;
        }
    }

    fn bare(&mut self, at: usize) -> Result<Word, Stray> {
        let text = self.until(|c| matches!(c, ',' | '|' | '\'' | '"'));
        if text.is_empty() {
            return Err(Stray(RequestProblem::Value, at));
        }
        if let Some(star) = text.find('*').filter(|star| star + 1 < text.len()) {
            return Err(Stray(RequestProblem::Star, at + star));
        }
        Ok(Word { text: text.to_owned(), quoted: false, at })
    }

    fn name<N: FromStr<Err = NameFault>>(&mut self, ends: fn(char) -> bool) -> Result<N, Stray> {
        let at = self.at;
        let text = self.until(ends);
        text.parse().map_err(|fault| Stray(RequestProblem::Name(fault), at))
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let text = rest.split_at(rest.find(ends).unwrap_or(rest.len())).0;
        self.at += text.len();
        text
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

impl Limit {
    /// What the pin asks for, once the parameter's kind is known: the union of these. A bound on one
    /// side leaves the other end open.
    pub(crate) fn settle(&self, kind: Kind) -> Result<Vec<Constraint>, (ValueFault, usize)> {
        match self {
            Self::OneOf(words) => words.iter().map(|word| word.settle(kind)).collect(),
            Self::AtMost(word) => {
                Ok(vec![Constraint::Range { min: i64::MIN, max: word.number()? }])
            }
            Self::AtLeast(word) => {
                Ok(vec![Constraint::Range { min: word.number()?, max: i64::MAX }])
            }
        }
    }

    /// What each alternative of the pin can mean where the parameter's kind is not known, and where it stands.
    pub(crate) fn readings(&self) -> Result<Vec<Alternative>, (ValueFault, usize)> {
        match self {
            Self::OneOf(words) => words
                .iter()
                .map(|word| Ok(Alternative { at: word.at, readings: word.readings()? }))
                .collect(),
            Self::AtMost(word) | Self::AtLeast(word) => {
                let readings = self.settle(Kind::Int)?.into_iter().collect();
                Ok(vec![Alternative { at: word.at, readings }])
            }
        }
    }
}

impl Word {
    fn settle(&self, kind: Kind) -> Result<Constraint, (ValueFault, usize)> {
        let fault = |fault| (fault, self.at);
        if self.quoted {
            return Value::parse(kind, &self.text).map(Constraint::exact).map_err(fault);
        }
        if self.text == "*" {
            return Ok(Constraint::Any);
        }
        match (kind, self.text.strip_suffix('*'), self.text.split_once("..")) {
            (Kind::Text, Some(prefix), _) => {
                Text::new(prefix).map(Constraint::Prefix).map_err(fault)
            }
            (Kind::Int, _, Some((min, max))) => {
                let (min, max) = (int(min).map_err(fault)?, int(max).map_err(fault)?);
                Ok(Constraint::Range { min, max })
            }
            (Kind::Text | Kind::Int | Kind::Bool, _, _) => {
                Value::parse(kind, &self.text).map(Constraint::exact).map_err(fault)
            }
        }
    }

    /// What the word says as each kind that it can be of; a range of numbers is not taken for a text.
    fn readings(&self) -> Result<BTreeSet<Constraint>, (ValueFault, usize)> {
        let as_number = self.settle(Kind::Int);
        let is_range = matches!(as_number, Ok(Constraint::Range { .. }));
        let as_text = if is_range { as_number.clone() } else { self.settle(Kind::Text) };
        let readings = [as_number, self.settle(Kind::Bool), as_text.clone()];
        let readings: BTreeSet<_> = readings.into_iter().flatten().collect();
        if readings.is_empty() { as_text.map(|text| BTreeSet::from([text])) } else { Ok(readings) }
    }

    fn number(&self) -> Result<i64, (ValueFault, usize)> {
        int(&self.text).map_err(|fault| (fault, self.at))
    }
}

fn int(text: &str) -> Result<i64, ValueFault> {
    match Value::parse(Kind::Int, text)? {
        Value::Int(number) => Ok(number),
        Value::Text(_) | Value::Bool(_) => Err(ValueFault::NotInt(text.to_owned())),
    }
}

/// Writes one pin as a request would. A pattern has no request syntax and is shown as `=/…/`.
pub(crate) fn write_pin(
    out: &mut fmt::Formatter<'_>,
    name: &ParameterName,
    limit: &Constraint,
) -> fmt::Result {
    match limit {
        Constraint::OneOf(values) => {
            let words: Vec<String> = values.iter().map(word).collect();
            write!(out, "{name}={}", words.join("|"))
        }
        Constraint::Any => write!(out, "{name}=*"),
        Constraint::Range { min: i64::MIN, max } => write!(out, "{name}<={max}"),
        Constraint::Range { min, max: i64::MAX } => write!(out, "{name}>={min}"),
        Constraint::Range { min, max } => write!(out, "{name}={min}..{max}"),
        Constraint::Prefix(_) | Constraint::Pattern(_) | Constraint::All(_) => {
            write!(out, "{name}={limit}")
        }
    }
}

fn word(value: &Value) -> String {
    let text = value.to_string();
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b));
    if plain { text } else { format!("'{}'", visible(text.replace('\'', "''").chars())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (RequestProblem, usize) {
        let fault = text.parse::<Request>().unwrap_err();
        (fault.problem, fault.pointer.character())
    }

    fn words(limit: &Limit) -> Vec<&str> {
        match limit {
            Limit::OneOf(words) => words.iter().map(|word| word.text.as_str()).collect(),
            Limit::AtMost(word) | Limit::AtLeast(word) => vec![&word.text],
        }
    }

    #[test]
    fn a_request_is_a_verb_and_pins() {
        let request: Request = "ssh.tail_logs:service=web|db,lines<=100,since>=5".parse().unwrap();
        assert_eq!(request.verb.as_str(), "ssh.tail_logs");
        let names: Vec<_> = request.pins.iter().map(|pin| pin.parameter.as_str()).collect();
        assert_eq!(names, ["service", "lines", "since"]);
        let limits: Vec<_> = request.pins.iter().map(|pin| words(&pin.limit)).collect();
        assert_eq!(limits, [vec!["web", "db"], vec!["100"], vec!["5"]]);
        assert!(matches!(request.pins[1].limit, Limit::AtMost(_)));
        assert!(matches!(request.pins[2].limit, Limit::AtLeast(_)));
        assert!("ssh.tail_logs".parse::<Request>().unwrap().pins.is_empty());
    }

    #[test]
    fn a_quoted_value_may_hold_anything() {
        let request: Request = r#"a.b:x='a,b|c*"=',y="it's",z='it''s',w=''"#.parse().unwrap();
        let limits: Vec<_> = request.pins.iter().map(|pin| words(&pin.limit).remove(0)).collect();
        assert_eq!(limits, ["a,b|c*\"=", "it's", "it's", ""]);
    }

    #[test]
    fn a_fault_points_at_the_character() {
        assert!(matches!(problem("ssh:x=1"), (RequestProblem::Name(_), 0)));
        assert!(matches!(problem("a.b:X=1"), (RequestProblem::Name(_), 4)));
        assert!(matches!(problem("a.b:"), (RequestProblem::Name(_), 4)));
        assert!(matches!(problem("a.b:x=1,"), (RequestProblem::Name(_), 8)));
        assert_eq!(problem("a.b:x"), (RequestProblem::Operator, 5));
        assert_eq!(problem("a.b:x<5"), (RequestProblem::Operator, 5));
        assert_eq!(problem("a.b:x="), (RequestProblem::Value, 6));
        assert_eq!(problem("a.b:x=1|"), (RequestProblem::Value, 8));
        assert_eq!(problem("a.b:x=é,y='abc"), (RequestProblem::Quote, 10));
        assert_eq!(problem("a.b:x='a'b"), (RequestProblem::Unexpected('b'), 9));
        assert_eq!(problem("a.b:x<=1|2"), (RequestProblem::Unexpected('|'), 8));
        assert_eq!(problem("a.b:x=a*b"), (RequestProblem::Star, 7));
        assert!(matches!(problem(&"a".repeat(8193)), (RequestProblem::TooLong, 0)));
    }

    #[test]
    fn a_request_has_at_most_64_pins() {
        let request = |pins| format!("a.b:{}", vec!["x=1"; pins].join(","));
        assert_eq!(request(63).parse::<Request>().unwrap().pins.len(), 63);
        assert_eq!(request(64).parse::<Request>().unwrap().pins.len(), 64);
        assert_eq!(problem(&request(65)), (RequestProblem::TooManyPins, 4 + 64 * 4));
        let fault = request(65).parse::<Request>().unwrap_err().to_string();
        assert!(fault.starts_with("a request may have at most 64 pins\n"), "{fault}");
    }

    #[test]
    fn a_request_has_at_most_8192_bytes() {
        let request = |bytes: usize| format!("a.b:x='{}'", "y".repeat(bytes - 8));
        assert!(request(8191).parse::<Request>().is_ok());
        assert!(request(8192).parse::<Request>().is_ok());
        assert_eq!(problem(&request(8193)), (RequestProblem::TooLong, 0));
    }

    #[test]
    fn a_fault_is_drawn_with_a_mark_under_the_character() {
        let fault = "a.b:x='\n',y".parse::<Request>().unwrap_err().to_string();
        let lines: Vec<_> = fault.lines().collect();
        assert_eq!(lines[1], r"   a.b:x='\n',y");
        assert_eq!(lines[2], "               ^");
    }

    #[test]
    fn a_words_meaning_follows_the_kind() {
        let settled = |text: &str, kind| {
            let request: Request = format!("a.b:x={text}").parse().unwrap();
            request.pins[0].limit.settle(kind).map(|mut each| each.remove(0))
        };
        assert_eq!(settled("1..5", Kind::Int), Ok(Constraint::Range { min: 1, max: 5 }));
        assert_eq!(
            settled("1..5", Kind::Text),
            Ok(Constraint::exact(Value::text("1..5").unwrap()))
        );
        assert_eq!(settled("ab*", Kind::Text), Ok(Constraint::Prefix(Text::new("ab").unwrap())));
        assert_eq!(
            settled("'ab*'", Kind::Text),
            Ok(Constraint::exact(Value::text("ab*").unwrap()))
        );
        assert_eq!(settled("*", Kind::Bool), Ok(Constraint::Any));
        assert_eq!(settled("true", Kind::Bool), Ok(Constraint::exact(Value::Bool(true))));
        assert!(settled("5*", Kind::Int).is_err());
        assert!(settled("'1..5'", Kind::Int).is_err());
    }
}
