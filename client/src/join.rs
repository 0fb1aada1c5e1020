//! Taking a seat: the first words on a channel, and the proof that the daemon answers now.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::{MenuEntry, Passport, Timestamp};
use tokio::time::{Instant, timeout};
use wire::call::{ClockStatement, Redemption, Signed, StatementFault};
use wire::channel::{ChannelFault, Connection, HolderKey, SendStream, WriteError};
use wire::frame::{Frame, FrameFault, Join, Joined, Refusal, ShareEnd, Update, VERSION};

use crate::frames::{FrameEnd, FrameReader};
use crate::relays::RelayFault;
use crate::road::Taking;
use crate::seat::Seat;

/// The daemon has this long to answer; it puts the redemption on its disk first.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// Why the seat was not taken.
#[derive(Debug, thiserror::Error)]
pub enum JoinFault {
    /// No relay leads to the daemon.
    #[error(transparent)]
    Relay(#[from] RelayFault),
    /// No channel to the daemon.
    #[error("no channel to the daemon")]
    Channel(#[from] ChannelFault),
    /// The channel ended before the answer.
    #[error("the channel ended before the daemon answered")]
    Stream(#[from] FrameEnd),
    /// The question could not be sent.
    #[error("the channel ended before the daemon was asked")]
    Write(#[from] WriteError),
    /// No answer.
    #[error("the daemon did not answer within {} s", JOIN_LIMIT.as_secs())]
    TimedOut,
    /// The daemon said no.
    #[error("{}", crate::told::refusal(.0))]
    Refused(Refusal),
    /// The share is over.
    #[error("{}", crate::told::share_end(.0))]
    Ended(ShareEnd),
    /// The answer is not the daemon's, or not to this question.
    #[error("the answer is not this daemon's")]
    Forged(#[source] Option<StatementFault>),
    /// The statement could not be made.
    #[error("cannot sign the redemption")]
    Statement(#[from] StatementFault),
    /// The question could not be made.
    #[error("cannot ask the daemon")]
    Frame(#[from] FrameFault),
    /// The system gives no randomness.
    #[error("this machine gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The process that holds the channel says so.
    #[error("{0}")]
    Told(String),
    /// It was given up.
    #[error("the session was closed")]
    Closed,
}

/// What is waited for while a seat is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// A relay's answer.
    Relay,
    /// The daemon's, through it.
    Daemon,
    /// The seat.
    Seat,
}

/// What a seat can do, as the daemon last said.
#[derive(Clone, Debug)]
pub struct Standing {
    /// When the share ends, on the daemon's clock.
    pub deadline: Timestamp,
    /// What may be called.
    pub menu: Vec<MenuEntry>,
    /// How many notes were left before the seat was taken, and come now.
    pub notes: u32,
    /// The passport under which calls are made.
    pub(crate) passport: Arc<Passport>,
    /// The same as it came, where it is not the handle's.
    pub(crate) wider: Option<Vec<u8>>,
}

impl Standing {
    /// The passport, read and as it came.
    pub(crate) fn passport(&self) -> (Arc<Passport>, Option<Vec<u8>>) {
        (Arc::clone(&self.passport), self.wider.clone())
    }
}

/// The daemon's clock, as of one moment of ours.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    daemon: Timestamp,
    at: Instant,
}

impl Clock {
    /// As of now.
    pub(crate) fn at(daemon: Timestamp) -> Self {
        Self { daemon, at: Instant::now() }
    }

    /// Never ahead of the daemon's own: what was under way is not added.
    pub(crate) fn now(&self) -> Timestamp {
        self.daemon.plus(self.at.elapsed())
    }
}

/// The stream on which the daemon tells what concerns the seat.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) send: SendStream,
    pub(crate) frames: FrameReader,
}

/// Takes the seat on a fresh channel, or takes it again with the same key.
pub(crate) async fn join(
    connection: &Connection,
    seat: &Seat,
    holder: &HolderKey,
) -> Result<(Control, Standing, Clock), JoinFault> {
    let join = Join {
        ancestors: seat.handle().ancestors.clone(),
        redemption: redemption(seat, holder)?,
        ..empty_handed(seat)?
    };
    let answered = timeout(JOIN_LIMIT, ask(connection, seat, join)).await;
    answered.map_err(|_| JoinFault::TimedOut)?
}

/// Asks as whoever holds the seat with this channel's key already. No proof is shown that could bind the seat, or one above
/// it, to anybody: where it is not held so, the daemon says no.
pub(crate) async fn look(
    connection: &Connection,
    seat: &Seat,
) -> Result<(Standing, Clock), JoinFault> {
    let join = empty_handed(seat)?;
    let answered = timeout(JOIN_LIMIT, ask(connection, seat, join)).await;
    answered.map_err(|_| JoinFault::TimedOut)?.map(|(_, standing, clock)| (standing, clock))
}

fn empty_handed(seat: &Seat) -> Result<Join, JoinFault> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    let passport = seat.handle().passport.clone();
    Ok(Join { version: VERSION, passport, ancestors: Vec::new(), redemption: None, nonce })
}

async fn ask(
    connection: &Connection,
    seat: &Seat,
    join: Join,
) -> Result<(Control, Standing, Clock), JoinFault> {
    let nonce = join.nonce;
    let question = Frame::Join(join);
    let (mut send, receive) = connection.open_bi().await.map_err(ChannelFault::from)?;
    send.write_all(&question.encode()?).await?;
    let mut frames = FrameReader::new(Taking::Channel(receive));
    match frames.next().await? {
        Frame::Joined(joined) => {
            let clock = clock(seat, nonce, &joined)?;
            let standing = standing(seat, (seat.passport().clone().into(), None), joined.standing)?;
            Ok((Control { send, frames }, standing, clock))
        }
        Frame::Refused(refusal) => Err(JoinFault::Refused(refusal)),
        Frame::Ended(end) => {
            say_end_seen(&mut send).await;
            Err(JoinFault::Ended(end))
        }
        Frame::Join(_)
        | Frame::Update(_)
        | Frame::EndSeen
        | Frame::Call(_)
        | Frame::Ask(_)
        | Frame::Granted
        | Frame::Noted(_)
        | Frame::Pending(_)
        | Frame::Started
        | Frame::Outcome(_)
        | Frame::Stdout(_)
        | Frame::Stderr(_)
        | Frame::Stdin(_)
        | Frame::StdinEnd
        | Frame::Taken(_)
        | Frame::Terminal(_)
        | Frame::Resize(_) => Err(JoinFault::Forged(None)),
    }
}

/// Tells the daemon at once that the end has been seen; `revoke` waits for it.
pub(crate) async fn say_end_seen(send: &mut SendStream) {
    if let Ok(frame) = Frame::EndSeen.encode() {
        let _gone_already = send.write_all(&frame).await;
    }
}

/// The redeem key's word for the holder; none from a narrowed handle, whose holder the daemon knows.
fn redemption(seat: &Seat, holder: &HolderKey) -> Result<Option<Signed>, StatementFault> {
    let Some(redeem) = &seat.handle().redeem else { return Ok(None) };
    let statement = Redemption::of(seat.handle().daemon_key, seat.passport(), holder.public());
    Signed::new(&statement, &SigningKey::from_bytes(redeem.expose())).map(Some)
}

/// The daemon's clock, when it is signed over our nonce: else a broker could keep our calls for later.
fn clock(seat: &Seat, nonce: [u8; 16], joined: &Joined) -> Result<Clock, JoinFault> {
    let statement: ClockStatement = joined
        .clock
        .verify(&seat.handle().daemon_key)
        .map_err(|fault| JoinFault::Forged(Some(fault)))?;
    let ours = (seat.authority().share, seat.authority().seat);
    if statement.nonce != nonce || (joined.share, joined.seat) != ours {
        return Err(JoinFault::Forged(None));
    }
    Ok(Clock::at(statement.now))
}

/// What the daemon says now. A passport in it must be for this seat; without one the last stays. Whose handle was narrowed
/// or handed on keeps to it, whatever comes: what widens the seat is its own holder's.
pub(crate) fn standing(
    seat: &Seat,
    last: (Arc<Passport>, Option<Vec<u8>>),
    update: Update,
) -> Result<Standing, JoinFault> {
    let (passport, wider) = match update.passport {
        Some(_) if !seat.passport().blocks().is_empty() => last,
        Some(bytes) => {
            let passport = widened(seat, &bytes).ok_or(JoinFault::Forged(None))?;
            (Arc::new(passport), Some(bytes))
        }
        None => last,
    };
    let Update { deadline, menu, notes, .. } = update;
    Ok(Standing { deadline, menu, notes, passport, wider })
}

fn widened(seat: &Seat, bytes: &[u8]) -> Option<Passport> {
    let root = VerifyingKey::from_bytes(&seat.handle().daemon_key).ok()?;
    let passport = policy::passport::verify(bytes, &root).ok()?;
    let (new, held) = (passport.authority(), seat.authority());
    let same = (new.share, new.seat, new.channel_key, new.redeem_key)
        == (held.share, held.seat, held.channel_key, held.redeem_key);
    same.then_some(passport)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use policy::passport;

    /// What the daemon sends when the owner has widened the share.
    fn widening() -> Update {
        let root = SigningKey::from_bytes(&[4; 32]);
        let passport = passport::mint(&root, &sample::authority()).unwrap();
        Update { deadline: Timestamp(7), passport: Some(passport), menu: Vec::new(), notes: 0 }
    }

    fn now(seat: &Seat) -> Result<Standing, JoinFault> {
        standing(seat, (seat.passport().clone().into(), None), widening())
    }

    #[test]
    fn se12_a_wider_passport_is_taken_for_the_seat_itself() {
        let seat = sample::seat();
        assert!(now(&seat).unwrap().passport.blocks().is_empty());
        let other = sample::seat_of_daemon(99);
        assert!(matches!(now(&other), Err(JoinFault::Forged(None))), "of another daemon");
    }

    #[test]
    fn se18_what_was_narrowed_or_handed_on_stays_so_whatever_the_daemon_or_a_broker_sends() {
        for seat in [sample::narrowed(), sample::handed_on(20)] {
            let standing = now(&seat).unwrap();
            assert_eq!(standing.passport.digest(), seat.passport().digest());
            assert_eq!(standing.deadline, Timestamp(7));
        }
    }
}
