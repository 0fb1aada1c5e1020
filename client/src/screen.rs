//! What a verb writes to its terminal, made fit for ours.
//!
//! The owner's side is not trusted here: a terminal that is handed whatever comes sets the clipboard, renames the
//! window, and answers questions into what is typed. So nothing is passed on as it came. What a parser recognises
//! and this list has is written anew: text, movements of the cursor, colours, and a few modes. All else is dropped.

mod modes;
mod shown;
#[cfg(test)]
mod tests;

use crate::neutral::is_start_of_character;
use shown::Shown;

/// How much is kept of a sequence for the operating system: nothing is used of it. That this can be said at all shows
/// that the parser's memory has a bound.
const WORDS: usize = 1;

/// A screen as it comes, piece by piece.
pub(crate) struct Screen {
    parser: vte::Parser<WORDS>,
    shown: Shown,
    /// The start of a character whose end has not arrived: the parser, handed one, loses what follows it.
    partial: Vec<u8>,
}

impl Default for Screen {
    fn default() -> Self {
        let (parser, shown) = (vte::Parser::new_with_size(), Shown::default());
        Self { parser, shown, partial: Vec::new() }
    }
}

impl Screen {
    /// What of this piece our terminal may have.
    pub(crate) fn text(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(piece);
        let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        let cut = if is_start_of_character(last) { last.len() } else { 0 };
        self.partial = bytes.split_off(bytes.len().saturating_sub(cut));
        self.parser.advance(&mut self.shown, &bytes);
        std::mem::take(&mut self.shown.text)
    }

    /// What leaves our terminal as it was found, however far the verb had come.
    pub(crate) fn leave(&mut self) -> String {
        self.shown.modes.undo()
    }
}
