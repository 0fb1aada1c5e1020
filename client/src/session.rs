//! A seat that is taken: one channel that outlives its legs, and a new one with the same key when it is lost.

mod shared;

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use policy::{Arguments, Timestamp, VerbName};
use relay::leg::RelayAddress;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::access::{Wanted, Why};
use wire::call::{CallId, Signed};
use wire::channel::{ClientEndpoint, Connection, ConnectionError, HolderKey, Limits};
use wire::frame::{Farewell, Frame, Refusal, ShareEnd, Update};

use crate::ask::Ask;
use crate::call::{Call, CallFault};
use crate::frames::FrameEnd;
use crate::join::{Clock, Control, JoinFault, Stage, Standing, join, say_end_seen, standing};
use crate::notes::Notes;
use crate::relays::Relays;
use crate::road::Road;
use crate::seat::Seat;

/// How long after the end the daemon may still tell how its calls ended; it closes the channel itself, after 2 s.
const AFTERMATH: Duration = Duration::from_secs(3);
/// The first pause before the seat is asked for again, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A relay that hears of a leg's end drops what it has not yet forwarded for it: the farewell to the daemon goes first.
const HEAD_START: Duration = Duration::from_millis(2);
/// Turns of the one thread that let a farewell pass through channel, leg and socket.
const FAREWELL_TURNS: usize = 32;

/// Why a session is over.
#[derive(Clone, Debug)]
pub enum Over {
    /// The daemon said that the share is over.
    Ended(ShareEnd),
    /// The daemon cannot be reached, or does not give the seat again.
    Gone(Arc<JoinFault>),
    /// The same holder has come back on newer channels.
    Replaced,
    /// We closed it.
    Closed,
}

/// A session as it is now.
#[derive(Clone, Debug)]
pub struct View {
    /// What the daemon last said.
    pub standing: Arc<Standing>,
    pub(crate) link: Link,
    clock: Clock,
}

#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// The seat is taken and this leads to its channel, the how-manieth of the session.
    Up(Road, u64),
    /// It is being taken again.
    Down,
    Over(Over),
}

impl View {
    /// Why it is over, when it is.
    #[must_use]
    pub fn over(&self) -> Option<&Over> {
        match &self.link {
            Link::Over(over) => Some(over),
            Link::Up(..) | Link::Down => None,
        }
    }

    /// Whether calls can be made at this moment.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.link, Link::Up(..))
    }

    /// The daemon's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What a session and its calls share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) seat: Arc<Seat>,
    pub(crate) signer: SigningKey,
    pub(crate) view: watch::Sender<View>,
    pub(crate) notes: watch::Sender<Notes>,
}

/// A seat that is taken. Dropped, it is left without a word; [`Session::close`] says goodbye.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    relay: Option<RelayAddress>,
    stop: CancellationToken,
    /// After [`Self::stop`], whose farewell still needs the leg.
    leave_relay: CancellationToken,
    tasks: TaskTracker,
}

/// Asks for the seat, first and again.
struct Supervisor {
    shared: Arc<Shared>,
    /// Nothing as long as the channel is another's.
    endpoint: Option<ClientEndpoint>,
    leave_relay: CancellationToken,
    tasks: TaskTracker,
    holder: HolderKey,
    patience: Duration,
    stop: CancellationToken,
    channels: u64,
}

impl Session {
    /// Takes the seat with this holder key, which must be kept: nobody else's opens the seat after.
    ///
    /// A channel that is lost is made again for up to `patience` before the session is given up.
    ///
    /// # Errors
    /// No way to the daemon, or it says no.
    pub async fn join(
        seat: Arc<Seat>,
        holder: HolderKey,
        patience: Duration,
    ) -> Result<Self, JoinFault> {
        Self::join_telling(seat, holder, patience, |_| {}).await
    }

