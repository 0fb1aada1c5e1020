//! `openscope try`: the whole story on this machine, in a temporary home, with real output.

use std::io::{self, IsTerminal as _};
use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::fault::Fault;
use super::output::Output;
use crate::exit::Exit;

mod account;
mod home;
mod page;
mod prompt;
mod setting;
mod siblings;
mod stage;
mod story;
mod tale;

use home::Home;
use prompt::Prompting;
use siblings::Siblings;
use stage::{Outcome, Stage};
use tale::Tale;

pub(super) const HELP: &str = "\
Starts a relay and a daemon of your own on 127.0.0.1, opens a share, lets a recipient call, be
refused and follow a log, revokes it in mid-call, verifies the audit log, and removes everything.
Nothing outside a temporary directory is written. At a terminal it then leaves you at the
recipient's prompt. Started by root it first becomes an ordinary account.
";

#[derive(Debug, clap::Args)]
pub(super) struct Try;

impl Try {
    #[expect(clippy::unused_self, reason = "commands are run alike")]
    pub(super) fn run(self, out: &mut Output) -> Result<Exit, Fault> {
        // As root: the account that is about to be ours may not be able to reach where our programs lie.
        let siblings = Siblings::open()?;
        let account = account::become_ordinary()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::failed(format!("no event loop: {error}")))?;
        runtime.block_on(tour(siblings, &account, out))
    }
}

async fn tour(
    siblings: Siblings,
    account: &account::Account,
    out: &mut Output,
) -> Result<Exit, Fault> {
    let mut interrupted = Interrupted::watch()?;
    let home = Home::make(account)?;
    let prompting = Rc::new(Prompting::default());
    let mut stage = Stage::new(home, siblings, Tale::new(out));
    let told = tokio::select! {
        biased;
        () = interrupted.come(&prompting) => Err(Fault::new(Exit::Interrupted, "the tour was ended early; everything that it started is gone")),
        told = tell(&mut stage, account, &prompting) => told,
    };
    prompting.restore();
    let cleared = stage.clear(Outcome::of(&told)).await;
    told.and(cleared).map(|()| Exit::Done)
}

async fn tell(
    stage: &mut Stage<'_>,
    account: &account::Account,
    prompting: &Prompting,
) -> Result<(), Fault> {
    story::tell(stage, account).await?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        prompt::leave_at(stage, prompting).await?;
    }
    Ok(())
}

/// The ways in which a person, or the machine, ends the tour early.
struct Interrupted {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupted {
    fn watch() -> Result<Self, Fault> {
        let on = |kind| {
            signal(kind)
                .map_err(|error| Fault::failed(format!("signals cannot be caught: {error}")))
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Ready when one has come. At the recipient's prompt Ctrl+C is the prompt's.
    async fn come(&mut self, prompting: &Prompting) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => if !prompting.is_on() { return },
                _ = self.terminate.recv() => return,
                _ = self.hangup.recv() => return,
            }
        }
    }
}
