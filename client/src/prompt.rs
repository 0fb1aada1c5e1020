//! The prompt: verbs with arguments, line by line, while the daemon's news appear between the lines.

mod command;
mod complete;
mod line;

use std::time::Duration;

use policy::{Input, MenuEntry, Timestamp};
use tokio::sync::watch;
use tokio::time::sleep;
use wire::note::Author;

use crate::arguments::read;
use crate::conduct::{Notice, Stops, conduct};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::list;
use crate::neutral::one_line;
use crate::note_command;
use crate::notes::{self, Notes};
use crate::one_call::{bad_argument, listed, machine, told};
use crate::output::{Output, Style};
use crate::place::Place;
use crate::report::{Report, over_words};
use crate::request;
use crate::session::{Session, View};
use crate::source::Source;
use crate::start::{print, say};
use command::{Command, HELP};
use line::{Lines, Typed};

/// How long before the end a person is told of it.
const WARNINGS: [Duration; 2] = [Duration::from_mins(5), Duration::from_mins(1)];

/// Serves a person until they leave or the share is over.
pub(crate) async fn run(
    session: &Session,
    environment: &Environment,
    quiet: bool,
) -> Result<Exit, Failure> {
    let mut views = session.views();
    let mut seen = views.borrow_and_update().clone();
    let (mut notes, mut last) = (session.notes(), Timestamp(0));
    let mut lines = Lines::start(&seen.standing.menu).map_err(|fault| machine(&fault))?;
    // After the editor, which takes SIGINT for itself: ours is called first, and calls the editor's.
    let mut stops = Stops::listen().map_err(|fault| machine(&fault))?;
    if !quiet {
        say(&list::standing_line(session.seat(), seen.standing.deadline, seen.now()));
        say("`list` shows what may be called, `help` the rest.");
    }
    loop {
        lines.ask(prompt(&seen));
        let typed = loop {
            let now = seen.clone();
            tokio::select! {
                biased;
                stop = stops.next() => return Ok(stop),
                news = news(&mut views, &mut seen) => {
                    if seen.over().is_some() {
                        drop(lines);
                        say(&format!("\n{news}"));
                        return Ok(Exit::GONE);
                    }
                    lines.show(&news, &seen.standing.menu, &prompt(&seen));
                }
                said = said(&mut notes, &mut last) => {
                    lines.show(&said, &seen.standing.menu, &prompt(&seen));
                }
                warning = nearly_over(&now) => {
                    lines.show(&warning, &seen.standing.menu, &prompt(&seen));
                }
                typed = lines.typed() => break typed,
            }
        };
        match typed {
            Typed::Line(line) => {
                if let Left::Now(exit) = obey(&line, (session, environment), &mut stops).await? {
                    return Ok(exit);
                }
            }
            Typed::Interrupted => say("Ctrl+C ends a running call; `quit` or Ctrl+D leaves."),
            Typed::End => return Ok(Exit::DONE),
        }
    }
}

/// What stands before what is typed: how long there still is.
fn prompt(view: &View) -> String {
    let left = view.standing.deadline.since(view.now()).as_secs();
    if left < 60 { format!("openscope {left}s> ") } else { format!("openscope {}m> ", left / 60) }
}

/// Waits until a person should hear that the time is nearly over, and says so.
async fn nearly_over(view: &View) -> String {
    let left = view.standing.deadline.since(view.now());
    let Some(next) = WARNINGS.into_iter().find(|warning| *warning < left) else {
        return std::future::pending().await;
    };
    sleep(left.saturating_sub(next)).await;
    let minutes = next.as_secs() / 60;
    format!("The share ends in {minutes} min; what runs then ends with it.")
}

/// Whether the person stays.
enum Left {
    Now(Exit),
    No,
}

