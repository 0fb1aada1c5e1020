//! Frames from a stream.

use wire::channel::{ReadError, RecvStream};
use wire::frame::{Frame, FrameFault, Frames, HEADER, MAX_DATA};

/// Reads the frames of one stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    stream: RecvStream,
    frames: Frames,
}

/// Why there is no further frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameEnd {
    /// The stream or its channel broke.
    #[error("the stream broke off")]
    Read(#[source] ReadError),
    /// The daemon ended the stream.
    #[error("the daemon ended the stream early")]
    Finished,
    /// What came is no frame.
    #[error("the daemon sent what is no frame")]
    Frame(#[source] FrameFault),
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, frames: Frames::default() }
    }

    /// The next frame. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Frame, FrameEnd> {
        loop {
            if let Some(frame) = self.frames.take().map_err(FrameEnd::Frame)? {
                return Ok(frame);
            }
            let chunk =
                self.stream.read_chunk(MAX_DATA + HEADER, true).await.map_err(FrameEnd::Read)?;
            self.frames.push(&chunk.ok_or(FrameEnd::Finished)?.bytes);
        }
    }
}
