//! A command's way to the holder of a channel.

use std::io;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::socket::Socket;
use super::word::{Ask, Told, ToldLink, VERSION, Want, Word, Words};
use crate::failure::Failure;

/// A holder that lives says something at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A holder that takes the seat, or takes it again, has as long as it may take a command itself.
const JOIN_LIMIT: Duration = Duration::from_secs(20);

/// Where a holder may listen.
#[derive(Debug)]
pub(crate) struct Door {
    socket: Socket,
}

/// What a holder tells for as long as it is listened to.
pub(crate) type Watched = Words<UnixStream>;

/// Why a holder is of no use.
#[derive(Debug)]
pub(super) enum Unheld {
    /// Nobody is there, or nobody that is ours and understands us.
    Nobody,
    /// It has tried to take the seat, and could not.
    Failed(Failure),
}

impl Door {
    pub(super) fn at(socket: Socket) -> Self {
        Self { socket }
    }

    /// How it stands, once the seat is taken, and what comes after that. With a time, the holder stays for as long after its last
    /// use from now on.
    pub(super) async fn watch(&self, stay: Option<Duration>) -> Result<(Watched, Told), Unheld> {
        let asked = self.ask(Want::watch(stay), &[]).await;
        let mut words = Words::new(asked.map_err(|_| Unheld::Nobody)?);
        let mut limit = ANSWER_LIMIT;
        loop {
            match timeout(limit, words.next()).await {
                Ok(Ok(Word::Standing(told))) => match told.link {
                    ToldLink::Up(_) => return Ok((words, *told)),
                    ToldLink::Down => {}
                    // Our own way there tells why.
                    ToldLink::Ended(_)
                    | ToldLink::Gone(_)
                    | ToldLink::Replaced
                    | ToldLink::Closed => return Err(Unheld::Nobody),
                },
                Ok(Ok(Word::Joining)) => {}
                Ok(Ok(Word::Failed(failure))) => return Err(Unheld::Failed(failure)),
                Ok(
                    Ok(Word::Ask(_) | Word::Bytes(_) | Word::Finished | Word::Broken | Word::Lost)
                    | Err(_),
                )
                | Err(_) => return Err(Unheld::Nobody),
            }
            limit = JOIN_LIMIT;
        }
    }

    /// A new stream of the channel, that begins with these bytes.
    pub(crate) async fn stream(&self, first: &[u8]) -> io::Result<UnixStream> {
        self.ask(Want::Stream, first).await
    }

    /// Tells the holder, if there is one, to take nobody else.
    pub(super) async fn end(&self) {
        if let Ok(asked) = self.ask(Want::Leave, &[]).await {
            // It has heard it once it closes the connection.
            let _unanswered = timeout(ANSWER_LIMIT, Words::new(asked).next()).await;
        }
    }

    async fn ask(&self, want: Want, first: &[u8]) -> io::Result<UnixStream> {
        let mut bytes = Word::Ask(Ask { version: VERSION, want }).encode()?;
        bytes.extend_from_slice(first);
        let mut stream = self.connect().await?;
        timeout(ANSWER_LIMIT, stream.write_all(&bytes)).await??;
        Ok(stream)
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        if !self.socket.is_private() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let connected = timeout(ANSWER_LIMIT, UnixStream::connect(self.socket.path())).await?;
        if connected.as_ref().is_err_and(|fault| fault.kind() == io::ErrorKind::ConnectionRefused) {
            self.socket.clear();
        }
        let stream = connected?;
        if is_of_this_user(&stream) {
            Ok(stream)
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

/// Whether the process at the other end is this user's, by the kernel's word.
pub(super) fn is_of_this_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}
