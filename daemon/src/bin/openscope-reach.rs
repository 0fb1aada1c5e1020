//! The runner that stays: it becomes the owner and asks one service what it is ordered to.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::reach::main()
}
