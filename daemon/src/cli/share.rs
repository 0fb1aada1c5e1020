//! `openscope share`: open, watch and end shares.

use clap::Subcommand;
use policy::ShareId;

use super::HELP;
use super::fault::Fault;
use super::output::Output;
use super::socket::Daemon;
use super::ttl::Ttl;
use crate::exit::Exit;

mod extend;
mod kick;
mod list;
mod note;
mod open;
pub(super) mod plan;
mod revoke;
mod show;
mod view;

#[derive(Debug, Subcommand)]
pub(super) enum Share {
    /// Share verbs of yours, and get what to forward
    #[command(help_template = HELP, before_help = open::EXAMPLES)]
    Open(open::Open),
    /// Your live shares
    #[command(help_template = HELP)]
    List(list::List),
    /// One share: its seats, its scope, what runs now
    #[command(help_template = HELP)]
    Show(One),
    /// Change a share: its end, never past its hard stop, and its verbs
    #[command(help_template = HELP)]
    Extend(extend::Extend),
    /// End one recipient's seat, and whatever they handed on; the others stay
    #[command(help_template = HELP, before_help = kick::EXAMPLES)]
    Kick(kick::Kick),
    /// Leave a recipient a note, where the share has notes
    #[command(help_template = HELP, before_help = note::NOTE_EXAMPLES)]
    Note(note::Note),
    /// What you and the recipients of a share have said to each other
    #[command(help_template = HELP, before_help = note::NOTES_EXAMPLES)]
    Notes(note::Notes),
    /// End shares, and every process of theirs
    #[command(help_template = HELP, before_help = revoke::EXAMPLES)]
    Revoke(revoke::Revoke),
}

/// One share.
#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// Which share: osp_…
    #[arg(value_name = "ID")]
    id: ShareId,
}

impl Share {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        match self {
            Self::Open(open) => open.run(daemon, out),
            Self::List(list) => list.run(daemon, out),
            Self::Show(one) => show::run(one.id, daemon, out),
            Self::Extend(extend) => extend.run(daemon, out),
            Self::Kick(kick) => kick.run(daemon, out),
            Self::Note(note) => note.run(daemon, out),
            Self::Notes(notes) => notes.run(daemon, out),
            Self::Revoke(revoke) => revoke.run(daemon, out),
        }
    }
}
