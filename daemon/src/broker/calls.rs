//! Calls: carried up as they are signed, and their output carried down.

mod holder;
mod input;
mod line;
mod outgoing;
mod output;
mod pipe;
mod pump;
mod wait;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use policy::{Input as Takes, RequestId, Stdin};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::call::Signed;
use wire::channel::{RecvStream, SendStream};
use wire::frame::{Frame, Frames, Refusal};
use wire::privsep::{CallRef, ChannelId, FromBroker};
use wire::terminal::Terminal;

use super::Broker;
use super::channels::Channel;
use super::farewell::{PeerFault, close, read_frame};
use super::lock::lock;
use crate::redact::Rules;
use holder::Holder;
pub(super) use pipe::Scratch;
use pump::Pump;

/// A client opens a stream when it has something to call; this is for the slowest network.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What the monitor may say of one call, and who else may: started, exited, outcome, and a few who take it over.
const ORDERS_MAX: usize = 16;

/// What is to happen to one call.
enum Order {
    /// It runs, and this is where it writes, and what it reads from.
    Started { streams: Streams, output_max: u64, rules: Option<Arc<Rules>> },
    /// A word on it that is not the last.
    Say(Vec<u8>),
    /// Nothing of it is left.
    Exited,
    /// The last word on it, as it travels.
    Last(Vec<u8>),
    /// Another call's task is to have this one's stream.
    Lend(mpsc::Sender<Order>),
    /// The holder asks for it by this number now, and is here, unless gone again.
    Adopt { call: CallRef, holder: Option<Box<Holder>> },
}

/// What the first words on a stream ask for.
enum First {
    /// A call, perhaps at a terminal.
    Call(Signed, Option<Terminal>),
    /// More of the share.
    Ask(Signed),
}

impl First {
    fn message(self, channel: ChannelId, call: CallRef) -> FromBroker {
        match self {
            Self::Call(signed, terminal) => FromBroker::Call { channel, call, signed, terminal },
            Self::Ask(signed) => FromBroker::Ask { channel, call, signed },
        }
    }
}

/// Our ends of what a verb reads and writes.
enum Streams {
    Pipes { stdout: OwnedFd, stderr: OwnedFd, stdin: Option<(OwnedFd, Stdin)> },
    Terminal(OwnedFd),
}

/// Who carries which call.
#[derive(Default)]
pub(super) struct Calls {
    carriers: HashMap<CallRef, mpsc::Sender<Order>>,
    last: u64,
}

impl Calls {
    fn begin(&mut self) -> (CallRef, mpsc::Receiver<Order>) {
        self.last = self.last.wrapping_add(1);
        let call = CallRef(self.last);
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        self.carriers.insert(call, orders);
        (call, ordered)
    }

    /// The call runs. Without its pipes it is as good as one that says nothing.
    pub(super) fn started(
        &self,
        call: CallRef,
        descriptors: Vec<OwnedFd>,
        (output_max, rules): (u64, Option<Arc<Rules>>),
        takes: Takes,
    ) {
        let mut ends = descriptors.into_iter();
        let streams = match (takes, ends.next(), ends.next()) {
            (Takes::Terminal, Some(terminal), None) => Streams::Terminal(terminal),
            (Takes::Nothing | Takes::Stdin(_), Some(stdout), Some(stderr)) => {
                Streams::Pipes { stdout, stderr, stdin: ends.next().zip(takes.stdin()) }
            }
            _ => return tracing::error!("the monitor started a call without its pipes"),
        };
        self.order(call, Order::Started { streams, output_max, rules });
    }

    /// No process of the call is left.
    pub(super) fn exited(&self, call: CallRef) {
        self.order(call, Order::Exited);
    }

    /// The call waits for somebody's consent.
    pub(super) fn pending(&self, call: CallRef, request: RequestId) {
        if let Ok(bytes) = Frame::Pending(request).encode() {
            self.order(call, Order::Say(bytes));
        }
    }

    /// What was asked for is in the share.
    pub(super) fn granted(&mut self, call: CallRef) {
        self.last_word(call, &Frame::Granted);
    }

    /// The call does not run.
    pub(super) fn refused(&mut self, call: CallRef, refusal: Refusal) {
        self.last_word(call, &Frame::Refused(refusal));
    }

    /// The call is over.
    pub(super) fn ended(&mut self, call: CallRef, outcome: Signed) {
        self.last_word(call, &Frame::Outcome(outcome));
    }

    /// What is left of `from` goes to `to`'s stream. From here on `to` means the call that `from` meant.
    pub(super) fn reattach(&mut self, from: CallRef, to: CallRef) {
        let Some(carrier) = self.carriers.remove(&from) else { return };
        self.order(to, Order::Lend(carrier.clone()));
        self.carriers.insert(to, carrier);
    }

    fn last_word(&mut self, call: CallRef, frame: &Frame) {
        match frame.encode() {
            Ok(bytes) => self.order(call, Order::Last(bytes)),
            Err(fault) => tracing::error!(%fault, "the monitor's last word does not fit"),
        }
        self.carriers.remove(&call);
    }

    /// A carrier that is gone has nobody left to tell.
    fn order(&self, call: CallRef, order: Order) {
        if let Some(carrier) = self.carriers.get(&call) {
            let _ = carrier.try_send(order);
        }
    }
}

impl Broker {
    /// Serves one stream: the call or the asking on it goes to the monitor, what comes of it comes back.
    pub(super) async fn serve_stream(
        &self,
        channel: Arc<Channel>,
        send: SendStream,
        mut receive: RecvStream,
    ) {
        let slots = Arc::clone(&channel.slots);
        let Ok(slot) = slots.acquire_owned().await else { return };
        match timeout(CALL_LIMIT, read_first(&mut receive)).await {
            Ok(Ok(first)) => {
                self.monitor.room().await;
                let (call, orders) = lock(&self.calls).begin();
                self.monitor.say(&first.message(channel.id, call));
                let holder = Holder::new(call, channel, slot, send, receive);
                Pump::new(self.clone(), holder, orders).run().await;
            }
            // Reset before anything was called: nothing to undo.
            Ok(Err(PeerFault::Stream(_))) => {}
            Ok(Err(fault)) => close(&channel.connection, fault.farewell()),
            Err(_) => close(&channel.connection, PeerFault::TooSlow.farewell()),
        }
    }
}

/// One call, perhaps with the terminal that it is made at before it, or one asking; and nothing after it.
async fn read_first(receive: &mut RecvStream) -> Result<First, PeerFault> {
    let (mut frames, mut terminal) = (Frames::default(), None);
    loop {
        match read_frame(receive, &mut frames).await? {
            Frame::Call(signed) if frames.is_empty() => return Ok(First::Call(signed, terminal)),
            Frame::Ask(signed) if frames.is_empty() && terminal.is_none() => {
                return Ok(First::Ask(signed));
            }
            Frame::Terminal(told) if terminal.is_none() => terminal = Some(told),
            Frame::Call(_)
            | Frame::Ask(_)
            | Frame::Granted
            | Frame::Noted(_)
            | Frame::Terminal(_)
            | Frame::Resize(_)
            | Frame::Join(_)
            | Frame::Joined(_)
            | Frame::Update(_)
            | Frame::Ended(_)
            | Frame::EndSeen
            | Frame::Pending(_)
            | Frame::Started
            | Frame::Refused(_)
            | Frame::Outcome(_)
            | Frame::Stdout(_)
            | Frame::Stderr(_)
            | Frame::Stdin(_)
            | Frame::StdinEnd
            | Frame::Taken(_) => return Err(PeerFault::OutOfPlace),
        }
    }
}
