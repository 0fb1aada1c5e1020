//! A file that is made: whole, of the bytes that were meant, or not at all.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, fchmod, fsync, linkat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Fault, PIECE, Place, SCHEMA, check, hex, opening, stdout, step};

/// For its owner alone: whoever is to read it can be let in by them.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Takes standard input. Until all of it has come the file has no name, so that nothing is left of one that does not.
pub(super) fn put(
    place: &Place<'_>,
    (sha256, most): (&str, u64),
    overwrite: bool,
) -> Result<(), Fault> {
    let Some(name) = place.at.rest.rsplit('/').next().filter(|name| !name.is_empty()) else {
        return Err(Fault::Sort("the directory itself"));
    };
    let above = place.at.rest.strip_suffix(name).unwrap_or_default().trim_end_matches('/');
    let how = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = place.beneath(above, how).map_err(opening)?;
    let there = is_there(&directory, name)?;
    if there && !overwrite {
        return Err(Fault::There);
    }
    let mut draft = draft(&directory)?;
    let (size, digest) = take(&mut draft, most)?;
    if digest != sha256 {
        return Err(Fault::Digest);
    }
    // A default ACL of the directory's may have let others in.
    step("keep it to its owner", fchmod(&draft, MODE))?;
    step("write it", fsync(&draft))?;
    let replaced = name_it(&draft, &directory, name, overwrite)?;
    // It is there: what fails from here on is told, and is no failure.
    if let Err(errno) = fsync(&directory) {
        let _ = writeln!(io::stderr(), "its name may not outlive a crash of the machine: {errno}");
    }
    let kept = json!({
        "schema": SCHEMA,
        "event": "kept",
        "size": size,
        "sha256": digest,
        "replaced": replaced,
    });
    let _ = writeln!(stdout()?, "{kept}");
    Ok(())
}

/// Whether a file has the name. What is none is not replaced.
fn is_there(directory: &OwnedFd, name: &str) -> Result<bool, Fault> {
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(state) => check(&state).map(|()| true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(opening(errno)),
    }
}

fn draft(directory: &OwnedFd) -> Result<File, Fault> {
    let how = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(directory, ".", how, MODE) {
        Ok(draft) => Ok(File::from(draft)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => Err(Fault::NoDraft),
        Err(errno) => Err(opening(errno)),
    }
}

fn take(draft: &mut File, most: u64) -> Result<(u64, String), Fault> {
    let (mut size, mut hash) = (0_u64, Sha256::new());
    let (mut stdin, mut buffer) = (io::stdin().lock(), vec![0; PIECE]);
    loop {
        let count = step("read what is given", stdin.read(&mut buffer))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((size, hex(hash)));
        }
        size = size.saturating_add(count as u64);
        if size > most {
            return Err(Fault::TooLarge(most));
        }
        hash.update(bytes);
        step("write it", draft.write_all(bytes))?;
    }
}

/// Gives it its name. Whether another had it.
fn name_it(draft: &File, directory: &OwnedFd, name: &str, overwrite: bool) -> Result<bool, Fault> {
    match link(draft, directory, name) {
        Ok(()) => return Ok(false),
        Err(Errno::EXIST) if overwrite => {}
        Err(Errno::EXIST) => return Err(Fault::There),
        Err(errno) => return Err(naming(errno)),
    }
    // A name can be taken over only by what has one.
    let mut random = [0; 8];
    let drawn = getrandom::fill(&mut random);
    step("draw a name", drawn.map_err(|fault| io::Error::other(fault.to_string())))?;
    let own = format!(".openscope-{:016x}", u64::from_be_bytes(random));
    link(draft, directory, &own).map_err(naming)?;
    let replaced = is_there(directory, name)
        .and_then(|_| renameat(directory, &own, directory, name).map_err(naming));
    if replaced.is_err() {
        let _ = unlinkat(directory, &own, AtFlags::empty());
    }
    replaced.map(|()| true)
}

fn link(draft: &File, directory: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    let own = format!("/proc/self/fd/{}", draft.as_fd().as_raw_fd());
    linkat(CWD, own, directory, name, AtFlags::SYMLINK_FOLLOW)
}

fn naming(errno: Errno) -> Fault {
    Fault::Step("give it its name", errno.into())
}
