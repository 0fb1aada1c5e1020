//! One call's task: from the question to the last byte of the answer.

mod feed;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use wire::channel::{VarInt, WriteError};
use wire::frame::Taken;
use wire::privsep::{CallRef, FromBroker, Given, Unfit};

use super::super::Broker;
use super::Order;
use super::holder::{Fate, Holder};
use super::input::Input;
use super::outgoing::Outgoing;
use super::output::Output;
use super::pipe::Piece;
use super::wait;

/// That a call has started may wait so long for something to go with it: most calls are over by then, and a packet less
/// is a tenth of what one costs.
const LINGER: Duration = Duration::from_millis(2);

/// How long a pipe may stay open after the last process of its call: somebody else has it.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// How long the beginning of a line may wait for the rest of it, in which a secret may end.
const HOLD: Duration = Duration::from_millis(50);

/// What may wait for a slow reader once nobody writes any more: two pipes of the largest size.
const DRAIN_MAX: usize = 2 * 1024 * 1024;

/// As what a stream is reset whose call goes on elsewhere, or is over without a last word.
const ABANDONED: VarInt = VarInt::from_u32(1);

/// Carries one call.
pub(super) struct Pump {
    broker: Broker,
    call: CallRef,
    orders: mpsc::Receiver<Order>,
    holder: Option<Holder>,
    /// The call's place among those of its channel, until the last word on it.
    slot: Option<OwnedSemaphorePermit>,
    output: Option<Output>,
    /// What the holder gives, where the verb takes something; kept to the last word, since they may still be giving then.
    input: Option<Input>,
    outgoing: Outgoing,
    stage: Stage,
    cancel: Cancel,
    passed: (u64, u64),
    redactions: u64,
    given: Option<Given>,
    /// How much of the input the holder knows to have been taken.
    told: Option<Taken>,
    /// What is wrong with the input.
    unfit: Option<Unfit>,
    /// Until when the beginning of a line may wait.
    hold: Option<Instant>,
    /// It wrote more than it may.
    over: bool,
    /// Until when the start of the call may wait for company.
    linger: Option<Instant>,
    /// Until when the holder may come back.
    grace: Option<Instant>,
    /// Until when the pipes may stay open.
    drain: Option<Instant>,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Stage {
    /// The monitor has it.
    Asked,
    /// It runs.
    Running,
    /// Its processes are gone; its pipes are being emptied.
    Exited,
    /// The monitor knows how much it wrote; its processes may be on their way out still.
    Drained,
    /// Its last word is on the way.
    Closing,
    /// Its last word has been sent.
    Finished,
}

/// Whether the monitor was told that nobody wants the call any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cancel {
    No,
    Said,
}

enum Event {
    Ordered(Option<Order>),
    Holder(Fate),
    Sent(Result<(), WriteError>),
    Read(Piece),
    Written,
    Due,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Course {
    On,
    Over,
}

impl Pump {
    /// Carries the call of `holder`, as the monitor orders.
    pub(super) fn new(broker: Broker, mut holder: Holder, orders: mpsc::Receiver<Order>) -> Self {
        Self {
            broker,
            call: holder.call,
            orders,
            slot: holder.slot.take(),
            holder: Some(holder),
            output: None,
            input: None,
            outgoing: Outgoing::default(),
            stage: Stage::Asked,
            cancel: Cancel::No,
            passed: (0, 0),
            redactions: 0,
            given: None,
            told: None,
            unfit: None,
            hold: None,
            over: false,
            linger: None,
            grace: None,
            drain: None,
        }
    }

    /// Until the holder has the last word, or there is nobody to have it.
    pub(super) async fn run(mut self) {
        while self.turn().await == Course::On {}
    }

    async fn turn(&mut self) -> Course {
        match self.next().await {
            Event::Ordered(Some(order)) => self.obey(order),
            Event::Ordered(None) => {
                tracing::error!("the monitor forgot a call");
                self.let_go();
                Course::Over
            }
            Event::Holder(fate) => self.holder_did(&fate),
            Event::Sent(Ok(())) => self.sent(),
            Event::Sent(Err(fault)) => self.holder_did(&fate_of(&fault)),
            Event::Read(piece) => {
                self.read(piece);
                Course::On
            }
            Event::Written => {
                self.drained_if_empty();
                Course::On
            }
            Event::Due => self.due(),
        }
    }

