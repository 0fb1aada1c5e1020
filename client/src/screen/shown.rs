//! What is recognised, written anew.

use std::fmt::Write as _;

use vte::{Params, Perform};

use super::modes::{Modes, Turn};
use crate::neutral::is_control;

/// The most cells that one sequence may be about: more than any screen has, and soon done.
const MOST: u16 = 1000;

/// Up, down, right, left, lines, columns, tabulators.
const MOVES: &str = "ABCDEFGIZ`ade";
/// Inserting, removing, scrolling, wiping out, repeating.
const CHANGES: &str = "@LMPSTXb";

/// What may be shown, so far.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) modes: Modes,
}

impl Perform for Shown {
    fn print(&mut self, c: char) {
        if !is_control(c) {
            self.text.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        // Bell, back, tabulator, line feed, return.
        if matches!(byte, 0x07..=0x0a | 0x0d) {
            self.text.push(char::from(byte));
        }
    }

    fn csi_dispatch(&mut self, params: &Params, between: &[u8], ignore: bool, action: char) {
        match (between, action) {
            _ if ignore => {}
            ([], 'm') => self.colours(params),
            ([], action) => self.act(params, action),
            (b"?", 'h') => self.turn(params, Turn::On),
            (b"?", 'l') => self.turn(params, Turn::Off),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, between: &[u8], ignore: bool, byte: u8) {
        // The cursor's place kept, taken again; a line down, to the next line's beginning, a line up.
        let known = matches!(byte, b'7' | b'8' | b'D' | b'E' | b'M');
        if between.is_empty() && !ignore && known {
            self.text.push('\x1b');
            self.text.push(char::from(byte));
        }
    }
}

impl Shown {
    /// Movements, erasing, inserting, removing, scrolling.
    fn act(&mut self, params: &Params, action: char) {
        let Some(numbers) = plain(params) else { return };
        let first = numbers.first().copied().unwrap_or_default();
        let fits = match action {
            // Of the screen: not what has left it, which is the recipient's to keep.
            'J' | 'K' => numbers.len() == 1 && first <= 2,
            'H' | 'f' | 'r' => numbers.len() <= 2,
            // With others it sets margins.
            's' | 'u' => numbers == [0],
            action => numbers.len() == 1 && (MOVES.contains(action) || CHANGES.contains(action)),
        };
        if !fits {
            return;
        }
        if action == 'r' {
            self.modes.split();
        }
        let numbers = numbers.into_iter().map(|number| number.min(MOST).to_string());
        self.write(&numbers.collect::<Vec<_>>().join(";"), action);
    }

    /// Colours and weights, whichever: a terminal leaves out what it does not know.
    fn colours(&mut self, params: &Params) {
        self.modes.colour();
        let parts =
            params.iter().map(|part| part.iter().map(u16::to_string).collect::<Vec<_>>().join(":"));
        self.write(&parts.collect::<Vec<_>>().join(";"), 'm');
    }

    fn turn(&mut self, params: &Params, turn: Turn) {
        let modes =
            params.iter().filter_map(|part| if let [mode] = part { Some(*mode) } else { None });
        for mode in modes {
            let written = self.modes.turn(mode, turn);
            self.text.push_str(&written.unwrap_or_default());
        }
    }

    fn write(&mut self, numbers: &str, action: char) {
        // A string takes whatever is written to it. What is zero is left out by itself, as most programs do.
        let numbers = if numbers == "0" { "" } else { numbers };
        let _never_fails = write!(self.text, "\x1b[{numbers}{action}");
    }
}

/// The numbers, where none has parts.
fn plain(params: &Params) -> Option<Vec<u16>> {
    params.iter().map(|part| if let [number] = part { Some(*number) } else { None }).collect()
}
