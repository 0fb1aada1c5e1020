//! The terminal of whoever calls: what a verb that takes one is told of it.

use serde::{Deserialize, Serialize};

/// The most rows or columns: more than any screen has, and little enough for any program that allocates by them.
pub const MOST_CELLS: u16 = 1000;
/// The most characters of a terminal's name.
pub const MOST_NAME: usize = 32;

/// A terminal as its holder sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    /// Its name, where it has one of the form that is passed on; `dumb` otherwise.
    pub name: Option<TerminalName>,
    /// How large it is.
    pub size: WindowSize,
}

impl Terminal {
    /// What `TERM` is to be.
    #[must_use]
    pub fn term(&self) -> &str {
        self.name.as_ref().map_or("dumb", TerminalName::as_str)
    }
}

/// A terminal's name as programs look it up: `[a-z0-9-]{1,32}`, so that it names no path.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TerminalName(String);

/// A terminal's name is not of the form that is passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a terminal's name: 1 to {MOST_NAME} of `a-z`, `0-9` and `-`")]
pub struct NameFault;

impl TerminalName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TerminalName {
    type Error = NameFault;

    fn try_from(text: String) -> Result<Self, NameFault> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=MOST_NAME).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text)) } else { Err(NameFault) }
    }
}

impl From<TerminalName> for String {
    fn from(name: TerminalName) -> Self {
        name.0
    }
}

/// How many characters a terminal shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "WrittenSize", into = "WrittenSize")]
pub struct WindowSize {
    rows: u16,
    columns: u16,
}

/// A size as it travels.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSize {
    rows: u16,
    columns: u16,
}

/// A side of a terminal is not within its bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a terminal has 1 to {MOST_CELLS} rows and columns")]
pub struct SizeFault;

impl WindowSize {
    /// A size within the bounds.
    ///
    /// # Errors
    /// When a side is not.
    pub fn new(rows: u16, columns: u16) -> Result<Self, SizeFault> {
        let fits = |cells| (1..=MOST_CELLS).contains(&cells);
        if fits(rows) && fits(columns) { Ok(Self { rows, columns }) } else { Err(SizeFault) }
    }

    /// How many lines.
    #[must_use]
    pub fn rows(self) -> u16 {
        self.rows
    }

    /// How many characters a line.
    #[must_use]
    pub fn columns(self) -> u16 {
        self.columns
    }
}

impl Default for WindowSize {
    /// What is supposed where nobody knows.
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

impl TryFrom<WrittenSize> for WindowSize {
    type Error = SizeFault;

    fn try_from(written: WrittenSize) -> Result<Self, SizeFault> {
        Self::new(written.rows, written.columns)
    }
}

impl From<WindowSize> for WrittenSize {
    fn from(size: WindowSize) -> Self {
        Self { rows: size.rows, columns: size.columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_taken_at_its_bounds_and_refused_beyond() {
        for (rows, columns, fits) in [
            (1, 1, true),
            (MOST_CELLS, MOST_CELLS, true),
            (0, 80, false),
            (24, 0, false),
            (MOST_CELLS + 1, 80, false),
            (24, MOST_CELLS + 1, false),
        ] {
            assert_eq!(WindowSize::new(rows, columns).is_ok(), fits, "{rows} {columns}");
        }
    }

    #[test]
    fn a_name_is_passed_on_only_if_it_can_be_nothing_else() {
        let name = |text: &str| TerminalName::try_from(text.to_owned());
        let longest = "x".repeat(MOST_NAME);
        for good in ["dumb", "xterm-256color", "vt100", "-", &longest] {
            assert_eq!(name(good).unwrap().as_str(), good);
        }
        let longer = "x".repeat(MOST_NAME + 1);
        for bad in ["", "../../x", "Xterm", "a b", "a\n", "é", "screen.xterm", &longer] {
            assert_eq!(name(bad), Err(NameFault), "{bad:?}");
        }
    }

    #[test]
    fn a_terminal_without_a_name_is_dumb() {
        assert_eq!(Terminal::default().term(), "dumb");
        let size = Terminal::default().size;
        assert_eq!((size.columns(), size.rows()), (80, 24));
    }
}
