//! The owner's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::cli::main()
}
