//! The keeper: root, parses nothing. It starts the monitor, and when that ends kills every call and starts it again.

mod life;
mod line;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::process::{Pid, WaitStatus, kill_process};
use rustix::thread::CapabilitySet;

use crate::clock::Instants;
use crate::monitor::cgroup;
use crate::run::{Children, Left, kill_all, reap_all, shed};
use life::Life;
pub use line::{BEAT_EVERY, KeeperLine};

/// The monitor's exit status for a mistake in its arguments or configuration, which another start would not mend.
pub const CONFIGURATION: u8 = 2;
/// The argument that makes `openscoped` the monitor.
pub const AS_MONITOR: &str = "--as-monitor";

/// The pause before the first start after a death; it doubles with each death.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A monitor that lived so long was well: the next pause is the first again.
const LONG_LIFE: Duration = Duration::from_mins(1);
/// How long the calls of a monitor that ended are given to die.
const DYING: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What the monitor may need of root's powers: files, accounts, processes, limits. No modules, devices, clock, network or
/// kernel log. A runner gives up these too.
const NEEDED: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SYS_RESOURCE);

/// Whether verbs may be given a network of their own, which takes more than all else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Networks {
    /// They share the machine's.
    Shared,
    /// They may: `CAP_SYS_ADMIN` is kept.
    Isolated,
}

/// What `openscoped` does: keep a monitor running, with these arguments, until it is told to stop.
///
/// Of the descriptors that it has inherited only those of `handed_down` reach the monitor. The exit
/// status is the monitor's.
#[must_use]
pub fn main(
    arguments: impl Iterator<Item = OsString>,
    handed_down: &[RawFd],
    networks: Networks,
) -> ExitCode {
    close_fds::set_fds_cloexec(3, handed_down);
    let arguments = [AS_MONITOR.into()].into_iter().chain(arguments).collect();
    // Before there is anybody else who would have to move.
    cgroup::make_room();
    match shed(networks).and_then(|()| keep("/proc/self/exe", arguments)) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            say(&format!("openscoped: the keeper cannot go on: {fault}"));
            ExitCode::FAILURE
        }
    }
}

/// What neither this process nor any that comes of it is to have.
fn shed(networks: Networks) -> io::Result<()> {
    shed::ignored_signals()?;
    let kept = match networks {
        Networks::Shared => NEEDED,
        Networks::Isolated => NEEDED.union(CapabilitySet::SYS_ADMIN),
    };
    Ok(shed::bounding_set(kept)?)
}

fn keep(program: &str, arguments: Vec<OsString>) -> io::Result<u8> {
    let orders = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
    let children = Children::adopt(&orders)?;
    let asked = Asked::Nothing;
    Keeper { program: program.into(), arguments, children, instance: None, asked }.keep()
}

struct Keeper {
    program: OsString,
    arguments: Vec<OsString>,
    children: Children,
    /// The cgroup that all calls are in, once the monitor has told it.
    instance: Option<PathBuf>,
    asked: Asked,
}

/// Whether somebody has asked for the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    Nothing,
    Stop,
}

impl Keeper {
    fn keep(&mut self) -> io::Result<u8> {
        let mut pause = None;
        loop {
            let begun = Instants::now().boot;
            let status = Life::begin(self)?.watch(self)?;
            self.end_calls()?;
            if let Some(code) = last_word(status, self.asked) {
                self.tidy();
                return Ok(code);
            }
            let next = pause_after(pause, Instants::now().boot.saturating_sub(begun));
            pause = Some(next);
            say(&format!("openscoped: the monitor ended ({}); next in {next:?}", told(status)));
            self.pause(next)?;
            if self.asked == Asked::Stop {
                self.tidy();
                return Ok(0);
            }
        }
    }

    /// Kills all calls, and all else that the monitor left, and waits for it.
    fn end_calls(&mut self) -> io::Result<()> {
        let last = Instants::now().boot + DYING;
        while !self.are_all_dead()? {
            if Instants::now().boot >= last {
                say("openscoped: some processes of calls do not die");
                return Ok(());
            }
            self.children.rest(LOOK_AGAIN)?;
            self.take_signals(None)?;
        }
        Ok(())
    }

    /// Kills all calls, whether or not the monitor has ended.
    fn kill_calls(&self) -> io::Result<()> {
        if let Some(path) = self.instance.as_deref().filter(|path| cgroup::is_cgroup(path)) {
            cgroup::is_empty_after_kill(path)?;
        }
        kill_all()
    }

    /// A runner that has its order and is not yet in its cgroup is a child of this process by now.
    fn are_all_dead(&self) -> io::Result<bool> {
        let calls = self.instance.as_deref().filter(|path| cgroup::is_cgroup(path));
        let empty = calls.map_or(Ok(true), cgroup::is_empty_after_kill)?;
        let left = reap_all(|_pid, _status| {})?;
        if left == Left::Some {
            kill_all()?;
        }
        Ok(empty && left == Left::None)
    }

    fn pause(&mut self, pause: Duration) -> io::Result<()> {
        let end = Instants::now().boot + pause;
        while self.asked == Asked::Nothing {
            let rest = end.saturating_sub(Instants::now().boot);
            if rest.is_zero() {
                break;
            }
            self.children.rest(rest)?;
            self.take_signals(None)?;
        }
        Ok(())
    }

    /// Hands signals on. A second one that asks for the end is the end.
    fn take_signals(&mut self, monitor: Option<Pid>) -> io::Result<()> {
        while let Some(number) = self.children.next_signal()? {
            let signal = match self.asked {
                Asked::Stop if is_stop(number) => rustix::process::Signal::KILL,
                Asked::Nothing if is_stop(number) => rustix::process::Signal::TERM,
                Asked::Nothing | Asked::Stop if is(number, Signal::SIGHUP) => {
                    rustix::process::Signal::HUP
                }
                Asked::Nothing | Asked::Stop => continue,
            };
            if is_stop(number) {
                self.asked = Asked::Stop;
            }
            // It has not been waited for, so its number is still its own.
            monitor.map_or(Ok(()), |monitor| kill_process(monitor, signal))?;
        }
        Ok(())
    }

    fn tidy(&self) {
        if let Some(path) = self.instance.as_deref().filter(|path| cgroup::is_cgroup(path)) {
            // The next start removes what stays.
            let _ = cgroup::remove(path);
        }
    }
}

/// What the keeper ends with, if this is not to be followed by another life.
fn last_word(status: WaitStatus, asked: Asked) -> Option<u8> {
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
    match (code, asked) {
        (Some(0 | CONFIGURATION), _) => code,
        (code, Asked::Stop) => Some(code.unwrap_or(1)),
        (Some(_) | None, Asked::Nothing) => None,
    }
}

/// After a life of this length, with this pause before it.
fn pause_after(before: Option<Duration>, lived: Duration) -> Duration {
    match before {
        Some(before) if lived < LONG_LIFE => LONGEST_PAUSE.min(before * 2),
        Some(_) | None => FIRST_PAUSE,
    }
}

fn told(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    }
}

fn is_stop(number: u32) -> bool {
    is(number, Signal::SIGTERM) || is(number, Signal::SIGINT)
}

fn is(number: u32, signal: Signal) -> bool {
    i32::try_from(number) == Ok(signal as i32)
}

/// Nobody is left to be told that standard error is gone.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests;