/// What the owner has said since `last`; waits until they do.
async fn said(notes: &mut watch::Receiver<Notes>, last: &mut Timestamp) -> String {
    loop {
        let news: Vec<String> = {
            let notes = notes.borrow_and_update();
            let new: Vec<_> = notes.after(*last).collect();
            *last = new.last().map_or(*last, |note| note.at);
            let owners = new.into_iter().filter(|note| note.author == Author::Owner);
            owners.map(notes::as_text).collect()
        };
        if !news.is_empty() {
            return news.join("\n");
        }
        if notes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What changed since `seen`, in words; waits until something has.
async fn news(views: &mut watch::Receiver<View>, seen: &mut View) -> String {
    loop {
        if views.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let view = views.borrow_and_update().clone();
        let words = difference(seen, &view);
        *seen = view;
        if let Some(words) = words {
            return words;
        }
    }
}

fn difference(before: &View, after: &View) -> Option<String> {
    if let Some(over) = after.over() {
        return Some(format!("{}.", over_words(over)));
    }
    match (before.is_up(), after.is_up()) {
        (true, false) => return Some("The channel was lost; connecting again …".to_owned()),
        (false, true) => return Some("Connected again.".to_owned()),
        (true, true) | (false, false) => {}
    }
    let (old, new) = (&before.standing, &after.standing);
    let mut words = Vec::new();
    if old.deadline != new.deadline {
        let (moment, wait) =
            (crate::clock::told(new.deadline), crate::clock::until(after.now(), new.deadline));
        words.push(format!("The share now lasts until {moment} (in {wait})."));
    }
    if old.menu != new.menu {
        words.push(menu_news(&old.menu, &new.menu));
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn menu_news(old: &[MenuEntry], new: &[MenuEntry]) -> String {
    let missing_in = |from: &[MenuEntry], other: &[MenuEntry]| {
        let known = |entry: &&MenuEntry| !other.iter().any(|one| one.verb == entry.verb);
        from.iter().filter(known).map(|entry| entry.verb.to_string()).collect::<Vec<_>>().join(", ")
    };
    match (missing_in(new, old).as_str(), missing_in(old, new).as_str()) {
        ("", "") => "What the verbs take has changed: `list` shows it.".to_owned(),
        (added, "") => format!("Now shared as well: {added}."),
        ("", gone) => format!("No longer shared: {gone}."),
        (added, gone) => format!("Now shared as well: {added}; no longer: {gone}."),
    }
}

async fn obey(
    line: &str,
    (session, environment): (&Session, &Environment),
    stops: &mut Stops,
) -> Result<Left, Failure> {
    let view = session.view();
    match Command::read(line) {
        Ok(Command::Nothing) => {}
        Ok(Command::Quit) => return Ok(Left::Now(Exit::DONE)),
        Ok(Command::Help(None)) => print(HELP),
        Ok(Command::Help(Some(verb))) => match listed(&verb, &view.standing.menu) {
            Ok(entry) => print(&list::entry_text(entry)),
            Err(failure) => say(&failure.to_string()),
        },
        Ok(Command::List) => print(&list::as_text(session.seat(), &view)),
        Ok(Command::Status) => print(&status(session, &view)),
        Ok(Command::Request(verbs, reason)) => {
            if let Err(failure) = ask(session, &verbs, &reason, stops).await {
                say(&failure.to_string());
            }
        }
        Ok(Command::Note(text)) => {
            if let Err(failure) = note(session, &text, stops).await {
                say(&failure.to_string());
            }
        }
        Ok(Command::Call(verb, arguments)) => {
            if let Err(failure) = call(&verb, &arguments, (session, environment), stops).await {
                say(&failure.to_string());
            }
        }
        Err(fault) => say(&format!("error: {}", one_line(&fault, 300))),
    }
    Ok(Left::No)
}

fn status(session: &Session, view: &View) -> String {
    let channel = if view.is_up() { "connected" } else { "connecting again" };
    let line = list::standing_line(session.seat(), view.standing.deadline, view.now());
    format!("{line}\n{channel}, {} verbs", view.standing.menu.len())
}

async fn ask(
    session: &Session,
    verbs: &[String],
    reason: &str,
    stops: &mut Stops,
) -> Result<(), Failure> {
    let mut ask = request::begin(session, verbs, reason)?;
    let waits = |request| say(&request::waiting(request));
    let went = request::conduct(&mut ask, stops, waits).await;
    Report::of_asking(&went).words.iter().for_each(|words| say(words));
    Ok(())
}

async fn note(session: &Session, text: &str, stops: &mut Stops) -> Result<(), Failure> {
    let mut call = note_command::begin(session, text, None)?;
    let output = Output::start(Style::Plain).map_err(|fault| machine(&fault))?;
    let notice = |notice: Notice| say(&told(notice, Style::Plain));
    let went = conduct(&mut call, &mut Source::Nothing, &output, stops, notice).await;
    let _the_terminal_is_gone = output.finish();
    Report::of(went).under(session.view().over()).words.iter().for_each(|words| say(words));
    Ok(())
}

async fn call(
    verb: &str,
    arguments: &[String],
    (session, environment): (&Session, &Environment),
    stops: &mut Stops,
) -> Result<(), Failure> {
    let view = session.view();
    let entry = listed(verb, &view.standing.menu)?;
    let arguments = read(entry, arguments).map_err(|fault| bad_argument(&fault))?;
    let call = session.call(entry.verb.clone(), arguments);
    let mut call = call.map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
    let (input, place) = (entry.input, Place::of(Style::Plain));
    let style = place.style(input, Style::Plain);
    place.told(input, environment).into_iter().for_each(|terminal| call.sits_at(terminal));
    let output =
        Output::start(style).map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))?;
    let mut source = match input {
        Input::Terminal => Source::of(input, place),
        Input::Nothing | Input::Stdin(_) => Source::Nothing,
    };
    if let Input::Stdin(_) = input {
        say(
            "here the verb is given no input; `openscope-reflect-client … call VERB … < FILE` gives it some",
        );
    }
    let notice = |notice: Notice| say(&told(notice, style));
    let went = conduct(&mut call, &mut source, &output, stops, notice).await;
    let _the_terminal_is_gone = output.finish();
    // Our terminal is ours again before anything is said at it.
    drop(source);
    let report = Report::of(went).under(session.view().over());
    match report.words {
        Some(words) => say(&words),
        None if report.exit != Exit::DONE => say(&format!("exit status {}", report.exit.0)),
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::entry;

    #[test]
    fn what_was_added_and_what_is_gone_is_named() {
        let other = MenuEntry { verb: "disk.use".parse().unwrap(), ..entry() };
        let changed = MenuEntry { summary: "new".to_owned(), ..entry() };
        assert_eq!(
            menu_news(&[entry()], &[entry(), other.clone()]),
            "Now shared as well: disk.use."
        );
        assert_eq!(menu_news(&[entry(), other.clone()], &[entry()]), "No longer shared: disk.use.");
        assert_eq!(
            menu_news(&[entry()], &[other]),
            "Now shared as well: disk.use; no longer: log.tail."
        );
        assert!(menu_news(&[entry()], &[changed]).starts_with("What the verbs take"));
    }
}
