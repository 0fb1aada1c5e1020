//! Names that cannot be malformed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{given}` is not {what}: {rule}")]
pub struct NameFault {
    given: String,
    what: &'static str,
    rule: &'static str,
}

/// The start of a stranger's text with control characters made visible, fit for one line of a message.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let mut shown = visible(text.chars().take(MOST));
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// Characters with those that a terminal would act on, or not show, written as escapes.
pub(crate) fn visible(characters: impl Iterator<Item = char>) -> String {
    let mut visible = String::new();
    for character in characters {
        match character {
            '\'' | '"' | '\\' => visible.push(character),
            _ => visible.extend(character.escape_debug()),
        }
    }
    visible
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameFault;

            fn from_str(given: &str) -> Result<Self, NameFault> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(given) {
                    return Ok(Self(given.to_owned()));
                }
                Err(NameFault { given: shown(given), what: $what, rule: $rule })
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameFault;

            fn try_from(given: String) -> Result<Self, NameFault> {
                given.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A named action, `app.action`, at most 64 bytes.
    VerbName, "a verb name",
    "write app.action, each part a-z, 0-9 and `_` from a letter on, at most 64 bytes",
    |text| text.len() <= 64 && text.split_once('.').is_some_and(|(app, action)| is_word(app) && is_word(action))
}
name! {
    /// A verb's parameter, at most 32 bytes.
    ParameterName, "a parameter name", "write a-z, 0-9 and `_` from a letter on, at most 32 bytes",
    |text| text.len() <= 32 && is_word(text)
}
name! {
    /// A named principal of an OS user, at most 64 bytes.
    AgentName, "an agent name", "write a-z, 0-9, `.`, `_` and `-` from a letter or digit on, at most 64 bytes",
    is_label
}
name! {
    /// An account of the machine, at most 32 bytes.
    AccountName, "a name of an account", "write a-z, A-Z, 0-9, `.`, `_` and `-` from a letter or `_` on, at most 32 bytes",
    is_account
}
name! {
    /// What a daemon calls itself, at most 64 bytes.
    DaemonName, "a daemon name", "write a-z, 0-9, `.`, `_` and `-` from a letter or digit on, at most 64 bytes",
    is_label
}
name! {
    /// What verbs call a host, a service or a directory, at most 64 bytes.
    TargetName, "a target's name", "write a-z, 0-9, `.`, `_` and `-` from a letter or digit on, at most 64 bytes",
    is_label
}
name! {
    /// A set of redaction rules, at most 64 bytes.
    RedactName, "a name of redaction rules",
    "write a-z, 0-9, `.`, `_` and `-` from a letter or digit on, at most 64 bytes",
    is_label
}
name! {
    /// What the mark in a secret's place says that it was, at most 64 bytes.
    Mark, "a label for marks", "write a-z, 0-9, `.`, `_` and `-` from a letter or digit on, at most 64 bytes",
    is_label
}
name! {
    /// A contact's name. An owner's own contacts begin with `own/`, root's do not.
    Alias, "a contact alias",
    "write a-z, 0-9, `.`, `_` and `-` from a letter or digit on, at most 64 bytes, with at most one `own/` before it",
    |text| is_label(text.strip_prefix("own/").unwrap_or(text))
}

impl VerbName {
    /// The part before the dot.
    #[must_use]
    pub fn app(&self) -> &str {
        self.0.split_once('.').map_or("", |(app, _)| app)
    }

    /// The part after the dot.
    #[must_use]
    pub fn action(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, action)| action)
    }
}

