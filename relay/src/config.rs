//! What a relay is told: `openscope-relay.toml`, or its values where a relay is embedded.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::server::{Identity, IdentityFault};

pub mod key_file;
mod limits;
mod quantity;
mod written;

pub use key_file::KeyFileFault;
pub use limits::Limits;
pub use quantity::{Quantity, QuantityFault};

/// A relay's configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Where legs arrive (UDP).
    pub listen: SocketAddr,
    /// What the relay is known by.
    pub identity: Identity,
    /// Public keys of those who may sign deployment tokens.
    pub operators: Vec<[u8; 32]>,
    /// How long a drain may take.
    pub drain: Duration,
    /// Every bound.
    pub limits: Limits,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// No such file, or no way to it.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// It does not say what a configuration says.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Text {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A value that cannot be.
    #[error("{}: `{key}` {problem}", .path.display())]
    Value {
        /// Which.
        path: PathBuf,
        /// The key in it.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileFault),
    /// Certificate and key.
    #[error("{}: `certificate` and `key`", .path.display())]
    Identity {
        /// Which.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: IdentityFault,
    },
}

impl Config {
    /// A configuration with the default bounds.
    #[must_use]
    pub fn new(listen: SocketAddr, identity: Identity, operators: Vec<[u8; 32]>) -> Self {
        let drain = Duration::from_secs(10);
        Self { listen, identity, operators, drain, limits: Limits::default() }
    }

    /// Reads and checks a file, and the key files that it names.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(path: &Path) -> Result<Self, ConfigFault> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigFault::Read { path: path.to_owned(), source })?;
        written::read(path, &text)
    }
}

#[cfg(test)]
mod tests;
