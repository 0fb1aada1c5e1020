//! What is typed to a forwarder that tells of requests: which of them to ask again.

use std::io;
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::process::getpgrp;
use rustix::termios::{isatty, tcgetpgrp};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Lines that wait.
const WAITING: usize = 16;
/// A line is not longer; the rest of it is left out.
const LINE_MAX: usize = 256;
/// How long to leave a terminal alone that is another's for now.
const LATER: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

pub(super) const HELP: &str =
    "type `r 12`, or `replay 12`, to ask #12 again as a new call; `?` for this; Ctrl+C ends";

/// What somebody wants.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    /// To ask for this again.
    Replay(u64),
    /// To be told what can be typed.
    Help,
}

/// What a line says; nothing where it is empty.
pub(super) fn said(line: &str) -> Option<Command> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some("r" | "replay"), Some(number), None) => {
            let number = number.strip_prefix('#').unwrap_or(number).parse();
            Some(number.map_or(Command::Help, Command::Replay))
        }
        (Some(_), ..) => Some(Command::Help),
    }
}

/// The lines of standard input, from now on. Their end is the end of nothing else.
pub(super) fn lines() -> io::Result<Receiver<String>> {
    let (lines, waiting) = mpsc::channel(WAITING);
    let work = move || {
        let _unread = read_all(&lines);
    };
    thread::Builder::new().name("commands".to_owned()).spawn(work)?;
    Ok(waiting)
}

fn read_all(lines: &Sender<String>) -> Result<(), Errno> {
    let stdin = rustix::stdio::stdin();
    let (mut piece, mut line) = ([0; 1024], Vec::new());
    loop {
        // Who reads a terminal in the background is stopped.
        if isatty(stdin) && tcgetpgrp(stdin)? != getpgrp() {
            poll(&mut [], Some(&LATER))?;
            continue;
        }
        poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None)?;
        if isatty(stdin) && tcgetpgrp(stdin)? != getpgrp() {
            continue;
        }
        let length = match read(stdin, &mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(errno) => return Err(errno),
        };
        for byte in piece.get(..length).unwrap_or_default() {
            match byte {
                b'\n' => {
                    let whole = String::from_utf8_lossy(&line).into_owned();
                    line.clear();
                    if lines.blocking_send(whole).is_err() {
                        return Ok(());
                    }
                }
                byte if line.len() < LINE_MAX => line.push(*byte),
                _ => {}
            }
        }
    }
}

/// The next line, once there is one.
pub(super) async fn next(lines: &mut Option<Receiver<String>>) -> String {
    if let Some(waiting) = lines {
        if let Some(line) = waiting.recv().await {
            return line;
        }
        *lines = None;
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_to_ask_again_and_all_else_is_answered_with_help() {
        for again in ["r 12", "replay 12", " r  #12 ", "replay #12\r"] {
            assert_eq!(said(again), Some(Command::Replay(12)), "{again:?}");
        }
        for other in [
            "?",
            "help",
            "r",
            "r x",
            "r -1",
            "r 1 2",
            "r12",
            "12",
            "quit",
            "r 99999999999999999999",
        ] {
            assert_eq!(said(other), Some(Command::Help), "{other:?}");
        }
        assert_eq!((said(""), said("  ")), (None, None));
    }
}