    async fn next(&mut self) -> Event {
        self.tell_taken();
        let (may_read, may_send, due) = (self.may_read(), self.may_send(), self.next_due());
        let (awaits_orders, floor) = (self.stage < Stage::Closing, self.floor());
        let Self { orders, holder, output, input, outgoing, broker, .. } = self;
        let (stream, watch) = holder.as_mut().map(Holder::parts).unzip();
        tokio::select! {
            biased;
            order = orders.recv(), if awaits_orders => Event::Ordered(order),
            fate = wait::fate(watch, floor) => Event::Holder(fate),
            sent = wait::send(outgoing, stream), if may_send => Event::Sent(sent),
            piece = wait::piece(output.as_mut(), &broker.scratch), if may_read => Event::Read(piece),
            () = wait::write(input.as_mut()) => Event::Written,
            () = wait::until(due) => Event::Due,
        }
    }

    /// A slow reader holds the verb up, not its output in memory. What is over the limit holds up nobody.
    fn may_read(&self) -> bool {
        let Some(output) = &self.output else { return false };
        let wanted = match (&self.holder, self.stage) {
            (None, _) => self.cancel == Cancel::Said,
            (Some(_), Stage::Exited) => self.outgoing.waiting() < DRAIN_MAX,
            // What lingers waits for just this.
            (Some(_), _) => self.outgoing.is_empty() || self.linger.is_some(),
        };
        !output.has_ended() && (wanted || output.is_over_limit())
    }

    fn may_send(&self) -> bool {
        self.holder.is_some() && !self.outgoing.is_empty() && self.linger.is_none()
    }

    fn next_due(&self) -> Option<Instant> {
        [self.linger, self.grace, self.drain, self.hold].into_iter().flatten().min()
    }

    fn obey(&mut self, order: Order) -> Course {
        match order {
            Order::Started { streams, output_max, rules } => {
                let output = self.attach(streams, output_max, rules.as_ref());
                self.start(output);
                Course::On
            }
            Order::Say(frame) => {
                self.outgoing.push(frame);
                Course::On
            }
            Order::Exited => {
                if self.stage < Stage::Exited {
                    self.stage = Stage::Exited;
                    self.drain = Some(Instant::now() + DRAIN_LIMIT);
                    self.stop_giving();
                    self.empty();
                }
                Course::On
            }
            Order::Last(frame) => self.last_word(frame),
            Order::Lend(carrier) => self.lend(&carrier),
            Order::Adopt { call, holder } => {
                self.adopt(call, holder.map(|holder| *holder));
                Course::On
            }
        }
    }

    fn start(&mut self, output: io::Result<Output>) {
        match output {
            Ok(output) => self.output = Some(output),
            Err(fault) => tracing::error!(%fault, "a call's output cannot be read"),
        }
        self.stage = Stage::Running;
        let started = self.started();
        self.outgoing.push(started);
        // Whoever has something to give waits for the word.
        self.linger = self.input.is_none().then(|| Instant::now() + LINGER);
    }

    /// The call needs its place no longer; its holder may read on at leisure.
    fn last_word(&mut self, frame: Vec<u8>) -> Course {
        self.stage = Stage::Closing;
        self.output = None;
        (self.linger, self.grace, self.drain, self.hold) = (None, None, None, None);
        self.slot = None;
        if self.holder.is_none() {
            return Course::Over;
        }
        self.outgoing.push(frame);
        Course::On
    }

    /// Gives the stream to the task that carries the call already.
    fn lend(&mut self, carrier: &mpsc::Sender<Order>) -> Course {
        let (call, slot) = (self.call, self.slot.take());
        let holder = self.holder.take().map(|holder| Box::new(holder.with(slot)));
        // A carrier that is gone has had its last word: the stream ends without one, and the holder asks again.
        let _ = carrier.try_send(Order::Adopt { call, holder });
        Course::Over
    }

    /// Goes on for the holder's new stream. What was said of the call by its old number may have been lost on the way.
    fn adopt(&mut self, call: CallRef, holder: Option<Holder>) {
        self.let_go();
        self.call = call;
        self.holder = holder;
        if let Some(holder) = &mut self.holder {
            self.slot = holder.slot.take();
            self.cancel = Cancel::No;
        }
        self.grace = if self.holder.is_some() { None } else { Some(self.grace_ends()) };
        if self.stage >= Stage::Running {
            self.linger = None;
            let started = self.started();
            self.outgoing.restart(started);
        }
        if self.over && self.stage < Stage::Closing {
            self.say_overflow();
        }
        if self.stage < Stage::Closing {
            self.say_unfit();
        }
        match self.stage {
            Stage::Running => self.drained_if_empty(),
            Stage::Exited => self.empty(),
            Stage::Drained => self.say_drained(),
            // What is said of a call that waits is said again.
            Stage::Asked => self.outgoing.clear(),
            Stage::Closing | Stage::Finished => {}
        }
    }

