//! Input: what a verb takes from whoever calls it, besides its parameters.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a verb takes while it runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Input {
    /// Nothing: its standard input is empty.
    #[default]
    Nothing,
    /// A standard input.
    Stdin(Stdin),
    /// What is typed: it has a terminal for its standard input, output and error.
    Terminal,
}

impl Input {
    /// The standard input that it takes, if it takes one.
    #[must_use]
    pub fn stdin(self) -> Option<Stdin> {
        match self {
            Self::Nothing | Self::Terminal => None,
            Self::Stdin(stdin) => Some(stdin),
        }
    }
}

/// A standard input, and what it may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stdin {
    /// What the bytes may be.
    pub content: Content,
    /// How many there may be.
    pub max: u64,
}

impl fmt::Display for Stdin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let whole = units.into_iter().find(|(_, unit)| self.max.is_multiple_of(*unit));
        let (unit, scale) = whole.unwrap_or(("B", 1));
        write!(out, "{}, at most {}{unit}", self.content, self.max / scale)
    }
}

/// What the bytes of a standard input may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Anything.
    Bytes,
    /// UTF-8 without control characters other than line feed and tab.
    Text,
}

impl fmt::Display for Content {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bytes => "bytes",
            Self::Text => "text",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_said_as_the_catalog_would_write_it() {
        let said = |max| Stdin { content: Content::Bytes, max }.to_string();
        assert_eq!(said(1 << 20), "bytes, at most 1MiB");
        assert_eq!(said(1536), "bytes, at most 1536B");
        assert_eq!(said(3 << 30), "bytes, at most 3GiB");
        assert_eq!(said(64 << 10), "bytes, at most 64KiB");
        assert_eq!(said(1), "bytes, at most 1B");
    }
}
