//! `request`: asks the owner for more of the share, and waits for what they say.

use std::io;
use std::time::Duration;

use policy::{Request, RequestId};
use tokio::time::{Instant, sleep_until};
use wire::access::{Wanted, Why};
use wire::frame::Refusal;

use crate::ask::{Ask, Asked};
use crate::call::CallFault;
use crate::cli::{Options, RequestArguments};
use crate::conduct::Stops;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::neutral::one_line;
use crate::report::{self, Report};
use crate::session::Session;
use crate::start::{print, say};

/// How long we wait to hear that what was withdrawn is.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How an asking went.
#[derive(Debug)]
pub(crate) enum AskWent {
    /// The share has it.
    Granted,
    /// It is refused.
    Refused(Refusal),
    /// It was taken back, with this exit status.
    Withdrawn(Exit),
    /// Nothing more is known.
    Fault(CallFault),
}

/// Asks, and waits; Ctrl+C takes it back.
pub(crate) async fn run(
    session: &Session,
    what: &RequestArguments,
    options: &Options,
) -> Result<Exit, Failure> {
    let machine = |fault: io::Error| Failure::of(Exit::NOT_RUN, "machine", &fault);
    let mut ask = begin(session, &what.verbs, &what.reason)?;
    let mut stops = Stops::listen().map_err(machine)?;
    let id = ask.id();
    let waits = |request: RequestId| {
        if options.json {
            print(&report::asking_pending(id, request).to_string());
        } else if !options.quiet {
            say(&waiting(request));
        }
    };
    let report = Report::of_asking(&conduct(&mut ask, &mut stops, waits).await);
    if options.json {
        print(&report.asking_json(id).to_string());
    }
    let is_worth_a_word = report.exit != Exit::DONE || !options.quiet;
    report.words.iter().filter(|_| is_worth_a_word).for_each(|words| say(words));
    Ok(report.exit)
}

/// What is asked for, as it was typed.
pub(crate) fn begin(session: &Session, verbs: &[String], reason: &str) -> Result<Ask, Failure> {
    let usage = |what: String| Failure::new(Exit::USAGE, "usage", what);
    let wanted = wanted(verbs.to_vec()).map_err(usage)?;
    let reason = why(reason).map_err(usage)?;
    let ask = session.ask_access(wanted, reason);
    ask.map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))
}

/// Requests that can be asked for, or what is wrong with them.
pub(crate) fn wanted(verbs: Vec<String>) -> Result<Wanted, String> {
    for verb in &verbs {
        let request = verb.parse::<Request>();
        let request = request.map_err(|fault| one_line(&fault.to_string(), 300))?;
        if request.patterns() > 0 {
            return Err("a pattern cannot be asked for: list the values".to_owned());
        }
    }
    Wanted::try_from(verbs).map_err(|fault| fault.to_string())
}

/// A reason that can be given, or what is wrong with it.
pub(crate) fn why(text: &str) -> Result<Why, String> {
    Why::try_from(text.trim().to_owned()).map_err(|fault| fault.to_string())
}

/// That the owner has been asked, for a person.
pub(crate) fn waiting(request: RequestId) -> String {
    format!("pending: the owner has been asked, request {request}; Ctrl+C takes it back")
}

/// Sees an asking to its end.
pub(crate) async fn conduct(
    ask: &mut Ask,
    stops: &mut Stops,
    waits: impl Fn(RequestId),
) -> AskWent {
    let mut stopped: Option<(Exit, Instant)> = None;
    loop {
        let limit = stopped.map_or_else(Instant::now, |(_, limit)| limit);
        let stop = tokio::select! {
            biased;
            stop = stops.next() => stop,
            () = sleep_until(limit), if stopped.is_some() => return withdrawn(stopped),
            asked = ask.next() => match asked {
                Ok(Asked::Lost) => continue,
                Ok(Asked::Pending(request)) => {
                    waits(request);
                    continue;
                }
                Ok(Asked::Granted) => return AskWent::Granted,
                Ok(Asked::Refused(refusal)) => return AskWent::Refused(refusal),
                Err(CallFault::Cancelled(_)) => return withdrawn(stopped),
                Err(fault) => return AskWent::Fault(fault),
            },
        };
        // A second Ctrl+C does not wait for the daemon.
        if stopped.is_some() {
            return withdrawn(stopped);
        }
        stopped = Some((stop, Instant::now() + LAST_WORDS));
        ask.withdraw();
    }
}

fn withdrawn(stopped: Option<(Exit, Instant)>) -> AskWent {
    AskWent::Withdrawn(stopped.map_or(Exit::INTERRUPTED, |(exit, _)| exit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_for_is_said_before_anything_is_sent() {
        let asked = |verbs: &[&str]| wanted(verbs.iter().map(|one| (*one).to_owned()).collect());
        assert!(asked(&["log.tail:service=db,lines<=10", "disk.use"]).is_ok());
        assert!(asked(&[]).is_err());
        assert!(asked(&["no verb"]).unwrap_err().contains("no verb"));
        assert!(asked(&["log.tail:service=~'w.*'"]).unwrap_err().contains("pattern"));
        assert!(asked(&["disk.use"; 17]).unwrap_err().contains("17"));
        assert!(why(" it hangs ").is_ok_and(|why| why.as_str() == "it hangs"));
        assert!(why("  ").is_err());
    }
}
