//! Whether bytes are text, piece by piece.

use bytes::BytesMut;

/// UTF-8 without control characters other than line feed and tab, however it is cut.
#[derive(Debug, Default)]
pub(super) struct Prose {
    /// The start of a character whose end has not come: at most three bytes.
    partial: Vec<u8>,
}

/// It is no text.
#[derive(Debug)]
pub(super) struct NotText;

impl Prose {
    /// Passes on what of the text so far is whole characters. Of a piece that makes it no text, nothing.
    pub(super) fn pass(&mut self, piece: &[u8], to: &mut BytesMut) -> Result<(), NotText> {
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(piece);
        let whole = match str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            Err(fault) if fault.error_len().is_none() => fault.valid_up_to(),
            Err(_) => return Err(NotText),
        };
        self.partial = bytes.split_off(whole);
        match str::from_utf8(&bytes) {
            Ok(text) if !text.contains(is_control) => to.extend_from_slice(text.as_bytes()),
            Ok(_) | Err(_) => return Err(NotText),
        }
        Ok(())
    }

    /// Whether it could not end here.
    pub(super) fn is_within_a_character(&self) -> bool {
        !self.partial.is_empty()
    }
}

fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What passes of these pieces; `None` when one does not, or the end is within a character.
    fn passed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        let mut prose = Prose::default();
        let mut passed = BytesMut::new();
        for piece in pieces {
            prose.pass(piece, &mut passed).ok()?;
        }
        (!prose.is_within_a_character()).then(|| passed.to_vec())
    }

    #[test]
    fn text_with_line_feeds_and_tabs_passes_as_it_is() {
        let text = "a\tbé\n→ 日本 🦀\n".as_bytes();
        assert_eq!(passed([text]).unwrap(), text);
        assert_eq!(passed([]).unwrap(), b"");
    }

    #[test]
    fn what_is_no_text_does_not_pass_wherever_it_is_cut() {
        let surrogate = b"\xed\xa0\x80";
        let long_slash = b"\xc0\xaf";
        for bad in [
            &b"\0"[..],
            b"\r",
            b"\x1b",
            b"\x7f",
            b"\x07",
            b"\xff",
            b"\x80",
            b"\xe2\x82",
            "\u{9b}".as_bytes(),
            surrogate,
            long_slash,
            b"\xf4\x90\x80\x80",
        ] {
            let whole = [b"good ", bad].concat();
            for cut in 0..=whole.len() {
                let (one, two) = whole.split_at(cut);
                assert_eq!(passed([one, two]), None, "{bad:x?} cut at {cut}");
                assert_eq!(passed([one, two, b" good"]), None, "{bad:x?} cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_passes_however_it_is_cut(text: String, cuts: Vec<prop::sample::Index>) {
            let bytes = text.as_bytes();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.extend([0, bytes.len()]);
            ends.sort_unstable();
            let pieces = ends.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
            let wanted = (!text.contains(is_control)).then(|| bytes.to_vec());
            prop_assert_eq!(passed(pieces), wanted);
        }

        #[test]
        fn bytes_pass_only_if_they_are_utf8(bytes: Vec<u8>) {
            let wanted = str::from_utf8(&bytes).ok().filter(|text| !text.contains(is_control));
            let wanted = wanted.map(|text| text.as_bytes().to_vec());
            prop_assert_eq!(passed(bytes.chunks(1)), wanted);
        }
    }
}
