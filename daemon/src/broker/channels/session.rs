//! A joined channel's life: what the client is told, what it says, and the streams of its calls.

use std::sync::Arc;

use wire::channel::{RecvStream, SendStream};
use wire::frame::{Farewell, Frame, Frames};

use super::super::Broker;
use super::super::farewell::{PeerFault, read_frame};
use super::arrival::Control;
use super::channel::Channel;

impl Broker {
    /// Until the client leaves, or does what it may not, or is replaced. As what to close the channel.
    pub(super) async fn attend(
        &self,
        channel: &Arc<Channel>,
        control: Control,
        joined: Frame,
    ) -> Farewell {
        let Control { mut send, mut receive, mut frames } = control;
        tokio::select! {
            biased;
            _ = channel.connection.closed() => Farewell::Bye,
            () = self.accept_calls(channel) => Farewell::Bye,
            () = tell(channel, &mut send, joined) => Farewell::Bye,
            fault = listen(channel, &mut receive, &mut frames) => fault.farewell(),
        }
    }

    async fn accept_calls(&self, channel: &Arc<Channel>) {
        while let Ok((send, receive)) = channel.connection.accept_bi().await {
            let (broker, channel) = (self.clone(), Arc::clone(channel));
            let calls = channel.calls.clone();
            calls.spawn(async move { broker.serve_stream(channel, send, receive).await });
        }
    }
}

/// Tells the client all news, until it does not listen.
async fn tell(channel: &Channel, send: &mut SendStream, joined: Frame) {
    let mut frame = joined;
    loop {
        let Ok(bytes) = frame.encode() else {
            return tracing::error!(?channel, "the monitor said more than fits in a frame");
        };
        if send.write_all(&bytes).await.is_err() {
            return;
        }
        frame = channel.news.next().await;
    }
}

/// A holder has one thing to say here: that it knows of the end.
async fn listen(channel: &Channel, receive: &mut RecvStream, frames: &mut Frames) -> PeerFault {
    loop {
        match read_frame(receive, frames).await {
            Ok(Frame::EndSeen) if channel.news.end_was_told() => channel.end_seen.cancel(),
            Ok(_) => return PeerFault::OutOfPlace,
            // It may close its side after its last word, and still hear how its calls end.
            Err(PeerFault::Finished) if channel.end_seen.is_cancelled() => {
                std::future::pending::<()>().await;
            }
            Err(fault) => return fault,
        }
    }
}
