//! Files that are carried: fetched from the owner's machine, or handed to it, and told apart from damaged ones by their
//! SHA-256 at both ends.

mod get;
mod notes;
mod part;
mod put;

use std::io;
use std::path::Path;

use policy::{Kind, MenuEntry, ParameterName, Transfer};

use crate::call::{Call, Receipt};
use crate::cli::Options;
use crate::conduct::{Notice, Stops, Went, conduct};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::neutral::one_line;
use crate::one_call::listed;
use crate::output::Output;
use crate::report::{self, Report};
use crate::session::Session;
use crate::source::Source;
use crate::start::{print, say};

pub(crate) use get::get;
pub(crate) use put::put;

/// What is read or written at once.
const PIECE: usize = 64 * 1024;

/// The verb of this name, if it carries files this way.
fn carrying<'a>(
    name: &str,
    way: Transfer,
    menu: &'a [MenuEntry],
) -> Result<&'a MenuEntry, Failure> {
    let entry = listed(name, menu)?;
    if entry.transfers == Some(way) {
        return Ok(entry);
    }
    let (does, other) = match way {
        Transfer::Get => ("fetches no file", Transfer::Put),
        Transfer::Put => ("takes no file", Transfer::Get),
    };
    let command = match entry.transfers {
        Some(own) if own == other && own == Transfer::Put => "put",
        Some(_) => "get",
        None => "call",
    };
    Err(Failure::new(Exit::USAGE, "usage", format!("`{}` {does}", entry.verb))
        .hint(format!("say `{command} {}`", entry.verb)))
}

/// The parameter that names the file, if one does.
fn path_parameter(entry: &MenuEntry) -> Option<&ParameterName> {
    entry.parameters.iter().find(|(_, one)| one.kind == Kind::Path).map(|(name, _)| name)
}

fn machine(fault: &io::Error) -> Failure {
    Failure::of(Exit::NOT_RUN, "machine", fault)
}

/// Done on a thread of its own: the channel is kept meanwhile.
async fn apart<I: Send + 'static, T: Send + 'static>(
    input: I,
    work: impl FnOnce(I) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(move || work(input)).await;
    done.unwrap_or_else(|fault| Err(io::Error::other(fault))).map_err(|fault| machine(&fault))
}

/// A path for a person, whatever is in it.
fn shown(path: &Path) -> String {
    one_line(&path.display().to_string(), 400)
}

/// Runs the call to its end.
async fn carry(
    call: &mut Call,
    mut source: Source,
    output: Output,
    options: &Options,
) -> Result<(Went, Result<(), rustix::io::Errno>), Failure> {
    let mut stops = Stops::listen().map_err(|fault| machine(&fault))?;
    let id = call.id();
    if options.verbose > 0 {
        say(&format!("call {id}"));
    }
    let notice = |notice: Notice| match notice {
        Notice::Pending(request) if options.json => {
            print(&report::pending(id, request).to_string());
        }
        notice if !options.quiet => say(&notice.to_string()),
        Notice::Lost
        | Notice::Pending(_)
        | Notice::Typed
        | Notice::Given
        | Notice::Unreadable(_) => {}
    };
    let went = conduct(call, &mut source, &output, &mut stops, notice).await;
    Ok((went, output.finish()))
}

/// What is said of a call that did not do what it was for.
fn failed(
    went: Went,
    call: &Call,
    session: &Session,
    (words, options): (&[String], &Options),
) -> Exit {
    let report = Report::of(went).under(session.view().over());
    if options.json {
        print(&report.json(call).to_string());
    }
    words.iter().chain(&report.words).for_each(|words| say(words));
    if report.exit == Exit::DONE { Exit::FAILED } else { report.exit }
}

/// The receipt of a call that did what it was for.
fn done(went: &Went) -> Option<&Receipt> {
    match went {
        Went::Ended(receipt)
            if receipt.is_complete() && receipt.outcome.ending == wire::call::Ending::Exited(0) =>
        {
            Some(receipt)
        }
        Went::Ended(_) | Went::Refused(_) | Went::Stopped(..) | Went::Fault(_) => None,
    }
}
