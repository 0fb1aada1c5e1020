//! What a call's task may wait for; what is not there never comes.

use std::future::{pending, poll_fn};
use std::sync::Mutex;

use tokio::time::{Instant, sleep_until};
use wire::channel::{SendStream, WriteError};

use super::holder::{Fate, Floor, Watch};
use super::input::Input;
use super::outgoing::Outgoing;
use super::output::Output;
use super::pipe::{Piece, Scratch};

pub(super) async fn fate(watch: Option<&mut Watch>, floor: Floor) -> Fate {
    match watch {
        Some(watch) => watch.fate(floor).await,
        None => pending().await,
    }
}

pub(super) async fn send(
    outgoing: &mut Outgoing,
    stream: Option<&mut SendStream>,
) -> Result<(), WriteError> {
    match stream {
        Some(stream) => outgoing.send(stream).await,
        None => pending().await,
    }
}

pub(super) async fn piece(output: Option<&mut Output>, scratch: &Mutex<Scratch>) -> Piece {
    match output {
        Some(output) => poll_fn(|cx| output.poll_piece(cx, scratch)).await,
        None => pending().await,
    }
}

/// Comes back when the verb has been given something, or has closed its input.
pub(super) async fn write(input: Option<&mut Input>) {
    match input {
        Some(input) => poll_fn(|cx| input.poll_write(cx)).await,
        None => pending().await,
    }
}

pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
