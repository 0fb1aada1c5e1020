//! A connection to a port, as it is.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::order::{Finish, PortService};
use super::service::Attached;

const PIECE: usize = 64 * 1024;

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

/// Carries bytes both ways until the service hangs up, or neither side says anything for too long.
pub(super) async fn carry(port: &PortService, attached: Attached) -> Finish {
    let stream = match connect((&port.host, port.port), port.connect_timeout).await {
        Ok(stream) => stream,
        Err(why) => return Finish::Lost(why),
    };
    let Attached { mut stdout, mut stdin, .. } = attached;
    let (mut from, mut to) = stream.into_split();
    let (mut down, mut up) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let moved = tokio::select! {
            read = from.read(&mut down) => match read {
                Ok(0) => return Finish::Exited(0),
                Ok(some) => {
                    let piece = down.get(..some).unwrap_or_default();
                    if stdout.write_all(piece).await.is_err() {
                        return Finish::Stopped;
                    }
                    Ok(())
                }
                Err(fault) => Err(fault),
            },
            read = next(stdin.as_mut(), &mut up) => match read {
                Ok(0) => {
                    stdin = None;
                    to.shutdown().await
                }
                Ok(some) => to.write_all(up.get(..some).unwrap_or_default()).await,
                Err(fault) => Err(fault),
            },
            () = tokio::time::sleep(port.idle) => return Finish::Lost(silent(port.idle)),
        };
        if let Err(fault) = moved {
            return Finish::Lost(format!("the connection broke: {fault}"));
        }
    }
}

async fn next(
    stdin: Option<&mut tokio::net::unix::pipe::Receiver>,
    piece: &mut [u8],
) -> io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.read(piece).await,
        None => std::future::pending().await,
    }
}

fn silent(idle: Duration) -> String {
    format!("nothing was said on the connection for {} s", idle.as_secs())
}
