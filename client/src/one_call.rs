//! `call`, and what it shares with `follow`.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::Path;

use policy::{Arguments, Input, MenuEntry, VerbName};
use wire::call::CallId;
use zeroize::Zeroizing;

use crate::arguments::{ArgumentFault, json, nearest, read, read_unlisted};
use crate::call::Call;
use crate::cli::{CallArguments, Given, Options};
use crate::conduct::{Notice, Stops, conduct};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::handle_text::{file, standard_input, takes_stdin};
use crate::output::{Output, Style};
use crate::place::Place;
use crate::report::{self, Report};
use crate::session::Session;
use crate::source::Source;
use crate::start::{print, say};

/// One `call`.
pub(crate) struct Job<'a> {
    what: &'a CallArguments,
    options: &'a Options,
    id: Option<CallId>,
    given: Words<'a>,
}

/// What was given as arguments, before it is known what the verb takes.
pub(crate) struct Words<'a> {
    pairs: &'a [OsString],
    json: Option<Zeroizing<String>>,
}

impl<'a> Words<'a> {
    /// All of it.
    pub(crate) fn of(
        given: &'a Given,
        options: &Options,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let json = given.json.as_deref().map(|path| json_text(path, options, environment));
        Ok(Self { pairs: &given.arguments, json: json.transpose()? })
    }

    /// As arguments of this verb.
    pub(crate) fn read(&self, entry: &MenuEntry) -> Result<Arguments, Failure> {
        match &self.json {
            None => read(entry, self.pairs).map_err(|fault| bad_argument(&fault)),
            Some(text) => {
                json::read_text(entry, text).map_err(|why| Failure::new(Exit::USAGE, "usage", why))
            }
        }
    }
}

fn json_text(
    path: &Path,
    options: &Options,
    environment: &Environment,
) -> Result<Zeroizing<String>, Failure> {
    if path != Path::new("-") {
        return file(path);
    }
    if takes_stdin(options, environment) {
        let what = "standard input cannot give both a handle or its second value and the arguments";
        return Err(Failure::new(Exit::USAGE, "usage", what).hint("give one of them as a file"));
    }
    standard_input()
}

impl<'a> Job<'a> {
    /// Reads all that can be read before anybody is spoken to.
    pub(crate) fn of(
        what: &'a CallArguments,
        options: &'a Options,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        check_raw(what.raw, options.json, io::stdout().is_terminal())?;
        let id = what.id.as_deref().map(call_id).transpose()?;
        Ok(Self { what, options, id, given: Words::of(&what.given, options, environment)? })
    }

    /// Makes the call.
    pub(crate) async fn run(
        &self,
        session: &Session,
        environment: &Environment,
    ) -> Result<Exit, Failure> {
        let menu = session.view();
        let (verb, arguments, input) = if self.what.unlisted {
            let arguments = read_unlisted(self.given.pairs);
            let arguments = arguments.map_err(|fault| bad_argument(&fault))?;
            (verb_name(&self.what.verb)?, arguments, Input::Nothing)
        } else {
            let entry = listed(&self.what.verb, &menu.standing.menu)?;
            (entry.verb.clone(), self.given.read(entry)?, entry.input)
        };
        let style = style(self.options);
        let place = Place::of(style);
        let call = match self.id {
            Some(id) => session.call_as(id, verb, arguments),
            None => session.call(verb, arguments),
        };
        let mut call = call.map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
        place.told(input, environment).into_iter().for_each(|terminal| call.sits_at(terminal));
        // A verb that was not listed as taking any is given nothing, whatever the daemon says when it runs.
        let has_stdin =
            !self.what.no_stdin && self.what.given.json.as_deref() != Some(Path::new("-"));
        let source = if has_stdin { Source::of(input, place) } else { Source::Nothing };
        let style = place.style(input, style);
        let output = Output::start(style).map_err(|fault| machine(&fault))?;
        let mut stops = Stops::listen().map_err(|fault| machine(&fault))?;
        let sight = Sight { style, options: self.options };
        let mut report = sight.see(&mut call, source, output, &mut stops).await;
        report = report.under(session.view().over());
        Ok(sight.tell(&call, &report))
    }
}

/// How a call is shown while it lasts, and once it has ended.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) style: Style,
    pub(crate) options: &'a Options,
}

