//! A connection to a port, as it is.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};

use super::order::{Finish, PortService};
use super::service::Attached;

const PIECE: usize = 64 * 1024;
/// How long nothing more may go to a service that says no more, until that is its end.
const LINGER: Duration = Duration::from_millis(500);

/// How long a connection may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// Both ways.
    pub(super) idle: Duration,
    /// Once the caller says no more, where that means that they are gone.
    pub(super) alone: Option<Duration>,
}

/// Connects.
pub(super) async fn connect(
    (host, port): (&str, u16),
    patience: Duration,
) -> Result<TcpStream, String> {
    // As a URL has it, an address of version 6 is in brackets.
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(patience, TcpStream::connect((plain, port))).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(fault)) => Err(format!("no connection to {host}:{port}: {fault}")),
        Err(_) => Err(format!("no connection to {host}:{port} within {} s", patience.as_secs())),
    }
}

/// Connects to a port, and carries what is said.
pub(super) async fn carry(port: &PortService, attached: Attached) -> Finish {
    let stream = match connect((&port.host, port.port), port.connect_timeout).await {
        Ok(stream) => stream,
        Err(why) => return Finish::Lost(why),
    };
    let Attached { stdout, stdin, .. } = attached;
    let silence = Silence { idle: port.idle, alone: None };
    exchange(stream.into_split(), (stdout, stdin), silence).await
}

/// Carries bytes both ways until both sides are done, or neither says anything for too long.
pub(super) async fn exchange(
    (from, to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (stdout, stdin): (pipe::Sender, Option<pipe::Receiver>),
    Silence { idle, alone }: Silence,
) -> Finish {
    let seen = Cell::new(Instant::now());
    // Each in its own time: a service may wait for its answer to be read before it reads on.
    let (down, up) = (down(from, stdout, &seen), up(stdin, to, &seen));
    tokio::pin!(down, up);
    let both = async {
        tokio::select! {
            finish = &mut down => {
                // It says no more, and may read on: what is on its way to it still goes there, while it goes.
                seen.set(Instant::now());
                tokio::select! {
                    _ = &mut up => {}
                    () = silence(&seen, LINGER) => {}
                }
                return finish;
            }
            gone = &mut up => if let Some(finish) = gone {
                return finish;
            },
        }
        let Some(alone) = alone else { return down.await };
        seen.set(Instant::now());
        tokio::select! {
            finish = down => finish,
            () = silence(&seen, alone) => Finish::Exited(0),
        }
    };
    tokio::select! {
        finish = both => finish,
        () = silence(&seen, idle) => Finish::Lost(silent(idle)),
    }
}

/// What the service says.
async fn down(
    mut from: impl AsyncRead + Unpin,
    mut stdout: pipe::Sender,
    seen: &Cell<Instant>,
) -> Finish {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece).await {
            Ok(0) => return Finish::Exited(0),
            Ok(some) => {
                seen.set(Instant::now());
                if stdout.write_all(piece.get(..some).unwrap_or_default()).await.is_err() {
                    return Finish::Stopped;
                }
            }
            Err(fault) => return broke(&fault),
        }
    }
}

/// What is said to it. Some when that cannot go on.
async fn up(
    mut stdin: Option<pipe::Receiver>,
    mut to: impl AsyncWrite + Unpin,
    seen: &Cell<Instant>,
) -> Option<Finish> {
    let mut piece = vec![0; PIECE];
    loop {
        let written = match next(stdin.as_mut(), &mut piece).await {
            Ok(0) => {
                // One that has gone already needs no word.
                let _ = to.shutdown().await;
                return None;
            }
            Ok(some) => {
                seen.set(Instant::now());
                to.write_all(piece.get(..some).unwrap_or_default()).await
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = written {
            return Some(broke(&fault));
        }
    }
}

/// Comes to its end once nothing was said for so long.
async fn silence(seen: &Cell<Instant>, idle: Duration) {
    loop {
        let until = seen.get() + idle;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

fn broke(fault: &io::Error) -> Finish {
    Finish::Lost(format!("the connection broke: {fault}"))
}

async fn next(stdin: Option<&mut pipe::Receiver>, piece: &mut [u8]) -> io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.read(piece).await,
        None => std::future::pending().await,
    }
}

fn silent(idle: Duration) -> String {
    format!("nothing was said on the connection for {} s", idle.as_secs())
}
