//! Starting a holder. What it needs goes through a pipe: a secret is in no command line and no environment.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use policy::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::handle::{Identity, MAX_HANDLE, Sealed};
use zeroize::Zeroizing;

use crate::clock::now;
use crate::environment::HANDLE_VARIABLE;
use crate::failure::chain;
use crate::seat::Seat;

/// What it is called where processes are listed.
const NAME: &str = "openscope-reflect-client";
/// The hidden command that is a holder.
const COMMAND: &str = "hold";
/// A holder listens, or says why not, before it talks to anybody.
const LISTEN_LIMIT: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// An order is a time, a handle and the key that opens it.
const LONGEST: u64 = MAX_HANDLE as u64 + 4096;
/// What a holder that listens says; anything else is why it does not.
const LISTENS: &[u8] = b"+";

/// What a holder is to hold.
pub(super) struct Order {
    pub(super) seat: Seat,
    pub(super) stay: Duration,
}

/// Starts a holder, and comes back once somebody listens. It belongs to no terminal and to nobody who waits for it.
pub(super) fn launch(seat: &Seat, stay: Duration) -> Result<(), String> {
    let order = Order::write(seat, stay)?;
    // It must not keep open what a script has opened for us.
    close_fds::set_fds_cloexec(3, &[]);
    #[expect(clippy::disallowed_methods, reason = "the program's one place that starts itself")]
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME).arg(COMMAND).env_remove(HANDLE_VARIABLE);
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let not_started = |fault: io::Error| format!("its holder cannot be started: {fault}");
    let mut holder = command.spawn().map_err(not_started)?;
    if let Some(mut stdin) = holder.stdin.take() {
        stdin.write_all(order.as_bytes()).map_err(not_started)?;
    }
    let said = holder.stdout.take().map_or_else(|| Ok(Vec::new()), said).map_err(not_started)?;
    match said.as_slice() {
        LISTENS => Ok(()),
        [] => Err("its holder has ended at once".to_owned()),
        why => Err(crate::neutral::one_line(&String::from_utf8_lossy(why), 300)),
    }
}

/// What a holder says of its socket.
fn said(mut stdout: ChildStdout) -> io::Result<Vec<u8>> {
    if poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&LISTEN_LIMIT))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut said = vec![0; 1024];
    let length = stdout.read(&mut said)?;
    said.truncate(length);
    Ok(said)
}

/// Tells whoever started us that somebody listens, or why nobody does, and has no business with them from here on.
pub(super) fn tell(listens: Result<(), &str>) -> io::Result<()> {
    let mut stdout = io::stdout();
    match listens {
        Ok(()) => stdout.write_all(LISTENS)?,
        Err(why) => stdout.write_all(why.as_bytes())?,
    }
    stdout.flush()?;
    let nowhere = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    Ok(())
}

impl Order {
    /// The handle is sealed once more, to a key that goes beside it.
    fn write(seat: &Seat, stay: Duration) -> Result<Zeroizing<String>, String> {
        let (handle, key) = seat.handle().seal_bearer().map_err(|fault| chain(&fault))?;
        Ok(Zeroizing::new(format!("{}\n{handle}\n{}\n", stay.as_millis(), key.expose())))
    }

    /// The order that comes on standard input.
    pub(super) fn read() -> Option<Self> {
        let mut text = Zeroizing::new(String::new());
        io::stdin().lock().take(LONGEST).read_to_string(&mut text).ok()?;
        Self::parse(&text, now())
    }

    fn parse(text: &str, now: Timestamp) -> Option<Self> {
        let mut lines = text.lines();
        let stay = Duration::from_millis(lines.next()?.parse().ok()?);
        let sealed = Sealed::parse(lines.next()?).ok()?;
        let key = Identity::parse(lines.next()?, || None).ok()?;
        let seat = Seat::verified(sealed.open(&key).ok()?, now).ok()?;
        Some(Self { seat, stay })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const STAY: Duration = Duration::from_millis(1500);

    #[test]
    fn an_order_says_which_seat_and_how_long() {
        for seat in [sample::seat(), sample::narrowed(), sample::handed_on(20)] {
            let text = Order::write(&seat, STAY).unwrap();
            let order = Order::parse(&text, Timestamp(0)).unwrap();
            assert_eq!(order.seat.passport().digest(), seat.passport().digest());
            assert_eq!(order.seat.handle().rendezvous.expose(), seat.handle().rendezvous.expose());
            assert_eq!(order.seat.handle().redeem.is_some(), seat.handle().redeem.is_some());
            assert_eq!(order.stay, STAY);
        }
    }

    #[test]
    fn what_is_no_order_or_too_late_is_none() {
        let text = Order::write(&sample::seat(), STAY).unwrap();
        assert!(Order::parse(&text, sample::NOT_AFTER).is_none());
        for cut in [0, 3, text.len() / 2, text.len() - 10] {
            let cut = text.get(..cut).unwrap();
            assert!(Order::parse(cut, Timestamp(0)).is_none(), "{cut}");
        }
    }
}
