//! One program, five processes: which of them this is.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::config::{self, Arguments};
use crate::exit::Exit;
use crate::keeper::Networks;
use crate::{broker, keeper, keys, monitor};

/// What `openscoped` does with these arguments, its own name left out.
#[must_use]
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some(keeper::AS_MONITOR) => monitor::main(),
        Some("--as-broker") => broker::main(),
        Some("--as-resolver") => monitor::resolver::main(),
        Some(keys::AS_KEYS) => keys::main(),
        _ => keep_or_tell(arguments),
    }
}

fn keep_or_tell(arguments: Vec<OsString>) -> ExitCode {
    let name = OsString::from("openscoped");
    let asked = Arguments::parse_from(std::iter::once(name).chain(arguments.iter().cloned()));
    if asked.check_config {
        let (report, good) = config::check(&asked);
        return tell(&report, if good { Exit::Done } else { Exit::Usage });
    }
    if asked.leg_key {
        return match config::leg_key(&asked) {
            Ok(key) => tell(&format!("{key}\n"), Exit::Done),
            Err(fault) => tell(&format!("error: {fault}\n"), Exit::Usage),
        };
    }
    let networks = if asked.isolate_networks { Networks::Isolated } else { Networks::Shared };
    let handed_down: Vec<i32> = [asked.runner_fd, asked.reach_fd].into_iter().flatten().collect();
    keeper::main(arguments.into_iter(), &handed_down, networks)
}

fn tell(text: &str, exit: Exit) -> ExitCode {
    let told = if exit == Exit::Done {
        std::io::stdout().write_all(text.as_bytes())
    } else {
        std::io::stderr().write_all(text.as_bytes())
    };
    if told.is_err() { Exit::Failed.into() } else { exit.into() }
}
