//! A form of secrets: a regular expression that is looked for within lines, whose matches have an end.

use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax::Config;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind,
    Look, LookSet, Repetition,
};

use crate::name::shown;

/// The most bytes that the source of a form may have.
pub const MAX_SECRET_PATTERN_BYTES: usize = 512;
/// The most bytes that a match may have: what is kept of a long line until the rest of it is there is four times this.
const MATCH_MAX: usize = 1024;
/// The most bytes that it may have as it is handed to whoever looks for it.
const FORM_MAX: usize = 2048;
/// The name of the group that is masked in place of the whole match.
const GROUP: &str = "secret";
/// Text that a match begins with and that is no shorter than this is found without looking at every byte.
const BEGINNING_MIN: usize = 3;
const MAX_NESTING: u32 = 16;
/// How large its automaton may become: at worst some 25 ms of the thread that decides, when the policy is loaded.
const NFA_MAX: usize = 256 << 10;
const DFA_MAX: usize = 256 << 10;
const DETERMINIZE_MAX: usize = 512 << 10;

/// A form of secrets.
///
/// It works on bytes: `\d`, `\w`, `\s` and `\b` mean ASCII, `^` and `$` are the ends of a line, and no part of it
/// matches a line feed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretPattern {
    source: String,
    form: String,
    least: usize,
    begins: bool,
}

/// Why a text is no form of secrets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretPatternFault {
    /// More than [`MAX_SECRET_PATTERN_BYTES`].
    #[error("a pattern of {0} bytes is longer than the {MAX_SECRET_PATTERN_BYTES} allowed")]
    TooLong(usize),
    /// Not a regular expression.
    #[error("`{0}` is not a regular expression: {1}")]
    Malformed(String, String),
    /// Everything would be masked.
    #[error("`{0}` matches the empty text, which is everywhere")]
    Empty(String),
    /// No line has what it looks for.
    #[error("`{0}` matches nothing within a line")]
    Nothing(String),
    /// Its matches have no end.
    #[error("`{0}` says no end: no part of it may repeat without one")]
    Endless(String),
    /// Its matches may be longer than what is kept of a line.
    #[error("`{0}` matches up to {1} bytes: at most {MATCH_MAX} are looked at together")]
    TooWide(String, usize),
    /// It asks for the beginning or the end of a whole output, which is seen in pieces.
    #[error("`{0}` asks where the output begins or ends, or for letters beyond ASCII")]
    Anchored(String),
    /// A group has a name that means nothing.
    #[error("the group `{0}` means nothing here")]
    Group(String),
    /// Its automaton does not fit the limits.
    #[error("the pattern `{0}` is too complex")]
    TooComplex(String),
}

impl SecretPatternFault {
    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Empty(_) => "write what it begins with, or `{20,100}` in place of `*` and `?`",
            Self::Nothing(_) => {
                "a secret of several lines is masked line by line: write one line's form"
            }
            Self::Endless(_) => {
                "write `{20,255}` in place of `{20,}` or `+`: an end lets it be found in output that comes in pieces"
            }
            Self::TooWide(..) => {
                "write lower numbers of repetitions: of a secret that goes on after 1,000 bytes the rest is masked as well"
            }
            Self::Anchored(_) => {
                "write `^` and `$` for the ends of a line, `\\b` for those of a word"
            }
            Self::Group(_) => "call it `secret`, the part that is masked, or leave out its name",
            Self::TooComplex(_) => "shorten its repetitions, or write two patterns",
            Self::TooLong(_) => "write two patterns",
            Self::Malformed(..) => return None,
        })
    }
}

