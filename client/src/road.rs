//! The way of a call's stream to the daemon: the channel itself, or the socket of whoever holds it for this user.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use wire::channel::{Connection, RecvStream, SendStream, VarInt};
use wire::frame::{HEADER, MAX_DATA};

use crate::held::{Door, Word, Words};

/// Where streams are opened.
#[derive(Clone, Debug)]
pub(crate) enum Road {
    /// On a channel of our own.
    Channel(Connection),
    /// On the channel that another process of this user holds.
    Held(Arc<Door>),
}

/// What we say on a stream.
#[derive(Debug)]
pub(crate) enum Giving {
    Channel(SendStream),
    /// Nothing once it was reset.
    Held(Option<OwnedWriteHalf>),
}

/// What the daemon says on a stream.
#[derive(Debug)]
pub(crate) enum Taking {
    Channel(RecvStream),
    Held {
        words: Words<OwnedReadHalf>,
        /// The holder has said how the stream ended: without that, the channel is lost.
        is_told: bool,
    },
}

impl Road {
    /// A new stream that begins with these bytes; nothing where there is no way now.
    pub(crate) async fn open(&self, first: &[u8]) -> Option<(Giving, Taking)> {
        match self {
            Self::Channel(connection) => {
                let (mut send, receive) = connection.open_bi().await.ok()?;
                send.write_all(first).await.ok()?;
                Some((Giving::Channel(send), Taking::Channel(receive)))
            }
            Self::Held(door) => {
                let (read, write) = door.stream(first).await.ok()?.into_split();
                let words = Words::new(read);
                Some((Giving::Held(Some(write)), Taking::Held { words, is_told: false }))
            }
        }
    }

    /// Whether the stream that ended so has taken its channel along.
    pub(crate) fn is_lost(&self, taking: &Taking) -> bool {
        match (self, taking) {
            (Self::Channel(connection), _) => connection.close_reason().is_some(),
            (Self::Held(_), Taking::Held { is_told, .. }) => !is_told,
            (Self::Held(_), Taking::Channel(_)) => false,
        }
    }

    /// Whether whoever leaves it owes the daemon a farewell.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Channel(_))
    }
}

impl Giving {
    /// Writes as much as there is room for. Dropping the future loses nothing.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Channel(send) => Ok(send.write(bytes).await?),
            Self::Held(Some(write)) => write.write(bytes).await,
            Self::Held(None) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Breaks it off: the daemon ends the call, and its answer still comes.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Channel(send) => {
                let _ended_already = send.reset(VarInt::from_u32(0));
            }
            // Whoever carries it takes the end of what we say for that.
            Self::Held(write) => *write = None,
        }
    }
}

impl Taking {
    /// The next bytes; nothing at the end. Dropping the future loses nothing.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        match self {
            Self::Channel(receive) => {
                let chunk = receive.read_chunk(MAX_DATA + HEADER, true).await?;
                Ok(chunk.map(|chunk| chunk.bytes))
            }
            Self::Held { words, is_told } => match words.next().await? {
                Word::Bytes(bytes) => Ok(Some(bytes)),
                Word::Finished => {
                    *is_told = true;
                    Ok(None)
                }
                Word::Broken => {
                    *is_told = true;
                    Err(io::ErrorKind::ConnectionReset.into())
                }
                Word::Lost => Err(io::ErrorKind::NotConnected.into()),
                Word::Ask(_) | Word::Joining | Word::Standing(_) | Word::Failed(_) => {
                    Err(io::ErrorKind::InvalidData.into())
                }
            },
        }
    }
}
