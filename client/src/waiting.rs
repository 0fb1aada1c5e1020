//! What is waited for while a seat is taken, on a person's terminal: once it takes long, and gone when it is there.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::environment::Environment;
use crate::join::Stage;

/// What takes less is not worth a word.
const LONG: Duration = Duration::from_millis(400);

/// How the line is shown, if it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// Nobody looks, or nobody wants to know.
    None,
    /// One below the other: the terminal cannot clear one.
    Each,
    /// In one line, which is cleared.
    One,
}

impl Line {
    pub(crate) fn of(environment: &Environment, quiet: bool) -> Self {
        match environment.terminal.as_deref() {
            _ if quiet || !io::stderr().is_terminal() => Self::None,
            None | Some("" | "dumb") => Self::Each,
            Some(_) => Self::One,
        }
    }

    /// Does some work, and shows what it waits for.
    pub(crate) async fn during<T>(
        self,
        stages: watch::Receiver<Stage>,
        work: impl Future<Output = T>,
    ) -> T {
        if self == Self::None {
            return work.await;
        }
        let done = tokio::select! {
            biased;
            done = work => done,
            never = self.show(stages) => match never {},
        };
        done
    }

    async fn show(self, mut stages: watch::Receiver<Stage>) -> std::convert::Infallible {
        sleep_until(Instant::now() + LONG).await;
        let _cleared = Cleared(self);
        loop {
            let words = words(*stages.borrow_and_update());
            let mut stderr = io::stderr();
            let _the_terminal_is_gone = match self {
                Self::One => write!(stderr, "\r\x1b[K{words}").and_then(|()| stderr.flush()),
                Self::Each => writeln!(stderr, "{words}"),
                Self::None => Ok(()),
            };
            if stages.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

struct Cleared(Line);

impl Drop for Cleared {
    fn drop(&mut self) {
        if self.0 == Line::One {
            let mut stderr = io::stderr();
            let _the_terminal_is_gone = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
        }
    }
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::Relay => "waiting for the relay …",
        Stage::Daemon => "the relay answers; waiting for the daemon …",
        Stage::Seat => "the daemon answers; taking the seat …",
    }
}
