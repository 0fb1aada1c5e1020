//! What the owner's side says of a file, on standard error.

use serde::Deserialize;

use crate::neutral::one_line;

/// A line that is longer is none of ours.
const LINE: usize = 4096;
/// As many lines of words are kept.
const WORDS: usize = 16;

/// What is said, line by line.
#[derive(Debug, Default)]
pub(super) struct Notes {
    line: Vec<u8>,
    /// What the owner's side says in words.
    pub(super) words: Vec<String>,
}

/// One line of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Note {
    Begin {
        size: u64,
        offset: u64,
        sha256_before: Option<String>,
    },
    /// It ends before what is asked for.
    Shorter {
        size: u64,
    },
    End {
        size: u64,
        sha256: Option<String>,
    },
    Kept {
        size: u64,
        sha256: String,
        replaced: bool,
    },
}

impl Notes {
    /// Takes what has come. What is understood of it.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Note> {
        let mut heard = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => heard.extend(self.end_line()),
                _ if self.line.len() < LINE => self.line.push(*byte),
                _ => {}
            }
        }
        heard
    }

    fn end_line(&mut self) -> Option<Note> {
        let line = std::mem::take(&mut self.line);
        let note = serde_json::from_slice(&line).ok();
        if note.is_none() && self.words.len() < WORDS {
            let words = String::from_utf8_lossy(&line);
            self.words.push(format!("the owner's side: {}", one_line(&words, 400)));
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_however_they_are_cut_and_others_are_words() {
        let text = b"{\"event\":\"end\",\"schema\":\"openscope.file/1\",\"size\":3,\"sha256\":\"ab\"}\nno \x1b[2Jroom\n";
        for cut in 0..text.len() {
            let mut notes = Notes::default();
            let (first, rest) = text.split_at(cut);
            let heard = [notes.hear(first), notes.hear(rest)].concat();
            assert_eq!(heard, [Note::End { size: 3, sha256: Some("ab".to_owned()) }]);
            assert_eq!(notes.words, ["the owner's side: no room"]);
        }
    }

    #[test]
    fn what_never_ends_is_not_kept() {
        let mut notes = Notes::default();
        for _ in 0..100 {
            assert_eq!(notes.hear(&[b'x'; 1000]), []);
        }
        assert_eq!(notes.line.len(), LINE);
        notes.hear(&b"\n".repeat(1000));
        assert_eq!(notes.words.len(), WORDS);
    }
}
