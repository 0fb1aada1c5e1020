//! Notes between the owner of a share and whoever holds a seat of it, in the one order in which the daemon took them.

use policy::{SeatId, ShareId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::call::{CallId, Statement};

/// Notes of one seat that are kept to be read: older ones make room.
pub const NOTES_KEPT: usize = 64;

/// Who left a note.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Author {
    /// The owner of the share.
    Owner,
    /// Whoever holds the seat, by this call.
    Recipient(CallId),
}

/// One note, signed by the daemon's identity key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteStatement {
    /// The share.
    pub share: ShareId,
    /// The seat within it: nobody else's holder is told.
    pub seat: SeatId,
    /// When the daemon took it, on the share's clock; after that of the note before, and so its place among them.
    pub at: Timestamp,
    /// Who left it.
    pub author: Author,
    /// What it says: one to [`policy::MAX_NOTE`] bytes.
    pub text: String,
}

impl Statement for NoteStatement {
    const LABEL: &'static str = "openscope note v1";
}

/// A note as its owner sees it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteView {
    /// The seat's recipient.
    pub with: String,
    /// What was said.
    pub note: NoteStatement,
}
