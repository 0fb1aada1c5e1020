//! `openscope man`.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::Cli;
use super::fault::Fault;
use super::output::Output;
use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Where to; made when it is not there
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(&self, out: &mut Output) -> Result<Exit, Fault> {
        let directory = &self.directory;
        let written = std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), directory));
        let unwritable =
            |error| Fault::failed(format!("`{}` cannot be written: {error}", directory.display()));
        written.map_err(unwritable)?;
        out.aside(&format!("man pages written: `man -l {}/openscope.1`", directory.display()));
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::Format;
    use super::super::output::tests::heard;
    use super::*;

    #[test]
    fn each_command_has_its_page() {
        let home = tempfile::tempdir().unwrap();
        let man = Man { directory: home.path().join("man1") };
        man.run(&mut heard(Format::Text, false).0).unwrap();
        for page in
            ["openscope.1", "openscope-share-open.1", "openscope-contact-add.1", "openscope-try.1"]
        {
            let text = std::fs::read_to_string(man.directory.join(page)).unwrap();
            assert!(text.contains(".TH"), "{page}");
        }
    }
}
