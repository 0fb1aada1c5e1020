//! Why a statement came to nothing, by who is at fault.

use std::io;

/// The most characters of what a database says.
const SAID_MAX: usize = 4096;

#[derive(Debug)]
pub(super) enum Fault {
    /// The database is not there, or was lost: for the record.
    Lost(String),
    /// It was lost, or not seen to stop, while it was at a statement: for the record.
    Cut(String),
    /// The database takes the statement, or the values, for wrong: for whoever asks.
    Refused(String),
    /// Nobody wants the rest.
    Stopped,
}

impl Fault {
    pub(super) fn lost(what: &str, fault: &io::Error) -> Self {
        Self::Lost(format!("{what}: {fault}"))
    }

    /// The reason, whoever is to have it.
    pub(super) fn why(self) -> String {
        match self {
            Self::Lost(why) | Self::Cut(why) | Self::Refused(why) => why,
            Self::Stopped => "it was stopped".to_owned(),
        }
    }
}

/// What a database says, on one line and without what moves a cursor.
pub(super) fn plain(said: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    said.chars().take(SAID_MAX).map(plain).collect()
}
