//! Bytes as they are, for local programs.

use std::sync::Arc;

use policy::Arguments;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Server;
use crate::call::{Call, Event};
use crate::neutral::one_line;
use crate::start::say;
use crate::told;

const PIECE: usize = 64 * 1024;

/// Carries one connection.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream) {
    let Ok(_place) = server.calls.acquire().await else { return };
    let verb = server.entry.verb.clone();
    let begun = server.caller.request(verb, Arguments::default(), Vec::new());
    let Ok(mut call) = begun else { return };
    if let Some(why) = carry(&mut call, stream).await {
        say(&one_line(&format!("a connection ended: {why}"), 300));
    }
}

/// Carries bytes both ways until either side is done. Some when that was not how it should end.
async fn carry(call: &mut Call, stream: TcpStream) -> Option<String> {
    let (mut from, mut to) = stream.into_split();
    let mut piece = vec![0; PIECE];
    let mut open = true;
    loop {
        let wanted = open && call.wants_input();
        let event = tokio::select! {
            read = from.read(&mut piece), if wanted => {
                match read {
                    Ok(0) => {
                        open = false;
                        call.give(&[]);
                    }
                    Ok(some) => call.give(piece.get(..some).unwrap_or_default()),
                    Err(_) => {
                        open = false;
                        call.cancel();
                    }
                }
                continue;
            }
            event = call.next() => event,
        };
        match event {
            Ok(Event::Stdout(bytes)) => {
                if to.write_all(&bytes).await.is_err() {
                    open = false;
                    call.cancel();
                }
            }
            Ok(
                Event::Started | Event::Wanted | Event::Stderr(_) | Event::Pending(_) | Event::Lost,
            ) => {}
            Ok(Event::Refused(refusal)) => return Some(told::refusal(&refusal)),
            Ok(Event::Ended(receipt)) => return told::ending(&receipt.outcome.ending),
            Err(crate::call::CallFault::Cancelled(_)) => return None,
            Err(fault) => return Some(fault.to_string()),
        }
    }
}
