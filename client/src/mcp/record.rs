//! The calls that a host has made, and what it has asked the owner, each with what came of it, as long as there is room: a host may ask again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use policy::{Arguments, RequestId, VerbName};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::access::{Wanted, Why};
use wire::call::CallId;
use wire::frame::Refusal;

use super::asked::Asked;
use super::names;
use crate::ask::{self as asking, Ask};
use crate::call::{Call, CallFault, Event, Receipt};
use crate::conduct::Went;
use crate::exit::Exit;
use crate::report::Report;
use crate::request::AskWent;
use crate::session::Caller;

/// Bytes of one call's output that are kept; what comes after is counted.
const KEPT: usize = 8 << 20;
/// Calls that go on at one time.
pub(super) const RUNNING: usize = 64;
/// Calls that have ended and can still be asked about.
const ENDED: usize = 64;
/// Bytes of their output together.
const ENDED_BYTES: usize = 32 << 20;
/// A piece of a standard input.
const PIECE: usize = 32 * 1024;
/// How long calls may take to end when the host is gone.
const FAREWELL: Duration = Duration::from_secs(2);

/// One call, or one asking.
pub(super) struct Record {
    pub(super) id: CallId,
    what: What,
    /// How it stands.
    pub(super) state: watch::Sender<State>,
    cancel: CancellationToken,
}

/// What is done for a host.
#[derive(Eq, PartialEq)]
enum What {
    Call(VerbName, Arguments),
    Access(Wanted, Why),
}

/// How a call stands.
#[derive(Default)]
pub(super) struct State {
    pub(super) stage: Stage,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Bytes that came and were not kept.
    pub(super) lost: u64,
}

#[derive(Default)]
pub(super) enum Stage {
    #[default]
    Running,
    /// Somebody has to consent first.
    Pending(RequestId),
    Ended(Box<End>),
}

/// What became of it.
pub(super) struct End {
    pub(super) report: Report,
    pub(super) came: Came,
}

/// What came last.
pub(super) enum Came {
    Receipt(Box<Receipt>),
    Refusal(Refusal),
    /// The share has what was asked for.
    Granted,
    /// Nothing: it is not known what became of it.
    Nothing,
}

impl State {
    fn keep(&mut self, bytes: &[u8], is_error: bool) {
        let room = KEPT.saturating_sub(self.stdout.len() + self.stderr.len());
        let (kept, lost) = bytes.split_at(room.min(bytes.len()));
        let to = if is_error { &mut self.stderr } else { &mut self.stdout };
        to.extend_from_slice(kept);
        self.lost += u64::try_from(lost.len()).unwrap_or(u64::MAX);
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended(_))
    }

    fn size(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }
}

impl Record {
    fn new(id: CallId, what: What) -> Self {
        Self { id, what, state: watch::Sender::default(), cancel: CancellationToken::new() }
    }

    /// What a host knows it by, beside its id.
    pub(super) fn name(&self) -> &str {
        match &self.what {
            What::Call(verb, _) => verb.as_str(),
            What::Access(..) => names::REQUEST,
        }
    }

    /// Ends it: the daemon kills all that it started. What was asked for is taken back.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }

    fn waits(&self, request: RequestId) {
        self.state.send_modify(|state| state.stage = Stage::Pending(request));
    }

    fn end(&self, report: Report, came: Came) {
        let end = Box::new(End { report, came });
        self.state.send_modify(|state| state.stage = Stage::Ended(end));
    }
}

/// All of them.
#[derive(Clone)]
pub(super) struct Calls(Arc<Inner>);

struct Inner {
    caller: Caller,
    tasks: TaskTracker,
    /// The host is gone.
    closing: CancellationToken,
    /// In the order in which they were made.
    records: Mutex<BTreeMap<u64, Arc<Record>>>,
}

impl Calls {
    pub(super) fn new(caller: Caller) -> Self {
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        Self(Arc::new(Inner { caller, tasks, closing, records: Mutex::default() }))
    }

