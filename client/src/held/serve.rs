//! One connection to a holder: whoever listens how the seat stands, or whose bytes are carried.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use policy::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use wire::channel::{Connection, ReadError, RecvStream, SendStream, VarInt};
use wire::frame::{HEADER, MAX_DATA, Update};

use super::door::is_of_this_user;
use super::word::{Ask, Told, ToldLink, VERSION, Want, Word, Words, head_of_bytes};
use crate::failure::Failure;
use crate::report::over_words;
use crate::road::Road;
use crate::seat::Seat;
use crate::session::{Link, Over, Session, View};

/// Whoever connects says at once what for.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long the daemon may take to say how a call ended that was broken off here.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Commands that listen at one time; one more makes a channel of its own.
const LISTENERS_MAX: usize = 96;

/// How far the holder is.
#[derive(Clone)]
enum Stage {
    Joining,
    Joined(watch::Receiver<View>),
    Failed(Failure),
}

/// What the connections to a holder share.
pub(super) struct Hub {
    stage: watch::Sender<Stage>,
    stay: watch::Sender<Duration>,
    guests: watch::Sender<usize>,
    /// Those who listen at one time: what they then want carried finds room.
    listeners: Semaphore,
    /// Somebody has said that it is to go.
    pub(super) leave: CancellationToken,
    /// It is going, and takes nobody: whoever listens makes a channel of their own.
    pub(super) leaving: CancellationToken,
}

/// Somebody who uses the channel.
struct Guest<'h>(&'h Hub);

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.guests.send_modify(|guests| *guests = guests.saturating_sub(1));
    }
}

impl Hub {
    pub(super) fn new(stay: Duration) -> Self {
        Self {
            stage: watch::Sender::new(Stage::Joining),
            stay: watch::Sender::new(stay),
            guests: watch::Sender::new(0),
            listeners: Semaphore::new(LISTENERS_MAX),
            leave: CancellationToken::new(),
            leaving: CancellationToken::new(),
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Joining)
    }

    /// Tells everybody what came of taking the seat.
    pub(super) fn joined(&self, joined: Result<Session, Failure>) -> Option<Session> {
        let (stage, session) = match joined {
            Ok(session) => (Stage::Joined(session.views()), Some(session)),
            Err(failure) => (Stage::Failed(failure), None),
        };
        self.stage.send_replace(stage);
        session
    }

    /// Waits until nobody has used the channel for as long as it is to be kept.
    pub(super) async fn idle(&self) {
        let (mut guests, mut stay) = (self.guests.subscribe(), self.stay.subscribe());
        loop {
            drop(guests.wait_for(|guests| *guests == 0).await);
            let longest = *stay.borrow_and_update();
            tokio::select! {
                biased;
                _came = guests.wait_for(|guests| *guests > 0) => {}
                _changed = stay.changed() => {}
                () = sleep(longest) => return,
            }
        }
    }

    /// Waits until there is no session, and will be none.
    pub(super) async fn over(&self) {
        let mut stage = self.stage.subscribe();
        loop {
            let now = stage.borrow_and_update().clone();
            match now {
                Stage::Failed(_) => return,
                Stage::Joined(mut views) => {
                    let _over = views.wait_for(|view| view.over().is_some()).await;
                    return;
                }
                Stage::Joining => drop(stage.changed().await),
            }
        }
    }

    fn guest(&self) -> Guest<'_> {
        self.guests.send_modify(|guests| *guests += 1);
        Guest(self)
    }

    /// The channel, if there is one now.
    fn channel(&self) -> Option<Connection> {
        let stage = self.stage.borrow();
        let Stage::Joined(views) = &*stage else { return None };
        match &views.borrow().link {
            Link::Up(Road::Channel(connection), _) => Some(connection.clone()),
            Link::Up(Road::Held(_), _) | Link::Down | Link::Over(_) => None,
        }
    }
}