impl SecretPattern {
    /// Checks a form.
    ///
    /// # Errors
    /// When it is no regular expression, its matches are empty, endless or too long, or it is too complex.
    pub fn new(source: &str) -> Result<Self, SecretPatternFault> {
        type Fault = SecretPatternFault;
        if source.len() > MAX_SECRET_PATTERN_BYTES {
            return Err(Fault::TooLong(source.len()));
        }
        let named = || shown(source);
        let hir = within_a_line(&parsed(source)?)?;
        let properties = hir.properties();
        let least = properties.minimum_len().ok_or_else(|| Fault::Nothing(named()))?;
        if least == 0 {
            return Err(Fault::Empty(named()));
        }
        let most = properties.maximum_len().ok_or_else(|| Fault::Endless(named()))?;
        if most > MATCH_MAX {
            return Err(Fault::TooWide(named(), most));
        }
        if !seen_in_pieces(properties.look_set()) {
            return Err(Fault::Anchored(named()));
        }
        let form = hir.to_string();
        if form.len() > FORM_MAX || !is_simple(&form) {
            return Err(Fault::TooComplex(named()));
        }
        Ok(Self { source: source.to_owned(), form, least, begins: begins(&hir) })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// As whoever looks for it compiles it: a regular expression over bytes that never matches a line feed. Its group
    /// `secret`, if there is one, is what is to be masked.
    #[must_use]
    pub fn form(&self) -> &str {
        &self.form
    }

    /// The least length of a match.
    #[must_use]
    pub fn least(&self) -> usize {
        self.least
    }

    /// Whether each match begins with a text that can be looked for without looking at every byte.
    pub(crate) fn has_beginning(&self) -> bool {
        self.begins
    }
}

fn parsed(source: &str) -> Result<Hir, SecretPatternFault> {
    let parser = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .multi_line(true)
        .nest_limit(MAX_NESTING)
        .build()
        .parse(source);
    parser.map_err(|fault| {
        // The parser draws the pattern over several lines; its last line says what is wrong.
        let drawn = fault.to_string();
        let last = drawn.lines().last().unwrap_or_default().trim_start_matches("error: ");
        SecretPatternFault::Malformed(shown(source), shown(last))
    })
}

/// The same without what needs a line feed: then it makes no difference in what pieces lines come.
fn within_a_line(hir: &Hir) -> Result<Hir, SecretPatternFault> {
    let inner = |sub: &Hir| within_a_line(sub).map(Box::new);
    let all = |subs: &[Hir]| subs.iter().map(within_a_line).collect::<Result<Vec<_>, _>>();
    Ok(match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(class) => Hir::class(without_line_feed(class)),
        HirKind::Repetition(repetition) => match inner(&repetition.sub)? {
            sub if is_nothing(&sub) && repetition.min == 0 => Hir::empty(),
            sub => Hir::repetition(Repetition { sub, ..repetition.clone() }),
        },
        HirKind::Capture(capture) => match capture.name.as_deref() {
            Some(name) if name != GROUP => return Err(SecretPatternFault::Group(shown(name))),
            Some(_) => Hir::capture(Capture { sub: inner(&capture.sub)?, ..capture.clone() }),
            // A group without a name only holds together.
            None => within_a_line(&capture.sub)?,
        },
        HirKind::Concat(subs) => Hir::concat(all(subs)?),
        HirKind::Alternation(subs) => {
            Hir::alternation(all(subs)?.into_iter().filter(|sub| !is_nothing(sub)).collect())
        }
    })
}

fn is_nothing(hir: &Hir) -> bool {
    hir.properties().minimum_len().is_none()
}

fn without_line_feed(class: &Class) -> Class {
    match class {
        Class::Bytes(bytes) => {
            let mut bytes = bytes.clone();
            bytes.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Class::Bytes(bytes)
        }
        Class::Unicode(characters) => {
            let mut characters = characters.clone();
            characters.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Class::Unicode(characters)
        }
    }
}

/// Whether all that it asks of its surroundings is told by the byte before and the byte after.
fn seen_in_pieces(looks: LookSet) -> bool {
    let told = [
        Look::StartLF,
        Look::EndLF,
        Look::WordAscii,
        Look::WordAsciiNegate,
        Look::WordStartAscii,
        Look::WordEndAscii,
        Look::WordStartHalfAscii,
        Look::WordEndHalfAscii,
    ];
    looks.iter().all(|look| told.contains(&look))
}

/// Whether a table can be made of it: looking for it takes a step for each byte, however it is written.
fn is_simple(form: &str) -> bool {
    let limits = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(DFA_MAX))
        .determinize_size_limit(Some(DETERMINIZE_MAX));
    dense::Builder::new()
        .syntax(Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().nfa_size_limit(Some(NFA_MAX)).utf8(false))
        .configure(limits)
        .build(form)
        .is_ok()
}

