//! What is made from the command line's description: completions and manual pages.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

const PROGRAM: &str = "openscope-reflect-client";

/// Prints what this shell loads.
pub(crate) fn completions(shell: Shell) {
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut io::stdout());
}

/// Prints the manual page, or writes all of them into a directory.
pub(crate) fn man(directory: Option<&Path>) -> Result<Exit, Failure> {
    let Some(directory) = directory else {
        let printed = clap_mangen::Man::new(Cli::command()).render(&mut io::stdout());
        return printed
            .map(|()| Exit::DONE)
            .map_err(|fault| Failure::of(Exit::PIPE, "output", &fault));
    };
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
    written.map(|()| Exit::DONE).map_err(|fault| {
        let what = format!("`{}` cannot be written: {fault}", directory.display());
        Failure::new(Exit::NOT_RUN, "output", what)
    })
}
