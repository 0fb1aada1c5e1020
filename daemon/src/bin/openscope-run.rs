//! The runner: it becomes the owner and executes one verb.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::run::main()
}
