//! `audit.head`: how far the log went, signed, so that a log that was cut short is found out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::line::Seal;
use super::recorded::Hex;

const MAGIC: &str = "openscope-audit-head-v1";

/// Room for the line below with every number at its longest.
const MAX_HEAD: usize = 320;

/// The last signed record, and the log's length after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) seal: Seal,
    pub(super) end: u64,
}

impl Head {
    /// Reads a head. None when there is none, or none that can be read.
    pub(super) fn read(file: &File) -> Option<Self> {
        let mut bytes = [0; MAX_HEAD];
        let length = file.read_at(&mut bytes, 0).ok()?;
        let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
        let mut words = text.strip_suffix('\n')?.split(' ');
        let mut word = || words.next();
        if word()? != MAGIC {
            return None;
        }
        let (seq, end) = (word()?.parse().ok()?, word()?.parse().ok()?);
        let (body, signature): (Hex<32>, Hex<64>) = (word()?.parse().ok()?, word()?.parse().ok()?);
        Some(Self { seal: Seal { seq, body, signature }, end })
    }

    /// Writes it over the one that is there; both have the same length.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(self.text().as_bytes(), 0)
    }

    fn text(&self) -> String {
        let Seal { seq, body, signature } = self.seal;
        format!("{MAGIC} {seq:020} {end:020} {body} {signature}\n", end = self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64, end: u64) -> Head {
        Head { seal: Seal { seq, body: Hex([3; 32]), signature: Hex([4; 64]) }, end }
    }

    #[test]
    fn a_head_is_read_back_after_any_other() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Head::read(&file), None);
        for head in [head(u64::MAX, u64::MAX), head(0, 0), head(7, 4096)] {
            head.write(&file).unwrap();
            assert_eq!(Head::read(&file), Some(head));
        }
    }

    #[test]
    fn a_head_that_was_cut_or_lengthened_is_none() {
        let file = tempfile::tempfile().unwrap();
        head(7, 9).write(&file).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - 1).unwrap();
        assert_eq!(Head::read(&file), None);
        file.set_len(length + 1).unwrap();
        assert_eq!(Head::read(&file), None);
    }
}
