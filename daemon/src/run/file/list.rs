//! What is in a directory.

use std::io::Write as _;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, statat};
use rustix::io::Errno;
use serde_json::json;

use super::{Fault, Place, length, modified, opening, stdout, step};

/// As many entries as are told of one directory.
const MOST: usize = 10_000;

/// Its entries by name, a line of JSON each.
pub(super) fn list(place: &Place<'_>) -> Result<(), Fault> {
    let directory = place.open(OFlags::RDONLY | OFlags::DIRECTORY).map_err(opening)?;
    let mut names = Vec::new();
    let mut is_all = true;
    for entry in step("read it", Dir::read_from(&directory))? {
        let name = step("read it", entry)?.file_name().to_owned();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if names.len() == MOST {
            is_all = false;
            break;
        }
        names.push(name);
    }
    names.sort_unstable();
    let mut out = std::io::BufWriter::new(stdout()?);
    for name in names {
        let state = match statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(state) => Some(state),
            // It has gone meanwhile.
            Err(Errno::NOENT) => continue,
            Err(_) => None,
        };
        let text = name.to_string_lossy();
        let line = json!({
            "name": text,
            // Only of a name that is no text: by it the entry is told from others that look alike.
            "name_hex": name.to_str().is_err().then(|| hex(name.to_bytes())),
            "kind": state.map_or("unknown", |state| kind(FileType::from_raw_mode(state.st_mode))),
            "size": state.as_ref().map(length),
            "modified": state.as_ref().map(modified),
            "mode": state.map(|state| format!("{:04o}", state.st_mode & 0o7777)),
        });
        step("write", writeln!(out, "{line}"))?;
    }
    step("write", out.flush())?;
    if is_all { Ok(()) } else { Err(Fault::TooMany(MOST)) }
}

fn kind(of: FileType) -> &'static str {
    match of {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => "other",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
