//! `openscope share note` and `openscope share notes`.

use std::time::Duration;

use policy::{Alias, ShareId, Timestamp};
use serde_json::{Value, json};
use wire::control::{Reply, Request};
use wire::note::{Author, NoteView};

use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::shown::{line, lines};
use crate::cli::socket::Daemon;
use crate::cli::when::second;
use crate::clock::rfc3339;
use crate::exit::Exit;

pub(super) const NOTE_EXAMPLES: &str = "\
Examples:
  openscope share note osp_0123456789abcdef 'the deployment is rolled back'
  openscope share note osp_0123456789abcdef --to vendor-b 'go on'
";

pub(super) const NOTES_EXAMPLES: &str = "\
Examples:
  openscope share notes osp_0123456789abcdef
  openscope share notes osp_0123456789abcdef --follow --json
";

/// How often the daemon is asked for more.
const AGAIN: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Note {
    /// Of which share: osp_…
    #[arg(value_name = "ID")]
    id: ShareId,
    /// What to say; the recipient sees it at once, or when they come back
    #[arg(value_name = "TEXT")]
    text: String,
    /// To whom, where it has several recipients
    #[arg(long, value_name = "ALIAS")]
    to: Option<Alias>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Notes {
    /// Of which share: osp_…
    #[arg(value_name = "ID")]
    id: ShareId,
    /// Go on until the share is over
    #[arg(long, short)]
    follow: bool,
}

impl Note {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let Self { id, text, to } = self;
        let Reply::Done(said) = daemon.ask(&Request::Note { share: id, to, text })? else {
            return Err(Fault::unfitting());
        };
        match out.format() {
            Format::Json => {
                out.json(
                    &json!({ "schema": "openscope.share.note/1", "share": id, "left": true }),
                )?;
            }
            Format::Text => out.aside(&said),
        }
        Ok(Exit::Done)
    }
}

impl Notes {
    pub(super) fn run(self, daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
        let mut after = Timestamp(0);
        loop {
            let question = Request::Notes { share: self.id, after };
            let Reply::Notes(notes) = daemon.ask(&question)? else {
                return Err(Fault::unfitting());
            };
            for view in &notes {
                after = view.note.at;
                match out.format() {
                    Format::Json => out.json(&as_json(view))?,
                    Format::Text => out.data(&as_text(view))?,
                }
            }
            match (notes.is_empty(), self.follow) {
                (true, false) => return Ok(Exit::Done),
                (true, true) => std::thread::sleep(AGAIN),
                // What one answer does not hold is in the next.
                (false, _) => {}
            }
        }
    }
}

fn author(view: &NoteView) -> &'static str {
    match view.note.author {
        Author::Owner => "owner",
        Author::Recipient(_) => "recipient",
    }
}

fn as_text(view: &NoteView) -> String {
    let with = line(&view.with);
    let who = match view.note.author {
        Author::Owner => format!("you to {with}"),
        Author::Recipient(_) => with,
    };
    let text = lines(view.note.text.trim_end()).replace('\n', "\n    ");
    format!("{}  {who}: {text}", second(view.note.at))
}

fn as_json(view: &NoteView) -> Value {
    let call = match view.note.author {
        Author::Owner => None,
        Author::Recipient(call) => Some(call.to_string()),
    };
    json!({
        "schema": "openscope.note/1",
        "share": view.note.share,
        "seat": view.note.seat,
        "with": view.with,
        "at": rfc3339(view.note.at),
        "at_ms": view.note.at.0,
        "author": author(view),
        "call": call,
        "text": view.note.text,
    })
}

#[cfg(test)]
mod tests {
    use policy::SeatId;
    use wire::call::CallId;
    use wire::note::NoteStatement;

    use super::*;

    fn view(author: Author, text: &str) -> NoteView {
        let share = "osp_0123456789abcdef".parse().unwrap();
        let (seat, at, text) = (SeatId(0), Timestamp(0), text.to_owned());
        let note = NoteStatement { share, seat, at, author, text };
        NoteView { with: "vendor-b".to_owned(), note }
    }

    #[test]
    fn a_note_says_who_and_when_and_does_nothing_to_a_terminal() {
        let said = as_text(&view(Author::Recipient(CallId([1; 16])), "a\x1b[2J\nb\n"));
        assert!(said.contains("  vendor-b: a") && !said.contains('\x1b'), "{said:?}");
        assert!(said.ends_with("\n    b"), "{said:?}");
        assert!(as_text(&view(Author::Owner, "go on")).ends_with("you to vendor-b: go on"));
        let told = as_json(&view(Author::Recipient(CallId([1; 16])), "x"));
        assert_eq!(
            (&told["author"], &told["call"]),
            (&json!("recipient"), &json!("01".repeat(16)))
        );
    }
}
