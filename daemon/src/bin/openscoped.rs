//! The daemon: keeper, and by its hidden first argument monitor, broker or resolver.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::main(std::env::args_os().skip(1))
}