fn is_account(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn is_label(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

macro_rules! number {
    ($(#[$doc:meta])* $type:ident, $prefix:literal, $what:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type([u8; 8]);

        impl $type {
            /// A number from random bytes that the caller drew.
            #[must_use]
            pub fn from_random(bytes: [u8; 8]) -> Self {
                Self(bytes)
            }

            /// The 8 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 8] {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!($prefix, "{:016x}"), u64::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $type {
            type Err = NameFault;

            fn from_str(given: &str) -> Result<Self, NameFault> {
                let number = hexadecimal(given, $prefix);
                number.map(|number| Self(number.to_be_bytes())).ok_or_else(|| NameFault {
                    given: shown(given),
                    what: $what,
                    rule: $rule,
                })
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameFault;

            fn try_from(given: String) -> Result<Self, NameFault> {
                given.parse()
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.to_string()
            }
        }
    };
}

fn hexadecimal(given: &str, prefix: &str) -> Option<u64> {
    let digits = given.strip_prefix(prefix)?;
    let whole = digits.len() == 16 && digits.bytes().all(|b| b"0123456789abcdef".contains(&b));
    whole.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

number! {
    /// A share's public number: 8 random bytes, written `osp_` and 16 hexadecimal digits.
    ShareId, "osp_", "a share", "write osp_ and 16 hexadecimal digits"
}
number! {
    /// The number of a request for consent: 8 random bytes, written `r_` and 16 hexadecimal digits.
    RequestId, "r_", "a request", "write r_ and 16 hexadecimal digits"
}

/// A recipient's place in a share, counted from 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeatId(pub u8);

impl fmt::Display for SeatId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_name_is_two_words_and_a_dot() {
        for good in ["ssh.tail_logs", "a.b", "x9.y_0"] {
            assert_eq!(good.parse::<VerbName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ssh",
            "ssh.",
            ".x",
            "ssh.tail.logs",
            "Ssh.x",
            "ssh.9x",
            "ssh._x",
            "ssh.x y",
            "ssh.é",
        ] {
            assert!(bad.parse::<VerbName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_verb_name_has_at_most_64_bytes() {
        assert!(format!("a.{}", "b".repeat(61)).parse::<VerbName>().is_ok());
        assert!(format!("a.{}", "b".repeat(62)).parse::<VerbName>().is_ok());
        assert!(format!("a.{}", "b".repeat(63)).parse::<VerbName>().is_err());
    }

    #[test]
    fn a_parameter_name_has_at_most_32_bytes() {
        assert!("b".repeat(31).parse::<ParameterName>().is_ok());
        assert!("b".repeat(32).parse::<ParameterName>().is_ok());
        assert!("b".repeat(33).parse::<ParameterName>().is_err());
    }

    #[test]
    fn an_alias_has_at_most_one_own_prefix() {
        assert!("vendor-b".parse::<Alias>().is_ok());
        assert!("own/vendor-b".parse::<Alias>().is_ok());
        for bad in ["own/own/x", "other/x", "own/", "/x", "-x", "a b", "own/Å"] {
            assert!(bad.parse::<Alias>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_label_has_at_most_64_bytes() {
        assert!("b".repeat(63).parse::<AgentName>().is_ok());
        assert!("b".repeat(64).parse::<AgentName>().is_ok());
        assert!("b".repeat(65).parse::<AgentName>().is_err());
    }

    #[test]
    fn a_share_id_reads_back_as_it_is_written() {
        let id = ShareId::from_random([0, 1, 2, 3, 4, 5, 6, 255]);
        assert_eq!(id.to_string(), "osp_00010203040506ff");
        assert_eq!(id.to_string().parse::<ShareId>().unwrap(), id);
        for bad in [
            "osp_",
            "00010203040506ff",
            "osp_00010203040506fF",
            "osp_+0010203040506ff",
            "osp_00010203040506ff0",
        ] {
            assert!(bad.parse::<ShareId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_shows_a_strangers_text_on_one_line_and_cut() {
        let fault =
            format!("\n\u{1b}[2J{}", "x".repeat(500)).parse::<VerbName>().unwrap_err().to_string();
        assert!(!fault.contains(['\n', '\u{1b}']), "{fault}");
        assert!(fault.len() < 300, "{fault}");
    }
}
