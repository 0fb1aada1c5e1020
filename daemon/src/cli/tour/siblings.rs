//! The programs that lie beside ours, held open: the account that the tour runs as may not be able to reach them.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::cli::fault::Fault;
use crate::exit::Exit;

/// What the tour starts.
#[derive(Debug)]
pub(super) struct Siblings {
    pub(super) owner: Rc<Program>,
    pub(super) client: Rc<Program>,
    pub(super) daemon: Rc<Program>,
    pub(super) relay: Rc<Program>,
    pub(super) runner: Rc<Program>,
    pub(super) reach: Rc<Program>,
}

/// A program, by its open file.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    file: OwnedFd,
}

impl Siblings {
    /// Opens all of them; names those that are missing.
    pub(super) fn open() -> Result<Self, Fault> {
        let own = std::env::current_exe()
            .map_err(|error| Fault::failed(format!("where am I? {error}")))?;
        let directory = own.parent().unwrap_or(Path::new("/"));
        let owner = Rc::new(Program::open("openscope", Path::new("/proc/self/exe"), directory)?);
        let beside = |name| Program::open(name, &directory.join(name), directory).map(Rc::new);
        Ok(Self {
            owner,
            client: beside("openscope-reflect-client")?,
            daemon: beside("openscoped")?,
            relay: beside("openscope-relay")?,
            runner: beside("openscope-run")?,
            reach: beside("openscope-reach")?,
        })
    }
}

impl Program {
    fn open(name: &'static str, path: &Path, directory: &Path) -> Result<Self, Fault> {
        let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let file = file.ok().filter(is_program).ok_or_else(|| missing(name, directory))?;
        Ok(Self { name, file })
    }

    /// By which the program can be started, from wherever it lies.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.number()).into()
    }

    pub(super) fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Lets children that are started meanwhile inherit the file, for programs that start it in their turn.
    pub(super) fn inherited(&self) -> Result<Inherited<'_>, Fault> {
        let set = fcntl_setfd(&self.file, FdFlags::empty());
        set.map_err(|error| {
            Fault::failed(format!("`{}` cannot be handed on: {error}", self.name))
        })?;
        Ok(Inherited(self.file.as_fd()))
    }
}

/// An open file that children inherit while this lives.
#[derive(Debug)]
pub(super) struct Inherited<'f>(BorrowedFd<'f>);

impl Drop for Inherited<'_> {
    fn drop(&mut self) {
        // It fails for a descriptor that is not open, which this one is.
        let _ = fcntl_setfd(self.0, FdFlags::CLOEXEC);
    }
}

fn is_program(file: &OwnedFd) -> bool {
    // By its mode alone: whether the tour's account may execute it is found out by executing it.
    fstat(file).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_mode & 0o111 != 0
    })
}

fn missing(name: &str, directory: &Path) -> Fault {
    let message = format!("`{name}` does not lie beside `openscope` in `{}`", directory.display());
    Fault::new(Exit::Unavailable, message)
        .hint("build all programs with `cargo build --release --locked`, or install them together")
}

#[cfg(test)]
mod tests {
    use rustix::io::fcntl_getfd;

    use super::*;

    #[test]
    fn a_missing_sibling_is_named() {
        let home = tempfile::tempdir().unwrap();
        let fault = Program::open("openscope-run", &home.path().join("openscope-run"), home.path())
            .unwrap_err();
        assert!(fault.message().contains("`openscope-run`"), "{fault:?}");
    }

    #[test]
    fn what_cannot_be_executed_is_not_a_sibling() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Program::open("openscope-run", file.path(), Path::new("/tmp")).is_err());
        assert!(Program::open("openscope-run", Path::new("/tmp"), Path::new("/tmp")).is_err());
    }

    #[test]
    fn a_program_is_inherited_only_while_it_is_asked_for() {
        let program = Program::open("sh", Path::new("/bin/sh"), Path::new("/bin")).unwrap();
        let inherited = program.inherited().unwrap();
        assert_eq!(fcntl_getfd(&program.file).unwrap(), FdFlags::empty());
        drop(inherited);
        assert_eq!(fcntl_getfd(&program.file).unwrap(), FdFlags::CLOEXEC);
    }
}
