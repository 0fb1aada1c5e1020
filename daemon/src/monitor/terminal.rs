//! The terminal of a call: a pair of which the verb has one end and the broker the other.
//!
//! It is the first and only terminal of a session that was begun for this call. Whoever types into it, or has it type
//! (`TIOCSTI`), reaches the processes of this session and no other terminal of the owner's.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use wire::terminal::{Terminal, WindowSize};

use crate::run::Order;

/// Both ends of a terminal. Neither is the monitor's own.
#[derive(Debug)]
pub(super) struct Pair {
    /// What a person's terminal is to a program: what is written here was typed.
    pub(super) ours: OwnedFd,
    /// The verb's end.
    pub(super) theirs: OwnedFd,
}

impl Pair {
    /// A new terminal of this size. Its end for the verb is opened by descriptor: no name is looked up.
    ///
    /// # Errors
    /// When the system has no more of them, or none.
    pub(super) fn open(size: WindowSize) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        tcsetwinsize(&ours, winsize(size))?;
        // So that a backspace takes a character, not a byte of it.
        let mut modes = tcgetattr(&theirs)?;
        modes.input_modes |= InputModes::IUTF8;
        tcsetattr(&theirs, OptionalActions::Now, &modes)?;
        Ok(Self { ours, theirs })
    }
}

fn winsize(size: WindowSize) -> Winsize {
    Winsize { ws_row: size.rows(), ws_col: size.columns(), ws_xpixel: 0, ws_ypixel: 0 }
}

/// Says in the verb's environment what the terminal is, unless the catalog does.
pub(super) fn name(order: &mut Order, terminal: &Terminal) {
    let term = || terminal.term().to_owned();
    order.environment.entry("TERM".to_owned()).or_insert_with(term);
}
