//! `openscope completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::fault::Fault;
use super::output::Output;
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope completions bash > ~/.local/share/bash-completion/completions/openscope
  openscope completions zsh  > ~/.zfunc/_openscope
  openscope completions fish > ~/.config/fish/completions/openscope.fish
";

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, out: &mut Output) -> Result<Exit, Fault> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "openscope", &mut script);
        out.raw(&script)?;
        Ok(Exit::Done)
    }
}
