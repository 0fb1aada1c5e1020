//! Words that look drawn from a generator, whatever stands before them.

use std::sync::{Arc, LazyLock};

use super::secret::Secret;
use super::verdict::entropy;

/// What their marks say.
static LABEL: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("high-entropy"));

/// The shortest word that is looked at.
const WORD_MIN: usize = 20;
/// The longest: what is longer is a picture, a certificate or a program, and not one secret.
const WORD_MAX: usize = 128;
/// Bits a character: a drawn word of 20 letters and digits has four, a hexadecimal one cannot have more than this.
const FLOOR: f64 = 3.6;
/// Of a hundred characters, how many are followed by one of another class: 63 of a drawn word, 30 of `aLongName2`.
const CHANGES_MIN: usize = 42;

/// What a character is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Mark,
}

fn class(byte: u8) -> Option<Class> {
    match byte {
        b'a'..=b'z' => Some(Class::Lower),
        b'A'..=b'Z' => Some(Class::Upper),
        b'0'..=b'9' => Some(Class::Digit),
        b'+' | b'/' | b'_' | b'-' => Some(Class::Mark),
        _ => None,
    }
}

/// Adds the drawn words from `at` on.
pub(super) fn find(bytes: &[u8], at: usize, secrets: &mut Vec<Secret>) {
    let mut begin = at;
    let ahead = bytes.get(at..).unwrap_or_default();
    for word in ahead.split_inclusive(|byte| class(*byte).is_none()) {
        let length =
            word.len() - usize::from(word.last().is_some_and(|byte| class(*byte).is_none()));
        let (from, to) = (begin, begin.saturating_add(length));
        begin = begin.saturating_add(word.len());
        let is_long_enough = (WORD_MIN..=WORD_MAX).contains(&length);
        if is_long_enough && is_secret(bytes, from, to) {
            secrets.push(Secret { word: from, from, to, label: Some(Arc::clone(&LABEL)) });
        }
    }
}

fn is_secret(bytes: &[u8], from: usize, to: usize) -> bool {
    let word = bytes.get(from..to).unwrap_or_default();
    let before = bytes.get(..from).unwrap_or_default();
    let line_begins = before.last().is_none_or(|byte| *byte == b'\n');
    let line_ends = bytes.get(to).is_none_or(|byte| b"\r\n".contains(byte));
    // A line of nothing else is one of many, of a picture or a certificate.
    let is_line = line_begins && line_ends && word.len() >= 60;
    !is_line && !is_digest(before, word) && looks_drawn(word)
}

/// A digest that says so: `SHA256:…`, `sha512-…`, or encoded data that does.
fn is_digest(before: &[u8], word: &[u8]) -> bool {
    let said = |text: &[u8]| {
        let text = text.to_ascii_lowercase();
        [&b"sha1"[..], b"sha256", b"sha384", b"sha512", b"md5", b"base64"]
            .iter()
            .any(|name| text.ends_with(name))
    };
    let named =
        before.split_last().is_some_and(|(mark, name)| b":,=-".contains(mark) && said(name));
    let within = word.iter().position(|byte| *byte == b'-');
    named || within.is_some_and(|end| said(word.get(..end).unwrap_or_default()))
}

fn looks_drawn(word: &[u8]) -> bool {
    let classes = || word.iter().filter_map(|byte| class(*byte));
    let has = |wanted| classes().any(|class| class == wanted);
    let changes = classes().zip(classes().skip(1)).filter(|(one, next)| one != next).count();
    let marks = classes().filter(|class| *class == Class::Mark).count();
    has(Class::Lower)
        && has(Class::Upper)
        && has(Class::Digit)
        && changes.saturating_mul(100) >= CHANGES_MIN.saturating_mul(word.len())
        && marks.saturating_mul(6) <= word.len()
        && entropy(word) >= FLOOR
}