    fn holder_did(&mut self, fate: &Fate) -> Course {
        match fate {
            Fate::Delivered => return self.unless_closing(),
            Fate::Spoke => self.holder.iter().for_each(Holder::expel),
            Fate::Gave(piece) => self.take(piece),
            Fate::GaveAll => self.end_input(),
            Fate::Resized(size) => self.resize(*size),
            Fate::Reset => self.cancel(),
            Fate::Stopped => {
                self.cancel();
                self.let_go();
                self.outgoing.clear();
                return self.unless_closing();
            }
            Fate::Lost => {
                self.grace = Some(self.grace_ends());
                self.let_go();
                return self.unless_closing();
            }
        }
        Course::On
    }

    /// Whoever is gone after the last word will not come back for it here: the monitor keeps it.
    fn unless_closing(&self) -> Course {
        if self.stage >= Stage::Closing { Course::Over } else { Course::On }
    }

    fn grace_ends(&self) -> Instant {
        let waited = self.holder.as_ref().is_some_and(|holder| holder.channel.is_given_up());
        Instant::now() + if waited { Duration::ZERO } else { self.broker.bounds.grace }
    }

    /// An unfinished stream must not look finished.
    fn let_go(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            let _ = holder.send.reset(ABANDONED);
        }
    }

    fn sent(&mut self) -> Course {
        if self.stage == Stage::Closing && self.outgoing.is_empty() {
            self.stage = Stage::Finished;
            let finished = self.holder.as_mut().map(|holder| holder.send.finish());
            return if matches!(finished, Some(Ok(()))) { Course::On } else { Course::Over };
        }
        Course::On
    }

    fn read(&mut self, piece: Piece) {
        match piece {
            Piece::Frame(frame) => self.pass_on(frame),
            Piece::Overflow(frame) => {
                if let Some(frame) = frame {
                    self.pass_on(frame);
                }
                self.over = true;
                self.say_overflow();
            }
            Piece::Discarded | Piece::Held => {}
            Piece::End => self.drained_if_empty(),
        }
        let holds = self.output.as_ref().is_some_and(Output::holds);
        self.hold = holds.then(|| self.hold.unwrap_or_else(|| Instant::now() + HOLD));
    }

    fn pass_on(&mut self, frame: Bytes) {
        if self.holder.is_some() {
            self.linger = None;
            self.outgoing.push(frame);
        }
    }

    /// Nobody is left to write: what lies in the pipes is all there is. It is kept for a holder who may come back.
    fn empty(&mut self) {
        while self.may_read() {
            let Some(output) = &mut self.output else { return };
            let Some(piece) = output.take_piece(&self.broker.scratch) else { break };
            self.read(piece);
        }
        self.drained_if_empty();
    }

    /// A verb that ends closes its pipes before it is gone: said at once, it is one turn less for the monitor.
    fn drained_if_empty(&mut self) {
        let empty = self.output.as_ref().is_none_or(Output::has_ended);
        let kept = self.holder.is_none() && self.cancel == Cancel::No && !self.outgoing.is_empty();
        let open = self.stage == Stage::Running && self.input.as_ref().is_some_and(Input::is_open);
        if matches!(self.stage, Stage::Running | Stage::Exited) && empty && !kept && !open {
            self.drained();
        }
    }

    fn drained(&mut self) {
        if let Some(output) = self.output.take() {
            (self.passed, self.redactions) = (output.passed(), output.redactions());
        }
        self.given = self.input.as_ref().map(Input::given);
        self.hold = None;
        self.stage = Stage::Drained;
        self.drain = None;
        self.say_drained();
    }

    fn due(&mut self) -> Course {
        let now = Instant::now();
        self.linger = self.linger.filter(|until| *until > now);
        if self.hold.is_some_and(|until| until <= now) {
            self.hold = None;
            self.output.iter_mut().for_each(Output::flush);
        }
        if self.grace.is_some_and(|until| until <= now) {
            self.grace = None;
            self.outgoing.clear();
            self.cancel();
        }
        if self.drain.is_some_and(|until| until <= now) {
            self.drained();
        }
        Course::On
    }

    fn cancel(&mut self) {
        if self.cancel == Cancel::No && self.stage < Stage::Closing {
            self.cancel = Cancel::Said;
            self.broker.monitor.say(&FromBroker::Cancel { call: self.call });
        }
    }

    fn say_overflow(&self) {
        self.broker.monitor.say(&FromBroker::Overflow { call: self.call });
    }

    fn say_drained(&self) {
        let ((stdout, stderr), redactions, call) = (self.passed, self.redactions, self.call);
        let given = self.given;
        self.broker.monitor.say(&FromBroker::Drained { call, stdout, stderr, redactions, given });
    }
}

fn fate_of(fault: &WriteError) -> Fate {
    match fault {
        WriteError::Stopped(_) => Fate::Stopped,
        WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            Fate::Lost
        }
    }
}
