//! The person at the terminal: questions, secrets, and pasted handles.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

/// A pasted text longer than this is cut off: no handle is as long.
const MOST: usize = 64 * 1024;
/// A paste whose next line has not come after this is over.
const PASTE_PAUSE: Duration = Duration::from_millis(60);

/// Somebody who can answer.
pub(crate) trait Person {
    /// Shows a text and takes the line that is typed.
    fn ask(&mut self, text: &str) -> io::Result<String>;
    /// Shows a text and takes a line that nobody else sees. It may be longer than a terminal's own lines.
    fn ask_hidden(&mut self, text: &str) -> io::Result<Zeroizing<String>>;
}

/// The controlling terminal, whatever the standard streams are.
#[derive(Debug)]
pub(crate) struct Tty(File);

impl Tty {
    /// The terminal, when there is one and its person sees what we say on standard error.
    pub(crate) fn open() -> Option<Self> {
        let sees = io::stderr().is_terminal();
        let open = || OpenOptions::new().read(true).write(true).open("/dev/tty").ok();
        sees.then(open).flatten().map(Self)
    }
}

impl Person for Tty {
    fn ask(&mut self, text: &str) -> io::Result<String> {
        self.0.write_all(text.as_bytes())?;
        let mut line = String::new();
        match BufReader::new(&self.0).read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim().to_owned()),
        }
    }

    fn ask_hidden(&mut self, text: &str) -> io::Result<Zeroizing<String>> {
        self.0.write_all(text.as_bytes())?;
        let raw = Raw::on(&self.0)?;
        let pasted = read_paste(&self.0, || more_is_coming(&self.0));
        drop(raw);
        self.0.write_all(b"\n")?;
        pasted
    }
}

/// A terminal that gives bytes as they come and echoes none; as it was before once this is dropped.
#[derive(Debug)]
pub(crate) struct Raw<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Raw<'a> {
    fn on(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        // Without ISIG as well: a Ctrl+C that killed us here would leave the terminal without echo.
        raw.local_modes -=
            LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        raw.input_modes -= InputModes::ICRNL;
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Drain, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _best_effort = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

fn more_is_coming(terminal: &File) -> bool {
    let pause = Timespec { tv_sec: 0, tv_nsec: PASTE_PAUSE.subsec_nanos().into() };
    poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&pause)).is_ok_and(|ready| ready > 0)
}

/// Reads up to an Enter after which nothing more comes: a pasted text may have line breaks in it.
fn read_paste(mut from: impl Read, more: impl Fn() -> bool) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(Vec::new());
    let mut piece = Zeroizing::new([0; 4096]);
    loop {
        let length = from.read(piece.as_mut_slice())?;
        let mut ended = length == 0;
        for byte in piece.iter().take(length) {
            match byte {
                // Ctrl+C
                3 => return Err(io::ErrorKind::Interrupted.into()),
                // Ctrl+D
                4 => ended = true,
                // Backspace
                8 | 0x7f => drop(text.pop()),
                byte => text.push(*byte),
            }
        }
        let entered = matches!(text.last(), Some(b'\r' | b'\n')) && !text.trim_ascii().is_empty();
        if ended || text.len() > MOST || (entered && !more()) {
            return Ok(pasted(&text));
        }
    }
}

/// The text without the marks that some terminals put around a paste.
fn pasted(bytes: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    let start = Zeroizing::new(text.replace("\u{1b}[200~", ""));
    Zeroizing::new(start.replace("\u{1b}[201~", "").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_text_may_be_longer_than_a_terminals_line_and_have_line_breaks() {
        let long = "x".repeat(5000) + "\r" + &"y".repeat(5000) + "\r";
        let text = read_paste(long.as_bytes(), || true).unwrap();
        assert_eq!(text.len(), 10_001);
    }

    #[test]
    fn enter_ends_a_line_when_nothing_more_is_coming() {
        let text = read_paste(b"\rabc\x7fd\r".as_slice(), || false).unwrap();
        assert_eq!(*text, "abd");
    }

    #[test]
    fn a_bracketed_paste_loses_its_brackets() {
        assert_eq!(*pasted(b"\x1b[200~osp1_abc\x1b[201~\r"), "osp1_abc");
    }

    #[test]
    fn control_c_gives_up() {
        let error = read_paste(b"abc\x03".as_slice(), || false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