    /// The same; `waits` is told what is waited for.
    pub(crate) async fn join_telling(
        seat: Arc<Seat>,
        holder: HolderKey,
        patience: Duration,
        waits: impl Fn(Stage),
    ) -> Result<Self, JoinFault> {
        waits(Stage::Relay);
        let mut relays = Relays::of(&seat)?;
        let leg = relays.dial().await?;
        waits(Stage::Daemon);
        let endpoint = ClientEndpoint::new(Arc::new(leg.path.clone()), Limits::client())?;
        let connection = endpoint.connect(&holder, &seat.authority().channel_key).await?;
        waits(Stage::Seat);
        let (control, standing, clock) = join(&connection, &seat, &holder).await?;
        let link = Link::Up(Road::Channel(connection.clone()), 0);
        let view = View { standing: Arc::new(standing), link, clock };
        let way = Some(endpoint.clone());
        let (mut session, supervisor) = Self::begin(seat, holder, patience, view, way);
        session.relay = Some(leg.address.clone());
        session.tasks.spawn(relays.keep(leg, endpoint, session.leave_relay.clone()));
        session.tasks.spawn(supervisor.attend(connection, control));
        Ok(session)
    }

    fn begin(
        seat: Arc<Seat>,
        holder: HolderKey,
        patience: Duration,
        view: View,
        endpoint: Option<ClientEndpoint>,
    ) -> (Self, Supervisor) {
        let signer = SigningKey::from_bytes(holder.seed());
        let shared = Arc::new(Shared {
            seat,
            signer,
            view: watch::Sender::new(view),
            notes: watch::Sender::default(),
        });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let leave_relay = CancellationToken::new();
        let supervisor = Supervisor {
            shared: Arc::clone(&shared),
            endpoint,
            leave_relay: leave_relay.clone(),
            tasks: tasks.clone(),
            holder,
            patience,
            stop: stop.child_token(),
            channels: 0,
        };
        (Self { shared, relay: None, stop, leave_relay, tasks }, supervisor)
    }

    /// The session as it is now.
    #[must_use]
    pub fn view(&self) -> View {
        self.shared.view.borrow().clone()
    }

    /// The session as it changes.
    #[must_use]
    pub fn views(&self) -> watch::Receiver<View> {
        self.shared.view.subscribe()
    }

    /// What was said between the owner and whoever holds the seat, as far as this channel has heard.
    #[must_use]
    pub fn notes(&self) -> watch::Receiver<Notes> {
        self.shared.notes.subscribe()
    }

    /// The relay over which the seat was first taken, where the channel is our own; a lost leg may have been made again over
    /// another.
    pub(crate) fn relay(&self) -> Option<&RelayAddress> {
        self.relay.as_ref()
    }

    /// The seat that is taken.
    #[must_use]
    pub fn seat(&self) -> &Seat {
        &self.shared.seat
    }

    /// A new call; nothing is sent before its first event is asked for.
    ///
    /// # Errors
    /// When the system gives no randomness for its id, or its arguments are too large.
    pub fn call(&self, verb: VerbName, arguments: Arguments) -> Result<Call, CallFault> {
        self.call_as(drawn()?, verb, arguments)
    }

    /// A call under a known id: the same id and content never run twice.
    ///
    /// # Errors
    /// When its arguments are too large.
    pub fn call_as(
        &self,
        id: CallId,
        verb: VerbName,
        arguments: Arguments,
    ) -> Result<Call, CallFault> {
        Call::new(Arc::clone(&self.shared), id, verb, arguments, Vec::new())
    }

    /// Asks the owner for more of the share; nothing is sent before its first event is asked for. Each of `wanted` is
    /// spelled as `share open --verb` takes it.
    ///
    /// # Errors
    /// When the system gives no randomness for its id.
    pub fn ask_access(&self, wanted: Wanted, reason: Why) -> Result<Ask, CallFault> {
        Ok(Ask::new(Arc::clone(&self.shared), drawn()?, wanted, reason))
    }

    /// The same, for what outlives a borrow.
    pub(crate) fn shared_seat(&self) -> Arc<Seat> {
        Arc::clone(&self.shared.seat)
    }

