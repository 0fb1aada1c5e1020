//! Frames from a stream.

use std::io;

use wire::frame::{Frame, FrameFault, Frames};

use crate::road::Taking;

/// Reads the frames of one stream.
#[derive(Debug)]
pub(crate) struct FrameReader {
    stream: Taking,
    frames: Frames,
}

/// Why there is no further frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameEnd {
    /// The stream or its channel broke.
    #[error("the stream broke off")]
    Read(#[source] io::Error),
    /// The daemon ended the stream.
    #[error("the daemon ended the stream early")]
    Finished,
    /// What came is no frame.
    #[error("the daemon sent what is no frame")]
    Frame(#[source] FrameFault),
}

impl FrameReader {
    pub(crate) fn new(stream: Taking) -> Self {
        Self { stream, frames: Frames::default() }
    }

    /// The next frame. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Frame, FrameEnd> {
        loop {
            if let Some(frame) = self.frames.take().map_err(FrameEnd::Frame)? {
                return Ok(frame);
            }
            let chunk = self.stream.chunk().await.map_err(FrameEnd::Read)?;
            self.frames.push(&chunk.ok_or(FrameEnd::Finished)?);
        }
    }

    /// Where they come from.
    pub(crate) fn stream(&self) -> &Taking {
        &self.stream
    }
}