    /// Does something besides, until the host is gone: then what is given to it is cancelled.
    pub(super) fn beside<F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(CancellationToken) -> F,
    ) {
        self.0.tasks.spawn(work(self.0.closing.clone()));
    }

    pub(super) fn find(&self, id: CallId) -> Option<Arc<Record>> {
        let records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.values().find(|record| record.id == id).map(Arc::clone)
    }

    /// Makes a call, unless it was made before: then it is that one.
    pub(super) fn make(&self, verb: &VerbName, asked: Asked) -> Result<Arc<Record>, CallFault> {
        let Asked { arguments, id, stdin } = asked;
        let what = What::Call(verb.clone(), arguments.clone());
        if let Some(known) = id.and_then(|id| self.find(id)).filter(|known| known.what == what) {
            return Ok(known);
        }
        // The daemon knows the id, too, and refuses another call under it.
        let call = self.0.caller.call(id, verb.clone(), arguments)?;
        let record = Arc::new(Record::new(call.id(), what));
        self.add(Arc::clone(&record));
        self.0.tasks.spawn(drive(call, stdin, Arc::clone(&record)));
        Ok(record)
    }

    /// Asks the owner for more, unless just that is waited for: a host that asks twice has asked once.
    pub(super) fn ask(&self, wanted: Wanted, reason: Why) -> Result<Arc<Record>, CallFault> {
        let what = What::Access(wanted.clone(), reason.clone());
        if let Some(known) = self.that_waits(&what) {
            return Ok(known);
        }
        let ask = self.0.caller.ask(wanted, reason)?;
        let record = Arc::new(Record::new(ask.id(), what));
        self.add(Arc::clone(&record));
        self.0.tasks.spawn(drive_asking(ask, Arc::clone(&record)));
        Ok(record)
    }

    fn that_waits(&self, what: &What) -> Option<Arc<Record>> {
        let records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = records.values().filter(|record| !record.state.borrow().has_ended());
        waiting.find(|record| record.what == *what).map(Arc::clone)
    }

    /// The oldest of those that have ended make room.
    fn add(&self, record: Arc<Record>) {
        let mut records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
        let number = records.last_key_value().map_or(0, |(last, _)| last + 1);
        records.insert(number, record);
        let ended = records.iter().rev().filter(|(_, record)| record.state.borrow().has_ended());
        let (mut count, mut bytes) = (0, 0);
        let over = ended.filter(|(_, record)| {
            count += 1;
            bytes += record.state.borrow().size();
            count > ENDED || bytes > ENDED_BYTES
        });
        for number in over.map(|(number, _)| *number).collect::<Vec<_>>() {
            records.remove(&number);
        }
    }

    /// How many have not ended.
    pub(super) fn running(&self) -> usize {
        let records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.values().filter(|record| !record.state.borrow().has_ended()).count()
    }

    /// The host is gone: what it has started ends.
    pub(super) async fn end_all(&self) {
        {
            let records = self.0.records.lock().unwrap_or_else(PoisonError::into_inner);
            records.values().for_each(|record| record.cancel());
        }
        self.0.closing.cancel();
        self.0.tasks.close();
        let _late = timeout(FAREWELL, self.0.tasks.wait()).await;
    }
}

/// Sees a call to its end.
async fn drive(mut call: Call, stdin: Vec<u8>, record: Arc<Record>) {
    let mut pieces = stdin.chunks(PIECE);
    let (mut has_given, mut is_cancelled) = (false, false);
    let went = loop {
        let event = tokio::select! {
            biased;
            () = record.cancel.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                call.cancel();
                continue;
            }
            event = call.next() => event,
        };
        while !has_given && call.wants_input() {
            let piece = pieces.next().unwrap_or_default();
            has_given = piece.is_empty();
            call.give(piece);
        }
        match event {
            Ok(Event::Wanted | Event::Lost) => {}
            Ok(Event::Started) => record.state.send_modify(|state| state.stage = Stage::Running),
            Ok(Event::Pending(request)) => record.waits(request),
            Ok(Event::Stdout(bytes)) => record.state.send_modify(|state| state.keep(&bytes, false)),
            Ok(Event::Stderr(bytes)) => record.state.send_modify(|state| state.keep(&bytes, true)),
            Ok(Event::Refused(refusal)) => break Went::Refused(refusal),
            Ok(Event::Ended(receipt)) => break Went::Ended(receipt),
            Err(fault) => break Went::Fault(fault),
        }
    };
    let came = match &went {
        Went::Ended(receipt) => Came::Receipt(receipt.clone()),
        Went::Refused(refusal) => Came::Refusal(refusal.clone()),
        Went::Stopped(..) | Went::Fault(_) => Came::Nothing,
    };
    record.end(Report::of(went), came);
}

/// Sees an asking to its end.
async fn drive_asking(mut ask: Ask, record: Arc<Record>) {
    let mut is_withdrawn = false;
    let went = loop {
        let asked = tokio::select! {
            biased;
            () = record.cancel.cancelled(), if !is_withdrawn => {
                is_withdrawn = true;
                ask.withdraw();
                continue;
            }
            asked = ask.next() => asked,
        };
        match asked {
            Ok(asking::Asked::Lost) => {}
            Ok(asking::Asked::Pending(request)) => record.waits(request),
            Ok(asking::Asked::Granted) => break AskWent::Granted,
            Ok(asking::Asked::Refused(refusal)) => break AskWent::Refused(refusal),
            Err(CallFault::Cancelled(_)) => break AskWent::Withdrawn(Exit::INTERRUPTED),
            Err(fault) => break AskWent::Fault(fault),
        }
    };
    let came = match &went {
        AskWent::Granted => Came::Granted,
        AskWent::Refused(refusal) => Came::Refusal(refusal.clone()),
        AskWent::Withdrawn(_) | AskWent::Fault(_) => Came::Nothing,
    };
    record.end(Report::of_asking(&went), came);
}
