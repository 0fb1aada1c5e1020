//! Our own terminal while a verb has it: keys as they are pressed, and nothing done to what is shown.

use std::io;
use std::panic;
use std::sync::{Mutex, Once, PoisonError, TryLockError};

use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use wire::terminal::{MOST_CELLS, WindowSize};

/// How the terminal was found, while it is otherwise. Here, since a panic ends this program without dropping anything.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
/// What a panic does first is set once.
static HOOK: Once = Once::new();

/// A terminal that a verb has; as it was found once this is dropped, or this program panics.
#[derive(Debug)]
pub(crate) struct Console(());

impl Console {
    /// Gives our terminal away.
    pub(crate) fn give() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        HOOK.call_once(restore_at_panic);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let given = Self(());
        // Not once all is shown: who has stopped the screen would stop us.
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(given)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        restore();
    }
}

fn restore_at_panic() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        restore();
        usual(what);
    }));
}

fn restore() {
    let mut before = match BEFORE.try_lock() {
        Ok(before) => before,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Whoever has it is about to set it, or to restore it.
        Err(TryLockError::WouldBlock) => return,
    };
    if let Some(before) = before.take() {
        let _best_effort = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

/// How large our screen is, within what is passed on.
pub(crate) fn size() -> WindowSize {
    let known = tcgetwinsize(stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let size = known.map(|size| (size.ws_row.min(MOST_CELLS), size.ws_col.min(MOST_CELLS)));
    size.and_then(|(rows, columns)| WindowSize::new(rows, columns).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
    use rustix::termios::LocalModes;
    use std::os::fd::OwnedFd;
    use std::process::{Command, Output};

    /// Which part of a test a re-executed test program plays.
    const PART: &str = "OPENSCOPE_TEST_CONSOLE";

    fn terminal() -> (OwnedFd, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).and_then(|()| unlockpt(&ours)).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
        (ours, theirs)
    }

    fn is_raw(terminal: impl std::os::fd::AsFd) -> bool {
        let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        !tcgetattr(terminal).unwrap().local_modes.intersects(usual)
    }

    /// Not a test by itself: the part that the environment names, and nothing without one.
    #[test]
    fn parts() {
        #[expect(clippy::disallowed_methods, reason = "how a part is told which it is")]
        let part = std::env::var(PART);
        let Ok(part) = part else { return };
        let console = Console::give().unwrap();
        assert!(is_raw(stdin()));
        if part == "panic" {
            // As where a panic ends the program, and drops nothing.
            std::mem::forget(console);
            panic!("a panic at a terminal");
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test starts itself again")]
    fn play(part: &str, stdin: &OwnedFd) -> Output {
        let mut command = Command::new("/proc/self/exe");
        command.args(["--exact", "console::tests::parts", "--nocapture", "--test-threads=1"]);
        command.env(PART, part).stdin(stdin.try_clone().unwrap()).output().unwrap()
    }

    #[test]
    fn a_terminal_is_given_back_at_the_end_and_at_a_panic() {
        for (part, passes) in [("end", true), ("panic", false)] {
            let (_ours, theirs) = terminal();
            let output = play(part, &theirs);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), passes, "{part}: {said}");
            assert_eq!(said.contains("a panic at a terminal"), !passes, "{part}: {said}");
            assert!(!is_raw(&theirs), "{part}");
        }
    }
}
