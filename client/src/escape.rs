//! The way out of a verb that has the terminal: Ctrl+C is a key like others there.

/// The key that begins it, at the beginning of a line.
const TILDE: u8 = b'~';
/// The key that ends the call, after it.
const DOT: u8 = b'.';

/// Looks for `~.` at the beginning of a line in what is typed.
#[derive(Debug, Default)]
pub(crate) struct Escape(Place);

/// Where in a line the next key is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    #[default]
    Beginning,
    /// After a tilde at the beginning, which is held back.
    Tilde,
    Within,
}

/// The keys that were to go were pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Left;

impl Escape {
    /// What of these keys is for the verb. Two tildes at the beginning of a line are one.
    pub(crate) fn pass(&mut self, keys: &[u8]) -> Result<Vec<u8>, Left> {
        let mut passed = Vec::with_capacity(keys.len().saturating_add(1));
        for key in keys {
            match (self.0, *key) {
                (Place::Tilde, DOT) => return Err(Left),
                (Place::Beginning, TILDE) => {
                    self.0 = Place::Tilde;
                    continue;
                }
                (Place::Tilde, TILDE) | (Place::Beginning | Place::Within, _) => {}
                (Place::Tilde, _) => passed.push(TILDE),
            }
            passed.push(*key);
            self.0 = if matches!(*key, b'\r' | b'\n') { Place::Beginning } else { Place::Within };
        }
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the verb is given of these, a key at a time and all at once.
    fn typed(keys: &str) -> Result<String, Left> {
        let whole = Escape::default().pass(keys.as_bytes());
        let mut escape = Escape::default();
        let singly: Result<Vec<_>, Left> =
            keys.as_bytes().iter().map(|key| escape.pass(&[*key])).collect();
        assert_eq!(singly.map(|pieces| pieces.concat()), whole);
        whole.map(|keys| String::from_utf8(keys).unwrap())
    }

    #[test]
    fn a_tilde_and_a_dot_at_the_beginning_of_a_line_leave() {
        for keys in ["~.", "ls\r~.", "ls\n~.x", "\r\r~.", "~~\r~."] {
            assert_eq!(typed(keys), Err(Left), "{keys:?}");
        }
    }

    #[test]
    fn all_else_is_typed() {
        for (keys, wanted) in [
            ("ls ~.\r", "ls ~.\r"),
            ("~/bin\r", "~/bin\r"),
            ("~~.\r", "~.\r"),
            ("~\r.", "~\r."),
            ("a~.", "a~."),
            ("\u{3}\u{1a}\u{1c}", "\u{3}\u{1a}\u{1c}"),
        ] {
            assert_eq!(typed(keys).as_deref(), Ok(wanted), "{keys:?}");
        }
        assert_eq!(typed("~").as_deref(), Ok(""), "held until the next key says what it was");
    }
}
