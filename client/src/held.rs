//! A channel that outlives the command that made it: held by a process of this user, for the commands that follow.
//!
//! The holder signs nothing but its own taking of the seat, and decides nothing. A command reads how the seat stands, signs its
//! call itself with the holder key that it has on the disk, and has its bytes carried on a stream of the channel. What the daemon
//! signs, the command verifies as ever.

mod door;
mod holder;
mod launch;
mod serve;
mod socket;
mod word;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use door::{Door, Watched};
pub(crate) use holder::run;
pub(crate) use word::{Told, ToldLink, Word, Words};

use crate::environment::Environment;
use crate::failure::Failure;
use crate::seat::Seat;
use crate::start::say;
use door::Unheld;
use socket::Socket;

/// What a command does about a channel that is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sharing {
    /// Uses it, where there is one.
    Use,
    /// Uses it, or has it held first; until nobody has used it for so long.
    Keep(Duration),
    /// Ends the holder, and makes a channel of its own.
    End,
}

/// A channel that is held, and how it stands.
pub(crate) struct Held {
    pub(crate) door: Arc<Door>,
    pub(crate) watched: Watched,
    pub(crate) told: Told,
}

impl Sharing {
    /// As `--persist` says.
    pub(crate) fn of(persist: Option<Duration>) -> Self {
        match persist {
            None => Self::Use,
            Some(Duration::ZERO) => Self::End,
            Some(stay) => Self::Keep(stay),
        }
    }

    fn stay(self) -> Option<Duration> {
        match self {
            Self::Keep(stay) => Some(stay),
            Self::Use | Self::End => None,
        }
    }
}

impl Held {
    /// The channel that is held for this seat, if there is one or shall be. Where none can be held, `--persist` is no reason not
    /// to do the work: a word says why, and the command makes a channel of its own.
    ///
    /// # Errors
    /// When the holder could not take the seat: nor could the command.
    pub(crate) async fn find(
        seat: &Seat,
        environment: &Environment,
        (sharing, is_quiet): (Sharing, bool),
    ) -> Result<Option<Self>, Failure> {
        let note = |why: &str| {
            if let (Sharing::Keep(_), false) = (sharing, is_quiet) {
                say(&format!("the channel is not kept: {why}"));
            }
        };
        let socket = match Socket::of(seat, environment) {
            Ok(socket) => socket,
            Err(fault) => {
                note(&crate::failure::chain(&fault));
                return Ok(None);
            }
        };
        let door = Arc::new(Door::at(socket));
        if sharing == Sharing::End {
            door.end().await;
            return Ok(None);
        }
        let mut found = door.watch(sharing.stay()).await;
        if let (Err(Unheld::Nobody), Sharing::Keep(stay)) = (&found, sharing) {
            if let Err(why) = launch::launch(seat, stay) {
                note(&why);
                return Ok(None);
            }
            found = door.watch(Some(stay)).await;
        }
        match found {
            Ok((watched, told)) => Ok(Some(Self { door, watched, told })),
            Err(Unheld::Failed(failure)) => Err(failure),
            Err(Unheld::Nobody) => {
                note("its holder gives no answer");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_used_kept_or_ended_as_the_option_says() {
        let stay = Duration::from_mins(2);
        assert_eq!(Sharing::of(None), Sharing::Use);
        assert_eq!(Sharing::of(Some(stay)), Sharing::Keep(stay));
        assert_eq!(Sharing::of(Some(Duration::ZERO)), Sharing::End);
    }

    #[tokio::test]
    async fn where_nobody_holds_a_channel_a_command_makes_its_own() {
        let home = tempfile::tempdir().unwrap();
        let state = Some(home.path().join("openscope"));
        let environment = Environment { state, ..Environment::default() };
        for sharing in [Sharing::Use, Sharing::End] {
            let seat = crate::sample::seat();
            assert!(Held::find(&seat, &environment, (sharing, false)).await.unwrap().is_none());
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "and leaves nothing");
    }
}
