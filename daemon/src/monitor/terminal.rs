//! The terminal of a call: a pair of which the verb has one end and the broker the other.
//!
//! It is the first and only terminal of a session that was begun for this call. Whoever types into it, or has it type
//! (`TIOCSTI`), reaches the processes of this session and no other terminal of the owner's.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};
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

    /// The same for ssh, which has a terminal there made as this one is and hands on what is typed, once it is connected.
    /// Until then it is its reader that sees to keys (`EXTPROC`): none is echoed here, none interrupts ssh, and the
    /// broker, which sees these modes, keeps them until ssh takes each as it is.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub(super) fn relayed(size: WindowSize) -> io::Result<Self> {
        let pair = Self::open(size)?;
        let mut modes = tcgetattr(&pair.theirs)?;
        modes.local_modes |= LocalModes::EXTPROC;
        tcsetattr(&pair.theirs, OptionalActions::Now, &modes)?;
        Ok(pair)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_sees_of_its_terminal_is_what_a_program_would_but_for_who_sees_to_keys() {
        let size = WindowSize::new(7, 70).unwrap();
        let (pair, relayed) = (Pair::open(size).unwrap(), Pair::relayed(size).unwrap());
        let (usual, mut modes) =
            (tcgetattr(&pair.theirs).unwrap(), tcgetattr(&relayed.theirs).unwrap());
        assert!(modes.local_modes.contains(LocalModes::EXTPROC | LocalModes::ICANON));
        modes.local_modes -= LocalModes::EXTPROC;
        assert_eq!(modes.local_modes, usual.local_modes);
        assert_eq!(modes.input_modes, usual.input_modes);
        let set = rustix::termios::tcgetwinsize(&relayed.theirs).unwrap();
        assert_eq!((set.ws_row, set.ws_col), (7, 70));
    }
}