    /// What makes calls for others, as long as the session lasts.
    pub(crate) fn caller(&self) -> Caller {
        Caller { shared: Arc::clone(&self.shared) }
    }

    /// Says goodbye. What still runs there is ended by the daemon after its grace.
    pub async fn close(self) {
        let is_ours = match &self.shared.view.borrow().link {
            Link::Up(road, _) => road.is_ours(),
            Link::Down | Link::Over(_) => true,
        };
        self.stop.cancel();
        self.tasks.close();
        if !is_ours {
            return;
        }
        turns().await;
        sleep(HEAD_START).await;
        self.leave_relay.cancel();
        turns().await;
    }
}

/// Makes calls in a session that another part of the program holds.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    shared: Arc<Shared>,
}

impl Caller {
    /// A new call that is a request, with its header fields as HTTP/1.1 writes them, and the empty line after them.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub(crate) fn request(
        &self,
        verb: VerbName,
        arguments: Arguments,
        head: Vec<u8>,
    ) -> Result<Call, CallFault> {
        Call::new(Arc::clone(&self.shared), drawn()?, verb, arguments, head)
    }

    /// A new asking for more of the share.
    ///
    /// # Errors
    /// As [`Session::ask_access`].
    pub(crate) fn ask(&self, wanted: Wanted, reason: Why) -> Result<Ask, CallFault> {
        Ok(Ask::new(Arc::clone(&self.shared), drawn()?, wanted, reason))
    }

    /// A new call, or one that was made under this id before.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub(crate) fn call(
        &self,
        id: Option<CallId>,
        verb: VerbName,
        arguments: Arguments,
    ) -> Result<Call, CallFault> {
        let id = id.map_or_else(drawn, Ok)?;
        Call::new(Arc::clone(&self.shared), id, verb, arguments, Vec::new())
    }
}

fn drawn() -> Result<CallId, CallFault> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(CallFault::Random)?;
    Ok(CallId(id))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.cancel();
        self.leave_relay.cancel();
    }
}

/// Lets the other tasks of this thread do what is ready.
async fn turns() {
    for _ in 0..FAREWELL_TURNS {
        tokio::task::yield_now().await;
    }
}

/// How one channel's time ended.
enum Left {
    Over(Over),
    Lost,
}

