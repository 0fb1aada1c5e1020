//! A file's bytes, from some byte on.

use std::fs::File;
use std::io::{Read as _, Write as _};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Fault, PIECE, Place, SCHEMA, TOLD, hex, length, modified, stdout, step, tell};

/// Its bytes go out as they are; before them its length and, of one that is gone on with, the SHA-256 of what lies
/// before, and after them the SHA-256 of all. No more than it had when it was opened: a log is whole at some moment.
pub(super) fn get(place: &Place<'_>, offset: u64, most: u64) -> Result<(), Fault> {
    let (mut file, state) = place.regular()?;
    let size = length(&state);
    let left = size.checked_sub(offset).ok_or(Fault::Offset { size, offset })?;
    if left.saturating_add(TOLD) > most {
        return Err(Fault::TooLong { length: left, most });
    }
    let mut hash = Sha256::new();
    read(&mut file, offset, |bytes| {
        hash.update(bytes);
        Ok(())
    })?;
    tell(&json!({
        "schema": SCHEMA,
        "event": "begin",
        "size": size,
        "offset": offset,
        "modified": modified(&state),
        "sha256_before": (offset > 0).then(|| hex(hash.clone())),
    }))?;
    let mut stdout = stdout()?;
    read(&mut file, left, |bytes| {
        hash.update(bytes);
        step("write", stdout.write_all(bytes))
    })?;
    tell(&json!({ "schema": SCHEMA, "event": "end", "size": size, "sha256": hex(hash) }))
}

/// So many bytes, in pieces.
fn read(
    file: &mut File,
    mut left: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let room = buffer.get_mut(..most).unwrap_or_default();
        let count = step("read it", file.read(room))?;
        let bytes = room.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Err(Fault::Cut);
        }
        take(bytes)?;
        left = left.saturating_sub(count as u64);
    }
    Ok(())
}
