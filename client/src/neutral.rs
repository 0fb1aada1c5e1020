//! Makes a stranger's text harmless for a terminal.
//!
//! A verb's output and an owner's words can hold escape sequences that move the cursor, retitle the
//! window, answer queries into our input, or reorder what a person reads.

/// Removes control sequences from a stream of bytes that goes to a terminal, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Neutral {
    state: State,
    /// The start of a character whose end has not arrived.
    partial: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, Eq, PartialEq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After `ESC [`: until a final byte.
    Sequence,
    /// After `ESC ]`, `P`, `^`, `_` or `X`: until BEL or `ESC \`.
    Words,
    /// After ESC within [`State::Words`].
    WordsEscape,
}

impl Neutral {
    /// What of this piece may be shown: text, line feeds and tabs. Bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&mut self, piece: &[u8]) -> String {
        let bytes = [std::mem::take(&mut self.partial).as_slice(), piece].concat();
        let mut shown = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            shown.extend(chunk.valid().chars().filter(|c| self.shows(*c)));
            let is_last = chunks.peek().is_none();
            if is_last && is_start_of_character(chunk.invalid()) {
                self.partial = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() && self.shows(char::REPLACEMENT_CHARACTER) {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
        }
        shown
    }

    fn shows(&mut self, c: char) -> bool {
        let was = self.state;
        self.state = was.after(c);
        // A line feed ends what is no sequence, so that nothing can swallow the lines after it.
        c == '\n' || (was == State::Text && self.state == State::Text && !is_control(c))
    }
}

impl State {
    fn after(self, c: char) -> Self {
        match (self, c) {
            (_, '\n') => Self::Text,
            (Self::Words | Self::WordsEscape, '\u{1b}') => Self::WordsEscape,
            (_, '\u{1b}') => Self::Escape,
            (Self::Text, c) => Self::after_text(c),
            (Self::Escape, c) => Self::after_escape(c),
            (Self::Sequence, ' '..='?') => Self::Sequence,
            (Self::Words, '\u{7}' | '\u{9c}') | (Self::WordsEscape, '\\') | (Self::Sequence, _) => {
                Self::Text
            }
            (Self::Words | Self::WordsEscape, _) => Self::Words,
        }
    }

    /// The C1 characters begin what ESC and a letter begin.
    fn after_text(c: char) -> Self {
        match c {
            '\u{9b}' => Self::Sequence,
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => Self::Words,
            _ => Self::Text,
        }
    }

    fn after_escape(c: char) -> Self {
        match c {
            '[' => Self::Sequence,
            ']' | 'P' | '^' | '_' | 'X' => Self::Words,
            ' '..='/' => Self::Escape,
            _ => Self::Text,
        }
    }
}

/// Whether the bytes may be the first of a character of at most four bytes.
pub(crate) fn is_start_of_character(bytes: &[u8]) -> bool {
    let wanted = match bytes.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return false,
    };
    bytes.len() < wanted
}

/// C0 but line feed and tab, DEL, C1, and the marks that reorder or hide text.
pub(crate) fn is_control(c: char) -> bool {
    let harmless = c == '\n' || c == '\t';
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{feff}');
    (c.is_control() && !harmless) || reorders
}

/// A stranger's words on one line, cut after `most` characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let clean = Neutral::default().text(text.as_bytes()).replace(['\n', '\t'], " ");
    match clean.char_indices().nth(most) {
        Some((end, _)) => clean.get(..end).unwrap_or_default().to_owned() + "…",
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neutral(bytes: &[u8]) -> String {
        Neutral::default().text(bytes)
    }

    #[test]
    fn text_with_line_feeds_and_tabs_is_shown_as_it_is() {
        assert_eq!(neutral("a\tbé\n→ 日本\n".as_bytes()), "a\tbé\n→ 日本\n");
    }

    #[test]
    fn control_sequences_are_removed_whole() {
        for hostile in [
            "a\u{1b}[31;1mb",
            "a\u{1b}]0;title\u{7}b",
            "a\u{1b}]52;c;aGk=\u{1b}\\b",
            "a\u{1b}P+q544e\u{1b}\\b",
            "a\u{1b}(Bb",
            "a\u{1b}cb",
            "a\u{9b}2Jb",
            "a\rb",
            "a\u{8}b",
            "a\u{7f}b",
            "a\u{202e}b",
            "a\u{1b}\u{1b}[2Jb",
        ] {
            assert_eq!(neutral(hostile.as_bytes()), "ab", "{hostile:?}");
        }
    }

    #[test]
    fn an_unfinished_sequence_does_not_swallow_the_next_line() {
        assert_eq!(neutral(b"a\x1b]0;never ends\nb"), "a\nb");
        assert_eq!(neutral(b"a\x1b[12\nb"), "a\nb");
    }

    #[test]
    fn a_sequence_or_a_character_cut_over_two_pieces_is_still_recognised() {
        let whole = "x\u{1b}[31mé日🦀\u{1b}]0;t\u{7}y".as_bytes();
        for cut in 0..=whole.len() {
            let (first, second) = whole.split_at(cut);
            let mut stream = Neutral::default();
            assert_eq!(stream.text(first) + &stream.text(second), "xé日🦀y", "cut at {cut}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_become_replacement_characters() {
        assert_eq!(neutral(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn a_strangers_words_stay_on_one_line_and_are_cut() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc", 10), "a bc");
        assert_eq!(one_line("abc", 3), "abc");
        assert_eq!(one_line("abcd", 3), "abc…");
    }
}
