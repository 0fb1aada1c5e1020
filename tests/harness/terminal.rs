//! A person at a terminal of their own, before a program.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};

use rustix::fs::{Uid, fchown};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, OutputModes, Winsize, tcgetattr, tcsetwinsize};

use crate::account::Account;
use crate::background::{Heard, as_user};
use crate::wait::until;

/// A program at a terminal. The program is ended when this is dropped.
pub struct AtTerminal {
    child: Child,
    terminal: File,
    pub shown: Heard,
    /// Kept open, as a person's window is after a program.
    _theirs: OwnedFd,
}

impl AtTerminal {
    /// Runs `command` as `account` at a terminal of this size, which is its session's own.
    ///
    /// # Panics
    /// When that cannot be done.
    pub fn start(command: &Command, account: &Account, rows: u16, columns: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).expect("make a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("unlock it");
        let theirs = ioctl_tiocgptpeer(&ours, flags).expect("open its other end");
        fchown(&theirs, Some(Uid::from_raw(account.uid)), None).expect("give it away");
        let another = || theirs.try_clone().expect("another descriptor");
        let mut wrapped = Command::new("/usr/bin/setsid");
        as_user(&mut wrapped, account);
        wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        wrapped.env("TERM", "xterm-256color");
        wrapped.arg("--ctty").arg(command.get_program()).args(command.get_args());
        wrapped.stdin(another()).stdout(another()).stderr(another());
        resize(&ours, rows, columns);
        let child = wrapped.spawn().expect("run it at a terminal");
        let shown = Heard::default();
        let terminal = File::from(ours);
        shown.listen(terminal.try_clone().expect("another descriptor"));
        Self { child, terminal, shown, _theirs: theirs }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn types(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).expect("type");
    }

    pub fn resizes(&self, rows: u16, columns: u16) {
        resize(&self.terminal, rows, columns);
    }

    /// Waits until this is shown; all that was.
    pub fn sees(&self, part: &str) -> String {
        until(&format!("{part:?} is shown"), || {
            let text = self.shown.text();
            text.contains(part).then_some(text)
        })
    }

    /// Whether keys are handed on as they are pressed, and none is echoed.
    pub fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.terminal).expect("the terminal's modes");
        let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        !modes.local_modes.intersects(usual)
    }

    /// Whether the terminal is as a shell expects it.
    pub fn is_usual(&self) -> bool {
        let modes = tcgetattr(&self.terminal).expect("the terminal's modes");
        let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        modes.local_modes.contains(usual) && modes.output_modes.contains(OutputModes::OPOST)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("it is there");
    }

    /// Waits for the program's end.
    ///
    /// # Panics
    /// When that takes too long.
    pub fn wait(&mut self) -> ExitStatus {
        until("the program ends", || self.child.try_wait().expect("it is ours"))
    }
}

impl Drop for AtTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("resize it");
}
