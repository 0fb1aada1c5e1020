//! `follow`: what a verb prints, as it comes, until enough is seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use policy::Effect;
use tokio::time::Instant;

use crate::cli::{FollowArguments, Options};
use crate::conduct::Stops;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::one_call::{Sight, Words, listed, machine, style};
use crate::output::Output;
use crate::report::Report;
use crate::session::Session;
use crate::source::Source;
use crate::start::say;

/// One `follow`.
pub(crate) struct Job<'a> {
    what: &'a FollowArguments,
    options: &'a Options,
    given: Words<'a>,
}

/// Whether what is waited for has come.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<AtomicBool>);

impl Seen {
    fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Looks for a text in what comes piece by piece.
    fn watch(&self, text: Option<&str>) -> impl FnMut(&[u8]) -> bool + Send + 'static + use<> {
        let (seen, text) = (self.clone(), text.map(str::as_bytes).map(<[u8]>::to_vec));
        let mut end = Vec::new();
        move |bytes| {
            let Some(text) = &text else { return false };
            end.extend_from_slice(bytes);
            let is_here = end.windows(text.len()).any(|part| part == text);
            // Its beginning may be here, and the rest in the next piece.
            end.drain(..end.len().saturating_sub(text.len() - 1));
            seen.0.fetch_or(is_here, Ordering::AcqRel);
            is_here
        }
    }
}

impl<'a> Job<'a> {
    /// Reads all that can be read before anybody is spoken to.
    pub(crate) fn of(
        what: &'a FollowArguments,
        options: &'a Options,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        Ok(Self { what, options, given: Words::of(&what.given, options, environment)? })
    }

    /// Follows.
    pub(crate) async fn run(&self, session: &Session) -> Result<Exit, Failure> {
        let menu = session.view();
        let entry = listed(&self.what.verb, &menu.standing.menu)?;
        let arguments = self.given.read(entry)?;
        let limit = self.what.time.map(|time| Instant::now() + time);
        let mut stops = Stops::listen().map_err(|fault| machine(&fault))?.at(limit);
        let sight = Sight { style: style(self.options), options: self.options };
        loop {
            let seen = Seen::default();
            let watch = seen.watch(self.what.until.as_deref());
            let output = Output::until(sight.style, watch).map_err(|fault| machine(&fault))?;
            let call = session.call(entry.verb.clone(), arguments.clone());
            let mut call = call.map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
            let report = sight.see(&mut call, Source::Nothing, output, &mut stops).await;
            let report = report.under(session.view().over());
            let is_over = limit.is_some_and(|limit| limit <= Instant::now());
            let is_enough = seen.is_so() || is_over;
            if !is_enough && is_called_again(&report, entry.effect) {
                if self.options.json {
                    sight.tell(&call, &report);
                } else if !self.options.quiet {
                    say("the verb's time was up; it is called again");
                }
                continue;
            }
            return Ok(sight.tell(&call, &self.judged(report, seen.is_so(), is_over)));
        }
    }

    /// How the call ended, as what was asked of it.
    fn judged(&self, report: Report, is_seen: bool, is_over: bool) -> Report {
        let is_over = is_over && report.exit == Exit::TIMED_OUT;
        let exit = report.exit;
        match (&self.what.until, self.what.time) {
            (Some(_), _) if is_seen => report.judged(Exit::DONE, "seen", None),
            (None, _) if is_over => report.judged(Exit::DONE, "time_up", None),
            (Some(text), Some(time)) if is_over => {
                let time = humantime::format_duration(time);
                let words = format!("`{}` was not seen in {time}", shown(text));
                report.judged(Exit::TIMED_OUT, "not_seen", Some(words))
            }
            (Some(text), _) if exit == Exit::DONE => {
                let words = format!("the verb ended, and `{}` was not seen", shown(text));
                report.judged(Exit::FAILED, "not_seen", Some(words))
            }
            (Some(_) | None, _) => report,
        }
    }
}

/// A verb that changes something is not called without being asked.
fn is_called_again(report: &Report, effect: Effect) -> bool {
    report.kind == "timed_out" && effect == Effect::Read
}

fn shown(text: &str) -> String {
    crate::neutral::one_line(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_seen_however_it_comes_and_no_other_is() {
        let text = "listening";
        for cut in 1..text.len() {
            let seen = Seen::default();
            let mut watch = seen.watch(Some(text));
            let (first, second) = text.split_at(cut);
            assert!(!watch(format!("not list {first}").as_bytes()), "{cut}");
            assert!(watch(format!("{second} on 80").as_bytes()) && seen.is_so(), "{cut}");
        }
        let seen = Seen::default();
        let mut watch = seen.watch(Some(text));
        assert!(!watch(b"listenin") && !watch(b"\ng") && !watch(b"") && !seen.is_so());
        assert!(!seen.watch(None)(b"listening"));
    }

    #[test]
    fn only_what_reads_is_called_again_and_only_when_its_own_time_was_up() {
        let report = |kind| Report::plain(Exit::TIMED_OUT, kind, String::new());
        assert!(is_called_again(&report("timed_out"), Effect::Read));
        assert!(!is_called_again(&report("timed_out"), Effect::Write));
        assert!(!is_called_again(&report("expired"), Effect::Read));
    }
}
