//! Where words go: data to stdout, everything else to stderr.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use serde_json::Value;

use super::fault::Fault;
use super::shown;
use crate::exit::Exit;

/// What the data looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Text,
    Json,
}

/// The two ways out.
pub(super) struct Output {
    data: Box<dyn Write>,
    aside: Box<dyn Write>,
    format: Format,
    quiet: bool,
    watched: bool,
    paint: Paint,
}

/// Whether stderr takes colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Paint {
    Plain,
    Colour,
}

impl Paint {
    fn of_process() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == OsStr::new("dumb"));
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        if io::stderr().is_terminal() && !dumb && !unwanted { Self::Colour } else { Self::Plain }
    }

    /// Red and bold: an error.
    pub(super) fn alarm(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// Bold: a heading, a command.
    pub(super) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

impl Output {
    pub(super) fn of_process(format: Format, quiet: bool) -> Self {
        let (data, aside) = (Box::new(io::stdout()), Box::new(io::stderr()));
        Self {
            data,
            aside,
            format,
            quiet,
            watched: io::stdout().is_terminal(),
            paint: Paint::of_process(),
        }
    }

    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// Whether a person reads along.
    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// A line, or several, that the command was run for.
    pub(super) fn data(&mut self, text: &str) -> Result<(), Fault> {
        let written = writeln!(self.data, "{text}").and_then(|()| self.data.flush());
        written.map_err(|error| unwritable(&error))
    }

    /// Data as it is, to the last byte.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.data.write_all(bytes).and_then(|()| self.data.flush());
        written.map_err(|error| unwritable(&error))
    }

    /// The one JSON document of this command.
    pub(super) fn json(&mut self, document: &Value) -> Result<(), Fault> {
        self.data(&harmless(&document.to_string()))
    }

    /// What a person wants to know beside the data.
    pub(super) fn aside(&mut self, text: &str) {
        if !self.quiet {
            self.once(text);
        }
    }

    /// What is shown now or never, and so even to who wants quiet.
    pub(super) fn once(&mut self, text: &str) {
        // The person is gone, or stderr is full: the command itself goes on.
        let _ = writeln!(self.aside, "{text}").and_then(|()| self.aside.flush());
    }

    /// Says why it was not done, and what the exit status is.
    pub(super) fn fault(&mut self, fault: &Fault) -> Exit {
        if fault.is_silent() {
            return fault.exit();
        }
        self.once(&format!("{} {}", self.paint.alarm("error:"), fault.message()));
        for hint in fault.hints() {
            self.once(&format!("   = {hint}"));
        }
        if self.format == Format::Json {
            // The exit status says it as well.
            let _ = self.json(&fault.json());
        }
        fault.exit()
    }
}

/// JSON escapes only some of the characters that act on a terminal; the others get an escape of their own.
fn harmless(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if shown::acts(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a `String` cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

fn unwritable(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Fault::unread();
    }
    Fault::failed(format!("stdout cannot be written: {error}"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// What a test's output was.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Heard(Rc<RefCell<Vec<u8>>>);

    impl Heard {
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output whose stdout and stderr a test can read.
    pub(in crate::cli) fn heard(format: Format, quiet: bool) -> (Output, Heard, Heard) {
        let (data, aside) = (Heard::default(), Heard::default());
        let out = Output {
            data: Box::new(data.clone()),
            aside: Box::new(aside.clone()),
            format,
            quiet,
            watched: false,
            paint: Paint::Plain,
        };
        (out, data, aside)
    }

    #[test]
    fn an_error_says_what_happened_and_then_what_to_do() {
        let (mut out, data, aside) = heard(Format::Text, true);
        let exit = out.fault(&Fault::usage("no such thing").hint("try\nagain"));
        assert_eq!(exit, Exit::Usage);
        assert_eq!(aside.text(), "error: no such thing\n   = try\n   = again\n");
        assert_eq!(data.text(), "");
    }

    #[test]
    fn with_json_an_error_is_a_document_too() {
        let (mut out, data, _) = heard(Format::Json, false);
        let _ = out.fault(&Fault::failed("no"));
        let document: Value = serde_json::from_str(&data.text()).unwrap();
        assert_eq!(document["schema"], "openscope.error/1");
        assert_eq!(document["exit"], 1);
    }

    #[test]
    fn json_cannot_act_on_a_terminal_and_still_means_the_same() {
        let (mut out, data, _) = heard(Format::Json, false);
        let document = serde_json::json!({ "x": "\u{9b}2J\u{202e}\u{e0041}\u{7f}é" });
        out.json(&document).unwrap();
        assert!(!data.text().trim_end().contains(shown::acts), "{}", data.text());
        assert_eq!(serde_json::from_str::<Value>(&data.text()).unwrap(), document);
    }

    #[test]
    fn quiet_hides_what_is_beside_but_not_what_is_said_once() {
        let (mut out, _, aside) = heard(Format::Text, true);
        out.aside("beside");
        out.once("once");
        assert_eq!(aside.text(), "once\n");
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        assert_eq!(Paint::Plain.alarm("x"), "x");
        assert_eq!(Paint::Colour.alarm("x"), "\u{1b}[1;31mx\u{1b}[0m");
    }
}
