//! How the tour is told: a sentence, the command as it is typed, its real output.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::fault::Fault;
use crate::cli::output::{Format, Output};
use crate::cli::shown;

/// A handle is as long as a page; more than this of it says nothing to a reader.
const SHOWN_OF_HANDLE: usize = 24;

/// Between chapters, where a person watches.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells the tour, or keeps it for one JSON document.
pub(super) struct Tale<'o> {
    out: &'o mut Output,
    commands: Vec<Value>,
}

impl<'o> Tale<'o> {
    pub(super) fn new(out: &'o mut Output) -> Self {
        Self { out, commands: Vec::new() }
    }

    /// A new part of the story.
    pub(super) async fn chapter(&mut self, title: &str) -> Result<(), Fault> {
        if self.out.is_watched() {
            tokio::time::sleep(PAUSE).await;
        }
        let title = self.out.paint().strong(title);
        self.say(&format!("{title}\n"))
    }

    /// Words of ours.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Fault> {
        match self.out.format() {
            Format::Text => self.out.data(text),
            Format::Json => Ok(()),
        }
    }

    /// A command, as somebody would type it.
    pub(super) fn command(&mut self, who: &str, line: &str) -> Result<(), Fault> {
        let typed = self.out.paint().strong(&format!("{who}$ {}", without_handles(line)));
        self.say(&typed)
    }

    /// A line of a command's output.
    pub(super) fn output(&mut self, line: &str) -> Result<(), Fault> {
        self.say(format!("  {}", without_handles(&shown::output(line))).trim_end())
    }

    /// What a command came to.
    pub(super) fn ended(
        &mut self,
        who: &str,
        line: &str,
        exit: i32,
        output: &str,
    ) -> Result<(), Fault> {
        self.commands.push(json!({ "who": who, "command": line, "exit": exit, "output": output }));
        if exit == 0 { self.say("") } else { self.say(&format!("  [exit status {exit}]\n")) }
    }

    /// With `--json`, all of it.
    pub(super) fn close(&mut self, held: bool) -> Result<(), Fault> {
        match self.out.format() {
            Format::Json => {
                let commands = std::mem::take(&mut self.commands);
                self.out.json(
                    &json!({ "schema": "openscope.try/1", "held": held, "commands": commands }),
                )
            }
            Format::Text => Ok(()),
        }
    }

    /// For who looks for what went wrong.
    pub(super) fn aside(&mut self, text: &str) {
        self.out.once(&shown::lines(text));
    }
}

/// The line with the middle of every handle and token left out.
fn without_handles(line: &str) -> String {
    line.split(' ').map(short).collect::<Vec<_>>().join(" ")
}

fn short(word: &str) -> String {
    let (start, length) = (word.get(..SHOWN_OF_HANDLE), word.chars().count());
    match start {
        Some(start) if word.starts_with("osp1_") || word.starts_with("osrt1_") => {
            format!("{start}…({length} characters)")
        }
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_shown_by_its_beginning_and_its_length() {
        let line = format!("client --passport osp1_{} --fingerprint SHA256:x", "a".repeat(1000));
        let expected = format!(
            "client --passport osp1_{}…(1005 characters) --fingerprint SHA256:x",
            "a".repeat(19)
        );
        assert_eq!(without_handles(&line), expected);
        assert_eq!(without_handles("osp1_short  two"), "osp1_short  two");
    }
}