/// Serves one connection to its end. Who is not this user, or does not speak as they should, gets no word.
pub(super) async fn serve(stream: UnixStream, hub: &Hub, seat: &Seat) {
    if !is_of_this_user(&stream) {
        return;
    }
    let _guest = hub.guest();
    let mut words = Words::new(stream);
    let Ok(Ok(Word::Ask(Ask { version: VERSION, want }))) = timeout(ASK_LIMIT, words.next()).await
    else {
        return;
    };
    let (stream, rest) = words.into_rest();
    let served = match want {
        Want::Watch { stay_ms } => {
            if let Some(stay) = stay_ms {
                hub.stay.send_replace(Duration::from_millis(stay));
            }
            match hub.listeners.try_acquire() {
                Ok(_place) => tell(stream, hub, seat).await,
                Err(_) => return,
            }
        }
        Want::Stream => carry(stream, rest, hub).await,
        Want::Leave => {
            hub.leave.cancel();
            Ok(())
        }
    };
    if let Err(fault) = served {
        tracing::debug!(%fault, "a connection has ended");
    }
}

/// Says how the seat stands, and again at each change, for as long as somebody listens.
async fn tell(stream: UnixStream, hub: &Hub, seat: &Seat) -> io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let telling = async {
        let mut views = match taken(hub, &mut write).await? {
            Ok(views) => views,
            Err(failure) => return write.write_all(&Word::Failed(failure).encode()?).await,
        };
        loop {
            let told = Told::of(&views.borrow_and_update(), seat);
            let is_last = matches!(
                told.link,
                ToldLink::Ended(_) | ToldLink::Gone(_) | ToldLink::Replaced | ToldLink::Closed
            );
            write.write_all(&Word::Standing(Box::new(told)).encode()?).await?;
            if is_last || views.changed().await.is_err() {
                return Ok(());
            }
        }
    };
    let mut nothing = [0];
    tokio::select! {
        told = telling => told,
        () = hub.leaving.cancelled() => Ok(()),
        _left = read.read(&mut nothing) => Ok(()),
    }
}

/// The session as it changes, once the seat is taken.
async fn taken(
    hub: &Hub,
    write: &mut OwnedWriteHalf,
) -> io::Result<Result<watch::Receiver<View>, Failure>> {
    let mut stage = hub.stage.subscribe();
    loop {
        let now = stage.borrow_and_update().clone();
        match now {
            Stage::Joined(views) => return Ok(Ok(views)),
            Stage::Failed(failure) => return Ok(Err(failure)),
            Stage::Joining => write.write_all(&Word::Joining.encode()?).await?,
        }
        if stage.changed().await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
    }
}

impl Told {
    fn of(view: &View, seat: &Seat) -> Self {
        let standing = &view.standing;
        let link = match &view.link {
            Link::Up(_, number) => ToldLink::Up(*number),
            Link::Down => ToldLink::Down,
            Link::Over(Over::Ended(end)) => ToldLink::Ended(end.clone()),
            Link::Over(over @ Over::Gone(_)) => ToldLink::Gone(over_words(over)),
            Link::Over(Over::Replaced) => ToldLink::Replaced,
            Link::Over(Over::Closed) => ToldLink::Closed,
        };
        let is_the_handles = standing.passport.digest() == seat.passport().digest();
        let passport = standing.wider.clone().filter(|_| !is_the_handles);
        let menu = standing.menu.clone();
        let now: Timestamp = view.now();
        let update = Update { deadline: standing.deadline, passport, menu, notes: 0 };
        Self { link, now, standing: update }
    }
}

