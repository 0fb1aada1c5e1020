//! The holder's end of a call: their stream, and how they leave it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use quinn::StoppedError;
use tokio::sync::OwnedSemaphorePermit;
use wire::channel::{ReadError, RecvStream, SendStream, VarInt};
use wire::frame::{Farewell, Frame, Frames};
use wire::privsep::CallRef;
use wire::terminal::WindowSize;

use super::super::channels::Channel;
use super::super::farewell::{PeerFault, close, read_frame};

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send + Sync>>;

/// Where a call's answers go.
pub(super) struct Holder {
    pub(super) call: CallRef,
    pub(super) channel: Arc<Channel>,
    /// On its way to the task that carries the call.
    pub(super) slot: Option<OwnedSemaphorePermit>,
    pub(super) send: SendStream,
    watch: Watch,
}

/// What tells that the holder leaves.
pub(super) struct Watch {
    receive: Option<RecvStream>,
    frames: Frames,
    stopped: Stopped,
}

/// What the holder may say now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Floor {
    /// Nothing.
    Closed,
    /// Standard input.
    Open,
}

/// What the holder has done with the stream.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// Ended the call, and still wants to hear of it.
    Reset,
    /// Ended the call, and wants to hear no more.
    Stopped,
    /// Everything has arrived.
    Delivered,
    /// The channel is gone.
    Lost,
    /// Said something where nothing may be said.
    Spoke,
    /// Gave a piece of standard input.
    Gave(Bytes),
    /// Gave all of it.
    GaveAll,
    /// Sits before a terminal of another size.
    Resized(WindowSize),
}

impl Holder {
    pub(super) fn new(
        call: CallRef,
        channel: Arc<Channel>,
        slot: OwnedSemaphorePermit,
        send: SendStream,
        receive: RecvStream,
    ) -> Self {
        let stopped = Box::pin(send.stopped());
        let watch = Watch { receive: Some(receive), frames: Frames::default(), stopped };
        Self { call, channel, slot: Some(slot), send, watch }
    }

    /// With its call's place, on the way to another task.
    pub(super) fn with(self, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { slot, ..self }
    }

    /// The sending and the watching part, to be used at once.
    pub(super) fn parts(&mut self) -> (&mut SendStream, &mut Watch) {
        (&mut self.send, &mut self.watch)
    }

    /// A client that speaks out of turn is not one of ours.
    pub(super) fn expel(&self) {
        close(&self.channel.connection, Farewell::Protocol);
    }
}

impl Watch {
    /// What the holder does next. Dropping the future loses nothing.
    pub(super) async fn fate(&mut self, floor: Floor) -> Fate {
        let Self { receive, frames, .. } = self;
        tokio::select! {
            biased;
            fate = heard(receive, frames, floor) => fate,
            stopped = &mut self.stopped => match stopped {
                Ok(Some(_)) => Fate::Stopped,
                Ok(None) => Fate::Delivered,
                Err(StoppedError::ConnectionLost(_) | StoppedError::ZeroRttRejected) => Fate::Lost,
            },
        }
    }
}

/// The client's side of the stream, until it says more than it may. Its end is no news.
async fn heard(receive: &mut Option<RecvStream>, frames: &mut Frames, floor: Floor) -> Fate {
    let fate = match receive {
        Some(stream) => match floor {
            Floor::Closed => spoken(stream).await,
            Floor::Open => given(stream, frames).await,
        },
        None => std::future::pending().await,
    };
    if !matches!(fate, Some(Fate::Gave(_) | Fate::GaveAll | Fate::Resized(_))) {
        *receive = None;
    }
    match fate {
        Some(fate) => fate,
        None => std::future::pending().await,
    }
}

async fn spoken(stream: &mut RecvStream) -> Option<Fate> {
    match stream.read_chunk(1, true).await {
        Ok(Some(_)) => Some(Fate::Spoke),
        Ok(None) => None,
        Err(fault) => Some(fate_of(&fault)),
    }
}

async fn given(stream: &mut RecvStream, frames: &mut Frames) -> Option<Fate> {
    match read_frame(stream, frames).await {
        Ok(Frame::Stdin(bytes)) => Some(Fate::Gave(bytes)),
        Ok(Frame::StdinEnd) => Some(Fate::GaveAll),
        Ok(Frame::Resize(size)) => Some(Fate::Resized(size)),
        Err(PeerFault::Finished) => None,
        Err(PeerFault::Stream(fault)) => Some(fate_of(&fault)),
        Ok(_) | Err(_) => Some(Fate::Spoke),
    }
}

fn fate_of(fault: &ReadError) -> Fate {
    match fault {
        ReadError::Reset(_) => Fate::Reset,
        ReadError::ConnectionLost(_)
        | ReadError::ClosedStream
        | ReadError::IllegalOrderedRead
        | ReadError::ZeroRttRejected => Fate::Lost,
    }
}