impl Supervisor {
    async fn attend(mut self, mut connection: Connection, mut control: Control) {
        let over = loop {
            match self.serve(&connection, &mut control).await {
                Left::Over(over) => break over,
                Left::Lost => self.show(|view| view.link = Link::Down),
            }
            match self.again().await {
                Ok((fresh, channel)) => (connection, control) = (fresh, channel),
                Err(over) => break over,
            }
        };
        let ended = matches!(over, Over::Ended(_));
        self.show(|view| view.link = Link::Over(over));
        if ended {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                _closed = timeout(AFTERMATH, connection.closed()) => {}
            }
        }
        connection.close(Farewell::Bye.code().into(), b"");
    }

    /// Reads what the daemon says until the share or the channel is over.
    async fn serve(&self, connection: &Connection, control: &mut Control) -> Left {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Left::Over(Over::Closed),
                frame = control.frames.next() => frame,
            };
            match frame {
                Ok(Frame::Ended(end)) => {
                    say_end_seen(&mut control.send).await;
                    return Left::Over(Over::Ended(end));
                }
                Ok(Frame::Update(update)) => self.update(*update),
                Ok(Frame::Noted(note)) => self.noted(&note),
                Ok(_) => return Left::Over(Over::Gone(Arc::new(JoinFault::Forged(None)))),
                Err(FrameEnd::Frame(fault)) => {
                    return Left::Over(Over::Gone(Arc::new(FrameEnd::Frame(fault).into())));
                }
                Err(FrameEnd::Read(_) | FrameEnd::Finished) => return left(connection).await,
            }
        }
    }

    fn update(&self, update: Update) {
        let last = self.shared.view.borrow().standing.passport();
        match standing(&self.shared.seat, last, update) {
            Ok(standing) => self.show(|view| view.standing = Arc::new(standing)),
            Err(fault) => tracing::warn!(%fault, "an update that is not for this seat was ignored"),
        }
    }

    fn noted(&self, signed: &Signed) {
        let read = Notes::read(&self.shared.seat, signed);
        let Some(note) = read else {
            return tracing::warn!("a note that is not for this seat was ignored");
        };
        self.shared.notes.send_modify(|notes| notes.take(note));
    }

    /// Takes the seat again, with the same key, for as long as there is patience.
    async fn again(&mut self) -> Result<(Connection, Control), Over> {
        let given_up = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        let stop = self.stop.clone();
        loop {
            let tried = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Over::Closed),
                tried = self.once() => tried,
            };
            match tried {
                Ok(joined) => return Ok(joined),
                Err(JoinFault::Ended(end)) => return Err(Over::Ended(end)),
                Err(fault) if is_final(&fault) => return Err(Over::Gone(Arc::new(fault))),
                Err(_) if self.is_past_its_end() => return Err(Over::Ended(ShareEnd::Expired)),
                Err(fault) if Instant::now() + pause >= given_up => {
                    return Err(Over::Gone(Arc::new(fault)));
                }
                Err(fault) => tracing::info!(%fault, "not yet back"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Over::Closed),
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn once(&mut self) -> Result<(Connection, Control), JoinFault> {
        let seat = Arc::clone(&self.shared.seat);
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => self.way().await?,
        };
        let connection = endpoint.connect(&self.holder, &seat.authority().channel_key).await?;
        let (control, standing, clock) = join(&connection, &seat, &self.holder).await?;
        self.channels += 1;
        let link = Link::Up(Road::Channel(connection.clone()), self.channels);
        self.show(|view| *view = View { standing: Arc::new(standing), link, clock });
        Ok((connection, control))
    }

    /// A way of our own.
    async fn way(&mut self) -> Result<ClientEndpoint, JoinFault> {
        let mut relays = Relays::of(&self.shared.seat)?;
        let leg = relays.dial().await?;
        let endpoint = ClientEndpoint::new(Arc::new(leg.path.clone()), Limits::client())?;
        self.tasks.spawn(relays.keep(leg, endpoint.clone(), self.leave_relay.clone()));
        self.endpoint = Some(endpoint.clone());
        Ok(endpoint)
    }

    fn is_past_its_end(&self) -> bool {
        self.shared.view.borrow().now() >= self.shared.seat.passport().not_after()
    }

    fn show(&self, change: impl FnOnce(&mut View)) {
        self.shared.view.send_modify(change);
    }
}

/// What the end of a channel means, by the reason that the daemon closed it with.
async fn left(connection: &Connection) -> Left {
    let told = match connection.closed().await {
        ConnectionError::ApplicationClosed(close) => {
            Farewell::from_code(close.error_code.into_inner())
        }
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => None,
    };
    match told {
        Some(Farewell::Ended) => {
            Left::Over(Over::Gone(Arc::new(JoinFault::Refused(Refusal::NoSeat))))
        }
        Some(Farewell::Replaced) => Left::Over(Over::Replaced),
        Some(
            Farewell::Bye
            | Farewell::NotJoined
            | Farewell::Protocol
            | Farewell::TooSlow
            | Farewell::Crowded
            | Farewell::Unreachable,
        )
        | None => Left::Lost,
    }
}

/// Whether asking again cannot help.
fn is_final(fault: &JoinFault) -> bool {
    matches!(
        fault,
        JoinFault::Refused(Refusal::NoSeat | Refusal::BadCall | Refusal::Denied(_))
            | JoinFault::Forged(_)
            | JoinFault::Closed
            | JoinFault::Channel(wire::channel::ChannelFault::WrongChannelKey)
    )
}
