//! What an age plugin asks of the person who runs this: a PIN, a touch, a yes.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use wire::handle::{Callbacks, PluginFault, PluginKey, SecretString};

use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::neutral::one_line;
use crate::start::say;
use crate::tty::{Person, Tty};

/// The most characters of a plugin's words that are shown.
const MOST: usize = 500;

/// Who can be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks {
    /// Whoever sits at the terminal.
    Terminal,
    /// Nobody: an agent's host or a script runs this.
    Nobody,
}

/// Puts one plugin's questions to the person.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    program: String,
    asks: Asks,
    /// A question that got no answer: the plugin may not say so.
    unanswered: Arc<Mutex<Option<String>>>,
}

impl Asking {
    pub(crate) fn of(key: &PluginKey, asks: Asks) -> Self {
        Self { program: key.program(), asks, unanswered: Arc::default() }
    }

    /// What a plugin that did not open a handle is told as.
    pub(crate) fn failure(&self, fault: &PluginFault) -> Failure {
        let unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = unanswered.as_deref() {
            return self.without_answer(question);
        }
        let hint = match fault {
            PluginFault::Missing { .. } => {
                "install it, or name another key with `--identity FILE`; a bearer handle's second value goes with `--secret-file FILE`"
            }
            PluginFault::BrokeOff { .. } => {
                "see whether it opens a file for `age`; if it does not, install it again"
            }
            PluginFault::Says { .. } | PluginFault::Handle(_) => {
                "see to that, and say this again; or name another key with `--identity FILE`"
            }
        };
        Failure::new(Exit::NOT_RUN, "plugin", chain(fault)).hint(hint)
    }

    /// Whether it wanted an answer that nobody gave.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn without_answer(&self, question: &str) -> Failure {
        let program = &self.program;
        let (why, hint) = match self.asks {
            Asks::Terminal => ("nothing was answered", "say this again, and answer"),
            Asks::Nobody => (
                "there is no terminal to ask at",
                "run this at a terminal, or use a key that opens without a question",
            ),
        };
        let what = format!("`{program}` asks, and {why}: {question}");
        Failure::new(Exit::NOT_RUN, "plugin", what).hint(hint)
    }

    fn ask<T>(
        &self,
        question: &str,
        ask: impl FnOnce(&mut Tty, &str) -> io::Result<T>,
    ) -> Option<T> {
        let question = one_line(question, MOST);
        let terminal = match self.asks {
            Asks::Terminal => Tty::open(),
            Asks::Nobody => None,
        };
        let shown = format!("{}: {question} ", self.program);
        let answer = terminal.and_then(|mut terminal| ask(&mut terminal, &shown).ok());
        if answer.is_none() {
            *self.unanswered.lock().unwrap_or_else(PoisonError::into_inner) = Some(question);
        }
        answer
    }
}

impl Callbacks for Asking {
    fn display_message(&self, message: &str) {
        say(&format!("{}: {}", self.program, one_line(message, MOST)));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let question = format!("{message} (y: {yes}, n: {})", no.unwrap_or("no"));
        let answer = self.ask(&question, Person::ask)?;
        Some(["y", "yes"].contains(&answer.to_lowercase().as_str()))
    }

    fn request_public_string(&self, question: &str) -> Option<String> {
        self.ask(question, Person::ask)
    }

    fn request_passphrase(&self, question: &str) -> Option<SecretString> {
        let answer = self.ask(question, Person::ask_hidden)?;
        Some(SecretString::from(answer.as_str()))
    }
}
