//! What ssh says aloud where its verb has a terminal. What the program there shows comes another way, so all of this is
//! ssh's own, and it names the network: it is for the record. `LogLevel` does not silence it, nor does `-E` move it.

use std::cell::OnceCell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::read;
use rustix::pipe::{PipeFlags, pipe_with};

/// So much of it is heard.
const HEARD_MAX: usize = 4096;

/// Our end of a pipe into which ssh speaks.
#[derive(Debug)]
pub(super) struct Words {
    pipe: OwnedFd,
    heard: OnceCell<String>,
}

impl Words {
    /// With the end that is for ssh. Neither end ever waits for the other.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (pipe, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok((Self { pipe, heard: OnceCell::new() }, theirs))
    }

    /// All that was said when this was asked for the first time, without the word that every ssh before 8.9 ends with.
    pub(super) fn heard(&self) -> &str {
        self.heard.get_or_init(|| {
            let mut bytes = vec![0; HEARD_MAX];
            // What cannot be read was not said.
            let length = read(&self.pipe, &mut bytes).unwrap_or_default();
            let said = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default());
            let lines = said.lines().filter(|line| !line.trim_end().ends_with(" closed."));
            lines.flat_map(|line| [line, "\n"]).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &str) -> String {
        let (words, theirs) = Words::new().unwrap();
        rustix::io::write(&theirs, said.as_bytes()).unwrap();
        let heard = words.heard().to_owned();
        rustix::io::write(&theirs, b"later\n").unwrap();
        assert_eq!(words.heard(), heard);
        heard
    }

    #[test]
    fn what_ssh_has_to_say_of_its_end_is_heard_and_nobody_waits_for_more() {
        let cut = "Connection to 10.0.0.1 closed by remote host.\r\n";
        assert_eq!(heard(cut), "Connection to 10.0.0.1 closed by remote host.\n");
        assert_eq!(heard(&format!("{cut}Connection to 10.0.0.1 closed.\r\n")), heard(cut));
        assert_eq!(heard("Shared connection to 10.0.0.1 closed.\r\n"), "");
        let (words, theirs) = Words::new().unwrap();
        assert_eq!(words.heard(), "");
        drop(theirs);
        assert_eq!(words.heard(), "");
    }

    #[test]
    fn of_a_flood_as_much_is_heard_as_is_kept() {
        let (words, theirs) = Words::new().unwrap();
        while rustix::io::write(&theirs, &[b'x'; HEARD_MAX]).is_ok() {}
        assert_eq!(words.heard().len(), HEARD_MAX + 1);
    }
}
