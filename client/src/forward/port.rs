//! Bytes as they are, for local programs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use policy::Arguments;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::inspect::Style;
use super::{CROWDED, Server};
use crate::call::{Call, CallFault, Event};
use crate::neutral::one_line;
use crate::start::say;
use crate::told;

const PIECE: usize = 64 * 1024;
/// How long a local program may take to hang up once it was told that the service has.
const LINGER: Duration = Duration::from_millis(500);

/// What went through a connection.
#[derive(Debug)]
pub(super) struct Carried {
    begun: Instant,
    /// Bytes to the service.
    pub(super) up: u64,
    /// Bytes from it.
    pub(super) down: u64,
    /// Why it ended, where that was not how it should.
    pub(super) why: Option<String>,
}

impl Carried {
    fn new() -> Self {
        Self { begun: Instant::now(), up: 0, down: 0, why: None }
    }

    /// How long it was there.
    pub(super) fn took(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Carries one connection.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream) {
    let Some(_place) = server.turn().await else { return say(CROWDED) };
    let number = server.inspect.number();
    let verb = server.entry.verb.clone();
    let begun = server.caller.request(verb, Arguments::default(), Vec::new());
    let Ok(mut call) = begun else { return };
    let carried = carry(&mut call, stream.into_split(), Bytes::new()).await;
    match &carried.why {
        Some(why) if server.inspect.style() == Style::Silent => {
            say(&one_line(&format!("a connection ended: {why}"), 300));
        }
        Some(_) | None => server.inspect.tell_end(number, &carried),
    }
}

/// Carries bytes both ways until either side is done; first to the local program what the service has said already.
pub(super) async fn carry(
    call: &mut Call,
    (mut from, mut to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    said: Bytes,
) -> Carried {
    let mut carried = Carried::new();
    carried.down(&mut to, &said, call).await;
    carried.exchange(call, &mut from, &mut to).await;
    // What is closed while something lies in it unread is torn off, and its last words with it.
    let _ = to.shutdown().await;
    let _ = timeout(LINGER, tokio::io::copy(&mut from, &mut tokio::io::sink())).await;
    carried
}

/// Ends a call for which nobody is there any more.
pub(super) async fn cancelled(call: &mut Call) -> Carried {
    call.cancel();
    while let Ok(event) = call.next().await {
        if matches!(event, Event::Ended(_) | Event::Refused(_)) {
            break;
        }
    }
    Carried::new()
}

impl Carried {
    async fn exchange(
        &mut self,
        call: &mut Call,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) {
        let mut piece = vec![0; PIECE];
        let mut open = true;
        loop {
            let wanted = open && call.wants_input();
            let event = tokio::select! {
                read = from.read(&mut piece), if wanted => {
                    match read {
                        Ok(some @ 1..) => {
                            self.up += some as u64;
                            call.give(piece.get(..some).unwrap_or_default());
                        }
                        Ok(0) => {
                            open = false;
                            call.give(&[]);
                        }
                        Err(_) => {
                            open = false;
                            call.cancel();
                        }
                    }
                    continue;
                }
                event = call.next() => event,
            };
            self.why = match event {
                Ok(Event::Stdout(bytes)) => {
                    open &= self.down(to, &bytes, call).await;
                    continue;
                }
                Ok(
                    Event::Started
                    | Event::Wanted
                    | Event::Stderr(_)
                    | Event::Pending(_)
                    | Event::Lost,
                ) => continue,
                Ok(Event::Refused(refusal)) => Some(told::refusal(&refusal)),
                Ok(Event::Ended(receipt)) => told::ending(&receipt.outcome.ending),
                Err(CallFault::Cancelled(_)) => None,
                Err(fault) => Some(fault.to_string()),
            };
            return;
        }
    }

    /// Passes on what the service says; whether somebody takes it.
    async fn down(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        bytes: &[u8],
        call: &mut Call,
    ) -> bool {
        self.down += bytes.len() as u64;
        let taken = to.write_all(bytes).await.is_ok() && to.flush().await.is_ok();
        if !taken {
            call.cancel();
        }
        taken
    }
}
