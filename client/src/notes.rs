//! What the owner and whoever holds the seat have said to each other.

use std::collections::VecDeque;

use policy::Timestamp;
use wire::call::Signed;
use wire::note::{Author, NOTES_KEPT, NoteStatement};

use crate::clock::told;
use crate::neutral::Neutral;
use crate::seat::Seat;

/// The last notes, in the order in which the daemon took them.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    kept: VecDeque<NoteStatement>,
    /// How many have come.
    heard: u64,
}

impl Notes {
    /// A note of this seat, if it is one and the daemon has signed it.
    pub(crate) fn read(seat: &Seat, signed: &Signed) -> Option<NoteStatement> {
        let note: NoteStatement = signed.verify(&seat.handle().daemon_key).ok()?;
        let ours = (seat.authority().share, seat.authority().seat);
        ((note.share, note.seat) == ours).then_some(note)
    }

    /// Keeps one; those that are known come again when the seat is taken again.
    pub(crate) fn take(&mut self, note: NoteStatement) {
        self.heard = self.heard.saturating_add(1);
        if self.kept.back().is_some_and(|last| note.at <= last.at) {
            return;
        }
        if self.kept.len() >= NOTES_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(note);
    }

    /// Whether so many have come, known or not.
    pub(crate) fn are(&self, count: u32) -> bool {
        self.heard >= u64::from(count)
    }

    /// Those after a moment, the oldest first.
    pub fn after(&self, moment: Timestamp) -> impl Iterator<Item = &NoteStatement> {
        self.kept.iter().filter(move |note| note.at > moment)
    }
}

/// Who left it, for a program.
pub(crate) fn author(note: &NoteStatement) -> &'static str {
    match note.author {
        Author::Owner => "owner",
        Author::Recipient(_) => "recipient",
    }
}

/// A note for a person, at a terminal as anywhere.
pub(crate) fn as_text(note: &NoteStatement) -> String {
    let who = match note.author {
        Author::Owner => "owner",
        Author::Recipient(_) => "you",
    };
    let text = Neutral::default().text(note.text.as_bytes());
    format!("{}  {who}: {}", told(note.at), text.trim_end().replace('\n', "\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use ed25519_dalek::SigningKey;
    use policy::SeatId;

    fn note(at: u64, text: &str) -> NoteStatement {
        let authority = sample::seat().authority().clone();
        let (share, seat) = (authority.share, authority.seat);
        NoteStatement {
            share,
            seat,
            at: Timestamp(at),
            author: Author::Owner,
            text: text.to_owned(),
        }
    }

    #[test]
    fn only_what_the_daemon_signed_for_this_seat_is_a_note() {
        let seat = sample::seat();
        let signed = |note: &NoteStatement, key: u8| {
            Signed::new(note, &SigningKey::from_bytes(&[key; 32])).unwrap()
        };
        let other = NoteStatement { seat: SeatId(7), ..note(1, "hello") };
        assert!(Notes::read(&seat, &signed(&note(1, "hello"), 4)).is_some());
        assert!(Notes::read(&seat, &signed(&note(1, "hello"), 5)).is_none(), "another daemon's");
        assert!(Notes::read(&seat, &signed(&other, 4)).is_none(), "another seat's");
    }

    #[test]
    fn a_note_that_comes_again_is_kept_once_and_the_oldest_make_room() {
        let mut notes = Notes::default();
        for at in [1, 2, 1, 2, 3] {
            notes.take(note(at, "x"));
        }
        let times =
            |notes: &Notes| notes.after(Timestamp(0)).map(|note| note.at.0).collect::<Vec<_>>();
        assert_eq!(times(&notes), [1, 2, 3]);
        assert!(notes.are(5) && !notes.are(6));
        for at in 4..100 {
            notes.take(note(at, "x"));
        }
        assert_eq!((times(&notes).len(), times(&notes).first()), (NOTES_KEPT, Some(&36)));
        assert_eq!(notes.after(Timestamp(98)).count(), 1);
    }

    #[test]
    fn a_note_does_nothing_to_a_terminal() {
        let shown = as_text(&note(0, "a\x1b[2Jb\nc\n"));
        assert!(shown.ends_with("owner: ab\n    c"), "{shown:?}");
    }
}
