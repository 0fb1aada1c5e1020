//! `keygen`: a key for others to share with.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wire::handle::Identity;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::private_file::{create, make_directory};

/// Makes an identity file that is not there yet, and prints its public key.
pub(crate) fn keygen(out: Option<&Path>, environment: &Environment) -> Result<Exit, Failure> {
    let usual = || environment.config.as_ref().map(|config| config.join("identity.txt"));
    let path: PathBuf = out.map(Path::to_owned).or_else(usual).ok_or_else(|| {
        Failure::new(
            Exit::USAGE,
            "usage",
            "neither XDG_CONFIG_HOME nor HOME says where the key belongs",
        )
        .hint("name a place with `--out FILE`")
    })?;
    let identity = Identity::generate();
    let text = identity.to_file().ok_or_else(|| {
        Failure::new(Exit::NOT_RUN, "keygen", "the key cannot be written as a file")
    })?;
    if let (None, Some(directory)) = (out, path.parent()) {
        make_directory(directory).map_err(|fault| unwritten(&path, &fault))?;
    }
    create(&path, text.as_bytes()).map_err(|fault| unwritten(&path, &fault))?;
    writeln!(io::stdout(), "{}", identity.recipient())
        .map_err(|fault| Failure::of(Exit::PIPE, "output", &fault))?;
    Ok(Exit::DONE)
}

fn unwritten(path: &Path, fault: &io::Error) -> Failure {
    let shown = path.display();
    if fault.kind() == io::ErrorKind::AlreadyExists {
        return Failure::new(Exit::USAGE, "exists", format!("`{shown}` is there already and is not overwritten"))
            .hint("handles that were sealed to it open with nothing else; name another place with `--out FILE`");
    }
    Failure::new(Exit::NOT_RUN, "keygen", format!("cannot write `{shown}`: {fault}"))
}
