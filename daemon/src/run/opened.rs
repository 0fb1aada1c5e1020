//! Paths that a verb is given: opened by the owner beneath their root, so that no link leads out of it.

use std::os::fd::{IntoRawFd as _, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use thiserror::Error;

use super::order::{Argument, Opened};

/// From which number on descriptors are given to programs.
const HIGH: i32 = 512;

/// Why a path was not opened.
#[derive(Debug, Error)]
#[error("`{parameter}`: cannot open `{rest}` beneath `{root}`: {why}")]
pub(super) struct OpenFault {
    parameter: String,
    root: String,
    rest: String,
    why: String,
}

/// The argument as the program gets it. What is opened stays open in the program, which reaches it by its
/// descriptor's number: whatever happens to the names on the way, it is the file that was found now.
pub(super) fn text(argument: Argument) -> Result<String, OpenFault> {
    match argument {
        Argument::Text(text) => Ok(text),
        Argument::Opened(path) => match open(&path) {
            // Given away on purpose: it closes when the program ends.
            Ok(descriptor) => Ok(format!("/proc/self/fd/{}", descriptor.into_raw_fd())),
            Err(errno) => Err(fault(path, errno)),
        },
    }
}

fn open(path: &Opened) -> Result<OwnedFd, Errno> {
    let found = find(path)?;
    // A program that closes what it does not know opens others under the low numbers.
    let kept = fcntl_dupfd_cloexec(found, HIGH)?;
    fcntl_setfd(&kept, FdFlags::empty())?;
    Ok(kept)
}

fn find(path: &Opened) -> Result<OwnedFd, Errno> {
    let how = OFlags::PATH | OFlags::CLOEXEC;
    if path.rest.is_empty() {
        return openat(CWD, &path.root, how, Mode::empty());
    }
    let root = openat(CWD, &path.root, how | OFlags::DIRECTORY, Mode::empty())?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, &path.rest, how, Mode::empty(), within)
}

fn fault(path: Opened, errno: Errno) -> OpenFault {
    let Opened { parameter, root, rest } = path;
    let why = match errno {
        Errno::LOOP => "it is a symbolic link, or leads through one".to_owned(),
        Errno::XDEV => "it leads out".to_owned(),
        other => std::io::Error::from(other).to_string(),
    };
    OpenFault { parameter, root, rest, why }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, read_to_string, write};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn asked(root: &Path, rest: &str) -> Result<String, String> {
        let root = root.to_str().unwrap().to_owned();
        let opened = Opened { parameter: "file".to_owned(), root, rest: rest.to_owned() };
        text(Argument::Opened(opened)).map_err(|fault| fault.to_string())
    }

    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        let at = |name: &str| tree.path().join(name);
        create_dir(at("root")).unwrap();
        create_dir(at("root/sub")).unwrap();
        write(at("root/sub/log"), "inside").unwrap();
        write(at("secret"), "outside").unwrap();
        symlink("../secret", at("root/out")).unwrap();
        symlink("sub/log", at("root/in")).unwrap();
        symlink("..", at("root/up")).unwrap();
        symlink("root", at("named")).unwrap();
        tree
    }

    #[test]
    fn a_path_beneath_the_root_is_what_was_opened() {
        let tree = tree();
        let root = tree.path().join("root");
        let given = asked(&root, "sub/log").unwrap();
        let number = given.strip_prefix("/proc/self/fd/").unwrap().parse::<i32>().unwrap();
        assert!(number >= HIGH, "{given}");
        std::fs::remove_file(root.join("sub/log")).unwrap();
        symlink("../../secret", root.join("sub/log")).unwrap();
        assert_eq!(read_to_string(&given).unwrap(), "inside", "whatever bears its name now");
        let itself = asked(&root, "").unwrap();
        assert!(Path::new(&itself).join("sub").is_dir());
        let single = asked(&tree.path().join("secret"), "").unwrap();
        assert_eq!(read_to_string(single).unwrap(), "outside", "a root may be a file");
    }

    #[test]
    fn a_link_in_the_root_itself_is_roots_own_business() {
        let tree = tree();
        let given = asked(&tree.path().join("named"), "sub/log").unwrap();
        assert_eq!(read_to_string(given).unwrap(), "inside");
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        let tree = tree();
        let root = tree.path().join("root");
        for (rest, why) in [
            ("out", "it is a symbolic link, or leads through one"),
            ("in", "it is a symbolic link, or leads through one"),
            ("up/secret", "it is a symbolic link, or leads through one"),
            ("../secret", "it leads out"),
            ("sub/../../secret", "it leads out"),
            ("/etc/passwd", "it leads out"),
            ("missing", "No such file or directory (os error 2)"),
        ] {
            let fault = asked(&root, rest).unwrap_err();
            let root = root.display();
            assert_eq!(fault, format!("`file`: cannot open `{rest}` beneath `{root}`: {why}"));
        }
        let magic = asked(Path::new("/proc/self"), "root/etc").unwrap_err();
        assert!(magic.ends_with("it is a symbolic link, or leads through one"), "{magic}");
    }
}
