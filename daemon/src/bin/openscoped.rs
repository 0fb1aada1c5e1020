//! The daemon: keeper, and by its hidden first argument monitor, broker, resolver or keys.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::main(std::env::args_os().skip(1))
}
