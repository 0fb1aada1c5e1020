//! The terminal of a verb that has one.

use rustix::fs::{Mode, Uid, fchmod, fchown};
use rustix::process::ioctl_tiocsctty;
use rustix::stdio::stdin;
use rustix::termios::isatty;

use super::owner::Owner;

/// Nobody but the owner writes to it or reads from it: not even those who may write to everybody's.
const OWNERS: Mode = Mode::from_raw_mode(0o600);

/// Makes the terminal that was attached, if one was, this session's own and the owner's, who may open it again.
/// The session is new and has no other, and a terminal is given to no second one.
pub(super) fn take(owner: &Owner) -> rustix::io::Result<()> {
    if !isatty(stdin()) {
        return Ok(());
    }
    fchown(stdin(), Some(Uid::from_raw(owner.uid())), None)?;
    fchmod(stdin(), OWNERS)?;
    ioctl_tiocsctty(stdin())
}