impl Sight<'_> {
    /// Sees a call to its end.
    pub(crate) async fn see(
        self,
        call: &mut Call,
        mut source: Source,
        output: Output,
        stops: &mut Stops,
    ) -> Report {
        let Self { style, options } = self;
        if options.verbose > 0 {
            say(&format!("call {}", call.id()));
        }
        let id = call.id();
        let notice = |notice: Notice| {
            if let (Notice::Pending(request), true) = (notice, options.json) {
                print(&report::pending(id, request).to_string());
            } else if !options.quiet {
                say(&told(notice, style));
            }
        };
        let went = conduct(call, &mut source, &output, stops, notice).await;
        let written = output.finish();
        // Our terminal is ours again before anything is said at it.
        drop(source);
        let mut report = Report::of(went);
        if written.is_err() && report.exit == Exit::DONE {
            report.exit = Exit::PIPE;
        }
        report
    }

    /// Says how it ended.
    pub(crate) fn tell(self, call: &Call, report: &Report) -> Exit {
        if self.options.json {
            print(&report.json(call).to_string());
        }
        // Nobody reads any more, as in `call … | head`: no reason for words.
        if report.exit != Exit::PIPE {
            report.words.iter().for_each(|words| say(words));
        }
        report.exit
    }
}

/// How the output of a call goes on from here, but for a verb that has the terminal.
pub(crate) fn style(options: &Options) -> Style {
    if options.json { Style::Json } else { Style::Plain }
}

pub(crate) fn machine(fault: &io::Error) -> Failure {
    Failure::of(Exit::NOT_RUN, "machine", fault)
}

/// A word while a call lasts. Where a verb has the terminal, a line feed alone does not lead to the next line's beginning.
pub(crate) fn told(notice: Notice, style: Style) -> String {
    match style {
        Style::Screen => format!("{notice}\r"),
        Style::Plain | Style::Json => notice.to_string(),
    }
}

/// The listed verb of this name.
pub(crate) fn listed<'a>(verb: &str, menu: &'a [MenuEntry]) -> Result<&'a MenuEntry, Failure> {
    if let Some(entry) = menu.iter().find(|entry| entry.verb.as_str() == verb) {
        return Ok(entry);
    }
    let shown = crate::neutral::one_line(verb, 80);
    let near = nearest(verb, menu.iter().map(|entry| entry.verb.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`list` shows what may be called".to_owned(),
    };
    let what = format!("no verb `{shown}` is shared with you");
    Err(Failure::new(Exit::UNKNOWN_VERB, "unknown_verb", what).hint(hint))
}

pub(crate) fn bad_argument(fault: &ArgumentFault) -> Failure {
    Failure::of(Exit::USAGE, "usage", fault)
}

fn verb_name(text: &str) -> Result<VerbName, Failure> {
    text.parse().map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))
}

fn call_id(text: &str) -> Result<CallId, Failure> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    number.map(|number| CallId(number.to_be_bytes())).ok_or_else(|| {
        Failure::new(
            Exit::USAGE,
            "usage",
            "the value of `--id` is not a call id: write 32 hexadecimal digits",
        )
    })
}

/// Bytes as they are go to what does not act on them. There is no second thought to be had: a sequence can type an answer.
fn check_raw(raw: bool, json: bool, to_terminal: bool) -> Result<(), Failure> {
    let (what, hint) = match (raw, json, to_terminal) {
        (true, true, _) => ("`--raw` is bytes, and `--json` is not", "leave out one of them"),
        (true, false, true) => (
            "`--raw` keeps control sequences, and a terminal would act on them",
            "send the output to a file or a pipe, or leave out `--raw`",
        ),
        (true, false, false) | (false, ..) => return Ok(()),
    };
    Err(Failure::new(Exit::USAGE, "usage", what).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::entry;

    #[test]
    fn an_unknown_verb_is_127_with_the_one_that_was_meant() {
        let failure = listed("log.tial", &[entry()]).unwrap_err();
        assert_eq!(failure.exit, Exit::UNKNOWN_VERB);
        assert!(failure.to_string().contains("did you mean `log.tail`?"), "{failure}");
        assert!(listed("db.drop", &[entry()]).unwrap_err().to_string().contains("`list` shows"));
        assert!(listed("log.tail", &[entry()]).is_ok());
    }

    #[test]
    fn raw_output_is_for_what_does_not_act_on_it() {
        assert!(check_raw(true, false, false).is_ok());
        assert!(check_raw(false, false, true).is_ok() && check_raw(false, true, true).is_ok());
        for (json, to_terminal) in [(false, true), (true, false), (true, true)] {
            let failure = check_raw(true, json, to_terminal).unwrap_err();
            assert_eq!(failure.exit, Exit::USAGE);
        }
        let failure = check_raw(true, false, true).unwrap_err().to_string();
        assert!(failure.contains("a terminal would act on them"), "{failure}");
    }

    #[test]
    fn a_call_id_is_32_hexadecimal_digits() {
        assert_eq!(call_id(&"0f".repeat(16)).unwrap(), CallId([15; 16]));
        for bad in [
            "",
            "0f",
            &"0f".repeat(15),
            &"0g".repeat(16),
            &"0f".repeat(17),
            &format!("+{}", "0".repeat(31)),
        ] {
            assert!(call_id(bad).is_err(), "{bad}");
        }
    }
}
