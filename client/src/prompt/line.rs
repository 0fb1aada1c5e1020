//! Lines from the terminal, read on a thread of their own so that news can appear meanwhile.

use std::io::{self, Write};
use std::sync::mpsc as blocking;
use std::thread;

use policy::MenuEntry;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor};
use tokio::sync::mpsc;

use super::complete::Completions;

/// Lines that can be called back.
const HISTORY: usize = 500;

/// What came from the terminal.
#[derive(Debug)]
pub(super) enum Typed {
    Line(String),
    Interrupted,
    End,
}

/// The reading thread, seen from the session. Dropped, it leaves the terminal as it was found.
pub(super) struct Lines {
    asks: blocking::SyncSender<String>,
    typed: mpsc::Receiver<Typed>,
    completions: Completions,
    before: Option<Termios>,
}

impl Lines {
    pub(super) fn start(menu: &[MenuEntry]) -> io::Result<Self> {
        let before = tcgetattr(rustix::stdio::stdin()).ok();
        let completions = Completions::of(menu);
        let mut editor = editor(completions.clone()).map_err(io::Error::other)?;
        let (asks, asked) = blocking::sync_channel::<String>(1);
        let (answer, typed) = mpsc::channel(1);
        let work = move || {
            while let Ok(prompt) = asked.recv() {
                let line = read(&mut editor, &prompt);
                if answer.blocking_send(line).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("prompt".to_owned()).spawn(work)?;
        Ok(Self { asks, typed, completions, before })
    }

    /// Shows the prompt.
    pub(super) fn ask(&self, prompt: String) {
        let _ended = self.asks.send(prompt);
    }

    /// What is typed. Dropping the future loses nothing.
    pub(super) async fn typed(&mut self) -> Typed {
        self.typed.recv().await.unwrap_or(Typed::End)
    }

    /// Shows words where a person is typing, and completes by this menu from now on.
    ///
    /// Not by the editor's own printer, under which a pasted line waits for one more key. What was typed so far is
    /// drawn again with the next key.
    pub(super) fn show(&mut self, words: &str, menu: &[MenuEntry], prompt: &str) {
        self.completions.replace(menu);
        let mut stdout = io::stdout();
        let _the_terminal_is_gone =
            write!(stdout, "\r\n{words}\r\n{prompt}").and_then(|()| stdout.flush());
    }
}

impl Drop for Lines {
    /// The thread may still be reading, with the terminal in raw mode.
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _best_effort = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, before);
        }
    }
}

fn editor(completions: Completions) -> rustyline::Result<Editor<Completions, MemHistory>> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .max_history_size(HISTORY)?
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_helper(Some(completions));
    Ok(editor)
}

fn read(editor: &mut Editor<Completions, MemHistory>, prompt: &str) -> Typed {
    loop {
        match editor.readline(prompt) {
            Ok(line) => return Typed::Line(line),
            Err(ReadlineError::Interrupted) => return Typed::Interrupted,
            // A Ctrl+C that ended a call, told a second time.
            Err(ReadlineError::Signal(_)) => {}
            Err(_) => return Typed::End,
        }
    }
}
