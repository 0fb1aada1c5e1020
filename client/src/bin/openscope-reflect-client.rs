//! `openscope-reflect-client`: the recipient's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    client::main()
}
