//! Whether what has the form of a secret is one.

/// How much its form says already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A token with a beginning of its own, at the beginning of a word.
    Token,
    /// Whatever stands there is one.
    Within,
    /// What stands after a name such as `password`: anything but a blank form.
    Password,
    /// What stands after a name such as `token`, in which people write other things too.
    Named,
}

/// Bits a character of a value that nobody has thought up: words have less.
const ENTROPY_FLOOR: f64 = 2.8;
/// The shortest value after a name such as `password`, where it has no quotes.
const PASSWORD_MIN: usize = 4;
/// The shortest value after a name such as `token`.
const NAMED_MIN: usize = 8;

/// Values that stand for a secret and are none.
const BLANKS: [&str; 17] = [
    "null",
    "none",
    "nil",
    "undefined",
    "true",
    "false",
    "yes",
    "no",
    "string",
    "required",
    "optional",
    "hidden",
    "redacted",
    "masked",
    "changeme",
    "example",
    "empty",
];

pub(super) fn is_secret(kind: Kind, value: &[u8]) -> bool {
    match kind {
        Kind::Token | Kind::Within => true,
        Kind::Password => !is_blank(value),
        Kind::Named => !is_blank(value) && looks_drawn(value),
    }
}

/// A placeholder: a name to be filled in, stars, a word that says that there is nothing.
fn is_blank(value: &[u8]) -> bool {
    let Some(first) = value.first() else { return true };
    let is_filled_in = b"$%{<*[(/".contains(first) && !value.iter().any(u8::is_ascii_digit);
    let is_one_character = value.iter().all(|byte| byte == first);
    let word = BLANKS.iter().any(|blank| value.eq_ignore_ascii_case(blank.as_bytes()));
    is_filled_in || is_one_character || word || value.starts_with(b"[redacted")
}

/// Whether it looks like drawn from a generator and not like words, a path or a number.
fn looks_drawn(value: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| value.iter().any(class);
    let letters = has(u8::is_ascii_alphabetic);
    let mixed = has(u8::is_ascii_digit)
        || (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && value.len() >= 16);
    value.len() >= NAMED_MIN && letters && mixed && entropy(value) >= ENTROPY_FLOOR
}

/// Shannon's, of the bytes, in bits.
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let part = |count: &u32| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(part).sum()
}

/// What a word is made of: a token does not begin in the middle of one.
pub(super) fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What a token is made of.
pub(super) fn is_of_token(byte: u8) -> bool {
    is_of_word(byte) || b"-.+/=".contains(&byte)
}

/// What of a value without quotes is the value. What separates fields may be of it: it is where the whole looks drawn, and
/// is not text of a program.
pub(super) fn bare(kind: Kind, value: &[u8]) -> Option<&[u8]> {
    let least = if kind == Kind::Password { PASSWORD_MIN } else { NAMED_MIN };
    let Some(first) = value.iter().position(|byte| b",;&)}]<>|\\".contains(byte)) else {
        return (value.len() >= least).then_some(value);
    };
    let short = value.get(..first).unwrap_or_default();
    let whole = value.get(..whole_end(value)).unwrap_or_default();
    let has = |is_one: fn(&u8) -> bool| whole.iter().any(is_one);
    let is_drawn = has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !whole.iter().any(|byte| b"(.=:|".contains(byte));
    let value = if is_drawn { whole } else { short };
    (value.len() >= least).then_some(value)
}

/// Up to what ends a value for certain: an escape, another name with its value, or that nothing but separators follow.
fn whole_end(value: &[u8]) -> usize {
    let ends = |at: usize, byte: u8| {
        let rest = value.get(at.saturating_add(1)..).unwrap_or_default();
        let is_last = || rest.iter().all(|byte| b",;.)}]>&|".contains(byte));
        match byte {
            b'\\' => true,
            b'<' => rest.starts_with(b"/"),
            b',' | b';' | b'&' | b'|' => is_last() || is_field(rest),
            b')' | b'}' | b']' | b'>' => is_last(),
            _ => false,
        }
    };
    let end = value.iter().enumerate().find(|(at, byte)| ends(*at, **byte));
    end.map_or(value.len(), |(at, _)| at)
}

/// Whether it begins with a name and what gives it a value.
fn is_field(bytes: &[u8]) -> bool {
    let rest = skip(bytes, |byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
    rest.len() < bytes.len() && matches!(rest, [b'=' | b':', ..])
}

/// Whether a name that begins here may be given a value: what most of them are not, told in few steps. What comes between is
/// as the forms of [`super::built_in`] have it, but for how long it may be.
pub(super) fn is_assigned(from_name: &[u8]) -> bool {
    matches!(after_name(from_name), [b'=' | b':', ..])
}

/// Whether the value that such a name is given may be a secret: what most of them are not. One in quotes, or after a sign of two
/// characters, is left to the forms.
pub(super) fn may_be_given(kind: Kind, from_name: &[u8]) -> bool {
    let value = skip(after_name(from_name).get(1..).unwrap_or_default(), |byte| is_gap(*byte));
    if value.first().is_none_or(|first| b"\"'\\=>".contains(first)) {
        return true;
    }
    let end = value.iter().position(|byte| is_space_or_quote(*byte)).unwrap_or(value.len());
    let bare = bare(kind, value.get(..end).unwrap_or_default());
    bare.is_some_and(|value| is_secret(kind, value))
}

/// Whether what follows `://` may be a user and a password. What ends them is as the form of [`super::built_in`] has it, but for
/// how long they may be.
pub(super) fn may_be_login(from_user: &[u8]) -> bool {
    let ends_password = |byte: &u8| is_space_or_quote(*byte) || b"/@<>".contains(byte);
    let ends_user = |byte: &u8| ends_password(byte) || *byte == b':';
    match skip(from_user, |byte| !ends_user(byte)) {
        [b':', rest @ ..] => skip(rest, |byte| !ends_password(byte)).starts_with(b"@"),
        _ => false,
    }
}

/// What stands after a name, and what its form has before the sign that gives it a value.
fn after_name(from_name: &[u8]) -> &[u8] {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let rest = skip(skip(from_name, is_name), |byte| b"\"']\\".contains(byte));
    skip(rest, |byte| is_gap(*byte))
}

fn is_gap(byte: u8) -> bool {
    b" \t".contains(&byte)
}

/// As `[\s"']` has it.
fn is_space_or_quote(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ' | b'"' | b'\'')
}

fn skip(bytes: &[u8], is_meant: impl Fn(&u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !is_meant(byte)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}