/// Carries bytes between a command and a stream of the channel, and says how the stream ended.
async fn carry(stream: UnixStream, rest: BytesMut, hub: &Hub) -> io::Result<()> {
    let (mut read, mut write) = stream.into_split();
    let opened = match hub.channel() {
        Some(connection) => connection.open_bi().await.ok(),
        None => None,
    };
    let Some((mut send, mut receive)) = opened else {
        return write.write_all(&Word::Lost.encode()?).await;
    };
    let ended = {
        let giving = give(&mut read, rest, &mut send);
        let taking = take(&mut receive, &mut write);
        tokio::pin!(giving, taking);
        tokio::select! {
            biased;
            ended = &mut taking => ended,
            // Whoever broke it off may want to hear how the call ended.
            // A word that was cut short is followed by none.
            () = &mut giving => {
                timeout(LAST_WORDS, taking).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    };
    if ended.is_err() {
        // Nobody is there any more.
        let _ended_already = send.reset(VarInt::from_u32(0));
    }
    write.write_all(&ended?.encode()?).await
}

/// Passes on what a command says, until it breaks the stream off or is gone.
async fn give(read: &mut OwnedReadHalf, mut piece: BytesMut, send: &mut SendStream) {
    // What the daemon does not want any more is dropped; that the command leaves is still heard.
    let mut is_wanted = true;
    loop {
        if is_wanted && !piece.is_empty() {
            is_wanted = send.write_all(&piece).await.is_ok();
        }
        piece.clear();
        piece.reserve(MAX_DATA);
        if !matches!(read.read_buf(&mut piece).await, Ok(1..)) {
            let _ended_already = send.reset(VarInt::from_u32(0));
            return;
        }
    }
}

/// Passes on what the daemon says; how that ended. An error is the command's.
async fn take(receive: &mut RecvStream, write: &mut OwnedWriteHalf) -> io::Result<Word> {
    loop {
        match receive.read_chunk(MAX_DATA + HEADER, true).await {
            Ok(Some(chunk)) => {
                write.write_all(&head_of_bytes(chunk.bytes.len())?).await?;
                write.write_all(&chunk.bytes).await?;
            }
            Ok(None) => return Ok(Word::Finished),
            Err(ReadError::ConnectionLost(_)) => return Ok(Word::Lost),
            Err(
                ReadError::Reset(_)
                | ReadError::ClosedStream
                | ReadError::IllegalOrderedRead
                | ReadError::ZeroRttRejected,
            ) => return Ok(Word::Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::sample;

    async fn asked(hub: &Hub, bytes: &[u8]) -> Words<UnixStream> {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(bytes).await.unwrap();
        let seat = sample::seat();
        tokio::select! {
            biased;
            () = serve(theirs, hub, &seat) => {}
            () = sleep(Duration::from_millis(20)) => {}
        }
        Words::new(ours)
    }

    fn ask(version: u8, want: Want) -> Vec<u8> {
        Word::Ask(Ask { version, want }).encode().unwrap()
    }

    #[tokio::test]
    async fn who_speaks_otherwise_gets_no_word() {
        let hub = Hub::new(Duration::from_secs(1));
        let other = ask(VERSION + 1, Want::Stream);
        for bytes in [&other[..], b"GET / HTTP/1.1\r\n\r\n", &Word::Joining.encode().unwrap()] {
            let fault = asked(&hub, bytes).await.next().await.unwrap_err();
            assert!(matches!(
                fault.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ));
        }
    }

    #[tokio::test]
    async fn a_seat_that_was_not_given_is_told_to_everybody_who_waits() {
        let hub = Hub::new(Duration::from_secs(1));
        let watch = ask(VERSION, Want::watch(None));
        assert!(matches!(asked(&hub, &watch).await.next().await, Ok(Word::Joining)));
        let failure = Failure::new(Exit::GONE, "unreachable", "no way");
        assert!(hub.joined(Err(failure)).is_none());
        hub.over().await;
        let told = asked(&hub, &watch).await.next().await;
        assert!(matches!(told, Ok(Word::Failed(failure)) if failure.exit == Exit::GONE));
    }

    #[tokio::test]
    async fn without_a_channel_a_stream_is_lost() {
        let hub = Hub::new(Duration::from_secs(1));
        let told = asked(&hub, &ask(VERSION, Want::Stream)).await.next().await;
        assert!(matches!(told, Ok(Word::Lost)));
    }

    #[tokio::test]
    async fn whoever_asks_it_to_go_is_heard() {
        let hub = Hub::new(Duration::from_secs(1));
        asked(&hub, &ask(VERSION, Want::Leave)).await;
        assert!(hub.leave.is_cancelled());
    }

    #[tokio::test]
    async fn it_is_idle_once_nobody_has_used_it_for_the_time_that_was_said_last() {
        let hub = Hub::new(Duration::from_millis(1));
        let guest = hub.guest();
        assert!(timeout(Duration::from_millis(30), hub.idle()).await.is_err());
        drop(guest);
        assert!(timeout(Duration::from_secs(5), hub.idle()).await.is_ok());
        asked(&hub, &ask(VERSION, Want::watch(Some(Duration::from_mins(1))))).await;
        assert!(timeout(Duration::from_millis(30), hub.idle()).await.is_err());
    }
}