fn begins(hir: &Hir) -> bool {
    let prefixes = Extractor::new().kind(ExtractKind::Prefix).extract(hir);
    let all = prefixes.literals().unwrap_or_default();
    !all.is_empty() && all.iter().all(|prefix| prefix.len() >= BEGINNING_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::meta::Regex;

    fn found<'t>(source: &str, text: &'t str) -> Option<&'t str> {
        let form = SecretPattern::new(source).unwrap().form;
        let syntax = Config::new().unicode(false).utf8(false);
        let regex = Regex::builder().syntax(syntax).build(&form).unwrap();
        regex.find(text).and_then(|found| text.get(found.range()))
    }

    fn fault(source: &str) -> SecretPatternFault {
        SecretPattern::new(source).expect_err(source)
    }

    #[test]
    fn no_part_of_a_form_reaches_over_the_end_of_a_line() {
        assert_eq!(found("key=[^ ]{3,20}", "key=ab\ncd key=abc\nd"), Some("key=abc"));
        assert_eq!(found(r"a\s{1,9}b|c", "a\nb c"), Some("c"));
        assert_eq!(found("(?s)a.{1,2}", "a\n ab\n"), Some("ab"));
        assert_eq!(found("^ab$", "xab\nab\nabx"), Some("ab"));
        assert_eq!(found(r"\b\d{4}\b", "12345 1234\n"), Some("1234"));
        assert_eq!(found("(?:a\nb|x)y", "a\nby xy"), Some("xy"));
        assert_eq!(found("(?:a\nb){0,3}xy", "a\nbxy"), Some("xy"));
        assert_eq!(found(r"a\xff?b{2}", "abb"), Some("abb"));
    }

    #[test]
    fn a_form_whose_matches_are_empty_endless_or_too_long_is_refused() {
        for (source, wanted) in [
            ("x*", "matches the empty text"),
            ("", "matches the empty text"),
            ("^", "matches the empty text"),
            ("key-[a-z]+", "says no end"),
            ("(?:corp-key-)[A-Za-z0-9]{20,}", "says no end"),
            ("key-.*", "says no end"),
            ("a{1025}", "matches up to 1025 bytes"),
            ("(?:a{32}){33}", "matches up to 1056 bytes"),
            ("a\nb", "matches nothing within a line"),
            (r"\Aab", "asks where the output begins"),
            (r"ab\z", "asks where the output begins"),
            (r"(?u:\bab)", "asks where the output begins"),
            ("(?P<value>ab)", "the group `value` means nothing"),
            ("[a-", "is not a regular expression"),
            ("(?R:ab$)", "asks where the output begins"),
        ] {
            let fault = fault(source);
            assert!(fault.to_string().contains(wanted), "{source}: {fault}");
        }
        assert!(SecretPattern::new("ab{1023}").is_ok());
        assert_eq!(
            fault("key-[a-z]{8,}").hint().unwrap().split(':').next(),
            Some("write `{20,255}` in place of `{20,}` or `+`")
        );
    }

    #[test]
    fn a_form_has_at_most_512_bytes_and_a_table_that_fits() {
        assert!(SecretPattern::new(&"a".repeat(512)).is_ok());
        assert_eq!(fault(&"a".repeat(513)), SecretPatternFault::TooLong(513));
        for complex in ["(?:a|b){1,9}a(?:a|b){20}", &"[^a]".repeat(120)] {
            assert!(SecretPattern::new(complex).is_err(), "{complex}");
        }
        assert!(SecretPattern::new(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).is_err());
    }

    #[test]
    fn ordinary_forms_fit() {
        for source in [
            "(?:corp-key-)[A-Za-z0-9]{20,255}",
            "corp-key-[A-Za-z0-9]{20,1000}",
            "[A-Za-z0-9]{32,64}",
            r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",
            r"(?i)customer[_-]?id[=:]\s{0,4}(?P<secret>[0-9a-f-]{36})",
            "(?:web|db|cache)-secret-[^\" ]{8,200}",
            "schlüssel-[a-z]{8,20}",
        ] {
            assert!(SecretPattern::new(source).is_ok(), "{source}");
        }
    }

    #[test]
    fn it_is_known_which_forms_are_looked_for_at_every_byte() {
        for (source, has) in [
            ("corp-key-[a-z]{9}", true),
            ("(?:corp|team)-[a-z]{9}", true),
            ("(?i)corp[a-z]{9}", true),
            ("[0-9]{16}", false),
            ("ab[0-9]{16}", true),
            ("a[^ax]{16}", false),
        ] {
            assert_eq!(SecretPattern::new(source).unwrap().has_beginning(), has, "{source}");
        }
    }
}
