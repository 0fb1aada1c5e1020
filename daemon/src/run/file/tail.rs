//! A file's last lines, and those that are added to it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Stat, fstat};

use super::{Fault, PIECE, Place, length, stdout, step};
use crate::clock::Instants;

/// How often somebody who follows looks for more.
const LOOK: Duration = Duration::from_millis(100);
/// How often they look whether the name is another file's: a log that was rotated.
const LOOK_FOR_ANOTHER: Duration = Duration::from_secs(1);

pub(super) fn tail(place: &Place<'_>, lines: u64, follow: bool, most: u64) -> Result<(), Fault> {
    let (mut file, state) = place.regular()?;
    let from = beginning(&file, length(&state), lines, most)?;
    step("read it", file.seek(SeekFrom::Start(from)))?;
    let mut out = stdout()?;
    pass(&mut file, &mut out)?;
    if follow { go_on(place, (file, state), &mut out) } else { Ok(()) }
}

/// Where its last lines begin, looked for from its end; not farther back than may be written.
fn beginning(file: &File, size: u64, lines: u64, most: u64) -> Result<u64, Fault> {
    if lines == 0 {
        return Ok(size);
    }
    let least = size.saturating_sub(most);
    let mut buffer = vec![0; PIECE];
    // The line feed at the very end ends the last line, and begins none.
    let (mut end, mut left) = (size, lines.saturating_add(1));
    let mut is_last = true;
    while end > least {
        let count = end.saturating_sub(least).min(PIECE as u64);
        let from = end.saturating_sub(count);
        let piece = buffer.get_mut(..usize::try_from(count).unwrap_or(PIECE)).unwrap_or_default();
        step("read it", file.read_exact_at(piece, from))?;
        if std::mem::take(&mut is_last) && piece.last() != Some(&b'\n') {
            left = lines;
        }
        for at in memchr::memrchr_iter(b'\n', piece) {
            left = left.saturating_sub(1);
            if left == 0 {
                return Ok(from.saturating_add(at as u64).saturating_add(1));
            }
        }
        end = from;
    }
    Ok(least)
}

/// Whatever there is by now.
fn pass(file: &mut File, out: &mut File) -> Result<u64, Fault> {
    let mut buffer = vec![0; PIECE];
    let mut passed = 0_u64;
    loop {
        let count = step("read it", file.read(&mut buffer))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(passed);
        }
        step("write", out.write_all(bytes))?;
        passed = passed.saturating_add(count as u64);
    }
}

/// Until nobody reads it any more.
fn go_on(
    place: &Place<'_>,
    (mut file, mut state): (File, Stat),
    out: &mut File,
) -> Result<(), Fault> {
    let mut looked = Instants::now().boot;
    while is_read(out)? {
        pass(&mut file, out)?;
        let at = step("read it", file.stream_position())?;
        if length(&step("look at it", fstat(&file))?) < at {
            note("it was cut short: from its beginning");
            step("read it", file.rewind())?;
        }
        let now = Instants::now().boot;
        if now.saturating_sub(looked) < LOOK_FOR_ANOTHER {
            continue;
        }
        looked = now;
        // Between two files nothing may have the name.
        if let Ok((other, there)) = place.regular()
            && (there.st_dev, there.st_ino) != (state.st_dev, state.st_ino)
        {
            pass(&mut file, out)?;
            note("another file has its name now: from that one's beginning");
            (file, state) = (other, there);
        }
    }
    Ok(())
}

/// Waits a little. Whether somebody still reads.
fn is_read(out: &File) -> Result<bool, Fault> {
    let wait = Timespec::try_from(LOOK).ok();
    let mut ends = [PollFd::new(out, PollFlags::empty())];
    match poll(&mut ends, wait.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(errno) => return step("wait", Err(errno)),
    }
    Ok(!ends.iter().any(|end| end.revents().intersects(PollFlags::ERR | PollFlags::HUP)))
}

fn note(words: &str) {
    // Where nobody reads it, what is read goes on.
    let _ = writeln!(io::stderr(), "{words}");
}
