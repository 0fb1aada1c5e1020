//! A file's bytes, from some byte on.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Fault, PIECE, Place, SCHEMA, TOLD, hex, length, modified, stdout, step, tell};

/// Its bytes go out as they are; before them its length and, of one that is gone on with, the SHA-256 of what lies
/// before, and after them the SHA-256 of all. No more than it had when it was opened: a log is whole at some moment.
///
/// Of one that is masked no SHA-256 is told: by it a weak secret could be guessed.
pub(super) fn get(
    place: &Place<'_>,
    (offset, is_masked): (u64, bool),
    (most, length_max): (u64, u64),
) -> Result<(), Fault> {
    let (mut file, state) = place.regular()?;
    let size = length(&state);
    let Some(left) = size.checked_sub(offset) else {
        tell(&json!({ "schema": SCHEMA, "event": "shorter", "size": size }))?;
        return Err(Fault::Offset { size, offset });
    };
    // Also what is not read again is read, for its SHA-256.
    let most = most.saturating_sub(TOLD);
    if left > most || size > length_max {
        return Err(Fault::TooLong { length: left, most: most.min(length_max) });
    }
    if size == 0 && step("read it", file.read_at(&mut [0], 0))? > 0 {
        return Err(Fault::Endless);
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
    let sha256 = (!is_masked).then(|| hex(hash));
    tell(&json!({ "schema": SCHEMA, "event": "end", "size": size, "sha256": sha256 }))
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
