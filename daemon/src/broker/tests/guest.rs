//! A recipient's client, as small as one can be.

use std::sync::Arc;

use ::relay::leg::{Dialer, GuestEvents, GuestLeg, Trust};
use wire::channel::{
    ClientEndpoint, Connection, ConnectionError, HolderKey, Limits, RecvStream, SendStream,
};
use wire::frame::{Farewell, Frame, Frames, Join, VERSION};

use super::monitor::{a_signed, joined};
use super::relay::Relay;
use super::{PATIENCE, RENDEZVOUS, channel_public, soon};

pub(super) struct Guest {
    pub(super) leg: Arc<GuestLeg>,
    pub(super) endpoint: ClientEndpoint,
    pub(super) connection: Connection,
    pub(super) control: Option<Stream>,
    pub(super) events: GuestEvents,
}

/// One stream, as frames.
pub(super) struct Stream {
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    frames: Frames,
}

pub(super) async fn dial(relay: &Relay) -> (Arc<GuestLeg>, GuestEvents) {
    let dialer = Dialer::new(Trust::pins_only(), PATIENCE);
    let (leg, events) = GuestLeg::dial(&dialer, &relay.address, &RENDEZVOUS).await.unwrap();
    (Arc::new(leg), events)
}

impl Guest {
    pub(super) async fn arrive(relay: &Relay, holder: u8) -> Self {
        Self::arrive_with(relay, holder, Limits::client()).await
    }

    pub(super) async fn arrive_with(relay: &Relay, holder: u8, limits: Limits) -> Self {
        let (leg, events) = dial(relay).await;
        let endpoint = ClientEndpoint::new(leg.clone(), limits).unwrap();
        let holder = HolderKey::from_seed([holder; 32]);
        let daemon = channel_public();
        let connected = endpoint.connect(&holder, &daemon);
        let connection = soon("a channel", connected).await.unwrap();
        Self { leg, endpoint, connection, control: None, events }
    }

    pub(super) async fn ask(&mut self) {
        let mut control = Stream::open(&self.connection).await;
        control.say(&join()).await;
        self.control = Some(control);
    }

    pub(super) async fn hear(&mut self) -> Frame {
        self.control.as_mut().unwrap().next().await
    }

    pub(super) async fn is_joined(&mut self) {
        assert_eq!(self.hear().await, Frame::Joined(Box::new(joined())));
    }

    /// A stream with a call on it.
    pub(super) async fn call(&self) -> Stream {
        let mut stream = Stream::open(&self.connection).await;
        stream.say(&Frame::Call(a_signed())).await;
        stream.send.finish().unwrap();
        stream
    }

    /// As what the daemon closes the channel.
    pub(super) async fn farewell(&self) -> Farewell {
        match soon("a farewell", self.connection.closed()).await {
            ConnectionError::ApplicationClosed(close) => {
                Farewell::from_code(close.error_code.into_inner()).unwrap()
            }
            other => panic!("{other}"),
        }
    }
}

impl Stream {
    pub(super) async fn open(connection: &Connection) -> Self {
        let (send, receive) = soon("a stream", connection.open_bi()).await.unwrap();
        Self { send, receive, frames: Frames::default() }
    }

    pub(super) async fn say(&mut self, frame: &Frame) {
        self.send.write_all(&frame.encode().unwrap()).await.unwrap();
    }

    pub(super) async fn next(&mut self) -> Frame {
        let next = soon("a frame", self.next_or_end()).await;
        next.expect("the stream ended")
    }

    pub(super) async fn next_or_end(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.take().unwrap() {
                return Some(frame);
            }
            let chunk = self.receive.read_chunk(1 << 20, true).await.ok()??;
            self.frames.push(&chunk.bytes);
        }
    }

    /// All of standard output and of standard error, then the last word.
    pub(super) async fn collect(&mut self) -> (Vec<u8>, Vec<u8>, Frame) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match self.next().await {
                Frame::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                Frame::Stderr(bytes) => stderr.extend_from_slice(&bytes),
                Frame::Started | Frame::Taken(_) => {}
                last => {
                    let end = soon("the end of the stream", self.next_or_end()).await;
                    assert_eq!(end, None, "something after the last word");
                    return (stdout, stderr, last);
                }
            }
        }
    }
}

pub(super) fn join() -> Frame {
    Frame::Join(Join {
        version: VERSION,
        passport: vec![1; 300],
        ancestors: Vec::new(),
        redemption: Some(a_signed()),
        nonce: [7; 16],
    })
}
