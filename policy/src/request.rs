//! What an owner asks to share, as text: `ssh.tail_logs:service=web|db,lines<=100`.

mod settle;
mod written;

use std::fmt;
use std::str::FromStr;

use crate::name::{NameFault, ParameterName, VerbName, visible};

pub(crate) use self::settle::Alternative;
pub(crate) use self::written::write_pin;

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
    AtMost(Measure, Word),
    AtLeast(Measure, Word),
    /// A length from one end to the other: `name#=1..20`.
    Between(Measure, Word),
}

/// What a bound is a bound of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Measure {
    /// The number itself: `lines<=100`.
    Number,
    /// The bytes of a text, the items of a list: `name#<=100`.
    Length,
    /// The bytes of each item of a list: `names[]#<=100`.
    ItemLength,
}

/// A value as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) form: Form,
    pub(crate) at: usize,
}

/// How a word was written. Between quotes nothing has a meaning of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// `web`
    Bare,
    /// `'web'`
    Quoted,
    /// `'web'*`: what begins so.
    Beginning,
    /// `'/var/log'/`: what lies beneath.
    Beneath,
    /// `~'web.*'`: what matches as a whole.
    Pattern,
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
    /// A `~` without a quoted pattern after it.
    #[error("`~` is followed by a pattern in quotes: quote a value that begins with `~` too")]
    Tilde,
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

    /// How many patterns it names: each is compiled when it is met.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.pins.iter().map(|pin| pin.limit.patterns()).sum()
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
        let measure = self.measure();
        let limit = if self.take("<=") {
            Limit::AtMost(measure, self.word()?)
        } else if self.take(">=") {
            Limit::AtLeast(measure, self.word()?)
        } else if self.take("=") {
            match measure {
                Measure::Number => Limit::OneOf(self.alternatives()?),
                Measure::Length | Measure::ItemLength => Limit::Between(measure, self.word()?),
            }
        } else {
            return Err(Stray(RequestProblem::Operator, self.at));
        };
        Ok(Pin { parameter, at, limit })
    }

    fn measure(&mut self) -> Measure {
        if self.take("[]#") {
            Measure::ItemLength
        } else if self.take("#") {
            Measure::Length
        } else {
            Measure::Number
        }
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
        let tilde = self.take("~");
        match (self.rest().chars().next(), tilde) {
            (Some(quote @ ('\'' | '"')), _) => {
                let text = self.quoted(quote)?;
                let form = if tilde { Form::Pattern } else { self.after_quote() };
                Ok(Word { text, form, at })
            }
            (_, true) => Err(Stray(RequestProblem::Tilde, at)),
            (_, false) => self.bare(at),
        }
    }

    fn after_quote(&mut self) -> Form {
        if self.take("*") {
            Form::Beginning
        } else if self.take("/") {
            Form::Beneath
        } else {
            Form::Quoted
        }
    }

    /// The text up to the closing quote; a doubled quote stands for one.
    fn quoted(&mut self, quote: char) -> Result<String, Stray> {
        let never = Stray(RequestProblem::Quote, self.at);
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some((piece, _)) = self.rest().split_once(quote) else { return Err(never) };
            text.push_str(piece);
            self.at += piece.len() + 1;
            if !self.rest().starts_with(quote) {
                return Ok(text);
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
        if let Some(star) = settle::stray_star(text) {
            return Err(Stray(RequestProblem::Star, at + star));
        }
        Ok(Word { text: text.to_owned(), form: Form::Bare, at })
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

#[cfg(test)]
mod tests;
