//! The end of the tour at a terminal: the recipient's own prompt, on a fresh share.

use std::cell::{Cell, RefCell};
use std::io;
use std::process::Stdio;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::stage::{Stage, Who};
use super::story;
use crate::cli::fault::Fault;

/// Whether a person is at the prompt, and how their terminal was before.
#[derive(Default)]
pub(super) struct Prompting {
    on: Cell<bool>,
    before: RefCell<Option<Termios>>,
}

impl Prompting {
    pub(super) fn is_on(&self) -> bool {
        self.on.get()
    }

    fn begin(&self) {
        self.on.set(true);
        self.before.replace(tcgetattr(io::stdin()).ok());
    }

    /// Gives the terminal back as it was: a prompt that was killed leaves it raw.
    pub(super) fn restore(&self) {
        self.on.set(false);
        if let Some(before) = self.before.take() {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        }
    }
}

/// Opens a fresh share and waits until the person has had enough of it.
pub(super) async fn leave_at(stage: &mut Stage<'_>, prompting: &Prompting) -> Result<(), Fault> {
    stage.tale.chapter("Now you are the vendor").await?;
    let share = story::open(stage, "10m").await?;
    stage.tale.say("Try `list`, or `call log.follow service=web` and Ctrl+C. `exit` or Ctrl+D ends the tour.\n")?;
    let arguments = share.passport();
    let mut command = stage.command(&stage.siblings.client, Who::Vendor);
    for name in ["TERM", "COLORTERM", "NO_COLOR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
        .args(arguments)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    prompting.begin();
    let ended = match command.spawn() {
        Ok(mut client) => client.wait().await,
        Err(error) => Err(error),
    };
    prompting.restore();
    ended.map_err(|error| {
        Fault::failed(format!("the recipient's prompt could not be run: {error}"))
    })?;
    stage.tale.say("\nThat was the tour. Everything it started and wrote is removed.")
}
