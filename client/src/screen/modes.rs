//! The modes that a verb may set, and how each is taken back.

/// Keys of the cursor, the cursor itself, automatic line breaks, the other screen in its three forms, the place of the
/// cursor before it, marks around what is pasted.
const KNOWN: [u16; 8] = [1, 7, 25, 47, 1047, 1048, 1049, 2004];
/// Those that are set where nothing was said.
const USUAL: [u16; 2] = [7, 25];
/// Which have nothing to be taken back: only where the cursor was.
const MOMENTARY: [u16; 1] = [1048];

/// Which modes are not as they were found.
#[derive(Debug, Default)]
pub(super) struct Modes {
    changed: Vec<u16>,
    is_coloured: bool,
    is_split: bool,
}

/// What a mode is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    On,
    Off,
}

impl Turn {
    fn letter(self) -> char {
        match self {
            Self::On => 'h',
            Self::Off => 'l',
        }
    }
}

impl Modes {
    /// Sets one mode, if it may be; how that is written.
    pub(super) fn turn(&mut self, mode: u16, turn: Turn) -> Option<String> {
        KNOWN.contains(&mode).then_some(())?;
        let usual = if USUAL.contains(&mode) { Turn::On } else { Turn::Off };
        self.changed.retain(|changed| *changed != mode);
        if turn != usual && !MOMENTARY.contains(&mode) {
            self.changed.push(mode);
        }
        Some(written(mode, turn))
    }

    /// There may be colours from here on.
    pub(super) fn colour(&mut self) {
        self.is_coloured = true;
    }

    /// Only a part of the screen may move from here on.
    pub(super) fn split(&mut self) {
        self.is_split = true;
    }

    /// All as it was found.
    pub(super) fn undo(&mut self) -> String {
        let Self { changed, is_coloured, is_split } = std::mem::take(self);
        let mut text = String::new();
        if is_split {
            // It also moves the cursor, which is therefore kept.
            text.push_str("\x1b7\x1b[r\x1b8");
        }
        for mode in changed.into_iter().rev() {
            let usual = if USUAL.contains(&mode) { Turn::On } else { Turn::Off };
            text.push_str(&written(mode, usual));
        }
        if is_coloured {
            text.push_str("\x1b[m");
        }
        text
    }
}

fn written(mode: u16, turn: Turn) -> String {
    format!("\x1b[?{mode}{}", turn.letter())
}
