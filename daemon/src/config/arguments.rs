//! What `openscoped` is started with.

use std::path::PathBuf;

use clap::Parser;

use super::{Mode, Places};

/// Shares slices of this machine's users' rights, for minutes, through a relay that it does not
/// trust.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "openscoped", version, about)]
pub struct Arguments {
    /// The configuration [default: /etc/openscope/openscoped.toml; with --rootless that of the user]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read everything, say every fault, and end: 0 when there is none, 2 otherwise
    #[arg(long)]
    pub check_config: bool,
    /// Run as an ordinary user, for that user's own shares
    #[arg(long)]
    pub rootless: bool,
    /// Keep `CAP_SYS_ADMIN`, which verbs with `network = false` take, and which is given up otherwise
    #[arg(long, conflicts_with = "rootless")]
    pub isolate_networks: bool,
    /// Print the key that a relay's operator binds this daemon's token to, and end
    #[arg(long, conflicts_with = "check_config")]
    pub leg_key: bool,
    /// An inherited descriptor of openscope-run, used instead of the file beside this program.
    #[arg(long, hide = true, value_name = "N")]
    pub runner_fd: Option<i32>,
    /// The same of openscope-reach.
    #[arg(long, hide = true, value_name = "N", requires = "runner_fd")]
    pub reach_fd: Option<i32>,
}

impl Arguments {
    /// The mode that the flags ask for; the configuration's, where they do not.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.rootless.then_some(Mode::Rootless)
    }

    /// Where the configuration is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let given = self.config.clone();
        let path = given.unwrap_or_else(|| Places::of(self.mode().unwrap_or(Mode::System)).config);
        std::path::absolute(&path).unwrap_or(path)
    }
}
