//! What a peer may do wrong, and what it is told for it.

use quinn::{Connection, ReadError, RecvStream, VarInt};
use wire::frame::{Farewell, Frame, FrameFault, Frames};

/// The most that is taken from a stream at once: more than a frame's worth is never held beside the frame.
const READ_MAX: usize = 16 * 1024;

/// Why a peer's stream gave no frame.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerFault {
    /// Not a frame.
    #[error("not a frame")]
    Frame(#[from] FrameFault),
    /// A frame, but not one that belongs there.
    #[error("a frame out of place")]
    OutOfPlace,
    /// The stream ended before its frame did.
    #[error("the stream ended early")]
    Finished,
    /// The stream was reset, or the channel is gone.
    #[error("the stream failed")]
    Stream(#[source] ReadError),
    /// Nothing, or too little, came in time.
    #[error("too slow")]
    TooSlow,
    /// Somebody else needed the place.
    #[error("crowded out")]
    Crowded,
}

impl PeerFault {
    /// As what the channel is closed.
    pub(super) fn farewell(&self) -> Farewell {
        match self {
            Self::Frame(_) | Self::OutOfPlace => Farewell::Protocol,
            Self::Finished | Self::Stream(_) => Farewell::Bye,
            Self::TooSlow => Farewell::TooSlow,
            Self::Crowded => Farewell::Crowded,
        }
    }
}

/// Closes `connection` and says why.
pub(super) fn close(connection: &Connection, why: Farewell) {
    connection.close(VarInt::from_u32(why.code()), b"");
}

/// The next frame of a stream. Dropping the future loses nothing.
pub(super) async fn read_frame(
    stream: &mut RecvStream,
    frames: &mut Frames,
) -> Result<Frame, PeerFault> {
    loop {
        if let Some(frame) = frames.take()? {
            return Ok(frame);
        }
        match stream.read_chunk(READ_MAX, true).await {
            Ok(Some(chunk)) => frames.push(&chunk.bytes),
            Ok(None) => return Err(PeerFault::Finished),
            Err(fault) => return Err(PeerFault::Stream(fault)),
        }
    }
}
