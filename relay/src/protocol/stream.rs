//! The control stream: messages read and written one at a time.

use std::marker::PhantomData;

use quinn::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control::{self, LENGTH_BYTES, MessageFault};

/// Reads messages of one kind. Never holds more than one message and its bound.
pub(crate) struct ControlReader<T> {
    stream: RecvStream,
    held: Vec<u8>,
    max: usize,
    kind: PhantomData<fn() -> T>,
}

/// Why no message was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFault {
    /// The peer says what this protocol does not say.
    #[error(transparent)]
    Message(#[from] MessageFault),
    /// The stream is over.
    #[error("the control stream has ended")]
    Ended,
}

impl<T: Serialize + DeserializeOwned> ControlReader<T> {
    /// Messages are at most `max` bytes of CBOR.
    pub(crate) fn new(stream: RecvStream, max: usize) -> Self {
        Self { stream, held: Vec::new(), max, kind: PhantomData }
    }

    /// The same stream, with what it holds, for messages of another size.
    #[cfg(feature = "server")]
    pub(crate) fn bounded(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// The next message. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<T, ReadFault> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            let room = LENGTH_BYTES + self.max - self.held.len();
            match self.stream.read_chunk(room, true).await {
                Ok(Some(chunk)) => self.held.extend_from_slice(&chunk.bytes),
                Ok(None) | Err(_) => return Err(ReadFault::Ended),
            }
        }
    }

    fn take(&mut self) -> Result<Option<T>, MessageFault> {
        let Some((length, rest)) = self.held.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > self.max {
            return Err(MessageFault::TooLong { length, max: self.max });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = control::read(body)?;
        self.held.drain(..LENGTH_BYTES + length);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        Ok(Some(message))
    }
}

/// Writes one message; an error means that the connection is going away.
pub(crate) async fn write(
    stream: &mut SendStream,
    message: &impl Serialize,
) -> Result<(), ReadFault> {
    let frame = control::write(message)?;
    stream.write_all(&frame).await.map_err(|_| ReadFault::Ended)
}
